# Everything a newcomer needs: make demo, make test.
SHELL := bash
TOOLS := $(CURDIR)/.tools
LINT := $(TOOLS)/golangci-lint-2.15.0
FUZZTIME ?= 60s

.PHONY: demo test build lint fuzz e2e bench generate plugin plugin-all test-plugin check-go check-gcc check-node web e2e-console
.DEFAULT_GOAL := build

PAGES := internal/console/dist/index.html
NODE := $(shell node -e 'const [a, b] = process.versions.node.split("."); process.stdout.write(a > 20 || (a == 20 && b >= 19) ? "yes" : "")' 2>/dev/null)

build: check-go check-gcc $(PAGES) ## the program: bin/oriel
	go build -o bin/oriel ./cmd/oriel

web: $(PAGES) ## the console's pages, which go into the program

ifeq ($(NODE),yes)
$(PAGES): web/node_modules/.package-lock.json web/index.html web/vite.config.ts $(shell find web/src web/public -type f)
	cd web && npm run --silent build -- --logLevel warn
	@touch $@

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	cd web && npm ci --no-audit --no-fund --loglevel error
	@touch $@
else
.PHONY: $(PAGES)
$(PAGES):
	@echo "Node 20.19 or newer is missing: the program is built without its pages"
endif

demo: build ## run it on traffic that it makes itself
	bin/oriel demo $(DEMOFLAGS)

test: check-go check-gcc $(PAGES) ## unit, golden, script and rule tests, with the race detector
	go test -race ./...
	@if [ -n "$(NODE)" ]; then cd web && npm test --silent; elif [ -n "$$CI" ]; then echo "Node is missing" && exit 1; fi
	cd grafana/plugin && go test ./...
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory test-plugin; elif [ "$(CI)" = true ]; then echo "Node is missing"; exit 1; else echo "Node is missing: the plug-in's front-end was not tested"; fi

test-plugin: grafana/plugin/node_modules
	cd grafana/plugin && npm run --silent typecheck && npm run --silent compat && npm test --silent

grafana/plugin/node_modules: grafana/plugin/package-lock.json
	cd grafana/plugin && npm ci --ignore-scripts --no-audit --no-fund && touch node_modules

# The back-end tells its version: to Oriel as its user agent, to Grafana's operator in its log.
PLUGIN_BUILD = CGO_ENABLED=0 go build -ldflags "-s -w -X 'github.com/grafana/grafana-plugin-sdk-go/build/buildinfo.buildInfoJSON={\"pluginID\":\"oriel-sql-datasource\",\"version\":\"$$(node -p 'require("./package.json").version')\"}'"
PLUGIN_OS := linux darwin windows
PLUGIN_ARCH := amd64 arm64

plugin: check-go check-node grafana/plugin/node_modules ## the data source plug-in for this machine: grafana/plugin/dist
	cd grafana/plugin && node build.mjs
	cd grafana/plugin && $(PLUGIN_BUILD) -o dist/gpx_oriel_$$(go env GOOS)_$$(go env GOARCH)$$(go env GOEXE) ./pkg

plugin-all: plugin ## for all platforms, packed as Grafana wants it: bin/oriel-sql-datasource.zip
	cd grafana/plugin && for os in $(PLUGIN_OS); do for arch in $(PLUGIN_ARCH); do \
		GOOS=$$os GOARCH=$$arch $(PLUGIN_BUILD) -o dist/gpx_oriel_$${os}_$${arch}$$([ $$os = windows ] && echo .exe) ./pkg || exit 1; done; done
	rm -rf bin/oriel-sql-datasource bin/oriel-sql-datasource.zip && mkdir -p bin && cp -r grafana/plugin/dist bin/oriel-sql-datasource
	cd grafana/plugin && go run ./pack ../../bin/oriel-sql-datasource ../../bin/oriel-sql-datasource.zip

generate: check-go ## docs/reference, from the program
	go test ./internal/app -run TestReference -count=1 -update

lint: check-go $(LINT)
	$(LINT) run ./...
	cd e2e && $(LINT) run --config ../.golangci.yml ./...
	cd grafana/plugin && $(LINT) run --config ../../.golangci.yml ./pkg/... ./pack/...
	@if [ -n "$(NODE)" ]; then $(MAKE) --no-print-directory web && cd web && npm run --silent check && npm run --silent licenses; fi

$(LINT):
	GOBIN=$(TOOLS) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
	mv $(TOOLS)/golangci-lint $@

fuzz: check-go ## each fuzz test for FUZZTIME (default 60s)
	@FUZZTIME=$(FUZZTIME) ./.ci/fuzz

e2e: check-go ## against real WireGuard devices, Prometheus, promtool, amtool, InfluxDB, Telegraf, an S3 server and Chromium; installs them on Debian
	./.ci/packages wireguard-go wireguard-tools iproute2 iputils-ping nftables curl prometheus prometheus-alertmanager influxdb stunnel4 openssl haproxy prometheus-blackbox-exporter systemd chromium
	[ -x $(TOOLS)/influxd-1.8 ] || { GOBIN=$(TOOLS) go install github.com/influxdata/influxdb/cmd/influxd@v1.8.10 && mv $(TOOLS)/influxd $(TOOLS)/influxd-1.8; }
	[ -x $(TOOLS)/telegraf ] || GOBIN=$(TOOLS) go install -tags custom,inputs.wireguard,outputs.influxdb,outputs.prometheus_client github.com/influxdata/telegraf/cmd/telegraf@v1.39.0
	[ -x $(TOOLS)/versitygw ] || GOBIN=$(TOOLS) go install github.com/versity/versitygw/cmd/versitygw@v1.8.0
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory grafana/plugin/node_modules; fi
	cd e2e && PATH=$(TOOLS):$$PATH CI=$(CI) go test -timeout 20m ./...
	$(MAKE) e2e-console

e2e-console: build ## the console in Chromium; screenshots in web/e2e/shots
	cd web && CI=$(CI) npm run --silent e2e

bench: check-go ## speed and memory beside the peers; takes some minutes
	cd bench && go run .

check-go:
	@command -v go >/dev/null || { echo "Go is missing: https://go.dev/dl (1.26 or newer)"; exit 1; }

check-node:
	@command -v npm >/dev/null || { echo "Node is missing (20 or newer): https://nodejs.org, or apt-get install nodejs npm"; exit 1; }

check-gcc:
	@command -v gcc >/dev/null || { echo "gcc is missing (DuckDB and the race detector need it): apt-get install gcc, or your system's compiler package"; exit 1; }
