"""A draft of *Methods* and *Results* in which every number leads to its cell:
python -m tools.book.manuscript --study NAME [--protocol NAME] [--check].

The draft is made from the tables of the book beside it. A number is a link, ``[0.761](book/tables/
headline.csv#cell=2,2)``: row 2 (row 1 is the header) and column 2, as RFC 7111 counts them. Words
may be changed at will; ``--check`` and ``make verify`` compute every number again from its cell and
refuse one that no link carries.
"""

import argparse
import math
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from helpers import files, plan, studies
from helpers.errors import StudyError, command, raise_all
from helpers.figures import model_label
from helpers.figures.tables import beside_zero
from helpers.pages import comparison
from helpers.schemas import SPLITS
from tools.book.markup import escaped

NAME = "manuscript.md"
LINK = re.compile(
    r"\[((?:[^\[\]\\]|\\.|\[[^\[\]]*\])*)\]\((book/(?:tables|results)/[^()\s#]+\.csv)"
    r"#cell=(\d+),(\d+)\)"
)
BARE = re.compile(r"(?<![\w-])[−-]?\d[\d.,]*(?!\w)")
SMALL = 0.001  # a P below it is said to be below it


def place(study: studies.Study) -> Path:
    """reports/<study>, where the book is and the draft goes."""
    return studies.ROOT / "reports" / study.name


class Table:
    """A table of the book, whose cells are said as links. Empty where the run has none."""

    def __init__(self, study: studies.Study, name: str) -> None:
        self.name = f"book/tables/{name}.csv"
        path = place(study) / self.name
        self.rows = files.read_rows(path) if path.is_file() and path.stat().st_size > 1 else []

    def say(self, row: int, column: str, form: str | int = "text") -> str:
        """A cell as a link. row: from 0; form: "text", or as :func:`shown` takes it."""
        cell = self.rows[row][column]
        position = f"{row + 2},{list(self.rows[row]).index(column) + 1}"
        text = escaped(cell) if form == "text" else shown(cell, form)
        return f"[{text}]({self.name}#cell={position})"

    def interval(self, row: int, value: str = "value", form: int | str = 3) -> str:
        """Value and interval of a row, the interval where it has one."""

        def end(column: str) -> str:
            if value == "difference" and isinstance(form, int):
                return self.say(row, column, beside_zero(float(self.rows[row][column]), form))
            return self.say(row, column, form)

        said = self.say(row, value, form)
        if self.rows[row]["low"] and self.rows[row]["high"]:
            said += f" ({end('low')} to {end('high')})"
        return said


def shown(cell: str, form: str | int) -> str:
    """A cell of a CSV as the draft prints it.

    form: "n", a count; "p", a P value; decimals (int); or decimals of a percentage, as "1%".
    """
    value = float(cell)
    if form == "n":
        if not value.is_integer():
            raise ValueError(f"{cell} is no count")
        return f"{value:.0f}"
    if form == "p":
        return f"< {SMALL}" if value < SMALL else f"{value:.3f}"
    if isinstance(form, str):
        return f"{100 * value:.{form[:-1]}f} %"
    return f"{value:.{form}f}".replace("-", "−")


def agrees(text: str, cell: str) -> bool:
    """Whether the words of a link are what its cell says: the cell itself, or its number rounded
    to the decimals that the words show.
    """
    if text in (cell, escaped(cell)):
        return True
    number = re.fullmatch(r"(< )?−?\d+(?:\.(\d+))?( %)?", text)
    try:
        if not number or not math.isfinite(float(cell)):
            return False
        if number[1]:
            return float(cell) < SMALL and text == shown(cell, "p")
        decimals = len(number[2] or "")
        if number[3]:
            return text == shown(cell, f"{decimals}%")
        return text == shown(cell, decimals or "n")
    except ValueError:
        return False


def draft(study: studies.Study) -> str:
    """The draft as Markdown (str); a part whose table the run has not is left out."""
    parts = [
        f"# {escaped(study.title)}: Methods and Results",
        "*A draft, made from the tables of the report. Each number leads to its cell (the header is"
        " the first row); `make verify` computes it again.*",
    ]
    if study.synthetic:
        parts.append("**Synthetic images: nothing here is a clinical result.**")
    made = {
        "Methods": (_cohort, _splits, _networks, _tests),
        "Results": (_headline, _comparisons, _failures),
    }
    for heading, sections in made.items():
        parts += [f"## {heading}", *(said for section in sections if (said := section(study)))]
    return "\n\n".join(parts) + "\n"


