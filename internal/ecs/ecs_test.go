package ecs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/event"
)

func TestLookup(t *testing.T) {
	f := func(p ecs.Profile, path string, want ecs.Field) {
		t.Helper()
		want.Path = path
		got, ok := p.Lookup(path)
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Errorf("%s: %t (-want +got):\n%s", path, ok, diff)
		}
	}
	const in, fb = ecs.Integration, ecs.Filebeat
	f(in, "@timestamp", ecs.Field{Type: event.Date})
	f(in, "source.ip", ecs.Field{Type: event.IPType})
	f(in, "source.port", ecs.Field{Type: event.Long})
	f(in, "source.geo.location", ecs.Field{Type: event.GeoPoint})
	f(in, "event.ingested", ecs.Field{Type: event.Date})
	f(in, "event.action", ecs.Field{Type: event.Keyword, IgnoreAbove: 1024})
	f(in, "event.category", ecs.Field{Type: event.Keyword, List: true, IgnoreAbove: 1024})
	f(in, "message", ecs.Field{Type: event.Text})
	f(in, "labels", ecs.Field{Type: event.ObjectType})
	f(in, "process.command_line", ecs.Field{Type: event.Wildcard})
	f(in, "process.command_line.text", ecs.Field{Type: event.Text, Of: "process.command_line"})
	f(in, "user.name.text", ecs.Field{Type: event.Text, Of: "user.name"})
	f(in, "dns.answers", ecs.Field{Type: event.ObjectType, List: true})
	f(in, "email.attachments", ecs.Field{Type: event.Nested, List: true})
	f(in, "aws.cloudtrail.error_code", ecs.Field{Type: event.Keyword, IgnoreAbove: 1024})
	f(in, "aws.cloudtrail.flattened.request_parameters", ecs.Field{Type: event.Flattened})
	f(in, "aws.cloudtrail.request_parameters", ecs.Field{Type: event.Keyword, IgnoreAbove: 8191})
	f(in, "aws.cloudtrail.request_parameters.text", ecs.Field{Type: event.Text, Of: "aws.cloudtrail.request_parameters"})
	f(in, "data_stream.dataset", ecs.Field{Type: event.ConstantKeyword})
	f(in, "tocsin.agent.class", ecs.Field{Type: event.Keyword})
	f(in, "kibana.alert.risk_score", ecs.Field{Type: event.Double})
	f(in, "kibana.alert.rule.parameters", ecs.Field{Type: event.Flattened, IgnoreAbove: 4096})
	f(in, "kibana.alert.reason.text", ecs.Field{Type: event.Text, Of: "kibana.alert.reason"})
	f(in, "powershell.file.script_block_text", ecs.Field{Type: event.PatternText})
	// Where the data set and the schema differ the data set wins; the two shippers differ too.
	f(in, "event.module", ecs.Field{Type: event.ConstantKeyword})
	f(fb, "event.module", ecs.Field{Type: event.Keyword, IgnoreAbove: 1024})
	f(in, "event.dataset", ecs.Field{Type: event.ConstantKeyword})
	f(fb, "event.dataset", ecs.Field{Type: event.Keyword, IgnoreAbove: 1024})
	f(in, "aws.cloudtrail.read_only", ecs.Field{Type: event.Boolean})
	f(fb, "aws.cloudtrail.read_only", ecs.Field{Type: event.Keyword, IgnoreAbove: 1024})
	f(fb, "aws.cloudtrail.digest.log_files", ecs.Field{Type: event.Nested, List: true})
	f(fb, "user.name.text", ecs.Field{Type: event.Text, Of: "user.name"})

	for _, path := range []string{"", ".", "user", "user.", "nothing", "aws.cloudtrail.flattened.request_parameters.x", "process.name.caseless"} {
		if got, ok := ecs.Lookup(path); ok {
			t.Errorf("%q is declared: %+v", path, got)
		}
	}
	if _, ok := ecs.Lookup("aws.cloudtrail.digest.log_files"); ok {
		t.Error("the data stream declares a field of Filebeat's")
	}
}

