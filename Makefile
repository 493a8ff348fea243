# Two commands matter: `make run` and `make test`. Both set themselves up; only Python 3.11+ and make must be there.

PROFILE ?= demo
SEED ?= 1
LINES ?= 25000
SEEDS ?= 20
ACTUALS ?= 1000000
ARGS ?=

# The first of these that is a working Python 3.11 or newer; `make PYTHON=...` overrides.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

VENV := .venv
PY := $(VENV)/bin/python
# Named after what they install, so that an unchanged lock installs nothing and a changed one always does.
INSTALLED := $(VENV)/installed-$(shell cat requirements.lock pyproject.toml | cksum | cut -d' ' -f1)
LINT_INSTALLED := $(VENV)/lint-installed-$(shell cksum < requirements-dev.lock | cut -d' ' -f1)
# The browser of `make test-browser`; left out, it is looked for, and installed where that can be done.
CHROMIUM ?=
DLT := $(VENV)/dlt
DATACOMPY := $(VENV)/datacompy
DLT_INSTALLED := $(DLT)/installed-$(shell cksum < tests/clients/dlt.lock | cut -d' ' -f1)
DATACOMPY_INSTALLED := $(DATACOMPY)/installed-$(shell cksum < tests/clients/datacompy.lock | cut -d' ' -f1)
# Files are dealt to two workers; tests/conftest.py says in which order.
SPREAD := -n 2 --dist loadfile --no-loadscope-reorder
PYTEST := $(PY) -m pytest $(SPREAD)
COVERAGE := $(PY) -m coverage
# Where `make coverage` measures; absolute, for some tests start commands in other folders.
MEASURED := $(CURDIR)/build/coverage
PIP_INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check

# Where it is set, every process compiles all of Airflow again and start-up takes several times as long.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test test-quick test-slow test-all test-browser test-postgres coverage fuzz dlt datacompy score bench bench-night bench-sandbox lint fmt bench-invoice clean

help: ## show this list
	@echo "make TARGET, where TARGET is one of"
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '%-15s %s\n' "$$name" "$$text"; done

run: $(INSTALLED) ## sandbox and Airflow here, two working days and their way around, then serve until Ctrl-C (ONCE=1 ends after it; PLAY=days EACH=1 PROFILE=demo|small SEED=1)
	@exec $(PY) -m dualsync_demo --profile $(PROFILE) --seed $(SEED) $(if $(ONCE),--once) $(if $(PLAY),--play $(PLAY)) $(if $(EACH),--each)

test: $(INSTALLED) ## all tests but the slowest, offline, on two cores (ARGS="-k name" for a part)
	@exec $(PYTEST) -m "not slow" $(ARGS)

test-quick: $(INSTALLED) ## unit tests but those of the sandbox and of the recorded week: what to run after every change
	@exec $(PYTEST) -m "not slow" tests/unit --ignore=tests/unit/sandbox \
		--ignore=tests/unit/library/sync/test_recorded_week.py $(ARGS)

test-slow: $(INSTALLED) ## the slowest tests alone, which `make test` leaves out
	@exec $(PYTEST) -m slow $(ARGS)

test-all: test test-slow test-browser test-postgres dlt datacompy ## all there is: the tests, the slowest, the browser, PostgreSQL, other clients

test-browser: $(LINT_INSTALLED) ## the pages in the Airflow UI, in a headless Chromium (CHROMIUM=path)
	@CHROMIUM="$(CHROMIUM)" exec tests/with_chromium $(PY) -m pytest tests/browser $(ARGS)

test-postgres: $(LINT_INSTALLED) ## the ledger and its pages in a PostgreSQL of their own, on a socket (or in that of POSTGRES_URL)
	@exec tests/with_postgres $(PY) -m pytest tests/unit/library/ledger \
		tests/integration/test_pages_shown.py tests/integration/test_pages_access.py $(ARGS)

coverage: $(INSTALLED) ## lines and branches that the unit tests run, and that all tests run, by package; fails below what it was
	@rm -rf $(MEASURED) && mkdir -p $(MEASURED)
	@COVERAGE_FILE=$(MEASURED)/unit $(COVERAGE) run -m pytest $(SPREAD) tests/unit
	@COVERAGE_FILE=$(MEASURED)/rest $(COVERAGE) run -m pytest $(SPREAD) --ignore=tests/unit
	@for part in unit rest; do $(COVERAGE) combine -q --data-file=$(MEASURED)/$$part $(MEASURED)/$$part.* || exit 1; done
	@$(COVERAGE) combine -q --keep --data-file=$(MEASURED)/all $(MEASURED)/unit $(MEASURED)/rest
	@for part in unit all; do \
		$(COVERAGE) json -q --fail-under=0 --data-file=$(MEASURED)/$$part -o $(MEASURED)/$$part.json || exit 1; done
	@PYTHONPATH=tests $(PY) -m support.coverage_table $(MEASURED)/unit.json $(MEASURED)/all.json
	@$(COVERAGE) report --data-file=$(MEASURED)/all --format=total > /dev/null || \
		{ echo "Fewer lines and branches are run than pyproject.toml asks for." >&2; exit 1; }

