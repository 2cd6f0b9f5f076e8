"""The comparison of a table of single cases: page 5's and page 10's answers, and the rankings."""

import html
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from markdown_it import MarkdownIt

from helpers import metrics, stats
from helpers.errors import NotComputable, StudyError
from helpers.figures import model_label, tables
from helpers.files import whole, write_csv
from helpers.pages import comparison, planning
from helpers.stats import challenge
from helpers.stats.comparison import TESTS, _differ, verdict
from helpers.stats.multiplicity import adjust
from helpers.stats.paired import CONSTANT
from helpers.stats.values import ALL
from tools.compare.read import COLUMNS, DISTANCES, metric_name

STYLE = (
    "body{font:1.05rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0;display:block;overflow-x:auto}"
    "td,th{border-top:1px solid #bbb;padding:.2rem .6rem;text-align:left}"
    "caption{caption-side:bottom;text-align:left;color:#444}"
)
#: differences of a distance that a next study may have to find, in the table's own unit
APART = (0.5, 1.0, 2.0)
#: beside ranks, where a difference is the same in every case
SIGNS = (
    " Its test goes by signs and ranks and is made even of a difference that is the same in every"
    " case; those above are not, since real results vary."
)


BY_IMAGE = (
    "The test counts images, though patients are known: images of one patient are not independent,"
    " so its interval is too narrow and its P values are too small."
)


@dataclass(frozen=True)
class Asked:
    """What is compared. headline: the algorithm that the others are held against; test: a name of
    ``stats`` (patient_t …), '' for the one that the unit allows; margin: 0 for none.
    """

    headline: str = ""
    metric: str = ""
    class_name: str = ""
    test: str = ""
    margin: float = 0.0
    multiplicity: str = "holm"

    @property
    def sign(self) -> float:
        """-1 for a distance, of which less is better: so many times a value is compared."""
        return -1.0 if self.metric in DISTANCES else 1.0


def values(frame: pd.DataFrame, asked: Asked) -> tuple[pd.DataFrame, Asked]:
    """(values as ``stats.values`` has them, what is asked for with nothing left open).

    Of a distance the sign is turned: everywhere more is better (``Asked.sign``). StudyError
    where the table holds several classes and none was named, or not what was.
    """
    known = [c for c in frame if c not in (*COLUMNS, "reference", "drawn")]
    metric = metric_name(asked.metric) if asked.metric else _first(known)
    classes, names = list(dict.fromkeys(frame["class"])), list(dict.fromkeys(frame["algorithm"]))
    if not asked.class_name and len(classes) > 1:
        raise StudyError(
            f"the table holds several classes: name one, CLASS_NAME={classes[-1]}"
            f" ({', '.join(classes)})"
        )
    class_, headline = asked.class_name or classes[0], asked.headline or names[0]
    for given, there, what in [
        (metric, known, "metric"),
        (class_, classes, "class"),
        (headline, names, "algorithm"),
    ]:
        if given not in there:
            raise StudyError(f"no {what} {given!r} in the table; there are {', '.join(there)}")
    labels = [model_label(name) for name in names]
    if same := [n for n, label in zip(names, labels, strict=True) if labels.count(label) > 1]:
        raise StudyError(f"algorithms {' and '.join(same)} have one name on the page; rename one")
    if len(names) < 2:
        raise StudyError(f"only {names[0]} has results: a comparison needs two algorithms")
    if other := metrics.ERRORS.get(metric):
        raise StudyError(
            f"METRIC={metric} counts errors, of which less is better; compare METRIC={other}"
        )
    if asked.margin >= 1 and metric not in DISTANCES:
        raise StudyError(f"MARGIN={asked.margin:g}: a {metric} lies from 0 to 1, and so must it")
    rows = frame[frame["class"] == class_]
    asked = replace(asked, headline=headline, metric=metric, class_name=class_)
    out = pd.DataFrame(
        {
            "model": rows["algorithm"],
            "patient_id": rows["patient"],
            "image_id": rows["case"],
            "class": class_,
            "metric": metric,
            "value": asked.sign * rows[metric].astype(float),
        }
    )
    if stats.wide(out, "image").empty:
        raise StudyError(f"no case has a {metric} of {class_} for every algorithm")
    test = asked.test or ("patient_t" if stats.default_unit(out) == "patient" else "image_t")
    if test not in TESTS:
        raise StudyError(f"TEST={test!r} is unknown; known: {', '.join(TESTS)}")
    if TESTS[test][1] and stats.default_unit(out) == "image":
        raise StudyError(
            f"TEST={test} counts by patient, and no patient is known; give PATIENTS=, a"
            " CSV with columns case and patient, or TEST=image_t"
        )
    return out.reset_index(drop=True), replace(asked, test=test)


