# The entry points: Python 3.11 or newer and make are all that they need.
# Another Python: make test PYTHON=python3.13

PYTHON ?= python3

VENV := .venv
BENCH := .venv-bench
PEERS := .venv-peers
WHEEL := .venv-wheel
FUZZ := .venv-fuzz
MODELS := .venv-models
SYCL := .venv-sycl
CUDA := .venv-cuda
SOURCES := $(wildcard src tests examples notebooks benchmarks campaigns docs)

# a stamp is newer than pyproject.toml when its environment is up to date
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev
BENCH_STAMP := $(BENCH)/.installed
PEERS_STAMP := $(PEERS)/.installed
FUZZ_STAMP := $(FUZZ)/.installed
MODELS_STAMP := $(MODELS)/.installed
SYCL_STAMP := $(SYCL)/.installed
CUDA_STAMP := $(CUDA)/.installed

# NumPy 2.0.0 has wheels up to Python 3.12; newer Pythons take the first NumPy that has wheels for them
OLDEST_NUMPY = $(shell $(PYTHON) -c "import sys; print({11: '2.0.0', 12: '2.0.0', 13: '2.1.0'}.get(sys.version_info[1], '2.3.2'))")

# scikit-learn of two years ago, whose estimators have tags of another kind
OLDEST_SKLEARN := 1.5.2

# the tests of what the extras bring
LOWEST_TESTS := tests/cli tests/playground tests/plots tests/interop tests/formats/test_hdf5.py tests/formats/test_pictures.py tests/formats/test_picture_parts.py tests/datasets/test_folders.py tests/networks/test_pictures_for_networks.py tests/callbacks/test_loggers.py tests/runs/test_report.py

# where Pyodide's files lie, for the static site and its tests; they are fetched where they are not there
PYODIDE ?= $(or $(PURECNN_PYODIDE),../shared/pyodide)

# PART=layers tests that package alone
PART ?=
TESTS := $(if $(PART),tests/$(PART) $(wildcard src/purecnn/$(PART)),)

# One test more at once than there are cores, since some wait for others' processes; each of the processes has a stretch
# of the files, and one that has done its own takes half of what another has left, so that none is idle at the end. By
# hand, `pytest` alone runs them one after the other.
AT_ONCE := --numprocesses $(shell $(PYTHON) -c "import os; print(min(4, (os.cpu_count() or 1) + 1))") --dist worksteal

# Programs keep what Python has compiled, which some surroundings forbid: the tests start hundreds of
# processes, of which each takes an eighth of a second more where it compiles the package anew.
unexport PYTHONDONTWRITEBYTECODE

PIP_INSTALL := -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run site pages serve-site check check-texts test coverage test-oldest test-sklearn-oldest test-lowest test-wheel test-sycl test-cuda dist release-ready format docs plots notebook screenshots bench bench-99 bench-quick bench-footprint bench-recipes bench-ranks bench-architectures bench-cores bench-site bench-cuda campaign-bits campaign-resume campaign-ranks campaign-forks campaign-onnx campaign-models campaign-keras campaign-fine-tuning campaign-fuzz fuzz fixtures clean python-new-enough

help: ## print the targets
	@awk -F ':.*## ' '/^## / { printf "%s%s\n", line, substr($$0, 4); line = "\n" } /^[a-z0-9-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' Makefile

## Use

run: $(RUN_STAMP) ## install, train the default network on MNIST, print its accuracy and where model and report are
	$(VENV)/bin/purecnn train

site: $(RUN_STAMP) ## write the playground as a static site, which runs Python in the browser, into build/site
	$(VENV)/bin/purecnn site build/site $(if $(wildcard $(PYODIDE)/pyodide.mjs),--pyodide $(PYODIDE))

pages: $(DEV_STAMP) ## write the static site and, below docs, the documents that lead to it and back, into build/pages
	$(VENV)/bin/purecnn site build/pages --docs docs $(if $(wildcard $(PYODIDE)/pyodide.mjs),--pyodide $(PYODIDE))
	PURECNN_SITE=.. $(VENV)/bin/sphinx-build --quiet --nitpicky --fail-on-warning --keep-going docs build/pages/docs

serve-site: site ## show build/site on this machine
	$(VENV)/bin/python -m http.server --bind 127.0.0.1 --directory build/site 8643

## Develop

# what `make check` has besides the order of imports, which is among the tests
check-texts: $(DEV_STAMP)
	$(VENV)/bin/ruff format --check $(SOURCES)
	$(VENV)/bin/ruff check $(SOURCES)
	$(VENV)/bin/mypy
	$(VENV)/bin/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/ci.yml

