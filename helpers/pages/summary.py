"""The front page: the headline numbers with their intervals, the answer in words, who was
studied, telling cases.

Everything is made from per_image.csv, the manifest and the cached images; nothing here imports
torch.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from helpers import figures, runs, stats, studies
from helpers.figures import model_label, pictures, tables

COLUMNS = ["what", "value", "low", "high", "unit", "how"]
SIZE = 5.2  # inches, width of the front page's figures: readable on a phone
HARDLY = 0.2  # a mean below it: the network hardly learned
MEANS = {
    "mIoU": "the mean IoU of all classes",
    "mPA": "the mean share found of each class, background included",
}
WEAK = 0.5  # a Dice below it: an outline of little use


def order(study, rows):
    """The networks of the results, the headline first, then as the protocol lists them."""
    have = set(rows["model"])
    return [
        m for m in dict.fromkeys([study.headline, *(m["name"] for m in study.models)]) if m in have
    ]


def headline(study, rows):
    """The study's main numbers: DataFrame with what, value, low, high, unit, how; NaN limits:
    no interval.

    rows: test rows of fold main of per_image.csv. First the declared metric of the declared
    class for each network (the headline's leads), then the differences by the declared test,
    then the headline's pooled numbers and the count of weak images.
    """
    settings = study.statistics
    metric, class_, unit = settings["metric"], settings["class"], stats.default_unit(rows)
    options = {"method": settings["interval"], "draws": settings["draws"], "seed": settings["seed"]}
    main = stats.intervals(rows, [metric], [class_], [f"per_{unit}"], **options).set_index("model")
    how = f"mean over {main['n_units'].iloc[0]} {unit}s, {_interval(settings, unit)}"
    lines = [
        _line(f"{metric} of {class_}, {model_label(m)}", main.loc[m], how)
        for m in order(study, rows)
    ]
    lines += _differences(study, rows)
    own = rows[rows["model"] == study.headline]
    parts = [
        stats.intervals(own, ["IoU"], [class_, stats.ALL], ["pooled"], **options),
        stats.intervals(own, ["accuracy"], [stats.ALL], ["pooled"], **options),
    ]
    for row in pd.concat(parts).to_dict("records"):
        over = class_ if row["class"] == class_ else "all classes, background included"
        what = (
            "share of pixels in their right class"
            if row["metric"] == "accuracy"
            else f"{row['metric']} of {over}"
        )
        how = f"pixels of all {row['n_images']} images pooled, {_interval(settings, unit)}"
        lines.append(_line(f"{what}, {model_label(study.headline)}", row, how))
    weak = stats.failures(own, "Dice", study.target, WEAK).iloc[0]
    lines.append(
        {
            "what": (
                f"share of images with Dice of {study.target} below {WEAK},"
                f" {model_label(study.headline)}"
            ),
            "value": weak["share"],
            "low": weak["low"],
            "high": weak["high"],
            "unit": "",
            "how": f"{weak['below']} of {weak['n']} images, 95 % interval by Wilson",
        }
    )
    for line in lines:
        line["what"] = line["what"].replace("_", " ")
    return pd.DataFrame(lines, columns=COLUMNS)


def _interval(settings, unit):
    return f"95 % interval by {settings['interval'].replace('_', '-')}, whole {unit}s resampled"


def _line(what, row, how):
    return {
        "what": what,
        "value": row["estimate"],
        "low": row["low"],
        "high": row["high"],
        "unit": "",
        "how": how if not row["note"] else f"{how.split(',')[0]}; {row['note']}",
    }


def _differences(study, rows):
    """One line a comparator: headline − comparator by the test that study.yml declares."""
    if rows["model"].nunique() < 2:
        return
    names = order(study, rows)[1:]
    tested = stats.declared(rows, study.headline, study.statistics).set_index("model")
    for name in names:
        row = tested.loc[name]
        p = tables.p_text(row["p_adjusted"])
        p = "no test" if p == "–" else f"P {p if '<' in p else '= ' + p}, adjusted for {len(names)}"
        yield {
            "what": (
                f"{row['metric']} of {row['class']}, {model_label(study.headline)} minus"
                f" {model_label(name)}"
            ),
            "value": row["difference"],
            "low": row["low"],
            "high": row["high"],
            "unit": "",
            "how": f"{row['test'].replace('_', ' ')} over {row['n']} {row['unit']}s, {p}",
        }


def case_values(study, rows):
    """Dice of the target class of each test image for the headline network: Series by image_id,
    undefined left out.
    """
    own = rows[rows["model"] == study.headline]
    return (
        stats.values(own, "Dice", study.target).set_index("image_id")["value"].dropna().sort_index()
    )


def telling(study, rows):
    """The best, the typical (median) and the worst test image of the headline network: name →
    image_id.
    """
    dice = case_values(study, rows).sort_values(kind="stable")
    return {"best": dice.index[-1], "typical": dice.index[len(dice) // 2], "worst": dice.index[0]}


def answer(study, rows, table):
    """The answer in three sentences, Markdown. table: as :func:`headline` gives it."""
    first, unit = table.iloc[0], stats.default_unit(rows)
    title = next(c.title for c in study.classes if c.name == study.statistics["class"])
    name, metric = model_label(study.headline), study.statistics["metric"]
    n = rows["patient_id"].nunique() if unit == "patient" else rows["image_id"].nunique()
    seen = "that it had never seen"
    if study.split.get("unit") == "image" and unit == "patient":
        seen = "of whom it had seen other images"
    elif study.split.get("unit") == "image":
        seen = "(it may have seen others of the same people)"
    text = f"On {n} {unit}s {seen}, **{name}** outlined the {title} with a mean {metric} of "
    text += f"**{_with_interval(first)}**, where 1 is a perfect outline and 0 none at all.\n\n"
    text += _compared(study, rows, table) + "\n\n"
    weak = table.iloc[-1]
    return (
        text
        + f"In {weak['how'].partition(',')[0]} the outline was of little use (Dice below {WEAK}; "
        f"95 % interval {100 * weak['low']:.0f} to {100 * weak['high']:.0f} %)."
    )


def against(study, table):
    """What speaks against the headline network, as sentences ('' for nothing): claims of page 5
    that came out the other way, and rivals that hardly learned, so that being better than them
    says little. table: as :func:`headline`.
    """
    path = study.run / "tables" / "claims.csv"
    claims = pd.read_csv(path) if path.is_file() else pd.DataFrame({"verdict": [], "sentence": []})
    said = claims.loc[claims["verdict"] == "reversed", "sentence"].to_list()
    text = f" Against it (page 5): {' '.join(said)}" if said else ""
    for short, long in MEANS.items():
        text = text.replace(short, f"{short} ({long})", 1)
    means = table[table["how"].str.startswith("mean over") & (table["value"] < HARDLY)]
    names = [what.rpartition(", ")[2] for what in means["what"]]
    if names:
        text += (
            f" {' and '.join(names)} hardly learned under this protocol; being better than that"
            " says little."
        )
    return text


def _with_interval(row, digits=2, before=" (", after=")"):
    if pd.isna(row["low"]):
        return tables.number(row["value"], digits)
    value, low, high = (tables.number(row[k], digits) for k in ("value", "low", "high"))
    return f"{value}{before}95 % interval {low} to {high}{after}"


def _compared(study, rows, table):
    names = order(study, rows)[1:]
    if not names:
        return "No other network was trained, so nothing can be said about which is better."
    found = {"better than": [], "worse than": [], "not shown to differ from": []}
    for name, row in zip(
        names, table.iloc[len(names) + 1 : 2 * len(names) + 1].to_dict("records"), strict=True
    ):
        kind = (
            "better than"
            if row["low"] > 0
            else "worse than"
            if row["high"] < 0
            else "not shown to differ from"
        )
        found[kind].append(f"{model_label(name)} (difference {_with_interval(row, 3, ', ', '')})")
    said = [f"{kind} {' and '.join(items)}" for kind, items in found.items() if items]
    return f"It was {'; it was '.join(said)}."


def studied(study):
    """Who was studied, Markdown sentences from images.csv and patients.csv."""
    images, patients = studies.images(study), studies.patients(study)
    counts = images["split"].value_counts()
    sizes = f"{counts['train']} to learn from, {counts['val']} to tune, {counts['test']} to test"
    if images["patient_id"].isna().any():
        return (
            f"{len(images)} images ({sizes}). Which images belong to the same person was not"
            " published, so one person may be in training and test, and nothing is known about who"
            " they were."
        )
    groups = images.groupby("split")["patient_id"].nunique()
    kept = images["patient_id"].nunique()
    text = (
        f"{kept} {'synthetic ' if study.synthetic else ''}patients with {len(images)} images"
        f" ({sizes}); "
    )
    places = images[["patient_id", "split"]].drop_duplicates()["patient_id"]
    shared = len(set(places[places.duplicated()]))
    text += f"{groups['train']}, {groups['val']} and {groups['test']} patients, "
    text += f"{shared} of them in several groups." if shared else "no patient in two groups."
    if patients is None:
        return text + " Nothing else is known about them."
    people = patients[patients["patient_id"].isin(images["patient_id"])]
    parts = []
    if "age_years" in people:
        parts.append(
            f"Mean age {people['age_years'].mean():.0f} years (SD {people['age_years'].std():.0f})"
        )
    if "sex" in people:
        parts.append(
            f"{(people['sex'] == 'female').sum()} women and {(people['sex'] == 'male').sum()} men"
        )
    return text + (f" {'; '.join(parts)}." if parts else "")


def limits(study, rows):
    """What the study does not show: Markdown list from the manifest and the protocol."""
    unit, spec = stats.default_unit(rows), study.spec
    items = [study.note.strip()] if study.note else []
    items.append(stats.caveat(unit, study.split))
    if len(spec["seeds"]) == 1:
        items.append(
            "Each network was trained once on this split; another random start would move the"
            " numbers, and the intervals do not include that."
        )
    size = spec["image_size"]
    epochs = " or ".join(map(str, sorted({m["epochs"] for m in study.models})))
    items.append(
        f"Protocol “{study.protocol}”: images of {size} × {size} pixels, {epochs} epochs"
        + (f" ({spec['describe'].rstrip('.')})" if spec.get("describe") else "")
        + "."
    )
    items.append(
        "A good outline is not a safe block: no needle was placed and no patient was followed."
    )
    return "\n".join(f"- {item}" for item in items)


def case_figure(study, arrays, rows, image_id, label):
    """Figure of one case: the image, the reference, the headline network's outline, with its
    Dice.
    """
    drawn = runs.predictions(study, study.headline, study.spec["seeds"][0])
    panels = {
        "image": None,
        "true outline" if study.synthetic else "drawn by hand": arrays.masks,
        model_label(study.headline): drawn,
    }
    return pictures.grid(
        study, arrays, {f"{label}\n{image_id}": image_id}, panels, case_values(study, rows)
    )


def number_figure(study, rows, table):
    """Figure: the declared metric of each network with its interval, a point a patient (or
    image) behind it.
    """
    names, metric, class_ = (
        order(study, rows),
        study.statistics["metric"],
        study.statistics["class"],
    )
    unit = stats.default_unit(rows)
    each = stats.values(rows, metric, class_)
    each = each.groupby(["model", f"{unit}_id"], sort=True)["value"].mean().reset_index()
    fig, ax = plt.subplots(figsize=(SIZE, 0.9 + 0.5 * len(names)))
    scatter = np.random.default_rng(0)
    for y, name in enumerate(names):
        values, row = each.loc[each["model"] == name, "value"].dropna(), table.iloc[y]
        ax.plot(
            values,
            y + scatter.uniform(-0.25, 0.25, len(values)),
            "o",
            ms=3,
            color="#9a9a9a",
            alpha=0.6,
        )
        if not pd.isna(row["low"]):
            ax.plot([row["low"], row["high"]], [y, y], color=figures.model_colour(name), lw=4)
        ax.plot(row["value"], y, "D", color=figures.model_colour(name), ms=7)
    ax.set(
        xlim=(0, 1),
        ylim=(len(names) - 0.5, -0.5),
        xlabel=f"{metric} of {class_.replace('_', ' ')} (1: perfect)",
        title=f"Each grey point is one {unit}; the diamond is the mean,\nthe bar its 95 % interval",
    )
    ax.set_yticks(range(len(names)), [model_label(m) for m in names])
    return fig
