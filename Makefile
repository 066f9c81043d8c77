# Every task of the repository: `make` or `make help` lists them. CI calls only these targets.
.DEFAULT_GOAL := help
.PHONY: help install demo up up-full up-elk down wipe logs ps test scenarios integration simulate faults record history coverage fix verify proto generate pictures lock bench observe clean
# PYTHON=python3.12: the interpreter for .venv; default: python3
BIN := .venv/bin
MEMBERS := libs/keytypes libs/protos libs/service libs/cluster libs/client libs/doctor libs/formats libs/localcluster libs/telemetry services/storage services/router services/metrics cli demo bench observability
STUBS := libs/protos/src
# make test JUNIT=FILE also writes the results as XML
REPORT = $(if $(JUNIT),--junitxml=$(JUNIT))

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/installed ## Install everything into .venv; PYTHON=python3.12 uses another Python
	@scripts/supported

.venv/installed: requirements.lock $(MEMBERS:%=%/pyproject.toml) scripts/bootstrap
	@scripts/bootstrap
	$(BIN)/uv pip install --quiet --requirements requirements.lock
	$(BIN)/uv pip install --quiet --no-deps --no-build-isolation $(MEMBERS:%=--editable %)
	@touch $@

demo: install ## Start a cluster, load real data, kill a node, check that nothing is lost
	$(BIN)/dstk demo

up: ## Start the compose stack and print its addresses (needs Docker)
	@scripts/stack up

up-full: ## Start it with Prometheus, Alertmanager, Grafana and Jaeger, and print all addresses
	@scripts/stack up-full

up-elk: ## Start all that and, for the logs, Filebeat, Logstash, Elasticsearch and Kibana
	@scripts/stack up-elk

down: ## Stop the compose stack and keep its data
	@scripts/stack down

wipe: ## Stop the compose stack and delete its data
	@scripts/stack wipe

logs: ## Follow the logs of the compose stack
	@scripts/stack logs

ps: ## Show the compose stack, its addresses and the next commands
	@scripts/stack ps

test: install ## Run all tests without Docker, except the scenarios
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile --ignore integration/faults $(REPORT)

scenarios: install ## Run fault scenarios under load on clusters of processes
	$(BIN)/pytest integration/faults $(REPORT)

integration: install ## Run fault scenarios on the compose stack (sets up Docker on Debian if needed)
	@integration/offline/setup
	$(BIN)/pytest integration/containers $(REPORT)

simulate: install ## Run clusters on virtual time under random faults: SEEDS=1000, SEED=17 repeats one, MUTATION=all plants bugs
	cd integration && ../$(BIN)/python -m simulation.run $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),1000)) \
	  $(if $(MUTATION),--mutation "$(MUTATION)")

faults: install ## Measure failover, restarts, planned changes, re-replication on real processes
	cd integration && ../$(BIN)/python -m faults.measure

record: install ## Run all suites, or SUITE=test, and add their results to the history
	cd integration && ../$(BIN)/python -m history record $(if $(SUITE),--only $(SUITE))

history: install ## Show the history of results as a picture and a table; SVG=FILE keeps the picture
	cd integration && ../$(BIN)/python -m history show $(if $(SVG),--svg $(abspath $(SVG)))

coverage: install ## Run the tests and show the lines that they do not reach
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered

fix: install ## Format, and fix what ruff can fix
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

verify: install ## Check style, types, layering, and that generated files match their sources
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/cycles
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && scripts/stubs "$$fresh" \
	  && diff -r --exclude=__pycache__ "$$fresh" $(STUBS) \
	  || { echo "the stubs differ from proto/: run 'make proto'" >&2; exit 1; }
	$(BIN)/python -m dstk_observability --check .

proto: install ## Regenerate the gRPC stubs from proto/
	@scripts/stubs $(STUBS)

pictures: install ## Draw the dashboards again from a cluster of processes, and the console (needs Go to build Prometheus, once, and Chromium)
	programs=$$(observability/tools/build) && cd integration && PATH="$$programs:$$PATH" ../$(BIN)/python -m observe.pictures ../docs/dashboards
	cd integration && ../$(BIN)/python -m observe.console_pictures ../docs/console

generate: install ## Regenerate alert rules and what else is made from the registry of metrics
	$(BIN)/python -m dstk_observability .

lock: ## Update the three locks from pyproject.toml and requirements-dev.in
	@scripts/bootstrap
	scripts/lock

observe: install ## Run what ships against real Prometheus, Alertmanager, Jaeger, OpenSearch and Chromium (needs Go, a JDK and Maven to build all but the last once)
	programs=$$(observability/tools/build) && PATH="$$programs:$$PATH" $(BIN)/pytest -m observe \
	  --numprocesses 2 --dist loadgroup observability integration/observe $(REPORT)

bench: install ## Compare DSTK with etcd, Redis, LevelDB and bare gRPC; options: ARGS="--quick --only scan"
	$(BIN)/dstk-bench $(ARGS)

clean: ## Remove .venv and the caches of all tools
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.*
