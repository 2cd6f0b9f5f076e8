"""What a network's outlines did, image by image: found, missed, drawn where there is nothing, and
how far off.

Means are over images, their intervals resample whole patients (images where patients are unknown),
for networks in the same way as for people.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from helpers import metrics
from helpers.stats.bootstrap import Ratios, limits, resample
from helpers.stats.counts import with_unit
from helpers.stats.design.coverage import KINDS, covered, shares, sums
from helpers.studies import Study

if TYPE_CHECKING:  # datasets bring the readers of every image format
    from helpers.datasets import Arrays

DISTANCES = ("hd95", "assd")


def means(rows: pd.DataFrame, values: Iterable[str], draws: int, seed: int) -> dict[str, float]:
    """Mean of each column of ``values`` over the rows that have it, with a 95 % bootstrap-t
    interval over column ``unit``: dict of value, value_low, value_high (NaN below five units).
    """
    result = {}
    for name in values:
        known = rows.dropna(subset=name)
        groups = known.groupby("unit")[name]
        total, count = groups.sum().to_numpy(), groups.size().to_numpy(float)
        result |= {name: known[name].mean(), f"{name}_low": np.nan, f"{name}_high": np.nan}
        if len(total):
            ratios = Ratios(total[:, None, None], count[:, None, None], np.ones(1))
            most = np.inf if name.startswith(DISTANCES) else 1.0
            found = limits(resample(ratios, draws, seed), "bootstrap_t", 0.95, (0.0, most))
            result |= {f"{name}_low": found.low[0], f"{name}_high": found.high[0]}
    return result


def found(rows: pd.DataFrame, pixel_mm: pd.Series | None = None, by: str = "class") -> pd.DataFrame:
    """How often a structure was found, missed, or drawn where there is none: a row a class.

    rows: per-image counts of one network and split; pixel_mm: image_id → side of an evaluated pixel
    (of a square one as large), None where unknown; by: "model" for several networks and one class.
    Columns: class (or
    model), outlines (images, each once a training), present, found (some of it drawn), missed
    (nothing of it drawn), absent (not in the image), drawn_where_none, and the mean and the largest
    size of those: mean_px, largest_px (evaluated pixels), mean_mm2, largest_mm2 (NaN where a pixel
    has no known size), largest_percent (of the image); NaN where none was drawn; trainings.
    """
    rows = rows[rows["class"] != "background"]
    there = rows["tp"] + rows["fn"] > 0
    wrong = rows["fp"].where(~there, 0)
    flags = pd.DataFrame(
        {
            by: rows[by],
            "outlines": 1,
            "present": there,
            "found": rows["tp"] > 0,
            "missed": there & (rows["tp"] == 0),
            "absent": ~there,
            "drawn_where_none": wrong > 0,
        }
    )
    table = flags.groupby(by, sort=False).sum().astype(int)
    drawn = rows[wrong > 0]
    side = drawn["image_id"].map({} if pixel_mm is None else pixel_mm).astype(float)
    for unit, sizes in (("px", drawn["fp"]), ("mm2", drawn["fp"] * side**2)):
        each = sizes.groupby(drawn[by])
        whole = each.count() == each.size()  # NaN where a pixel of one has no known size
        table[f"mean_{unit}"] = each.mean().where(whole)
        table[f"largest_{unit}"] = each.max().where(whole)
    share = 100 * drawn["fp"] / drawn[metrics.COUNTS].sum(axis=1)
    table["largest_percent"] = share.groupby(drawn[by]).max()
    table["trainings"] = rows["seed"].groupby(rows[by]).nunique() if "seed" in rows else 1
    return table.reset_index()


def scale(rows: pd.DataFrame, people: pd.DataFrame | None = None) -> str:
    """ "mm" where the size of a pixel is known for every row that has a distance (and for people's
    rows), else "px".
    """
    measured = rows.dropna(subset="hd95_px")
    known = len(measured) and measured["hd95_mm"].notna().all()
    if people is not None and len(people):
        columns = people.columns.intersection(["hd95_px", "hd95_mm"])
        known = known and people.dropna(subset=columns, how="all")["hd95_mm"].notna().all()
    return "mm" if known else "px"


def distances(rows: pd.DataFrame, unit: str, draws: int, seed: int) -> pd.DataFrame:
    """How far outlines lie from the reference: a row a class.

    rows: per-image rows of one network and split, without the background; unit: "px" or "mm".
    Columns: class, images (with a distance), without_distance (one outline or both are empty), and
    hd95 and assd in that unit with their intervals.
    """
    columns = [f"{name}_{unit}" for name in DISTANCES]
    out = []
    for name, own in with_unit(rows).groupby("class", sort=False):
        known = own.dropna(subset=columns[0])["image_id"].nunique()
        without = own["image_id"].nunique() - known
        counted = {"class": name, "images": known, "without_distance": without}
        out.append(counted | means(own, columns, draws, seed))
    return pd.DataFrame(out)


def believed(
    rows: pd.DataFrame, measured: dict[str, pd.DataFrame], seed: int, draws: int
) -> pd.DataFrame:
    """How far the intervals of shares and distances can be believed: a row a class and number, as
    ``stats.shares`` and ``design.coverage.covered`` have them, after column what.

    rows: per-image counts of one network, without the background; measured: column of a distance
    or share of the outline (HD95, ASSD, NSD) → rows that have it.
    """
    rows = with_unit(rows)
    there = rows["tp"] + rows["fn"] > 0
    missed = rows.assign(hit=rows["tp"] == 0)[there]
    nowhere = rows.assign(hit=rows["fp"] > 0)[~there]
    parts = [
        shares(part, ["class"], seed).assign(what=what)
        for what, part in (("missed", missed), ("drawn where none", nowhere))
    ]
    long = [with_unit(each).assign(what=name, value=each[name]) for name, each in measured.items()]
    known = pd.concat(long).dropna(subset="value")
    if len(known):
        each = ["class", "what", "unit", "image_id"]  # several trainings draw an image once each
        known = known.groupby(each, sort=False)["value"].mean().reset_index()
        ratios, keys = sums(known, "value", by := ["class", "what"])
        most = np.where(keys["what"].str.startswith(DISTANCES), np.inf, 1.0)
        found = covered(ratios, keys, KINDS, (0.0, most), draws=draws, seed=seed)
        sizes = known.groupby(by).size().rename("n").reset_index()
        parts.append(found.merge(sizes, on=by))
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def surface(
    study: Study, arrays: "Arrays", drawn: np.ndarray, positions: np.ndarray, tolerance: float
) -> pd.DataFrame:
    """Normalised surface Dice (share of both outlines within ``tolerance`` pixels of the other) of
    every image and class: columns image_id, patient_id, class, nsd.

    drawn: uint8 (N, H, W) for all of ``arrays``; positions: of the images to measure.
    """
    index, rows = arrays.index, []
    for k in positions:
        for c in study.foreground:
            share = metrics.surface_dice(drawn[k] == c.index, arrays.masks[k] == c.index, tolerance)
            rows.append((index["image_id"].iloc[k], index["patient_id"].iloc[k], c.name, share))
    return pd.DataFrame(rows, columns=["image_id", "patient_id", "class", "nsd"])
