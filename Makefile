# Everything there is to do, one line each. `make` alone prints it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup check test attack-doors demo bench bench-errors bench-knowledge bench-sandbox bench-traps fmt lint doc image clean

CARGO ?= cargo

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | while IFS=$$'\t' read -r name what; do printf '  make %-15s %s\n' "$$name" "$$what"; done

setup: ## make this machine ready: packages, Docker engine, NATS, PostgreSQL, embedder (skips what is there)
	@scripts/setup.sh

check: lint ## the quick round, no server needed: format, lints, unit tests, architecture
	$(CARGO) test --quiet --lib --test architecture

test: setup lint doc image ## everything, with real NATS, PostgreSQL and Odoo sandboxes
	$(CARGO) test --lib --bins --test architecture
	$(CARGO) test --doc
	$(CARGO) test --test integration -- --test-threads=2
	target/debug/odoo-agent bench traps --at-most $(TRAPS)

# How many of the traps and twins `make test` tries; all of them take about half an hour.
TRAPS ?= 24

# How long each of the attacks on the doors goes on, in seconds.
ATTACK ?= 600

attack-doors: setup ## hostile values for every route and a hostile owner of the addons folder, ten minutes each
	ATTACK_SECONDS=$(ATTACK) $(CARGO) test --lib hostile_owner -- --nocapture
	ATTACK_SECONDS=$(ATTACK) ATTACK_SEED=$${ATTACK_SEED:-$$RANDOM} $(CARGO) test --test integration hostile:: -- --test-threads=1 --nocapture

demo: setup ## from an error in a log to a proven fix, on this machine
	$(CARGO) build
	@python3 scripts/demo.py

bench: ## measure: reading logs, a proof in the sandbox (builds the release)
	$(CARGO) run --quiet --release -- bench

bench-errors: setup ## measure: what is read out of the probes' logs, and how many are mended without a key; written to docs/benchmarks.md (5 minutes)
	$(CARGO) build --release
	target/release/odoo-agent bench errors --write docs/benchmarks.md --labelled src/knowledge/labelled_cases.csv

# A folder of queries with known answers, past_errors.jsonl, and prepare.py, which makes the tree that they are about. Without it only made-up texts are measured.
RETRIEVAL ?= $(wildcard ../shared/retrieval)

bench-knowledge: setup ## measure: how well and how fast the knowledge base finds; written to docs/benchmarks.md (with RETRIEVAL=DIR also its queries; 30 minutes)
	$(CARGO) build --release
	options=$$(scripts/bench-sources.sh "$(RETRIEVAL)") && target/release/odoo-agent bench knowledge --chunks 20000 $$options --write docs/benchmarks.md

bench-sandbox: setup ## measure: verifying real addons beside a naive run and the floor; written to docs/benchmarks.md (20 minutes)
	$(CARGO) build --release
	options=$$(scripts/bench-addons.sh) && target/release/odoo-agent bench sandbox $$options --write docs/benchmarks.md

bench-traps: setup ## measure: cases in which the obvious answer is wrong, and their twins in which it is right; written to docs/benchmarks.md (30 minutes)
	$(CARGO) build --release
	target/release/odoo-agent bench traps --write docs/benchmarks.md --labelled src/knowledge/labelled_cases.csv

fmt: ## format the sources
	$(CARGO) fmt

lint: ## format and lints, as CI sees them
	$(CARGO) fmt --check
	$(CARGO) clippy --quiet --all-targets -- -D warnings

doc: ## build the documentation; a broken link fails
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --quiet --no-deps --document-private-items

image: ## build the sandbox image, unless it is there (some minutes the first time)
	$(CARGO) build
	@target/debug/odoo-agent image

clean: ## remove what was built; the runtime, the images and the data stay
	$(CARGO) clean
