package enrich_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/enrich"
	"github.com/tocsin-sec/tocsin/internal/event"
)

const milton = `source.as.number=209
source.geo.city_name="Milton"
source.geo.continent_name="North America"
source.geo.country_iso_code="US"
source.geo.country_name="United States"
source.geo.location.lat=47.2513
source.geo.location.lon=-122.3149
source.geo.region_iso_code="US-WA"
source.geo.region_name="Washington"
`

// folder returns a new folder with the named databases.
func folder(t *testing.T, names ...string) string {
	t.Helper()
	from, to := corpus.Dir(t, "data/geo"), t.TempDir()
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func TestGeo(t *testing.T) {
	f := func(dir, address, want string) {
		t.Helper()
		geo, err := enrich.OpenGeo(dir)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // looked up, then remembered
			e := &event.Event{}
			e.SetString("source.ip", address)
			e.SetString("source.address", address)
			geo.Enrich(e)
			if got := below(e, "source.geo.", "source.as."); got != want {
				t.Errorf("%s: got\n%swant\n%s", address, got, want)
			}
			if e.Text("source.address") != address {
				t.Errorf("%s: source.address is now %q", address, e.Text("source.address"))
			}
		}
		if err := geo.Close(); err != nil {
			t.Error(err)
		}
	}
	all := corpus.Dir(t, "data/geo")
	f(all, "216.160.83.56", milton)
	f(all, "::ffff:216.160.83.56", milton)
	f(all, "10.1.2.3", "")
	f(all, "fe80::1%eth0", "")
	f(all, "sts.amazonaws.com", "")
	f(all, "", "")
	_, places, _ := strings.Cut(milton, "\n")
	f(folder(t, "GeoLite2-City-Test.mmdb"), "216.160.83.56", places)
	f(folder(t, "GeoLite2-ASN-Test.mmdb"), "216.160.83.56", "source.as.number=209\n")
	// An IPv6 address whose record has no more than a country and its middle.
	f(all, "2001:218::1", `source.geo.continent_name="Asia"
source.geo.country_iso_code="JP"
source.geo.country_name="Japan"
source.geo.location.lat=35.68536
source.geo.location.lon=139.75309
`)
}

func TestOpenGeoErrors(t *testing.T) {
	f := func(dir, want string) {
		t.Helper()
		geo, err := enrich.OpenGeo(dir)
		if err == nil {
			geo.Close()
			t.Fatalf("%s: no error, expected %q", dir, want)
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, expected %q", dir, err, want)
		}
	}
	f(filepath.Join(t.TempDir(), "absent"), "no such file or directory")
	f(t.TempDir(), "no *.mmdb in ")
	broken := folder(t, "GeoLite2-City-Test.mmdb")
	if err := os.WriteFile(filepath.Join(broken, "z.mmdb"), []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	f(broken, "z.mmdb")
}

// TestGeoDamaged flips bytes all over a database: no lookup may panic, and one that fails is told by Close.
func TestGeoDamaged(t *testing.T) {
	dir := folder(t, "GeoLite2-City-Test.mmdb")
	name := filepath.Join(dir, "GeoLite2-City-Test.mmdb")
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	opened, told := 0, 0
	for seed := range 200 {
		bad := append([]byte(nil), good...)
		for i := range 40 {
			bad[(seed*7919+i*547)%(len(bad)-4096)] ^= byte(1 + seed%255)
		}
		if err := os.WriteFile(name, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		geo, err := enrich.OpenGeo(dir)
		if err != nil {
			continue
		}
		opened++
		for _, address := range []string{"216.160.83.56", "81.2.69.144", "89.160.20.156", "67.43.156.15", "2001:218::1"} {
			e := &event.Event{}
			e.SetString("source.ip", address)
			geo.Enrich(e)
		}
		if geo.Close() != nil {
			told++
		}
	}
	if opened < 100 || told < 10 {
		t.Errorf("%d damaged databases could be opened, %d told of it: the damage does not reach the lookups", opened, told)
	}
}

func TestGeoConcurrent(t *testing.T) {
	geo, err := enrich.OpenGeo(corpus.Dir(t, "data/geo"))
	if err != nil {
		t.Fatal(err)
	}
	defer geo.Close()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 200 {
				e := &event.Event{}
				e.SetString("source.ip", "216.160.83.56")
				geo.Enrich(e)
				if got := below(e, "source.geo.", "source.as."); got != milton {
					t.Errorf("got\n%s", got)
				}
			}
		})
	}
	group.Wait()
}

func BenchmarkGeo(b *testing.B) {
	geo, err := enrich.OpenGeo(corpus.Dir(b, "data/geo"))
	if err != nil {
		b.Fatal(err)
	}
	defer geo.Close()
	e := &event.Event{}
	e.SetString("source.ip", "216.160.83.56")
	for b.Loop() {
		geo.Enrich(e)
	}
}
