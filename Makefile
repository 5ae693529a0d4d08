# Everything starts here: `make` lists what there is. Needs Python 3.11 or newer, and make; the rest is installed into .venv.

PYTHON ?= python3
BIN    := .venv/bin
STAMP  := .venv/.ready
DATA   ?=
PYTEST ?=
BENCH  ?=

# One announced step: its name, then how long it took, or that it failed.
define step
@printf '\n== %s\n' '$(1)'; start=$$(date +%s); $(2) || { printf '== %s FAILED after %s s\n' '$(1)' "$$(($$(date +%s) - start))"; exit 1; }; \
printf '== %s: ok, %s s\n' '$(1)' "$$(($$(date +%s) - start))"
endef

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench clean

help:  ## this list
	@printf 'cxreco: make TARGET\n\n'
	@sed -n 's/^\([a-z]*\):.*## /  \1|/p' Makefile | awk -F'|' '{ printf "%-10s %s\n", $$1, $$2 }'

setup: $(STAMP)  ## .venv with everything in it, as locked in uv.lock (the targets below do it by themselves)

$(STAMP): uv.lock pyproject.toml .ci/setup
	@PYTHON='$(PYTHON)' sh .ci/setup
	@touch $(STAMP)

demo: $(STAMP)  ## the whole loop on a simulated shop, or on a real log: make demo DATA=path/to/online_retail.csv.gz
	@$(BIN)/cxreco demo $(if $(DATA),--data '$(DATA)')

lint: $(STAMP)  ## format, ruff, mypy --strict, import rules
	$(call step,format,$(BIN)/ruff format --check)
	$(call step,ruff,$(BIN)/ruff check)
	$(call step,mypy --strict,$(BIN)/mypy)
	$(call step,import rules,$(BIN)/lint-imports)

test: lint  ## lint, then every test: make test PYTEST='-k replay'
	$(call step,pytest,$(BIN)/pytest --numprocesses 2 --dist loadfile --durations 10 $(PYTEST))

bench: $(STAMP)  ## the comparisons under benchmarks/: make bench BENCH=name for one of them
	@$(BIN)/cxreco bench $(BENCH)

clean:  ## away with caches and built archives; .venv and workspaces stay
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .numba_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
