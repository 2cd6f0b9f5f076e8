"""What a finished study says at the end: where its book is, and the headline numbers with their
intervals.
"""

import argparse
import os
from pathlib import Path

from helpers import files
from helpers.errors import StudyError

ROOT = Path(os.environ.get("STUDY_ROOT") or Path(__file__).resolve().parent.parent.parent)


def lines(study: str, root: Path | None = None) -> list[str]:
    """The lines to print for a study, read from its headline.csv below ``root``."""
    root = ROOT if root is None else root
    book = root / "reports" / study / "book" / "index.html"
    table = root / "runs" / study / "tables" / "headline.csv"
    if not book.is_file() and not table.is_file():
        raise StudyError(f"{table}: no such file; `make study STUDY={study}` writes it")
    found = [
        (
            f"report: {os.path.relpath(book)}"
            if book.is_file()
            else f"no report yet; `make book STUDY={study}`"
        )
    ]
    if not table.is_file():
        return [
            *found,
            f"no headline numbers yet: {table} is written by notebooks/00_summary.ipynb",
        ]
    return found + [f"  {row['what']}: {numbers(row)}" for row in files.read_rows(table)]


def numbers(row: dict[str, str]) -> str:
    """'0.734 (0.701 to 0.760), how' from a row of headline.csv; 'no number' where there is none."""
    if not row["value"]:
        return "no number" + (f", {row['how']}" if row["how"] else "")
    interval = f" ({float(row['low']):.3f} to {float(row['high']):.3f})" if row["low"] else ""
    unit = f" {row['unit']}" if row["unit"] else ""
    return f"{float(row['value']):.3f}{interval}{unit}" + (f", {row['how']}" if row["how"] else "")


def main(arguments: list[str] | None = None) -> None:
    """Print the path of a study's book and its headline numbers."""
    parser = argparse.ArgumentParser(prog="helpers headline", description=main.__doc__)
    parser.add_argument("--study", required=True)
    parser.add_argument(
        "--protocol", default="quick", help="accepted so that every step takes the same two options"
    )
    print("\n".join(lines(parser.parse_args(arguments).study)))
