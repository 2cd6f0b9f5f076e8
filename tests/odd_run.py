"""Finished runs of odd studies at 32 px: a manifest and small PNG files that pass the checks of
every study, outlines that two made-up networks drew, and tiny untrained weights.

Nothing is trained. Counts are made from the outlines as a training makes them, so that everything
a page says follows from masks.
"""

import json
import shutil
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
import yaml
from PIL import Image

from helpers import cache, datasets, files, models, provenance, runs, studies
from helpers.training import checkpoint, count
from helpers.workflow import results
from tools.audit import tables as audited

SIDE = 32
NETWORKS = ({"name": "femoral_unet"}, {"name": "tlf_unet", "options": {"width": 8}})
COLOURS = [f"#{25 * k:02x}{200 - 20 * k:02x}8{k}" for k in range(1, 10)]


@dataclass
class Odd:
    """What is odd about a study; every field's default is ordinary.

    patients: of train, val and test; images: of the k-th patient images[k % len(images)];
    classes: structures, the first of them the target; nowhere: structures in no test image; unseen:
    structures that no network draws; one_fold: structure in the images of one fold only; empty:
    share of images that show no structure and in which none is drawn; invented: share of those in
    which something is drawn; people: columns of patients.csv, None without the file; names: patient
    ids in order, '' unknown; image_ids: likewise; spacing: mm, None unknown; published: the study
    whose printed numbers it has; external: patients of another hospital; same: the networks draw
    what is there.
    """

    name: str = "odd"
    patients: tuple = (5, 3, 7)
    images: tuple = (3,)
    classes: tuple = ("nerve", "vessel")
    networks: tuple = NETWORKS
    nowhere: tuple = ()
    unseen: tuple = ()
    one_fold: str = ""
    empty: float = 0.0
    invented: float = 0.0
    people: tuple | None = ("age_years", "sex", "height_cm", "weight_kg")
    names: tuple | None = None
    image_ids: tuple | None = None
    device: str = "curved probe"
    spacing: float | None = 0.3
    folds: int = 3
    published: str = ""
    external: int = 0
    test: str = "patient_t"
    statistics: dict = field(default_factory=dict)
    title: str = "An odd study"
    unit: str = "patient"
    same: bool = False


def build(odd, root):
    """Write the study below ``root`` (STUDY_ROOT) as a finished run leaves it; returns it."""
    rng = np.random.default_rng(7)
    place, data = root / "data_manifest" / odd.name, root / "data"
    place.mkdir(parents=True)
    _write_study(odd, place)
    images = _images(odd)
    masks = _masks(odd, images, rng)
    _write_pictures(images, masks, data, rng)
    files.write_csv(images, place / "images.csv")
    if odd.people is not None:
        files.write_csv(_people(odd, images, rng), place / "patients.csv")
    study = studies.load(odd.name, "quick")
    cache.build(study, data)
    arrays = datasets.load(study)
    tables = [_training(odd, study, arrays, *t, rng) for t in study.trainings()]
    audited.write(place / "published.yml", study.run / "results")
    results.collect(tables, study.run / "results" / "per_image.csv")
    return study


