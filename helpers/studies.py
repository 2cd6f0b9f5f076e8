"""What a study is: its manifest, read and validated before anything else happens.

A study is a folder ``data_manifest/<name>/`` with ``study.yml`` (classes, split, statistics,
protocols), ``images.csv`` (one row an image) and, where they are known, ``patients.csv`` and
``annotations.csv``. Everything wrong with them is reported at once, with file, row and key.
"""

import math
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from helpers.errors import StudyError, raise_all
from helpers.schemas import ANNOTATIONS, IMAGES, PATIENTS, SPLITS, read_csv

# jsonschema builds a grammar of web addresses for a second, where it can; nothing here checks one
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
import jsonschema  # noqa: E402

if sys.modules["rfc3987_syntax"] is None:
    del sys.modules["rfc3987_syntax"]

#: where data_manifest/, runs/ and reports/ lie; STUDY_ROOT moves them (the tests do)
#: what a study may be called
NAME = r"\.?[A-Za-z0-9_][A-Za-z0-9_.-]*"
ROOT = Path(os.environ.get("STUDY_ROOT") or Path(__file__).resolve().parent.parent)
SCHEMA = yaml.safe_load((Path(__file__).parent / "study.schema.yml").read_text(encoding="utf-8"))
DEFAULTS = {
    "class_weights": True,
    "normalise": "none",
    "freeze_epochs": 0,
    "checkpoint": "best",
    "channels": 3,
    "options": {},
    "time_limit_min": 600,
}
NOT_TRAINING = (
    "models",
    "cross_validation",
    "seeds",
    "describe",
    "time_limit_min",
    "images_per_patient",
    "max_patients",
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
    """A validated study under one protocol. spec: the protocol with defaults; models: one dict a
    network.
    """

    name: str
    title: str
    question: str
    citation: str
    paper: str | None
    synthetic: bool
    generator: str | None
    note: str
    classes: tuple[Class, ...]
    ignored: tuple[str, ...]
    split: dict
    headline: str
    target: str
    statistics: dict
    protocol: str
    spec: dict
    models: tuple[dict, ...]

    @property
    def root(self):
        """The manifest folder, data_manifest/<name>."""
        return ROOT / "data_manifest" / self.name

    @property
    def run(self):
        """Where everything computed goes, runs/<name>."""
        return ROOT / "runs" / self.name

    @property
    def foreground(self):
        """The classes without background."""
        return self.classes[1:]

    def model(self, name):
        """The resolved training settings of one network (dict); StudyError when the protocol has
        none.
        """
        for spec in self.models:
            if spec["name"] == name:
                return spec
        listed = ", ".join(m["name"] for m in self.models)
        raise StudyError(
            f"{self.root / 'study.yml'}: protocol {self.protocol!r} has no model {name!r}; it has"
            f" {listed}"
        )

    def trainings(self):
        """Every training of the protocol as (model, fold, seed); fold 'main' or 'cv1', 'cv2', …"""
        main = [(m["name"], "main", seed) for m in self.models for seed in self.spec["seeds"]]
        cv = self.spec.get("cross_validation")
        folds = [f"cv{k + 1}" for k in range(cv["folds"])] if cv else []
        return main + [
            (name, fold, self.spec["seeds"][0])
            for name in (cv or {}).get("models", [])
            for fold in folds
        ]

    def training(self, model, fold):
        """The settings of one training: the network's, with the cross-validation's changes in its
        folds.
        """
        spec = dict(self.model(model))
        if fold != "main":
            cv = self.spec["cross_validation"]
            spec |= {k: v for k, v in cv.items() if k not in ("folds", "models")}
        return spec


def names():
    """The studies that have a manifest with images, in alphabetical order."""
    return sorted(p.parent.name for p in (ROOT / "data_manifest").glob("*/study.yml"))


#: words that pages and tables use themselves, in place of a structure's or a network's name
RESERVED = ("all", "foreground", "background", "reference", "network", "test")


class _Strict(yaml.SafeLoader):
    """Safe YAML in which a key stands once, and every number is one."""


def _mapping(loader, node, deep=False):
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise yaml.constructor.ConstructorError(
            None, None, f"key {twice[0]!r} is given twice", node.start_mark
        )
    return loader.construct_mapping(node, deep)


def _number(loader, node):
    value = loader.construct_yaml_float(node)
    if not math.isfinite(value):
        raise yaml.constructor.ConstructorError(
            None, None, f"{node.value} is not a number to compute with", node.start_mark
        )
    return value


def _whole(loader, node):
    if not re.fullmatch(r"[+-]?(0|[1-9][0-9]*)", node.value):  # 010 is 8 to YAML, 1:30 is 90
        raise yaml.constructor.ConstructorError(
            None, None, f"{node.value} is not a plain whole number", node.start_mark
        )
    return loader.construct_yaml_int(node)


_Strict.add_constructor("tag:yaml.org,2002:int", _whole)
_Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Strict.add_constructor("tag:yaml.org,2002:float", _number)


def read_yaml(path):
    """The YAML file as a dict; StudyError with the line when it cannot be read."""
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), _Strict)
    except FileNotFoundError:
        raise StudyError(
            f"{path}: no such file. Studies here: {', '.join(names()) or 'none'}"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise StudyError(f"{path}: must hold keys and values, found {type(content).__name__}")
    return content


#: as the standard says, but 4.0 is no whole number: nothing can be counted with it
_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)


