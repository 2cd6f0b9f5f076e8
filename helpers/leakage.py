"""Gates: can the numbers of a study be trusted? Each looks for one way in which test data leak or
go missing.

A gate passes, fails, or does not apply (passed is None), says what it found in words, and shows the
evidence. The index is that of ``helpers.datasets.Arrays``: image_id, patient_id, split,
sha256_image, cv_fold, one row an image.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from helpers import alike, files
from helpers.errors import raise_all
from helpers.studies import Class, Study

#: hash bits (of 256) up to which two images count as near-duplicates. Measured on 955
#: brachial-plexus images of 88 known patients: of 450,217 pairs of different patients none came
#: closer than 61, while half of all images had another of the same patient within 26.
THRESHOLD = 40
#: correlation of fine detail from which a pair of two known patients counts too; between different
#: people the highest was 0.38 in those images, and 0.76 in 99,456 pairs of drawn phantoms, which
#: share the shape of their sector
DETAIL = 0.8
#: pairs within one split that are listed; they are no fault
LISTED = 100_000


@dataclass(frozen=True)
class Gate:
    """passed: None where it does not apply; found: one sentence; evidence: DataFrame."""

    name: str
    passed: bool | None
    found: str
    evidence: pd.DataFrame = field(default_factory=pd.DataFrame)


def folds(index: pd.DataFrame) -> dict[str, np.ndarray]:
    """Ways in which the index divides the images: 'main', 'cross-validation' → labels (arrays)."""
    ways = {"main": index["split"].to_numpy(object)}
    if "cv_fold" in index and (index["cv_fold"] >= 0).any():  # external images lie in no fold
        names = [f"cv{k + 1}" if k >= 0 else "no fold" for k in index["cv_fold"]]
        ways["cross-validation"] = np.array(names, object)
    return ways


def patients_disjoint(index: pd.DataFrame) -> Gate:
    """No patient has images in two splits, or in two folds. Columns: division, patient, in."""
    name, known = "patients disjoint", index["patient_id"].notna().to_numpy()
    if not known.any():
        return Gate(name, None, "patients are unknown, so nothing can show that they are disjoint")
    rows = []
    for way, labels in folds(index).items():
        groups = pd.Series(labels[known]).groupby(index["patient_id"].to_numpy()[known]).unique()
        rows += [(way, p, ", ".join(sorted(its))) for p, its in groups.items() if len(its) > 1]
    evidence = pd.DataFrame(rows, columns=["division", "patient", "in"])
    patients, unknown = index["patient_id"].nunique(), int((~known).sum())
    found = f"{patients} patients, {len(evidence)} of them in more than one split or fold"
    if unknown:
        found += f"; {unknown} images without a patient"
    return Gate(name, not rows and not unknown, found, evidence)


def identical(index: pd.DataFrame) -> Gate:
    """No file occurs byte for byte in two splits. Columns: image_id, other, split, other_split."""
    rows = []
    copies = index[index.duplicated("sha256_image", keep=False)]
    for _, group in copies.groupby("sha256_image", sort=False):
        first = group.iloc[0]
        rows += [
            (first.image_id, o.image_id, first.split, o.split) for o in group.iloc[1:].itertuples()
        ]
    evidence = pd.DataFrame(rows, columns=["image_id", "other", "split", "other_split"])
    across = int((evidence["split"] != evidence["other_split"]).sum())
    found = f"{len(evidence)} byte-identical copies, {across} of them in another split"
    return Gate("identical images", across == 0, found, evidence)


def near_duplicates(
    images: Sequence[np.ndarray], index: pd.DataFrame, threshold: int = THRESHOLD
) -> Gate:
    """No images of different splits look alike: their hashes differ in more than threshold bits.

    A pair of two known patients counts only if its fine detail agrees as well (DETAIL): then it is
    one picture under two names. Where patients are unknown, looking alike is already a sign of one.
    Evidence, closest first: bits, detail, image_id, other, split, other_split, patient_id,
    other_patient, counts; pairs within one split are listed but do not count. Noise, gain and blur
    are seen through; a crop or shift of more than about 1 % of the image is not.
    """
    first, second, bits = alike.pairs_within(alike.hashes(images), threshold)
    parts, people = index["split"].to_numpy(object), index["patient_id"].to_numpy(object)
    across = parts[first] != parts[second]
    listed = across.copy()  # frames of one video are alike by the million: their closest will do
    listed[np.flatnonzero(~across)[:LISTED]] = True
    first, second, bits = first[listed], second[listed], bits[listed]
    left_out = int((~listed).sum())
    pairs = {"bits": bits, "detail": alike.agreement(images, first, second)}
    others = {"image_id": "other", "split": "other_split", "patient_id": "other_patient"}
    for column, other in others.items():
        values = index[column].to_numpy(object)
        pairs |= {column: values[first], other: values[second]}
    evidence = pd.DataFrame(pairs)
    unknown = pd.isna(people[first]) | pd.isna(people[second])
    same = unknown | (people[first] == people[second]) | (evidence["detail"] >= DETAIL)
    evidence["counts"] = same & (evidence["split"] != evidence["other_split"])
    across = int(evidence["counts"].sum())
    one = evidence["split"].eq("test") ^ evidence["other_split"].eq("test")
    test = int((evidence["counts"] & one).sum())
    found = f"{across} pairs of different splits that look alike"
    found += f", {test} with a test image"
    if left_out:
        found += f"; {left_out} more within one split are not listed"
    return Gate("near-duplicate images", across == 0, found, evidence)


def classes_present(masks: np.ndarray, index: pd.DataFrame, classes: Sequence[Class]) -> Gate:
    """Every class has pixels in every split and fold. masks: uint8 (N, H, W).

    Columns: division, part, class, images (how many show the class).
    """
    present = np.array(
        [np.bincount(np.ravel(m), minlength=len(classes))[: len(classes)] > 0 for m in masks]
    )
    rows = []
    for way, labels in folds(index).items():
        for part in dict.fromkeys(labels):
            counts = present[labels == part].sum(0)
            rows += [(way, part, c.name, int(counts[c.index])) for c in classes]
    evidence = pd.DataFrame(rows, columns=["division", "part", "class", "images"])
    missing = [f"{r['class']} in {r.part}" for _, r in evidence[evidence["images"] == 0].iterrows()]
    whole = f"all {len(classes)} classes in every split and fold"
    found = f"missing: {', '.join(missing)}" if missing else whole
    return Gate("classes present", not missing, found, evidence)


def normalisation(records: list[dict], arrays: Any) -> Gate:
    """Mean and deviation that networks were fed with are those of their training images alone.

    records: the contents of weights.json, one dict a training. Columns: model, fold, kind, mean,
    expected, fits. Networks without normalisation, or with ImageNet's, saw nothing of this study.
    """
    rows = []
    for record in records:
        norm, fold = record["normalisation"], record["fold"]
        told, expected, fits = (norm["mean"][0], norm["std"][0]), (np.nan, np.nan), True
        if norm["kind"] == "train":
            both = record["training"]["checkpoint"] == "last" and fold != "main"
            splits = ["train", "val"] if both else ["train"]
            train = np.sort(np.concatenate([arrays.rows(fold, split) for split in splits]))
            expected = _mean_and_deviation(arrays.shown(train))
            fits = bool(np.allclose(told, expected, rtol=1e-9, atol=0))
        rows.append((record["model"], fold, norm["kind"], told[0], expected[0], fits))
    evidence = pd.DataFrame(rows, columns=["model", "fold", "kind", "mean", "expected", "fits"])
    if evidence.empty:
        return Gate("normalisation", None, "no network has been trained yet", evidence)
    wrong = int((~evidence["fits"]).sum())
    found = f"{len(evidence)} trainings, {wrong} of them with other values than their training"
    found += " images give"
    return Gate("normalisation", wrong == 0, found, evidence)


def _mean_and_deviation(images: Sequence[np.ndarray]) -> tuple[float, float]:
    """Mean and standard deviation of images' pixels, as shares of 255, by their histogram."""
    counts = np.sum([np.bincount(image.ravel(), minlength=256) for image in images], 0)
    values = np.arange(256) / 255
    mean = np.average(values, weights=counts)
    return mean, np.sqrt(np.average((values - mean) ** 2, weights=counts))


