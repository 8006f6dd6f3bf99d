package duck

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// docID names a stored document.
type docID struct {
	segmentKey
	id string
}

// sumOf is the beginning of the SHA-256 of an event's source: two events with the same ID and sum are the same.
func sumOf(source []byte) uint64 {
	sum := sha256.Sum256(source)
	return binary.LittleEndian.Uint64(sum[:8])
}

// hashOf is the hash by which the ID of an event is looked up; never 0. Few of those found are of another ID.
func hashOf(id string) uint32 { return max(uint32(xxh3.HashString(id)), 1) }

// incoming is an event of a change as it is looked up.
type incoming struct {
	stored
	key segmentKey
}

// addEvents adds the events of c to n, but for duplicates. What is stored already is found by a join of the segments of
// the day with the new IDs, or with their hashes where an ID is no UUID.
func (s *Store) addEvents(ctx context.Context, w *conn, n *commit, c *store.Change) error {
	if len(c.Events) == 0 {
		return nil
	}
	in := make([]incoming, len(c.Events))
	ids := map[segmentKey][]string{}
	for i, e := range c.Events {
		ms, ok := timeOf(e, "@timestamp")
		if !ok || e.Stream == "" || e.ID == "" {
			return fmt.Errorf("apply event %d: event %q of stream %q has no @timestamp, stream or ID", i, e.ID, e.Stream)
		}
		key := segmentKey{s.number(n, e.Stream), dayOf(ms)}
		in[i] = incoming{stored{e: e, id: e.ID, hash: hashOf(e.ID), sum: sumOf(e.Source.Data), ms: ms}, key}
		ids[key] = append(ids[key], e.ID)
	}
	known := map[docID]uint64{}
	if err := s.lookUp(ctx, w, ids, known); err != nil {
		return err
	}
	// Conflicts are looked up under their second ID. Which events conflict depends on the order alone.
	if second := s.secondIDs(in, known); len(second) > 0 {
		if err := s.lookUp(ctx, w, second, known); err != nil {
			return err
		}
	}
	for i := range in {
		if err := s.addEvent(ctx, w, n, in[i], known); err != nil {
			return fmt.Errorf("apply event %d: %w", i, err)
		}
	}
	return nil
}

// secondIDs returns the conflict IDs of all events whose own ID is taken by one with another source.
func (s *Store) secondIDs(in []incoming, known map[docID]uint64) map[segmentKey][]string {
	second := map[segmentKey][]string{}
	first := map[docID]uint64{}
	for _, e := range in {
		id := docID{e.key, e.id}
		sum, taken := known[id]
		if !taken {
			sum, taken = first[id]
		}
		switch {
		case !taken:
			first[id] = e.sum
		case sum != e.sum:
			other := docID{e.key, store.ConflictID(e.id, e.e.Source.Data)}
			second[e.key] = append(second[e.key], other.id)
			if _, taken := first[other]; !taken {
				first[other] = e.sum
			}
		}
	}
	return second
}

// addEvent adds e to n, unless known has it.
func (s *Store) addEvent(ctx context.Context, w *conn, n *commit, e incoming, known map[docID]uint64) error {
	id, conflict := docID{e.key, e.id}, false
	for {
		sum, taken := known[id]
		if !taken {
			break
		}
		if sum == e.sum {
			n.Duplicates++
			return nil
		}
		id.id = store.ConflictID(id.id, e.e.Source.Data)
		if conflict { // somebody gave an event of theirs the conflict ID of another: that has not been looked up
			if err := s.lookUp(ctx, w, map[segmentKey][]string{e.key: {id.id}}, known); err != nil {
				return err
			}
		}
		conflict = true
	}
	known[id] = e.sum
	n.Stored++
	if conflict {
		n.Conflicts++
		e.id, e.hash = id.id, hashOf(id.id)
	}
	s.add(n, e.key, e.stored)
	return nil
}

// inlineIDs is the number of IDs up to which a look-up writes them into its statement.
const inlineIDs = 200

// lookAtOnce is how many look-ups one statement holds. DuckDB takes memory for each at once: 50 of them took 256 MB.
const lookAtOnce = 8