fuzz: $(INSTALLED) ## the sandbox against thousands of examples made by chance (ARGS="-k filters" for a part)
	@exec $(PY) -m pytest -n 2 --hypothesis-profile=fuzz -k "fuzz or properties" tests/contract $(ARGS)

dlt: $(INSTALLED) $(DLT_INSTALLED) ## dlt, in an environment of its own, reads the sandbox
	@DLT_PYTHON=$(abspath $(DLT)/bin/python) exec $(PY) -m pytest tests/clients/test_dlt.py $(ARGS)

datacompy: $(INSTALLED) $(DATACOMPY_INSTALLED) ## datacompy, in an environment of its own, compares the frames that we compare
	@DATACOMPY_PYTHON=$(abspath $(DATACOMPY)/bin/python) exec $(PY) -m pytest tests/clients/test_datacompy.py $(ARGS)

score: $(INSTALLED) ## planted breaks and look-alikes, and what a night reports of them: 100 % or it fails (SEEDS=20)
	@PYTHONPATH=tests exec $(PY) benchmarks/score.py --seeds $(SEEDS) $(ARGS)

bench: $(INSTALLED) ## time and memory of the comparison of a million and of five million rows
	@exec $(PY) benchmarks/diff.py $(ARGS)

bench-night: $(INSTALLED) ## time and memory of a whole night over many actuals (ACTUALS=1000000)
	@PYTHONPATH=tests exec $(PY) benchmarks/night.py --actuals $(ACTUALS) $(ARGS)

bench-sandbox: $(INSTALLED) ## how quick the sandbox is: a million rows read, a hundred thousand upserted (ARGS="--rows 200000")
	@exec $(PY) benchmarks/sandbox_dataverse.py $(ARGS)

lint: $(LINT_INSTALLED) ## ruff, mypy, the layers of the library, and whether generated pages fit the code
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(PY) -m mypy
	@$(PY) docs/build_rules.py --check
	@$(PY) docs/build_messages.py --check
	@$(PY) docs/build_commands.py --check
	@$(PY) docs/build_evidence.py --check
	@$(VENV)/bin/lint-imports --no-cache --config pyproject.toml > /dev/null || $(VENV)/bin/lint-imports --no-cache --config pyproject.toml

fmt: $(LINT_INSTALLED) ## format the code, mend what ruff can mend
	@$(VENV)/bin/ruff check --fix-only .
	@$(VENV)/bin/ruff format .

bench-invoice: $(INSTALLED) ## time and memory of a long proforma invoice, from Dataverse to its proposal (LINES=25000)
	@PYTHONPATH=tests exec $(PY) benchmarks/long_invoice.py --lines $(LINES)

clean: ## remove all that was made here: virtual environment, runs, sandbox data, caches
	rm -rf $(VENV) .dualsync .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED):
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and none was found. On Debian: apt install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than Python 3.11. On Debian: apt install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv module. On Debian: apt install python3-venv" >&2; exit 1; }
	@echo "Installing into $(VENV) (a minute or more) ..."
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PIP_INSTALL) --require-hashes -r requirements.lock
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/installed-*
	@touch $@

$(LINT_INSTALLED): $(INSTALLED)
	@echo "Installing the lint tools into $(VENV) ..."
	@$(PIP_INSTALL) --require-hashes -r requirements-dev.lock
	@rm -f $(VENV)/lint-installed-*
	@touch $@

$(DLT_INSTALLED): | $(INSTALLED)
	@echo "Installing dlt into $(DLT) ..."
	@rm -rf $(DLT)
	@$(PYTHON) -m venv $(DLT)
	@$(DLT)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/clients/dlt.lock
	@touch $@

$(DATACOMPY_INSTALLED): | $(INSTALLED)
	@echo "Installing datacompy into $(DATACOMPY) ..."
	@rm -rf $(DATACOMPY)
	@$(PYTHON) -m venv $(DATACOMPY)
	@$(DATACOMPY)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/clients/datacompy.lock
	@touch $@
