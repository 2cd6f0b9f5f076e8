"""What the workflow asks about a study: which settings a step depends on, which files it made, what
went wrong.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd

from helpers import files, provenance, runs, studies
from helpers.errors import StudyError

#: notebooks that run only by hand, or once a training
BY_HAND = ("03_train", "11_ablation")


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


def training_parameters(study, training):
    """Command-line parameters of 03_train for one training."""
    model, fold, seed = _which(study, training)
    return f"-p model {model} -p fold {fold} -p seed {seed}"


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


def settings(study):
    """Digest of the whole study under its protocol: what the pages depend on."""
    fields = {k: v for k, v in vars(study).items() if k != "classes"}
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


def forget_incomplete(study):
    """Remove the record of every step whose files are no longer all there, so that the workflow
    makes them again.
    """
    for record in [
        study.run / "data.json",
        *study.run.glob("notebooks/*.json"),
        *study.run.glob("train/*/*/03_train.json"),
    ]:
        if record.is_file():
            made = json.loads(record.read_text(encoding="utf-8"))["files"]
            if any(not (studies.ROOT / name).is_file() for name in made):
                record.unlink()


def made(record, base):
    """Write the record of a step: every file below ``base`` (a folder), relative to the study's
    root.
    """
    found = sorted(os.path.relpath(p, studies.ROOT) for p in Path(base).rglob("*") if p.is_file())
    if not found:
        raise StudyError(f"{base}: no file was made")
    files.write_json({"files": found}, record)


def collect(paths, output):
    """Join the counts of all trainings into per_image.csv; returns the DataFrame."""
    tables = [pd.read_csv(p, dtype={"patient_id": str, "image_id": str}) for p in paths]
    if not tables:
        raise StudyError("no training has finished, so there are no results; run `make study`")
    table = pd.concat(tables, ignore_index=True)
    files.write_csv(table, output)
    print(f"{len(table)} rows: {table.model.nunique()} networks, {table.image_id.nunique()} images")
    return table


def errors(log):
    """The one-line errors of the newest failing step's log, from the workflow's own log files
    (list).
    """
    text = "".join(Path(name).read_text(encoding="utf-8", errors="replace") for name in log)
    for name in dict.fromkeys(re.findall(r"tee (\S+\.log)' returned non-zero", text)):
        if Path(name).is_file():
            lines = Path(name).read_text(encoding="utf-8", errors="replace").splitlines()
            start = next((i for i, line in enumerate(lines) if line.startswith("error: ")), None)
            if start is not None:
                yield "\n".join(["", *lines[start:], f"  log: {name}"])


def main(arguments=None):
    """Command line of the workflow: ``made RECORD FOLDER`` and ``results OUTPUT COUNTS…``."""
    parser = argparse.ArgumentParser(prog="helpers.workflow.steps", description=main.__doc__)
    parser.add_argument("step", choices=["made", "results"])
    parser.add_argument("output")
    parser.add_argument("inputs", nargs="+")
    args = parser.parse_args(arguments)
    try:
        if args.step == "made":
            made(args.output, args.inputs[0])
        else:
            collect([p for p in args.inputs if p.endswith("counts.csv")], args.output)
    except StudyError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
