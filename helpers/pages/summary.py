"""The front page: what was found on each structure, what should worry the reader, whether the
network is better than its rivals, who was studied.

Everything is made from per_image.csv, the manifest, the cached images and the tables of other
pages; nothing here imports torch.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from helpers import files, runs, stats, studies
from helpers.errors import NotComputable, StudyError
from helpers.figures import fullsize, interval_text, model_label, tables
from helpers.pages import absent, comparison, cross_validation
from helpers.plan import State

if TYPE_CHECKING:  # datasets bring the readers of every image format
    from helpers.datasets import Arrays

COLUMNS = ["what", "value", "low", "high", "unit", "how"]
HARDLY = 0.2  # a mean below it: the network hardly learned
WEAK = 0.5  # a Dice below it: an outline of little use
DROP = 0.05  # a fall of the Dice that is worth a sentence
MEANS = {
    "mIoU": "the mean IoU of all classes",
    "mPA": "the mean share found of each class, background included",
}
NOT_NAMED = ("", "unpublished", "none")  # a citation that names nothing
#: table of another page → what is missing where it is missing
SOURCES = {
    "folds": "other divisions of the images (page 8)",
    "robustness": "noise, gain and depth (page 12)",
    "risk_coverage": "whether the network's own doubt finds its failures (page 12)",
    "rater_agreement": "how far people agree (page 2)",
}
#: change of the images → how it is said
CHANGES = {"noise": "more noise", "gain": "another gain", "depth": "another depth"}


def order(study: studies.Study, rows: pd.DataFrame) -> list[str]:
    """The networks of the results, the headline first, then as the protocol lists them."""
    have = set(rows["model"])
    return [
        m for m in dict.fromkeys([study.headline, *(m["name"] for m in study.models)]) if m in have
    ]


# --- the table of the main numbers ---------------------------------------------------------------


def headline(
    study: studies.Study, rows: pd.DataFrame, tests: pd.DataFrame | NotComputable
) -> pd.DataFrame:
    """The study's main numbers: DataFrame with what, value, low, high, unit, how; NaN: not there.

    rows: test rows of fold main of per_image.csv; tests: ``stats.declared`` of them, or the
    NotComputable in its place. First the declared metric of the declared class for each network
    (the headline's leads), then the differences, then the headline's pooled numbers, its other
    structures, and the share of weak images of every structure.
    """
    if study.headline not in set(rows["model"]):
        raise StudyError(
            f"results/per_image.csv has no rows of the headline network {study.headline!r}; there"
            f" are {', '.join(sorted(set(rows['model'])))}; run `make study STUDY={study.name}`"
        )
    settings = study.statistics
    metric, class_, unit = settings["metric"], settings["class"], stats.default_unit(rows)
    options = {"method": settings["interval"], "draws": settings["draws"], "seed": settings["seed"]}
    asked = [metric], [class_], [f"per_{unit}"]
    main = stats.intervals(rows, *asked, **options).set_index("model")
    how = _interval(settings, unit)
    lines = [
        _line(f"{metric} of {class_}, {model_label(m)}", main.loc[m], _over(main.loc[m], unit, how))
        for m in order(study, rows)
    ]
    lines += _differences(study, rows, tests)
    own, name = rows[rows["model"] == study.headline], model_label(study.headline)
    pooled = [
        stats.intervals(own, ["IoU"], [class_, stats.ALL], ["pooled"], **options),
        stats.intervals(own, ["accuracy"], [stats.ALL], ["pooled"], **options),
    ]
    for row in pd.concat(pooled).to_dict("records"):
        lines.append(_line(f"{_pooled(row, class_)}, {name}", row, _images(row, how)))
    others = [c.name for c in study.foreground if c.name != class_]
    for other in others:
        row = stats.intervals(own, [metric], [other], [f"per_{unit}"], **options).iloc[0]
        lines.append(_line(f"{metric} of {other}, {name}", row, _over(row, unit, how)))
    weak = [c.name for c in study.foreground if c.name != study.target]
    lines += [_weak(own, each, name) for each in (*weak, study.target)]
    for line in lines:
        line["what"] = line["what"].replace("_", " ")
    return pd.DataFrame(lines, columns=COLUMNS)


def _interval(settings: dict, unit: str) -> str:
    return f"95 % interval by {tables.setting(settings['interval'])}, whole {unit}s resampled"


def numbers_note(settings: dict, unit: str) -> str:
    """What stands under the table of numbers: how its intervals were made."""
    return (
        f"Of means and pooled values, {_interval(settings, unit)}; of a share of images, by"
        " Wilson's formula. How each was made, and the differences between networks: in the file"
    )


def _over(row: pd.Series, unit: str, how: str) -> str:
    return f"mean over {tables.counted(row['n_units'], unit)}, {how}"


def _images(row: dict, how: str) -> str:
    return f"pixels of {tables.counted(row['n_images'], 'image')} pooled, {how}"


def _pooled(row: dict, class_: str) -> str:
    over = class_ if row["class"] == class_ else "all classes, background included"
    if row["metric"] == "accuracy":
        return "share of pixels in their right class"
    return f"{row['metric']} of {over}"


def _line(what: str, row: pd.Series | dict, how: str) -> dict:
    note = row["note"] or ("no score on any image" if pd.isna(row["estimate"]) else "")
    return {
        "what": what,
        "value": row["estimate"],
        "low": row["low"],
        "high": row["high"],
        "unit": "",
        "how": how if not note else f"{how.split(',')[0]}; {note}",
    }


def _weak(own: pd.DataFrame, class_: str, name: str) -> dict:
    row = stats.failures(own, "Dice", class_, WEAK).iloc[0]
    chosen = "instead_" if row["instead"] else ""
    how = f"95 % interval by {row['instead'] or 'Wilson'}"
    if pd.isna(row["low"]):
        how = f"fewer than {stats.MIN_UNITS} {stats.default_unit(own)}s: no interval"
    return {
        "what": f"share of images with Dice of {class_} below {WEAK}, {name}",
        "value": row["share"],
        "low": row[f"{chosen}low"],
        "high": row[f"{chosen}high"],
        "unit": "",
        "how": f"{row['below']} of {tables.counted(row['n'], 'image')}, {how}"
        if row["n"]
        else "no score on any image",
    }


def _differences(
    study: studies.Study, rows: pd.DataFrame, tests: pd.DataFrame | NotComputable
) -> Iterator[dict]:
    """One line a comparator: headline − comparator, as ``stats.declared`` has it."""
    if isinstance(tests, NotComputable):
        return
    rivals = tests.set_index("model", drop=False)
    for name in order(study, rows)[1:]:
        row = rivals.loc[name]
        p = comparison.p_value(row, comparison.tested(tests)) or "no test"
        yield {
            "what": (
                f"{row['metric']} of {row['class']}, {model_label(study.headline)} minus"
                f" {model_label(name)}"
            ),
            "value": row["difference"],
            "low": row["low"],
            "high": row["high"],
            "unit": "",
            "how": f"{row['verdict']}, {row['test']} over"
            f" {tables.counted(row['n'], row['unit'])}, {p}",
        }


# --- sentences -----------------------------------------------------------------------------------


def question(study: studies.Study) -> str:
    """What the study asks."""
    return f"**{study.question or study.title}**"


def answer(study: studies.Study, rows: pd.DataFrame, table: pd.DataFrame) -> str:
    """How good the headline network is on the declared class, one sentence. table: as
    :func:`headline`.
    """
    first, unit = table.iloc[0], stats.default_unit(rows)
    settings = study.statistics
    name, title = model_label(study.headline), _title(study, settings["class"])
    own = rows[(rows["model"] == study.headline) & (rows["class"] == settings["class"])]
    if pd.isna(first["value"]) or not own[["tp", "fn"]].to_numpy().any():
        text = f"No test image shows the {title}, so nothing can be said of how {name} outlines it"
        drawn = own.loc[own["fp"] > 0, "image_id"].nunique()
        return f"{text}; it was drawn in {drawn} of them." if drawn else f"{text}."
    n = rows["patient_id"].nunique() if unit == "patient" else rows["image_id"].nunique()
    return (
        f"On {tables.counted(n, unit)} {_seen(study, unit)}, **{name}** outlined the {title} with a"
        f" mean {settings['metric']} of **{_with_interval(first)}**, where 1 is a perfect outline"
        " and 0 none at all."
    )


def _seen(study: studies.Study, unit: str) -> str:
    if study.split.get("unit") != "image":
        return "that it had never seen"
    if unit == "patient":
        return "of whom it had seen other images"
    return "(it may have seen others of the same people)"


def _title(study: studies.Study, class_: str) -> str:
    return next((c.title for c in study.classes if c.name == class_), f"mean of {class_} classes")


def _short(study: studies.Study, class_: str) -> str:
    """The title without what stands in brackets."""
    return _title(study, class_).partition(" (")[0]


def _with_interval(row: pd.Series) -> str:
    shown = interval_text(row["value"], row["low"], row["high"], 2)
    return shown.replace("(", "(95 % interval ")


def structures(study: studies.Study, rows: pd.DataFrame) -> pd.DataFrame:
    """What was found of each structure by the headline network: DataFrame, a row a structure.

    rows: test rows of per_image.csv. Columns: class, title, images, units, shown (images in which
    the reference has it), missed (of these), drawn_absent (images without it in which it was
    drawn), border, border_unit (mean distance of the outlines where both are there: images of a
    patient averaged, then patients; mm, or px of the evaluated image), area_percent (drawn area
    against the true one), below (images of those with a Dice that lie below WEAK), scored,
    units_below (patients, or images, with such an image).
    """
    own, unit = rows[rows["model"] == study.headline], stats.default_unit(rows)
    target_first = sorted(study.foreground, key=lambda c: c.name != study.target)
    return pd.DataFrame([_structure(own[own["class"] == c.name], c, unit) for c in target_first])


def _structure(own: pd.DataFrame, c: studies.Class, unit: str) -> dict:
    sums = own.groupby("image_id")[["tp", "fp", "fn"]].sum()
    shown = sums["tp"] + sums["fn"] > 0
    dice = stats.values(own, "Dice", c.name).set_index("image_id")["value"].reindex(sums.index)
    owner = own.assign(unit=own[f"{unit}_id"]).groupby("image_id")["unit"].first()
    true, drawn = (sums["tp"] + sums["fn"]).sum(), (sums["tp"] + sums["fp"]).sum()
    border, border_unit = _border(own, unit)
    weak = dice < WEAK
    return {
        "class": c.name,
        "title": c.title,
        "images": len(sums),
        "units": owner.nunique(),
        "shown": int(shown.sum()),
        "missed": int((shown & (sums["tp"] == 0)).sum()),
        "drawn_absent": int((~shown & (sums["fp"] > 0)).sum()),
        "border": border,
        "border_unit": border_unit,
        "area_percent": 100 * (drawn / true - 1) if true else np.nan,
        "below": int(weak.sum()),
        "scored": int(dice.notna().sum()),
        "units_below": int(owner[weak[weak].index].nunique()),
    }


def _border(own: pd.DataFrame, unit: str) -> tuple[float, str]:
    """(mean distance of the outlines, its unit): mm where every image with a distance has them."""
    known = own.dropna(subset=["assd_px"])
    in_mm = len(known) and known["assd_mm"].notna().all()
    column = "assd_mm" if in_mm else "assd_px"
    each = known.assign(unit=known[f"{unit}_id"]).groupby(["unit", "image_id"])[column].mean()
    return each.groupby(level="unit").mean().mean(), "mm" if in_mm else "px"


def found(table: pd.DataFrame) -> str:
    """A line a structure in plain words, Markdown list. table: as :func:`structures`."""
    return "\n".join(f"- **{_capital(r.title)}**: {_found(r)}" for r in table.itertuples())


def _found(r: Any) -> str:
    if not r.shown:
        drawn = f"; it was drawn in {r.drawn_absent} of them" if r.drawn_absent else ""
        return f"in none of the {r.images} test images, so nothing can be said of it{drawn}."
    parts = [
        f"found in {'all' if r.shown > 1 else 'the'} {absent.that_show(r.shown)}"
        if not r.missed
        else f"missed in {r.missed} of {absent.that_show(r.shown)}"
    ]
    if r.drawn_absent:
        parts.append(f"drawn in {r.drawn_absent} of {r.images - r.shown} that do not")
    if pd.notna(r.border):
        parts.append(f"its border {r.border:.1f} {r.border_unit} off on average")
    if pd.notna(r.area_percent):
        parts.append(_area(r.area_percent))
    return f"{', '.join(parts)}."


def _area(percent: float) -> str:
    if abs(percent) < 0.5:
        return "neither too large nor too small on the whole"
    return f"drawn {abs(percent):.0f} % too {'large' if percent > 0 else 'small'} on the whole"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def rivals(tests: pd.DataFrame, table: pd.DataFrame) -> str:
    """Is it better than the others, in a sentence or two. tests: ``stats.declared``; table: as
    :func:`headline`.
    """
    first = tests.iloc[0]
    many = comparison.tested(tests)
    adjusted = f"; P adjusted for {many} comparisons" if many > 1 else ""
    rows = [
        f"{model_label(r['model'])}: {comparison.size(r, 1)}{comparison.aside(r)}"
        for r in tests.to_dict("records")
    ]
    text = (
        f"**{model_label(first['headline'])} was {comparison.finding(tests)}**, by the test that"
        f" study.yml declares ({first['test']} over"
        f" {tables.counted(first['n'], first['unit'])}{adjusted}).\n\n"
        + "\n".join(f"- {row}" for row in rows)
    )
    names = hardly(table)
    if names:
        text += (
            f"\n\n{comparison.listed(names)} hardly learned under this protocol; being better than"
            " that says little."
        )
    return text


def declared(state: State) -> str:
    """Whether the plan was declared before any result. state: ``plan.state``."""
    if not state.sealed:
        return f"*Not shown to be declared before any result: {state.why}.*"
    seal = f"seal {state.sealed['sha256'][:16]}…, {state.sealed['time']}"
    link = "[plan and outcome side by side](plan.html)"
    if state.before:
        return f"**Declared before any result**: {seal}; {link}."
    return f"*Not declared before any result: {state.why}* ({seal}; {link})."


def hardly(table: pd.DataFrame) -> list[str]:
    """The networks (as written) that hardly learned. table: as :func:`headline`."""
    rows = table[table["how"].str.startswith("mean over") & (table["value"] < HARDLY)]
    rows = rows[rows["what"].str.startswith(table["what"].iloc[0].rpartition(", ")[0])]
    return [what.rpartition(", ")[2] for what in rows["what"]]


# --- what should worry the reader ----------------------------------------------------------------


def worries(study: studies.Study, table: pd.DataFrame, found: dict[str, pd.DataFrame]) -> str:
    """What speaks against trusting the headline number: Markdown list.

    table: as :func:`structures`; found: name → table of other pages, those that there are.
    """
    said = [
        *_failures(table),
        *_area_bias(study, found.get("areas")),
        *_folds(study, found.get("folds")),
        *_people(study, found.get("rater_agreement")),
        *_robustness(study, found.get("robustness")),
        *_doubt(found.get("risk_coverage")),
        *_gates(found.get("gates")),
        *_claims(found.get("claims")),
    ]
    missing = [what for name, what in SOURCES.items() if name not in found]
    if missing:
        said.append(f"Not examined in this run: {comparison.listed(missing)}.")
    return "\n".join(f"- {text}" for text in said)


def _failures(table: pd.DataFrame) -> Iterator[str]:
    bad = [
        f"the {r.title.partition(' (')[0]} in {r.below} of {tables.counted(r.scored, 'image')}"
        + (
            f" ({r.units_below} of {tables.counted(r.units, 'patient')})"
            if r.units < r.images
            else ""
        )
        for r in table.itertuples()
        if r.below
    ]
    if bad:
        yield f"**It fails** (Dice below {WEAK}, of little use; page 6): {comparison.listed(bad)}."
    unseen = [r.title.partition(" (")[0] for r in table.itertuples() if not r.shown]
    if unseen:
        yield f"**Never tested**: no test image shows the {comparison.listed(unseen)}."


def _area_bias(study: studies.Study, areas: pd.DataFrame | None) -> Iterator[str]:
    if areas is None:
        return
    own = areas[areas["model"] == study.headline] if "model" in areas else areas
    sure = own[(own["low"] > 0) | (own["high"] < 0)]
    parts = []
    for r in sure.to_dict("records"):
        places = tables.two_digits(r["bias"])
        limits = " to ".join(comparison.signed(r[end], places) for end in ("low", "high"))
        way = "large" if r["bias"] > 0 else "small"
        size = f"{tables.number(abs(r['bias']), places)} {r['unit']} too {way}"
        parts.append(f"{_short(study, r['class'])} {size} ({limits})")
    if parts:
        said = comparison.listed(parts)
        yield f"**Areas are off** on average (95 % intervals in brackets; page 6): {said}."


def _folds(study: studies.Study, folds: pd.DataFrame | None) -> Iterator[str]:
    if folds is None:
        return
    for model, part in folds[folds["shown"] > 0].groupby("model", sort=False):
        own = part["fold"] == cross_validation.OWN
        here = part.loc[own, "pooled_IoU"]
        others = cross_validation.others(part)["pooled_IoU"]
        if len(here) and cross_validation.place(here.iloc[0], others) == "above":
            yield (
                f"**The test set may be a lucky one**: the pooled IoU (shared area over the area"
                f" that either covers) of the {_short(study, study.target)} is"
                f" {here.iloc[0]:.2f} there, above all {len(others)} folds of the cross-validation"
                f" ({others.min():.2f} to {others.max():.2f}, {model_label(model)}; page 8)."
            )


def _people(study: studies.Study, agreement: pd.DataFrame | None) -> Iterator[str]:
    if agreement is None:
        return
    between = agreement[
        (agreement["kind"] == "between raters") & (agreement["class"] == study.target)
    ]
    if len(between) and pd.notna(between["Dice"].iloc[0]):
        people = "two programs that stand for people" if study.synthetic else "two people"
        yield (
            f"**The reference is uncertain itself**: {people} who outline the"
            f" {_short(study, study.target)} agree to a Dice of {between['Dice'].iloc[0]:.2f}"
            " (page 2)."
        )


def _robustness(study: studies.Study, robustness: pd.DataFrame | None) -> Iterator[str]:
    if robustness is None:
        return
    rows = robustness[robustness["class"] == study.target]
    parts = []
    for change, part in rows.groupby("change", sort=False):
        usual = part.loc[part["level"] == (1.0 if change == "depth" else 0.0), "Dice"]
        if len(usual) and usual.iloc[0] - part["Dice"].min() >= DROP:
            parts.append(
                f"{CHANGES.get(change, change)} ({usual.iloc[0]:.2f} to {part['Dice'].min():.2f})"
            )
    if parts:
        yield (
            f"**Other machines**: the pooled Dice of the {_short(study, study.target)} falls under"
            f" {comparison.listed(parts)}, at the strongest change tried (page 12)."
        )


def _doubt(curve: pd.DataFrame | None) -> Iterator[str]:
    """curve: mean error of the images kept, by the share kept, and what a perfect doubt leaves."""
    if curve is None or curve.empty:
        return
    whole, kept, best, gained = stats.doubt(curve)
    if gained <= stats.LITTLE:
        yield (
            f"**It does not know when it fails**: without the {100 * (1 - stats.KEEP):.0f} % of the"
            f" images that it is least sure of, the mean error (1 − Dice) is {kept:.3f}"
            f" instead of {whole:.3f}; a perfect doubt would leave {best:.3f} (page 12)."
        )


def _gates(gates: pd.DataFrame | None) -> Iterator[str]:
    if gates is None:
        return
    failed = gates[gates["result"] == "FAILED"]
    for row in failed.to_dict("records"):
        yield f"**A check of the data failed**: {row['gate']}, {row['found']} (page 2)."


def _claims(claims: pd.DataFrame | None) -> Iterator[str]:
    if claims is None:
        return
    said = claims.loc[claims["verdict"] == "reversed", "sentence"]
    if len(said):
        text = " ".join(said)
        for short, long in MEANS.items():
            text = text.replace(short, f"{short} ({long})", 1)
        yield f"**Where it lost**: {text} (page 5)"


# --- who was studied, and what it does not show --------------------------------------------------


def studied(study: studies.Study) -> str:
    """Who was studied, Markdown sentences from images.csv and patients.csv."""
    images, patients = studies.images(study), studies.patients(study)
    counts = images["split"].value_counts().reindex(["train", "val", "test"], fill_value=0)
    sizes = f"{counts['train']} to learn from, {counts['val']} to tune, {counts['test']} to test"
    if images["patient_id"].isna().any():
        return (
            f"{len(images)} images ({sizes}). Which images belong to the same person was not"
            " published, so one person may be in training and test, and nothing is known about who"
            " they were."
        )
    groups = images.groupby("split")["patient_id"].nunique()
    groups = groups.reindex(["train", "val", "test"], fill_value=0)
    kept = images["patient_id"].nunique()
    text = (
        f"{kept} {'synthetic ' if study.synthetic else ''}patients with {len(images)} images"
        f" ({sizes}"
    )
    elsewhere = int((images["split"] == "external").sum())
    text += f", {elsewhere} from elsewhere); " if elsewhere else "); "
    places = images[["patient_id", "split"]].drop_duplicates()["patient_id"]
    shared = len(set(places[places.duplicated()]))
    text += f"{groups['train']}, {groups['val']} and {groups['test']} patients, "
    text += f"{shared} of them in several groups." if shared else "no patient in two groups."
    if patients is None:
        return text + " Nothing else is known about them."
    people = patients[patients["patient_id"].isin(images["patient_id"])]
    parts = []
    if "age_years" in people and (known := people["age_years"].count()):
        age = people["age_years"]
        said = [f"SD {age.std():.0f}"] if known > 1 else []
        said += [f"known of {known}"] if known < len(people) else []
        parts.append(f"Mean age {age.mean():.0f} years" + (f" ({', '.join(said)})" if said else ""))
    if "sex" in people and (known := people["sex"].count()):
        women, men = ((people["sex"] == name).sum() for name in ("female", "male"))
        parts.append(
            f"{women} {'woman' if women == 1 else 'women'} and {men} {'man' if men == 1 else 'men'}"
            + (f" (sex known of {known})" if known < len(people) else "")
        )
    return text + (f" {'; '.join(parts)}." if parts else "")


def limits(study: studies.Study, rows: pd.DataFrame) -> str:
    """What the study does not show: Markdown list from the manifest and the protocol."""
    unit, spec = stats.default_unit(rows), study.spec
    items = [stats.caveat(unit, study.split)]
    starts = rows.groupby("model")["seed"].nunique()
    if once := [model_label(name) for name in starts.index[starts == 1]]:
        which = " and ".join(once) if starts.max() > 1 else "Each network"
        items.append(
            f"{which} was trained once on this split; another random start would move the"
            " numbers, and the intervals do not include that."
        )
    side = spec["image_size"]
    epochs = " or ".join(map(str, sorted({m["epochs"] for m in study.models})))
    items.append(
        f"Protocol “{study.protocol}”: images of {side} × {side} pixels, {epochs} epochs"
        + (", images kept in shape, black around" if spec["aspect"] == "keep" else "")
        + " ([all settings](plan.html))."
    )
    items.append(
        "A good outline is not a safe block: no needle was placed and no patient was followed."
    )
    return "\n".join(f"- {item}" for item in items)


def made(study: studies.Study, rows: pd.DataFrame, record: dict, when: str) -> str:
    """What the page was made from. record: ``provenance.record``; when: the time, as text."""
    text, results = "", files.sha256(study.run / "results" / "per_image.csv")
    if study.citation.strip().rstrip(".").lower() not in NOT_NAMED:
        text = f"After: {study.citation.strip()}\n\n"
    return (
        f"{text}Study “{study.name}”, protocol “{study.protocol}”, code {record['code']}, {when}."
        f" {tables.counted(rows['image_id'].nunique(), 'test image')}, {_networks(rows)}. Scores"
        f" come from `results/per_image.csv` (sha256 {results[:16]}…), people from the list of"
        f" images (sha256 {record['manifest_sha256'][:16]}…) and of patients, worries from the"
        f" pages that they name. `make verify STUDY={study.name}` derives every number and"
        " word of this report again."
    )


# --- pictures ------------------------------------------------------------------------------------


def _networks(rows: pd.DataFrame) -> str:
    count = rows["model"].nunique()
    return f"{count} network{'s' if count > 1 else ''}"


def cases(
    study: studies.Study, rows: pd.DataFrame, arrays: "Arrays", told: dict[str, str]
) -> Figure:
    """Figure: the worst and the typical test image. told: name → image_id, as ``stats.telling``."""
    dice = stats.case_values(rows, study.headline, study.target)
    drawn = runs.predictions(study, study.headline, study.spec["seeds"][0])
    chosen = {
        f"{name.capitalize()} case, {told[name]}: Dice {dice[told[name]]:.2f}": told[name]
        for name in ("worst", "typical")
    }
    return fullsize.cases(study, arrays, chosen, drawn)


def means(
    study: studies.Study, rows: pd.DataFrame, table: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What :func:`helpers.figures.statistics.strips` draws: (points, means), a network in order.

    points: columns name, value (one a patient or image); means: columns name, value, low, high.
    """
    names, unit = order(study, rows), stats.default_unit(rows)
    settings = study.statistics
    each = stats.values(rows, settings["metric"], settings["class"])
    each = each.groupby(["model", f"{unit}_id"], sort=True)["value"].mean().reset_index()
    means = table.iloc[: len(names)].assign(name=names)
    return each.rename(columns={"model": "name"})[["name", "value"]], means


def levels(table: pd.DataFrame) -> pd.Series:
    """The rows of :func:`headline` that are no differences: those stand in :func:`rivals`."""
    return ~table["how"].str.startswith(tuple(comparison.SAID))


def scale(settings: dict, means: pd.DataFrame, unit: str) -> str:
    """What stands under the figure of :func:`means`: its axis and its signs."""
    bar = "\nbar: its 95 % interval" if means["low"].notna().any() else ""
    return (
        f"{settings['metric']} of {tables.words(settings['class'])} (1: perfect)\n"
        f"grey: one {unit} each; diamond: their mean{bar}"
    )


def rivals_heading(tests: pd.DataFrame | NotComputable) -> str:
    """The finding as the title of a figure, '' where nothing is compared."""
    if isinstance(tests, NotComputable):
        return ""
    return f"{model_label(tests['headline'].iloc[0])}: {comparison.finding(tests)}"
