"""The study as a graph of steps: rules only, the work is in helpers/, tools/ and notebooks/.

A step runs again when a file that it reads, a module that it imports or a parameter that it uses has
changed, or when something that it made is gone or has other bytes. Trainings depend on their own
settings, not on the whole study.yml; which pages depend on which stands in the notebooks' metadata.
Names reach the shell quoted (:q), and only such as studies.NAME allows.
"""

import os
import re
import sys
from pathlib import Path

from helpers import plan, provenance, schemas, studies
from helpers.errors import in_a_line
from helpers.models import catalogue
from helpers.workflow import keep, settings, warm

REPOSITORY = Path(workflow.basedir)
STUDY, DATA, GENERATED = settings.begin(
    os.environ.get("STUDY") or "phantom",
    os.environ.get("PROTOCOL") or "quick",
    os.environ.get("DATA"),
)
NAME, RUN = STUDY.name, f"runs/{STUDY.name}"
WHO = ["--study", NAME, "--protocol", STUDY.protocol]
NOTEBOOK = [
    "-p",
    "study",
    NAME,
    "-p",
    "protocol",
    STUDY.protocol,
    "--minutes",
    str(STUDY.spec["time_limit_min"]),
]

os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")])
)
# no two jobs of a cluster share a process: it would end with the one that started it
if workflow.is_main_process and not workflow.non_local_exec:
    os.environ["STUDY_WARM"] = warm.place()
PYTHON = sys.executable
if workflow.is_main_process:
    RUNS = "--dry-run" not in sys.argv  # a plan writes nothing, and says what would be made again
    with in_a_line():
        settings.refuse(STUDY, RUNS)
        LOCK = settings.only_one(STUDY) if RUNS else None
        for line in settings.forget_changed(STUDY, RUNS):
            print(line, file=sys.stderr)
        if RUNS:
            plan.seal(STUDY)  # before the first training; never again once there is one

TRAININGS = settings.trainings(STUDY)  # folder → network, fold, seed
# of these only the counts are shown: kept ones are taken as they are (REPEAT=1 trains them again)
with in_a_line():
    KEPT = {} if os.environ.get("REPEAT") else keep.reusable(STUDY)
TRAIN = [training for training in TRAININGS if training not in KEPT]
if workflow.is_main_process and KEPT:
    print(
        f"taken from kept numbers, REPEAT=1 trains them again: {', '.join(KEPT)}", file=sys.stderr
    )
ABOUT = settings.pages(REPOSITORY / "notebooks")
PAGES = [page for page, said in ABOUT.items() if "run" not in said]
PRINTED = ("printed", "audit", "printed_pairs", "printed_items")
PAPERS = [
    p
    for p in sorted(STUDY.root.parent.glob("*/published.yml"))
    if re.fullmatch(studies.NAME, p.parent.name)
]
TRAINED = (
    "03_train.json",
    "counts.csv",
)  # the record knows of all its files; the counts go on by content


def code(*files):
    """The given files of the repository and every module that they import."""
    return provenance.sources(*(REPOSITORY / f for f in files))


def manifest(*suffixes):
    """The study's manifest files with these suffixes; study.yml is not among them, steps take what they use of it."""
    found = [name for name in sorted([*schemas.TABLES, "published.yml"]) if name.endswith(suffixes)]
    return [f"data_manifest/{NAME}/{name}" for name in found if (STUDY.root / name).is_file()]


wildcard_constraints:
    training=r"[^/]+/[^/]+",
    page="|".join(PAGES),


rule all:  # every record, not the book's alone: what it lists is compared before the workflow begins
    default_target: True
    input:
        f"{RUN}/book.json",
        f"{RUN}/results.json",
        f"{RUN}/printed.json",
        f"{RUN}/cache.json",
        [f"{RUN}/data.json"] if GENERATED else [],
        expand(f"{RUN}/notebooks/{{page}}.json", page=PAGES),
        expand(f"{RUN}/train/{{training}}/{{file}}", training=TRAIN, file=TRAINED),


rule book:
    input:
        expand(f"{RUN}/notebooks/{{page}}.json", page=PAGES),
        expand(f"{RUN}/train/{{training}}/03_train.json", training=TRAIN),
        code=code("tools/book/__main__.py"),
        style=[
            os.path.relpath(p, REPOSITORY)
            for p in sorted((REPOSITORY / "tools/book").glob("book/*.*"))
        ],
        words=["tools/book/claim.yml", "CORRECTNESS.md", "CITATION.cff", "requirements.lock"],
    output:
        f"{RUN}/book.json",  # its record: the old book stays until the new one is whole
    log:
        f"{RUN}/logs/book.log",
    params:
        study=settings.settings(STUDY),
        who=WHO,
    shell:
        "{PYTHON:q} -m tools.book {params.who:q} 2>&1 | tee {log:q}"


rule phantom:
    input:
        manifest=manifest(".csv"),
        code=code("tools/phantom/__main__.py"),
    output:
        f"{RUN}/data.json",
    log:
        f"{RUN}/logs/phantom.log",
    threads: workflow.cores
    params:
        data=DATA,
        name=NAME,
        subset=(
            ["--images-per-patient", str(k)] if (k := STUDY.spec.get("images_per_patient")) else []
        ),
    shell:
        "{{ {PYTHON:q} -m tools.phantom --study {params.name:q} --out {params.data:q} {params.subset:q} && "
        "{PYTHON:q} -m helpers made {output:q} {params.data:q}; }} 2>&1 | tee {log:q}"


