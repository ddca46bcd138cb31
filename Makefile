# Everything a newcomer needs: make demo, make test.
SHELL := bash
TOOLS := $(CURDIR)/.tools
LINT := $(TOOLS)/golangci-lint-2.15.0
FUZZTIME ?= 60s

.PHONY: demo test build lint fuzz e2e bench generate check-go check-gcc
.DEFAULT_GOAL := build

build: check-go check-gcc ## the program: bin/oriel
	go build -o bin/oriel ./cmd/oriel

demo: build ## run it on traffic that it makes itself
	bin/oriel demo $(DEMOFLAGS)

test: check-go check-gcc ## unit, golden, script and rule tests, with the race detector
	go test -race ./...

lint: check-go $(LINT)
	$(LINT) run ./...
	cd e2e && $(LINT) run --config ../.golangci.yml ./...

$(LINT):
	GOBIN=$(TOOLS) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
	mv $(TOOLS)/golangci-lint $@

fuzz: check-go ## each fuzz test for FUZZTIME (default 60s)
	@FUZZTIME=$(FUZZTIME) ./.ci/fuzz

e2e: check-go ## against real WireGuard devices, Prometheus, promtool, amtool and InfluxDB; installs them on Debian
	./.ci/packages wireguard-go wireguard-tools iproute2 iputils-ping curl prometheus prometheus-alertmanager prometheus-blackbox-exporter influxdb stunnel4 haproxy systemd openssl
	[ -x $(TOOLS)/influxd-1.8 ] || { GOBIN=$(TOOLS) go install github.com/influxdata/influxdb/cmd/influxd@v1.8.10 && mv $(TOOLS)/influxd $(TOOLS)/influxd-1.8; }
	cd e2e && PATH=$(TOOLS):$$PATH CI=$(CI) go test -timeout 20m ./...

bench: check-go ## speed and memory beside the peers; takes some minutes
	cd bench && go run .

check-go:
	@command -v go >/dev/null || { echo "Go is missing: https://go.dev/dl (1.26 or newer)"; exit 1; }

check-gcc:
	@command -v gcc >/dev/null || { echo "gcc is missing (DuckDB and the race detector need it): apt-get install gcc, or your system's compiler package"; exit 1; }
