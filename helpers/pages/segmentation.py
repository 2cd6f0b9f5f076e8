"""Page 4, how good is it on each structure: sentences and tables as functions of frames."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from helpers import figures, metrics, runs, stats
from helpers.analyses import outlines
from helpers.errors import NotComputable
from helpers.figures import tables
from helpers.pages import absent, summary
from helpers.pages.images import SPLITS
from helpers.studies import Study

if TYPE_CHECKING:  # datasets bring the readers of every image format
    from helpers.datasets import Arrays

COLUMNS = ["estimand", "class", "metric", "estimate", "low", "high", "coverage"]
COLUMNS += ["instead", "instead_low", "instead_high", "note"]
BELIEVED = ["class", "what", "n_images", "estimate", "low", "high", *stats.BESIDE, "note"]
STRUCTURES = (
    "In brackets: 95 % interval; after “or”: one of a kind that covers more, where it would hold"
    f" the truth in fewer than {100 * stats.ENOUGH:.0f} of 100 studies like this (how many, and why"
    f" there is none: in the file). Pooled: {stats.ESTIMANDS['pooled']}. Per patient:"
    f" {stats.ESTIMANDS['per_patient']}. {metrics.POLICY}"
)
RATES = ["class", "TPR", "TNR", "FPR_union", "FNR_union", "FPR", "FNR"]
TABLE2 = (
    "FPR of union = FP/(TP+FP+FN), FNR of union = FN/(TP+FP+FN): as the Q-VUM paper computes. FPR ="
    " FP/(FP+TN), FNR = FN/(TP+FN): textbook."
)
ANOVA = (
    "Dice by {unit}, the structures compared within each. ε: how far from equal the spreads are (1:"
    " equal), by which P is corrected. Partial η²: share of the variation that the structures"
    " explain."
)
PAIRS = "Difference of Dice, first minus second, over {unit}s."
PAPER = (
    f"{stats.LABEL.capitalize()}. Textbook FPR is 1 − TNR and FNR 1 − TPR: they differ as those do."
)
DISTANCES = (
    "Means over images, for the network and for people alike. 95 % intervals: bootstrap-t, whole"
    " {unit}s resampled. Without distance: one outline or both are empty."
)
NSD = (
    " NSD: share of the outline within {tolerance:.2f} pixels of the other, for every structure"
    " alike; it is of the first training where there are several."
)


def names(study: Study) -> list[str]:
    """The structures' names, background left out."""
    return [c.name for c in study.foreground]


def in_words(table: pd.DataFrame, study: Study) -> str:
    """Dice of each structure, Markdown. table: of ``stats.intervals``."""
    dice = table[(table["estimand"] == "pooled") & (table["metric"] == "Dice")].set_index("class")
    dice = dice.reindex(names(study))
    known = dice.dropna(subset="estimate")
    if known.empty:
        raise NotComputable(
            "No test image shows a structure and none was drawn: there is nothing to score"
        )
    label, unit = figures.model_label(study.headline), known["unit"].iloc[0]
    text = ""
    if len(known) > 1 and known["estimate"].max() > known["estimate"].min():
        best, worst = known["estimate"].idxmax(), known["estimate"].idxmin()
        text = f"{label}: highest Dice on **{_plain(best)}**, lowest on **{_plain(worst)}**. "
    promised = known["low"].notna().all()
    text += "Dice, pooled over all pixels"
    if promised:
        text += f", with the range that other test {unit}s would plausibly give (95 % interval)"
    listed = [
        f"{_plain(name)} {figures.interval_text(row.estimate, row.low, row.high, 2)}"
        for name, row in known.iterrows()
    ]
    text += f": {'; '.join(listed)}. "
    for note, rows in known[known["note"] != ""].groupby("note", sort=False):
        why = note.replace(": no interval", "")
        text += f"No interval ({', '.join(map(_plain, rows.index))}): {why}. "
    if absent := [_plain(name) for name in dice.index if name not in known.index]:
        text += f"Without a score, being in no test image and never drawn: {', '.join(absent)}. "
    text += stats.caveat(unit)
    if len(study.foreground) > 1:
        text += f"\n\nThe structures: {'; '.join(c.title for c in study.foreground)}."
    return text


def by_metric(table: pd.DataFrame) -> pd.DataFrame:
    """The table of ``stats.covered`` with a row a structure, a column a metric, for reading."""
    cells = [
        figures.interval_text(r.estimate, r.low, r.high)
        + (
            f"; or {tables.number(r.instead_low, 3)} to {tables.number(r.instead_high, 3)}"
            * bool(r.instead)
        )
        for r in table.itertuples()
    ]
    return (
        table.assign(cell=cells)
        .pivot_table(
            index=["class", "estimand"],
            columns="metric",
            values="cell",
            aggfunc="first",
            sort=False,
        )
        .reset_index()
    )


