PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
VENV := .venv
PY := $(VENV)/bin/python
# Commands the tests start, each with the Debian package that it comes from.
TEST_COMMANDS := chromium:chromium turnserver:coturn ip:iproute2

.DEFAULT_GOAL := help
.PHONY: help run test check bench fetch clean compiler test-commands packages

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: pyproject.toml | $(PY) compiler
	$(PY) -m pip install --quiet --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(PY) compiler
	$(PY) -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.base

run: $(VENV)/.base ## install, migrate, fetch models, make the first admin, serve on HOST:PORT (127.0.0.1:8000)
	@$(PY) manage.py fetch_models || echo "Models are missing: the streams that need them say so." >&2
	@$(PY) manage.py migrate --verbosity 0
	@$(PY) manage.py ensure_superuser
	@echo "Open http://$(HOST):$(PORT)/"
	@exec $(VENV)/bin/daphne -b $(HOST) -p $(PORT) rtcproject.asgi:application

test: $(VENV)/.dev test-commands fetch ## install what the tests need and run them (ARGS="-k echo" to choose)
	$(PY) -m pytest $(ARGS)

check: $(VENV)/.dev ## lint, format, types, the deployment template, Django's checks, missing migrations
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/cfn-lint deploy/coturn/cloudformation.yaml
	$(PY) manage.py check
	$(PY) manage.py makemigrations --check --dry-run

bench: $(VENV)/.dev fetch ## compare CPU and delay with a bare aiortc echo
	$(PY) -m benchmarks $(ARGS)

fetch: $(VENV)/.base ## fetch the model weights
	@$(PY) manage.py fetch_models

clean: ## remove the virtual environment and caches (var/, with the database, stays)
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

compiler: # pip builds the speech synthesiser from C
	@command -v cc >/dev/null || $(MAKE) --no-print-directory packages NAMES="gcc libc6-dev"

test-commands:
	@missing=""; for each in $(TEST_COMMANDS); do command -v $${each%:*} >/dev/null || missing="$$missing $${each#*:}"; done; \
	[ -z "$$missing" ] || $(MAKE) --no-print-directory packages NAMES="$$missing"

packages: # NAMES, through apt; Debian's coturn would start at once and relay for anybody
	@if [ "$$(id -u)" = 0 ]; then as_root=""; elif sudo -n true 2>/dev/null; then as_root="sudo"; else \
		echo "Needed: $(NAMES). Install with: sudo apt-get install $(NAMES)" >&2; exit 1; fi; \
	echo "installing $(NAMES)"; \
	case "$(NAMES)" in *coturn*) [ ! -d /run/systemd/system ] || $$as_root systemctl mask coturn;; esac; \
	$$as_root apt-get update -qq && $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(NAMES) >/dev/null