def _cohort(study: studies.Study) -> str:
    flow = Table(study, "flow")
    lines = []
    for i, row in enumerate(flow.rows):
        counts = [
            f"{flow.say(i, kind, 'n')} {kind.removesuffix('s' * (float(row[kind]) == 1))}"
            for kind in ("patients", "images")
            if row.get(kind)
        ]
        if counts and row["stage"] not in SPLITS:  # they have a part of their own
            reason = f": {flow.say(i, 'reason')}" if row["reason"] else ""
            lines.append(f"- {escaped(row['stage'])}{reason}, {', '.join(counts)}")
    return "### Cohort\n\n" + "\n".join(lines) if lines else ""


def _splits(study: studies.Study) -> str:
    splits = Table(study, "fingerprint_splits")
    lines = [
        f"- {escaped(row['split'])}: "
        + ", ".join(
            f"{splits.say(i, kind, 'n')} {kind}" for kind in ("patients", "images") if row[kind]
        )
        for i, row in enumerate(splits.rows)
    ]
    return "### Splits\n\n" + "\n".join(lines) if lines else ""


def _networks(study: studies.Study) -> str:
    tables = {
        model: Table(study, f"procedure_{model}_{fold}_{seed}")
        for model, fold, seed in reversed(study.trainings())  # of several seeds the first stays
        if fold == "main"
    }
    tables = {model: table for model, table in reversed(tables.items()) if table.rows}
    if not tables:
        return ""
    settings = [{row["setting"]: row["value"] for row in t.rows} for t in tables.values()]
    same = {key for key, value in settings[0].items() if all(s.get(key) == value for s in settings)}
    lines = [f"- **All networks.** {_settings(next(iter(tables.values())), same)}."]
    for model, table in tables.items():
        own = _settings(table, {row["setting"] for row in table.rows} - same)
        lines.append(f"- **{escaped(model_label(model))}.** {own or 'As all'}.")
    return "### Networks and their training\n\n" + "\n".join(lines)


def _settings(table: pd.DataFrame, wanted: set[str]) -> str:
    return "; ".join(
        f"{escaped(row['setting'])} {table.say(i, 'value')}"
        for i, row in enumerate(table.rows)
        if row["value"] and row["setting"] in wanted - {"network"}
    )


def _tests(study: studies.Study) -> str:
    tests, margin = Table(study, "comparison"), Table(study, "equivalence")
    roles = {row["role"]: i for i, row in reversed([*enumerate(tests.rows)])}
    if "declared" not in roles:
        return ""
    i = roles["declared"]
    row = tests.rows[i]
    said = (
        f"### Declared test\n\nThe networks were compared on the {escaped(row['metric'])} of"
        f" {escaped(row['class'])} by {tests.say(i, 'test')} over {tests.say(i, 'n', 'n')}"
        f" {escaped(row['unit'])}s ({tests.say(i, 'n_images', 'n')} images)"
    )
    if "declared interval" in roles:
        said += f", with the interval by {tests.say(roles['declared interval'], 'test')}"
    if row.get("family"):
        said += f"; P adjusted within {tests.say(i, 'family')}"
    if margin.rows and margin.rows[0]["margin"]:
        said += f"; margin of equivalence {margin.say(0, 'margin', 'text')}"
    sealed = plan.state(study)
    before = sealed.sealed and sealed.before
    return f"{said}. " + (
        "The plan was sealed before the first training."
        if before
        else "That this was declared before any result cannot be shown."
    )


def _headline(study: studies.Study) -> str:
    table = Table(study, "headline")
    lines = [
        f"- {table.say(i, 'what')}: {table.interval(i) if row['value'] else 'no number'}"
        f"{' ' + escaped(row['unit']) if row['unit'] else ''}; {table.say(i, 'how')}"
        for i, row in enumerate(table.rows)
        if " minus " not in row["what"]  # a comparison, which has a part of its own
    ]
    return "### Main results\n\n" + "\n".join(lines) if lines else ""


def _comparisons(study: studies.Study) -> str:
    table = Table(study, "comparison_declared")
    name = escaped(model_label(study.headline))
    lines = []
    for i, row in enumerate(table.rows):
        said = f"- {name} is {comparison.SAID[row['verdict']]} {escaped(model_label(row['model']))}"
        if row["difference"]:
            said += f": difference {table.interval(i, 'difference')}"
        if row["p_adjusted"]:
            said += f", adjusted P {table.say(i, 'p_adjusted', 'p')}"
        lines.append(said)
    return "### Comparison with the other networks\n\n" + "\n".join(lines) if lines else ""


