"""What page 9 reads, as CSV: the printed numbers of a study's paper, and the audit of every paper.

``helpers.papers`` reads these files and never imports the audit.
"""

from pathlib import Path

import pandas as pd

from helpers.files import write_csv
from tools.audit import COLUMNS, audit, find
from tools.audit.comparisons import implied_sd, pairs
from tools.audit.false_claims import CONGRUENCE
from tools.audit.paper import Paper
from tools.audit.words import quantity, structure

PRINTED = [
    "paper",
    "title",
    "same_images",
    "study",
    "table",
    "model",
    "class",
    "metric",
    "stem",
    "set",
    "structure",
    "quantity",
    "printed",
    "shown",
    "value",
    "low",
    "high",
    "sd",
    "n",
    "unit",
    "definition",
    "note",
    "origin",
    "quoted",
]
PAIRS = [
    "paper",
    "reference",
    "model",
    "metric",
    "quantity",
    "printed_t",
    "n",
    "implied_low",
    "implied_high",
    "assumed_congruence",
]
ITEMS = ["paper", "item", "shows", "page"]
AUDIT = ["title", "own", *COLUMNS]


def printed(paper: Paper) -> pd.DataFrame:
    """Every printed number, one row each, in the paper's order -> DataFrame with ``PRINTED``.

    stem, set: the metric and the images that its name says; structure, quantity: class and metric
    in words; printed: the digits; shown: with their SD; value: middle of the rounding interval low
    to high (empty for a limit such as <0.05); sd: of the printed SD; origin: printed, figure or
    derived; quoted: from another paper.
    """
    rows = [
        (
            paper.name,
            paper.title,
            paper.same_images,
            e.study,
            e.table,
            e.model,
            e.structure,
            e.metric,
            e.stem,
            e.set,
            structure(e.structure),
            quantity(e.stem, e.set, e.definition, e.against),
            e.text,
            str(e),
            (e.value.low + e.value.high) / 2 if e.value.bounded else None,
            e.value.low,
            e.value.high,
            (e.sd.low + e.sd.high) / 2 if e.sd else None,
            e.n,
            e.unit,
            e.definition,
            e.note,
            e.published,
            e.quoted,
        )
        for e in paper.everything
    ]
    return pd.DataFrame(rows, columns=PRINTED).astype({"n": "Int64", "value": float, "sd": float})


def compared(paper: Paper) -> pd.DataFrame:
    """Every printed t whose two scores are printed with n -> DataFrame with ``PAIRS``: the SD of
    the image-by-image differences that it implies, and the congruence that the rule of false claims
    assumes where no t is printed.
    """
    assumed = f"{CONGRUENCE.low:g} to {CONGRUENCE.high:g}"
    rows = []
    for pair in pairs(paper):
        n = pair.reference.n
        if n and 0 not in pair.t.value:
            sd = implied_sd(pair.gap, pair.t.value, n)
            models = (pair.reference.model, pair.other.model)
            names = (pair.reference.metric, pair.reference.quantity)
            rows.append((paper.name, *models, *names, pair.t.text, n, sd.low, sd.high, assumed))
    return pd.DataFrame(rows, columns=PAIRS)


def layout(paper: Paper) -> pd.DataFrame:
    """The tables and figures of a paper, and which page and file has ours -> ``ITEMS``."""
    rows = [(paper.name, i["item"], i["shows"], i["page"]) for i in paper.layout]
    return pd.DataFrame(rows, columns=ITEMS)


def audits(papers: list[Paper], own: str) -> pd.DataFrame:
    """The audit of several papers in one table -> ``AUDIT``; own: name of the study's paper."""
    tables = [audit(p).assign(title=p.title, own=p.name == own) for p in papers]
    return pd.concat(tables, ignore_index=True)[AUDIT]


def library(manifests: Path | str) -> list[Paper]:
    """The distinct papers below a folder of manifests, each once, in the order of their studies."""
    found = [find(path) for path in sorted(Path(manifests).glob("*/published.yml"))]
    return list({p.name: p for p in reversed(found) if p}.values())[::-1]


def write(path: Path | str, folder: Path | str) -> Paper | None:
    """Write printed.csv, audit.csv, printed_pairs.csv and printed_items.csv of one study.

    path: of the study's published.yml; the other papers are those beside its folder. A study that
    reproduces no paper gets tables without rows. Returns the Paper or None.
    """
    path, folder = Path(path), Path(folder)
    paper = find(path)
    if paper is None:
        tables = {
            "printed": PRINTED,
            "audit": AUDIT,
            "printed_pairs": PAIRS,
            "printed_items": ITEMS,
        }
        tables = {name: pd.DataFrame(columns=columns) for name, columns in tables.items()}
    else:
        others = [p for p in library(path.parent.parent) if p.name != paper.name]
        tables = {
            "printed": printed(paper),
            "audit": audits([paper, *others], paper.name),
            "printed_pairs": compared(paper),
            "printed_items": layout(paper),
        }
    for name, table in tables.items():
        write_csv(table, folder / f"{name}.csv")
    return paper
