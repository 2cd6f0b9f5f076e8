"""What the workflow asks about a study: which settings a step depends on, what went wrong."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from helpers import files, provenance, runs, studies
from helpers.errors import StudyError, in_a_line
from helpers.models import catalogue
from helpers.workflow import lock

#: where in runs/<study> each step leaves the record of what it made; the workflow waits for these
RECORDS = (
    "data.json",
    "cache.json",
    "train/*/*/03_train.json",
    "results.json",
    "printed.json",
    "notebooks/*.json",
    "book.json",
)


def begin(name: str, protocol: str, data: str) -> tuple[studies.Study, str, bool]:
    """(study, folder of its images, whether they are drawn here); data: that folder, or empty.

    What is wrong with the request ends the workflow in one line, before a file is touched.
    """
    with in_a_line():
        study = studies.load(name, protocol)
        folder = data or f"runs/{name}/data"
        drawn = bool(study.generator) and not data
        if not drawn and not Path(folder).is_dir():
            public = (study.root / "source.yml").is_file()
            get = f"; `make data STUDY={name}` downloads them" if public else ""
            raise StudyError(
                f"DATA={folder}: no such folder. {study.title} needs real images: name the folder"
                f" that holds them, make study STUDY={name} DATA=/folder{get}"
            )
        studies.images(study)
    return study, folder, drawn


def refuse(study: studies.Study, writes: bool = True) -> None:
    """What can be known to go wrong ends the workflow in one line, before anything runs: a network
    or an option that does not exist, an encoder file that is not there, a folder that cannot be
    written to (writes: False for a plan). What a request leaves out is said.
    """
    path = study.root / "study.yml"
    todo = {
        (model, fold)
        for model, fold, seed in study.trainings()
        if not (runs.folder(study, model, fold, seed) / "03_train.json").is_file()
    }
    try:
        for spec in study.models:
            catalogue.entry(spec["name"])
        for model, fold in sorted(todo):
            encoder_files(study.training(model, fold))
    except StudyError as error:
        sys.exit(f"error: {path}, protocol {study.protocol}: {error}")
    for folder in [study.run, studies.ROOT / "reports" / study.name] if writes else []:
        there = next(p for p in (folder, *folder.parents) if p.exists())
        if not os.access(there, os.W_OK):
            sys.exit(f"error: {there}: cannot be written to; free it, or work in a copy elsewhere")
    if todo and writes:
        _build_networks(study)
    base, *asked = study.protocol.split(",")
    declared = asked and studies.load(study.name, base).spec.get("cross_validation")
    kept = study.spec.get("cross_validation", {"models": []})["models"]
    if declared and (lost := [m for m in declared["models"] if m not in kept]):
        print(
            f"note: MODELS leaves out {', '.join(lost)}, and with it the protocol's"
            " cross-validation of it",
            file=sys.stderr,
        )


def _build_networks(study: studies.Study) -> None:
    """End with the line of :mod:`helpers.workflow.networks` where a network cannot be built."""
    who = ["--study", study.name, "--protocol", study.protocol]
    done = subprocess.run(
        [sys.executable, "-m", "helpers", "networks", *who],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"STUDY_ROOT": str(studies.ROOT)},
    )
    if done.returncode:
        said = done.stderr.strip().rpartition("error: ")[2]
        sys.exit(f"error: {study.root / 'study.yml'}, protocol {study.protocol}: {said}")


def trainings(study: studies.Study) -> dict[str, tuple[str, str, int]]:
    """Every training of a study: folder '<network>/<fold>_<seed>' → (model, fold, seed)."""
    return {f"{runs.slug(m)}/{fold}_{seed}": (m, fold, seed) for m, fold, seed in study.trainings()}


def one_of(names: Iterable[str]) -> str:
    """A regular expression that matches these names alone; nothing where there are none."""
    return "|".join(map(re.escape, names)) or "(?!)"


def training_parameters(model: str, fold: str, seed: int) -> list[str]:
    """Command-line parameters of 03_train for one training (list of str)."""
    return ["-p", "model", model, "-p", "fold", fold, "-p", "seed", str(seed)]


def training_settings(study: studies.Study, model: str, fold: str) -> str:
    """Everything in study.yml (and the encoder file) that one training depends on, as text."""
    spec = study.training(model, fold)
    classes = [(c.name, c.weight) for c in study.classes]
    # of 10,000 seeds one text, not 10,000 of them
    return sys.intern(json.dumps([spec, classes, encoder_files(spec)], sort_keys=True))


def encoder_files(spec: dict) -> list[str]:
    """Digests of the files that an encoder starts from; a download's version is locked."""
    named = spec["encoder_weights"]
    if named == "imagenet":
        named = os.environ.get("ENCODER_WEIGHTS", "")
    if named in ("", "none", None):
        return []
    found = [Path(part) for part in named.split(os.pathsep) if part]
    if missing := [str(path) for path in found if not path.is_file()]:
        raise StudyError(f"encoder weights: no such file: {', '.join(missing)}")
    return [files.known_sha256(path) for path in found]


def cache_settings(study: studies.Study) -> str:
    """Everything in study.yml that the cached arrays depend on, as text."""
    keys = ("image_size", "aspect", "images_per_patient", "max_patients", "split")
    folds = study.spec.get("cross_validation", {}).get("folds")
    classes = [[(c.index, c.name, c.colour, c.labels) for c in study.classes], study.ignored]
    sizes = [study.spec.get(k) for k in keys]
    return json.dumps([sizes, folds, study.split.get("seed"), classes])


