# Tutti: `make demo` shows it, `make test` proves it, `make help` tells the rest.
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
RUN := $(if $(DATA),TUTTI_DATA=$(DATA) )$(VENV)/bin/python -m orchestration
# Compiled once, not by each process that tests start, also where the environment wants no bytecode beside the source.
PYTEST := PYTHONDONTWRITEBYTECODE= $(VENV)/bin/pytest --numprocesses 3 --no-loadscope-reorder
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo import pull pull-metadata pull-lyrics analyse intake stream sandbox chart backfill upkeep export erase load ui test test-fast lint install-dask install-s3 install-spark clean bench storm

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: $(VENV)/base  ## two weeks of listening to real music, every asset materialized afresh
	@TUTTI_DATA=data/demo $(VENV)/bin/python -m orchestration demo

import: $(VENV)/base  ## your own history: make import LISTENER=ada FILES="my_spotify_data.zip"
	@$(RUN) import --listener "$$LISTENER" -- $(FILES)

pull: $(VENV)/base  ## from a service: make pull SOURCE=listenbrainz LISTENER=rob FROM=2024-01-01 TO=2024-01-31
	@$(RUN) pull --source "$(SOURCE)" --user "$$LISTENER" --from "$(FROM)" --to "$(TO)"

pull-metadata: $(VENV)/base  ## what the catalogue lacks of what is listened to, from MusicBrainz (MOST=500 recordings)
	@$(RUN) pull-metadata --most "$(or $(MOST),500)"

pull-lyrics: $(VENV)/base  ## words of the catalogue's recordings from LRCLIB, most played first (MOST=500)
	@$(RUN) pull-lyrics --most "$(or $(MOST),500)"

analyse: $(VENV)/base  ## your audio files: make analyse MUSIC=/home/ada/Music
	@$(RUN) analyse --music "$$MUSIC"

sandbox: $(VENV)/base  ## the services as the sandbox has them, on http://127.0.0.1:8760 (RATE=0.2 of faults)
	@$(RUN) sandbox --port "$(or $(SANDBOX_PORT),8760)" --rate "$(or $(RATE),0)"

chart: $(VENV)/base  ## what was played most, of all time
	@$(RUN) chart

backfill: $(VENV)/base  ## days made again, resumable: make backfill FROM=2024-01-01 TO=2024-12-31 (SELECT=... DAYS=30)
	@$(RUN) backfill --from "$(FROM)" --to "$(TO)" --select "$$SELECT" --days "$(DAYS)"

upkeep: $(VENV)/base  ## remove what no reader of the lake needs any more, and pack what the intake handed over
	@$(RUN) upkeep

export: $(VENV)/base  ## all that is kept of a person, as a zip in the folder exports: make export LISTENER=ada
	@$(RUN) export --listener "$$LISTENER"

erase: $(VENV)/base  ## a person, from everything kept of them, for good: make erase LISTENER=ada (YES=1: without being asked)
	@$(RUN) erase --listener "$$LISTENER" $(if $(YES),--yes)

load: $(VENV)/base  ## many simulated listeners, for benchmarks: make load LISTENS=20000000 DATA=data/load
	@$(RUN) load --listens "$(or $(LISTENS),20000000)"

intake: $(VENV)/base  ## scrobblers send listens to http://127.0.0.1:8765 as to ListenBrainz (TUTTI_INTAKE_TOKENS=ada:secret)
	@$(RUN) intake

stream: $(VENV)/base  ## what lands is taken in by Spark's Structured Streaming, until stopped (TUTTI_ENV=spark)
	@$(RUN) stream

ui: $(VENV)/base  ## Dagster's web server and daemon on http://127.0.0.1:3000 (PORT=...)
	@$(RUN) ui --port "$(or $(PORT),3000)"

test: $(VENV)/test  ## lint, types and every test on all four engines, with the slowest twenty at the end
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	@$(VENV)/bin/mypy & types=$$!; $(PYTEST) --durations=20 && wait $$types

test-fast: $(VENV)/test  ## tests of about a second at most, with few examples of each property; no cluster, no process
	@$(PYTEST) --numprocesses 2 -m "not cluster and not process and not slow" --hypothesis-profile=fast

bench: $(VENV)/test  ## what the contract costs against queries by hand, 20 million listens (hours; goes on where it stopped)
	@$(if $(DATA),TUTTI_DATA=$(DATA) )$(VENV)/bin/python -m tests.benchmarks.engines $(BENCH)

storm: $(VENV)/test  ## kill -9 at every kind of work, and many writers at once; half an hour (KILLS=200)
	@$(VENV)/bin/python -m tests.storm --kills "$(KILLS)"

lint: $(VENV)/test  ## put the code in order and say what is left to do
	$(VENV)/bin/ruff format
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/mypy

install-dask: $(VENV)/base  ## what TUTTI_ENV=dask needs
	$(PIP) -e '.[dask]'

install-s3: $(VENV)/base  ## what data in a bucket needs (TUTTI_LAKE_URL)
	$(PIP) -e '.[s3]'

install-spark: $(VENV)/base  ## what TUTTI_ENV=spark needs, a Java runtime included
	$(PIP) -e '.[spark]'

clean:  ## remove what was installed and the demo's data; your own data stays
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
