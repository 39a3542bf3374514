# The everyday commands; `make` lists them. `make test TESTS='/^views::/'` runs the tests of that name.

.DEFAULT_GOAL := help
.PHONY: help try build lint fix test bed bed-down bench ci

help: ## list these commands
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

try: ## from nothing to one verified load, on this machine
	scripts/quickstart

build: ## the programs with failpoints, as tests use them
	cargo build --locked --workspace --features faults

lint: ## form and lints, without servers
	cargo fmt --all --check
	cargo clippy --quiet --locked --workspace --all-targets -- -D warnings
	cargo clippy --quiet --locked --workspace --all-targets --features faults -- -D warnings

fix: ## put files into form
	cargo fmt --all

test: ## all checks and all tests
	scripts/test $(if $(TESTS),-E 'test($(TESTS))')

bed: ## start servers that stay, and print their environment
	scripts/testbed start --servers 2
	@scripts/testbed env

bed-down: ## remove those servers and their data
	scripts/testbed wipe

bench: ## list the benchmarks
	scripts/bench --help

ci: ## what CI runs
	.ci/run
