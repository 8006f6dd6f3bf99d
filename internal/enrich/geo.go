package enrich

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// Geo knows where addresses are and whose network they belong to, from MaxMind databases.
type Geo struct {
	places   []*maxminddb.Reader // City, Country or Enterprise databases
	networks []*maxminddb.Reader // ASN or ISP databases
	known    cache[netip.Addr, []event.Field]

	mu     sync.Mutex
	failed error // the first lookup that failed
}

// place is what is read from a record of a City, Country or Enterprise database.
type place struct {
	Continent named `maxminddb:"continent"`
	Country   named `maxminddb:"country"`
	// Subdivisions go from the widest to the narrowest.
	Subdivisions []named `maxminddb:"subdivisions"`
	City         named   `maxminddb:"city"`
	Location     struct {
		Latitude  *float64 `maxminddb:"latitude"`
		Longitude *float64 `maxminddb:"longitude"`
	} `maxminddb:"location"`
}

type named struct {
	ISO   string `maxminddb:"iso_code"`
	Names struct {
		English string `maxminddb:"en"`
	} `maxminddb:"names"`
}

// network is what is read from a record of an ASN or ISP database.
type network struct {
	Number       int64  `maxminddb:"autonomous_system_number"`
	Organization string `maxminddb:"autonomous_system_organization"`
}

// OpenGeo opens every *.mmdb in dir and uses those that its metadata calls a City, Country, Enterprise, ASN or ISP
// database. Where several tell the same, an address is looked up in the one that was built last, and in the next (builds
// of the same second by name) where that does not know it. A file that is no such database, or a dir that holds none of
// use, is an error. The files must not be written to while they are open.
func OpenGeo(dir string) (*Geo, error) {
	// ReadDir, not Glob: a Glob takes an unreadable dir, or one whose name holds a bracket, for an empty one.
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open geo databases: %w", err)
	}
	g := &Geo{}
	var others []string
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) != ".mmdb" {
			continue
		}
		name := filepath.Join(dir, entry.Name())
		db, err := maxminddb.Open(name)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open geo database %s: %w", name, err), g.Close())
		}
		switch kind := db.Metadata.DatabaseType; {
		case contains(kind, "City", "Country", "Enterprise"):
			g.places = append(g.places, db)
		case contains(kind, "ASN", "ISP"):
			g.networks = append(g.networks, db)
		default:
			others = append(others, kind)
			if err := db.Close(); err != nil {
				return nil, errors.Join(fmt.Errorf("close geo database %s: %w", name, err), g.Close())
			}
		}
	}
	if g.places == nil && g.networks == nil {
		if others != nil {
			return nil, fmt.Errorf("open geo databases: none in %s tells places or networks, only %s", dir, strings.Join(others, ", "))
		}
		return nil, fmt.Errorf("open geo databases: no *.mmdb in %s", dir)
	}
	for _, dbs := range [][]*maxminddb.Reader{g.places, g.networks} {
		slices.SortStableFunc(dbs, func(a, b *maxminddb.Reader) int {
			return cmp.Compare(b.Metadata.BuildEpoch, a.Metadata.BuildEpoch)
		})
	}
	return g, nil
}

func contains(s string, parts ...string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(s, part) })
}

// Enrich adds source.geo.* and source.as.* to an event with a source.ip that the databases know. It is safe for
// concurrent use.
func (g *Geo) Enrich(e *event.Event) {
	text := e.Text("source.ip")
	if text == "" {
		return
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return
	}
	// An IPv4 address written as IPv6 is looked up as what it is; a zone means nothing elsewhere.
	address = address.Unmap().WithZone("")
	fields, known := g.known.get(address)
	if !known {
		fields = g.lookUp(address)
		g.known.put(address, fields)
	}
	for _, f := range fields {
		e.Set(f.Path, f.Value)
	}
}

// lookUp returns what the databases say about address.
func (g *Geo) lookUp(address netip.Addr) []event.Field {
	var fields []event.Field
	set := func(path string, v event.Value) { fields = append(fields, event.Field{Path: path, Value: v}) }
	text := func(path, s string) {
		if s != "" {
			set(path, event.String(s))
		}
	}
	var p place
	if g.decode(g.places, address, &p) {
		text("source.geo.continent_name", p.Continent.Names.English)
		text("source.geo.country_iso_code", p.Country.ISO)
		text("source.geo.country_name", p.Country.Names.English)
		if n := len(p.Subdivisions); n > 0 {
			narrowest := p.Subdivisions[n-1]
			text("source.geo.region_name", narrowest.Names.English)
			if p.Country.ISO != "" && narrowest.ISO != "" {
				text("source.geo.region_iso_code", p.Country.ISO+"-"+narrowest.ISO)
			}
		}
		text("source.geo.city_name", p.City.Names.English)
		if lat, lon := p.Location.Latitude, p.Location.Longitude; lat != nil && lon != nil {
			set("source.geo.location.lat", event.Float(*lat))
			set("source.geo.location.lon", event.Float(*lon))
		}
	}
	var n network
	if g.decode(g.networks, address, &n) {
		if n.Number > 0 {
			set("source.as.number", event.Int(n.Number))
		}
		text("source.as.organization.name", n.Organization)
	}
	return fields
}

// decode reads the record of address into v from the first of dbs that has one.
func (g *Geo) decode(dbs []*maxminddb.Reader, address netip.Addr, v any) bool {
	for _, db := range dbs {
		if address.Is6() && db.Metadata.IPVersion == 4 {
			continue // looking such an address up is an error
		}
		result := db.Lookup(address)
		err := result.Err()
		if err == nil && !result.Found() {
			continue
		}
		if err == nil {
			err = result.Decode(v)
		}
		if err == nil {
			return true
		}
		g.mu.Lock()
		if g.failed == nil {
			g.failed = fmt.Errorf("look up %s in %s: %w", address, db.Metadata.DatabaseType, err)
		}
		g.mu.Unlock()
		return false
	}
	return false
}

// Close closes the databases; Enrich must not be running. It returns the first lookup that failed as well: a damaged
// database adds nothing to an event, and ends no load.
func (g *Geo) Close() error {
	err := g.failed
	for _, db := range slices.Concat(g.places, g.networks) {
		err = errors.Join(err, db.Close())
	}
	return err
}
