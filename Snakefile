"""The study as a graph of steps: rules only, the work is in helpers/ and notebooks/.

A step runs again when a file that it reads, a module that it imports or a parameter that it uses has changed, or
when something that it made is gone. Trainings depend on their own settings, not on the whole study.yml.
"""

import json
import os
import sys
from pathlib import Path

from helpers import provenance, runs
from helpers.workflow import steps

REPOSITORY = Path(workflow.basedir)
STUDY, DATA, GENERATED = steps.begin(config.get("study", "phantom"), config.get("protocol", "quick"), config.get("data"))
NAME, PROTOCOL, RUN = STUDY.name, STUDY.protocol, f"runs/{STUDY.name}"
BOOK = f"reports/{NAME}/book/index.html"
MINUTES = STUDY.spec["time_limit_min"]
WHO = f"--study {NAME} --protocol {PROTOCOL}"
NOTEBOOK = f"-p study {NAME} -p protocol {PROTOCOL}"

os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
PYTHON = sys.executable
steps.forget_incomplete(STUDY)

TRAININGS = [f"{runs.slug(m)}/{fold}_{seed}" for m, fold, seed in STUDY.trainings()]
PAGES = [p.stem for p in sorted((REPOSITORY / "notebooks").glob("*.ipynb")) if p.stem not in steps.BY_HAND]
EARLY = ("01", "07")  # need the images but no result
AFTER = {"00": [p[:2] for p in PAGES if p[:2] != "00"], "04": ["02"], "05": ["02"], "09": ["07"], "10": ["02"]}  # pages read by other pages


def code(*files):
    """The given files of the repository and every module that they import."""
    return [str(REPOSITORY / f) for f in provenance.sources(*(REPOSITORY / f for f in files))]


def manifest(*suffixes):
    """The study's manifest files with these suffixes; study.yml is not among them, steps take what they use of it."""
    found = sorted(p.name for p in STUDY.root.iterdir() if p.suffix in suffixes and p.name != "study.yml")
    return [f"data_manifest/{NAME}/{name}" for name in found]


wildcard_constraints:
    training=r"[^/]+/[^/]+",
    page="|".join(PAGES),


TRAINED = ("03_train.json", "counts.csv", "history.csv", "predictions.npy", "weights.safetensors", "weights.json")


rule all:  # names every file, not the book alone: a lost one is made again although the book is still there
    default_target: True
    input:
        BOOK,
        f"{RUN}/results/per_image.csv",
        [f"{RUN}/data.json"] if GENERATED else [],
        expand(f"{RUN}/cache/{{file}}", file=("check.json", "images.npy", "masks.npy", "index.csv")),
        expand(f"{RUN}/notebooks/{{page}}.json", page=PAGES),
        expand(f"{RUN}/train/{{training}}/{{file}}", training=TRAININGS, file=TRAINED),


rule book:
    input:
        expand(f"{RUN}/notebooks/{{page}}.json", page=PAGES),
        expand(f"{RUN}/train/{{training}}/03_train.json", training=TRAININGS),
        code=code("tools/book/__main__.py"),
        style=[str(p) for p in sorted((REPOSITORY / "tools/book").glob("*/*")) if p.is_file()],
    output:
        BOOK,
    params:
        study=steps.settings(STUDY),
    log:
        f"{RUN}/logs/book.log",
    shell:
        "{PYTHON} -m tools.book {WHO} 2>&1 | tee {log}"


rule phantom:
    input:
        manifest=manifest(".csv"),
        code=code("tools/phantom/__main__.py"),
    output:
        f"{RUN}/data.json",
    params:
        subset=f"--images-per-patient {k}" if (k := STUDY.spec.get("images_per_patient")) else "",
    threads: workflow.cores
    log:
        f"{RUN}/logs/phantom.log",
    shell:
        "{PYTHON} -m tools.phantom --study {NAME} --out {DATA} {params.subset} 2>&1 | tee {log} && "
        "{PYTHON} -m helpers.workflow.steps made {output} {DATA}"