check: check-texts ## check format, lint, types, the order of imports and the CI's file, in under a minute
	$(VENV)/bin/pytest --quiet tests/package/test_imports.py

test: $(DEV_STAMP) ## install, make check, then the tests and doctests; PART=layers: of one package
	$(if $(PART),,$(MAKE) --no-print-directory check-texts)
	$(VENV)/bin/pytest $(AT_ONCE) $(TESTS)

coverage: $(DEV_STAMP) ## the tests again, counting lines and branches: at least 95 % must be run; takes twice as long
	$(VENV)/bin/pytest $(AT_ONCE) --cov

test-oldest: ## run the tests with the oldest NumPy allowed, and with exactly 2.2.0
	$(MAKE) --no-print-directory test-numpy-$(OLDEST_NUMPY) test-numpy-2.2.0

test-sklearn-oldest: .venv-sklearn-$(OLDEST_SKLEARN)/.installed ## run the estimators' tests with scikit-learn of two years ago
	.venv-sklearn-$(OLDEST_SKLEARN)/bin/python -c "import sklearn; print('scikit-learn', sklearn.__version__)"
	.venv-sklearn-$(OLDEST_SKLEARN)/bin/python -m pytest tests/interop/test_estimator.py

test-lowest: .venv-lowest/.installed ## run the tests of the extras with the lowest version of each package that they allow
	.venv-lowest/bin/python -m pytest $(AT_ONCE) $(LOWEST_TESTS)