def _write_study(odd, place):
    classes = [{"index": 0, "name": "background", "colour": "#000000", "weight": 1}]
    for k, name in enumerate(odd.classes):
        classes.append({"index": k + 1, "name": name, "colour": COLOURS[k], "weight": 1})
    headline = odd.networks[0]["name"]
    quick = {
        "image_size": SIDE,
        "epochs": 2,
        "batch": 4,
        "optimiser": {"name": "adam", "lr": 0.001},
        "schedule": {"name": "constant"},
        "loss": {"name": "ce_dice"},
        "augmentation": {},
        "encoder_weights": "none",
        "models": list(odd.networks),
        "seeds": [1],
    }
    if odd.folds:
        quick["cross_validation"] = {"folds": odd.folds, "models": [headline]}
    statistics = {"metric": "Dice", "class": odd.classes[0], "test": odd.test, "draws": 100}
    statistics |= {"interval": "bootstrap_t", "margin": 0.02, "seed": 1, "multiplicity": "holm"}
    content = {
        "title": odd.title,
        "citation": "Nobody, nowhere, never",
        "synthetic": True,
        "note": "Drawn by a program.",
        "classes": classes,
        "split": {"policy": "given", "unit": odd.unit},
        "headline": headline,
        "target": odd.classes[0],
        "statistics": statistics | odd.statistics,
        "protocols": {"quick": quick},
    }
    if odd.published:
        printed = provenance.REPOSITORY / "data_manifest" / odd.published / "published.yml"
        shutil.copy(printed, place)
    (place / "study.yml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _images(odd):
    """The rows of images.csv, digests still empty."""
    counts = dict(zip(studies.SPLITS, odd.patients, strict=True)) | {"external": odd.external}
    splits = [split for split, count in counts.items() for _ in range(count)]
    names = odd.names or [f"P{k:02d}" for k in range(len(splits))]
    rows = [
        {"patient_id": names[k % len(names)], "split": split}
        for k, split in enumerate(splits)
        for _ in range(odd.images[k % len(odd.images)])
    ]
    ids = odd.image_ids or [f"I{k:03d}" for k in range(len(rows))]
    rows = pd.DataFrame(rows).assign(image_id=list(ids)[: len(rows)])
    rows = rows.assign(
        image=[f"images/{k}.png" for k in range(len(rows))],
        mask=[f"masks/{k}.png" for k in range(len(rows))],
        device=odd.device,
        sha256_image="",
        sha256_mask="",
    )
    return rows if odd.spacing is None else rows.assign(pixel_spacing_mm=odd.spacing)


def _people(odd, images, rng):
    ids = images["patient_id"].drop_duplicates().tolist()
    values = {
        "age_years": rng.integers(20, 90, len(ids)).astype(str),
        "sex": rng.choice(["male", "female"], len(ids)),
        "height_cm": rng.integers(150, 195, len(ids)).astype(str),
        "weight_kg": rng.integers(50, 110, len(ids)).astype(str),
    }
    return pd.DataFrame({"patient_id": ids, **{c: values[c] for c in odd.people}})


def _masks(odd, images, rng):
    """Ellipses, a structure in each cell of a grid, a bit elsewhere in every image."""
    across = int(np.ceil(np.sqrt(len(odd.classes))))
    cell, (rows, columns) = SIDE / across, np.mgrid[:SIDE, :SIDE]
    masks = np.zeros((len(images), SIDE, SIDE), np.uint8)
    # as cache.build will deal them
    fold = datasets.assign_folds(
        images.assign(patient_id=images["patient_id"].where(images["patient_id"] != "")),
        odd.folds or 3,
        0,
    )
    for k, (mask, split) in enumerate(zip(masks, images["split"], strict=True)):
        if rng.random() < odd.empty:
            continue
        for c, name in enumerate(odd.classes):
            if (name in odd.nowhere and split == "test") or (name == odd.one_fold and fold[k]):
                continue
            y, x = (np.array(divmod(c, across)) + 0.5) * cell + rng.normal(0, cell / 12, 2)
            a, b = rng.uniform(0.25, 0.42, 2) * cell
            mask[((rows - y) / a) ** 2 + ((columns - x) / b) ** 2 < 1] = c + 1
    return masks


def _write_pictures(images, masks, data, rng):
    for part in ("images", "masks"):
        (data / part).mkdir(parents=True)
    for k, mask in enumerate(masks):
        grey = (60 * (mask > 0) + rng.integers(0, 120, mask.shape)).astype(np.uint8)
        for part, pixels in (("image", grey), ("mask", mask)):
            path = data / images.loc[k, part]
            Image.fromarray(pixels).save(path)
            images.loc[k, f"sha256_{part}"] = files.sha256(path)


def _training(odd, study, arrays, model, fold, seed, rng):
    """One training's folder; returns the path of its counts."""
    folder, spec = runs.folder(study, model, fold, seed), study.training(model, fold)
    folder.mkdir(parents=True)
    kept = np.arange(len(arrays.index)) if fold == "main" else arrays.rows(fold, "test")
    worse = [m["name"] for m in odd.networks].index(model)
    drawn = np.stack([_drawn(odd, arrays.masks[k], worse, rng) for k in kept])
    np.save(folder / "predictions.npy", drawn)
    counts = count(study, arrays, kept, drawn, model, fold, seed)
    files.write_csv(counts, folder / "counts.csv")
    history = {"epoch": [1, 2], "lr": [1e-3] * 2, "train_loss": [0.5, 0.4]}
    history |= {"val_loss": [0.6, 0.5], "seconds": [1, 1]}
    files.write_csv(pd.DataFrame(history), folder / "history.csv")
    record = provenance.record(
        study,
        model=model,
        fold=fold,
        seed=seed,
        training=spec,
        classes=[c.name for c in study.classes],
        class_weights=[c.weight for c in study.classes] if spec["class_weights"] else None,
        titles=[c.title for c in study.classes],
        colours=[c.colour for c in study.classes],
        normalisation={"kind": "none", "mean": [0.0] * 3, "std": [1.0] * 3},
        parameters=1,
        encoder=None,
        finished="2026-01-02 03:04:05 UTC",
        kept_epoch=2,
    )
    if model == study.headline and fold == "main":
        torch.manual_seed(0)
        network = models.build(
            spec["name"], spec["channels"], len(study.classes), **spec["options"]
        )
        checkpoint.save_weights(network, folder / "weights.safetensors", record)
    else:
        (folder / "weights.json").write_text(json.dumps(record, default=str), encoding="utf-8")
    return folder / "counts.csv"


def _drawn(odd, mask, worse, rng):
    """What a network drew on an image: the outlines moved, some pixels missed."""
    if odd.same:
        return mask.copy()
    shown = mask.any()
    drawn = np.roll(mask, rng.integers(-1 - worse, 2 + worse, 2), (0, 1))
    drawn[rng.random(drawn.shape) < 0.05 * (1 + worse)] = 0
    for name in odd.unseen:
        drawn[drawn == odd.classes.index(name) + 1] = 0
    if (not shown or odd.nowhere) and rng.random() < odd.invented:
        drawn[:3, :4] = 1
    return drawn
