# Two commands on a fresh machine: `make serve` and `make test`. Each installs what it needs into $(VENV) first.
PYTHON ?= python3
VENV   ?= .venv
STACK  ?= cpu
ARGS   ?=

export PYTHON
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help install serve test test-long check check-clients fuzz fuzz-api format train eval torture pictures lock clean

help:  ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.espalier-$(STACK)  ## install a locked stack into .venv (STACK=cpu, gpu, gateway or dev)

$(VENV)/.espalier-%: requirements/%.txt pyproject.toml scripts/install.sh
	@scripts/install.sh $* $(VENV)

serve: install  ## start the server with the bundled model (ARGS="--port 9000" adds flags)
	@$(BIN)/espalier serve $(ARGS)

test: $(VENV)/.espalier-dev  ## run every test (ARGS="-m 'not vllm and not train'" for the quick ones)
	@$(BIN)/python -m pytest $(ARGS)

test-long: $(VENV)/.espalier-dev  ## what takes many minutes: images and a fleet, built, started, broken (needs root, buildah, debootstrap, dnsmasq, nginx)
	@$(BIN)/python -m pytest -m long --long -s $(ARGS)

check: $(VENV)/.espalier-dev  ## lint, formatting and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

check-clients: $(VENV)/.espalier-dev  ## other people's clients against a started server (needs node and npm)
	@$(BIN)/python -m tests.clients

fuzz: $(VENV)/.espalier-dev  ## hostile inputs by the hundred thousand: atheris, hypothesis, schemathesis (some 10 minutes)
	@$(BIN)/python -m tests.fuzz $(ARGS)

fuzz-api: $(VENV)/.espalier-dev  ## thousands of made-up requests against a server on the toy engine (ARGS="--examples 5000")
	@$(BIN)/python -m tests.server.fuzz_api $(ARGS)

format: $(VENV)/.espalier-dev  ## format the code and mend what ruff can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

train: install  ## make the bundled model and its reward model anew (up to two hours on two cores)
	@$(BIN)/python -m models.train $(ARGS)

eval: $(VENV)/.espalier-dev  ## accuracy against generated tokens on the bundled model, into docs/results.md
	@$(BIN)/python -m evals --page docs/results.md --plot docs/images/accuracy.png $(ARGS)

torture: $(VENV)/.espalier-dev  ## overload, disconnects, killed engines, SIGTERM, deadlines on the real engine (ARGS="--seconds 30")
	@$(BIN)/python -m benchmarks.torture $(ARGS)

pictures: $(VENV)/.espalier-dev  ## renew the dashboard's pictures in docs/images (needs chromium)
	@$(BIN)/python -m tests.browser.pictures $(ARGS)

lock:  ## resolve pyproject.toml into requirements/*.txt anew (needs uv)
	@requirements/lock.sh

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
