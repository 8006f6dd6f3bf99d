package exec

// project keeps of each row what lies at or below paths.
type project struct {
	in    cursor
	paths []string
}

func (p *project) next() (row, bool, error) {
	r, ok, err := p.in.next()
	if !ok || err != nil {
		return row{}, false, err
	}
	return row{e: r.e.Keep(p.paths), owned: true}, true, nil
}

func (p *project) close() error { return p.in.close() }
