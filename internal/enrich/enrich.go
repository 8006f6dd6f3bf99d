// Package enrich adds to an event what its record does not say but its fields tell: the place and the network of a
// source address (Geo), and what program a user agent stands for (Agent).
//
// Each enricher is a func(*event.Event) that is safe for concurrent use, remembers what it looked up, and leaves an event
// alone that it knows nothing about. It asks no network service and reads no clock: databases are files that the caller
// names, expressions come with the binary.
//
//	geo, err := enrich.OpenGeo("/usr/share/GeoIP")
//	agent := enrich.NewAgent()
//	loader := ingest.New(db, set, []ingest.Enricher{geo.Enrich, agent.Enrich}, opt)
//	…
//	err = geo.Close()
package enrich

import "sync"

// cacheEntries is how many answers one generation of a cache holds.
const cacheEntries = 4096

// cache remembers at most 2 × cacheEntries answers, those asked for last among them. When the young generation is full it
// becomes the old one, and what stood there is forgotten: a flood of different keys costs no more than that. It is safe
// for concurrent use; the zero cache is ready.
type cache[K comparable, V any] struct {
	mu         sync.RWMutex
	young, old map[K]V
}

// get returns the answer for key; false when it is not remembered.
func (c *cache[K, V]) get(key K) (V, bool) {
	c.mu.RLock()
	v, found := c.young[key]
	aged := false
	if !found {
		v, aged = c.old[key]
	}
	c.mu.RUnlock()
	if aged {
		c.put(key, v)
	}
	return v, found || aged
}

// put remembers v as the answer for key.
func (c *cache[K, V]) put(key K, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= cacheEntries {
		c.old, c.young = c.young, nil
	}
	if c.young == nil {
		c.young = make(map[K]V)
	}
	c.young[key] = v
}
