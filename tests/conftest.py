"""A tiny phantom study in a folder of its own: a few patients, small images, one epoch."""

import functools
import gc
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy reads it: two workers, two cores

import hypothesis
import pandas as pd
import pytest
import yaml
from xdist.scheduler import LoadScopeScheduling

REPOSITORY = Path(__file__).resolve().parent.parent
OFFLINE = Path(__file__).resolve().parent / "offline"
runpy.run_path(str(OFFLINE / "sitecustomize.py"))  # no connection leaves this process
# … and every program that a test starts
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(OFFLINE), os.environ.get("PYTHONPATH")])
)

# the same examples in every run, however busy the machine is
hypothesis.settings.register_profile(
    "tests",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("tests")

#: what the workflow names as input, as a clone holds it
ROOMS = ("helpers", "tools", "notebooks", "CORRECTNESS.md", "CITATION.cff", "requirements.lock")
#: patients taken of each split
PATIENTS = {"train": 6, "val": 6, "test": 6}


def shrink(root, study="phantom"):
    """Write a small copy of a study's manifest below ``root``: PATIENTS of each split, one epoch,
    32 px.
    """
    source, target = REPOSITORY / "data_manifest" / study, root / "data_manifest" / study
    target.mkdir(parents=True)
    images = pd.read_csv(source / "images.csv", dtype=str)
    first = images.drop_duplicates("patient_id")
    kept = pd.concat(
        [first[first.split == split].head(count) for split, count in PATIENTS.items()]
    ).patient_id
    images = images[images.patient_id.isin(kept)].groupby("patient_id", sort=False).head(2)
    images.to_csv(target / "images.csv", index=False)
    patients = pd.read_csv(source / "patients.csv", dtype=str)
    patients[patients.patient_id.isin(kept) | patients.excluded.notna()].to_csv(
        target / "patients.csv", index=False
    )
    annotations = pd.read_csv(source / "annotations.csv", dtype=str)
    annotations[annotations.image_id.isin(images.image_id)].to_csv(
        target / "annotations.csv", index=False
    )
    (target / "published.yml").write_bytes((source / "published.yml").read_bytes())
    content = yaml.safe_load((source / "study.yml").read_text(encoding="utf-8"))
    quick = content["protocols"]["quick"]
    quick |= {"image_size": 32, "images_per_patient": 2, "epochs": 1, "batch": 4, "seeds": [1]}
    quick["models"] = [{"name": "femoral_unet"}, {"name": "tlf_unet", "options": {"width": 8}}]
    quick["cross_validation"] = {"folds": 3, "models": ["femoral_unet"]}
    content["headline"] = "femoral_unet"
    content["statistics"]["draws"] = 200
    content["protocols"] = {"quick": quick}
    (target / "study.yml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    for room in ROOMS:  # named as a clone holds them
        (root / room).symlink_to(REPOSITORY / room)
    return root


@functools.cache
def loaded():
    """(socket, process) of a server that has imported what every start of the workflow needs, and
    forks for it: importing takes longer than most of what the tests ask.
    """
    path = Path(tempfile.mkdtemp(prefix="study-tests-")) / "warm"
    code = (
        "import sys; from pathlib import Path; from helpers.workflow import warm;"
        "warm.LIBRARIES += ('snakemake.cli',); warm.IDLE = 3600; warm.serve(Path(sys.argv[1]))"
    )
    own = {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ["PYTHONPATH"]])}
    process = subprocess.Popen([sys.executable, "-c", code, path], env=os.environ | own)
    while not path.exists():
        assert process.poll() is None, "the server ended before it began"
        time.sleep(0.05)
    return path, process


def pytest_sessionfinish():
    if loaded.cache_info().currsize:
        path, process = loaded()
        process.kill()
        process.wait()
        shutil.rmtree(path.parent)


@pytest.fixture
def forks(monkeypatch):
    """What a test starts asks that server."""
    monkeypatch.setenv("STUDY_WARM", str(loaded()[0]))


#: what a start does: ask for a fork, with this process's streams, folder and environment
ASK = "import sys; from helpers.workflow import warm; sys.exit(warm.ask('start', sys.argv[1:]))"


