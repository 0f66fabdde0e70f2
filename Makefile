PYTHON ?= python3
PORT ?= 5000
REDIS_PORT ?= 6380
BIN := .venv/bin

.PHONY: run up test lint fuzz bench screenshot bundle rehearse

# Set everything up and serve http://127.0.0.1:5000
run: .venv/production
	@PORT=$(PORT) $(BIN)/python application.py

# The same as two services, with a Redis between them, until Ctrl-C; needs redis-server
up: .venv/development
	@command -v redis-server >/dev/null || { echo "redis-server is needed: apt install redis-server, or brew install redis" >&2; exit 1; }
	@echo "http://127.0.0.1:$(PORT), as soon as the worker has loaded the model"
	@PATH="$(CURDIR)/$(BIN):$$PATH" WEB_PORT=$(PORT) REDIS_PORT=$(REDIS_PORT) \
		BIRD_QUEUE_URL=redis://127.0.0.1:$(REDIS_PORT)/0 BIRD_RESULT_URL= $(BIN)/honcho start -f Procfile.up

# Set everything up and run the tests
test: .venv/development
	$(BIN)/python -m pytest

lint: .venv/development
	$(BIN)/ruff check
	$(BIN)/ruff format --check

# Post 50,000 mutilated files to the running app
fuzz: .venv/development
	$(BIN)/python -m tests.fuzz 50000

# How fast the app is beside the plain recipe: 20 minutes. DATA=FOLDER, which holds <label>/*.jpg, adds what bfloat16 costs.
bench: .venv/development
	@$(BIN)/python -m benchmarks $(DATA)

# Take the picture in the README again; needs Chromium
screenshot: .venv/development
	$(BIN)/python -m docs.screenshot

# Write bundle.zip, the source bundle for Elastic Beanstalk
bundle: .venv/development
	@$(BIN)/python -m deploy.bundle

# Deploy that bundle to an empty folder, with nginx in front, and see what it stands: three minutes. Needs nginx
rehearse: .venv/development
	$(BIN)/python -m pytest -n 0 deploy

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "Python 3.11, 3.12 or 3.13 is needed (TensorFlow has no newer build). Name yours: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/production: requirements.txt requirements-web.txt requirements-worker.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/development: requirements-dev.txt .venv/production
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
