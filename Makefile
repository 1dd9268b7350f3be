# Tutti: `make demo` shows it, `make test` proves it, `make help` lists the rest.
PYTHON ?= python3
DATA ?=
BENCH ?=
KILLS ?= 200
VENV := .venv
# As they were typed: make would take a dollar sign for a variable of its own.
override export LISTENER := $(value LISTENER)
override FILES := $(value FILES)
override export MUSIC := $(value MUSIC)
override export SELECT := $(value SELECT)
# Without site packages, which the command adds once it handles Ctrl-C.
TUTTI := $(VENV)/bin/python -S -m orchestration
RUN := $(if $(DATA),TUTTI_DATA_DIR=$(DATA) )$(TUTTI)
# Compiled once, not by each process that tests start, also where the environment wants no bytecode beside the source.
PYTEST := PYTHONDONTWRITEBYTECODE= $(VENV)/bin/pytest --numprocesses 3 --no-loadscope-reorder
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo import pull pull-metadata pull-lyrics analyze serve-scrobbles stream mock-services chart backfill maintenance export erase generate-listens ui test test-fast lint install-dask install-s3 install-spark clean bench chaos docs screenshots

help:  ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: $(VENV)/base  ## simulate six weeks of listening to real music and build every asset (TODAY=2025-04-07)
	@$(if $(filter-out data/demo,$(DATA)),echo "tutti: the demo is always in data/demo. Run make demo without DATA" >&2; exit 1)
	@TUTTI_DATA_DIR=data/demo $(TUTTI) demo --today "$(TODAY)"

import: $(VENV)/base  ## import your history: make import LISTENER=ada FILES="my_spotify_data.zip"
	@$(RUN) import --listener "$$LISTENER" -- $(FILES)

pull: $(VENV)/base  ## pull listens from a service: make pull SOURCE=listenbrainz LISTENER=rob FROM=2024-01-01 TO=2024-01-31 (REFETCH=1)
	@$(RUN) pull --source "$(SOURCE)" --user "$$LISTENER" --from "$(FROM)" --to "$(TO)" $(if $(REFETCH),--refetch)

pull-metadata: $(VENV)/base  ## pull missing catalog entries from MusicBrainz, most played first (LIMIT=500)
	@$(RUN) pull-metadata --limit "$(or $(LIMIT),500)"

pull-lyrics: $(VENV)/base  ## pull missing lyrics from LRCLIB, most played first (LIMIT=500)
	@$(RUN) pull-lyrics --limit "$(or $(LIMIT),500)"

analyze: $(VENV)/base  ## analyze your audio files: make analyze MUSIC=/home/ada/Music
	@$(RUN) analyze --music "$$MUSIC"

mock-services: $(VENV)/base  ## serve ListenBrainz, Last.fm, MusicBrainz and LRCLIB from simulated data (MOCK_PORT=8760 FAULT_RATE=0.2)
	@$(RUN) mock-services --port "$(or $(MOCK_PORT),8760)" --fault-rate "$(or $(FAULT_RATE),0)"

chart: $(VENV)/base  ## print the most played recordings and artists (LIMIT=10, PERIOD=all_time or weekly ...)
	@$(RUN) chart --limit "$(LIMIT)" $(if $(PERIOD),--period "$(PERIOD)")

backfill: $(VENV)/base  ## rebuild days; resumes if killed: make backfill FROM=2024-01-01 TO=2024-12-31 (SELECT=... DAYS_PER_RUN=30)
	@$(RUN) backfill --from "$(FROM)" --to "$(TO)" --select "$$SELECT" --days-per-run "$(DAYS_PER_RUN)"

maintenance: $(VENV)/base  ## remove old table versions and pack the files of the scrobble endpoint
	@$(RUN) maintenance

export: $(VENV)/base  ## export a listener's data as a zip: make export LISTENER=ada
	@$(RUN) export --listener "$$LISTENER"

erase: $(VENV)/base  ## erase a listener permanently: make erase LISTENER=ada (YES=1 skips the question)
	@$(RUN) erase --listener "$$LISTENER" $(if $(YES),--yes)

generate-listens: $(VENV)/base  ## generate simulated listens for benchmarks: make generate-listens LISTENS=20000000 DATA=data/generated
	@$(RUN) generate-listens --listens "$(or $(LISTENS),20000000)"

serve-scrobbles: $(VENV)/base  ## serve the scrobble endpoint on http://127.0.0.1:8765 (TUTTI_SCROBBLE_TOKENS=ada:secret)
	@$(RUN) serve-scrobbles

stream: $(VENV)/base  ## import landed files as a Spark stream until stopped (TUTTI_ENV=spark)
	@$(RUN) stream

ui: $(VENV)/base  ## start Dagster's web server and daemon on http://127.0.0.1:3000 (PORT=3000)
	@$(RUN) ui --port "$(or $(PORT),3000)"

test: $(VENV)/test  ## run lint, types and every test on all four engines
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	@$(VENV)/bin/mypy & types=$$!; $(PYTEST) --durations=20 && wait $$types

test-fast: $(VENV)/test  ## run the quick tests: no cluster, no process, few examples of each property
	@$(PYTEST) --numprocesses 2 -m "not cluster and not process and not slow" --hypothesis-profile=fast

bench: $(VENV)/test  ## compare each engine with hand-written queries over 20 million listens (hours; resumes)
	@$(if $(DATA),TUTTI_DATA_DIR=$(DATA) )$(VENV)/bin/python -m tests.benchmarks.engines $(BENCH)

chaos: $(VENV)/test  ## kill processes at every kind of work and race many writers, half an hour (KILLS=200)
	@$(VENV)/bin/python -m tests.chaos --kills "$(KILLS)"

lint: $(VENV)/test  ## format the code and report other mistakes
	$(VENV)/bin/ruff format
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/mypy

docs: $(VENV)/test  ## write docs/assets.md and the plots of docs/benchmarks.md
	@$(VENV)/bin/python -m tests.snapshot
	@$(VENV)/bin/python -m tests.benchmarks.plot

screenshots: $(VENV)/test  ## take the README's pictures from `make ui` after `make demo`, with a headless Chromium
	@$(PIP) -e '.[screenshots]'
	@TUTTI_DATA_DIR=data/demo $(VENV)/bin/python -m tests.docs.screenshots

install-dask: $(VENV)/base  ## install what TUTTI_ENV=dask needs
	$(PIP) -e '.[dask]'

install-s3: $(VENV)/base  ## install what a lake in a bucket needs (TUTTI_LAKE_URL)
	$(PIP) -e '.[s3]'

install-spark: $(VENV)/base  ## install what TUTTI_ENV=spark needs, including a Java runtime
	$(PIP) -e '.[spark]'

clean:  ## remove the installation and the demo's data; your own data stays
	rm -rf $(VENV) data/demo

$(VENV)/base: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "tutti: Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Installing into $(VENV), once ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -e .
	@touch $@

$(VENV)/test: $(VENV)/base
	@echo "Installing what tests need: Dask, Spark and a Java runtime among it ..."
	@$(PIP) -e '.[dask,s3,spark,test]'
	@touch $@
