"""Agreement between people who outlined the same images, computed from their masks: the ceiling
that a network can be measured against.

Pairs of raters, every rater against the reference (the senior's decision, the mask of images.csv),
and two ways of making a consensus without a senior: majority and STAPLE (Warfield 2004, as in ITK).
Intervals resample whole patients. The reference of the Q-VUM design keeps the raters' label where
all agree, so agreement with it is not independent.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK

from helpers import cache, datasets, studies
from helpers.analyses import outlines
from helpers.errors import NotComputable, StudyError, raise_all
from helpers.metrics import distances_px_mm
from helpers.readers import read_mask
from helpers.stats.bootstrap import draw_counts
from helpers.stats.counts import MIN_UNITS

REFERENCE = "reference"
VALUES = ("Dice", "hd95_px", "assd_px", "hd95_mm", "assd_mm")
ONE_OUTLINE = (
    "One outline an image is all there is, so the agreement between people cannot be measured here."
    " A clinical reader should ask how two experts would differ"
)


@dataclass(frozen=True)
class Readings:
    """masks: uint8 (raters, N, H, W) at evaluation size; names: one a rater, the last is the
    reference; index: as in ``helpers.datasets.Arrays``, only images that every rater drew.
    """

    names: tuple[str, ...]
    masks: np.ndarray
    index: pd.DataFrame


def read(
    study: studies.Study,
    arrays: datasets.Arrays,
    split: str = "test",
    data: Path | str | None = None,
) -> Readings:
    """The raters' masks of one split ('' for all).

    Every mask is read, checked against its image's size and resized as the reference was;
    StudyError lists all problems. Images that one of the raters did not draw are left out.
    NotComputable where no image was drawn by two people.
    """
    table = studies.annotations(study)
    if table is None:
        raise NotComputable(ONE_OUTLINE)
    data = Path(data) if data else studies.folder(study)
    index = arrays.index[arrays.index["split"] == split] if split else arrays.index
    table = table[table["image_id"].isin(index["image_id"])]
    doubled = table[table.duplicated(["image_id", "rater"])]
    problems = [
        f"image_id {r.image_id}: two masks of rater {r.rater}; keep one"
        for r in doubled.itertuples()
    ]
    raise_all(problems, study.root / "annotations.csv")
    paths = table.pivot_table(index="image_id", columns="rater", values="mask", aggfunc="first")
    complete = index[index["image_id"].isin(paths.dropna().index)]
    names = tuple(paths.columns)
    if len(names) < 2 or complete.empty:
        raise NotComputable(
            f"annotations.csv has no image of split {split!r} that every one of two raters or more"
            " drew, so the agreement between people cannot be measured here"
        )
    listed = table.assign(sha256_mask=table.get("sha256_mask", np.nan))
    listed = listed.set_index(["image_id", "rater"])
    size, masks = arrays.masks.shape[1], []
    for name in names:
        for row in complete.itertuples():
            where = f"image_id {row.image_id}, rater {name}"
            file, digest = listed.loc[(row.image_id, name), ["mask", "sha256_mask"]]
            if found := cache.problem(data, file, digest):
                problems.append(f"{where}: {found}")
                continue
            try:
                mask = read_mask(
                    data / file,
                    study.classes,
                    ignored=study.ignored,
                    shape=(row.height_px, row.width_px),
                )
                masks.append(datasets.resize_mask(mask, size, study.spec["aspect"]))
            except StudyError as error:
                problems.append(f"{where}: {error}")
    raise_all(problems, study.root / "annotations.csv")
    drawn = np.reshape(masks, (len(names), len(complete), size, size))
    reference = np.asarray(arrays.masks)[complete.index][None]
    return Readings(
        (*names, REFERENCE), np.concatenate([drawn, reference]), complete.reset_index(drop=True)
    )


def majority(masks: np.ndarray, classes: int) -> np.ndarray:
    """The class that most raters gave each pixel, uint8 (H, W), from uint8 (raters, H, W); a tie
    goes to the lowest.
    """
    votes = [(masks == k).sum(0) for k in range(classes)]
    return np.argmax(votes, 0).astype(np.uint8)


def staple(masks: np.ndarray, classes: int) -> np.ndarray:
    """Consensus of uint8 (raters, H, W) by STAPLE, one structure against the rest: uint8 (H, W).

    A pixel gets the structure whose probability is the highest, if that is at least one half. A
    structure that all drew alike, or nobody drew, needs no estimate.
    """
    chance = np.zeros((classes, *masks.shape[1:]))
    chance[0] = 0.5
    for k in range(1, classes):
        drawn = masks == k
        if (drawn == drawn[0]).all():
            chance[k] = drawn[0]
        elif drawn.any():
            images = [SimpleITK.GetImageFromArray(d.astype(np.uint8)) for d in drawn]
            chance[k] = SimpleITK.GetArrayFromImage(SimpleITK.STAPLE(images, 1.0))
    return np.argmax(chance, 0).astype(np.uint8)


def compare(
    first: np.ndarray | Sequence[np.ndarray],
    second: np.ndarray | Sequence[np.ndarray],
    classes: Sequence[studies.Class],
    index: pd.DataFrame,
) -> pd.DataFrame:
    """One row an image and foreground class of two sets of masks, uint8 (N, H, W): image_id, unit,
    class, VALUES.

    unit: the patient, or the image where patients are unknown. mm only where the spacing is known.
    """
    rows = []
    units = index["patient_id"].fillna(index["image_id"])
    for a, b, image, unit, sides in zip(
        first, second, index["image_id"], units, datasets.spacing(index), strict=True
    ):
        for c in classes[1:]:
            x, y = a == c.index, b == c.index
            total = int(x.sum() + y.sum())
            dice = 2 * int((x & y).sum()) / total if total else np.nan
            rows.append((image, unit, c.name, dice, *distances_px_mm(x, y, sides)))
    return pd.DataFrame(rows, columns=["image_id", "unit", "class", *VALUES])


def kappa_sums(masks: np.ndarray, target: int, index: pd.DataFrame) -> np.ndarray:
    """What Fleiss' kappa (Fleiss 1971) is made of, float (units, 3): pixels, agreement Σ Pᵢ, share
    of votes Σ kᵢ/n.

    masks: uint8 (raters, N, H, W); target: class index against the rest.
    """
    n = len(masks)
    rows = []
    for votes in datasets.framed((masks == target).sum(0).astype(float), index):
        agreement = (votes * (votes - 1) + (n - votes) * (n - votes - 1)) / (n * (n - 1))
        rows.append((votes.size, agreement.sum(), votes.sum() / n))
    sums = pd.DataFrame(rows)
    return (
        sums.groupby(index["patient_id"].fillna(index["image_id"]).to_numpy(object))
        .sum()
        .to_numpy(float)
    )


def kappa(sums: np.ndarray) -> np.ndarray:
    """Fleiss' kappa from ``kappa_sums`` added up, (…, 3) → (…): 1 perfect, 0 as by chance, NaN if
    nobody drew it.
    """
    observed, share = sums[..., 1] / sums[..., 0], sums[..., 2] / sums[..., 0]
    expected = share**2 + (1 - share) ** 2
    return np.divide(
        observed - expected,
        1 - expected,
        out=np.full(np.shape(observed), np.nan),
        where=expected < 1,
    )


def _kappas(readings: Readings, target: int, draws: int, seed: int) -> dict[str, float]:
    sums = kappa_sums(readings.masks[:-1], target, readings.index)
    drawn = kappa(draw_counts(len(sums), draws, seed) @ sums)
    enough = len(sums) >= MIN_UNITS and np.isfinite(drawn).any()
    low, high = np.nanpercentile(drawn, [2.5, 97.5]) if enough else (np.nan, np.nan)
    if not high > low:  # no variation between units: no interval
        low = high = np.nan
    return {"kappa": float(kappa(sums.sum(0))), "kappa_low": low, "kappa_high": high}


def agreement(
    readings: Readings, classes: Sequence[studies.Class], draws: int = 2000, seed: int = 1
) -> pd.DataFrame:
    """The table of agreement: one row a comparison and foreground class.

    Columns: comparison, kind ('between raters', 'pair', 'rater to reference', 'consensus to
    reference'), class, images (with a Dice), units (patients), each of VALUES with _low and _high,
    and kappa with its interval in the rows 'between raters'. Distances in pixels of the evaluated
    image.
    """
    people, index = readings.names[:-1], readings.index
    count = max(c.index for c in classes) + 1
    pairs = {
        (i, j): compare(readings.masks[i], readings.masks[j], classes, index)
        for i, j in itertools.combinations(range(len(readings.names)), 2)
    }
    last = len(people)
    parts = [
        (
            "between raters",
            "all pairs of raters",
            pd.concat([v for (_, j), v in pairs.items() if j < last]),
        )
    ]
    parts += [("pair", f"{people[i]} – {people[j]}", v) for (i, j), v in pairs.items() if j < last]
    parts += [
        ("rater to reference", f"{people[i]} – reference", v)
        for (i, j), v in pairs.items()
        if j == last
    ]
    shown = datasets.framed(readings.masks.swapaxes(0, 1), index)  # of each image all outlines
    for name, rule in (("majority", majority), ("STAPLE", staple)):
        made = [rule(each[:-1], count) for each in shown]
        values = compare(made, [each[-1] for each in shown], classes, index)
        parts.append(("consensus to reference", f"{name} – reference", values))
    rows = []
    for kind, comparison, values in parts:
        for c in classes[1:]:
            mine = values[values["class"] == c.name]
            row = {
                "comparison": comparison,
                "kind": kind,
                "class": c.name,
                "images": int(mine.dropna(subset="Dice")["image_id"].nunique()),
                "units": int(mine.dropna(subset="Dice")["unit"].nunique()),
            }
            extra = _kappas(readings, c.index, draws, seed) if kind == "between raters" else {}
            rows.append(row | outlines.means(mine, VALUES, draws, seed) | extra)
    return pd.DataFrame(rows)
