"""A finished run of the tiny phantom study without any training: counts of made-up outlines."""

import functools
import json
import zlib

import numpy as np
import pandas as pd

from helpers import datasets, files, metrics, runs, studies


def finished(finished="2026-01-02 03:04:05 UTC"):
    """Write runs/phantom, its manifest laid by ``conftest.shrink``, as trainings leave it; returns
    the study.
    """
    study = studies.load("phantom", "quick")
    images = studies.images(study)
    for number, (model, fold, seed) in enumerate(study.trainings()):
        train(study, images, model, fold, seed, number, finished)
    return study


def train(study, images, model, fold, seed, number, finished="2026-01-02 03:04:05 UTC"):
    """Write one training: counts, history and record. ``number``: of the made-up outlines."""
    here = images if fold == "main" else images[datasets.folds(study, images) + 1 == int(fold[-1])]
    rows = tuple(here[["split", "patient_id", "image_id"]].itertuples(index=False, name=None))
    table = _counts(study.name, study.classes, rows, model, fold, seed, number)
    place, spec = runs.folder(study, model, fold, seed), study.training(model, fold)
    files.write_csv(table, place / "counts.csv")
    files.write_csv(pd.DataFrame({"epoch": [1], "train_loss": [0.5]}), place / "history.csv")
    record = {"study": study.name, "protocol": study.protocol, "model": model, "fold": fold}
    record |= {"seed": seed, "training": spec, "classes": [c.name for c in study.classes]}
    record |= {
        "class_weights": [c.weight for c in study.classes] if spec["class_weights"] else None
    }
    record |= {"manifest_sha256": files.sha256(study.root / "images.csv"), "code": "abc"}
    record |= {"hardware": {"machine": "x86_64", "cores": 2}, "finished": finished}
    (place / "weights.json").write_text(json.dumps(record), encoding="utf-8")
    return place


@functools.cache
def _counts(study, classes, images, model, fold, seed, number):
    """The counts of a training: made once, whichever tests ask for them."""
    draw, tables = np.random.default_rng(number), []
    for split, patient, image in images:
        own = np.random.default_rng(zlib.crc32(image.encode()))  # of the image, in every fold
        reference = own.integers(0, len(classes), (8, 8))
        other = draw.integers(0, len(classes), (8, 8))
        drawn = np.where(draw.random((8, 8)) < 0.7, reference, other)
        first = {"study": study, "model": model, "fold": fold, "seed": seed}
        first |= {"split": split if fold == "main" else "test"}
        first |= {"patient_id": patient, "image_id": image}
        tables.append(pd.DataFrame({**first, **metrics.rows(drawn, reference, classes)}))
    return pd.concat(tables, ignore_index=True)


def page(study, name, made, finished="2026-01-02 04:00:00 UTC", protocol="quick"):
    """Write the record of an executed page and the files that it made, name → text."""
    for path, text in made.items():
        (study.run / path).parent.mkdir(parents=True, exist_ok=True)
        (study.run / path).write_text(text, encoding="utf-8")
    about = {"parameters": {"study": study.name, "protocol": protocol}, "finished": finished}
    about |= {"files": [f"runs/{study.name}/{path}" for path in made]}
    place = study.run / "notebooks" / f"{name}.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(about), encoding="utf-8")
