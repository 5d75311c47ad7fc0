# `make help` lists the targets.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready
CHECKOV := .venv-checkov
CONTRACT := .venv-contract
DOCS := .venv-docs
BENCH_STAMP := .venv/.bench-ready
# In the order of their folders, so that the files that wait much come first and many short ones last. Otherwise pytest-xdist begins with
# the files that have the most tests, and at the end waits for the slowest.
PARALLEL := -n auto --dist loadfile --no-loadscope-reorder

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(STAMP) ## install everything into .venv, pinned by version and hash

$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 $(MAKECMDGOALS)" if sys.version_info < (3, 11) else 0)'
	@echo "Setting up .venv (once; about a minute)…"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

run: setup ## start the local cloud, deploy the pipeline, send 10 orders, check how each one ends; then its page, until Enter
	@$(BIN)/orderctl run

test: setup ## run every check, and every test but the longest
	@$(MAKE) --no-print-directory -j2 lint security
	$(BIN)/pytest $(PARALLEL) -m "not long"

test-long: setup ## run the tests that take their time, and that `make test` leaves out
	$(BIN)/pytest $(PARALLEL) -m long

test-aws: setup ## run the end-to-end tests against a deployed stack (not production): STACK=staging-order-pipeline
	@test -n "$(STACK)" || { echo "Name the stack: make test-aws STACK=staging-order-pipeline"; exit 2; }
	ORDERCTL_TEST_STACK=$(STACK) $(BIN)/pytest tests/local/test_pipeline.py

lint: setup ## check formatting, code, types and the templates
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/cfn-lint template.yaml delivery/*.yaml

security: $(CHECKOV)/.ready ## check the templates' security with Checkov: each finding is fixed, or skipped with a reason beside it
	@$(CHECKOV)/bin/checkov --framework cloudformation --file template.yaml delivery/github-role.yaml --compact --quiet --skip-download

# Tools with environments of their own, which pin what the others cannot have, or what few need.
$(CHECKOV)/.ready $(CONTRACT)/.ready $(DOCS)/.ready: .venv-%/.ready: requirements/%.txt | setup
	@echo "Setting up $(@D) (once; up to a minute)…"
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

format: setup ## format the code and fix what ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

SEEDS ?= 2000
simulate: setup ## run the handlers through SEEDS seeded schedules of faults; SEED=7 shows one, SABOTAGE="…" breaks them first
	@PYTHONPATH=tests $(BIN)/python -m simulation $(if $(SEED),--seed $(SEED),$(SEEDS)) $(if $(SABOTAGE),--sabotage "$(SABOTAGE)")

notice: setup ## find a seed of the simulation that notices each sabotage, so that the tests look there first
	@PYTHONPATH=tests $(BIN)/python -m simulation --notice

soak: setup ## send 5,000 orders (or ORDERS=N) through the local cloud while its functions are killed at random, then audit the books
	@$(BIN)/python -m bench.soak $(if $(ORDERS),--orders $(ORDERS))

cut: setup ## the same with 10,000 orders while the functions' connections are cut at random
	@$(BIN)/python -m bench.cut $(if $(ORDERS),--orders $(ORDERS))

MINUTES ?= 55
explore: setup ## run the handlers through every schedule of bounded scopes, for at most MINUTES; SCOPES="fault pair" names some; RECORD=1
	@PYTHONPATH=tests $(BIN)/python -m simulation.explore --minutes $(MINUTES) $(if $(RECORD),--record) $(SCOPES)

model: setup ## check the models of the protocol with Spin, in every scope; needs spin and gcc; SCOPE=, RECORD=1
	@PYTHONPATH=tests $(BIN)/python -m model $(if $(RECORD),--record) $(if $(SCOPE),--scope "$(SCOPE)")

mutate: setup ## change MODULES in every small way, and list what neither tests nor SEEDS seeds notice; RECORD=1
	@PYTHONPATH=tests $(BIN)/python -m mutation $(if $(filter command line,$(origin SEEDS)),--seeds $(SEEDS)) $(if $(RECORD),--record) $(MODULES)

bench: setup $(BENCH_STAMP) ## measure what an order costs, compared with the floor and a textbook version; QUICK=1 takes 2 minutes
	@$(BIN)/python -m bench $(if $(QUICK),--quick)

outage: setup ## the card processor fails for an hour, in virtual time: what becomes of 210,000 orders; takes half a minute
	@$(BIN)/python -m bench.outage

flash-sale: setup ## everybody wants one SKU at once, in virtual time: what becomes of the orders, with one shelf and with 20
	@PYTHONPATH=tests $(BIN)/python -m simulation.flash_sale

hot-sku: setup ## one SKU that everybody wants, on the local cloud: 2,000 orders (or ORDERS=N) beside as many for 500 SKUs, then a sale with moving shelves
	@$(BIN)/python -m bench.hot_sku $(if $(ORDERS),--orders $(ORDERS))

burst: setup ## a burst of 100,000 orders, in virtual time, at 1, 10 and 100 executions a consumer; takes half a minute
	@$(BIN)/python -m bench.burst

$(BENCH_STAMP): $(STAMP) requirements/bench.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@touch $(BENCH_STAMP)

screenshots: setup ## make the pictures of the console in docs/images from a real run; needs Debian's chromium
	@PYTHONPATH=tests:. $(BIN)/python -m support.screenshots

schemas: setup ## write docs/schemas and docs/json.md; fails if a field of an event was removed or narrowed
	@$(BIN)/orderctl schemas

# Two checks do not fit: no schema can say that no SKU stands twice, and an order that was cancelled is still there.
contract: export ORDERCTL_STATE_DIR := build/contract
contract: setup $(CONTRACT)/.ready ## hold the API of a local cloud against docs/schemas/openapi.json with Schemathesis; a minute
	@$(BIN)/orderctl up --detach && trap '$(BIN)/orderctl down' EXIT && eval "$$($(BIN)/orderctl env)" && \
		$(CONTRACT)/bin/schemathesis run docs/schemas/openapi.json --url "$$API_URL" --max-examples 100 --checks all \
		--exclude-checks positive_data_acceptance,use_after_free

docs: setup $(DOCS)/.ready ## build the documentation as a site in build/site; fails on a link that leads nowhere
	@NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --quiet && echo "Open build/site/index.html"

lock: ## update requirements/*.txt from requirements/*.in (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' requirements/dev.in -o requirements/dev.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' requirements/bench.in -o requirements/bench.txt
	uv pip compile --quiet --python-version 3.13 --python-platform aarch64-manylinux2014 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' requirements/lambda.in -o requirements/lambda.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' requirements/checkov.in -o requirements/checkov.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' requirements/contract.in -o requirements/contract.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' requirements/docs.in -o requirements/docs.txt

clean: ## remove build output and caches (not the environments)
	rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis

.PHONY: help test-long notice setup run test test-aws lint security format simulate soak cut bench schemas contract docs lock clean model mutate outage burst explore screenshots
