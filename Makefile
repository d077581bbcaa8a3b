# The few commands of the project. Nothing is needed before them but a clone, and root or sudo for
# the Debian packages that are missing. Each is a script in scripts/ or a CMake preset.

JOBS ?= $(shell nproc)
export JOBS

.DEFAULT_GOAL := help
.PHONY: help demo test lab build format fuzz nightly bench clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## install what is missing, build, and run a whole mesh on this machine
	scripts/setup.sh --build
	cmake --preset release
	cmake --build --preset release --target quicmesh --parallel $(JOBS)
	build/release/bin/quicmesh demo

test: ## install what is missing, check, build with sanitizers and run every test
	scripts/test.sh

lab: ## the whole NAT laboratory, as root; REPEATS=10 for the published table
	scripts/lab.sh

build: ## the release build of everything, in build/release/bin
	cmake --preset release
	cmake --build --preset release --parallel $(JOBS)

format: ## lay out the tracked sources with clang-format-19
	python3 -B tools/check_format.py --fix

fuzz: ## each fuzz target for FUZZ_SECONDS (60), two at once
	scripts/fuzz.sh

nightly: ## what takes hours: tests over and over, long fuzzing, benchmarks
	scripts/nightly.sh

bench: ## every benchmark, in bench-results/
	scripts/bench.sh

clean: ## remove all that was built
	rm -rf build
