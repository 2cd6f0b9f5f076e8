"""Page 13: what few readers need: other tests and effects, ranks, every number, the paper's own
analyses, false alarms, subgroups.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import pandas as pd

from helpers import figures, stats, studies
from helpers.errors import NotComputable
from helpers.figures import model_label
from helpers.figures.tables import kept_promises, words
from helpers.pages import comparison
from helpers.stats.design.false_alarms import Design

SIMULATIONS = 2000  # studies simulated for each design
METRICS = ("Dice", "IoU", "recall", "precision", "accuracy")
#: ICC of the differences → design, for the chance of a false winner among five
WINNERS = {icc: stats.Design(icc=icc) for icc in (0.0, 0.2, 0.5)}
SUBGROUPS = [
    *("variable", "model", "class", "group", "n", "mean", "low", "high"),
    *("p_interaction", "p_adjusted", "note"),
]
PAIR_COLUMNS = ["a", "b", "difference", "low", "high", "P, paired t", "P, Nemenyi", "P, Conover"]
TABLE3 = ["metric", "model", "pooled", "pooled_low", "pooled_high", "difference", "t", "df", "p"]
EQUIVALENCE = ["model", "verdict", "difference", "low", "high", "p_not_inferior"]
EQUIVALENCE += ["p_equivalent", "note"]
ICC_COLUMNS = ["what", "model", "icc", "low", "high", "design_effect", "n_effective", "t_inflation"]
NORMALITY = (
    "Differences should be roughly bell-shaped for a t-test (W near 1). Shown, not used to choose a"
    " test."
)
LUCK = (
    "Two things were drawn: patients and random starts of the training. Interval: both resampled."
)
OMNIBUS = "By {unit}. Effect: partial η², Kendall's W (0 none, 1 largest)."
BY_STRUCTURE = (
    "Dice, mean over {unit}s (macro). 95 % intervals in brackets. all: with background; foreground:"
    " without. Further metrics, and pooled values (micro): the file intervals.csv."
)
PAPER = stats.LABEL.capitalize()
AS_PRINTED = (
    f"{PAPER}. Means over all classes, background included. The interval of the pooled value"
    " resamples {unit}s instead."
)
ANOVA = f"{PAPER}. One-way analysis of variance between networks."
TUKEY = f"{PAPER}. P of Tukey's test; differences and intervals: the file table3_tukey.csv."
ICC = (
    "One-way ANOVA estimator, which can fall below 0. Worth so many images: independent ones. t too"
    " large by: as the paper computes it."
)
FAILURES = (
    "Below: images with a {what} under 0.5. Interval of their share: Wilson, 95 %, by images."
    " {rule}"
)
POLICIES = "Mean {what} under each rule for an image in which it is absent from both outlines."
EFFECTS = (
    "dz: difference in units of its spread. Hedges g: the same, corrected for few patients."
    " rank-biserial: 1 if better on all, −1 if worse on all. share better: of those tested. next"
    " better: the chance on a new one. 95 % intervals: exact for dz and g, Wilson for the share,"
    " bootstrap for rank-biserial."
)
PAIRS = (
    "First minus second. 95 % interval by t, not adjusted; with the network examined the one of"
    " page 5 counts. P values adjusted over all pairs; Nemenyi's test, the most cautious, does so"
    " by itself."
)
WINNERS_NOTE = (
    "Five equal networks, %: how often any of four comparisons with one of them is significant, and"
    " how often the best of the five beats all others, by the ICC of the differences."
)
#: words of ``stats.winners`` → as the table has them
WINNERS_SAID = {
    "any": "any of four comparisons",
    "best beats all": "the best beats all others",
    "none": "not adjusted",
    "holm": "by Holm",
}


def spread(differences: pd.DataFrame, unit: str) -> str:
    """A sentence where differences from one network vary much more than from another, else ''."""
    sd = differences.std()
    if len(sd) < 2 or not sd.max() > 2 * sd.min():
        return ""
    wild, calm = model_label(sd.idxmax()), model_label(sd.idxmin())
    said = f"Differences from {wild} vary between {unit}s, those from {calm} do not"
    if sd.min() > 0:
        times = f"{sd.max() / sd.min():.1f} times as much between {unit}s"
        said = f"Differences from {wild} vary {times} as those from {calm}"
    return (
        f"{said}. Methods that assume one spread for all networks (*mixed model, all"
        f" networks*; Conover's test below) spread that of {wild} over all: the others' intervals"
        " get wider."
    )


def several_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows, or NotComputable where each network was trained once."""
    if rows["seed"].nunique() < 2:
        raise NotComputable(
            "Each network was trained from one random start, so the luck of the start is in no"
            " interval"
        )
    return rows


def three_networks(table: pd.DataFrame) -> pd.DataFrame:
    """Units × networks, or NotComputable for two: there the declared comparison says it all."""
    if table.shape[1] < 3:
        raise NotComputable("With two networks the declared comparison is the whole answer")
    return table


