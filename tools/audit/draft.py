"""``python -m tools.audit.draft TABLE.md [TABLE.csv …] > my_numbers.yml``: a first draft of a file
of printed numbers from tables copied out of a paper, to be read against the paper by a person.

Markdown pipe tables (the line above one is its name), tables of an HTML page (by their caption) and
CSV files. The first column names
networks or, in a table of patients, quantities; digits stay as printed. What could not be placed
stands as a comment at the end of the draft.
"""

import argparse
import csv
import re
from dataclasses import dataclass, field
from pathlib import Path

from bs4 import BeautifulSoup, Tag

from helpers.errors import StudyError, command

#: how papers write a metric (small letters, nothing but letters and digits) → its name in the file
METRICS = {
    "dice": "Dice",
    "dsc": "Dice",
    "dicescore": "Dice",
    "dicecoefficient": "Dice",
    "dicecoef": "Dice",
    "f1": "Dice",
    "f1score": "Dice",
    "mdice": "Dice_mean",
    "meandice": "Dice_mean",
    "iou": "IoU",
    "jaccard": "IoU",
    "jaccardindex": "IoU",
    "jac": "IoU",
    "miou": "mIoU",
    "meaniou": "mIoU",
    "mpa": "mPA",
    "recall": "recall",
    "rec": "recall",
    "sensitivity": "recall",
    "sen": "recall",
    "se": "recall",
    "tpr": "TPR",
    "precision": "precision",
    "pre": "precision",
    "ppv": "precision",
    "specificity": "TNR",
    "spec": "TNR",
    "spe": "TNR",
    "sp": "TNR",
    "tnr": "TNR",
    "fpr": "FPR",
    "fnr": "FNR",
    "accuracy": "accuracy_pixel",
    "acc": "accuracy_pixel",
    "pixelaccuracy": "accuracy_pixel",
}
COHORT = re.compile(
    r"^(total|all|overall|entire|whole|training|validation|test|testing|internal|external)\b",
    re.IGNORECASE,
)
P_VALUE = re.compile(r"p[ -]?(values?)?[ *]*", re.IGNORECASE)  # of what, a heading does not say
COUNT = re.compile(r"\(?\s*n\s*=\s*(\d+)\s*\)?", re.IGNORECASE)
UNIT = re.compile(r"(?:,\s*|\(\s*)(years?|y|cm|kg|mm|s|ms|%)\s*\)?\s*$", re.IGNORECASE)
NUMBER = r"[<>≤≥]?\s*[+−-]?\d*\.?\d+"
CELL = re.compile(
    rf"^({NUMBER})\s*(?:(?:±|\+/-|\+-)\s*(\d*\.?\d+)|\(\s*(\d*\.?\d+)\s*(%?)\s*\))?\s*[*†‡§]*\s*(%?)$"
)


@dataclass
class Draft:
    """What a table gave: entries (dicts of fields as text) and lines on what it did not."""

    entries: list = field(default_factory=list)
    missing: list = field(default_factory=list)


