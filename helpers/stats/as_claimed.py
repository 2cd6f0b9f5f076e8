"""What is left of a paper's claims when patients are counted instead of images."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from helpers.errors import NotComputable
from helpers.stats.as_printed import anova_classes
from helpers.stats.multiplicity import adjust
from helpers.stats.paired import paired_t
from helpers.stats.repeated import rm_anova
from helpers.stats.values import ALL, OVERALL, default_unit, values

SENTENCES = {
    "holds": "{headline} beats {model} on {metric}, counted by patient too.",
    "reversed": "{model} beats {headline} on {metric}.",
    "does not survive": (
        "Over images {headline} is ahead of {model} on {metric}; over patients that may be chance."
    ),
    "not claimed": (
        "Over images {model} is ahead on {metric}, over patients that may be chance: no claim to"
        " lose."
    ),
    "not shown by either": "{headline} and {model} are not shown to differ on {metric}.",
    "cannot be tested": "{headline} and {model} cannot be compared on {metric}: {why}.",
}
STRUCTURES = {
    "holds": "The structures differ on {metric} between patients too.",
    "does not survive": "That the structures differ on {metric} may be chance, counted by patient.",
    "not shown by either": "The structures are not shown to differ on {metric}.",
    "cannot be tested": "The structures cannot be compared on {metric}: {why}.",
}


def claims(
    per_image: pd.DataFrame,
    headline: str,
    settings: dict,
    background: str = "background",
    label: Callable = str,
) -> pd.DataFrame:
    """ "Does the claim survive?": a row a claim, with the paper's analysis, the valid one, a
     verdict and a sentence.

    Claims: the headline is better than each network on each overall metric (valid: paired t over
    patients, Holm over all of them); the structures differ on TPR, TNR, FPR and FNR over the union
    (valid: repeated-measures ANOVA over patient means, Greenhouse–Geisser, Holm over the four).
    Columns: verdict, sentence (networks named by `label`), paper_p, valid_p (adjusted), difference,
    low, high, claim, metric, model, paper_test, paper_difference, valid_test.
    """
    if default_unit(per_image) == "image":
        raise NotComputable(
            "A claim can only be held against patients, and they are not known here"
        )
    method = settings.get("multiplicity", "holm")
    out = _better(per_image, headline, method, label)
    names = [c for c in dict.fromkeys(per_image["class"]) if c != background]
    if len(names) > 1:
        out = pd.concat(
            [out, _structures(per_image, headline, background, method)], ignore_index=True
        )
    return out[
        [
            "verdict",
            "sentence",
            "paper_p",
            "valid_p",
            "difference",
            "low",
            "high",
            "claim",
            "metric",
            "model",
            "paper_test",
            "paper_difference",
            "valid_test",
        ]
    ]


def _better(per_image: pd.DataFrame, headline: str, method: str, label: Callable) -> pd.DataFrame:
    parts = []
    for name, metric in OVERALL.items():
        v = values(per_image, metric, ALL)
        image, patient = (paired_t(v, headline, unit) for unit in ("image", "patient"))
        parts.append(
            patient[["model", "difference", "low", "high", "p", "note"]].assign(
                metric=name, paper_difference=image["difference"], paper_p=image["p"]
            )
        )
    out = adjust(pd.concat(parts, ignore_index=True), method)
    out = out.rename(columns={"p_adjusted": "valid_p"})
    out["verdict"] = [
        _verdict(r.paper_p, r.paper_difference, r.valid_p, r.difference) for r in out.itertuples()
    ]
    out["sentence"] = [
        SENTENCES[r.verdict].format(
            headline=label(headline), model=label(r.model), metric=r.metric, why=_plain(r.note)
        )
        for r in out.itertuples()
    ]
    return out.assign(
        claim="better",
        paper_test="paired t over images",
        valid_test="paired t over patients, adjusted",
    )


def _plain(note: str) -> str:
    return note.removesuffix(": no test")


def _verdict(paper_p: float, paper_difference: float, valid_p: float, difference: float) -> str:
    if np.isnan(valid_p):
        return "cannot be tested"
    if valid_p < 0.05:
        return "holds" if difference > 0 else "reversed"
    if paper_p < 0.05:
        return "does not survive" if paper_difference > 0 else "not claimed"
    return "not shown by either"


def _structures(
    per_image: pd.DataFrame, headline: str, background: str, method: str
) -> pd.DataFrame:
    indicators = ("TPR", "TNR", "FPR_union", "FNR_union")
    paper = anova_classes(per_image, headline, indicators, background)["p"]
    tests = pd.concat(
        [rm_anova(per_image, headline, metric, background) for metric in indicators],
        ignore_index=True,
    )
    out = (
        adjust(tests.assign(p=tests["p_gg"]), method)
        .rename(columns={"p_adjusted": "valid_p"})
        .assign(paper_p=paper)
    )
    out["verdict"] = [
        _verdict(p, 1, valid, 1) for p, valid in zip(paper, out["valid_p"], strict=True)
    ]
    out["sentence"] = [
        STRUCTURES[verdict].format(metric=metric.replace("_union", " over the union"), why=why)
        for verdict, metric, why in zip(
            out["verdict"], indicators, out["note"].map(_plain), strict=True
        )
    ]
    return out.assign(
        claim="structures differ",
        paper_test="one-way ANOVA over images",
        valid_test="repeated-measures ANOVA over patients, adjusted",
    )