rule check:
    input:
        manifest=manifest(".csv"),
        data=[f"{RUN}/data.json"] if GENERATED else [],
        code=code("helpers/cache.py"),
    output:
        f"{RUN}/cache/check.json",
        f"{RUN}/cache.json",
    log:
        f"{RUN}/logs/check.log",
    threads: workflow.cores
    params:
        files="" if GENERATED else settings.folder_state(STUDY, DATA),
        settings=settings.cache_settings(STUDY),
        who=[*WHO, "--data", DATA],
    shell:
        "{PYTHON:q} -m helpers check {params.who:q} 2>&1 | tee {log:q}"


rule train:
    input:
        check=f"{RUN}/cache/check.json",  # not ancient(): a step behind one that runs would not be looked at at all
        page="notebooks/03_train.ipynb",  # itself, not helpers.figures: a colour trains nothing again
    output:
        [f"{RUN}/train/{{training}}/{file}" for file in TRAINED],
    log:
        f"{RUN}/logs/train/{{training}}.log",
    priority: 1
    threads: max(1, workflow.cores // 2)  # two side by side: one starts or counts while the other computes
    resources:
        gpu=settings.gpus_wanted(),
    params:
        code=lambda w: catalogue.code(TRAININGS[w.training][0]),  # a digest: of 10,000 trainings, 40 files each
        spec=lambda w: settings.training_settings(STUDY, *TRAININGS[w.training][:2]),
        which=lambda w: [*NOTEBOOK, *settings.training_parameters(*TRAININGS[w.training])],
        notebook=f"{RUN}/train/{{training}}/03_train.ipynb",
    shell:
        "OMP_NUM_THREADS={threads} {PYTHON:q} -m helpers notebook {REPOSITORY:q}/notebooks/03_train.ipynb "
        "{params.notebook:q} {params.which:q} 2>&1 | tee {log:q}"


# folds come last: many and short, they fill what the long trainings leave of the cores
use rule train as fold with:
    wildcard_constraints:
        training=settings.one_of(name for name in TRAININGS if TRAININGS[name][1] != "main"),
    priority: 0


ruleorder: kept > fold > train


rule kept:
    input:
        check=f"{RUN}/cache/check.json",
        counts=lambda w: os.path.relpath(KEPT[w.training] / "counts.csv.gz", studies.ROOT),
        code=code("helpers/workflow/keep.py"),
    output:
        f"{RUN}/train/{{training}}/counts.csv",
        f"{RUN}/train/{{training}}/weights.json",
    log:
        f"{RUN}/logs/train/{{training}}.log",
    wildcard_constraints:
        training=settings.one_of(KEPT),
    params:
        who=WHO,
    shell:
        "{PYTHON:q} -m helpers restore {params.who:q} {wildcards.training:q} 2>&1 | tee {log:q}"


rule results:
    input:
        expand(f"{RUN}/train/{{training}}/counts.csv", training=TRAININGS),
        code=code("helpers/workflow/results.py"),
    output:
        f"{RUN}/results/per_image.csv",
        f"{RUN}/results.json",
    log:
        f"{RUN}/logs/results.log",
    params:
        who=WHO,
    shell:
        "{PYTHON:q} -m helpers results {params.who:q} 2>&1 | tee {log:q}"


rule printed:
    input:
        papers=[f"data_manifest/{p.parent.name}/published.yml" for p in PAPERS],
        format=[
            os.path.relpath(p, REPOSITORY)
            for p in sorted((REPOSITORY / "tools/audit").glob("*.yml"))
        ],
        code=code("tools/audit/__main__.py"),
    output:
        tables=[f"{RUN}/results/{table}.csv" for table in PRINTED],
        record=f"{RUN}/printed.json",
    log:
        f"{RUN}/logs/printed.log",
    params:
        paper=f"data_manifest/{NAME}/published.yml",
        out=f"{RUN}/results",
    shell:
        "{{ {PYTHON:q} -m tools.audit {params.paper:q} --out {params.out:q} && "
        "{PYTHON:q} -m helpers made {output.record:q} {output.tables:q}; }} 2>&1 | tee {log:q}"


rule page:
    input:
        results=lambda w: (
            f"{RUN}/cache/check.json"
            if ABOUT[w.page].get("needs") == "images"
            else f"{RUN}/results/per_image.csv"
        ),
        printed=[f"{RUN}/results/{table}.csv" for table in PRINTED],
        others=lambda w: [f"{RUN}/notebooks/{page}.json" for page in ABOUT[w.page].get("reads", ())],
        manifest=manifest(".csv", ".yml"),
        code=lambda w: code(f"notebooks/{w.page}.ipynb"),
    output:
        f"{RUN}/notebooks/{{page}}.json",
    log:
        f"{RUN}/logs/{{page}}.log",
    group:
        lambda w: settings.group(w.page, ABOUT[w.page])
    threads: lambda w: workflow.cores if ABOUT[w.page].get("threads") == "all" else 1  # a quiet machine
    params:
        study=lambda w: settings.settings(STUDY, ABOUT[w.page].get("without", ())),
        which=NOTEBOOK,
        notebook=f"{RUN}/notebooks/{{page}}.ipynb",
    shell:
        "OMP_NUM_THREADS={threads} {PYTHON:q} -m helpers notebook {REPOSITORY:q}/notebooks/{wildcards.page}.ipynb "
        "{params.notebook:q} {params.which:q} 2>&1 | tee {log:q}"


onerror:
    for line in settings.errors(log):
        print(line, file=sys.stderr)