test-wheel: dist ## run the tests against the built wheel, in an environment of its own, the sources out of reach
	rm -rf $(WHEEL)
	$(PYTHON) -m venv $(WHEEL)
	tar -xzf dist/purecnn-*.tar.gz -C $(WHEEL)
	mv $(WHEEL)/purecnn-* $(WHEEL)/unpacked && rm -r $(WHEEL)/unpacked/src
	wheel=$$(echo dist/*.whl) && $(WHEEL)/bin/python $(PIP_INSTALL) "$$wheel[all,test]" mypy
	cd $(WHEEL)/unpacked && ../bin/python -c "import purecnn; f = purecnn.__file__; print(f); assert '/site-packages/' in f"
	cd $(WHEEL)/unpacked && ../bin/python -m pytest $(AT_ONCE) tests --pyargs purecnn

test-sycl: $(SYCL_STAMP) ## run the tests of devices on dpnp, by OpenCL on this processor, in an environment of their own
	$(SYCL)/bin/python -c "from purecnn.backend import as_device; print(as_device('sycl').xp.ones(1).sycl_device)"
	$(SYCL)/bin/python -m pytest tests/together/test_devices.py tests/backend/test_opening_devices.py --device sycl

test-cuda: $(CUDA_STAMP) ## run the tests of devices on CuPy, where there is an NVIDIA GPU
	$(CUDA)/bin/python -m pytest tests/together/test_devices.py tests/backend/test_opening_devices.py --device cuda

format: $(DEV_STAMP) ## format the code, and mend what the linter can mend
	$(VENV)/bin/ruff check --fix-only --quiet $(SOURCES)
	$(VENV)/bin/ruff format $(SOURCES)

docs: $(DEV_STAMP) ## build the guides and the reference into build/docs, which opens without a connection
	$(VENV)/bin/sphinx-build --quiet --nitpicky --fail-on-warning --keep-going docs build/docs
	@echo build/docs/index.html

plots: $(DEV_STAMP) ## write docs/plot.html and docs/moons.html: decision boundaries at every stage of training
	$(VENV)/bin/python examples/xor.py --page docs/plot.html --share
	$(VENV)/bin/python examples/moons.py --page docs/moons.html --share

notebook: $(DEV_STAMP) ## run notebooks/tour.py into notebooks/tour.ipynb, each chart a picture
	$(VENV)/bin/python -m docs.tools.notebook

screenshots: $(DEV_STAMP) ## make the pictures of README.md, the home page and the gallery anew, from the programs themselves
	$(VENV)/bin/python -m docs.tools.readme_pictures
	$(VENV)/bin/python -m docs.tools.home_picture
	$(VENV)/bin/python -m docs.tools.gallery_pictures

fixtures: $(BENCH_STAMP) $(PEERS_STAMP) $(MODELS_STAMP) ## make the tests' fixtures anew, from the peers
	$(BENCH)/bin/python tests/fixtures/make_fixtures.py
	$(BENCH)/bin/python tests/fixtures/make_metrics.py
	$(BENCH)/bin/python tests/fixtures/make_weights.py
	$(BENCH)/bin/python tests/fixtures/make_torch_files.py
	$(BENCH)/bin/python tests/fixtures/make_onnx.py
	$(BENCH)/bin/python tests/fixtures/make_names.py torch
	$(PEERS)/bin/python tests/fixtures/make_names.py keras
	$(PEERS)/bin/python tests/fixtures/make_keras_layers.py
	$(MODELS)/bin/python tests/fixtures/make_keras2.py
	$(MODELS)/bin/python tests/fixtures/make_keras_models.py 3
	$(MODELS)/bin/python tests/fixtures/make_keras_models.py 2

clean: ## remove the environments, the caches and what was built
	rm -rf $(VENV) .venv-* build dist htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

## Measure

bench: $(BENCH_STAMP) $(PEERS_STAMP) ## measure beside the peers: PyTorch in one environment, Keras and JAX in another
	$(BENCH)/bin/python -m benchmarks.run

bench-quick: $(RUN_STAMP) ## measure the part that needs no peer
	$(VENV)/bin/python -m benchmarks.run --quick

bench-99: $(BENCH_STAMP) ## measure the time to 99 % on MNIST beside PyTorch, ten seeds
	$(BENCH)/bin/python -m benchmarks.time_to_99

bench-footprint: $(RUN_STAMP) ## install purecnn and its peers alone, measure size, import, first prediction, and write docs/guides/installation.md
	$(VENV)/bin/python -m benchmarks.footprint

bench-recipes: $(RUN_STAMP) ## train every recipe with five seeds and write what they reach into docs/guides/command-line.md
	$(VENV)/bin/python -m benchmarks.recipes

bench-ranks: $(DEV_STAMP) ## measure a step against 1, 2 and 4 ranks and what large batches cost, and write docs/scaling.md
	$(VENV)/bin/python -m benchmarks.ranks
	$(VENV)/bin/python -m benchmarks.batch_sizes

bench-architectures: $(BENCH_STAMP) ## measure a training step of each network of the literature beside PyTorch, and write docs/guides/architectures.md
	$(BENCH)/bin/python -m benchmarks.architectures --write

bench-cores: $(DEV_STAMP) ## predict a step on 4, 8 and 16 cores, check the model on those that there are, and write docs/engine.md
	$(VENV)/bin/python -m benchmarks.cores

bench-site: $(DEV_STAMP) ## measure the static site in Chromium, and write docs/playground.md; SITE=FOLDER: one written by another Python
	$(VENV)/bin/python -m benchmarks.site --write $(if $(SITE),--site $(SITE))

bench-cuda: $(CUDA_STAMP) ## measure training on an NVIDIA GPU beside PyTorch
	$(CUDA)/bin/python $(PIP_INSTALL) 'torch>=2.9'
	$(CUDA)/bin/python -m benchmarks.cuda

campaign-bits: $(DEV_STAMP) ## train from fixed seeds: make campaign-bits WRITE=FILE before a change, COMPARE=FILE after it
	$(VENV)/bin/python -m campaigns.same_bits $(if $(COMPARE),--compare $(COMPARE),--write $(or $(WRITE),build/bits.json))

campaign-resume: $(RUN_STAMP) ## kill 50 training runs, fill their disks, resume them, compare all bits
	$(VENV)/bin/python -m campaigns.kill.resume --output campaigns/results

campaign-ranks: $(DEV_STAMP) ## kill a rank of 20 MPI jobs, resume them with other numbers of ranks, compare all bits
	$(VENV)/bin/python -m campaigns.kill.ranks --output campaigns/results

campaign-forks: $(DEV_STAMP) ## fit 1,000 times beside each of several companies of threads that multiply
	$(VENV)/bin/python -m campaigns.kill.forks --output campaigns/results

campaign-onnx: $(DEV_STAMP) ## run ONNX's own conformance cases, write how many pass into docs/onnx.md
	$(VENV)/bin/python -m campaigns.conformance.onnx --write

campaign-models: $(MODELS_STAMP) ## fetch real ONNX files and export others, run them beside onnxruntime, write how far each comes
	$(MODELS)/bin/python -m campaigns.models --torch $(MODELS)/bin/python --keras $(MODELS)/bin/python --output campaigns/results

campaign-keras: $(MODELS_STAMP) ## have Keras 3 and Keras 2 write architectures, read them, write how far the answers lie apart into docs/weights.md
	$(MODELS)/bin/python -m campaigns.keras_models.compare --keras-python $(MODELS)/bin/python --write

campaign-fine-tuning: $(MODELS_STAMP) ## have torch train a ResNet-18, fine-tune it by the example, write what that helps into docs/transfer.md
	$(MODELS)/bin/python -m campaigns.fine_tuning --torch $(MODELS)/bin/python --write

campaign-fuzz: $(DEV_STAMP) ## hand 10,000 hostile files of each format to its reader
	$(VENV)/bin/python -m campaigns.fuzz --output campaigns/results

fuzz: $(FUZZ_STAMP) ## let coverage guide hostile files: make fuzz FORMAT=npz, SECONDS=60 if left out
	$(FUZZ)/bin/python -m campaigns.fuzz.guided --format $(or $(FORMAT),npz) --seconds $(or $(SECONDS),60)

## Release

dist: $(DEV_STAMP) ## build the source distribution, and from it the wheel, into dist, and check what PyPI reads of them
	rm -rf dist
	$(VENV)/bin/python -m build
	$(VENV)/bin/twine check --strict dist/*

release-ready: ## check that TAG=v1.2.3 is the version, and that CHANGELOG.md tells of it
	grep -qxF '__version__ = "$(TAG:v%=%)"' src/purecnn/version.py
	grep -qE '^## \[$(TAG:v%=%)\] - [0-9]{4}-[0-9]{2}-[0-9]{2}$$' CHANGELOG.md

python-new-enough:
	@$(PYTHON) -c "import sys; v = sys.version_info; sys.exit(v < (3, 11) and f'purecnn needs Python 3.11 or newer; $(PYTHON) is {v[0]}.{v[1]}. Name another: make PYTHON=python3.12')"

$(VENV)/bin/python: | python-new-enough
	$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python $(PIP_INSTALL) --editable '.[cli,report,playground]'
	@touch $@

$(DEV_STAMP): pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python $(PIP_INSTALL) --editable '.[all,dev]'
	@touch $(RUN_STAMP) $@

$(BENCH_STAMP): pyproject.toml benchmarks/requirements.txt | python-new-enough
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python $(PIP_INSTALL) --requirement benchmarks/requirements.txt --editable '.[all,test]'
	@touch $@

# TensorFlow and JAX, which nothing but their own programs may see; NumPy comes with them
$(PEERS_STAMP): benchmarks/requirements-peers.txt | python-new-enough
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python $(PIP_INSTALL) --requirement benchmarks/requirements-peers.txt
	@touch $@

$(FUZZ_STAMP): pyproject.toml | python-new-enough
	$(PYTHON) -m venv $(FUZZ)
	$(FUZZ)/bin/python $(PIP_INSTALL) 'atheris>=3,<4' --editable '.[all]'
	@touch $@

# without the extra for Keras: TensorFlow wants an h5py older than it names
$(MODELS_STAMP): pyproject.toml campaigns/models/requirements.txt | python-new-enough
	$(PYTHON) -m venv $(MODELS)
	$(MODELS)/bin/python $(PIP_INSTALL) --requirement campaigns/models/requirements.txt --editable '.[cli]'
	@touch $@

$(SYCL_STAMP): pyproject.toml | python-new-enough
	$(PYTHON) -m venv $(SYCL)
	$(SYCL)/bin/python $(PIP_INSTALL) --editable '.[cli,sycl]' 'pytest>=8.3,<10' 'pytest-timeout>=2.3,<3'
	@touch $@

$(CUDA_STAMP): pyproject.toml | python-new-enough
	$(PYTHON) -m venv $(CUDA)
	$(CUDA)/bin/python $(PIP_INSTALL) --editable '.[cli,cuda]' 'pytest>=8.3,<10' 'pytest-timeout>=2.3,<3'
	@touch $@

test-numpy-%: .venv-numpy-%/.installed
	.venv-numpy-$*/bin/python -c "import numpy; print('NumPy', numpy.__version__)"
	.venv-numpy-$*/bin/python -m pytest $(AT_ONCE)

.venv-lowest/.installed: pyproject.toml tests/helpers/lowest_versions.py | python-new-enough
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python $(PIP_INSTALL) $$($(PYTHON) tests/helpers/lowest_versions.py) 'numpy==$(OLDEST_NUMPY)' --editable '.[all,test]'
	@touch $@

.PRECIOUS: .venv-numpy-%/.installed .venv-sklearn-%/.installed
.venv-numpy-%/.installed: pyproject.toml | python-new-enough
	$(PYTHON) -m venv .venv-numpy-$*
	.venv-numpy-$*/bin/python $(PIP_INSTALL) 'numpy==$*' --editable '.[all,test]'
	@touch $@

.venv-sklearn-%/.installed: pyproject.toml | python-new-enough
	$(PYTHON) -m venv .venv-sklearn-$*
	.venv-sklearn-$*/bin/python $(PIP_INSTALL) 'scikit-learn==$*' --editable '.[all,test]'
	@touch $@
