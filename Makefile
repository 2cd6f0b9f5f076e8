# Every target is one line that calls Snakemake or one entry point. `make study` does all the set-up.
STUDY    ?= phantom
override NAMED := $(filter-out file,$(origin STUDY))
PROTOCOL ?= quick
PROFILE  ?= local
JOBS     ?= all
PYTHON   ?= python3
OUT      ?= predictions
# where real images may lie beside the repository, and ImageNet weights of VGG16 (downloaded where they do not)
QVUM_DATA ?= ../shared/data
ifeq ($(origin ENCODER_WEIGHTS),undefined)  # expanded here: what is handed on is the value, never its formula
ENCODER_WEIGHTS := $(wildcard $(value QVUM_DATA)/../weights/vgg16_imagenet_features.safetensors)
endif

# What a variable holds reaches the recipes as environment, "$$NAME": neither make nor a shell reads it as anything else
override NAMES := STUDY PROTOCOL PROFILE JOBS DATA OUT KEY PATIENTS FORM PAPER MODEL IMAGES FILES SIZE EPOCHS MODELS QVUM_DATA ENCODER_WEIGHTS ADVISORIES METRIC CLASS_NAME TEST UNIT MARGIN TABLE HEADLINE REPEAT PYTHON PDF QUICK
$(foreach name,$(NAMES),$(eval override $(name) := $$(value $(name))))
export $(NAMES)
unexport PYTHONDONTWRITEBYTECODE  # else every kernel compiles its libraries anew
# a user whom the machine does not know, as in a container, may have neither home nor name
ifeq ($(origin HOME),undefined)
export HOME := $(CURDIR)/.snakemake/home
endif
ifeq ($(origin USER)$(origin LOGNAME),undefinedundefined)
export USER := $(shell id -un 2> /dev/null)
endif

# a module, not its script: the first line of a script says where the tree was when it was installed
override PY    := .venv/bin/python
override SET    = PROTOCOL="$$PROTOCOL$${SIZE:+,size=$$SIZE}$${EPOCHS:+,epochs=$$EPOCHS}$${MODELS:+,models=$$(printf %s "$$MODELS" | tr ' ' +)}"
override SNAKE  = $(SET) $(PY) -m snakemake --profile "profiles/$$PROFILE" --cores "$$JOBS"
# the workflow keeps its own notes beside the Makefile, and ends in a traceback where it may not
override FREE   = for place in . .snakemake; do [ ! -e $$place ] || [ -w $$place ] || { echo "error: $$PWD/$$place: cannot be written to; free it, or work in a copy elsewhere" >&2; exit 1; }; done
override LINT   = .venv/bin/ruff check . && { .venv/bin/ruff format --check . || { echo "Python: run .venv/bin/ruff format ."; false; }; } && { $(PY) -m snakefmt --check Snakefile 2> /dev/null || { echo "Snakefile: run .venv/bin/snakefmt Snakefile"; false; }; }
override WHO    = --study "$$STUDY" --protocol "$$PROTOCOL"

.PHONY: oldest env study plan book manuscript analysis compare keep reproduce test test-kill test-cluster check lab bench verify readers audit anonymous manifest mine data predict sbom lock clean

# a bare environment in the folder $(1) that holds uv from the lock; what was interrupted is made
# anew, because half a package passes for one
define bare
@"$$PYTHON" -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "error: Python 3.11 to 3.13 is needed; name one with PYTHON=python3.12")'
@rm -rf $(1).gone; [ -e $(1)/.ready ] || [ ! -e $(1) ] || mv $(1) $(1).gone; rm -rf $(1).gone
@$(1)/bin/python -m pip --version > /dev/null 2>&1 || { rm -rf $(1) && "$$PYTHON" -m venv $(1); }
@rm -f $(1)/.ready
@awk '/^uv==/ {on = 1} on {print} on && !/\\$$/ {exit}' requirements.lock > $(1)/uv.lock
@$(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1)/uv.lock
@echo "installing the locked packages into $(1)"
endef

env: .venv/.ready
.venv/.ready: requirements.lock
	$(call bare,.venv)
	@.venv/bin/uv pip sync --quiet --python $(PY) --require-hashes requirements.lock
	@$(PY) -c 'import os, pathlib, site; place = site.getsitepackages()[0]; pathlib.Path(place, "study.pth").write_text(os.path.relpath(os.getcwd(), place))'
	@touch $@
# what numbers alone need: the dependencies of pyproject.toml without its extras, as the lock has them
.venv-analysis/.ready: requirements.lock pyproject.toml
	$(call bare,.venv-analysis)
	@.venv-analysis/bin/uv pip install --quiet --python .venv-analysis/bin/python --constraint requirements.lock --requirement pyproject.toml
	@touch $@

