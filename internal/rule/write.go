package rule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// JSON returns the rule as a line of an export says it: what the text that it was read from says, and whatever differs
// from what leaving it out would mean. What an export has no place for ([metadata], entries of [transform] that the guide
// does not show in order, threat_mappings) stands in meta.tocsin, where Kibana keeps it.
func (r *Rule) JSON() event.Value { return event.Object(r.exported(false)...) }

// Complete returns JSON with every default filled in, as a server answers.
func (r *Rule) Complete() event.Value { return event.Object(r.exported(true)...) }

// AppendJSON appends JSON as text, without a line end.
func (r *Rule) AppendJSON(dst []byte) []byte { return r.JSON().AppendJSON(dst) }

func (r *Rule) exported(complete bool) object {
	r = r.asWritten()
	out := r.members(inExports, complete)
	if own := r.own(); len(own) > 0 && r.Meta.Member(ownKey).IsNull() {
		meta := object(slices.Clone(r.Meta.Members()))
		meta.add(ownKey, own.value())
		at := slices.IndexFunc(out, func(m event.Member) bool { return m.Key == "meta" })
		if at < 0 {
			out.add("meta", meta.value())
		} else {
			out[at].Value = meta.value()
		}
	}
	return out
}

// members are the keys of the rule in a layout, in order.
func (r *Rule) members(l layout, complete bool) object {
	var out object
	for _, k := range keysIn(r.Type, l) {
		v := k.value(r)
		w, reworded := r.source.written[k.name]
		switch {
		case reworded && (r.source.json || l == inTOML || w.read.IsNull()) && event.Equal(v, w.read):
			if said := w.said; !said.IsNull() || l == inExports {
				out = append(out, event.Member{Key: k.name, Value: said})
			}
			continue
		case k.usual == nil:
		case complete && v.IsNull():
			v = k.usual(r)
		case !complete && !r.source.given[k.name] && event.Equal(v, k.usual(r)):
			continue
		}
		if k.name == "actions" && l == inExports && !r.source.json {
			v = throttled(v)
		}
		out.add(k.name, v)
	}
	return out
}

// throttled puts the null that TOML cannot say into the frequency of actions: Kibana asks for it.
func throttled(actions event.Value) event.Value {
	items := slices.Clone(actions.Items())
	for i, a := range items {
		members := slices.Clone(a.Members())
		for j, m := range members {
			if m.Key == "frequency" && m.Value.Kind() == event.KindObject && m.Value.Member("throttle").IsNull() {
				members[j].Value = event.Object(append(slices.Clone(m.Value.Members()), event.Member{Key: "throttle"})...)
			}
		}
		items[i] = event.Object(members...)
	}
	if actions.IsNull() {
		return actions
	}
	return event.List(items...)
}

// ownKey is the key of meta below which exports carry what only TOML has a place for.
const ownKey = "tocsin"

// own is what stands there.
func (r *Rule) own() object {
	var o object
	if m := r.metadataForm(); len(m.Members()) > 0 {
		o.add("metadata", m)
	}
	if _, shown := lift(r.Note, Transform{}); !event.Equal(shown.form().value(), r.Transform.form().value()) {
		o.add("transform", r.Transform.form().value())
	}
	o.add("threat_mappings", r.ThreatMappings)
	return o
}

// metadataForm is the metadata as its file says it.
func (r *Rule) metadataForm() event.Value {
	form := r.Metadata.form().value()
	if w := r.source.metadata; w != nil && event.Equal(form, w.read) {
		return w.said
	}
	return form
}

// takeOwn takes what exports carry for TOML out of meta again. An object of the same name that holds anything else is left
// alone.
func (r *Rule) takeOwn(t *table) {
	_, r.Transform = lift(r.Note, Transform{})
	meta := t.sub("meta")
	if meta == nil {
		return
	}
	said, ok := meta.has[ownKey].(map[string]any)
	if !ok || len(said) == 0 {
		return
	}
	for key := range said {
		if !slices.Contains([]string{"metadata", "transform", "threat_mappings"}, key) {
			return
		}
	}
	own := meta.sub(ownKey)
	about := own.sub("metadata")
	r.Metadata = metadata(about)
	r.rememberMetadata(about)
	if entries := own.sub("transform"); entries != nil {
		r.Transform = transform(entries)
	}
	r.ThreatMappings = own.value("threat_mappings")
	rest := slices.DeleteFunc(slices.Clone(r.Meta.Members()), func(m event.Member) bool { return m.Key == ownKey })
	r.Meta = event.Null()
	if len(rest) > 0 {
		r.Meta = event.Object(rest...)
	}
}

// AppendTOML appends the rule as a file of its own. The error names what TOML cannot say: a null in a list. Nulls in
// objects, and what a server said of the rule (Stored), are left out.
func (r *Rule) AppendTOML(dst []byte) ([]byte, error) {
	r = r.asWritten()
	w := tomlWriter{out: dst}
	out := r.members(inTOML, false)
	transform := r.Transform
	if w, reworded := r.source.written["note"]; r.source.json || reworded && w.read.Str() != r.Note {
		for i, m := range out {
			if m.Key == "note" && m.Value.Kind() == event.KindString {
				var bare string
				bare, transform = lift(m.Value.Str(), r.Transform)
				out[i].Value = event.String(bare)
			}
		}
	}
	if m := r.metadataForm(); len(m.Members()) > 0 {
		w.table([]string{"metadata"}, m.Members())
	}
	if form := transform.form(); len(form) > 0 {
		w.table([]string{"transform"}, form)
	}
	w.table([]string{"rule"}, arranged(out))
	if w.err != nil {
		return dst, fmt.Errorf("write rule %s as TOML: %w", r.RuleID, w.err)
	}
	return w.out, nil
}

// arranged puts the keys of a rule into the order of files: by name, the query last.
func arranged(o object) object {
	slices.SortStableFunc(o, func(a, b event.Member) int {
		if last := (a.Key == "query"); last != (b.Key == "query") {
			if last {
				return 1
			}
			return -1
		}
		return strings.Compare(a.Key, b.Key)
	})
	return o
}