rule check:
    input:
        manifest=manifest(".csv"),
        data=[f"{RUN}/data.json"] if GENERATED else [],
        code=code("helpers/datasets.py"),
    output:
        f"{RUN}/cache/check.json",
        f"{RUN}/cache/images.npy",
        f"{RUN}/cache/masks.npy",
        f"{RUN}/cache/index.csv",
    params:
        files="" if GENERATED else steps.folder_state(STUDY, DATA),
        settings=steps.cache_settings(STUDY),
    threads: workflow.cores
    log:
        f"{RUN}/logs/check.log",
    shell:
        "{PYTHON} -m helpers.datasets {WHO} --data {DATA:q} 2>&1 | tee {log}"


rule train:
    input:
        check=f"{RUN}/cache/check.json",  # not ancient(): a step behind one that runs would not be looked at at all
        code=lambda w: code("helpers/training/loop.py", steps.network_file(STUDY, w.training)),
        page=str(REPOSITORY / "notebooks/03_train.ipynb"),  # itself, not helpers.figures: a colour trains nothing again
    output:
        [f"{RUN}/train/{{training}}/{file}" for file in TRAINED],
    params:
        spec=lambda w: steps.training_settings(STUDY, w.training),
        which=lambda w: steps.training_parameters(STUDY, w.training),
    threads: max(1, workflow.cores // 2)  # two side by side: one starts or counts while the other computes
    resources:
        gpu=steps.gpus_wanted(),
    log:
        f"{RUN}/logs/train/{{training}}.log",
    shell:
        "OMP_NUM_THREADS={threads} {PYTHON} -m helpers.workflow.notebook {REPOSITORY}/notebooks/03_train.ipynb "
        "{RUN}/train/{wildcards.training}/03_train.ipynb {NOTEBOOK} {params.which} --minutes {MINUTES} 2>&1 | tee {log}"


rule results:
    input:
        expand(f"{RUN}/train/{{training}}/counts.csv", training=TRAININGS),
        code=code("helpers/workflow/steps.py"),
    output:
        f"{RUN}/results/per_image.csv",
    log:
        f"{RUN}/logs/results.log",
    shell:
        "{PYTHON} -m helpers.workflow.steps results {output} {input} 2>&1 | tee {log}"


PRINTED = ("printed", "audit", "printed_pairs", "printed_items")


rule printed:
    input:
        papers=[f"data_manifest/{p.parent.name}/published.yml" for p in sorted(STUDY.root.parent.glob("*/published.yml"))],
        format=[str(p) for p in sorted((REPOSITORY / "tools/audit").glob("*.yml"))],
        code=code("tools/audit/__main__.py"),
    output:
        [f"{RUN}/results/{table}.csv" for table in PRINTED],
    log:
        f"{RUN}/logs/printed.log",
    shell:
        "{PYTHON} -m tools.audit data_manifest/{NAME}/published.yml --out {RUN}/results 2>&1 | tee {log}"


rule page:
    input:
        results=lambda w: [f"{RUN}/cache/check.json" if w.page[:2] in EARLY else f"{RUN}/results/per_image.csv"],
        others=lambda w: [f"{RUN}/notebooks/{p}.json" for p in PAGES if p[:2] in AFTER.get(w.page[:2], ())],
        manifest=manifest(".csv", ".yml"),
        printed=lambda w: [f"{RUN}/results/{t}.csv" for t in PRINTED] if w.page[:2] in ("07", "09") else [],
        code=lambda w: code(f"notebooks/{w.page}.ipynb"),
    output:
        f"{RUN}/notebooks/{{page}}.json",
    params:
        study=steps.settings(STUDY),
    threads: lambda w: workflow.cores if w.page.startswith("07") else 1  # speed is measured on a quiet machine
    log:
        f"{RUN}/logs/{{page}}.log",
    shell:
        "OMP_NUM_THREADS={threads} {PYTHON} -m helpers.workflow.notebook {REPOSITORY}/notebooks/{wildcards.page}.ipynb "
        "{RUN}/notebooks/{wildcards.page}.ipynb {NOTEBOOK} --minutes {MINUTES} 2>&1 | tee {log}"


onerror:
    for line in steps.errors(log):
        print(line, file=sys.stderr)