def records(study: Study) -> list[dict]:
    """What every training of a study wrote about itself (weights.json): list of dict, by path."""
    found = sorted(study.run.rglob("weights.json"))
    return [files.read_json(path) for path in found]


def quick(index: pd.DataFrame, masks: np.ndarray, classes: Sequence[Class]) -> list[Gate]:
    """The gates that are told at load as well, before anything is trained (list)."""
    return [patients_disjoint(index), identical(index), classes_present(masks, index, classes)]


def run(study: Study, arrays: Any, threshold: int = THRESHOLD) -> list[Gate]:
    """Every gate of a study on its checked images (``helpers.datasets.Arrays``), as a list."""
    return [
        *quick(arrays.index, arrays.masks, study.classes),
        near_duplicates(arrays.shown(), arrays.index, threshold),
        normalisation(records(study), arrays),
    ]


def table(gates: list[Gate]) -> pd.DataFrame:
    """One row a gate: gate, result (passed, FAILED, does not apply), found."""
    words = {True: "passed", False: "FAILED", None: "does not apply"}
    rows = [(g.name, words[g.passed], g.found) for g in gates]
    return pd.DataFrame(rows, columns=["gate", "result", "found"])


def require(gates: list[Gate], heading: Path | str = "gates") -> list[Gate]:
    """Raise one StudyError that lists every gate that failed; otherwise return the gates."""
    failed = [g for g in gates if g.passed is False]
    raise_all((f"{g.name}: {g.found}; see the gates table of 02_images" for g in failed), heading)
    return gates
