"""The folder that the tests of the intake start from: ten patients, two images each."""

import hashlib

import numpy as np
import pandas as pd
import yaml
from pictures import grey, labels, save

from helpers import studies

FORM = {
    "patient": {"pattern": "([0-9]+)_[^/]*$"},
    "classes": [{"name": n} for n in ("nerve", "muscle", "artery")],
    "split": {"policy": "patient k-fold", "folds": 5, "seed": 1},
}


def empty_root(tmp_path, monkeypatch):
    """data_manifest/ and reports/ of these tests lie in tmp_path/root."""
    monkeypatch.setattr(studies, "ROOT", tmp_path / "root")
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def ten_patients(data):
    """Ten patients with two images each, masks of indices in another folder."""
    for kind in ("photos", "masks"):
        (data / kind).mkdir(parents=True)
    for p in range(1, 11):
        for k in range(2):
            save(data / "photos" / f"{p}_{k}.png", grey(seed=10 * p + k))
            save(data / "masks" / f"{p}_{k}.png", np.roll(labels(), p, axis=0))
    return data


def write(path, content):
    path.write_text(yaml.safe_dump(content))
    return path


def state(folder):
    return {
        str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()
    }


def images(root, name="mine"):
    return pd.read_csv(root / "data_manifest" / name / "images.csv", dtype=str)