def pages(folder: Path | str) -> dict[str, dict]:
    """What each notebook of a folder says of itself in its metadata, under "study": stem → dict.

    run: "a training" or "by hand" (not a page of the workflow); needs: "images" (no results);
    reads: notebooks whose numbers it shows; without: keys of study.yml that it does not use, such
    as "statistics" or "statistics.test"; threads: "all" where it measures the machine; from: what
    its tables are made from, where that is not per_image.csv.
    """
    found = {}
    for path in sorted(Path(folder).glob("*.ipynb")):
        said = files.read_json(path)["metadata"].get("study", {})
        if unknown := set(said) - {"run", "needs", "reads", "without", "threads", "from"}:
            raise StudyError(f"{path}: metadata.study holds {', '.join(sorted(unknown))}")
        found[path.stem] = said
    for name, said in found.items():
        if unknown := set(said.get("reads", ())) - set(found):
            raise StudyError(f"{name}: reads {', '.join(sorted(unknown))}, which is no notebook")
    return found


def group(name: str, about: dict) -> str:
    """The pages that a cluster may make in one job: those that start from the same files, and never
    one that measures the machine beside another.
    """
    if about.get("threads") == "all":
        return name
    if about.get("reads"):
        return "reading"
    return "images" if about.get("needs") == "images" else "alone"


def settings(study: studies.Study, without: Sequence[str] = ()) -> str:
    """Digest of the whole study under its protocol, without some keys: what a page depends on."""
    fields = {k: v for k, v in vars(study).items() if k != "classes"}
    for key in without:
        first, _, second = key.partition(".")
        inside = {k: v for k, v in fields[first].items() if k != second} if second else None
        fields[first] = inside
    return provenance.digest([fields, [vars(c) for c in study.classes]])


def folder_state(study: studies.Study, data: Path | str) -> str:
    """Digest of name, size and modification time of every file the manifest names, raters' outlines
    too: it changes when one of them does.
    """
    frame, raters = studies.images(study), studies.annotations(study)
    names = [*frame["image"], *frame["mask"], *([] if raters is None else raters["mask"])]

    def state(name: str) -> list:
        path = os.path.join(data, name)
        if os.path.isfile(path) and not name.lower().endswith(files.ACCOMPANIED):
            return [name, *files.state(path)]
        # a frame of a file, files that are united, or one beside another
        from helpers.readers import files_of  # imported where needed: slow

        parts = files_of(path)
        return [name, *(files.state(part) if os.path.isfile(part) else None for part in parts)]

    return provenance.digest([state(name) for name in names])


def gpus_wanted() -> int:
    """1 where this machine shows an NVIDIA GPU, else 0; without torch, which takes seconds."""
    if not shutil.which("nvidia-smi"):
        return 0
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return int(listed.returncode == 0 and "GPU 0" in listed.stdout)


def only_one(study: studies.Study) -> TextIO:
    """The lock of a study's run (see :func:`helpers.workflow.lock.hold`); what killed processes had
    begun to write is removed.
    """
    held = lock.hold(study.run)
    for left in study.run.rglob(f"{files.PART}*"):
        left.unlink(missing_ok=True)
    return held


def forget_changed(study: studies.Study, forget: bool = True) -> list[str]:
    """Remove the record of every step whose files are no longer what the step made, so that the
    workflow makes them again. Returns one line a record, for the reader. forget: False for the
    lines alone.
    """
    said = []
    record, made = study.run / "cache.json", study.run / "cache" / "check.json"
    if record.is_file() and made.is_file() and (other := _made_otherwise(study, made)):
        said.append(f"the images were checked with {other}; cache is made again")
        if forget:
            record.unlink()
    for record in [path for pattern in RECORDS for path in sorted(study.run.glob(pattern))]:
        if changed := files.changed(record, studies.ROOT):
            said.append(f"{changed[0]} is not as it was made; {record.stem} is made again")
            if forget:
                record.unlink()
    return said


def _made_otherwise(study: studies.Study, made: Path) -> str:
    """What of a cache is another protocol's, such as 'size 96', or ''. A check that was asked for
    by hand is unknown to the workflow.
    """
    try:
        known = files.read_json(made)
    except StudyError:
        return ""  # damaged, which its digest says
    wanted = {"size": study.spec["image_size"], "aspect": study.spec["aspect"]}
    other = [f"{k} {known[k]}" for k, v in wanted.items() if k in known and known[k] != v]
    return ", ".join(other)


def errors(log: Iterable[Path | str]) -> Iterator[str]:
    """What went wrong in each failed step, from the workflow's own log files (list of str): the
    one-line error of the step's log, or its last lines where it ended without one, and its path.

    A step that ran here is named by its command. Slurm keeps a log of each job that did not go
    well: it names the steps that failed, or says why none began.
    """
    said = "".join(_text(name) for name in log)
    failed = re.findall(r"""tee ['"]*([^'"]+?\.log)['"]* returned non-zero""", said)
    for name in re.findall(r"\(log: (\S.*?\.log)\)", said):
        steps = re.findall(r"log: (\S.*?\.log) \(check log file", _text(name))
        began = [step for step in steps if Path(step).is_file()]
        went_well = "(100%) done" in _text(name) or not Path(name).is_file()
        failed += began or [name] * (not went_well)
    for name in dict.fromkeys(failed):
        lines = _text(name).splitlines()
        cause = [
            i
            for i, line in enumerate(lines)
            if line.startswith(("error: ", "srun: ", "slurmstepd: "))
        ]
        shown = lines[cause[0] :][:60] if cause else lines[-5:] or ["error: a step left no log"]
        yield "\n".join(["", *shown, f"  log: {name}"])


def _text(path: Path | str) -> str:
    """A log file's text; none where there is no file."""
    return Path(path).read_text("utf-8", "replace") if Path(path).is_file() else ""
