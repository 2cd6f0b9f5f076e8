"""What a study is: its manifest, read and validated before anything else happens.

A study is a folder ``data_manifest/<name>/`` with ``study.yml`` (classes, split, statistics,
protocols), ``images.csv`` (one row an image) and, where they are known, ``patients.csv`` and
``annotations.csv``. Everything wrong with them is reported at once, with file, row and key.
"""

import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from helpers import files, schemas
from helpers.errors import StudyError, raise_all
from helpers.schemas import ANNOTATIONS, EXTERNAL, IMAGES, PATIENTS, SPLITS, read_csv, read_yaml

#: where data_manifest/, runs/ and reports/ lie; STUDY_ROOT moves them (the tests do)
ROOT = Path(os.environ.get("STUDY_ROOT") or Path(__file__).resolve().parent.parent)
#: what a study may be called
NAME = r"\.?[A-Za-z0-9_][A-Za-z0-9_.-]*"
DEFAULTS = {
    "class_weights": True,
    "aspect": "squash",
    "normalise": "none",
    "freeze_epochs": 0,
    "checkpoint": "best",
    "ema": 0,
    "channels": 3,
    "options": {},
    "time_limit_min": 600,
}
NOT_TRAINING = (
    "models",
    "cross_validation",
    "seeds",
    "describe",
    "headline",
    "time_limit_min",
    "images_per_patient",
    "max_patients",
    "classes",
)


@dataclass(frozen=True)
class Class:
    """One structure to segment. index: value in the masks (0 is background); weight: in the loss;
    labels: further names that it has in annotation files.
    """

    index: int
    name: str
    title: str
    colour: str
    weight: float
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Study:
    """A validated study under one protocol. spec: the protocol, whole; models: a dict a network."""

    name: str
    title: str
    citation: str
    synthetic: bool
    classes: tuple[Class, ...]
    ignored: tuple[str, ...]
    split: dict
    headline: str
    target: str
    statistics: dict
    protocol: str
    spec: dict
    models: tuple[dict, ...]
    question: str = ""
    paper: str | None = None
    generator: str | None = None
    note: str = ""

    @property
    def root(self) -> Path:
        """The manifest folder, data_manifest/<name>."""
        return ROOT / "data_manifest" / self.name

    @property
    def run(self) -> Path:
        """Where everything computed goes, runs/<name>."""
        return ROOT / "runs" / self.name

    @property
    def foreground(self) -> tuple[Class, ...]:
        """The classes without background."""
        return self.classes[1:]

    def model(self, name: str) -> dict:
        """The resolved training settings of one network; StudyError when the protocol has none."""
        for spec in self.models:
            if spec["name"] == name:
                return spec
        listed = ", ".join(m["name"] for m in self.models)
        raise StudyError(
            f"{self.root / 'study.yml'}: protocol {self.protocol!r} has no model {name!r}; it has"
            f" {listed}"
        )

    def trainings(self) -> list[tuple[str, str, int]]:
        """Every training of the protocol as (model, fold, seed); fold 'main' or 'cv1', 'cv2', …"""
        main = [(m["name"], "main", seed) for m in self.models for seed in self.spec["seeds"]]
        cv = self.spec.get("cross_validation")
        folds = [f"cv{k + 1}" for k in range(cv["folds"])] if cv else []
        return main + [
            (name, fold, self.spec["seeds"][0])
            for name in (cv or {}).get("models", [])
            for fold in folds
        ]

    def training(self, model: str, fold: str) -> dict:
        """The settings of one training: the network's, in folds changed by cross_validation."""
        spec = dict(self.model(model))
        if fold != "main":
            cv = self.spec["cross_validation"]
            spec |= {k: v for k, v in cv.items() if k not in ("folds", "models")}
        return spec


def names() -> list[str]:
    """The studies that have a manifest with images, in alphabetical order."""
    return sorted(p.parent.name for p in (ROOT / "data_manifest").glob("*/study.yml"))


