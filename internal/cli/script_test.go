package cli_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tocsin-sec/tocsin/internal/cli"
	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/demo"
	"github.com/tocsin-sec/tocsin/internal/event"
)

// TestMain makes tocsin a command of the scripts: the test binary started under that name, a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tocsin": func() { os.Exit(cli.Main()) }})
}

// TestScript runs the scenarios in testdata/script. Besides the usual commands they have those of scriptCommands.
func TestScript(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join(root, "testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                scriptCommands,
		Condition: func(name string) (bool, error) {
			if name != "shared" {
				return false, fmt.Errorf("there is no condition %q", name)
			}
			_, err := os.Stat(corpus.Root())
			return err == nil, nil
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("DEMO", filepath.Join(root, "testdata", "cloudtrail"))
			env.Setenv("RULES", filepath.Join(root, "rules"))
			env.Setenv("SHARED", corpus.Root())
			return nil // temporary files go to $WORK/.tmp
		},
	})
}

var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	// code N PROGRAM ARG… runs a program that must end with the exit code N.
	"code": func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < 2 {
			ts.Fatalf("usage: code N program arg…")
		}
		want, err := strconv.Atoi(args[0])
		ts.Check(err)
		got := 0
		var exit *exec.ExitError
		if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
			got = exit.ExitCode()
		} else {
			ts.Check(err)
		}
		if got != want {
			ts.Fatalf("exit code %d, expected %d", got, want)
		}
	},
	// trail FILE 'TIME WHO ACTION'… writes CloudTrail records; a FILE that ends in .gz is packed.
	"trail": func(ts *testscript.TestScript, neg bool, args []string) {
		content := []byte(records(filepath.Base(args[0]), args[1:]...))
		if strings.HasSuffix(args[0], ".gz") {
			content = packed(content)
		}
		write(ts, args[0], content)
	},
	// pack FROM TO writes FROM packed with gzip.
	"pack": func(ts *testscript.TestScript, neg bool, args []string) {
		write(ts, args[1], packed([]byte(ts.ReadFile(args[0]))))
	},
	// shorten FILE N takes N bytes from the end of a file.
	"shorten": func(ts *testscript.TestScript, neg bool, args []string) {
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		content := ts.ReadFile(args[0])
		write(ts, args[0], []byte(content[:len(content)-n]))
	},
	// hostile KIND FILE writes a file of the kind: see hostile.
	"hostile": func(ts *testscript.TestScript, neg bool, args []string) {
		f, err := os.Create(ts.MkAbs(args[1]))
		ts.Check(err)
		ts.Check(hostile(args[0], f))
		ts.Check(f.Close())
	},
	// values FILE N BETWEEN FORMAT puts N values in place of {values} in a file.
	"values": func(ts *testscript.TestScript, neg bool, args []string) {
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf(args[3], i)
		}
		write(ts, args[0], []byte(strings.ReplaceAll(ts.ReadFile(args[0]), "{values}", strings.Join(list, args[2]))))
	},
	// keys FILE prints the keys of a JSON object, nested ones with dots, in order.
	"keys": func(ts *testscript.TestScript, neg bool, args []string) {
		dec := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
		ts.Check(printKeys(ts.Stdout(), dec, ""))
	},
	// truth FILE REPORT checks the alerts that the last command printed, and the account, against the truth of the archive.
	"truth": func(ts *testscript.TestScript, neg bool, args []string) {
		var truth demo.Truth
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &truth))
		var want, got []string
		for _, a := range truth.Alerts {
			want = append(want, fmt.Sprintf("%s %s %s from %s", a.RuleID, a.EventID, a.Time.Format("2006-01-02T15:04:05.000Z"), a.SourceIP))
		}
		for line := range strings.Lines(ts.ReadFile("stdout")) {
			a, err := event.ParseJSON([]byte(line))
			ts.Check(err)
			got = append(got, fmt.Sprintf("%s %s %s from %s", a.Member("kibana.alert.rule.rule_id").Str(), a.At("tocsin", "alert", "evidence_id").Str(),
				a.Member("kibana.alert.original_time").Str(), a.At("source", "ip").Str()))
		}
		if diff := cmp.Diff(want, got); diff != "" || len(want) == 0 {
			ts.Fatalf("%d alerts are true; truth against scan:\n%s", len(want), diff)
		}
		report, err := event.ParseJSON([]byte(ts.ReadFile(args[1])))
		ts.Check(err)
		events := report.Member("events")
		if events.Member("stored").Int() != int64(truth.Events) || events.Member("duplicate").Int() != int64(truth.Duplicates) ||
			report.At("files", "read").Int() != int64(truth.Objects) || report.Member("alerts").Int() != int64(len(truth.Alerts)) {
			ts.Fatalf("the account differs from the truth: %s", report.AppendJSON(nil))
		}
	},
	// lines N checks that the last command printed N lines.
	"lines": func(ts *testscript.TestScript, neg bool, args []string) {
		want, err := strconv.Atoi(args[0])
		ts.Check(err)
		if got := strings.Count(ts.ReadFile("stdout"), "\n"); got != want {
			ts.Fatalf("%d lines on standard output, expected %d", got, want)
		}
	},
	// empty DIR checks that nothing is in a folder.
	"empty": func(ts *testscript.TestScript, neg bool, args []string) {
		found, err := os.ReadDir(ts.MkAbs(args[0]))
		ts.Check(err)
		if len(found) > 0 {
			ts.Fatalf("%s holds %s", args[0], found[0].Name())
		}
	},
}

