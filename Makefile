# Every target creates the environment that it needs, and updates it only when the requirements change.
#
#   make serve      the server on http://127.0.0.1:5000; options: make serve ARGS="--port 8000"
#   make test       every check that a change must pass before it is merged
#   make coverage   the tests again, with how much of the code they run; fails below `fail_under` in pyproject.toml
#   make lint       style, types, spelling and the words of docs/style.md only
#   make format     rewrite the code in the project's style
#   make docs       write docs/openapi.json and the table of settings from the code
#   make site       build the documentation as a site into build/site, and fail at broken links
#   make notebooks  run the notebooks on little data, and store what they show; takes ten minutes
#   make hostile    send 5,000 damaged files to a real server, takes a few minutes
#   make siege      attack real servers, and print what each attack achieved; takes a few minutes
#   make fuzz       coverage-guided fuzzing of the image decoder, for two minutes
#   make contract   thousands of requests generated from the OpenAPI document
#   make cluster    scan on a Ray cluster of several raylets on this machine; installs Ray
#   make smoke      build the wheels, install them into an empty environment, and use them there
#   make lock       write requirements.lock, what the container installs, with the digest of every file
#   make help       print this list
#   make clean      remove the environment
#
# To use another interpreter: make test PYTHON=python3.12

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt

.PHONY: serve test coverage lint format docs site notebooks hostile siege fuzz contract cluster smoke lock help clean

serve: $(VENV)/.serve.stamp
	@$(BIN)/tamperscope serve $(ARGS)

test: lint
	@$(BIN)/python -m pytest

# The floor holds for the whole suite, so a run of a part says nothing about it.
coverage: $(VENV)/.dev.stamp
	@$(BIN)/python -m pytest --cov

lint: $(VENV)/.dev.stamp
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/codespell
	@$(BIN)/python docs/check_style.py

format: $(VENV)/.dev.stamp
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(VENV)/.dev.stamp
	@$(BIN)/python docs/generate.py

site: $(VENV)/.dev.stamp
	$(INSTALL) -q --editable '.[docs]'
	@$(BIN)/python docs/site.py

notebooks: $(VENV)/.dev.stamp
	@$(BIN)/python docs/notebooks.py

hostile: $(VENV)/.dev.stamp
	@timeout 3600 $(BIN)/python tests/robustness/hostile.py --files 5000

siege: $(VENV)/.dev.stamp
	@timeout 3600 $(BIN)/python tests/robustness/siege.py $(ARGS)

fuzz: $(VENV)/.dev.stamp
	@$(BIN)/python tests/robustness/fuzz_images.py -max_total_time=120

contract: $(VENV)/.dev.stamp
	@timeout 3600 $(BIN)/python -m pytest tests/robustness/test_contract.py --hypothesis-profile=long

cluster: $(VENV)/.dev.stamp
	$(INSTALL) -q --editable '.[cluster]'
	@timeout 900 $(BIN)/python -m pytest tests/scanning/test_cluster.py -m cluster

smoke: $(VENV)/.dev.stamp
	@$(BIN)/python distributions/smoke.py

lock: $(VENV)/.dev.stamp
	@$(INSTALL) -q uv
	@$(BIN)/uv pip compile -q --python-platform linux --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
		--no-annotate -c constraints.txt --extra postgres --extra redis pyproject.toml -o requirements.lock

help:
	@sed -n '1,/^$$/ s/^# \{0,1\}//p' Makefile

clean:
	rm -rf $(VENV)

EVERYTHING := '.[train,scan,tunnel,postgres,redis,dev]'

# pip's output, shortened to the names of the packages: silence for a minute looks like a hang. $(1): what to install.
define install
@rm -f $@
@{ $(INSTALL) --progress-bar off --editable $(1) && touch $@; } | while read -r word what rest; do \
	case "$$word $$what" in \
		Collecting*) printf '%s ' "$${what%%[][<>=!~;(]*}" ;; \
		Processing*) what=$${what##*/}; printf '%s ' "$${what%%-*}" ;; \
		"Installing collected") printf '\nUnpacking these %s packages ...\n' "$$(echo "$$rest" | wc -w)" ;; \
	esac; done >&2
@test -e $@
endef

# Serving does not need PyTorch, so `make serve` does not install it.
$(VENV)/.serve.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing what serving needs, about 700 MB on disk. This is done once, and takes a minute or so." >&2
	$(call install,.)

$(VENV)/.dev.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing what the tests need, about 3 GB on disk. This is done once, and takes a few minutes." >&2
	$(call install,$(EVERYTHING))
	@touch $(VENV)/.serve.stamp

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "tamperscope needs Python 3.11 or newer. Set its path: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
		rm -rf $(VENV); echo "On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
