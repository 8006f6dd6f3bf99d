// Command tocsin is the detection engine: it scans logs, stores events, runs rules and raises alerts.
package main

import (
	"os"

	"github.com/tocsin-sec/tocsin/internal/cli"
)

func main() { os.Exit(cli.Main()) }
