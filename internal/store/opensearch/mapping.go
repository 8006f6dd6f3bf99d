package opensearch

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// index is what is known of an index.
type index struct {
	name string
	// fields are the mapped fields, objects and multi-fields included, by name.
	fields map[string]*field
	// readers are the fields that read what stands at a path in the documents: the field of that name first, then its
	// multi-fields by name.
	readers map[string][]*field
	// constants are the values that all documents have without holding them.
	constants map[string]string
	// open is whether new fields are mapped, by the path of the object that says so; "" is the document.
	open map[string]bool
	// unreadable says why documents cannot be read whole; empty: they can.
	unreadable string
	maxRegexp  int
	maxTerms   int
	// misfits says that values that do not fit their fields are left out, not refused, where the field does not say.
	misfits bool
}

// field is a mapped field.
type field struct {
	name, path string // path is where its values stand in documents
	kind       string // keyword, text, long …, object, nested
	// typ is how the index reads values, exactly, where plain is empty; plain says why it cannot be asked.
	typ   event.Type
	plain string
	// limit is the length in UTF-16 units beyond which values are left out (ignore_above); 0: none.
	limit int
	// nested is the path of the innermost nested object that the field stands in, "" for none.
	nested string
	// sortable says that the cluster has its values by document.
	sortable bool
	// misfits says that values that do not fit are left out, not refused.
	misfits bool
	target  string // of an alias
}

// harmless are the parameters of a field that change nothing that is asked here.
var harmless = []string{"type", "properties", "fields", "dynamic", "norms", "store", "boost", "eager_global_ordinals", "similarity",
	"split_queries_on_whitespace", "term_vector", "fielddata", "fielddata_frequency_filter", "index_prefixes", "index_phrases",
	"position_increment_gap", "search_analyzer", "search_quote_analyzer", "meta", "max_shingle_size", "coerce",
	"ignore_malformed", "ignore_above", "doc_values", "index", "enabled", "normalizer", "analyzer", "format", "index_options",
	"value", "path", "time_series_dimension", "include_in_root", "include_in_parent", "ignore_z_value", "print_format"}

// isoFormats are the formats of dates that are read as package event reads them.
var isoFormats = []string{"strict_date_optional_time||epoch_millis", "strict_date_time_no_millis||strict_date_optional_time||epoch_millis",
	"strict_date_optional_time_nanos||epoch_millis", "strict_date_optional_time_nanos||strict_date_optional_time||epoch_millis"}

// readIndex reads the mappings and settings of an index.
func readIndex(name string, mappings, settings event.Value) (*index, error) {
	x := &index{name: name, fields: map[string]*field{}, readers: map[string][]*field{}, constants: map[string]string{},
		open: map[string]bool{}, maxRegexp: 1000, maxTerms: 65_536}
	if n, ok := setting(settings, "max_regex_length"); ok {
		x.maxRegexp = n
	}
	if n, ok := setting(settings, "max_terms_count"); ok {
		x.maxTerms = max(n, 1)
	}
	x.misfits = settings.At("mapping", "ignore_malformed").Text() == "true"
	source := mappings.Member("_source")
	switch {
	case source.Member("enabled").Text() == "false":
		x.unreadable = "it does not keep documents"
	case len(source.Member("includes").Items())+len(source.Member("excludes").Items()) > 0:
		x.unreadable = "it keeps parts of documents alone"
	case settings.At("derived_source", "enabled").Text() == "true":
		x.unreadable = "it puts documents together from what is indexed"
	}
	copied := map[string]bool{}
	r := mappingReader{index: x, analysis: settings.Member("analysis"), copied: copied}
	r.object("", "", mappings, true)
	for target := range copied {
		if f := x.fields[target]; f != nil {
			f.plain = "values of other fields are copied to it"
		}
	}
	for _, f := range x.fields {
		if f.target == "" {
			x.readers[f.path] = append(x.readers[f.path], f)
		}
	}
	for path, list := range x.readers {
		slices.SortFunc(list, func(a, b *field) int {
			if a.name == path || b.name == path {
				return len(a.name) - len(b.name)
			}
			return strings.Compare(a.name, b.name)
		})
	}
	if len(x.fields) > 100_000 {
		return nil, fmt.Errorf("read the mapping of %s: %d fields are more than can be looked at", name, len(x.fields))
	}
	return x, nil
}

