package cli

import (
	"fmt"
	"time"

	"github.com/tocsin-sec/tocsin/internal/demo"
)

type demoDataCommand struct {
	Dir    string `arg:"" help:"Folder to write to; it must not hold AWSLogs yet."`
	Events int    `default:"20000" help:"Distinct events (${default})."`
	Days   int    `default:"20" help:"Days that they lie in (${default})."`
	Seed   uint64 `default:"1" help:"Another seed gives other ids and another mix (${default})."`
	End    string `default:"2026-03-20" help:"The day before which the data end (${default})."`
}

// Run writes the archive and its truth file.
func (c demoDataCommand) Run(streams Streams) error {
	end, err := time.Parse(time.DateOnly, c.End)
	if err != nil {
		return fmt.Errorf("--end: %w", err)
	}
	truth, err := demo.Write(c.Dir, demo.Options{Events: c.Events, Days: c.Days, Seed: c.Seed, End: end})
	if err != nil {
		return err
	}
	if err := demo.WriteTruth(demo.TruthFile(c.Dir), truth); err != nil {
		return err
	}
	_, err = fmt.Fprintf(streams.Out, "%s and %s in %s; %s to expect with --from %s\n",
		counted(int64(truth.Events), "event"), counted(int64(truth.Duplicates), "duplicate"),
		counted(int64(truth.Objects), "file"), counted(int64(len(truth.Alerts)), "alert"), instant(truth.RulesFrom))
	return err
}