def _first(known: list[str]) -> str:
    return "Dice" if "Dice" in known else known[0]


def tested(each: pd.DataFrame, asked: Asked) -> pd.DataFrame:
    """The declared test, then every other that the unit allows: rows of ``stats.compare``'s form,
    with verdict, why and differ where declared.
    """
    by_patient = stats.default_unit(each) == "patient"
    names = [asked.test, *(n for n, (_, needs) in TESTS.items() if n != asked.test)]
    parts = []
    for name in names:
        function, needs_patients = TESTS[name]
        if needs_patients and not by_patient:
            continue
        role = "declared" if name == asked.test else "sensitivity"
        parts.append(adjust(function(each, asked.headline), asked.multiplicity).assign(role=role))
    if not by_patient:
        for function in (stats.wilcoxon, stats.sign_flip):
            rows = function(each, asked.headline, "image")
            parts.append(adjust(rows, asked.multiplicity).assign(role="sensitivity"))
    out = pd.concat(parts, ignore_index=True)
    out["verdict"] = [verdict(row) for row in out.to_dict("records")]
    out["differ"] = [_differ(row) for row in out.to_dict("records")]
    return out.assign(why=out["note"])


def plan(each: pd.DataFrame, asked: Asked) -> tuple[str, pd.DataFrame]:
    """(answer as Markdown, table) of how many cases the next test set needs."""
    unit = stats.default_unit(each)
    spread = planning.chosen(stats.variation(each, asked.headline))
    if isinstance(spread, NotComputable):
        return str(spread), pd.DataFrame()
    images = planning.images_each(planning.IMAGES, unit, spread)
    differences = APART if asked.metric in DISTANCES else planning.DIFFERENCES
    needed = planning.needed(spread, differences, images, power=planning.POWER)
    of = f"{asked.metric} of {asked.class_name}"
    return planning.answer(needed, spread, asked.headline, of, unit), needed


def _nothing_there(rows: pd.DataFrame) -> str:
    """A sentence on the cases in which there is nothing to find, where counts tell them, or ''."""
    if "reference" not in rows or not (nothing := rows["reference"] == 0).any():
        return ""
    drew = (rows[nothing]["drawn"] > 0).groupby(rows["algorithm"], sort=False).agg(["sum", "size"])
    listed = ", ".join(f"{model_label(str(m))} in {s} of {n}" for m, (s, n) in drew.iterrows())
    return (
        f" Where there is nothing to find, something was drawn by {listed}; a case without a score"
        " of every algorithm counts for none."
    )