def _changed(spec: dict, change: str, headline: str) -> dict:
    """A protocol with one change from the command line: size=96, epochs=10, aspect=keep or
    models=qvum+unet.
    """
    key, _, value = change.partition("=")
    if key == "models":
        wanted, own = value.split("+"), {m["name"]: m for m in spec["models"]}
        if headline not in wanted:
            asked = value.replace("+", " ")
            raise StudyError(
                f"MODELS={asked}: keep {headline}, which the study is about, as in"
                f' MODELS="{headline} {asked}"; helpers/models/catalogue.yml names all networks'
            )
        folds = spec.get("cross_validation", {"models": []})
        folds = folds | {"models": [m for m in folds["models"] if m in wanted]}
        kept = {k: v for k, v in spec.items() if k != "cross_validation"}
        kept |= {"cross_validation": folds} if folds["models"] else {}
        # a network that the protocol does not name is trained as the protocol trains all
        return kept | {"models": [own.get(m, {"name": m}) for m in dict.fromkeys(wanted)]}
    if key == "aspect":
        if value not in ("squash", "keep"):
            raise StudyError(f"ASPECT={value}: squash or keep, please")
        return spec | {key: value}
    keys = {"size": ("image_size", 16, 2048), "epochs": ("epochs", 1, 100_000)}
    if key not in keys:
        raise StudyError(
            f"PROTOCOL: {change!r} is no change; give size=, epochs=, aspect= or models="
        )
    name, least, most = keys[key]
    if not re.fullmatch("[0-9]{1,6}", value) or not least <= int(value) <= most:
        raise StudyError(f"{key.upper()}={value}: a whole number from {least} to {most}, please")
    models = [{k: v for k, v in m.items() if k != name} for m in spec["models"]]
    return spec | {name: int(value), "models": models}


def load(name: str, protocol: str = "quick") -> Study:
    """Read and validate a study.yml under one protocol; StudyError lists every problem."""
    if not re.fullmatch(NAME, name):
        raise StudyError(f"STUDY={name!r}: a study's name has letters, digits, _ . - only")
    path = ROOT / "data_manifest" / name / "study.yml"
    if not path.is_file():
        raise StudyError(f"{path}: no such file. Studies here: {', '.join(names()) or 'none'}")
    content = read_yaml(path)
    raise_all(schemas.study_problems(content), path)
    base, *changes = protocol.split(",")
    if base not in content["protocols"]:
        raise StudyError(f"{path}: no protocol {base!r}; it has {', '.join(content['protocols'])}")
    spec = DEFAULTS | content["protocols"][base]
    content["headline"] = spec.get("headline", content["headline"])
    keys = [change.partition("=")[0] for change in changes]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise StudyError(f"PROTOCOL={protocol}: {twice[0]} is said twice")
    for change in changes:
        spec = _changed(spec, change, content["headline"])
    training = {k: v for k, v in spec.items() if k not in NOT_TRAINING}
    models = tuple(
        training | m | {"options": training["options"] | m.get("options", {})}
        for m in spec["models"]
    )
    classes = tuple(
        Class(
            c["index"],
            c["name"],
            c.get("title", c["name"]),
            c["colour"].lower(),
            float(c["weight"]),
            tuple(c.get("labels", ())),
        )
        for c in content["classes"]
    )
    learnt = 1 + len(spec.get("classes", classes[1:]))
    ignored = [str(label) for c in classes[learnt:] for label in _labels(c)]
    derived = {"name": name, "protocol": protocol, "spec": spec, "models": models}
    derived |= {"classes": classes[:learnt], "ignored": (*content.get("ignored", ()), *ignored)}
    if "split" in spec:
        own = {"policy": "given", "unit": "patient", "reason": f"as protocol {base} names patients"}
        derived["split"] = content["split"] | own
    del content["protocols"]
    return Study(**content | derived)


def _labels(one: Class) -> list:
    """What a mask file may call a class: its names, its colour, and its index unless other values
    are given.
    """
    values = any(str(label).isdecimal() for label in one.labels)
    return [one.name, one.title, one.colour, *one.labels, *([] if values else [one.index])]


def _divided(frame: pd.DataFrame, split: dict, path: Path) -> pd.DataFrame:
    """The frame with the protocol's own split: the patients that it names, all others in train;
    external images stay external where it does not name them.
    """
    told = {str(patient): part for part, some in split.items() for patient in some}
    unknown = sorted(set(told) - set(frame["patient_id"]))
    raise_all((f"split: no patient {p} in images.csv" for p in unknown), path)
    rest = frame["split"].where(frame["split"] == EXTERNAL, "train")
    return frame.assign(split=frame["patient_id"].map(told).fillna(rest))


