package indicator_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/indicator"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// changingFS calls then when a file is first read from.
type changingFS struct {
	fs.FS
	then func()
}

type changingFile struct {
	fs.File
	then func()
}

func (c changingFS) Open(name string) (fs.File, error) {
	f, err := c.FS.Open(name)
	if info, statErr := fs.Stat(c.FS, name); err != nil || statErr != nil || info.IsDir() {
		return f, err
	}
	return changingFile{f, c.then}, nil
}

func (c changingFile) Read(p []byte) (int, error) {
	c.then()
	return c.File.Read(p)
}

// Of a file that changes while it is read nothing is used: nobody knows which part of it is old.
func TestChangedFile(t *testing.T) {
	f := func(change func(name string) error, bad bool) {
		t.Helper()
		dir := t.TempDir()
		name := filepath.Join(dir, "indicators", "f.csv")
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("ip\n198.51.100.7\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, time.Time{}, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)); err != nil { // so that a change shows, however soon it comes
			t.Fatal(err)
		}
		changed := false
		set := rule.LoadFS(os.DirFS(dir))
		if len(set.Indicators) != 1 {
			t.Fatalf("%d files", len(set.Indicators))
		}
		set = rule.LoadFS(changingFS{os.DirFS(dir), func() {
			if !changed {
				changed = true
				if err := change(name); err != nil {
					t.Error(err)
				}
			}
		}})
		files, problems := indicator.Load(set.Indicators)
		told := strings.Contains(problems.Render(), "indicators/f.csv: IND0101: the indicators cannot be read: it changed while it was read")
		if told != bad || (files.Len() == 0) != bad || !changed {
			t.Errorf("%d indicators, said: %s", files.Len(), problems.Render())
		}
	}
	f(func(name string) error { return nil }, false)
	f(func(name string) error { return os.WriteFile(name, []byte("ip\n198.51.100.8\n"), 0o600) }, true) // of the same size
	f(func(name string) error { return os.WriteFile(name, []byte("ip\n198.51.100.7\n203.0.113.1\n"), 0o600) }, true)
	f(func(name string) error { return os.Truncate(name, 5) }, true)
	f(func(name string) error { // another file in its place: what is open stays as it is
		if err := os.WriteFile(name+".new", []byte("ip\n"), 0o600); err != nil {
			return err
		}
		return os.Rename(name+".new", name)
	}, false)
}

// There is a bound on how many are held, and it is told.
func TestTooMany(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "f.csv")
	if err := os.WriteFile(name, []byte("ip\n198.51.100.1\n198.51.100.2\n198.51.100.2\n198.51.100.3\n198.51.100.4\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := rule.IndicatorFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	files, problems := indicator.LoadAtMost(list, 2)
	a := files.Accounts()[0]
	if files.Len() != 2 || a.Used != 2 || a.Read != 5 || len(problems) != 1 || problems[0].Code != indicator.CodeTooMany || problems.Err() == nil {
		t.Errorf("%d indicators, %+v, said: %s", files.Len(), a, problems.Render())
	}
}

// What is long, deep or much is refused in a word.
func TestHostile(t *testing.T) {
	f := func(name, content, codes string, indicators int) {
		t.Helper()
		files, problems := load(t, name, content)
		var got []string
		for _, d := range problems {
			got = append(got, d.Code)
		}
		if files.Len() != indicators || strings.Join(got, " ") != codes {
			t.Errorf("%s %.30q: %d indicators, told %v", name, content, files.Len(), got)
		}
		for _, d := range problems {
			if text := d.Render(); len(text) > 1000 {
				t.Errorf("%s %.30q: told in %d bytes", name, content, len(text))
			}
		}
	}
	long := strings.Repeat("a", 10<<20)
	f("f.txt", "198.51.100.7\n"+long+"\n203.0.113.1", "IND0201 IND0205", 2)
	f("f.csv", "ip,description\n198.51.100.7,"+long+"\n203.0.113.1,x\n", "IND0201", 1)
	f("f.csv", long+",ip\n1,203.0.113.1\n", "IND0201 IND0201", 0)
	f("f.csv", strings.Repeat("ip,", 200_000)+"\n"+strings.Repeat("203.0.113.1,", 200_000), "IND0102", 0)
	f("f.json", bundle(stixIndicator(1, "[file:name = '"+long+"']", ""), stixIndicator(2, "[file:name = 'a']", "")), "IND0202", 1)
	f("f.json", bundle(stixIndicator(1, strings.Repeat("[", 100_000), ""), stixIndicator(2, "["+strings.Repeat("file:name = 'a' AND ", 5000)+"file:name = 'a']", "")), "IND0202 IND0203", 0)
	f("f.json", bundle(stixIndicator(2, "["+strings.Repeat("file:name = 'a' AND ", 150)+"file:name = 'a']", "")), "", 1)
	addresses := make([]string, 90_000)
	for i := range addresses {
		addresses[i] = fmt.Sprintf(`"10.%d.%d.%d"`, i>>16, i>>8&255, i&255)
	}
	f("f.json", `{"threat":{"indicator":{"ip":[`+strings.Join(addresses, ",")+`]}}}`, "", 1)
	f("f.json", `[{"x":[`+strings.Repeat("1,", 200_000)+`1]},{"ip":"203.0.113.1"}]`, "IND0102", 1)
	f("f.json", strings.Repeat(`{"objects":[`, 200)+strings.Repeat(`]}`, 200), "IND0103 IND0201", 0)
	f("f.json", strings.Repeat("[", 1<<20), "IND0102", 0)
	f("f.json", `{"ip":"203.0.113.1"`+"\x00", "IND0102", 0)
	f("f.json", "[{\"ip\":\"203.0.113.1\"},{\"domain\":\"\xff\xfe\"}]", "IND0102", 1)
	var text strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&text, "%d is nothing\n", i)
	}
	f("f.txt", "198.51.100.7\n"+text.String(), "IND0201 IND0201 IND0201 IND0201 IND0201 IND0205 IND0201", 1)
}