def make(frame: pd.DataFrame, asked: Asked, out: Path) -> list[str]:
    """Write comparison.html and its tables to the folder ``out``; returns the lines to print."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudyError(f"{out}: {error.strerror}; name a folder for the page, OUT=") from None
    each, asked = values(frame, asked)
    (out / "equivalence.csv").unlink(missing_ok=True)  # of an earlier run with a margin
    unit, tests = stats.default_unit(each), tested(each, asked)
    table = stats.wide(each, "image")
    declared = tests[tests["role"] == "declared"]
    settings = {"multiplicity": asked.multiplicity}
    said = comparison.answer(declared, settings).replace(comparison.asked(()), "the test")
    ranks, own = challenge.rankings(table), each.assign(value=asked.sign * each["value"])
    means = ranks["scheme"] == "aggregate then rank"
    ranks["score"] = ranks["score"].mask(means, asked.sign * ranks["score"])
    words, needed = plan(each, asked)
    if asked.class_name == ALL:  # a table without classes
        unnamed = f"{asked.metric} of {ALL}"
        said, words = (text.replace(unnamed, asked.metric) for text in (said, words))
    name = model_label(asked.headline)
    about = f"{tables.counted(table.attrs['images'], 'case')} compared"
    if lost := table.attrs["dropped_images"]:
        about += f"; left out, without a score of every algorithm: {lost}"
    about += "."
    rows = frame[frame["class"] == asked.class_name]
    about += _nothing_there(rows)
    there = (rows["reference"] != 0).to_numpy() if "reference" in rows else True
    scoreless = each[each["value"].isna().to_numpy() & there]
    missing = scoreless.groupby("model", sort=False).size()
    if len(missing):
        listed = ", ".join(f"{model_label(str(m))} in {count}" for m, count in missing.items())
        about += (
            f" Without a score: {listed}. If it found nothing there, it looks better than it is:"
            " write 0, or of a distance the largest that there can be."
        )
    if unread := frame.attrs.get("unread"):
        about += f" Columns that were not read: {', '.join(dict.fromkeys(unread))}."
        if unit == "image":
            about += " If one of them says whose a case is, call it patient."
    if asked.sign < 0:
        about += f" Less is better: differences are turned, a positive one favours {name}."
    parts = [
        f"# {name} against {tables.counted(len(declared), 'other')}\n\n{about}"
        f" {stats.caveat(unit) if TESTS[asked.test][1] or unit == 'image' else BY_IMAGE}",
        f"## Is it better?\n\n{said}",
        _html("comparison", declared[["model", "verdict", *comparison.SHOWN[2:]]]),
        f"## Does the answer depend on the test?\n\n{_others(tests)}",
        _html("comparison", tests[["test", "unit", *comparison.SHOWN[1:]]]),
    ]
    if asked.margin:
        try:
            equal = stats.equivalence(each, asked.headline, asked.margin, unit)
            write_csv(equal, out / "equivalence.csv")
            told = comparison.equivalent(equal, asked.margin, asked.metric)
        except NotComputable as why:
            told = f"{why}."
        parts.append(f"## Is it as good?\n\n{told}")
    schemes = "; ".join(f"{name}: {what}" for name, what in challenge.SCHEMES.items())
    parts += [
        f"## Ranked\n\nEvery case counts once, by the definitions of challengeR. {schemes}."
        + (SIGNS if (declared["note"] == CONSTANT).any() else ""),
        _html("ranking", ranks),
        f"## How many are needed\n\n{words}",
    ]
    for name, rows in [
        ("comparison", tests),
        ("ranking", ranks),
        ("planning_needed", needed),
        ("cases", own),
        ("better_p", challenge.better(table).reset_index()),
    ]:
        write_csv(rows, out / f"{name}.csv")
    text = MarkdownIt("commonmark", {"html": False})
    body = "".join(p if p.startswith("<table") else text.render(p) for p in parts)
    with whole(out / "comparison.html") as part:
        part.write_text(
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport"'
            ' content="width=device-width, initial-scale=1"><title>Comparison</title>'
            f"<style>{STYLE}</style></head><body>{body}</body></html>\n",
            encoding="utf-8",
        )
    return [about, said.replace("**", ""), "", f"page and tables: {out / 'comparison.html'}"]


def _others(tests: pd.DataFrame) -> str:
    declared = tests[tests["role"] == "declared"]
    try:
        return comparison.agreement(declared, comparison.others(tests))
    except NotComputable as reason:
        return f"{reason}."


def _html(name: str, frame: pd.DataFrame) -> str:
    """A table for reading; the file ``name``.csv has every digit."""
    shown, _ = tables.readable(frame.reset_index(drop=True), 3, "")
    heads = "".join(f'<th scope="col">{html.escape(str(c))}</th>' for c in shown.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(v))}</td>" for v in row) + "</tr>"
        for row in shown.itertuples(index=False)
    )
    return (
        f"<table><caption>Every digit: {name}.csv</caption><thead><tr>{heads}</tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )
