# AEGIS needs Python 3.11+, pip and make; the rest is installed here, from locked and hashed requirements.
#
#   make up      install, migrate, load the demo, start; Ctrl-C stops   (make up PORT=8001 for another port)
#   make test    the tests, on SQLite
#
# Everything lands in .tools (uv), .venv (packages) and var (data). Nothing else on the machine is touched.

PYTHON ?= python3
PORT   ?= 8000
JOBS   ?= 2

export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
# pip refuses some system Pythons outright; into a folder of our own it may.
export PIP_BREAK_SYSTEM_PACKAGES := 1
export PIP_ROOT_USER_ACTION := ignore
export PIP_DISABLE_PIP_VERSION_CHECK := 1

UV      := .tools/bin/uv
BIN     := .venv/bin
PY      := $(BIN)/python
# worksteal: neighbours stay together, and share what they stand on (tests.support.copies)
PYTEST  := $(PY) -m pytest -n $(JOBS) --dist worksteal
COMPILE := $(UV) pip compile --universal --generate-hashes --no-emit-index-url --python-version 3.11 --quiet
LOCKS   := requirements/uv.txt requirements/core.txt requirements/server.txt requirements/otel.txt requirements/dev.txt

# Where `make test-postgres` goes: a server that lets this role create databases, and a Redis database of its own.
TEST_DATABASE_URL ?= postgresql://postgres@127.0.0.1:5432/aegis
TEST_REDIS_URL    ?= redis://127.0.0.1:6379/9

# What `make torture` runs: a part of the whole, on a database, for so long at most.
PART              ?= 1/20
DATABASE          ?= sqlite
MINUTES           ?= 30
TORTURE_REDIS_URL ?= redis://127.0.0.1:6379/10

# A drill runs on SQLite, or on the server of the tests.
ON_DATABASE = $(if $(filter postgres,$(DATABASE)),AEGIS_DATABASE_URL=$(TEST_DATABASE_URL) AEGIS_REDIS_URL=$(TORTURE_REDIS_URL))

.PHONY: tamper permissions permissions-holes permissions-table bench bench-calls bench-pages up install samples test test-postgres test-browser test-faults test-storms torture torture-table simulate generated fuzz masking shared-data separation races hijack drills-table lint locks clean help

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  \1\t/' | expand -t 18

up: .venv/.core ## install what is missing, load the demo, start AEGIS on PORT
	@echo "Starting AEGIS ..."
	@exec $(PY) manage.py serve --demo --port $(PORT)

install: .venv/.core ## install only

samples: .venv/.core ## the samples of WORKFLOW with what its agents answer now, as YAML (AS=a person who may start it)
	@$(PY) manage.py aegis dry-run $(WORKFLOW) --capture --as $(AS)

test: .venv/.dev ## the tests that need nothing but this folder
	$(PYTEST) -m "not postgres and not browser and not faults and not permissions" $(ARGS)

test-postgres: .venv/.dev ## the same and the races, on PostgreSQL and Redis
	AEGIS_DATABASE_URL=$(TEST_DATABASE_URL) AEGIS_REDIS_URL=$(TEST_REDIS_URL) $(PYTEST) -m "not browser and not faults and not permissions" $(ARGS)

test-browser: .venv/.dev ## the pages in Chromium (Debian: apt-get install chromium)
	$(PY) -m pytest -m browser $(ARGS)

test-faults: .venv/.dev ## kills real processes
	$(PY) -m pytest -m "faults and not postgres and not browser" $(ARGS)

test-storms: .venv/.dev ## storms of every fault and the planted bugs, with real processes (DATABASE_URL as test-postgres; minutes)
	AEGIS_STORMS=1 AEGIS_REDIS_URL=$(TORTURE_REDIS_URL) AEGIS_DATABASE_URL=$(TEST_DATABASE_URL) $(PY) -m pytest tests/faults -m faults -s $(ARGS)

torture: .venv/.dev ## the full counts of faults, one part of many (PART=3/20 DATABASE=postgres MINUTES=30)
	TEST_DATABASE_URL=$(TEST_DATABASE_URL) TEST_REDIS_URL=$(TORTURE_REDIS_URL) \
	  $(PY) -m tests.torture.run --part $(PART) --database $(DATABASE) --minutes $(MINUTES) $(ARGS)

tamper: .venv/.dev ## 1,000 forgeries on copies of a journal, one part of many (PART=1/20 DATABASE=postgres)
	$(ON_DATABASE) $(PY) -m tests.tamper.run --part $(if $(filter command,$(origin PART)),$(PART),1/1) $(ARGS)

torture-table: .venv/.dev ## what the parts found, into docs/torture.md
	$(PY) -m tests.torture.table

simulate: .venv/.dev ## 10,000 seeds of the engine's pure core under fault plans; goes on where it stopped (PART=2/4)
	$(PY) -m tests.simulation --jobs $(JOBS) --part $(if $(filter command,$(origin PART)),$(PART),1/1) $(ARGS)

generated: .venv/.dev ## 200 made-up workflows on 20 paths each, against the promises; goes on where it stopped (PART=2/4)
	$(PY) -m tests.generated --definitions 200 --paths 20 --part $(if $(filter command,$(origin PART)),$(PART),1/1) $(ARGS)

