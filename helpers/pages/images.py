"""Page 2, what is in the data and can it be trusted: sentences and tables as functions of the
fingerprint, the gates and the agreement between people.
"""

from typing import TYPE_CHECKING

import pandas as pd

from helpers import figures, metrics
from helpers.errors import NotComputable
from helpers.figures.tables import counted
from helpers.studies import Study

if TYPE_CHECKING:  # gates look for alike images: results alone need no hashes
    from helpers.leakage import Gate

SPLITS = ("train", "val", "test", "external")
NEAR = "near-duplicate images"
CLASSES = (
    "Medians over the images that show the structure; its centre, as shares of width from the left"
    " and of height from the top; pieces: mean number of separate areas."
)
SIZES = (
    "Medians of sizes, means of grey levels; pixel (mm) is the side of an evaluated pixel; a dash"
    " stands for what is not known."
)
GATES = (
    "Near-duplicates: each picture is boiled down to 256 answers yes or no (is this spot brighter"
    " than its neighbour?, a perceptual hash); pictures that differ in at most {threshold} of these"
    " bits look alike. Between two known patients only if the fine detail agrees as well."
)
AGREEMENT = (
    "Dice and boundary distances are means over images, Fleiss' kappa is over all pixels. 95 %"
    " intervals from resampled patients (bootstrap-t for the means, percentile for kappa), from"
    " five patients on. A structure that neither draws is left out, one that only one draws has"
    " Dice 0 and no distance. κ (kappa): agreement beyond chance, 1 is full. Every pair of raters,"
    " and each rater against the reference."
)


def in_words(summary: dict, gates: "list[Gate]", study: Study) -> str:
    """What there is and which checks failed, of ``fingerprint.summary`` and ``leakage.run``."""
    people = summary["patients"]
    who = counted(people, "patient") if people else "an unknown number of patients"
    sizes = summary["different_sizes"]
    size = f"in {sizes} different sizes" if sizes > 1 else "all of one size"
    by = {how: [g.name for g in gates if g.passed is how] for how in (True, False, None)}
    failed = f"**{len(by[False])} failed** ({', '.join(by[False])})" if by[False] else "none failed"
    text = (
        f"**{counted(summary['images'], 'image')}** of {who}, {size}. Of {len(gates)} checks"
        f" {len(by[True])} passed and {failed}"
    )
    if by[None]:
        text += f"; {len(by[None])} could not be made ({', '.join(by[None])})"
    text += ". "
    if set(by[False]) - {"classes present"}:  # all others look for what flatters
        text += (
            "Figures on the other pages may therefore be better than they would be on new patients."
        )
    return text + f"\n\nThe structures: {'; '.join(c.title for c in study.foreground)}."


def class_table(per_class: pd.DataFrame) -> pd.DataFrame:
    """Size and place of each structure by split, from ``fingerprint.classes``."""
    shown = per_class[per_class["area"] > 0]
    if shown.empty:
        raise NotComputable("No image shows any structure")
    table = shown.groupby(["split", "class"], sort=False).agg(
        images=("area", "size"),
        area_percent=("area", lambda a: 100 * a.median()),
        from_left=("x", "median"),
        from_top=("y", "median"),
        pieces=("parts", "mean"),
    )
    return _in_order(table.reset_index())


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with column split in the order of SPLITS, else as they were."""
    return rows.sort_values("split", key=lambda names: names.map(SPLITS.index), kind="stable")


def nowhere(per_class: pd.DataFrame) -> str:
    """A sentence on structures that no image of a split shows ('' where every split shows all)."""
    most = per_class.groupby(["class", "split"], sort=False)["area"].max()
    absent = [f"{c.replace('_', ' ')} in {s}" for (c, s), area in most.items() if area == 0]
    if not absent:
        return ""
    return (
        f"**Shown by no image: {', '.join(absent)}.** What is not there can be neither learned nor"
        " tested; the other pages count how often it was drawn all the same."
    )


def split_table(per_image: pd.DataFrame) -> pd.DataFrame:
    """Patients, images, sizes and grey levels of each split, from ``fingerprint.images``."""
    rows = per_image.groupby("split", sort=False).agg(
        patients=("patient_id", "nunique"),
        images=("image_id", "size"),
        width_px=("width_px", "median"),
        height_px=("height_px", "median"),
        pixel_mm=("pixel_mm", "median"),
        grey_mean=("grey_mean", "mean"),
        grey_sd=("grey_sd", "mean"),
    )
    rows = _in_order(rows.reset_index())
    rows["patients"] = rows["patients"].mask(rows["patients"] == 0).astype("Int64")
    return rows


def near(gates: "list[Gate]") -> pd.DataFrame:
    """Every near-duplicate pair that the gate found (its evidence)."""
    return next(g for g in gates if g.name == NEAR).evidence


def across(pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs that a split separates, closest first; NotComputable where there are none."""
    found = pairs[pairs["counts"]]
    if found.empty:
        raise NotComputable("No pair lies across a split, so there is none to show")
    return found


def closest(found: pd.DataFrame) -> pd.DataFrame:
    """The first pairs of :func:`across`, for a table."""
    return found.head(25)


def near_in_words(pairs: pd.DataFrame, index: pd.DataFrame) -> str:
    """How many near-duplicates, and how many test images have one. index: of the arrays."""
    found, within = pairs[pairs["counts"]], int((pairs["split"] == pairs["other_split"]).sum())
    close = set(found.loc[found["split"] == "test", "image_id"])
    close |= set(found.loc[found["other_split"] == "test", "other"])
    text = (
        f"{counted(len(found), 'pair')} across splits, {within} within one. **{len(close)} of"
        f" {int((index['split'] == 'test').sum())} test images** have a near-duplicate among the"
        " images used for learning or tuning. "
    )
    if index["patient_id"].isna().all():
        text += "Patients are unknown here: take this as a lower bound for shared patients."
    return text


def agreement_columns(agreement: pd.DataFrame) -> list[str]:
    """Columns of the table of agreement that are shown: distances in mm where they are known."""
    distance = "hd95_mm" if agreement["hd95_mm"].notna().any() else "hd95_px"
    values = [f"{v}{end}" for v in ("Dice", distance, "kappa") for end in ("", "_low", "_high")]
    return ["comparison", "class", *values]


def agreement_told(agreement: pd.DataFrame) -> pd.Series:
    """Which rows of the table of agreement are shown: all raters with each other, and what most of
    them drew against the reference.
    """
    together = agreement["kind"] == "between raters"
    return together | agreement["comparison"].str.startswith("majority")


def agreement_in_words(agreement: pd.DataFrame, study: Study) -> str:
    """The Dice of any two people, a clause a structure, Markdown."""
    between = agreement[agreement["kind"] == "between raters"].set_index("class")
    known = [c for c in study.foreground if between["Dice"].notna().get(c.name, False)]
    if not known:
        raise NotComputable("No two people drew any structure in the same image")
    values = between[["Dice", "Dice_low", "Dice_high"]]
    parts = [f"{c.title} {figures.interval_text(*values.loc[c.name])}" for c in known]
    readers = "raters" if not study.synthetic else "simulated raters (rules that stand for people)"
    count = len(agreement.loc[agreement["kind"] == "rater to reference", "comparison"].unique())
    text = f"Any two of the {count} {readers} agree with a mean Dice of: {'; '.join(parts)}."
    if absent := [c.title for c in study.foreground if c not in known]:
        text += f" Drawn by nobody: {', '.join(absent)}."
    return f"{text} {metrics.POLICY}" if absent else text