def _schema_problems(content):
    errors = _Validator(SCHEMA).iter_errors(content)
    for error in sorted(errors, key=lambda e: [str(p) for p in e.absolute_path]):
        yield f"{'.'.join(str(p) for p in error.absolute_path) or 'top level'}: {error.message}"


def _meaning_problems(content):
    names_ = [c["name"] for c in content["classes"]]
    if [c["index"] for c in content["classes"]] != list(range(len(names_))):
        yield (
            "classes: indices must be 0, 1, 2, … in order, found"
            f" {[c['index'] for c in content['classes']]}"
        )
    if len(set(names_)) < len(names_):
        yield f"classes: every name once, found {names_}"
    if names_[0] != "background":
        yield f"classes.0.name: the first class must be 'background', found {names_[0]!r}"
    models = [m["name"] for p in content["protocols"].values() for m in p["models"]]
    for name in dict.fromkeys([*names_[1:], *models]):
        if name.lower() in RESERVED:
            yield (
                f"{name!r} is no name for a structure or a network: pages use"
                f" {', '.join(RESERVED)} for something else; choose another"
            )
    for key, value in [
        ("target", content["target"]),
        ("statistics.class", content["statistics"]["class"]),
    ]:
        if value not in names_[1:]:
            yield f"{key}: {value!r} is no foreground class; declared are {names_[1:]}"
    for name, protocol in content["protocols"].items():
        models = [m["name"] for m in protocol["models"]]
        if len({re.sub(r"[^A-Za-z0-9_.+-]", "-", m) for m in models}) < len(models):
            yield f"protocols.{name}.models: every network and its folder once, found {models}"
        for part in (protocol, *protocol["models"], protocol.get("cross_validation", {})):
            yield from _range_problems(f"protocols.{name}", part)
        for key, wanted in [
            ("headline", [content["headline"]]),
            *(
                [("cross_validation.models", protocol["cross_validation"]["models"])]
                if "cross_validation" in protocol
                else []
            ),
        ]:
            if missing := [m for m in wanted if m not in models]:
                yield (
                    f"protocols.{name}: {key} names {missing}, which are not among its models"
                    f" {models}"
                )


def _range_problems(where, spec):
    for key in ("scale", "rotation_deg", "gamma"):
        low, high = (spec.get("augmentation") or {}).get(key, (0, 0))
        if low > high:
            yield f"{where}.augmentation.{key}: the lower value first, found [{low}, {high}]"


