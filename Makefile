# The one front door: `make` or `make help` lists what there is. CI calls only these.
.DEFAULT_GOAL := help
.PHONY: help install demo up down wipe logs ps test scenarios integration simulate faults record history coverage fix verify proto lock bench clean
# PYTHON=python3.12: the one to make .venv with; python3 unless given
BIN := .venv/bin
MEMBERS := libs/keytypes libs/protos libs/service libs/cluster libs/client libs/localcluster services/storage services/router cli bench
STUBS := libs/protos/src
# make test JUNIT=FILE: the results as XML, too
REPORT = $(if $(JUNIT),--junitxml=$(JUNIT))

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/installed ## Install everything into .venv; with another Python by PYTHON=python3.12
	@scripts/supported

.venv/installed: requirements.lock $(MEMBERS:%=%/pyproject.toml) scripts/bootstrap
	@scripts/bootstrap
	$(BIN)/uv pip install --quiet --requirements requirements.lock
	$(BIN)/uv pip install --quiet --no-deps --no-build-isolation $(MEMBERS:%=--editable %)
	@touch $@

demo: install ## Start a cluster, load real data, kill a node, show that nothing is lost
	$(BIN)/dstk demo

up: ## Start the compose stack and print its addresses (needs Docker)
	@scripts/stack up

down: ## Stop the compose stack; its data stays
	@scripts/stack down

wipe: ## Stop the compose stack and delete its data
	@scripts/stack wipe

logs: ## Follow what the compose stack logs
	@scripts/stack logs

ps: ## Show the compose stack, its addresses and what to run next
	@scripts/stack ps

test: install ## Run every test that needs no Docker, but the scenarios
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile --ignore integration/faults $(REPORT)

scenarios: install ## Run a cluster of processes through faults under load, one scenario after another
	$(BIN)/pytest integration/faults $(REPORT)

integration: install ## Run the compose stack through faults on containers (makes Docker usable on Debian where it is not)
	@integration/offline/setup
	$(BIN)/pytest integration/containers $(REPORT)

simulate: install ## Run clusters on virtual time under random faults: SEEDS=1000, one again by SEED=17, or what shows MUTATION=all
	cd integration && ../$(BIN)/python -m simulation.run $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),1000)) \
	  $(if $(MUTATION),--mutation "$(MUTATION)")

faults: install ## Measure failover, restarts, planned changes, re-replication on real processes
	cd integration && ../$(BIN)/python -m faults.measure

record: install ## Run every suite and add what it found to the history; one of them by SUITE=test
	cd integration && ../$(BIN)/python -m history record $(if $(SUITE),--only $(SUITE))

history: install ## Show what the suites have found over time, as a picture and a table; SVG=file keeps the picture
	cd integration && ../$(BIN)/python -m history show $(if $(SVG),--svg $(abspath $(SVG)))

coverage: install ## Run the tests and show which lines they did not reach
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered

fix: install ## Format, and mend what ruff can mend
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

verify: install ## Check style, types, layering and that the stubs match proto/
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/cycles
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && scripts/stubs "$$fresh" \
	  && diff -r --exclude=__pycache__ "$$fresh" $(STUBS) \
	  || { echo "the stubs differ from proto/: run 'make proto'" >&2; exit 1; }

proto: install ## Regenerate the gRPC stubs from proto/
	@scripts/stubs $(STUBS)

lock: ## Pin what is new in pyproject.toml and requirements-dev.in, in the three locks
	@scripts/bootstrap
	scripts/lock

bench: install ## Measure DSTK beside etcd, Redis and its own ceilings; options by ARGS="--quick --only scan"
	$(BIN)/dstk-bench $(ARGS)

clean: ## Remove .venv and everything that tools left behind
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.*
