PYTHON ?= python3
PORT ?= 5000
REDIS_PORT ?= 6380
BIN := .venv/bin
# Packages are installed without bytecode. If Python could not keep it, every process would compile what it imports: 8 s for TensorFlow
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run up check lint types unit test coverage requirements translations fuzz bench chaos screenshot bundle rehearse

# Set up what serving needs, with TensorFlow and what BIRD_FEEDBACK or SQS needs only if they are needed, and serve http://127.0.0.1:5000
run: .venv/bin/python
	@needed=$$($(BIN)/python deploy/needed_packages.py) && $(MAKE) -s ".venv/$$needed"
	@case "$${BIRD_FEEDBACK:-0}" in 1 | true) $(MAKE) -s .venv/requirements-feedback.txt ;; esac
	@case "$${BIRD_QUEUE_URL:-}" in sqs://*) $(MAKE) -s .venv/requirements-sqs.txt ;; esac
	@PORT=$(PORT) $(BIN)/python application.py

# Run the web process, a worker and a Redis between them until Ctrl-C. Needs redis-server
up: .venv/requirements-dev.txt
	@command -v redis-server >/dev/null || { echo "redis-server is needed: apt install redis-server, or brew install redis" >&2; exit 1; }
	@echo "http://127.0.0.1:$(PORT), as soon as the worker has loaded the model"
	@PATH="$(CURDIR)/$(BIN):$$PATH" WEB_PORT=$(PORT) REDIS_PORT=$(REDIS_PORT) \
		BIRD_QUEUE_URL=redis://127.0.0.1:$(REDIS_PORT)/0 BIRD_RESULT_URL= $(BIN)/honcho start -f Procfile.up

# Everything that needs no TensorFlow, browser or server: about two minutes. Run it before each commit
check: lint
	@$(MAKE) --no-print-directory -j2 types unit

lint: .venv/requirements-dev.txt
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-logo

types: .venv/requirements-dev.txt
	$(BIN)/mypy

unit: .venv/requirements-dev.txt
	$(BIN)/python -m pytest -p no:schemathesis -p no:hypothesispytest tests/unit  # plugins of system tests, slow to load

# Run all tests
test: .venv/requirements-dev.txt
	$(BIN)/python -m pytest

# Run all tests and report which lines and branches of the app they reach
coverage: .venv/requirements-dev.txt
	$(BIN)/python -m pytest --cov

# Write the requirements files from pyproject.toml
requirements: .venv/bin/python
	$(BIN)/python -m deploy.requirements

# Collect the texts of the interface, and compile its translations
translations: .venv/requirements-dev.txt
	$(BIN)/python -m deploy.translations

# Post 50,000 damaged files to the running app
fuzz: .venv/requirements-dev.txt
	$(BIN)/python -m tests.support.fuzz 50000

# Measure how fast the app is, next to the plain recipe: 20 minutes. DATA=FOLDER with <label>/*.jpg adds what bfloat16 costs
bench: .venv/requirements-dev.txt
	@$(BIN)/python -m benchmarks $(DATA)

# Kill workers, restart brokers and cut connections, and see whether each photo gets its answer: hours. Needs redis-server and rabbitmq-server
chaos: .venv/requirements-dev.txt
	@$(BIN)/python -m chaos all

# Take the README's screenshot again. Needs Chromium
screenshot: .venv/requirements-dev.txt
	$(BIN)/python -m docs.screenshot

# Write bundle.zip, the source bundle for Elastic Beanstalk
bundle: .venv/requirements-dev.txt
	@$(BIN)/python -m deploy.bundle

# Deploy that bundle to an empty folder, with nginx in front, and test it: about four minutes. Needs nginx
rehearse: .venv/requirements-dev.txt
	$(BIN)/python -m pytest -n 0 deploy

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "Python 3.11, 3.12 or 3.13 is needed (TensorFlow has no newer build). Name yours: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

# A requirements file, once its packages are installed. Python compiles what it imports: a third of pip's time is saved
.venv/%.txt: %.txt | .venv/bin/python
	@echo "Installing what $< lists"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -r $<
	@touch $@

.venv/requirements.txt: requirements-web.txt requirements-worker.txt
.venv/requirements-dev.txt: .venv/requirements.txt requirements-feedback.txt requirements-sqs.txt