def images(study: Study) -> pd.DataFrame:
    """images.csv, validated, in file order: who is not excluded, under the protocol's subset and
    split.

    Columns as in ``IMAGES``, pixel_spacing_mm float, everything else text; NaN unknown.
    """
    path = study.root / "images.csv"
    frame = read_csv(path, IMAGES)
    frame = frame[frame["split"] != "excluded"]
    people = patients(study)
    if people is not None:  # obeyed before anything is read: who is left out there is left out here
        unknown = sorted(set(frame["patient_id"].dropna()) - set(people["patient_id"]))
        raise_all(
            (f"patient_id {name} of images.csv has no row; add it" for name in unknown),
            study.root / "patients.csv",
        )
        out = people.loc[people["excluded"].notna(), "patient_id"] if "excluded" in people else []
        frame = frame[~frame["patient_id"].isin(out)]
    if split := study.spec.get("split"):
        frame = _divided(frame, split, study.root / "study.yml")
    raise_all(_split_problems(frame, study.split.get("unit", "patient")), path)
    if limit := study.spec.get("max_patients"):
        first = frame.drop_duplicates("patient_id").groupby("split").head(limit)["patient_id"]
        frame = frame[frame["patient_id"].isin(first)]
    if limit := study.spec.get("images_per_patient"):
        frame = frame.groupby("patient_id", sort=False).head(limit)
    return frame.reset_index(drop=True)


def _split_problems(frame: pd.DataFrame, unit: str) -> Iterator[str]:
    # where a split keeps images together, not patients, a gate reports it
    known = frame.dropna(subset="patient_id") if unit == "patient" else frame.head(0)
    for patient, splits in known.groupby("patient_id")["split"].unique().items():
        if len(splits) > 1:
            rows = [int(i) + 2 for i in known.index[known["patient_id"] == patient]]
            yield (
                f"patient {patient} is in {' and '.join(splits)} (rows {rows[0]}–{rows[-1]}); keep"
                " each in one split"
            )
    unnamed = frame.index[frame["patient_id"].isna()]
    if 0 < len(unnamed) < len(frame):  # no page could count by patient, nor by image
        yield (
            f"row {unnamed[0] + 2}, patient_id: empty, as of {len(unnamed)} images, but filled for"
            " others; fill it everywhere or nowhere"
        )
    names_ = pd.Series(frame["patient_id"].dropna().unique(), dtype=object)
    spelled = names_.groupby(names_.map(_spelling))
    for _, different in names_[spelled.transform("size") > 1].groupby(names_.map(_spelling)):
        yield (
            f"patient_id: {' and '.join(map(repr, different))} differ in blanks, capitals or"
            " accents alone; write one person's id in one way"
        )
    for split in SPLITS:
        if split not in set(frame["split"]):
            yield f"split: no image is in {split!r}; every study needs train, val and test"


def _spelling(name: str) -> str:
    """A patient's id without what people write now one way, now another."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def patients(study: Study) -> pd.DataFrame | None:
    """patients.csv, excluded people included, or None where the study has none."""
    path = study.root / "patients.csv"
    return read_csv(path, PATIENTS) if path.exists() else None


def folder(study: Study) -> Path:
    """Where the images lie: the folder that they were checked in, else runs/<study>/data."""
    check = study.run / "cache" / "check.json"
    data = files.read_json(check).get("data") if check.is_file() else None
    return ROOT / data if data else study.run / "data"


def imageless(people: pd.DataFrame, images: pd.DataFrame) -> pd.Series:
    """Who of patients.csv is not excluded and has no image all the same (bool Series)."""
    left_out = people["excluded"].notna() if "excluded" in people else False
    return ~(people["patient_id"].isin(images["patient_id"]) | left_out)


def annotations(study: Study) -> pd.DataFrame | None:
    """annotations.csv (image_id, rater, mask), or None where one mask an image is all there is."""
    path = study.root / "annotations.csv"
    return read_csv(path, ANNOTATIONS) if path.exists() else None
