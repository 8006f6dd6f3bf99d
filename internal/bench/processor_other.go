//go:build !unix

package bench

import "time"

// ProcessorTime is 0: this system does not tell.
func ProcessorTime() time.Duration { return 0 }
