package rule

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// IndicatorsFolder is how the folder beside rules is called whose files hold indicators: all that end in one of
// IndicatorSuffixes. Rules (*.toml) may stand there as anywhere.
const IndicatorsFolder = "indicators"

// IndicatorSuffixes are how files with indicators end.
var IndicatorSuffixes = []string{".csv", ".tsv", ".txt", ".list", ".ioc", ".json", ".ndjson", ".jsonl", ".stix", ".stix2"}

// IndicatorsBeside returns the files with indicators beside the file called name, sorted.
func IndicatorsBeside(name string) []File {
	return inFolder(filepath.Join(filepath.Dir(name), IndicatorsFolder), File.inIndicators)
}

// IndicatorFiles returns the files of paths: of a folder all in it and below it that end in one of IndicatorSuffixes, sorted,
// and a file whatever it is called. A file that is found twice comes once.
func IndicatorFiles(paths ...string) ([]File, error) {
	var out []File
	read := map[string]bool{}
	once := func(f File) {
		key := f.Name
		if full, err := filepath.Abs(f.Name); err == nil {
			key = full
		}
		if !read[key] {
			read[key] = true
			out = append(out, f)
		}
	}
	for _, name := range paths {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			once(fileOnDisk(name))
			continue
		}
		found := false
		err = filepath.WalkDir(name, func(p string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && isIndicators(p) {
				found = true
				once(fileOnDisk(p))
			}
			return err
		})
		switch {
		case err != nil:
			return nil, err
		case !found:
			return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("it holds no file that ends in " + strings.Join(IndicatorSuffixes, ", "))}
		}
	}
	return out, nil
}

// inIndicators reports whether the file stands in an IndicatorsFolder and is called like one with indicators.
func (f File) inIndicators() bool {
	return f.folder() == IndicatorsFolder && isIndicators(f.path)
}

func isIndicators(name string) bool {
	return slices.Contains(IndicatorSuffixes, strings.ToLower(path.Ext(filepath.ToSlash(name))))
}
