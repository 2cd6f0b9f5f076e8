"""Page 10: how many patients, and how many images of each, the next study needs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from helpers import stats
from helpers.errors import NotComputable, StudyError
from helpers.figures import model_label
from helpers.figures.tables import words

#: what is planned where the page is not asked for anything else
DIFFERENCES = (0.01, 0.02, 0.05)
PATIENTS = (10, 15, 22, 30, 45, 60, 90, 120)
IMAGES = (1, 5, 29)
POWER = 0.8
SHARES = ((0.9, 0.05), (0.9, 0.1), (0.8, 0.05), (0.8, 0.1))  # acceptable outlines, ±
NEVER = (0.1, 0.05, 0.01)  # rates below which something never seen is to be
PRECISION_NOTE = (
    "Fewest patients. A difference: its t interval, with the variation that was measured here. A"
    " share of acceptable outlines: Wilson's interval, one image a patient. Never: so many patients"
    " without one, so that the upper 95 % limit of its rate is the one named (three divided by the"
    " rate, about)"
)
MEASURED, CAUTIOUS = "ICC as measured", "ICC at its upper limit"
UNSPLIT = (
    f"Fewer than {stats.MIN_UNITS} patients here have more than one image, so what varies between"
    " patients and what varies within one cannot be told apart. The plan is on the safe side: all"
    " of it counts as between patients (ICC 1), one image each, and further images of a patient"
    " add nothing."
)


@dataclass(frozen=True)
class Spread:
    """How much a difference between two networks varies. between, residual: variances between and
    within patients (metric units squared); rival: the network it was measured against, '' where
    the variation was given; closest: nobody named it; told_apart: the two variances were measured
    apart, else all of it counts as between patients; icc_high: the upper limit of the ICC, NaN
    where none is known.
    """

    between: float
    residual: float
    rival: str = ""
    closest: bool = False
    told_apart: bool = True
    icc_high: float = float("nan")

    @property
    def icc(self) -> float:
        """The share of the variance that lies between patients."""
        return self.between / (self.between + self.residual)

    def cautious(self) -> "Spread":
        """The same variance with as much of it between patients as the ICC's upper limit allows."""
        total = self.between + self.residual
        between = max(self.icc_high, self.icc) * total
        return replace(self, between=between, residual=total - between)


def variation(rows: pd.DataFrame, headline: str, metric: str, class_: str) -> pd.DataFrame:
    """The variation of each difference, as ``stats.variation``; NotComputable for one network."""
    if rows["model"].nunique() < 2:
        raise NotComputable(f"Only {model_label(headline)} has results, so no difference varies")
    return stats.variation(stats.values(rows, metric, class_), headline)


def chosen(
    fitted: pd.DataFrame | NotComputable,
    comparator: str = "",
    sd_between: float = 0.0,
    sd_within: float = 0.0,
) -> Spread | NotComputable:
    """The Spread to plan with: the one that is given, else that of the comparator, else that of the
    closest rival, whose scores differ least; NotComputable in its place where none is known.

    fitted: as :func:`variation`, or the NotComputable in its place.
    """
    if sd_between or sd_within:
        return Spread(sd_between**2, sd_within**2)
    if isinstance(fitted, NotComputable):
        return NotComputable(f"No plan can be made from these results: {fitted}")
    known = fitted.dropna(subset=["between"])
    if comparator and comparator not in set(known["model"]):
        names = ", ".join(known["model"]) or "none"
        raise StudyError(f"no estimate for comparator {comparator!r}; there are: {names}")
    used = known[known["model"] == comparator] if comparator else _closest(known)
    if used.empty or not used[["between", "residual"]].sum(axis=1).iloc[0] > 0:
        return NotComputable(
            f"No plan can be made from these results: at least {stats.MIN_UNITS} patients (images"
            " where patients are unknown) and some variation are needed to see how much a"
            " difference varies"
        )
    row = used.iloc[0]
    known = row["between"], row["residual"], row["model"], not comparator
    return Spread(*known, bool(row["told_apart"]), row["icc_high"])


def _closest(known: pd.DataFrame) -> pd.DataFrame:
    return known.sort_values("difference", key=abs).head(1)


def images_each(images: Sequence[int], unit: str, spread: Spread | NotComputable) -> list[int]:
    """Images a patient that are tried; one where nobody knows what more of them would add."""
    apart = isinstance(spread, NotComputable) or spread.told_apart
    return list(images) if unit == "patient" and apart else [1]


def needed(
    spread: Spread, differences: Sequence[float], images: Sequence[int], **options: Any
) -> pd.DataFrame:
    """``stats.patients_needed`` with the ICC as MEASURED and, where it is known, CAUTIOUS."""
    plans = {MEASURED: spread}
    if spread.told_apart and spread.icc_high > spread.icc:
        plans[CAUTIOUS] = spread.cautious()
    parts = [
        stats.patients_needed(s.between, s.residual, differences, images, **options).assign(plan=n)
        for n, s in plans.items()
    ]
    return pd.concat(parts, ignore_index=True)