study: env ; @$(FREE); $(SNAKE) && $(SET) && $(PY) -m helpers headline $(WHO)
plan: env ; @$(FREE); $(SNAKE) --dry-run && $(SET) && $(PY) -m helpers plan $(WHO)
book: env ; @$(FREE); $(SNAKE) --forcerun book && $(SET) && { [ -z "$$PDF" ] || $(PY) -m tools.book $(WHO) --pdf; } && $(PY) -m helpers headline $(WHO)
manuscript: env ; @$(PY) -m tools.book.manuscript $(WHO)
# from kept numbers alone; METRIC, CLASS_NAME, TEST, UNIT or MARGIN make a trial of the pages that take them as well
analysis: .venv-analysis/.ready ; @.venv-analysis/bin/python -m tools.book.analysis $(WHO) $${METRIC:+--metric "$$METRIC"} $${CLASS_NAME:+--class_name "$$CLASS_NAME"} $${TEST:+--test "$$TEST"} $${UNIT:+--unit "$$UNIT"} $${MARGIN:+--margin "$$MARGIN"}
compare: .venv-analysis/.ready ; @.venv-analysis/bin/python -m tools.compare "$$TABLE" $${PATIENTS:+--patients "$$PATIENTS"} $${HEADLINE:+--headline "$$HEADLINE"} $${METRIC:+--metric "$$METRIC"} $${CLASS_NAME:+--class_name "$$CLASS_NAME"} $${TEST:+--test "$$TEST"} $${MARGIN:+--margin "$$MARGIN"}
keep: env ; @$(PY) -m helpers keep $(WHO)
reproduce: env ; @$(PY) -m helpers reproduce $(WHO)
# types are checked beside the tests, since mypy keeps one core alone busy for half a minute
test: env ; @$(LINT) && { $(PY) -m mypy & types=$$!; $(PY) -m pytest && wait $$types; }
check: env ; @$(LINT) && { $(PY) -m mypy & types=$$!; $(PY) -m pytest -m "not slow" --durations=0 --durations-min=2 && wait $$types; }
oldest: env ; @.venv/bin/uv venv --quiet --clear --python $(PY) .venv-oldest && .venv/bin/uv pip install --quiet --python .venv-oldest/bin/python --resolution lowest-direct -r pyproject.toml --extra study --extra test && .venv-oldest/bin/python -m pytest -m "not slow" --deselect tests/test_environment.py::test_this_environment_is_the_locked_one
mine: env ; @$(SET) $(PY) -m tools.intake --study "$$STUDY" --data "$$DATA" $${PATIENTS:+--patients "$$PATIENTS"} $${FORM:+--form "$$FORM"} --first
lab: env ; @$(PY) -m jupyterlab --notebook-dir notebooks
test-kill: env ; @$(PY) tests/kill.py
test-cluster: env ; @$(PY) tests/cluster.py
bench: env ; @for script in benchmarks/*.py; do $(PY) $$script || exit; done
verify: env ; @export $(SET); $(PY) -m tools.book.verify $(WHO) $${QUICK:+--quick} $${KEY:+--key "$$KEY"}
readers: env ; @$(PY) -m tools.book.readers $(WHO) $$FILES
audit: env ; @$(PY) -m tools.audit "$$PAPER"
anonymous: env ; @$(PY) -m tools.intake.anonymous --data "$$DATA" --out "$$OUT" --key "$$KEY" $${PATIENTS:+--patients "$$PATIENTS"} $${FORM:+--form "$$FORM"}
manifest: env ; @$(PY) -m tools.intake --study "$$STUDY" --data "$$DATA" $${PATIENTS:+--patients "$$PATIENTS"} $${FORM:+--form "$$FORM"}
data: env ; @$(PY) -m tools.intake.fetch --study "$$STUDY" $${DATA:+--out "$$DATA"}
predict: env ; @$(PY) -m tools.predict --model "$$MODEL" --images "$$IMAGES" --out "$$OUT"
sbom: env ; @$(PY) -m tools.book.sbom $${ADVISORIES:+--advisories "$$ADVISORIES"}
lock: env ; @.venv/bin/uv pip compile --quiet --universal --generate-hashes --upgrade --python-version 3.11 --extra study --extra test --no-header --no-annotate pyproject.toml -o requirements.lock
clean: ; @$(if $(NAMED),"$$PYTHON" -m helpers clean --study "$$STUDY",echo "error: name the study whose runs and book shall be removed: make clean STUDY=phantom" >&2; exit 1)