func TestResolve(t *testing.T) {
	f := func(p ecs.Profile, name, want string) {
		t.Helper()
		r, declared := p.Resolve(name)
		got := fmt.Sprintf("%s %s", r.Path, r.Type)
		if r.Flattened != "" {
			got += " in " + r.Flattened
		}
		if !declared {
			got += " ?"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	const in, fb = ecs.Integration, ecs.Filebeat
	f(in, "source.ip", "source.ip ip")
	f(in, "user.name.text", "user.name text")
	f(in, "process.command_line.text", "process.command_line text")
	f(in, "process.name.caseless", "process.name keyword_lowercase")
	f(in, "process.command_line.caseless", "process.command_line keyword_lowercase")
	f(in, "data_stream.dataset.caseless", "data_stream.dataset keyword_lowercase")
	f(in, "source.ip.caseless", "source.ip.caseless keyword ?")
	f(in, "user.name.text.caseless", "user.name.text.caseless keyword ?")
	f(in, "nothing.caseless", "nothing.caseless keyword ?")
	f(in, "caseless", "caseless keyword ?")
	f(in, ".caseless", ".caseless keyword ?")

	const params = "aws.cloudtrail.flattened.request_parameters"
	f(in, params, params+" flattened in "+params)
	f(in, params+".bucketName", params+".bucketName flattened in "+params)
	f(in, params+".a.b.c", params+".a.b.c flattened in "+params)
	f(in, params+".name.text", params+".name.text flattened in "+params)
	f(in, params+".name.caseless", params+".name.caseless flattened in "+params)
	f(in, params+"_x", params+"_x keyword ?")
	f(in, "aws.cloudtrail.flattened.insight_details.state", "aws.cloudtrail.flattened.insight_details.state flattened in aws.cloudtrail.flattened.insight_details")
	f(fb, "aws.cloudtrail.insight_details.state", "aws.cloudtrail.insight_details.state flattened in aws.cloudtrail.insight_details")
	f(in, "aws.cloudtrail.insight_details.state", "aws.cloudtrail.insight_details.state keyword ?")
	f(in, "kibana.alert.rule.parameters.query", "kibana.alert.rule.parameters.query flattened in kibana.alert.rule.parameters")

	f(in, "labels.team", "labels.team keyword")
	f(in, "container.labels.app.kubernetes.io/name", "container.labels.app.kubernetes.io/name keyword")
	f(in, "labels", "labels object")
	f(in, "user.entity.raw.a.b", "user.entity.raw.a.b keyword")
	f(fb, "aws.cloudtrail.digest.log_files.s3Object", "aws.cloudtrail.digest.log_files.s3Object keyword")
	f(in, "email.attachments.nothing", "email.attachments.nothing keyword ?")
	f(in, "source.geo.location", "source.geo.location geo_point")
	f(in, "source.geo.location.lat", "source.geo.location.lat double")
	f(in, "source.geo.location.lon", "source.geo.location.lon double")
	f(in, "source.geo.location.alt", "source.geo.location.alt keyword ?")

	// Objects on the way to fields, declared or not.
	f(in, "user", "user object")
	f(in, "aws.cloudtrail", "aws.cloudtrail object")
	f(in, "aws.cloudtrail.user_identity.session_context", "aws.cloudtrail.user_identity.session_context object")
	f(in, "aws.cloudtrail.flattened", "aws.cloudtrail.flattened object")
	f(in, "kibana.alert.rule", "kibana.alert.rule object")
	f(in, "kibana.alert.rule.threat", "kibana.alert.rule.threat object")
	f(in, "kibana.alert.rule.threat.technique", "kibana.alert.rule.threat.technique object")
	f(in, "kibana.alert.rule.threat.technique.subtechnique.id", "kibana.alert.rule.threat.technique.subtechnique.id keyword")
	f(in, "kibana.alert.rule.actions.params", "kibana.alert.rule.actions.params keyword")
	f(in, "dns.answers", "dns.answers object")
	f(in, "email.attachments", "email.attachments nested")
	f(in, "email.attachments.file.name", "email.attachments.file.name keyword")

	f(in, "okta.actor.id", "okta.actor.id keyword ?")
	f(in, "user.nothing", "user.nothing keyword ?")
	f(in, "", " keyword ?")
	f(in, "...", "... keyword ?")
	f(in, strings.Repeat("a.", 10_000), strings.Repeat("a.", 10_000)+" keyword ?")
	f(in, "aws.cloudtrail.read_only", "aws.cloudtrail.read_only boolean")
	f(fb, "aws.cloudtrail.read_only", "aws.cloudtrail.read_only keyword")
}

func TestCatalogueIsSound(t *testing.T) {
	for _, p := range []ecs.Profile{ecs.Integration, ecs.Filebeat} {
		n, multi, last := 0, 0, ""
		for f := range p.Fields() {
			n++
			if f.Path <= last {
				t.Errorf("%s follows %s", f.Path, last)
			}
			last = f.Path
			if got, ok := p.Lookup(f.Path); !ok || got != f {
				t.Errorf("%s: Lookup gives %+v", f.Path, got)
			}
			r, ok := p.Resolve(f.Path)
			if !ok || r.Type != f.Type {
				t.Errorf("%s: Resolve gives %+v", f.Path, r)
			}
			if p.Flattened(f.Path) != (f.Type == event.Flattened) {
				t.Errorf("%s: Flattened is %t", f.Path, p.Flattened(f.Path))
			}
			if f.Of == "" {
				continue
			}
			multi++
			of, ok := p.Lookup(f.Of)
			if !ok || of.Of != "" || !of.Type.IsKeyword() && !of.Type.IsText() || !f.Type.IsText() {
				t.Errorf("%s: a %s that reads %s, a %s", f.Path, f.Type, f.Of, of.Type)
			}
		}
		if n < 2500 || multi < 100 {
			t.Errorf("%d fields, %d of them multi-fields: the catalogue is not whole", n, multi)
		}
	}
	for range ecs.Fields() {
		break // a loop that ends early
	}
}

func TestNoAllocation(t *testing.T) {
	ecs.Lookup("user.name")
	if n := testing.AllocsPerRun(100, func() {
		ecs.Lookup("aws.cloudtrail.user_identity.arn")
		ecs.Resolve("aws.cloudtrail.flattened.request_parameters.bucketName")
		ecs.Resolve("process.name.caseless")
		ecs.Resolve("nothing.of.this.kind")
	}); n != 0 {
		t.Errorf("four look-ups allocate %v times", n)
	}
}

func BenchmarkResolve(b *testing.B) {
	for b.Loop() {
		ecs.Resolve("aws.cloudtrail.user_identity.session_context.session_issuer.arn")
	}
}