def omnibus(anova: dict, ranks: pd.DataFrame) -> pd.DataFrame:
    """Do the networks differ at all: a row a test, of ``stats.rm_table``, ``stats.friedman``."""
    ranks = ranks.iloc[0]
    each = (anova[d] * anova["epsilon"] for d in ("df1", "df2"))
    df = "" if anova["note"] else " and ".join(f"{d:.1f}" for d in each)
    names = ["test", "statistic", "df", "p", "effect", "note"]
    corrected = "repeated-measures ANOVA, Greenhouse–Geisser"
    both = [
        (corrected, anova["statistic"], df, anova["p_gg"], anova["eta2_partial"], anova["note"]),
        ("Friedman", *ranks[["statistic", "df", "p", "W", "note"]]),
    ]
    return pd.DataFrame(both, columns=names)


def all_pairs(by_t: pd.DataFrame, nemenyi: pd.DataFrame, conover: pd.DataFrame) -> pd.DataFrame:
    """Every network against every other, by three tests (``stats.pairs``) side by side."""
    return by_t.rename(columns={"p_adjusted": "P, paired t"}).assign(
        **{"P, Nemenyi": nemenyi["p_adjusted"], "P, Conover": conover["p_adjusted"]}
    )


def rankable(rows: pd.DataFrame, unit: str) -> pd.DataFrame:
    """The rows, or NotComputable for fewer patients (or images) than a ranking needs."""
    comparison.enough(rows[f"{unit}_id"].unique(), unit)
    return rows


def first_again(ranks: pd.DataFrame, headline: str) -> str:
    """How often the headline network is first if others had been tested, as a sentence."""
    first = ranks[ranks["model"] == headline]
    low, high = (f"{100 * p:.0f} %" for p in (first["p_first"].min(), first["p_first"].max()))
    often = f"{low} of resampled test sets, by each of {len(first)} ways of ranking"
    if low != high:
        often = f"{low} to {high} of resampled test sets (lowest and highest of {len(first)} ways"
        often += " of ranking)"
    return f"{model_label(headline)} is first in {often}."