func setting(settings event.Value, key string) (int, bool) {
	n, err := strconv.Atoi(settings.Member(key).Text())
	return n, err == nil
}

// mappingReader fills an index.
type mappingReader struct {
	*index
	analysis event.Value
	copied   map[string]bool
}

// object reads what stands in the object at path.
func (r *mappingReader) object(path, nested string, v event.Value, open bool) {
	if d := v.Member("dynamic"); !d.IsNull() {
		open = !strings.HasPrefix(d.Text(), "false")
	}
	r.open[path] = open
	if path != "" {
		path += "."
	}
	for _, m := range v.Member("properties").Members() {
		r.field(path+m.Key, path+m.Key, nested, m.Value, open)
	}
}

// field reads one field, which reads what stands at path.
func (r *mappingReader) field(name, path, nested string, v event.Value, open bool) {
	f := &field{name: name, path: path, nested: nested, kind: v.Member("type").Str()}
	if f.kind == "" {
		f.kind = "object"
	}
	r.fields[name] = f
	for _, m := range v.Members() {
		switch {
		case m.Key == "copy_to":
			for _, target := range append(m.Value.Items(), m.Value) {
				if target.Kind() == event.KindString {
					r.copied[target.Str()] = true
				}
			}
		case !slices.Contains(harmless, m.Key):
			f.plain = "its parameter " + m.Key + " is not known here"
		}
	}
	switch f.kind {
	case "object", "nested":
		f.typ = event.ObjectType
		if f.kind == "nested" {
			f.typ, nested = event.Nested, name
			f.nested = name
			for _, key := range []string{"include_in_root", "include_in_parent"} {
				if v.Member(key).Text() == "true" {
					f.plain = "its " + key + " makes it two things at once"
				}
			}
		}
		if v.Member("enabled").Text() == "false" {
			f.plain = "it is not indexed"
			r.open[name] = false
			return
		}
		r.object(name, nested, v, open)
		return
	case "alias":
		f.target = v.Member("path").Str()
		return
	}
	r.leaf(f, v)
	for _, m := range v.Member("fields").Members() {
		r.field(name+"."+m.Key, path, nested, m.Value, open)
	}
}

// leaf reads how a field indexes values.
func (r *mappingReader) leaf(f *field, v event.Value) {
	f.misfits = r.index.misfits
	if m := v.Member("ignore_malformed"); !m.IsNull() {
		f.misfits = m.Text() == "true"
	}
	f.sortable = v.Member("doc_values").Text() != "false"
	refuse := func(why string) {
		if f.plain == "" {
			f.plain = why
		}
	}
	if v.Member("index").Text() == "false" {
		refuse("it is not indexed")
	}
	if n, err := strconv.Atoi(v.Member("ignore_above").Text()); err == nil && n < 32_766 {
		f.limit = n
	}
	normalizer := v.Member("normalizer").Str()
	switch f.kind {
	case "keyword", "wildcard":
		f.typ = event.Keyword
		if f.kind == "wildcard" {
			f.typ, f.sortable = event.Wildcard, false
		}
		switch {
		case normalizer == "":
		case f.kind == "keyword" && r.lowerCase(normalizer):
			f.typ = event.Caseless
		default:
			refuse("its normalizer " + normalizer + " is not known here")
		}
	case "constant_keyword":
		f.typ = event.ConstantKeyword
		f.sortable = false
		if v.Member("value").IsNull() {
			refuse("its constant value is not set")
		}
		r.constants[f.path] = v.Member("value").Text()
	case "text", "match_only_text":
		f.sortable = false
		analyzer := v.Member("analyzer").Str()
		if analyzer == "" {
			analyzer = "default"
		}
		t, ok := r.analyzer(analyzer)
		f.typ = t
		if !ok {
			refuse("its analyzer " + analyzer + " is not known here")
		}
		if o := v.Member("index_options").Str(); o != "" && o != "positions" && o != "offsets" {
			refuse("its words are indexed without their places")
		}
		if g := v.Member("position_increment_gap"); !g.IsNull() && g.Int() < 1 {
			refuse("its values run into each other")
		}
	case "long":
		f.typ = event.Long
	case "integer", "short", "byte":
		if f.typ = event.Long; f.misfits {
			refuse("it leaves numbers out that are too large for it")
		}
	case "double":
		f.typ = event.Double
	case "float", "half_float", "scaled_float":
		f.typ = event.Double
		refuse("it rounds numbers (" + f.kind + ")")
	case "boolean":
		f.typ = event.Boolean
	case "ip":
		f.typ = event.IPType
	case "date", "date_nanos":
		f.typ = event.Date
		if format := v.Member("format").Str(); format != "" && !slices.Contains(isoFormats, format) {
			refuse("it reads dates in the format " + format)
		}
	case "flat_object", "flattened":
		f.typ, f.sortable = event.Flattened, false
	case "geo_point":
		f.typ, f.sortable = event.GeoPoint, false
	default:
		refuse("fields of the type " + f.kind + " are not known here")
	}
	if v.Member("coerce").Text() == "false" && f.misfits {
		refuse("it leaves numbers out that are written as texts")
	}
}

