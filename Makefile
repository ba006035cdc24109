# extendctl: every target that a person or the CI calls. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.SUFFIXES:

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/installed-from-lock

# What the tests need of Debian: the lab's machines, an sshd to talk to, filesystems to grow.
PACKAGES := qemu-system-x86 qemu-utils mmdebstrap openssh-server openssh-client sudo \
	xfsprogs btrfs-progs e2fsprogs util-linux postgresql \
	mariadb-server-core strace iproute2

# Tests without machines share the cores; those with machines need them one after the other.
ALONGSIDE := -n auto --dist worksteal

# What of the lab would make `make test` too long.
MORE := $(addprefix tests/lab/test_,targets.py pauses.py least_power.py \
	program_dies.py discovery.py)

# In CI nothing may be skipped: a test that could not run is a test that failed.
ifeq ($(CI),true)
export EXTENDCTL_REQUIRE_LAB := 1
endif

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: venv
venv: $(STAMP) ## make .venv with exactly what requirements.lock names

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; choose it with: make PYTHON=python3.11 venv"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "Python cannot make environments here: apt-get install python3-venv"; exit 1; }
	@echo "Installing into $(VENV), from requirements.lock:"
	@grep -oE '^[A-Za-z0-9._-]+==[^ ]+' requirements.lock | paste -sd ' ' | fold -s -w 96 | sed 's/^/  /'
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
	@echo "Done: $(VENV)/bin/extendctl"

.PHONY: packages
packages: ## install the Debian packages that the tests need (as root; else says which)
	@wanted="$(PACKAGES)"; $(PYTHON) -c 'import ensurepip' 2>/dev/null || wanted="$$wanted python3-venv"; \
	missing=""; for name in $$wanted; do \
		dpkg-query -W -f '$${Status}' $$name 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$name"; \
	done; \
	if [ -z "$$missing" ]; then echo "Debian packages for the tests: all there."; \
	elif [ "$$(id -u)" != 0 ]; then \
		echo "Debian packages for the tests are missing; as root: apt-get install --no-install-recommends$$missing"; \
		[ -z "$${EXTENDCTL_REQUIRE_LAB:-}" ]; \
	else \
		echo "Installing Debian packages for the tests:$$missing"; \
		log=$$(mktemp); export DEBIAN_FRONTEND=noninteractive; \
		{ apt-get update -qq && apt-get install -qq -y --no-install-recommends $$missing; } >$$log 2>&1 || \
			{ cat $$log; echo "apt-get failed, as it says above"; exit 1; }; \
		rm -f $$log; \
	fi

.PHONY: lint
lint: venv ## ruff check, ruff format --check, mypy --strict
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy --strict

.PHONY: unit
unit: venv ## the tests that need no machines, but for the long and slow ones, in a minute and a half
	$(PY) -m pytest -q $(ALONGSIDE) -m 'not lab and not live and not long and not slow'

.PHONY: live
live: venv ## the tests on this machine's loop devices (root)
	$(PY) -m pytest -m live

.PHONY: lab
lab: packages venv ## start the lab's virtual machines, to work with by hand
	$(PY) -m tests.lab up

.PHONY: lab-down
lab-down: venv ## stop them
	$(PY) -m tests.lab down

.PHONY: test
test: packages venv lint ## install what is missing, lint, all tests but `tall`, the lab from nothing
	$(PY) -m pytest $(ALONGSIDE) -m 'not lab and not live'
	$(PY) -m pytest -m '(lab or live) and not more' $(MORE:%=--ignore=%)

.PHONY: tall
tall: packages venv ## more of the lab: every stack, other targets, least power, fio, kill -9; an hour
	$(PY) -m pytest -m more tests/lab
	$(PY) -m pytest $(MORE)

.PHONY: torture
torture: packages venv ## faults of every kind for MINUTES=60, into docs/reliability.md; or one case: SEED=N; LAB=no
	$(PY) -m tests.torture $(if $(SEED),--seed $(SEED),--minutes $(or $(MINUTES),60) $(if $(filter no,$(LAB)),--no-lab))

.PHONY: mutants
mutants: venv ## drop one safeguard of the program after another: a test has to notice each
	$(PY) -m tests.torture.mutants $(if $(ONLY),$(ONLY))

.PHONY: demo
demo: venv ## watch a mounted filesystem grow under a writer, on this machine (root)
	$(PY) demo/demo.py

.PHONY: bench
bench: venv ## measure the main job against shell scripts, here and in the lab (root; half an hour)
	$(PY) -m benchmarks.main_job

SECONDS ?= 300

.PHONY: fuzz
fuzz: venv ## fuzz every parser for SECONDS=300 in all; what breaks one is kept in .fuzz/broken
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
		--only-binary=:all: --upgrade --target .fuzz/atheris -r tests/fuzz/requirements.txt
	PYTHONPATH=.fuzz/atheris $(PY) -m tests.fuzz $(SECONDS)

.PHONY: lock
lock: ## renew requirements.lock with the newest releases that pyproject.toml allows
	@dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	echo "Resolving with pip-tools, in an environment of its own"; \
	$(PYTHON) -m venv $$dir/venv; \
	$$dir/venv/bin/pip install --quiet --disable-pip-version-check pip-tools; \
	$$dir/venv/bin/python -c "$$WANTED" > $$dir/requirements.in; \
	$$dir/venv/bin/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe --strip-extras \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--no-emit-options --output-file $$dir/requirements.lock $$dir/requirements.in; \
	{ echo "# Everything in .venv, pinned and hashed. Renew with: make lock"; \
	  cat $$dir/requirements.lock; } > requirements.lock; \
	grep -c == requirements.lock | sed 's/$$/ packages pinned in requirements.lock/'

# Run, develop and build: all that pyproject.toml names, one requirement a line.
define WANTED
import tomllib
project = tomllib.load(open('pyproject.toml', 'rb'))
wanted = list(project['project']['dependencies'])
for extra in project['project']['optional-dependencies'].values():
    wanted += extra
print('\n'.join(wanted + project['dependency-groups']['dev'] + project['build-system']['requires']))
endef
export WANTED

.PHONY: clean
clean: ## remove .venv, caches and built packages
	rm -rf $(VENV) dist build .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis .fuzz
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
