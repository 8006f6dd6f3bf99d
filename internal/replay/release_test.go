package replay

import (
	"cmp"
	"errors"
	"testing"
)

// A window that is run again and again ends: less must be left each time.
func TestDrain(t *testing.T) {
	errLost, errEndless := errors.New("lost"), errors.New("it goes on for ever")
	// left is what is left after each run, each of which makes as many as it may.
	f := func(n int, all bool, left []int, fails error, wantRuns int, want error) {
		t.Helper()
		l, runs := &leftOut{Alerts: 100}, 0
		_, err := l.drain(n, all, func(n int) (int, error) {
			if runs++; runs > len(left) {
				return 0, cmp.Or(fails, errEndless)
			}
			l.Alerts = left[runs-1]
			l.done = l.Alerts == 0
			return n, nil
		})
		if runs != wantRuns || !errors.Is(err, want) {
			t.Errorf("%d runs, %v, want %d, %v", runs, err, wantRuns, want)
		}
	}
	f(10, true, []int{90, 80, 0}, nil, 3, nil)
	f(10, true, []int{120, 110, 0}, nil, 3, nil) // more than was thought
	f(10, true, []int{90, 90, 0}, nil, 2, errStuck)
	f(10, true, []int{90, 95, 0}, nil, 2, errStuck)
	f(10, true, []int{90}, errLost, 2, errLost)
	f(10, false, []int{90, 80, 0}, nil, 1, nil)
	f(10, false, []int{0}, nil, 1, nil)

	// Runs that make nothing do not go on for ever either.
	l, runs := &leftOut{Alerts: 5}, 0
	if made, err := l.drain(3, false, func(int) (int, error) {
		if runs++; runs > 9 {
			return 0, errEndless
		}
		return 0, nil
	}); made != 0 || !errors.Is(err, errStuck) {
		t.Errorf("%d made, %v", made, err)
	}
}
