# SPDX-License-Identifier: GPL-2.0-only
# `make run` judges the bundled series; `make test` checks this project. Both install what they need.

# The kernel tree under test: the distribution's source package where it has one.
RELEASE ?= v6.12.117
TREE ?= $(if $(wildcard /usr/src/linux-source-6.12.tar.xz),debian,$(RELEASE))
SERIES ?= patches
# More options for pytest, such as PYTEST_ARGS="-n 2 -k vhost".
PYTEST_ARGS ?=

# The long soak: about how long it takes, its seed, and the CPUs of its guests.
SOAK_MINUTES ?= 10
SOAK_SEED ?= random
SOAK_CPUS ?= 4
# What `make test` runs on the lockdep kernel.
LOCKDEP_TESTS := resize_race or vhost_release and tap or soak and read and (1 or 4) \
	or reconfigure and fq_codel and (full or move or delete) or macvtap and 31 and 3 \
	or wake_after_consume and fq_codel and 2 or zerocopy and 16

PYTEST := .venv/bin/pytest
KERNEL = --kernel-tree=$(TREE) --kernel-series=$(SERIES)

help:
	@echo 'make run           judge the bundled series on real kernels, stock against patched'
	@echo 'make test          lint, types, the tests of the plugin, then the series in its default size,'
	@echo '                   and some of it on a kernel with lockdep; its parts are'
	@echo '                   lint, test-plugin, series, test-lockdep, checkpatch'
	@echo 'make test-full     every combination of scenarios, not a covering choice'
	@echo 'make throughput    what the series costs; WALL=tcg measures real time on emulated CPUs, too'
	@echo 'make throughput-full   every row of it'
	@echo 'make trials        try the measuring itself, on kernels that are alike and little apart'
	@echo 'make soak          senders and readers in parallel on small rings, SOAK_MINUTES=10'
	@echo 'make test-debug    the default size on kernels that look for bugs in memory and for races'
	@echo 'make test-mutants  every mutant of the series must be killed by a test'
	@echo 'make test-designs  each fault of the posted designs must show in a test'
	@echo 'make setup         install what is missing, nothing else'
	@echo 'make clean         remove what these made here; the cache folder stays'

setup:
	@tools/setup.sh

# TREE is looked up anew below, since setup may just have installed the source package.
run: setup
	@$(MAKE) --no-print-directory series

series:
	$(PYTEST) tests/series $(KERNEL) $(PYTEST_ARGS)

test: lint test-plugin
	@$(MAKE) --no-print-directory series test-lockdep checkpatch

lint: setup
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

test-plugin: setup
	$(PYTEST) tests/plugin tests/model

# The tree's own checkpatch, on the patches and on the C that is ours.
checkpatch: setup
	.venv/bin/python tools/checkpatch.py $(TREE)

test-full: setup
	$(PYTEST) tests/series $(KERNEL) --full-matrix $(PYTEST_ARGS)

# What the series costs: instructions everywhere, real time where KVM works; or WALL=tcg, emulated.
WALL ?= auto
WALL_MINUTES ?= 3
throughput: setup
	$(PYTEST) tests/throughput $(KERNEL) --kernel-wall=$(WALL) \
		--kernel-wall-minutes=$(WALL_MINUTES) --kernel-report=report/throughput $(PYTEST_ARGS)

throughput-full: setup
	@$(MAKE) --no-print-directory throughput PYTEST_ARGS="--full-matrix $(PYTEST_ARGS)"

# In the exact lane some instructions more; in real time forty comparisons without a difference, ten
# with one of 10 %: WALL=tcg where KVM does not work.
trials: setup
	.venv/bin/python -m tools.trials $(TREE) --dearer
	.venv/bin/python -m tools.trials $(TREE) --kernel-wall=$(WALL) $(PYTEST_ARGS)

# Small rings, other seeds each time; what the run says of its seed repeats it.
soak: setup
	$(PYTEST) tests/series/test_soak.py $(KERNEL) --kernel-cpus=$(SOAK_CPUS) \
		--soak-minutes=$(SOAK_MINUTES) --soak-seed=$(SOAK_SEED) $(PYTEST_ARGS)

# A kernel that looks for bugs says nothing of cost. Each has a report of its own.
debug-kernel = $(PYTEST) tests/series $(KERNEL) --kernel-config=$(1) --kernel-report=report/$(1) \
	-m 'not throughput' $(2) $(PYTEST_ARGS)

# What takes the locks of the ring and the queue in every way there is.
test-lockdep: setup
	$(call debug-kernel,lockdep,-k '$(LOCKDEP_TESTS)')

# What one of them finds does not keep the other from being asked.
test-debug: setup
	@$(MAKE) -j1 --no-print-directory --keep-going test-on-debug test-on-kcsan

test-on-%:
	$(call debug-kernel,$*)

test-mutants: setup
	.venv/bin/python -m tools.mutants $(TREE) $(MUTANTS) $(PYTEST_ARGS)

test-designs: setup
	.venv/bin/python -m tools.designs $(TREE) $(PYTEST_ARGS)

clean:
	rm -rf report .venv .pytest_cache .mypy_cache .ruff_cache
	$(MAKE) -C kselftests clean

.PHONY: help setup run series test lint test-plugin checkpatch test-full throughput throughput-full soak test-lockdep test-debug \
	test-mutants test-designs trials clean