// lookUp puts into known the stored documents that have the IDs, among those of the same stream and day, and perhaps
// others.
func (s *Store) lookUp(ctx context.Context, w *conn, ids map[segmentKey][]string, known map[docID]uint64) error {
	cat := s.catalog.Load()
	total := 0
	for key, all := range ids {
		total += len(all) * len(cat.of(key.stream, key.day))
	}
	if total == 0 {
		return nil
	}
	staged := total > inlineIDs
	if staged {
		if err := s.stageIDs(ctx, w, ids); err != nil {
			return err
		}
	}
	var look []string
	for key, all := range ids {
		hashes, uuids := "SELECT hash FROM temp.main.stage_hash", "SELECT id FROM temp.main.stage_uuid"
		if !staged {
			hashes, uuids = literals(all)
		}
		for _, g := range cat.of(key.stream, key.day) {
			from := fmt.Sprintf("SELECT %d::INTEGER, %d::INTEGER, %s, sum FROM %s WHERE ", key.stream, key.day, g.layout.id(), g.table())
			look = append(look, from+"hash IN ("+hashes+")")
			if own := g.layout.ownID; own >= 0 && uuids != "" {
				look = append(look, from+g.layout.name(own)+" IN ("+uuids+")")
			}
		}
	}
	for len(look) > 0 {
		n := min(len(look), lookAtOnce)
		err := w.each(ctx, strings.Join(look[:n], " UNION ALL "), func(cols []vector, rows int) error {
			for i := range rows {
				id := docID{segmentKey{cols[0].int32(i), store.Day(cols[1].int32(i))}, cols[2].str(i)}
				known[id] = at[uint64](&cols[3], i)
			}
			return nil
		})
		if err != nil {
			return err
		}
		look = look[n:]
	}
	if !staged {
		return nil
	}
	for _, table := range []string{"stage_hash", "stage_uuid"} {
		if err := w.exec(ctx, "DELETE FROM temp.main."+table); err != nil {
			return err
		}
	}
	return nil
}

// literals writes the hashes of IDs, and those of them that are UUIDs.
func literals(ids []string) (hashes, uuids string) {
	var h, u []string
	for _, id := range ids {
		h = append(h, fmt.Sprint(hashOf(id)))
		if _, ok := parseUUID(id); ok {
			u = append(u, "'"+id+"'::UUID")
		}
	}
	return strings.Join(h, ","), strings.Join(u, ",")
}

func (s *Store) stageIDs(ctx context.Context, w *conn, ids map[segmentKey][]string) error {
	hashes, err := w.appendTo("temp", "stage_hash", []columnType{typeUint})
	if err != nil {
		return err
	}
	defer hashes.close()
	uuids, err := w.appendTo("temp", "stage_uuid", []columnType{typeUUID})
	if err != nil {
		return err
	}
	defer uuids.close()
	for _, all := range ids {
		for _, id := range all {
			hashes.uint32(0, hashOf(id))
			if err := hashes.next(); err != nil {
				return err
			}
			u, ok := parseUUID(id)
			if !ok {
				continue
			}
			uuids.huge(0, u)
			if err := uuids.next(); err != nil {
				return err
			}
		}
	}
	if err := hashes.flush(); err != nil {
		return err
	}
	return uuids.flush()
}

// addAlerts adds the alerts whose IDs are not known to n.
func (s *Store) addAlerts(ctx context.Context, w *conn, n *commit, alerts []*event.Event) error {
	if len(alerts) == 0 {
		return nil
	}
	for i, e := range alerts {
		if _, ok := timeOf(e, "@timestamp"); !ok || e.ID == "" {
			return fmt.Errorf("apply alert %d: alert %q has no @timestamp or ID", i, e.ID)
		}
	}
	known, err := s.knownAlerts(ctx, w, alerts)
	if err != nil {
		return err
	}
	a, err := w.appendTo(catalogName, "alert", []columnType{typeBlob, typeInteger})
	if err != nil {
		return err
	}
	defer a.close()
	for _, e := range alerts {
		if known[e.ID] {
			continue
		}
		known[e.ID] = true
		n.NewAlerts = append(n.NewAlerts, e.ID)
		ms, _ := timeOf(e, "@timestamp")
		key := segmentKey{s.number(n, store.AlertStream), dayOf(ms)}
		s.add(n, key, stored{e: e, id: e.ID, ms: ms})
		a.text(0, e.ID)
		a.int32(1, int32(key.day))
		if err := a.next(); err != nil {
			return err
		}
	}
	return a.flush()
}

func (s *Store) knownAlerts(ctx context.Context, w *conn, alerts []*event.Event) (map[string]bool, error) {
	ids, err := w.appendTo("temp", "stage_id", []columnType{typeBlob})
	if err != nil {
		return nil, err
	}
	defer ids.close()
	for _, e := range alerts {
		ids.text(0, e.ID)
		if err := ids.next(); err != nil {
			return nil, err
		}
	}
	if err := ids.flush(); err != nil {
		return nil, err
	}
	known := map[string]bool{}
	err = w.each(ctx, "SELECT id FROM alert WHERE id IN (SELECT id FROM temp.main.stage_id)", func(cols []vector, rows int) error {
		for i := range rows {
			known[cols[0].str(i)] = true
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return known, w.exec(ctx, "DELETE FROM temp.main.stage_id")
}