func write(ts *testscript.TestScript, name string, content []byte) {
	ts.Check(os.MkdirAll(filepath.Dir(ts.MkAbs(name)), 0o777))
	ts.Check(os.WriteFile(ts.MkAbs(name), content, 0o666))
}

func packed(content []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(content)
	w.Close()
	return b.Bytes()
}

// records is a CloudTrail file with one record for each "TIME WHO ACTION".
func records(name string, events ...string) string {
	var out []string
	for i, e := range events {
		part := strings.Fields(e)
		out = append(out, record(fmt.Sprintf("%s-%d", name, i), part[0], part[1], part[2]))
	}
	return `{"Records":[` + strings.Join(out, ",") + "]}"
}

// record is a record of a user who asks STS for something.
func record(id, at, who, action string) string {
	return fmt.Sprintf(`{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","principalId":"AIDA%[3]s",`+
		`"arn":"arn:aws:iam::111122223333:user/%[3]s","accountId":"111122223333","userName":"%[3]s"},"eventTime":"%[2]s",`+
		`"eventSource":"sts.amazonaws.com","eventName":"%[4]s","awsRegion":"us-east-1","sourceIPAddress":"198.51.100.7",`+
		`"userAgent":"aws-cli/2.15.30","requestParameters":null,"responseElements":null,"eventID":"%[1]s","eventType":"AwsApiCall",`+
		`"recipientAccountId":"111122223333"}`, id, at, who, action)
}

// hostile writes content that is meant to hurt.
func hostile(kind string, w io.Writer) error {
	filler := bytes.Repeat([]byte{' '}, 1<<20)
	switch kind {
	case "bomb-record": // packed, one record of more than 16 MiB
		z := gzip.NewWriter(w)
		io.WriteString(z, `{"Records":[`+record("before", "2026-03-01T00:00:00Z", "alice", "GetCallerIdentity")+`,{"eventName":"`)
		for range 64 {
			z.Write(bytes.ReplaceAll(filler, []byte(" "), []byte("A")))
		}
		return z.Close()
	case "bomb-blank": // packed, nothing but white space after the first record
		z := gzip.NewWriter(w)
		io.WriteString(z, `{"Records":[`+record("before", "2026-03-01T00:00:00Z", "alice", "GetCallerIdentity")+`,`)
		for range 128 {
			z.Write(filler)
		}
		return z.Close()
	case "deep": // nested 10,000 times, in a record and as a file
		record := strings.TrimSuffix(record("deep", "2026-03-01T00:00:00Z", "alice", "GetCallerIdentity"), "}")
		_, err := io.WriteString(w, `{"Records":[`+record+`,"requestParameters":`+strings.Repeat(`{"a":`, 10_000)+"1"+strings.Repeat("}", 10_000)+`}]}`)
		return err
	case "deeper":
		_, err := io.WriteString(w, strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000))
		return err
	case "invalid-utf8":
		_, err := io.WriteString(w, `{"Records":[`+record("invalid", "2026-03-01T00:00:00Z", "al\xff\xfeice", "GetCallerIdentity")+`]}`)
		return err
	}
	return fmt.Errorf("there is no hostile content called %q", kind)
}

// printKeys prints the keys of the object that dec stands before, and of those in it.
func printKeys(w io.Writer, dec *json.Decoder, prefix string) error {
	if _, err := dec.Token(); err != nil {
		return err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		path := prefix + fmt.Sprint(key)
		fmt.Fprintln(w, path)
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		if value[0] == '{' {
			if err := printKeys(w, json.NewDecoder(bytes.NewReader(value)), path+"."); err != nil {
				return err
			}
		}
	}
	return nil
}
