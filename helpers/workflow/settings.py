"""What the workflow asks about a study: which settings a step depends on, what went wrong."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from helpers import files, provenance, runs, studies
from helpers.errors import StudyError


def begin(name, protocol, data):
    """(study, folder of its images, whether the workflow draws them itself); data: that folder, or
    empty.

    What is wrong with the request ends the workflow in one line, before a file is touched.
    """
    try:
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
    except StudyError as error:
        sys.exit(f"error: {error}")
    return study, folder, drawn


def _which(study, training):
    """(model, fold, seed) of a training's folder name '<network>/<fold>_<seed>'."""
    return next(t for t in study.trainings() if f"{runs.slug(t[0])}/{t[1]}_{t[2]}" == training)


def one_of(names):
    """A regular expression that matches these names alone; nothing where there are none."""
    return "|".join(map(re.escape, names)) or "(?!)"


def training_parameters(study, training):
    """Command-line parameters of 03_train for one training (list of str)."""
    model, fold, seed = _which(study, training)
    return ["-p", "model", model, "-p", "fold", fold, "-p", "seed", str(seed)]


def training_settings(study, training):
    """Everything in study.yml (and the encoder file) that one training depends on, as text."""
    model, fold, _ = _which(study, training)
    spec = study.training(model, fold)
    encoder = os.environ.get("ENCODER_WEIGHTS", "") if spec["encoder_weights"] == "imagenet" else ""
    classes = [(c.name, c.weight) for c in study.classes]
    return json.dumps([spec, classes, Path(encoder).name], sort_keys=True)


def cache_settings(study):
    """Everything in study.yml that the cached arrays depend on, as text."""
    keys = ("image_size", "images_per_patient", "max_patients")
    folds = study.spec.get("cross_validation", {}).get("folds")
    classes = [[(c.index, c.name, c.colour, c.labels) for c in study.classes], study.ignored]
    return json.dumps([[study.spec.get(k) for k in keys], folds, study.split.get("seed"), classes])


def pages(folder):
    """What each notebook of a folder says of itself in its metadata, under "study": stem → dict.

    run: "a training" or "by hand" (not a page of the workflow); needs: "images" (no results);
    reads: notebooks whose numbers it shows; without: keys of study.yml that it does not use, such
    as "statistics" or "statistics.test"; threads: "all" where it measures the machine.
    """
    found = {}
    for path in sorted(Path(folder).glob("*.ipynb")):
        said = json.loads(path.read_text(encoding="utf-8"))["metadata"].get("study", {})
        if unknown := set(said) - {"run", "needs", "reads", "without", "threads"}:
            raise StudyError(f"{path}: metadata.study holds {', '.join(sorted(unknown))}")
        found[path.stem] = said
    for name, said in found.items():
        if unknown := set(said.get("reads", ())) - set(found):
            raise StudyError(f"{name}: reads {', '.join(sorted(unknown))}, which is no notebook")
    return found


def settings(study, without=()):
    """Digest of the whole study under its protocol, without some keys: what a page depends on."""
    fields = {k: v for k, v in vars(study).items() if k != "classes"}
    for key in without:
        first, _, second = key.partition(".")
        inside = {k: v for k, v in fields[first].items() if k != second} if second else None
        fields[first] = inside
    return provenance.digest([fields, [vars(c) for c in study.classes]])


def network_file(study, training):
    """The file that defines the network of a training, relative to the repository."""
    from helpers.models import catalogue

    return f"helpers/models/{catalogue.entry(_which(study, training)[0]).module}.py"


def folder_state(study, data):
    """Digest of name, size and modification time of every file the manifest names: it changes when
    one of them does.
    """
    frame, base = studies.images(study), Path(data)

    def state(name):
        try:
            found = os.stat(base / name)
        except OSError:
            return [name, None]
        return [name, found.st_size, found.st_mtime_ns]

    return provenance.digest(
        [state(name) for column in ("image", "mask") for name in frame[column]]
    )


def gpus_wanted():
    """1 where this machine shows an NVIDIA GPU, else 0 (no torch: the workflow must start in a
    second).
    """
    if not shutil.which("nvidia-smi"):
        return 0
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return int(listed.returncode == 0 and "GPU 0" in listed.stdout)


def only_one(study):
    """An open file that is locked as long as this process lives, so that no two runs of a study
    destroy each other's files; the second ends in one line that names the first.
    """
    study.run.mkdir(parents=True, exist_ok=True)
    lock = open(study.run / ".lock", "a+", encoding="utf-8")  # noqa: SIM115, kept open on purpose
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        sys.exit(
            f"error: {study.run}: another `make study` (process {lock.read().strip()}) is at work"
            " here; wait for it, or end it"
        )
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def forget_changed(study, forget=True):
    """Remove the record of every step whose files are no longer what the step made, so that the
    workflow makes them again. Returns one line a record, for the reader. forget: False for the
    lines alone.
    """
    said = []
    for record in [
        study.run / "data.json",
        *study.run.glob("notebooks/*.json"),
        *study.run.glob("train/*/*/03_train.json"),
    ]:
        if record.is_file() and (changed := files.changed(record, studies.ROOT)):
            said.append(f"{changed[0]} is not as it was made; {record.stem} is made again")
            if forget:
                record.unlink()
    record = study.run / "results" / "per_image.json"  # Snakemake would take an edited table as new
    if record.is_file() and (changed := files.changed(record, studies.ROOT)):
        said.append(f"{changed[0]} is not as it was made; it is made again")
        if forget:
            record.with_suffix(".csv").unlink(missing_ok=True)
    return said


def errors(log):
    """The one-line errors of the newest failing step's log, from the workflow's own log files
    (list).
    """
    text = "".join(Path(name).read_text(encoding="utf-8", errors="replace") for name in log)
    for name in dict.fromkeys(re.findall(r"tee '?([^']+?\.log)'+ returned non-zero", text)):
        if Path(name).is_file():
            lines = Path(name).read_text(encoding="utf-8", errors="replace").splitlines()
            start = next((i for i, line in enumerate(lines) if line.startswith("error: ")), None)
            if start is not None:
                yield "\n".join(["", *lines[start:], f"  log: {name}"])
