# Every target is one line that calls Snakemake or one entry point of helpers. `make study` does all the set-up.
STUDY    ?= phantom
PROTOCOL ?= quick
PROFILE  ?= local
JOBS     ?= all
DATA     ?=
PYTHON   ?= python3
PY       := .venv/bin/python
# where real images may lie beside the repository, and ImageNet weights of VGG16 (downloaded where they do not)
export QVUM_DATA       ?= ../shared/data
export ENCODER_WEIGHTS ?= $(wildcard $(QVUM_DATA)/../weights/vgg16_imagenet_features.safetensors)
SNAKE     = .venv/bin/snakemake --profile profiles/$(PROFILE) $(if $(filter-out all,$(JOBS)),--cores $(JOBS)) \
            --config study=$(STUDY) protocol=$(PROTOCOL) data=$(DATA)
WHO       = --study $(STUDY) --protocol $(PROTOCOL)

.PHONY: env study plan book keep test lab bench verify audit anonymous manifest data predict lock clean
env: .venv/.ready
.venv/.ready: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "error: Python 3.11 to 3.13 is needed; name one with PYTHON=python3.12")'
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@awk '/^uv==/ {on = 1} on {print} on && !/\\$$/ {exit}' requirements.lock > .venv/uv.lock
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.lock
	@echo "installing the locked environment into .venv" && .venv/bin/uv pip sync --quiet --python $(PY) --require-hashes requirements.lock
	@$(PY) -c "import pathlib, site; pathlib.Path(site.getsitepackages()[0], 'study.pth').write_text('$(CURDIR)')"
	@touch $@

study: env ; @$(SNAKE) && $(PY) -m helpers.workflow.headline $(WHO)
plan: env ; @$(SNAKE) --dry-run
book: env ; @$(SNAKE) --forcerun book && $(if $(PDF),$(PY) -m tools.book $(WHO) --pdf &&) $(PY) -m helpers.workflow.headline $(WHO)
keep: env ; @$(PY) -m helpers.workflow.keep $(WHO)
test: env ; @.venv/bin/ruff check . && .venv/bin/ruff format --check . && $(PY) -m pytest
lab: env ; @$(PY) -m jupyterlab --notebook-dir notebooks
bench: env ; @for script in benchmarks/*.py; do $(PY) $$script || exit; done
verify: env ; @$(PY) -m tools.book.verify $(WHO)
audit: env ; @$(PY) -m tools.audit $(PAPER)
anonymous: env ; @$(PY) -m tools.intake.anonymous --data $(DATA) --out $(OUT) --key $(KEY) $(if $(PATIENTS),--patients $(PATIENTS)) $(if $(FORM),--form $(FORM))
manifest: env ; @$(PY) -m tools.intake --study $(STUDY) --data $(DATA) $(if $(PATIENTS),--patients $(PATIENTS)) $(if $(FORM),--form $(FORM))
data: env ; @$(PY) -m tools.intake.fetch --study $(STUDY) $(if $(DATA),--out $(DATA))
predict: env ; @$(PY) -m tools.predict --model $(MODEL) --images $(IMAGES) --out $(or $(OUT),predictions)
lock: env ; @.venv/bin/uv pip compile --quiet --universal --generate-hashes --upgrade --python-version 3.11 --extra test --no-header --no-annotate pyproject.toml -o requirements.lock
clean: ; @rm -rf runs/$(STUDY) reports/$(STUDY)/book
