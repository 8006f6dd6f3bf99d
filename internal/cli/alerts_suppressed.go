package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

type alertsSuppressedCommand struct {
	Alert string `arg:"" optional:"" help:"The alert, by its ID (kibana.alert.uuid) or the beginning of it. Without: the alerts that others are folded into."`
	DB    string `name:"db" required:"" placeholder:"FILE" help:"The store: what tocsin scan --db made."`
	JSON  bool   `name:"json" help:"Print one object an event or alert, one a line, and nothing else."`
}

// Help is the long help.
func (alertsSuppressedCommand) Help() string {
	return `A rule with alert_suppression folds what is alike into its first alert, which counts it (kibana.alert.suppression.docs_count). Of what one run folds into one alert the first 1,000 events are kept; how many more there were is said.

Examples:

    tocsin alerts suppressed --db case.duckdb
    tocsin alerts suppressed 3f09a1 --db case.duckdb

Exit codes: 0 it ran, 2 the command line is wrong, the store cannot be read or there is no such alert, 130 interrupted.`
}

// The fields of alerts that the command reads.
const (
	fieldAlertID  = "kibana.alert.uuid"
	fieldRuleUUID = "kibana.alert.rule.uuid"
	fieldRuleName = "kibana.alert.rule.name"
	fieldTerms    = "kibana.alert.suppression.terms"
)

// Run lists what was folded into alerts.
func (c alertsSuppressedCommand) Run(ctx context.Context, streams Streams) (err error) {
	db, err := openExisting(ctx, c.DB)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	alerts, err := foldingAlerts(ctx, db)
	if err != nil {
		return err
	}
	out := streams.results()
	if c.Alert == "" {
		if err := c.printAlerts(out, alerts); err != nil {
			return err
		}
		return out.close()
	}
	alerts = slices.DeleteFunc(alerts, func(a *event.Event) bool { return !strings.HasPrefix(a.Text(fieldAlertID), c.Alert) })
	switch len(alerts) {
	case 0:
		return fmt.Errorf("no alert of a rule that folds alerts has the ID %s", c.Alert)
	case 1:
	default:
		return fmt.Errorf("the IDs of %d alerts begin with %s", len(alerts), c.Alert)
	}
	folded, err := detect.FoldedInto(ctx, db, alerts[0].Text(fieldRuleUUID), alerts[0].Text(fieldAlertID))
	if err != nil {
		return err
	}
	if err := c.printEvents(out, alerts[0], folded); err != nil {
		return err
	}
	return out.close()
}

// foldingAlerts returns the alerts of rules that fold alerts, by time.
func foldingAlerts(ctx context.Context, db store.Store) ([]*event.Event, error) {
	at, err := db.Latest(ctx)
	if err != nil {
		return nil, err
	}
	var out []*event.Event
	err = exec.Each(ctx, db, plan.Project{In: plan.Scan{Streams: []string{store.AlertStream}},
		Paths: []string{fieldAlertID, fieldRuleUUID, fieldRuleName, fieldTerms, alert.SuppressionCount, alert.SuppressionStart, alert.SuppressionEnd}}, at,
		func(a *event.Event) error {
			if !a.Get(alert.SuppressionCount).IsNull() {
				out = append(out, a)
			}
			return nil
		})
	slices.SortFunc(out, func(a, b *event.Event) int {
		return strings.Compare(a.Text(alert.SuppressionStart)+a.Text(fieldAlertID), b.Text(alert.SuppressionStart)+b.Text(fieldAlertID))
	})
	return out, err
}

// termsText is what the events that are folded into an alert have in common.
func termsText(a *event.Event) string {
	var parts []string
	for _, t := range a.Get(fieldTerms).Items() {
		value := t.Member("value")
		text := value.Text()
		switch {
		case value.IsNull():
			text = "(none)"
		case value.Kind() == event.KindList:
			var items []string
			for _, v := range value.Items() {
				items = append(items, v.Text())
			}
			text = strings.Join(items, ", ")
		}
		parts = append(parts, t.Member("field").Text()+" "+text)
	}
	return strings.Join(parts, "; ")
}

func (c alertsSuppressedCommand) printAlerts(out *results, alerts []*event.Event) error {
	var rows [][]string
	total, into := int64(0), 0
	for _, a := range alerts {
		n := a.Get(alert.SuppressionCount)
		count, _ := event.Coerce(event.Long, n)
		if count.Int() == 0 {
			continue
		}
		total, into = total+count.Int(), into+1
		if c.JSON {
			err := writeObject(out, struct {
				Alert  string          `json:"alert"`
				Rule   string          `json:"rule"`
				Terms  json.RawMessage `json:"terms"`
				Folded int64           `json:"folded"`
				First  string          `json:"first"`
				Last   string          `json:"last"`
			}{a.Text(fieldAlertID), a.Text(fieldRuleName), a.Get(fieldTerms).AppendJSON(nil), count.Int(),
				a.Text(alert.SuppressionStart), a.Text(alert.SuppressionEnd)})
			if err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{short(a.Text(fieldAlertID), 12), thousands(count.Int()), clock(timeIn(a, alert.SuppressionStart)),
			clock(timeIn(a, alert.SuppressionEnd)), short(a.Text(fieldRuleName), maxRule), short(termsText(a), maxWho)})
	}
	if c.JSON {
		return nil
	}
	if len(rows) > 0 {
		header, rows := narrowed([]string{"ALERT", "FOLDED", "FIRST (UTC)", "LAST", "RULE", "OF"}, rows, out.screen, leastRule, 4, 5)
		writeTable(out, header, rows, false)
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "%s folded into %s\n", thousands(total), counted(int64(into), "alert"))
	return nil
}

func (c alertsSuppressedCommand) printEvents(out *results, a *event.Event, folded []detect.Folded) error {
	var rows [][]string
	count, more := int64(0), int64(0)
	for _, f := range folded {
		count, more = count+f.Count, more+f.More
		for _, e := range f.Events {
			if c.JSON {
				err := writeObject(out, struct {
					Run    string `json:"run"`
					Time   string `json:"time"`
					Stream string `json:"stream"`
					ID     string `json:"id"`
				}{event.FormatTime(f.Slot), event.FormatTime(e.Time), e.Stream, e.ID})
				if err != nil {
					return err
				}
				continue
			}
			rows = append(rows, []string{clock(e.Time), clock(f.Slot), printable(e.Stream), printable(e.ID)})
		}
	}
	if c.JSON {
		return nil
	}
	if len(rows) > 0 {
		writeTable(out, []string{"TIME (UTC)", "RUN", "STREAM", "EVENT"}, rows, false)
		fmt.Fprintln(out)
	}
	if more > 0 {
		fmt.Fprintf(out, "and %s that are not listed\n", counted(more, "event"))
	}
	fmt.Fprintf(out, "%s folded into the alert of %s on %s\n", thousands(count), printable(a.Text(fieldRuleName)), printable(termsText(a)))
	return nil
}

func timeIn(a *event.Event, path string) time.Time {
	v, _ := event.Coerce(event.Date, a.Get(path))
	return v.Time()
}

// writeObject writes v on a line.
func writeObject(w io.Writer, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write what is folded: %w", err)
	}
	_, err = io.WriteString(w, escaped(string(data))+"\n")
	return err
}