def tables(path: Path | str) -> list[tuple[str, list[list[str]]]]:
    """The tables of a Markdown, HTML or CSV file: (name, rows of cells) each."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: cannot be read as text: {error}") from None
    if path.suffix.lower() == ".csv":
        try:
            read = [row for row in csv.reader(text.splitlines()) if any(row)]
        except csv.Error as error:
            raise StudyError(f"{path}: is no table: {error}") from None
        return [(path.stem, [[cell.strip() for cell in row] for row in read])]
    if path.suffix.lower() in (".html", ".htm", ".xhtml"):
        return _of_page(text, path.stem)
    found, name, rows = [], path.stem, []
    for line in [*text.splitlines(), ""]:
        if line.lstrip().startswith("|"):
            cells = [
                c.replace("\\|", "|").strip(" *") for c in re.split(r"(?<!\\)\|", line.strip())
            ]
            rows.append(cells[1:-1] if line.rstrip().endswith("|") else cells[1:])
            continue
        if rows:
            rule = re.compile(r":?-+:?")
            kept = [row for row in rows if not all(rule.fullmatch(c) for c in row)]
            found.append((name, kept))
            rows = []
        name = line.strip(" #*:") or name
    return found


def _of_page(text: str, stem: str) -> list[tuple[str, list[list[str]]]]:
    """The tables of an HTML page; a cell over several columns stands in each of them."""
    found = []
    for table in BeautifulSoup(text, "html.parser").find_all("table"):
        rows = []
        for line in table.find_all("tr"):
            cells = [(c.get_text(" ", strip=True), c) for c in line.find_all(["th", "td"])]
            row = [text for text, c in cells for _ in range(_columns(c))]
            rows += [row] if any(row) else []
        name = table.caption.get_text(" ", strip=True) if table.caption else ""
        found.append((name or stem, rows))
    return found


def _columns(cell: Tag) -> int:
    span = str(cell.get("colspan", "1"))[:3]
    return min(max(int(span), 1), 100) if span.isdecimal() else 1


def draft(name: str, rows: list[list[str]]) -> Draft:
    """The Draft of one table: a header row, and rows whose first cell names them."""
    result = Draft()
    if len(rows) < 2:
        result.missing.append(f"{name}: no row below the header")
        return result
    header = rows[0]
    people = sum(bool(COHORT.match(c)) for c in header[1:]) > 1
    for row in rows[1:]:
        if len(row) != len(header):
            cells = f"{len(row)} cells under {len(header)} headings"
            result.missing.append(f"{name}, {row[0] or 'a row'}: {cells}")
            continue
        for head, cell in zip(header[1:], row[1:], strict=True):
            if cell.strip(" –-—"):
                _cell(result, name, *((row[0], head) if people else (head, row[0])), cell, people)
    return result


def _cell(result: Draft, table: str, what: str, who: str, cell: str, people: bool) -> None:
    """One cell: what is measured, on whom; a table of people names cohorts, any other networks."""
    found = CELL.match(cell)
    metric, unit = _metric(what)
    if not found or not metric or P_VALUE.fullmatch(who):
        result.missing.append(f"{table}, {who}, {what}: {cell}")
        return
    n = COUNT.search(f"{what} {who}")
    who = COUNT.sub("", who).strip(" ,")
    value, sd, share = found[1].replace(" ", ""), found[2], found[3]
    if found[5]:
        unit = "percent"
    entry = {"table": table, ("class" if people else "model"): who.lower() if people else who}
    if share and people and value.isdecimal():  # 38 (55.9): a number of people and their percentage
        entry |= {"n": n[1]} if n else {}
        result.entries.append({**entry, "metric": metric, "value": value, "unit": "patients"})
        result.entries.append({**entry, **_share(metric, share, found[4], int(value), n)})
        return
    if share:
        sd = None
        result.missing.append(f"{table}, {who}, {what}: the ({share}) of {cell}; is it an SD?")
    entry |= {"metric": metric, "value": value}
    entry |= {"sd": sd} if sd else {}
    entry |= {"n": n[1]} if n and not metric.endswith("_p") else {}
    result.entries.append(entry | {"unit": _unit(metric, value, unit)})


def _share(metric: str, printed: str, sign: str, count: int, n: re.Match | None) -> dict[str, str]:
    """The number in brackets behind a count: a percentage, or a share of one where that is what the
    count gives.
    """
    whole = int(n[1]) if n else 0
    apart = [abs(float(printed) - scale * count / whole) for scale in (1, 100)] if whole else [1, 0]
    if not sign and float(printed) <= 1 and apart[0] < apart[1]:
        kind = {"unit": "fraction", "definition": f"share of patients, {count} of {whole}"}
        return {"metric": f"{metric}_share", "value": printed, **kind}
    return {"metric": f"{metric}_percent", "value": printed, "unit": "percent"}


def _metric(text: str) -> tuple[str, str]:
    """(name of a metric, unit that its heading states); nothing for an empty heading."""
    text = COUNT.sub("", text).strip()
    unit = UNIT.search(text)
    stated = (
        {"%": "percent", "year": "years", "y": "years"}.get(unit[1].lower(), unit[1].lower())
        if unit
        else ""
    )
    plain = re.sub(r"[^a-z0-9]", "", (text[: unit.start()] if unit else text).lower())
    if P_VALUE.fullmatch(text):
        return "", ""
    known = METRICS.get(plain)
    words = re.sub(r"\W+", "_", text[: unit.start()] if unit else text).strip("_")
    return known or words, stated


def _unit(metric: str, value: str, stated: str) -> str:
    if stated:
        return stated
    number = float(re.sub(r"[<>≤≥]", "", value).replace("−", "-"))
    return ("fraction" if 0 <= number <= 1 else "percent") if metric in METRICS.values() else ""


def text(paper: str, drafts: list[Draft]) -> str:
    """The drafts as the text of a file of printed numbers."""
    lines = [
        "# A draft: read every number against the paper before it is believed. Format:"
        " tools/audit/AUDIT.md",
        f"paper: {paper}",
        "entries:",
    ]
    for d in drafts:
        for entry in d.entries:
            fields = ", ".join(
                f"{key}: {_quoted(key, value)}" for key, value in entry.items() if value
            )
            lines.append(f"  - {{{fields}}}")
    missing = [line for d in drafts for line in d.missing]
    if missing:
        lines += [
            "# Not placed, to be typed in by hand or left out:",
            *(f"# - {m}" for m in missing),
        ]
    return "\n".join(lines) + "\n"


def _quoted(key: str, value: str) -> str:
    """A value as YAML: numbers keep their digits, text is quoted where it must be."""
    value = value.replace("−", "-")
    if key in ("value", "sd", "n") and not re.search(r"[<>≤≥]", value):
        return value.removeprefix("+")
    return value if re.fullmatch(r"[A-Za-z][\w ]*", value) else '"' + value.replace('"', "'") + '"'


def main(arguments: list[str] | None = None) -> None:
    """Print the draft of one or more files of tables."""
    parser = argparse.ArgumentParser(prog="audit.draft", description=main.__doc__)
    parser.add_argument("files", nargs="+", metavar="TABLE.md")
    parser.add_argument("--paper", default="paper", help="a short key of the paper")
    options = parser.parse_args(arguments)
    drafts = [draft(name, rows) for path in options.files for name, rows in tables(path)]
    if not any(d.entries for d in drafts):
        raise StudyError(f"{', '.join(options.files)}: no table with printed numbers found")
    print(text(options.paper, drafts), end="")


if __name__ == "__main__":
    command(main)