def workflow(root, *arguments, study="phantom", protocol="quick", data=""):
    """Run the workflow on the study below ``root``, as the Makefile does: what is asked for travels
    in the environment. Returns the finished process.
    """
    command = [
        sys.executable,
        "-c",
        ASK,
        "--snakefile",
        str(REPOSITORY / "Snakefile"),
        "--profile",
        str(REPOSITORY / "profiles/local"),
        "--directory",
        str(root),
        *arguments,
    ]
    paths = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests"), str(OFFLINE)])
    asked = {"STUDY": study, "PROTOCOL": protocol, "DATA": data, "STUDY_ROOT": str(root)}
    return subprocess.run(
        command,
        cwd=root,
        env=os.environ | asked | {"PYTHONPATH": paths, "STUDY_WARM": str(loaded()[0])},
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )


#: files that take longest, longest first: begun first, so that the workers end together
LONGEST = ("test_workflow", "test_analysis", "test_models", "test_report", "test_browser")
#: files whose tests share nothing: each test goes to the worker that is free, at the end
APART = ("test_odd_studies",)


def pytest_ignore_collect(collection_path, config):
    """Where slow tests are left out, a file that is slow throughout is not imported for nothing:
    torch is large.
    """
    if config.option.markexpr == "not slow" and collection_path.suffix == ".py":
        text = collection_path.read_text(encoding="utf-8")
        if re.search(r"^pytestmark = \[?\s*pytest\.mark\.slow", text, re.MULTILINE):
            return True
    return None


def pytest_collection_finish():
    """What the imports left stays; looking through it again and again took a sixth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def pytest_collection_modifyitems(items):
    """The longest files first, those of APART last."""

    def order(item):
        name = item.path.stem
        return LONGEST.index(name) if name in LONGEST else len(LONGEST) + (name in APART)

    items.sort(key=order)


class Shared(LoadScopeScheduling):
    """What one worker runs: a file, one class of test_models, or one test of APART."""

    def _split_scope(self, nodeid):
        path, name = nodeid.split("::")[:2]
        stem = Path(path).stem
        return nodeid if stem in APART else name if stem == "test_models" else stem


def pytest_xdist_make_scheduler(config, log):
    return Shared(config, log)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The root of a tiny phantom study that has been run from beginning to end."""
    root = shrink(tmp_path_factory.mktemp("tiny"))
    done = workflow(root)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return root


#: bytes of source that a room is meant to stay within, tests and data apart
BUDGETS = {"helpers": 420_000, "tools": 260_000, "reading path": 150_000}
#: what who has an hour reads (helpers/__init__.py)
READING = (
    *("errors.py", "studies.py", "metrics.py", "datasets.py", "leakage.py"),
    *("models/__init__.py", "models/qvum.py", "models/unet.py", "models/blocks.py"),
    *("training/fold.py", "training/loop.py", "training/losses.py"),
    *("stats/__init__.py", "stats/counts.py", "stats/values.py"),
    *("stats/intervals.py", "stats/bootstrap.py", "stats/paired.py", "stats/multiplicity.py"),
    "stats/comparison.py",
)


def pytest_terminal_summary(terminalreporter):
    """The size of the rooms beside what they are meant to hold; a budget fails nothing."""
    helpers = REPOSITORY / "helpers"
    rooms = {
        "helpers": helpers.rglob("*.py"),
        "tools": (REPOSITORY / "tools").rglob("*.py"),
        "reading path": (path for pattern in READING for path in helpers.glob(pattern)),
    }
    for name, paths in rooms.items():
        texts = [path.read_bytes() for path in paths]
        size, lines = sum(map(len, texts)), sum(text.count(b"\n") for text in texts)
        terminalreporter.write_line(
            f"{name}: {size / 1000:.0f} KB, {BUDGETS[name] / 1000:.0f} or less are meant;"
            f" {lines:,} lines"
        )


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Where the studies of an intake are written."""
    from intake_folder import empty_root

    return empty_root(tmp_path, monkeypatch)


@pytest.fixture
def data(tmp_path):
    """The empty folder of a stranger."""
    (tmp_path / "data").mkdir()
    return tmp_path / "data"
