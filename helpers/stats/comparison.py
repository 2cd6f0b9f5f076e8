"""The headline comparison: the test declared before the data, the sensitivity analyses."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from helpers.errors import NotComputable, StudyError
from helpers.stats.as_printed import LABEL
from helpers.stats.counts import MIN_UNITS
from helpers.stats.design.coverage import BESIDE
from helpers.stats.intervals import covered, intervals
from helpers.stats.mixed import mixed_differences, mixed_models
from helpers.stats.multiplicity import adjust
from helpers.stats.paired import ABOUT, COUNTED, cluster_robust, paired_t, sign_flip, wilcoxon
from helpers.stats.values import default_unit, unscored, values, wide

ALPHA = 0.05  #: of every verdict
TESTS: dict[
    str, tuple[Callable, bool]
] = {  # study.yml's name -> (function of values and headline, needs patients)
    "patient_t": (paired_t, True),
    "patient_wilcoxon": (wilcoxon, True),
    "sign_flip": (sign_flip, True),
    "mixed": (mixed_differences, True),
    "image_t": (lambda v, headline: paired_t(v, headline, "image"), False),
}
COLUMNS = ["role", "test", *ABOUT, *COUNTED, "difference", "low", "high", "statistic", "df", "p"]
COLUMNS += ["p_adjusted", "family", "note"]


#: of a comparison whose verdict would be another if what has no score were counted
UNSETTLED = "not judged: hangs on absent structures"
#: rules for what has no score, beside leaving it out
OTHER_RULES = ("zero", "one")


def verdict(row: dict) -> str:
    """ "better", "worse" or "not shown to differ" by the adjusted P of a declared test and the sign
    of its difference; "not tested" where there is no P; UNSETTLED where another rule for absent
    structures would say otherwise. The one rule, for every page.

    row: with difference, p_adjusted and, where it is known, unsettled.
    """
    if np.isnan(row["p_adjusted"]):
        return "not tested"
    if row.get("unsettled"):
        return UNSETTLED
    if row["p_adjusted"] >= ALPHA:
        return "not shown to differ"
    return "better" if row["difference"] > 0 else "worse"


def declared(per_image: pd.DataFrame, headline: str, settings: dict, runs: int = 0) -> pd.DataFrame:
    """What study.yml's statistics say of each comparator: the declared test, the declared interval
    of the difference whatever the test, and the verdict. A row a comparator.

    Columns: those of :func:`compare`, low and high by ``settings["interval"]``; interval (its
    name); verdict (:func:`verdict`); why (a sentence where nothing was tested, or where a test has
    no interval, else ""); differ (a sentence where verdict and interval point different ways, else
    ""). Where an image has no score: zero_difference, zero_p, zero_verdict and the same with one,
    which are those of the test with such images counted as 0, as 1 (NaN, "" where all have a
    score); unsettled, the rules under which the verdict would be another. With `runs` also how
    often the interval covers in so many studies drawn from this one, and another where that is too
    seldom (BESIDE). NotComputable with one network alone, or where no image has a score of every
    network.
    """
    if per_image["model"].nunique() < 2:
        raise NotComputable("Only one network was trained, so there is no other to compare it with")
    out = _tested(per_image, headline, settings)
    out = _under_other_rules(out, per_image, headline, settings)
    drawn = bootstraps(per_image, headline, settings, methods=())
    drawn = drawn.set_index("model").loc[out["model"]]
    out = out.assign(low=drawn["low"].to_numpy(), high=drawn["high"].to_numpy())
    out["interval"] = drawn["test"].to_numpy()
    out["verdict"] = [verdict(row) for row in out.to_dict("records")]
    out["why"] = np.where(
        out["verdict"] == "not tested",
        [_why(row) for row in out.to_dict("records")],
        drawn["note"],
    )
    out["differ"] = [_differ(row) for row in out.to_dict("records")]
    if runs:
        kept, asked = _paired(per_image, settings)[0], _asked(settings)
        found = covered(
            kept, *asked, method=settings["interval"], runs=runs, **_drawn(settings, headline)
        )
        out[BESIDE] = found.set_index("model").loc[out["model"], BESIDE].to_numpy()
    return out


def _under_other_rules(
    tests: pd.DataFrame, per_image: pd.DataFrame, headline: str, settings: dict
) -> pd.DataFrame:
    """The declared tests with what the other rules for absent structures would give."""
    lost = unscored(per_image, settings["metric"], settings["class"])["undefined"].any()
    mine = [verdict(row) for row in tests.to_dict("records")]
    unsettled = np.full(len(tests), "", dtype=object)
    for rule in OTHER_RULES:
        columns = [f"{rule}_difference", f"{rule}_p", f"{rule}_verdict"]
        if not lost:
            tests[columns] = np.nan, np.nan, ""
            continue
        other = _tested(per_image, headline, settings, empty=rule)
        other = other.set_index("model").loc[tests["model"]].reset_index()
        said = [verdict(row) for row in other.to_dict("records")]
        tests[columns[0]], tests[columns[1]] = other["difference"], other["p_adjusted"]
        tests[columns[2]] = said
        changed = [a != b and "not tested" not in (a, b) for a, b in zip(mine, said, strict=True)]
        unsettled[changed] += f" {rule}"
    return tests.assign(unsettled=pd.Series(unsettled).str.strip().to_numpy())


def _why(row: dict) -> str:
    if row["n"] < MIN_UNITS:
        few = f"1 {row['unit']} is" if row["n"] == 1 else f"{row['n']} {row['unit']}s are"
        return f"{few} too few: a test needs at least {MIN_UNITS}"
    return row["note"] or f"every {row['unit']} has the same difference, so chance has no measure"


def _differ(row: dict) -> str:
    clear = row["low"] > 0 or row["high"] < 0
    if row["verdict"] == "not shown to differ" and clear:
        return "The interval alone would leave out 0; the adjusted P value decides"
    if row["verdict"] in ("better", "worse") and not clear and not np.isnan(row["low"]):
        return "The interval alone would hold 0; the adjusted P value decides"
    return ""


def common(
    per_image: pd.DataFrame, metric: str, class_: str, empty: str = "undefined"
) -> pd.DataFrame:
    """:func:`values.values`, where at least one image has one of every network; NotComputable."""
    v = values(per_image, metric, class_, empty=empty)
    if wide(v, "image").empty:
        raise NotComputable(
            f"No image has a {metric} of {class_.replace('_', ' ')} for every network, so they"
            " cannot be compared on it"
        )
    return v


def _tested(
    per_image: pd.DataFrame, headline: str, settings: dict, empty: str = "undefined"
) -> pd.DataFrame:
    """The declared test alone, with the interval that belongs to the test; columns COLUMNS."""
    name = settings["test"]
    if name not in TESTS:
        raise StudyError(f"statistics.test {name!r} is unknown; known: {', '.join(TESTS)}")
    function, needs_patients = TESTS[name]
    if needs_patients and default_unit(per_image) == "image":
        raise NotComputable(
            f"The declared test, {name}, is over patients, and they are not known here; declare"
            " image_t in study.yml to compare images"
        )
    v = common(per_image, settings["metric"], settings["class"], empty)
    out = function(v, headline).assign(role="declared")
    out = adjust(
        out,
        settings.get("multiplicity", "holm"),
        name=f"{out['metric'].iloc[0]} {out['class'].iloc[0]}",
    )
    return out[COLUMNS]


def compare(per_image: pd.DataFrame, headline: str, settings: dict) -> pd.DataFrame:
    """The declared test, then every other one as sensitivity, the paper's last, each with its own
    interval.

    Columns: role, test, model, headline, class, metric, unit, n, n_images, dropped_images,
    difference (headline − model), low, high, statistic, df, p, p_adjusted, family, note.

    Each test is its own family over the comparators. Bootstraps give an interval only, of the mean
    over patients (or images, where patients are unknown).
    """
    v = common(per_image, settings["metric"], settings["class"])
    adjusting = settings.get("multiplicity", "holm")
    parts = [_tested(per_image, headline, settings)]
    if default_unit(per_image) == "patient":
        tests: list[Callable] = [
            paired_t,
            wilcoxon,
            sign_flip,
            mixed_differences,
            mixed_models,
            cluster_robust,
        ]
        others = [f(v, headline) for f in tests]
    else:
        others = [wilcoxon(v, headline, "image"), sign_flip(v, headline, "image")]
    others = [
        part
        for part in others
        if (part["test"].iloc[0], part["unit"].iloc[0])
        != (parts[0]["test"].iloc[0], parts[0]["unit"].iloc[0])
    ]
    parts += [
        adjust(part, adjusting, name=part["test"].iloc[0]).assign(role="sensitivity")
        for part in others
    ]
    parts.append(bootstraps(per_image, headline, settings))
    if settings["test"] != "image_t":
        paper = adjust(paired_t(v, headline, "image"), adjusting, name="paired t over images")
        parts.append(paper.assign(role=LABEL))
    return pd.concat([part.reindex(columns=COLUMNS) for part in parts], ignore_index=True)


def bootstraps(
    per_image: pd.DataFrame,
    headline: str,
    settings: dict,
    methods: Sequence[str] = ("bootstrap_t", "percentile", "bca"),
) -> pd.DataFrame:
    """Bootstrap intervals of the difference of patient means (declared method first), columns as
    :func:`compare`.
    """
    kept, dropped = _paired(per_image, settings)
    first = settings.get("interval", "bootstrap_t")
    ordered = [first, *(m for m in methods if m != first)]
    out = intervals(kept, *_asked(settings), method=ordered, **_drawn(settings, headline))
    names = {
        "bootstrap_t": "bootstrap-t",
        "percentile": "bootstrap, percentile",
        "bca": "bootstrap, BCa",
    }
    out = out.rename(columns={"estimate": "difference", "n_units": "n"})
    unit = "cluster " if out["unit"].iloc[0] == "patient" else ""
    return out.assign(
        role=np.where(out["method"] == first, "declared interval", "sensitivity"),
        headline=headline,
        test=unit + out["method"].map(names),
        dropped_images=dropped,
    )


def _paired(per_image: pd.DataFrame, settings: dict) -> tuple[pd.DataFrame, int]:
    """Rows of the images that have a score of every network, as the tests compare them, and how
    many have not.
    """
    kept = wide(values(per_image, settings["metric"], settings["class"]), "image")
    return per_image[per_image["image_id"].isin(kept.index)], kept.attrs["dropped_images"]


def _asked(settings: dict) -> tuple[list[str], ...]:
    return [settings["metric"]], [settings["class"]], ["per_patient"]


def _drawn(settings: dict, headline: str) -> dict:
    return {"draws": settings["draws"], "seed": settings["seed"], "headline": headline}
