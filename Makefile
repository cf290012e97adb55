# Two commands, each doing all its own set-up: make reproduce, make test.
# Needs GNU make, a POSIX shell (on Windows: Git's) and Python 3.11 or newer.

PROFILE ?= course
ONLY    ?=
DATA    ?=
RESUME  ?=
P       ?=
PYTHON  ?=

ifeq ($(OS),Windows_NT)
  BIN := .venv/Scripts
else
  BIN := .venv/bin
endif
VPY    := $(BIN)/python
READY  := .venv/.ready
CODE   := $(wildcard lowlight_lib tests notebooks data_scripts docs .ci)
NEWEST := python3.14 python3.13 python3.12 python3.11

# Another installation's modules, or an activated environment, have no say here.
unexport PYTHONPATH
unexport PYTHONHOME
unexport VIRTUAL_ENV
unexport CONDA_PREFIX
export PYTHONNOUSERSITE := 1
export JUPYTER_PREFER_ENV_PATH := 1

.DEFAULT_GOAL := help
.PHONY: help reproduce test test-slow test-browser site lint types mini clean install
.DELETE_ON_ERROR:

help:
	@echo "make reproduce   install, make the mini data, run the course into runs/latest/"
	@echo "                 PROFILE=smoke|course|paper|released   ONLY=11   DATA=path   RESUME=1"
	@echo "                 P='model=redi seed=1'        parameters of the notebooks"
	@echo "make test        install, and check everything that CI checks"
	@echo "make test-slow   the tests that are too slow for CI"
	@echo "make test-browser  the site and the report in headless Chromium"
	@echo "make site        the notebooks, guides and docstrings as pages: build/site/index.html"
	@echo "make lint        ruff, over modules, tests and notebooks"
	@echo "make types       pyright, over the library"
	@echo "make install     only make .venv and install into it"
	@echo "make clean       remove .venv and caches; runs/ and datasets/ stay"
	@echo "PYTHON=path      the Python to make .venv with (3.11 or newer)"

reproduce: $(READY)
	$(VPY) -m lowlight_lib.cli course run --profile "$(PROFILE)" \
	  $(if $(ONLY),--only "$(ONLY)") $(if $(DATA),--data "$(DATA)") \
	  $(if $(RESUME),--resume) $(foreach p,$(P),-p "$(p)")

# Two processes of one thread each all the way, since the networks of tests are small. The mini data
# are made before the tests, so that both find them. nbval runs the notebooks: those that read what
# others left stay on one worker, in order (tests/notebooks/executed), and the tests behind them
# look at what is left. LOWLIGHT_OUT is emptied first: a training that only resumes a finished one
# tests nothing.
test: export OMP_NUM_THREADS := 1
test: lint
	$(MAKE) -j2 types mini
	unset LOWLIGHT_PROFILE LOWLIGHT_DATA LOWLIGHT_OUT; \
	  $(VPY) -m pytest tests -q -n 2 -m "not slow and not notebooks and not browser"
	rm -rf runs/nbval
	LOWLIGHT_PROFILE=smoke LOWLIGHT_CHECKS=strict LOWLIGHT_DATA="$(CURDIR)/datasets/mini" \
	  TQDM_DISABLE=1 LOWLIGHT_OUT="$(CURDIR)/runs/nbval" $(VPY) -m pytest notebooks \
	  tests/notebooks/executed -q -m "not slow" -n 2 \
	  --nbval-lax --nbval-current-env --nbval-sanitize-with tests/nbval_sanitize.cfg \
	  --nbval-cell-timeout=600

test-slow: $(READY)
	unset LOWLIGHT_PROFILE LOWLIGHT_DATA LOWLIGHT_OUT; \
	  $(VPY) -m pytest tests -q -m slow

# Of the site and of runs/latest, where they are; CHROMIUM=path names the browser.
test-browser: $(READY)
	$(VPY) -m pip install -q -c .venv/constraints.txt -e ".[browser]"
	$(VPY) -m pytest tests/browser -q -m browser

# Nothing is executed: the pages show the outputs that are committed.
site: $(READY)
	$(VPY) -m pip install -q -c .venv/constraints.txt -e ".[site]"
	mkdir -p build/site_source
	rm -rf build/site
	$(VPY) -m sphinx -W --keep-going -q -c docs -d build/site_doctrees build/site_source build/site
	@echo "build/site/index.html opens without a server"

lint: $(READY)
	$(VPY) -m ruff check $(CODE)
	$(VPY) -m ruff format --check $(CODE)

types: $(READY)
	$(VPY) -m pyright --pythonpath $(VPY)

mini: $(READY)
	$(VPY) -m lowlight_lib.cli data mini datasets/mini

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .hypothesis runs/nbval
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

install: $(READY)

# The stamp is written last, so a set-up that broke off is done again; pip skips what is there.
$(READY): pyproject.toml requirements.lock
	@test -x $(VPY) || test -x $(VPY).exe || { \
	  python=""; seen=""; \
	  for p in $(if $(PYTHON),"$(PYTHON)",python3 python $(NEWEST)); do \
	    v=$$("$$p" -c "import sys; print('%d.%d' % sys.version_info[:2])" 2>/dev/null) || continue; \
	    if "$$p" -c "import sys; sys.exit(sys.version_info < (3, 11))"; then python="$$p"; break; fi; \
	    seen="$$seen $$p=$$v"; \
	  done; \
	  if [ -z "$$python" ]; then \
	    echo "Python 3.11 or newer is needed; found:$${seen:- none}." >&2; \
	    echo "Install one, and where it is not on the PATH: make PYTHON=/path/to/python3" >&2; \
	    exit 1; \
	  fi; \
	  if ! "$$python" -c "import venv, ensurepip" 2>/dev/null; then \
	    echo "$$python has no venv module. On Debian and Ubuntu: apt install python3-venv" >&2; \
	    exit 1; \
	  fi; \
	  echo "Making .venv with $$python ($$v)"; \
	  "$$python" -m venv .venv || { rm -rf .venv; exit 1; }; \
	}
	$(VPY) .ci/constraints.py requirements.lock > .venv/constraints.txt
	$(VPY) -m pip install -c .venv/constraints.txt -e ".[dev,deploy]"
	@touch $@