def answer(
    needed: pd.DataFrame, spread: Spread, headline: str, of: str, unit: str, power: float = POWER
) -> str:
    """The answer, Markdown list. needed: as :func:`needed`; of: the metric in words."""
    text = (
        f"To find a true difference in {of} with a chance of {100 * power:.0f} % (two-sided test at"
        " 5 %), the next test set needs\n\n"
    )
    measured, cautious = (needed[needed["plan"] == p] for p in (MEASURED, CAUTIOUS))
    text += _lines(measured, unit)
    if spread.rival:
        closest = ", the closest rival here" if spread.closest else ""
        text += (
            f"\nThe variation is that of {model_label(headline)} against"
            f" {model_label(spread.rival)}{closest}."
        )
    if unit == "patient" and not spread.told_apart:
        text += f" **{UNSPLIT}**"
    if len(cautious):
        text += (
            f" How much of it lies between patients (the ICC) is known roughly: a share of"
            f" {spread.icc:.2f}, but up to {spread.icc_high:.2f} would fit these results (95 %"
            f" interval), and then it takes\n\n{_lines(cautious, unit)}"
        )
    return text


def _lines(needed: pd.DataFrame, unit: str) -> str:
    lines = ""
    for difference, part in needed.groupby("difference", sort=False):
        each = [
            f"**{_many(r.patients)} {unit}s**{_with(r.images, unit)}" for r in part.itertuples()
        ]
        lines += f"- for a difference of **{difference:g}**: {', or '.join(each)}\n"
    return lines


def _many(number: float) -> str:
    """Patients in words; NaN where even the most that are tried are too few."""
    return "more than 100,000" if pd.isna(number) else f"{number:.0f}"


def _with(images: int, unit: str) -> str:
    if unit != "patient":
        return ""
    return f" with {images} image{'s' if images > 1 else ''} each"


def needs(needed: pd.DataFrame, unit: str) -> pd.DataFrame:
    """:func:`needed` as a table: a row a goal, difference and plan, a column a number of images."""
    each = needed["images"].map(
        lambda n: f"patients{_with(n, unit)}" if unit == "patient" else "images"
    )
    wide = needed.assign(each=each, patients=needed["patients"].map(_many)).pivot_table(
        index=["goal", "difference", "plan"],
        columns="each",
        values="patients",
        aggfunc="first",
        sort=False,
    )
    return wide.reset_index()


def worth(spread: Spread | NotComputable, unit: str) -> pd.DataFrame:
    """What images of 22 patients are worth in independent images, by their number and the ICC."""
    grid = pd.DataFrame({"images_per_patient": [1, 2, 5, 10, 29, 100, 1000]})
    grid["images"] = 22 * grid["images_per_patient"]
    measured = {}
    if unit == "patient" and not isinstance(spread, NotComputable) and spread.told_apart:
        measured = {f"measured ICC {spread.icc:.2f}": spread.icc}
    for name, icc in (measured | {"ICC 0.05": 0.05, "ICC 0.2": 0.2, "ICC 0.5": 0.5}).items():
        grid[name] = grid["images"] / (1 + (grid["images_per_patient"] - 1) * icc)
    return grid


def joined(
    needed: pd.DataFrame | NotComputable, not_worse: pd.DataFrame | NotComputable
) -> pd.DataFrame | NotComputable:
    """What finding a difference needs, and below it showing that there is none, where known."""
    if isinstance(needed, NotComputable):
        return needed
    parts = [needed] if isinstance(not_worse, NotComputable) else [needed, not_worse]
    return pd.concat(parts, ignore_index=True)


def needs_note(margin: float | NotComputable, metric: str, unit: str, power: float = POWER) -> str:
    """What stands under the table of patients needed. margin: or the NotComputable in its place."""
    fewest = f"Fewest {unit}s for a chance of {100 * power:.0f} %"
    if isinstance(margin, NotComputable):
        return f"{fewest}. {margin}"
    return (
        f"Margin {margin:.3g} {metric}. {fewest}. The difference is the true one: 0 where two"
        " networks that are truly alike should be shown not to be worse. Plan: with the ICC as it"
        " was measured here, and with the upper limit of its 95 % interval."
    )


def variation_columns(unit: str) -> list[str]:
    """The columns of ``stats.variation`` that are shown."""
    known = ["icc", "icc_low", "icc_high", "note"] if unit == "patient" else []
    return ["model", "difference", "sd_of_patient_mean", *known]


def variation_note(headline: str, metric: str, class_: str) -> str:
    """What stands under the table of the variation."""
    return (
        f"{metric} of {words(class_)}, {model_label(headline)} minus the network named. ICC: the"
        " share of the variance that lies between patients (intraclass correlation), by restricted"
        " maximum likelihood. Its interval: by Searle, from the analysis of variance."
    )


def precision(
    spread: Spread | NotComputable,
    differences: Sequence[float],
    images: Sequence[int],
    of: str,
    unit: str,
) -> pd.DataFrame:
    """How many patients until a number is known so well: columns to_know, within, images, patients.

    spread: a Spread, or the NotComputable in its place, then without the difference; of: the metric
    in words.
    """
    rows = []
    if not isinstance(spread, NotComputable):
        found = stats.for_precision(spread.between, spread.residual, differences, images)
        for row in found.itertuples():
            each = row.images if unit == "patient" else 1
            what = f"a difference in {of}"
            rows.append((what, f"± {row.half_width:g}", each, _many(row.patients)))
    for share, half in SHARES:
        what = f"the share of acceptable outlines, if it is {100 * share:.0f} %"
        rows.append((what, f"± {100 * half:.0f} %", 1, _many(stats.for_share(share, half))))
    for rate in NEVER:
        within = f"below {100 * rate:.0f} %"
        what = "how often something happens that was never seen"
        rows.append((what, within, 1, _many(stats.for_never(rate))))
    return pd.DataFrame(rows, columns=["to_know", "within", "images_each", f"{unit}s"])