// lowerCase reports whether a normalizer does nothing but fold to lower case.
func (r *mappingReader) lowerCase(name string) bool {
	own := r.analysis.At("normalizer", name)
	if own.IsNull() {
		return name == "lowercase"
	}
	if kind := own.Member("type").Text(); kind != "" && kind != "custom" || len(own.Member("char_filter").Items()) > 0 {
		return false
	}
	filters := own.Member("filter")
	if filters.Kind() == event.KindString {
		return filters.Str() == "lowercase"
	}
	return len(filters.Items()) == 1 && filters.Items()[0].Str() == "lowercase"
}

// analyzer returns the type of text that an analyzer makes.
func (r *mappingReader) analyzer(name string) (event.Type, bool) {
	own := r.analysis.At("analyzer", name)
	switch {
	case own.IsNull():
		return event.Text, name == "default" || name == "standard"
	case own.Member("type").Str() == "standard":
		for _, m := range own.Members() {
			if m.Key != "type" {
				return event.Text, false
			}
		}
		return event.Text, true
	case own.Member("type").Str() == "pattern":
		for _, m := range own.Members() {
			switch {
			case m.Key == "type":
			case m.Key == "lowercase" && m.Value.Text() == "true":
			case m.Key == "pattern" && m.Value.Str() == `[\W&&[^-]]+`:
			default:
				return event.PatternText, false
			}
		}
		return event.PatternText, own.Member("pattern").Str() != ""
	}
	return event.Text, false
}

// mapsNew reports whether a field at path that is not mapped would be as soon as a document held it, so that none does.
func (x *index) mapsNew(path string) bool {
	for at := path; ; {
		dot := strings.LastIndexByte(at, '.')
		at = at[:max(dot, 0)]
		if open, known := x.open[at]; known {
			return open
		}
		if at == "" {
			return true
		}
	}
}

// flattened returns the flattened field that path lies in, nil for none.
func (x *index) flattened(path string) *field {
	for i := len(path) - 1; i > 0; i-- {
		if path[i] == '.' {
			if f := x.fields[path[:i]]; f != nil {
				if f.typ == event.Flattened {
					return f
				}
				return nil
			}
		}
	}
	return nil
}

// below returns the fields that are not objects at or below path, sorted by name.
func (x *index) below(path string) []*field {
	var out []*field
	for _, name := range slices.Sorted(maps.Keys(x.fields)) {
		f := x.fields[name]
		if (f.path == path || strings.HasPrefix(f.path, path+".")) && f.kind != "object" && f.kind != "nested" && f.target == "" {
			out = append(out, f)
		}
	}
	return out
}