def _failures(study: studies.Study) -> str:
    table = Table(study, "failures")
    lines = [
        f"- {escaped(model_label(row['model']))}: {escaped(row['metric'])} of"
        f" {escaped(row['class'])} below {table.say(i, 'threshold')} in"
        f" {table.say(i, 'below', 'n')} of {table.say(i, 'n', 'n')} images,"
        f" {table.interval(i, 'share', '1%')}"
        for i, row in enumerate(table.rows)
    ]
    return "### Failures\n\n" + "\n".join(lines) if lines else ""


def problems(study: studies.Study, text: str) -> Iterator[str]:
    """A line for every number of a draft that its cell does not give, or that has no link."""
    base = place(study)
    tables = {}
    for said, name, row, column in LINK.findall(text):
        path = base / name
        if name not in tables:
            inside = path.resolve().is_relative_to(base.resolve()) and path.is_file()
            tables[name] = files.read_rows(path) if inside else []
        rows = tables[name]
        where = f"{name}, row {row}, column {column}"
        if not 2 <= int(row) <= len(rows) + 1 or not 1 <= int(column) <= len(rows[0]):
            yield f"{said!r}: there is no {where}"
        elif not agrees(said, cell := list(rows[int(row) - 2].values())[int(column) - 1]):
            yield f"{said!r} is not what {where} gives: {cell!r}"
    rest = LINK.sub("", text)
    labels = [model_label(model["name"]) for model in study.models]
    for words in [study.title, *labels]:
        rest = rest.replace(escaped(words), "")
    for line in rest.splitlines():
        yield from (f"{n!r} leads to no cell: {line.strip()[:80]}" for n in BARE.findall(line))


def checked(study: studies.Study) -> Iterator[str]:
    """Differences between the numbers of the draft that stands beside the book and their cells;
    none where there is no draft.
    """
    path = place(study) / NAME
    if path.is_file():
        for line in problems(study, path.read_text(encoding="utf-8")):
            yield f"{path}: {line}"


def write(study: studies.Study) -> Path:
    """Write the draft beside the book; returns its path. Words that somebody changed stay: a draft
    that is there and differs is a StudyError.
    """
    path = place(study) / NAME
    if not (place(study) / "book" / "tables").is_dir():
        raise StudyError(f"{place(study) / 'book'}: no book with tables; run `make book` first")
    text = draft(study)
    raise_all(problems(study, text), "the draft's own numbers")
    if path.is_file() and path.read_text(encoding="utf-8") != text:
        raise StudyError(
            f"{path}: is there already with other words; rename it to have a new one made"
        )
    with files.whole(path) as part:
        part.write_text(text, encoding="utf-8")
    return path


def to_docx(path: Path | str) -> Path | None:
    """The draft as .docx by pandoc (Path), or None where pandoc is not installed."""
    if not (program := shutil.which("pandoc")):
        return None
    out = Path(path).with_suffix(".docx")
    done = subprocess.run(
        [program, "--from=commonmark", str(path), "-o", str(out)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise StudyError(f"pandoc did not make {out}: {done.stderr.strip()[-300:]}")
    return out


def main(arguments: list[str] | None = None) -> None:
    """Draft Methods and Results from the tables of a book, or check the numbers of the draft."""
    parser = argparse.ArgumentParser(prog="tools.book.manuscript", description=main.__doc__)
    parser.add_argument("--study", required=True)
    parser.add_argument("--protocol", default="quick")
    parser.add_argument("--check", action="store_true", help="compute its numbers again")
    args = parser.parse_args(arguments)
    study = studies.load(args.study, args.protocol)
    if not args.check:
        path = write(study)
        print(path)
        print(to_docx(path) or "no .docx: pandoc is not installed")
        return
    path = place(study) / NAME
    if not path.is_file():
        raise StudyError(f"{path}: no such file; run `make manuscript` first")
    raise_all(checked(study), f"{path} does not say what its tables give")
    count = len(LINK.findall(path.read_text(encoding="utf-8")))
    print(f"{path}: each of {count} links says what its cell gives")


if __name__ == "__main__":
    command(main)
