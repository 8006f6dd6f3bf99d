//go:build unix

package bench

import (
	"syscall"
	"time"
)

// ProcessorTime is what this process has used of all processors so far: unlike the time that passes, it hardly depends on
// what else the machine does. 0 where the system does not tell.
func ProcessorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
