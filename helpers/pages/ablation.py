"""Page 11: which choices of the training earn their place, one taken away at a time."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from helpers import metrics, stats, studies
from helpers.analyses import ablation
from helpers.errors import NotComputable
from helpers.figures import model_label, statistics
from helpers.figures.tables import words
from helpers.pages import comparison
from helpers.studies import Study

#: stands under the search
SEARCHED = (
    "On the validation images, on which each training's epoch was chosen too: new images score"
    " lower. Differences are from the row named under *after*, image by image, with 95 % intervals"
    " by paired t, not adjusted for the number of ideas; another random start would move each row."
)
#: verdict of a training with the choice against one without it
SAID = {
    "better": "**helps**",
    "worse": "**does harm**",
    "not shown to differ": "is not shown to make a difference",
    "not tested": "is not tested: alike everywhere, or too few",
    stats.UNSETTLED: "is not judged: the answer hangs on how absent structures are counted",
}


def settings(study: Study, model: str = "", epochs: int = 0) -> dict:
    """The settings of the training that is taken apart: of ``model``, else of a fast network.

    A network that the protocol does not train takes the settings of its first one, unpretrained.
    """
    folds = study.spec.get("cross_validation", {}).get("models", [])
    name = model or (folds or [study.headline])[0]
    declared = {m["name"]: m for m in study.models}
    bare = {"name": name, "encoder_weights": "none", "freeze_epochs": 0, "options": {}}
    spec = declared.get(name, study.models[0] | bare)
    return spec | ({"epochs": epochs} if epochs else {})


def chosen(wanted: dict[str, bool]) -> list[str]:
    """The names of the choices that are switched on."""
    return [name for name, on in wanted.items() if on]


def plan(pairs: list[ablation.Pair]) -> pd.DataFrame:
    """The table of what is compared: choice, what it is, with, without."""
    rows = [
        (p.choice, ablation.CHOICES.get(p.choice, "a part of the network"), p.with_, p.without)
        for p in pairs
    ]
    frame = pd.DataFrame(rows, columns=["choice", "what it is", "with", "without"])
    return frame.replace("_", " ", regex=True)


def plan_note(spec: dict, left_out: list[str]) -> str:
    """What stands under the plan. left_out: reasons of choices that this training does not have."""
    text = f"{model_label(spec['name'])}, epochs: {spec['epochs']}, {spec['image_size']} px."
    return " ".join([text, *(f"Left out: {why}." for why in left_out)])


def answer(effects: pd.DataFrame, seeds: Sequence[int]) -> str:
    """What each choice brings, Markdown list, by the verdict of all pages (``stats.verdict``).

    effects: as ``analyses.ablation.effects``; seeds: the random starts.
    """
    lines = [
        f"- *{words(row['choice'])}* {SAID[stats.verdict(row)]}: {_size(row)}"
        for row in effects.to_dict("records")
    ]
    if len(seeds) == 1:
        luck = "One random start for each: another seed may change the order."
    else:
        luck = f"Seed {seeds[0]}; the others are in the last table."
    return "\n".join([*lines, "", luck])


def _size(row: dict) -> str:
    text = f"{row['metric']} of {words(row['class'])} {comparison.signed(row['difference'])}"
    parts = []
    if pd.notna(row["low"]):
        parts.append(f"{comparison.signed(row['low'])} to {comparison.signed(row['high'])}")
    if p := comparison.p_value(row, 1):
        parts.append(p)
    return text + (f" ({', '.join(parts)})" if parts else "")


def table(effects: pd.DataFrame) -> pd.DataFrame:
    """The effects as they are shown and kept, with their verdict."""
    verdicts = [stats.verdict(row) for row in effects.to_dict("records")]
    return effects.drop(columns=["with", "without"]).assign(verdict=verdicts)


def variants(counts: pd.DataFrame, target: str) -> pd.DataFrame:
    """Pooled scores of every variant and seed on the test images. counts: as per_image.csv."""
    test = counts[counts["split"] == "test"]
    pooled = metrics.pooled(test[test["class"] == target], ["model", "seed"])
    whole = metrics.overall(test, ["model", "seed"])[["model", "seed", "mIoU", "accuracy"]]
    table = pooled[["model", "seed", "IoU", "Dice", "precision", "recall"]]
    table = table.merge(whole, on=["model", "seed"]).rename(columns={"model": "variant"})
    return table.replace({"variant": "_"}, " ", regex=True)


def search(study: Study) -> pd.DataFrame:
    """What is kept of the search that led to a protocol (``ablation.search``), below reports/."""
    return ablation.search(studies.ROOT / "reports" / study.name / "results" / "search")


def search_figure(found: pd.DataFrame) -> Figure:
    """What each idea of the search added to the step that it was added to (``search``)."""
    gains = found.dropna(subset=["difference"])
    if gains.empty:
        raise NotComputable("no two steps of the search follow each other")
    return statistics.forest(
        gains, "step", xlabel="Dice, validation images: gain over the step before it"
    )