def _changed(spec, change, headline):
    """A protocol with one change from the command line: size=96, epochs=10, aspect=keep or
    models=qvum+unet.
    """
    key, _, value = change.partition("=")
    if key == "models":
        wanted, own = value.split("+"), {m["name"]: m for m in spec["models"]}
        if headline not in wanted:
            raise StudyError(
                f"MODELS={value.replace('+', ' ')}: keep {headline}, which the study is about"
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
        spec = {k: v for k, v in spec.items() if k != key}
        return spec | ({key: value} if value == "keep" else {})
    keys = {"size": ("image_size", 16, 2048), "epochs": ("epochs", 1, 100_000)}
    if key not in keys:
        raise StudyError(
            f"PROTOCOL: {change!r} is no change; give size=, epochs=, aspect= or models="
        )
    name, least, most = keys[key]
    if not value.isdecimal() or not least <= int(value) <= most:
        raise StudyError(f"{key.upper()}={value}: a whole number from {least} to {most}, please")
    models = [{k: v for k, v in m.items() if k != name} for m in spec["models"]]
    return spec | {name: int(value), "models": models}


def load(name, protocol="quick"):
    """Read and validate data_manifest/<name>/study.yml under one protocol; StudyError lists every
    problem.
    """
    if not re.fullmatch(NAME, name):
        raise StudyError(f"STUDY={name!r}: a study's name has letters, digits, _ . - only")
    path = ROOT / "data_manifest" / name / "study.yml"
    content = read_yaml(path)
    raise_all(_schema_problems(content), path)
    raise_all(_meaning_problems(content), path)
    base, *changes = protocol.split(",")
    if base not in content["protocols"]:
        raise StudyError(f"{path}: no protocol {base!r}; it has {', '.join(content['protocols'])}")
    spec = DEFAULTS | content["protocols"][base]
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
    optional = {"question": "", "paper": None, "generator": None, "note": ""}
    fields = {
        k: content.get(k, optional.get(k))
        for k in (
            "title",
            "question",
            "citation",
            "paper",
            "synthetic",
            "generator",
            "note",
            "split",
            "headline",
            "target",
            "statistics",
        )
    }
    return Study(
        name=name,
        protocol=protocol,
        classes=classes,
        ignored=tuple(content.get("ignored", ())),
        spec=spec,
        models=models,
        **fields,
    )


def images(study):
    """images.csv of a study, validated: DataFrame in file order, without excluded rows, under the
    protocol's subset.

    Columns as in ``IMAGES``; pixel_spacing_mm float (NaN unknown), everything else text (NaN
    unknown).
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
    raise_all(_split_problems(frame, study.split.get("unit", "patient")), path)
    if limit := study.spec.get("max_patients"):
        first = frame.drop_duplicates("patient_id").groupby("split").head(limit)["patient_id"]
        frame = frame[frame["patient_id"].isin(first)]
    if limit := study.spec.get("images_per_patient"):
        frame = frame.groupby("patient_id", sort=False).head(limit)
    return frame.reset_index(drop=True)


def _split_problems(frame, unit):
    known = (
        frame.dropna(subset="patient_id") if unit == "patient" else frame.head(0)
    )  # by image: a gate reports it
    for patient, splits in known.groupby("patient_id")["split"].unique().items():
        if len(splits) > 1:
            rows = [int(i) + 2 for i in known.index[known["patient_id"] == patient]]
            yield (
                f"patient {patient} is in {' and '.join(splits)} (rows {rows[0]}–{rows[-1]}); keep"
                " each in one split"
            )
    for split in SPLITS:
        if split not in set(frame["split"]):
            yield f"split: no image is in {split!r}; every study needs train, val and test"


def patients(study):
    """patients.csv (validated DataFrame, excluded people included), or None where the study has
    none.
    """
    path = study.root / "patients.csv"
    return read_csv(path, PATIENTS) if path.exists() else None


def annotations(study):
    """annotations.csv (image_id, rater, mask), or None where one mask an image is all there is."""
    path = study.root / "annotations.csv"
    return read_csv(path, ANNOTATIONS) if path.exists() else None
