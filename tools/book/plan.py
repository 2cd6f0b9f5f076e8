"""The page that sets the sealed plan beside what was run and what came out."""

from collections.abc import Iterable

from helpers import files, plan, studies
from helpers.figures import model_label
from helpers.figures.tables import setting, words
from helpers.pages import comparison
from helpers.schemas import SPLITS
from helpers.studies import Study
from tools.book.markup import escaped, grid


def page(study: Study) -> str:
    """The page as Markdown; StudyError where plan.json is not what was sealed."""
    state = plan.state(study)
    parts = ["# The plan and what came of it", verdict(state)]
    if state.sealed:
        planned, run = _planned(state.sealed["plan"], study), _run(study)
        rows = [
            (name, said, "the same" if run[name] == said else run[name])
            for name, said in planned.items()
        ]
        parts += [
            "## Planned and run",
            grid(("Setting", "As sealed", "As run"), rows, "Plan and run"),
            '<p class="study-files"><a href="results/plan.json" download>The whole plan</a></p>',
            "## What has changed since the seal",
            _changed(state.changes),
        ]
    parts += ["## What came out", _outcome(study)]
    return "\n\n".join(parts) + "\n"


def verdict(state: plan.State) -> str:
    """Whether the plan was declared before any result, and how to tell, as Markdown."""
    if not state.sealed:
        return (
            f"**Nothing here can be called declared before any result: {state.why}.** `make study`"
            " seals the plan where a study begins anew."
        )
    said = "Declared before any result."
    if not state.before:
        said = f"Not declared before any result: {state.why}."
    text = f"**{said}** Seal: sha256 `{state.sealed['sha256']}`, made {state.sealed['time']}."
    if state.first:
        text += f" First training: {state.first}."
    for earlier in state.sealed["earlier"]:
        text += f" An earlier seal was replaced: {earlier['sha256'][:16]}…, {earlier['time']}."
    return (
        f"{text} A file alone proves this only to who watched: before the training, send the seal"
        " to a registry or a colleague, and compare it afterwards."
    )


def _planned(sealed: dict, study: Study) -> dict:
    """Setting → its value in the sealed plan, for the protocol of this run."""
    declared = sealed["statistics"]
    name = study.protocol.split(",")[0]
    protocol = sealed["protocols"].get(name, {})
    folds = protocol.get("cross_validation", {})
    return {
        "Question": sealed.get("question", ""),
        "Network examined": model_label(protocol.get("headline", sealed["headline"])),
        "Metric": f"{declared['metric']} of {words(declared['class'])}",
        "Test": setting(declared["test"]),
        "Interval": setting(declared["interval"]),
        "Adjusted by": setting(declared["multiplicity"]),
        "Margin of equivalence": declared.get("margin", "by the raters"),
        "Protocol": name if protocol else f"{name} is not in the sealed plan",
        "Networks": _labels(m["name"] for m in protocol.get("models", ())),
        "Seeds": _list(protocol.get("seeds", ())),
        "Folds": _list(f"{folds['folds']} of {model_label(m)}" for m in folds.get("models", ())),
        "Side of an image": _side(protocol),
        "Epochs": _list([protocol.get("epochs", "")]),
        "Images (train, val, test)": _images(sealed, protocol, study),
    }


def _side(protocol: dict) -> str:
    kept = ", shape kept" if (studies.DEFAULTS | protocol)["aspect"] == "keep" else ""
    return f"{protocol.get('image_size', '–')} px{kept}"


def _images(sealed: dict, protocol: dict, study: Study) -> str:
    """Images of each split as planned: those that the protocol takes of images.csv; of all, where
    these are no longer what was sealed.
    """
    now = plan.declared(study)
    name = study.protocol.split(",")[0]
    if now["images"] == sealed["images"] and now["protocols"].get(name) == protocol:
        counts = studies.images(study)["split"].value_counts()
        return _list(int(counts.get(s, 0)) for s in SPLITS)
    return f"of {_list(sealed['images'][s] for s in SPLITS)}, as the sealed protocol takes them"


def _run(study: Study) -> dict:
    """Setting → its value in this run, read from its results and records where they tell it."""
    rows = files.read_csv(study.run / "results" / "per_image.csv", dtype={"image_id": str})
    main = rows[rows["fold"] == "main"]
    folds = rows[rows["fold"].str.fullmatch(r"cv\d+")].groupby("model", sort=False)["fold"]
    epochs = {
        files.read_json(path)["training"]["epochs"]
        for path in study.run.glob("train/*/main_*/weights.json")
    }
    counts = main.groupby("split")["image_id"].nunique()
    settings = study.statistics
    found = {
        "Question": study.question,
        "Network examined": model_label(study.headline),
        "Metric": f"{settings['metric']} of {words(settings['class'])}",
        "Test": setting(settings["test"]),
        "Interval": setting(settings["interval"]),
        "Adjusted by": setting(settings["multiplicity"]),
        "Margin of equivalence": settings.get("margin", "by the raters"),
        "Protocol": study.protocol,
        "Networks": _labels(main["model"].unique()),
        "Seeds": _list(sorted(main["seed"].unique())),
        "Folds": _list(f"{n} of {model_label(m)}" for m, n in folds.nunique().items()),
        "Side of an image": _side(study.spec),
        "Epochs": _list(sorted(epochs)),
        "Images (train, val, test)": _list(counts.get(s, 0) for s in SPLITS),
    }
    compared = study.run / "tables" / "comparison.csv"
    if compared.is_file():
        tests = files.read_csv(compared).set_index("role")
        first = tests.loc[["declared"]].iloc[0]
        found["Metric"] = f"{first['metric']} of {words(first['class'])}"
        found["Test"] = f"{first['test']} over {first['unit']}s"
        if "declared interval" in tests.index:
            drawn = tests.loc[["declared interval"]].iloc[0]["test"]
            found["Interval"] = drawn.removeprefix("cluster ")
    return found


def _labels(names: Iterable[str]) -> str:
    return _list(map(model_label, names))


def _list(values: Iterable) -> str:
    return ", ".join(map(str, values)) or "none"


def _changed(changes: tuple[tuple[str, object, object], ...]) -> str:
    if not changes:
        return "Nothing: study.yml and the split of images.csv are as sealed."
    rows = [
        [name, *("not there" if v is None else str(v) for v in pair)] for name, *pair in changes
    ]
    return grid(("Setting", "As sealed", "Now"), rows, "Changes since the seal")


def _outcome(study: Study) -> str:
    """The declared comparison, a row a network, as page 5 has it."""
    table = study.run / "tables" / "comparison_declared.csv"
    if not table.is_file():
        return "No comparison of networks was made in this run."
    tests = files.read_csv(table, dtype={"why": str, "differ": str}).fillna(
        {"why": "", "differ": ""}
    )
    name, many = model_label(study.headline), comparison.tested(tests)
    return "\n".join(
        f"- {escaped(name)} is **{comparison.SAID[row['verdict']]}"
        f" {escaped(model_label(row['model']))}**: {escaped(comparison.size(row, many))}"
        for row in tests.to_dict("records")
    )