def _plain(name: str) -> str:
    return name.replace("_", " ")


def dots(rows: pd.DataFrame) -> pd.DataFrame:
    """The scores of each patient (image, where patients are unknown) and class, for a figure."""
    unit = f"{stats.default_unit(rows)}_id"
    return metrics.per_patient(rows, by=["class", unit])


def rates(rows: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Table 2: rates pooled over all pixels, a row a structure."""
    table = metrics.pooled(rows[rows["class"].isin(names(study))], ["class"])
    return table[RATES]


def by_split(rows: pd.DataFrame, study: Study) -> pd.DataFrame:
    """The image scores of the headline network on the target, in the order of the splits."""
    own = rows[(rows["class"] == study.target) & (rows["model"] == study.headline)]
    own = metrics.scores(own)
    own = own[own["split"].isin(SPLITS[:3]) & own["IoU"].notna()]
    if own.empty:
        raise NotComputable(f"No image has an IoU of {_plain(study.target)}: nothing to draw")
    return own.sort_values("split", key=lambda s: s.map(SPLITS.index), kind="stable")


def huang(rows: pd.DataFrame, study: Study) -> pd.DataFrame:
    """``stats.huang`` of the target, the headline network first, splits as they follow in learning.

    rows: of fold main, every split.
    """
    table = stats.huang(rows, study.target, by=["model", "split"])
    names = [*summary.order(study, rows), *SPLITS]
    return table.sort_values(
        ["model", "split"], key=lambda c: c.map(names.index), kind="stable", ignore_index=True
    )


def several(rows: pd.DataFrame, study: Study) -> pd.DataFrame:
    """The rows of structures scored in two images or more; NotComputable for fewer than two."""
    if len(study.foreground) < 2:
        raise NotComputable("This study has one structure: there is nothing to compare it with")
    scored = rows[rows[["tp", "fp", "fn"]].sum(axis=1) > 0]
    images = scored.groupby("class")["image_id"].nunique().reindex(names(study), fill_value=0)
    if (images > 1).sum() < 2:
        raise NotComputable(
            "Fewer than two structures have a score in two test images or more: nothing to compare"
        )
    return rows[rows["class"].isin(["background", *images.index[images > 1]])]


def complete(means: pd.DataFrame) -> pd.DataFrame:
    """The table of ``stats.by_class``, where enough units have every structure for a test."""
    whole = len(means.dropna())
    if whole < stats.MIN_UNITS:
        unit = means.index.name.removesuffix("_id")
        raise NotComputable(
            f"{whole} of {tables.counted(len(means), unit)} have every structure; a comparison"
            f" within them needs {stats.MIN_UNITS}"
        )
    return means


def found_in_words(found: pd.DataFrame) -> str:
    """Found, missed, drawn where there is none: a sentence a structure, Markdown list."""
    lines = []
    for row in found.itertuples(index=False):
        name = _plain(row[0])
        if row.present:
            text = (
                f"found in {row.found} of the {absent.that_show(row.present, True, row.trainings)}"
            )
            text += f", missed in {row.missed}" if row.missed else ", missed in none"
        else:
            text = "in no test image, so it can be neither found nor missed"
        text += f"; {absent.drawn(row)}" if row.absent else ""
        lines.append(f"- **{name}**: {text}.")
    return "\n".join(lines)


def distance_table(
    network: pd.DataFrame, people: pd.DataFrame, surface: pd.DataFrame, study: Study
) -> pd.DataFrame:
    """One table of distances: the network's and, where people drew, theirs, a row each and class.

    network: of ``outlines.distances``; people: of ``raters.between``; surface: of
    :func:`surface_table`.
    """
    values = [c for c in network if c.startswith(("hd95", "assd"))]
    if network[values[0]].isna().all() and people.empty:
        raise NotComputable("No test image has both outlines, so there is no distance")
    own = network.merge(surface, on="class", how="left").assign(
        between=f"{figures.model_label(study.headline)} – reference"
    )
    parts = [own]
    if len(people):
        theirs = people.reindex(columns=["class", "images", *values])
        parts.append(theirs.assign(between=figures.two_people(study)))
    table = pd.concat(parts, ignore_index=True)
    table["without_distance"] = table["without_distance"].astype("Int64")
    order = {name: k for k, name in enumerate(network["class"])}
    table = table[table["class"].isin(order)].sort_values(
        "class", key=lambda c: c.map(order), kind="stable", ignore_index=True
    )
    return table[["class", "between", *[c for c in table if c not in ("class", "between")]]]


def surface(study: Study, arrays: "Arrays", tolerance: float) -> pd.DataFrame:
    """Normalised surface Dice of every test image and class, as ``outlines.surface``."""
    drawn = runs.predictions(study, study.headline, study.spec["seeds"][0])
    return outlines.surface(study, arrays, drawn, arrays.rows("main", "test"), tolerance)


def believed(
    rows: pd.DataFrame,
    unit: str,
    near: pd.DataFrame | None,
    study: Study,
    draws: int,
    seed: int,
) -> pd.DataFrame:
    """The intervals of shares and distances with how often they cover, columns BELIEVED.

    rows: of the headline network and the test images, without the background; unit: "px" or "mm";
    near: of :func:`surface`, or None.
    """
    measured = {f"{name}_{unit}": rows for name in outlines.DISTANCES}
    measured |= {} if near is None else {"nsd": near}
    weak = [
        stats.failures(rows, "Dice", name, seed=seed).rename(columns={"share": "estimate"})
        for name in names(study)
    ]
    found = outlines.believed(rows, measured, seed, draws)
    table = pd.concat([pd.concat(weak).assign(what="Dice below 0.5"), found])
    table = table.rename(columns={"n": "n_images"}).dropna(subset="estimate")
    if table.empty:
        raise NotComputable("No test image shows a structure, so nothing can be counted")
    table["what"] = table["what"].map(tables.words)
    order = pd.Categorical(table["class"], names(study))
    return table.iloc[order.codes.argsort(kind="stable")][BELIEVED]


def surface_table(each: pd.DataFrame, draws: int, seed: int) -> pd.DataFrame:
    """Mean normalised surface Dice with its interval, a row a class; none for NotComputable."""
    if isinstance(each, NotComputable):
        return pd.DataFrame(columns=["class"])
    groups = stats.with_unit(each).groupby("class", sort=False)
    return pd.DataFrame(
        [{"class": c} | outlines.means(own, ["nsd"], draws, seed) for c, own in groups]
    )


def distances_note(unit: str, tolerance: float, surface: pd.DataFrame) -> str:
    """What stands under the table of distances. surface: of :func:`surface_table`."""
    text = DISTANCES.format(unit=unit)
    return text + (NSD.format(tolerance=tolerance) if len(surface) else "")


def distances_in_words(table: pd.DataFrame, study: Study) -> str:
    """How far off outlines lie, beside people's; of :func:`distance_table`."""
    value = "hd95_mm" if "hd95_mm" in table else "hd95_px"
    unit, who = value.rpartition("_")[2], figures.two_people(study)
    own = table[table["between"] != who].dropna(subset=value).set_index("class")
    people = table[table["between"] == who].set_index("class")[value]
    listed = []
    for name, row in own.iterrows():
        text = f"{_plain(name)} {tables.number(row[value], 1)} {unit}"
        if pd.notna(theirs := people.get(name)):
            text += f" ({who} {tables.number(theirs, 1)})"
        listed.append(text)
    return (
        f"All but the worst 5 % of the outline by {figures.model_label(study.headline)} lies, on"
        f" average over images, within: {'; '.join(listed)}."
    )


def confusion(study: Study, arrays: "Arrays") -> np.ndarray:
    """What the test images' classes were drawn as by the headline network's first training."""
    tested = arrays.rows("main", "test")
    drawn = runs.predictions(study, study.headline, study.spec["seeds"][0])
    inside = arrays.inside(tested)
    parts = drawn[tested][inside], arrays.masks[tested][inside]
    matrix = metrics.confusion(*parts, len(study.classes))
    return confusion_table(matrix, study)


def by_reference(table: pd.DataFrame) -> pd.DataFrame:
    """The table of :func:`confusion_table` with the reference's class as its first column."""
    return table.rename_axis("reference").reset_index()


def confusion_table(matrix: np.ndarray, study: Study) -> pd.DataFrame:
    """Percent of each class's reference pixels (row) by what they were drawn as (column)."""
    listed = [c.name for c in study.classes]
    total = matrix.sum(axis=1, keepdims=True).astype(float)
    total[total == 0] = float("nan")
    return pd.DataFrame(100 * matrix / total, listed, pd.Index(listed, name="class"))


def worst_confusion(table: pd.DataFrame) -> str:
    """What structures are most often taken for: a sentence a structure, Markdown."""
    said = []
    for name, row in table.drop(index="background").iterrows():
        wrong = row.drop(name).dropna()
        if len(wrong) and wrong.max() >= 0.05:
            said.append(f"{wrong.max():.0f} % of {_plain(name)} as {_plain(wrong.idxmax())}")
    text = "Most often drawn as something else, or (background) not at all"
    return f"{text}: {'; '.join(said)}." if said else ""


def unlabelled(table: pd.DataFrame) -> pd.DataFrame:
    """A table of the paper's tests without the columns that its caption says anyway."""
    return table.drop(columns=["label", "note", "n_a", "n_b"], errors="ignore")