def dice_by_structure(scores: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Dice with its interval, a row a network, a column a structure; of ``stats.intervals``."""
    shown = scores[
        (scores["metric"] == "Dice")
        & (scores["estimand"] == f"per_{unit}")
        & (scores["class"] != "background")
    ]
    cells = [figures.interval_text(r.estimate, r.low, r.high, 2) for r in shown.itertuples()]
    shown = shown.assign(cell=cells, network=shown["model"].map(model_label))
    return _crossed(shown, "network", "class", "cell")


def by_structure_note(scores: pd.DataFrame, unit: str) -> str:
    """What stands under :func:`dice_by_structure`."""
    return kept_promises(BY_STRUCTURE.format(unit=unit), scores)


def table3(printed: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """``stats.table3``, its pooled values and their intervals from ``stats.intervals``."""
    names = {metric: name for name, metric in stats.OVERALL.items()}
    pooled = scores[(scores["estimand"] == "pooled") & (scores["class"] == "all")]
    pooled = pooled.assign(metric=pooled["metric"].map(names))
    pooled = pooled.rename(
        columns={"estimate": "pooled", "low": "pooled_low", "high": "pooled_high"}
    )
    pooled = pooled[["model", "metric", "pooled", "pooled_low", "pooled_high"]]
    return printed.drop(columns="pooled").merge(pooled, on=["model", "metric"], how="left")


def tukey_p(tukey: pd.DataFrame) -> pd.DataFrame:
    """P of Tukey's test, a row a pair of networks, a column an overall metric."""
    pair = tukey["a"].map(model_label) + " − " + tukey["b"].map(model_label)
    return _crossed(
        tukey.assign(pair=pair, P=tukey["p"].map(figures.p_text)), "pair", "metric", "P"
    )


def icc_of_differences(icc: pd.DataFrame) -> float:
    """The mean ICC of the differences, cut to what a simulation can draw; icc: ``stats.icc``."""
    found = icc.loc[icc["what"] == "difference", "icc"].dropna()
    if found.empty:
        raise NotComputable(
            "There are no differences between networks, or they do not vary, so they have no ICC"
        )
    return found.clip(0, 0.95).mean()


def designs(rows: pd.DataFrame, icc: float) -> dict[str, Design]:
    """The studies to simulate, name → Design; "this study" where patients and the ICC are known.

    icc: a number, or NotComputable.
    """
    made = {
        "ICC 0.5": stats.Design(),
        "unequal": stats.Design(images=stats.UNEQUAL),
        "skewed": stats.Design(skewed=True),
    }
    if isinstance(icc, NotComputable):
        return made
    sizes = tuple(int(n) for n in rows.groupby("patient_id")["image_id"].nunique())
    if len(sizes) >= stats.MIN_UNITS:
        made["this study"] = stats.Design(len(sizes), sizes, icc)
    return made


def simulated(function: Callable, designs: dict, *given: Any) -> pd.DataFrame:
    """``function(design, *given)`` of every design, joined, with the design's name."""
    parts = [function(design, *given).assign(design=name) for name, design in designs.items()]
    return pd.concat(parts, ignore_index=True)


def false_alarms(alarms: pd.DataFrame, icc: float) -> str:
    """How often the paper's test calls equal networks different, as a sentence."""
    paper = alarms[alarms["analysis"] == alarms["analysis"].iloc[0]].set_index("design")["rate"]
    text = (
        "With the paper's 22 patients, 29 images each and an ICC of 0.5, its test calls"
        f" {100 * paper['ICC 0.5']:.0f} of 100 studies of equal networks significant."
    )
    if "this study" in paper:
        text += (
            f" With the patients, images and mean ICC of the differences ({icc:.2f}) of this study"
            f" it is {100 * paper['this study']:.0f} of 100."
        )
    return text


def alarms_note(simulations: int) -> str:
    """What stands under the table of false alarms."""
    return (
        f"False alarms, %, in {simulations} simulated studies of 22 patients, 29 images each,"
        " where no other numbers are named; this study: its own patients, images and ICC."
        " Unequal: 8 to 61 images; skewed: a patient effect far from bell-shaped, where tests over"
        " patients exceed 5 % too: no test is exempt."
    )


def percent(frame: pd.DataFrame, index: str | list[str], columns: str) -> pd.DataFrame:
    """Rates as per cent, crossed."""
    table = frame.assign(rate=100 * frame["rate"])
    return table.pivot_table(index=index, columns=columns, values="rate", sort=False).reset_index()


def winners(found: pd.DataFrame) -> pd.DataFrame:
    """Rates of ``stats.winners`` in per cent, a row a claim, a column an ICC."""
    named = found.assign(by=[f"ICC {icc:g}" for icc in found["icc"]])
    return percent(named.replace(WINNERS_SAID), ["claim", "unit", "adjustment"], "by")


def where_empty(policies: pd.DataFrame) -> pd.DataFrame:
    """The means under each rule for empty outlines, or NotComputable where no rule is needed."""
    if not policies["absent_both"].any():
        raise NotComputable(
            "No image lacks the structure in both outlines: the rule for empty outlines changes"
            " nothing here"
        )
    return policies


def groups(study: studies.Study, rows: pd.DataFrame) -> pd.DataFrame:
    """Subgroups of the patients that were tested (``stats.memberships``)."""
    patients = studies.patients(study)
    if not stats.has_patients(rows):
        raise NotComputable("Patients are unknown: there are no subgroups to compare")
    if patients is None:
        raise NotComputable("Nothing is known of the patients (no patients.csv): no subgroups")
    found = stats.memberships(patients[patients["patient_id"].isin(rows["patient_id"])])
    if found.empty:
        raise NotComputable("The patients tested are alike in all that is known of them")
    return found


def subgroups(
    rows: pd.DataFrame, groups: pd.DataFrame, headline: str, metric: str, class_: str
) -> pd.DataFrame:
    """``stats.subgroups`` of the headline network, then of every other network, on the declared
    structure, and of the headline network on every other structure that has a score.
    """
    found = [stats.subgroups(rows, groups, headline, metric, class_)]
    others = sorted(set(rows["model"]) - {headline})
    structures = dict.fromkeys(rows.loc[~rows["class"].isin(["background", class_]), "class"])
    for model, name in [*((m, class_) for m in others), *((headline, c) for c in structures)]:
        with contextlib.suppress(NotComputable):
            found.append(stats.subgroups(rows, groups, model, metric, name))
    return pd.concat(found, ignore_index=True)


def _crossed(
    frame: pd.DataFrame, index: str | list[str], columns: str, values: str
) -> pd.DataFrame:
    table = frame.pivot_table(
        index=index, columns=columns, values=values, aggfunc="first", sort=False
    )
    return table.reset_index()


def what(metric: str, class_: str) -> str:
    """'Dice of QLM', in words."""
    return f"{metric} of {words(class_)}"


def two_of(*names: str) -> list[str]:
    """The names, each once."""
    return list(dict.fromkeys(names))


def with_curve(alarms: pd.DataFrame, curve: pd.DataFrame) -> pd.DataFrame:
    """The false alarms of every design and the curve against the ICC, one table."""
    return pd.concat([alarms, curve.assign(design="curve")])


def patients(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows, or NotComputable where patients are unknown."""
    if not stats.has_patients(rows):
        raise NotComputable(
            "Patients are not known, so how alike the images of one are cannot be said"
        )
    return rows