fuzz: .venv/.dev ## 100,000 made-up expressions, in processes that may reach for nothing
	$(PY) -m tests.fuzz --jobs $(JOBS) $(ARGS)

masking: .venv/.dev ## every address with every row it may be about: nobody without the right sees what is masked
	AEGIS_MASKING=all $(PY) -m pytest tests/masking/test_reading.py -s $(ARGS)

shared-data: .venv/.dev ## all rows of ../shared/data, not only the sample
	AEGIS_SHARED_DATA=all $(PY) -m pytest -m shared_data -s $(ARGS)

races: .venv/.dev ## 2,000 races at open requests over HTTP on PostgreSQL, one part of many (PART=3/20 MINUTES=30)
	TEST_DATABASE_URL=$(TEST_DATABASE_URL) TEST_REDIS_URL=$(TORTURE_REDIS_URL) \
	  $(PY) -m tests.drills.parts races --part $(PART) --minutes $(MINUTES) $(ARGS)

hijack: .venv/.dev ## 10,000 attempts of a clerk that was taken over, judged by the oracle, one part of many (PART=3/20 DATABASE=postgres)
	TEST_DATABASE_URL=$(TEST_DATABASE_URL) TEST_REDIS_URL=$(TORTURE_REDIS_URL) \
	  $(PY) -m tests.drills.parts hijack --part $(PART) --database $(DATABASE) --minutes $(MINUTES) $(ARGS)

drills-table: .venv/.dev ## what the parts of the drills found, into docs/races.md and docs/hijack.md
	$(PY) -m tests.drills.parts table

separation: .venv/.dev ## all conflicts of duties on every path, and every way round a lock (DATABASE=postgres for the other database)
	AEGIS_DRILLS=all $(ON_DATABASE) $(PY) -m pytest tests/drills/test_separation_of_duties.py tests/drills/test_locks.py -s -q $(ARGS)

permissions: .venv/.dev ## every cell of the permission matrix, PART=k/n of the routes; goes on where it stopped
	AEGIS_PERMISSIONS=$(if $(filter command,$(origin PART)),$(PART),1/1) $(PY) -m pytest -m permissions tests/permissions/test_matrix.py $(ARGS)

permissions-holes: .venv/.dev ## each hole planted into the product is found by the permission matrix
	AEGIS_HOLES=all $(PYTEST) -m permissions tests/permissions/test_holes.py $(ARGS)

permissions-table: .venv/.dev ## what the parts of `make permissions` found, into docs/permissions.md
	$(PY) -m tests.permissions.table

bench: .tools/.bench ## the engine beside the raw limit and dbos; ARGS="postgresql --runs 600" (BENCH_DATABASE_URL: the server)
	.tools/bench/bin/python -m bench.engine $(ARGS)

bench-pages: .venv/.dev ## p95 of the access matrix page and the approvals inbox, small and large; ARGS="20" looks per figure
	$(PY) bench/pages.py $(ARGS)

bench-calls: .venv/.dev ## a thousand calls in flight beside a bare asyncio client; ARGS="sqlite --rounds 5"
	$(PY) -m bench.calls $(ARGS)

lint: .venv/.dev ## everything that reads the code without running it
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/djlint templates --lint --quiet
	$(PY) manage.py makemigrations --check --dry-run

locks: $(UV) ## renew requirements/*.txt; add ARGS=--upgrade for newer versions
	$(COMPILE) $(ARGS) requirements/uv.in -o requirements/uv.txt
	$(COMPILE) $(ARGS) requirements/dev.in -o requirements/dev.txt
	$(COMPILE) $(ARGS) -c requirements/dev.txt requirements/server.in -o requirements/server.txt
	$(COMPILE) $(ARGS) -c requirements/dev.txt requirements/otel.in -o requirements/otel.txt
	$(COMPILE) $(ARGS) -c requirements/dev.txt requirements/core.in -o requirements/core.txt
	$(COMPILE) $(ARGS) -c requirements/dev.txt requirements/bench.in -o requirements/bench.txt

clean: ## remove what was installed and built; the data in var stays
	rm -rf .tools .venv build .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- what the targets stand on; a second run finds the stamps newer than the locks and does nothing ---

$(UV): requirements/uv.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and "AEGIS needs Python 3.11 or newer; this is %d.%d. Try: make up PYTHON=python3.12" % v[:2])'
	$(PYTHON) -m pip install --quiet --upgrade --target .tools --require-hashes -r requirements/uv.txt
	@touch $@

$(PY): | $(UV)
	$(UV) venv --quiet --python "$$(command -v $(PYTHON))" .venv

.venv/.core: requirements/core.txt | $(PY)
	$(UV) pip install --quiet --python $(PY) --require-hashes -r requirements/core.txt
	@touch $@

# The development lock holds every version of the smaller ones.
.venv/.dev: requirements/dev.txt | $(PY)
	$(UV) pip install --quiet --python $(PY) --require-hashes -r requirements/dev.txt
	@touch $@ .venv/.core

# What AEGIS is measured beside is no dependency of it: an environment of its own.
.tools/.bench: requirements/bench.txt | $(UV)
	$(UV) venv --quiet --clear --python "$$(command -v $(PYTHON))" .tools/bench
	$(UV) pip install --quiet --python .tools/bench/bin/python --require-hashes -r requirements/bench.txt
	@touch $@
