package exec

// limit keeps the first rows and closes its input as soon as it has them.
type limit struct {
	in   cursor
	left int
	done bool
}

func (l *limit) next() (row, bool, error) {
	if l.left <= 0 {
		return row{}, false, l.close()
	}
	l.left--
	return l.in.next()
}

func (l *limit) close() error {
	if l.done {
		return nil
	}
	l.done = true
	return l.in.close()
}
