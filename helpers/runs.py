"""The layout of runs/<study>: where each training lies and what it left there."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.errors import StudyError
from helpers.files import read_csv, write_csv
from helpers.provenance import made
from helpers.studies import Study


def slug(model: str) -> str:
    """A network's name as a folder name: 'smp:unet/resnet34' → 'smp-unet-resnet34'."""
    return re.sub(r"[^A-Za-z0-9_.+-]", "-", model)


def folder(study: Study, model: str, fold: str, seed: int) -> Path:
    """The folder of one training, runs/<study>/train/<network>/<fold>_<seed>."""
    return study.run / "train" / slug(model) / f"{fold}_{seed}"


def predictions(study: Study, model: str, seed: int) -> np.ndarray:
    """What a network drew on every image, uint8 (N, H, W) in the order of the cached images."""
    path = folder(study, model, "main", seed) / "predictions.npy"
    if not path.is_file():
        raise StudyError(f"{path}: no predictions yet; run `make study STUDY={study.name}` first")
    return np.load(path, mmap_mode="r")


def drawn(study: Study) -> dict[str, np.ndarray]:
    """network → what it drew in its first training (:func:`predictions`), of all networks."""
    seed = study.spec["seeds"][0]
    return {m["name"]: predictions(study, m["name"], seed) for m in study.models}


def counts(path: Path | str) -> pd.DataFrame:
    """The rows of a training's counts.csv or of per_image.csv (DataFrame), names as text."""
    texts = ("study", "model", "fold", "split", "patient_id", "image_id", "class")
    return read_csv(path, dtype=dict.fromkeys(texts, str))


def save_result(frame: pd.DataFrame, study: Study, name: str) -> None:
    """Write runs/<study>/results/<name>.csv: numbers that other pages read, with every digit."""
    path = study.run / "results" / f"{name}.csv"
    write_csv(frame, path)
    made(path)


def result(study: Study, name: str, page: str) -> pd.DataFrame:
    """Read what the notebook ``page`` left by :func:`save_result`; StudyError where it is gone."""
    path = study.run / "results" / f"{name}.csv"
    if not path.is_file():
        raise StudyError(
            f"{path}: no such file; notebooks/{page}.ipynb makes it, run"
            f" `make study STUDY={study.name}`"
        )
    return read_csv(path)
