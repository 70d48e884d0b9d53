# Everything is set up by plain pip in .venv; no other tool is needed. PYTHON chooses the interpreter (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKSPACE ?= workspace
# Twice the cores that most machines have at least: tests wait for browsers, servers and time limits.
JOBS ?= 4
# One thread for each of the parallel test processes: two that want both cores slow each other down tenfold.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n $(JOBS) --dist loadgroup
# As pip does it for what is not editable: the grading engine's processes write no bytecode themselves.
COMPILE := $(BIN)/python -m compileall -q course graders plugins widgets

# Tools for JavaScript, from npm; only developers need them.
NPX := npx --yes
BIOME := @biomejs/biome@2.6.8
TSC := --package=typescript@7.0.2 tsc

.PHONY: lab install test test-all lint lint-js lint-js-offline format format-js docs api gallery pictures bench redteam hub-proxy wheels test-wheel student-wheel clean

lab: install  ## the main job: JupyterLab on the course
	$(BIN)/studium lab --course $(WORKSPACE)

install: $(STAMP)

$(STAMP): pyproject.toml $(wildcard course/labextension/* course/labextension/schemas/*/* widgets/labextension/*)  # copied, even by an editable install
	$(PYTHON) -c "import sys; sys.version_info >= (3, 11) or sys.exit('Studium needs Python 3.11 or newer: set PYTHON=...')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	$(COMPILE)
	touch $(STAMP)

test: install lint  ## what is quick and a fixed sample of the rest, in parallel; says at the end what it left out
	$(PYTEST) -m "not heavy"

test-all: install lint  ## every test
	STUDIUM_TEST_RUN_MINUTES=120 $(PYTEST)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@$(MAKE) --no-print-directory lint-js-offline

lint-js:  ## the same for JavaScript: rules, format, types and unit tests; needs npm, and fetches its tools once
	$(NPX) $(BIOME) check --error-on-warnings
	$(NPX) $(TSC) --project tsconfig.json
	$(NPX) $(TSC) --project tsconfig.strict.json
	node --test tests/js/*.test.js

lint-js-offline:  # within `make lint`: only where npm has the tools already, so that nobody needs npm or a network
	@if $(NPX) --offline $(BIOME) --version >/dev/null 2>&1 && $(NPX) --offline $(TSC) --version >/dev/null 2>&1; \
	then $(MAKE) --no-print-directory lint-js NPX="$(NPX) --offline"; \
	else echo "JavaScript is not checked here: run make lint-js once, which needs npm"; fi

format-js:  ## formats JavaScript; needs npm
	$(NPX) $(BIOME) format --write

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install  ## writes the generated pages again
	$(BIN)/python docs/generate.py

api: install  ## writes the description of what others build on again: docs/public-api.txt
	$(BIN)/python docs/public_api.py

gallery: install  ## one page with every widget and every control, alive and offline
	$(BIN)/python docs/gallery/build.py --out build/gallery.html

pictures: install  ## takes the pictures of the README again, from the real product
	$(BIN)/python docs/pictures.py

bench: install  ## measures; judges nothing
	$(COMPILE)
	$(BIN)/pytest -q -s tests/course/bench_commands.py tests/desk/bench_desk.py tests/widgets/bench_frames.py tests/lab/bench_frames_in_notebooks.py tests/graders/bench_grading.py tests/graders/classroom/bench_classroom.py

redteam: install  ## hostile submissions, ours beside stock nbgrader
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.redteam.matrix

hub-proxy:  ## the proxy of JupyterHub, for the tests with a real hub; needs npm, and they are skipped without it
	npm install --prefix build/hub --no-fund --no-audit --silent configurable-http-proxy

# Builds the wheel of everything in this checkout, of which others are made.
WHEEL = rm -rf build/wheel && $(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir build/wheel .

wheels: install  ## what a release publishes, in dist/: studium, without answers, and studium-keys, with them
	$(WHEEL)
	$(BIN)/python -m studium_graders.assignments.two_wheels build/wheel/studium-*.whl dist $(REPOSITORY)

test-wheel: wheels  ## installs both in a new environment, step by step, and tries them there; needs the network
	$(PYTHON) tests/try_wheels.py dist

student-wheel: install  ## the wheel for student machines, in dist/
	$(WHEEL)
	$(BIN)/studium student-wheel build/wheel/studium-*.whl --out dist

clean:  ## never touches the workspace: it holds answers
	rm -rf $(VENV) build dist
