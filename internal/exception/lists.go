package exception

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// Lists are exception lists and value lists by their names. Nil Lists are none. They are safe for concurrent use.
type Lists struct {
	lists  map[listKey]*List
	order  []*List
	values map[string]*ValueList
	extra  []*Item // applied to every rule
}

// Load reads the exceptions that were found with rules: files of ours, and the lists and items of exports. What is wrong
// with one file or item does not stop the others.
func Load(set rule.Set) (*Lists, diag.List) {
	l := &Lists{lists: map[listKey]*List{}, values: map[string]*ValueList{}}
	var problems diag.List
	for _, f := range set.Exceptions {
		read, found := readOwn(f)
		problems = append(problems, found...)
		if read.list != nil && read.list.ListID != "" {
			problems = append(problems, l.add(read.list)...)
		}
		for _, v := range read.values {
			if first := l.values[v.ID]; first != nil {
				problems = append(problems, v.at.say(diag.Error, CodeTwice, "the one in "+first.at.File+" counts",
					fmt.Sprintf("the value list %s is there already", quoted(v.ID))))
				continue
			}
			l.values[v.ID] = v
		}
	}
	exported, items := readExported(set.Lines)
	for _, list := range exported {
		problems = append(problems, l.add(list)...)
	}
	for _, item := range items {
		list := l.lists[item.in]
		if list == nil {
			problems = append(problems, item.namedAt.say(diag.Error, CodeNoList, l.likeList(item.in.id),
				fmt.Sprintf("%s is in the list %s, which is not there", item.title(), quoted(item.in.id))))
			continue
		}
		if item.ItemID != "" && slices.ContainsFunc(list.Items, func(i *Item) bool { return i.ItemID == item.ItemID }) {
			problems = append(problems, item.at.say(diag.Error, CodeTwice, "", fmt.Sprintf("two items of %s have the item_id %s",
				list.title(), quoted(item.ItemID))))
			continue
		}
		list.Items = append(list.Items, item.Item)
	}
	problems = append(problems, l.bind()...)
	problems.Sort()
	return l, problems
}

// add adds a list unless there is one of its name.
func (l *Lists) add(list *List) diag.List {
	if first := l.lists[list.key()]; first != nil {
		return diag.List{list.at.say(diag.Error, CodeTwice, "the one in "+first.at.File+" counts",
			fmt.Sprintf("%s is there already", list.title()))}
	}
	l.lists[list.key()] = list
	l.order = append(l.order, list)
	return nil
}

// bind gives the entries that name value lists their types.
func (l *Lists) bind() (problems diag.List) {
	for _, list := range l.order {
		for _, item := range list.Items {
			for i := range item.Entries {
				e := &item.Entries[i]
				values := l.values[e.List.ID]
				if e.Kind != InList || values == nil || values.Type == "" {
					continue
				}
				if e.List.Type == "" {
					e.List.Type = values.Type
				} else if e.List.Type != values.Type {
					problems = append(problems, e.at.say(diag.Warning, CodeOtherType, "", fmt.Sprintf(
						"the value list %s is of the type %s, not %s", quoted(e.List.ID), values.Type, short(e.List.Type))))
				}
			}
		}
	}
	return problems
}

// All returns the lists, in the order in which they were read.
func (l *Lists) All() []*List {
	if l == nil {
		return nil
	}
	return slices.Clone(l.order)
}

// Of returns the lists that are applied to r: those that it names, in their order, then those that name it. A list that
// belongs to endpoints is applied there. The diagnostics are warnings.
func (l *Lists) Of(r *rule.Rule) ([]*List, diag.List) {
	if l == nil {
		l = &Lists{}
	}
	var out []*List
	var problems diag.List
	for i, named := range r.ExceptionsList {
		if named.Type == TypeEndpoint || strings.HasPrefix(named.Type, TypeEndpoint+"_") {
			continue
		}
		key := listKey{named.NamespaceType, named.ListID}
		if key.namespace == "" {
			key.namespace = DefaultNamespace
		}
		warn := func(code, hint, format string, args ...any) {
			d := diag.Diagnostic{Severity: diag.Warning, Code: code, File: r.File, Hint: hint, Message: fmt.Sprintf(format, args...)}
			d.Span, d.Text = r.Locator().Path(steps(r, i)...)
			problems = append(problems, d)
		}
		list := l.lists[key]
		switch {
		case list == nil:
			warn(CodeNoList, l.likeList(key.id), "no exception list is called %s: nothing is left out for it", quoted(key.id))
			continue
		case list.Type != named.Type:
			warn(CodeOtherType, "", "the exception list %s is of the type %s, not %s", quoted(key.id), list.Type, named.Type)
		}
		if !slices.Contains(out, list) {
			out = append(out, list)
		}
	}
	for _, list := range l.order {
		if slices.Contains(list.Rules, r.RuleID) && !slices.Contains(out, list) {
			out = append(out, list)
		}
	}
	return out, problems
}

// steps is the way to the name of a rule's i-th list.
func steps(r *rule.Rule, i int) []string {
	return []string{"exceptions_list", event.Int(int64(i)).Text(), "list_id"}
}

// Hidden is what r does not see, whose fields mean what the resolver says. The diagnostics tell of what cannot be applied,
// which then hides nothing, and of what hides everything.
func (l *Lists) Hidden(r *rule.Rule, resolver plan.Resolver) (Hidden, diag.List) {
	lists, problems := l.Of(r)
	var items []*Item
	for _, list := range lists {
		items = append(items, list.Items...)
	}
	if l != nil {
		items = append(items, l.extra...)
	}
	all, found := l.lower(items, resolver)
	return hidden(all), append(append(problems, found...), hidesAll(all)...)
}

// With returns the same lists, with items besides that are applied to every rule. l may be nil.
func (l *Lists) With(items ...*Item) *Lists {
	var out Lists
	if l != nil {
		out = *l
	}
	out.extra = append(slices.Clone(out.extra), items...)
	return &out
}

// Check returns what is to be said of the lists as a whole at now: items that have expired, that cannot be applied or that
// hide everything.
func (l *Lists) Check(resolver plan.Resolver, now time.Time) diag.List {
	var out diag.List
	for _, list := range l.All() {
		all, found := l.lower(list.Items, resolver)
		out = append(append(out, found...), hidesAll(all)...)
		for _, item := range list.Items {
			if item.Expired(now) {
				out = append(out, item.at.say(diag.Warning, CodeExpired, "take it out, or give it a later expire_time",
					fmt.Sprintf("%s has expired on %s: it hides nothing in runs since", item.title(), event.FormatTime(item.Expires))))
			}
		}
	}
	out.Sort()
	return out
}

// likeList is a hint at the list that a name was meant to be.
func (l *Lists) likeList(id string) string {
	var names []string
	for key := range l.lists {
		names = append(names, key.id)
	}
	return like(id, names, "write it in exceptions/….toml beside the rules")
}

// likeValues is that for a value list.
func (l *Lists) likeValues(id string) string {
	return like(id, slices.Collect(maps.Keys(l.values)), "write [[value_list]] with this id in exceptions/….toml beside the rules")
}

func like(name string, names []string, otherwise string) string {
	slices.Sort(names)
	if slices.Contains(names, name) {
		return "there is one in another namespace_type"
	}
	if near, ok := diag.Nearest(name, names); ok {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return otherwise
}

// sortedPoints are the single values of a set in their order.
func sortedPoints(set *expr.Set) []event.Value {
	return slices.SortedFunc(set.Points(), event.Compare)
}
