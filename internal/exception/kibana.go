package exception

import (
	"slices"
	"time"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// readExported reads the exception lists and items of Kibana's exports, whose shape package rule has looked at.
func readExported(lines []rule.Line) (lists []*List, items []exportedItem) {
	for _, line := range lines {
		at := line.Places()
		switch o := line.Object; line.Kind {
		case rule.LineExceptionList:
			lists = append(lists, &List{ListID: text(o, "list_id"), Name: text(o, "name"), Description: text(o, "description"),
				Type: text(o, "type"), Namespace: namespaceOf(o), Tags: texts(o, "tags"), OSTypes: texts(o, "os_types"),
				Object: o, at: place(at("list_id"))})
		case rule.LineExceptionItem:
			item := &Item{ItemID: text(o, "item_id"), Name: text(o, "name"), Description: text(o, "description"),
				Tags: texts(o, "tags"), OSTypes: texts(o, "os_types"), Object: o, at: place(at("name")),
				Entries: entriesOf(o.Member("entries").Items(), at, "entries")}
			if t, ok := event.ParseTime(text(o, "expire_time")); ok {
				item.Expires = t
			}
			for _, c := range o.Member("comments").Items() {
				item.Comments = append(item.Comments, text(c, "comment"))
			}
			items = append(items, exportedItem{item, listKey{namespaceOf(o), text(o, "list_id")}, place(at("list_id"))})
		}
	}
	return lists, items
}

// exportedItem is an item with the list that it says it is in.
type exportedItem struct {
	*Item
	in      listKey
	namedAt place
}

func text(o event.Value, key string) string { return o.Member(key).Str() }

func texts(o event.Value, key string) (out []string) {
	for _, v := range o.Member(key).Items() {
		out = append(out, v.Str())
	}
	return out
}

func namespaceOf(o event.Value) string {
	if s := text(o, "namespace_type"); s != "" {
		return s
	}
	return DefaultNamespace
}

func entriesOf(list []event.Value, at func(...string) diag.Diagnostic, steps ...string) []Entry {
	var out []Entry
	for i, o := range list {
		way := append(slices.Clone(steps), event.Int(int64(i)).Text())
		e := Entry{Field: text(o, "field"), Excluded: text(o, "operator") == "excluded", at: place(at(way...))}
		e.Kind = Kind(max(0, slices.Index(kinds[:], text(o, "type"))))
		switch e.Kind {
		case Match, Wildcard:
			e.Values = []string{text(o, "value")}
		case MatchAny:
			e.Values = texts(o, "value")
		case InList:
			e.List = Reference{ID: o.At("list", "id").Str(), Type: o.At("list", "type").Str()}
		case Nested:
			e.Excluded = false
			e.Entries = entriesOf(o.Member("entries").Items(), at, append(way, "entries")...)
		}
		out = append(out, e)
	}
	return out
}

// AppendJSON appends lists as Kibana exports them: each list followed by its items, then a summary, an object a line.
func AppendJSON(dst []byte, lists []*List) []byte {
	items := 0
	for _, l := range lists {
		dst = append(l.object().AppendJSON(dst), '\n')
		for _, i := range l.Items {
			dst = append(i.object(l).AppendJSON(dst), '\n')
		}
		items += len(l.Items)
	}
	var o object
	o.add("exported_exception_list_count", event.Int(int64(len(lists))))
	o.add("exported_exception_list_item_count", event.Int(int64(items)))
	o.add("missing_exception_list_item_count", event.Int(0))
	o.add("missing_exception_list_items", event.List())
	o.add("missing_exception_lists", event.List())
	o.add("missing_exception_lists_count", event.Int(0))
	return append(event.Object(o...).AppendJSON(dst), '\n')
}

// object is an object in the making; what is empty is left out.
type object []event.Member

func (o *object) add(key string, v event.Value) { *o = append(*o, event.Member{Key: key, Value: v}) }

func (o *object) text(key, s string) {
	if s != "" {
		o.add(key, event.String(s))
	}
}

// object is the list as Kibana has it, without what only a server can say.
func (l *List) object() event.Value {
	if !l.Object.IsNull() {
		return l.Object
	}
	o := object{{Key: "list_id", Value: event.String(l.ListID)}, {Key: "name", Value: event.String(l.Name)},
		{Key: "description", Value: event.String(l.described())}, {Key: "type", Value: event.String(l.Type)},
		{Key: "namespace_type", Value: event.String(l.Namespace)}, {Key: "tags", Value: event.Strings(l.Tags...)},
		{Key: "os_types", Value: event.Strings(l.OSTypes...)}}
	return event.Object(o...)
}

// described is the description, which Kibana asks for: the name where there is none.
func (l *List) described() string {
	if l.Description == "" {
		return l.Name
	}
	return l.Description
}

// object is the item, of l, as Kibana has it.
func (i *Item) object(l *List) event.Value {
	if !i.Object.IsNull() {
		return i.Object
	}
	description := i.Description
	if description == "" {
		description = i.Name
	}
	o := object{{Key: "list_id", Value: event.String(l.ListID)}}
	o.text("item_id", i.ItemID)
	o = append(o, object{{Key: "name", Value: event.String(i.Name)}, {Key: "description", Value: event.String(description)},
		{Key: "type", Value: event.String("simple")}, {Key: "namespace_type", Value: event.String(l.Namespace)},
		{Key: "tags", Value: event.Strings(i.Tags...)}, {Key: "os_types", Value: event.Strings(i.OSTypes...)},
		{Key: "entries", Value: entryObjects(i.Entries)}}...)
	if !i.Expires.IsZero() {
		o.add("expire_time", event.String(event.FormatTime(i.Expires.Truncate(time.Millisecond))))
	}
	if len(i.Comments) > 0 {
		var comments []event.Value
		for _, c := range i.Comments {
			comments = append(comments, event.Object(event.Member{Key: "comment", Value: event.String(c)}))
		}
		o.add("comments", event.List(comments...))
	}
	return event.Object(o...)
}

func entryObjects(entries []Entry) event.Value {
	out := make([]event.Value, len(entries))
	for i, e := range entries {
		o := object{{Key: "field", Value: event.String(e.Field)}, {Key: "type", Value: event.String(e.Kind.String())}}
		if e.Kind != Nested {
			operator := "included"
			if e.Excluded {
				operator = "excluded"
			}
			o.add("operator", event.String(operator))
		}
		switch e.Kind {
		case Match, Wildcard:
			o.add("value", event.String(e.Values[0]))
		case MatchAny:
			o.add("value", event.Strings(e.Values...))
		case InList:
			of := e.List.Type
			if of == "" { // nothing defines the list
				of = "keyword"
			}
			o.add("list", event.Object(event.Member{Key: "id", Value: event.String(e.List.ID)},
				event.Member{Key: "type", Value: event.String(of)}))
		case Nested:
			o.add("entries", entryObjects(e.Entries))
		}
		out[i] = event.Object(o...)
	}
	return event.List(out...)
}
