# Tocsin's tasks. `make demo` and `make test` work in a fresh clone with git, make, Go, gcc and g++.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := build
MAKEFLAGS   += --no-print-directory

GO          ?= go
BIN         := bin/tocsin
# The bundled data ends 2026-03-20T00:00:00Z and holds 20 days: 15 of history, 5 to run the rules over.
DEMO_FROM   := 2026-03-15T00:00:00Z
DEMO_DATA   := testdata/cloudtrail
BENCH_EVENTS ?= 200000
# The embedded DuckDB is a static C++ library, so every binary is linked with cgo.
export CGO_ENABLED := 1

.PHONY: build demo test test-opensearch conformance lint vuln generate demo-data picture bench bench-rules bench-sequences clean

build:
	@[ -e $(BIN) ] || echo 'building $(BIN); the first time takes a minute or two' >&2
	$(GO) build -trimpath -o $(BIN) ./cmd/tocsin

# demo succeeds when the scan ends with code 1, "alerts found": code 0 would mean that nothing was caught.
demo: build
	@code=0; $(BIN) scan --from $(DEMO_FROM) $(DEMO_DATA) || code=$$?
	if [ $$code -ne 1 ]; then echo "demo: the scan ended with code $$code, expected 1 (alerts found)" >&2; exit 1; fi

# RANDOM_PLANS is how many random plans hold each engine to the reference engine; go test alone runs fewer.
RANDOM_PLANS ?= 20000

test: lint
	@TOCSIN_RANDOM_PLANS=$(RANDOM_PLANS) $(GO) test -timeout 14m ./...

conformance:
	@.ci/conformance

# test-opensearch starts a real OpenSearch (a JDK 21 or newer, maven, unzip, curl), runs the tests that need one, and stops it.
test-opensearch:
	@.ci/opensearch

lint:
	@unformatted=$$("$$($(GO) env GOROOT)/bin/gofmt" -l cmd internal rules *.go)
	if [ -n "$$unformatted" ]; then printf 'not gofmt-ed:\n%s\n' "$$unformatted" >&2; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

# vuln is not part of test: the database of vulnerabilities is not reachable everywhere.
vuln:
	@command -v govulncheck >/dev/null || { echo 'vuln: govulncheck is not installed: go install golang.org/x/vuln/cmd/govulncheck@latest' >&2; exit 1; }
	govulncheck ./...

generate:
	@$(GO) generate ./...

# demo-data writes the bundled CloudTrail archive and its truth file anew; a test holds the committed files equal to it.
demo-data:
	@$(GO) test -count=1 ./internal/demo -run '^TestBundled' -update

# picture draws docs/scan.svg, the picture of the README, from what a scan really prints.
picture:
	@$(GO) test -count=1 ./internal/cli -run '^TestPicture$$' -update

# bench measures on generated events: docs/bench.md says what each line means. BENCH_JSON=FILE keeps figures to compare.
bench: build
	@$(BIN) bench --events $(BENCH_EVENTS) $(if $(BENCH_JSON),--json '$(BENCH_JSON)')

# bench-rules runs every rule of a folder over generated events, and prints what each took (docs/bench.md).
bench-rules: build
	@$(BIN) bench-rules --events $(BENCH_EVENTS) $(if $(RULES),--rules '$(RULES)')

# bench-sequences finds sequences in a million events of 100,000 keys, and holds time and memory to their bars.
bench-sequences: build
	@$(BIN) bench-sequences

clean:
	@rm -rf bin dist
