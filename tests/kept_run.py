"""A finished run of the tiny phantom study without any training: counts of made-up outlines."""

import json

import numpy as np
import pandas as pd

from helpers import files, metrics, runs, studies


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
    draw, tables = np.random.default_rng(number), []
    here = images if fold == "main" else images.iloc[int(fold[-1]) - 1 :: 3]
    for k, image in enumerate(here.itertuples()):
        reference = np.random.default_rng(k).integers(0, len(study.classes), (8, 8))
        other = draw.integers(0, len(study.classes), (8, 8))
        drawn = np.where(draw.random((8, 8)) < 0.7, reference, other)
        table = metrics.rows(drawn, reference, study.classes)
        first = {"study": study.name, "model": model, "fold": fold, "seed": seed}
        first |= {"split": image.split if fold == "main" else "test"}
        first |= {"patient_id": image.patient_id, "image_id": image.image_id}
        tables.append(pd.DataFrame({**first, **table}))
    place, spec = runs.folder(study, model, fold, seed), study.training(model, fold)
    files.write_csv(pd.concat(tables, ignore_index=True), place / "counts.csv")
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
