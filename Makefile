# Every target sets up what it needs in .venv, once: again only when pyproject.toml changes, when the checkout
# moves, or when the last set-up was interrupted. The distribution is edgeml-toolkit; a checkout of before it was called
# that is installed as edgeml, and is removed.

SHELL := /bin/sh
.DEFAULT_GOAL := help
# Real targets: what `make target-NAME` sets up in .targets/NAME, once, and tests. It may need root, for apt-get.
TARGETS := aarch64 armv7 micro tflite-runtime litert-gpu webgpu cuda

.PHONY: help demo test test-fast check dist bench targets target-names clean moved $(TARGETS:%=target-%)

# The folder of MLPerf Tiny's models and data, which the benchmarks run.
MLPERF ?= ../shared/mlperf_tiny

PIP := .venv/bin/python -m pip --disable-pip-version-check -qq
PYTHONS := python3.11 python3.12 python3.13 python3
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
READY := .venv/ready
INCOMPLETE := .venv/incomplete

help:
	@echo "make demo    build, check and run a small model"
	@echo "make test    run the tests"
	@echo "make test-fast  run those that are not marked slow, under two minutes on two cores"
	@echo "make check   ruff and mypy"
	@echo "make dist    wheel and sdist into dist/, each tried in an empty environment"
	@echo "make bench   sessions beside raw engines and peers, into benchmarks/results; MLPERF=... names MLPerf Tiny"
	@echo "make targets other processors by emulation, other engines, GPUs in software: set up, and tested"
	@echo "make target-NAME  one of them: $(TARGETS)"
	@echo "make clean   remove what the other targets made, .venv too"
	@echo "PYTHON=...   the Python a new .venv is made with (3.11 to 3.13)"

demo: $(READY)
	@.venv/bin/edgeml demo

test: $(READY)
	@.venv/bin/python -m pytest --numprocesses auto --dist loadfile

test-fast: $(READY)
	@.venv/bin/python -m pytest --numprocesses auto --dist loadfile -m "not slow"

check: $(READY)
	@echo "check: ruff check" && .venv/bin/ruff check .
	@echo "check: ruff format" && .venv/bin/ruff format --check .
	@echo "check: mypy" && .venv/bin/mypy

dist: $(READY)
	@rm -rf build dist *.egg-info
	@echo "dist: building sdist and wheel"
	@log=$$(.venv/bin/python -m build --outdir dist 2>&1) || { echo "$$log"; exit 1; }
	@.venv/bin/python tests/support/try_dist.py dist

bench: $(READY)
	@test -d "$(MLPERF)" || { echo "bench: there is no folder $(MLPERF); name it: make bench MLPERF=..." >&2; exit 1; }
	@$(PIP) install polygraphy
	@set -e; for name in overhead peers throughput cold_start quantization_loss mlperf_tiny_speed; do \
		echo "bench: $$name"; .venv/bin/python benchmarks/$$name.py "$(MLPERF)" --json benchmarks/results/$$name.json; \
	done
	@echo "bench: sklearn_speed"; .venv/bin/python benchmarks/sklearn_speed.py --json benchmarks/results/sklearn_speed.json
	@set -e; for options in eight_threads isolation "sceptic --seconds 2"; do \
		set -- $$options; name=$$1; shift; echo "bench: $$name"; \
		.venv/bin/python benchmarks/$$name.py benchmarks/packages/kws.edgeml "$$@" --json benchmarks/results/$$name.json; \
	done
	@.venv/bin/python benchmarks/page.py

targets: $(TARGETS:%=target-%)

target-names:
	@echo $(TARGETS)

$(TARGETS:%=target-%): target-%: $(READY)
	@.venv/bin/python tests/support/target_environments.py $*
	@.venv/bin/python -m pytest -q -rs -s tests/runtimes/test_real_targets.py -k '$(subst -,_,$*)'

clean:
	rm -rf .venv .targets build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The file `ready` names the checkout: a copied or moved .venv would run the code of the old place.
ifneq ($(shell cat $(READY) 2>/dev/null),$(CURDIR))
$(READY): moved
endif

# While `incomplete` exists a set-up is under way, or was interrupted and starts afresh.
$(READY): pyproject.toml
	@set -e; \
	if test -e $(INCOMPLETE) || ! .venv/bin/python -c '$(FITS)' 2>/dev/null || ! $(PIP) --version >/dev/null 2>&1; \
	then \
		python=; bare=; \
		for candidate in $(PYTHON) $(PYTHONS); do \
			if ! "$$candidate" -c '$(FITS)' >/dev/null 2>&1; then \
				test "$$candidate" != "$(PYTHON)" || \
					echo "set-up: $(PYTHON) does not run as Python 3.11 to 3.13, trying others"; \
			elif ! "$$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
				bare="$$bare $$candidate"; \
			else \
				python=$$candidate; break; \
			fi; \
		done; \
		if test -z "$$python" && test -n "$$bare"; then \
			echo "set-up:$$bare cannot make environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; \
			exit 1; \
		elif test -z "$$python"; then \
			echo "set-up: no Python 3.11 to 3.13 found; install one, or name it: make PYTHON=/path/to/python3.11" >&2; \
			exit 1; \
		fi; \
		echo "set-up: making .venv with $$("$$python" --version) ($$python)"; \
		rm -rf .venv; mkdir .venv; touch $(INCOMPLETE); \
		"$$python" -m venv .venv; \
	fi; \
	touch $(INCOMPLETE); rm -f $(READY); \
	echo "set-up: installing edgeml with [all,dev] into .venv (about 2 GB, a minute or more)"; \
	$(PIP) uninstall -y edgeml 2>/dev/null; rm -rf edgeml.egg-info; \
	$(PIP) install -e '.[all,dev]'; \
	.venv/bin/python -m compileall -q edgeml converters runtimes; \
	echo "$(CURDIR)" > $(READY); \
	rm $(INCOMPLETE)
