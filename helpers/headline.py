"""What a finished study says at the end, its headline numbers; and which of its numbers are kept in the repository."""

import argparse
import csv
import json
import os
import shutil
import sys
from pathlib import Path

ROOT = Path(os.environ.get("STUDY_ROOT") or Path(__file__).resolve().parent.parent)
#: what ``--keep`` copies, where a study has it
KEPT = ("tables/headline.csv", "tables/comparison.csv", "tables/structures.csv", "tables/huang.csv", "tables/gates.csv",
        "tables/folds.csv", "tables/folds_quartiles.csv", "tables/external.csv", "results/per_image.csv")  # fmt: skip


def lines(study):
    """The lines to print for a study (list of str), read from runs/<study>/tables/headline.csv."""
    book = ROOT / "reports" / study / "book" / "index.html"
    table = ROOT / "runs" / study / "tables" / "headline.csv"
    found = [f"report: {os.path.relpath(book)}" if book.is_file() else f"no report yet; `make book STUDY={study}`"]
    if not table.is_file():
        return [*found, f"no headline numbers yet: {table} is written by notebooks/00_summary.ipynb"]
    with open(table, newline="", encoding="utf-8") as file:
        return found + [f"  {row['what']}: {numbers(row)}" for row in csv.DictReader(file)]


def numbers(row):
    """'0.734 (0.701 to 0.760), how' from a row of headline.csv; the value alone where there is no interval."""

    interval = f" ({float(row['low']):.3f} to {float(row['high']):.3f})" if row["low"] else ""
    unit = f" {row['unit']}" if row["unit"] else ""
    return f"{float(row['value']):.3f}{interval}{unit}" + (f", {row['how']}" if row["how"] else "")


def keep(study):
    """Copy the telling tables of a long run to reports/<study>/results, with the record of each main training.

    Numbers only, no images and no weights. Returns the files (list of paths); SystemExit when the run is not finished.
    """
    run, folder = ROOT / "runs" / study, ROOT / "reports" / study / "results"
    records = sorted(run.glob("train/*/main_*/weights.json"))
    found = [path for name in KEPT if (path := run / name).is_file()]
    if not records or run / KEPT[0] not in found:
        sys.exit(f"error: {run}: no finished study to keep numbers of; run `make study STUDY={study}` first")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    kept = [Path(shutil.copy(path, folder)) for path in found]
    kept.append(folder / "provenance.json")
    about = {path.parent.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in records}
    kept[-1].write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return kept


def main(arguments=None):
    """Print the path of a study's book and its headline numbers."""
    parser = argparse.ArgumentParser(prog="helpers.headline", description=main.__doc__)
    parser.add_argument("--study", required=True)
    parser.add_argument("--protocol", default="quick", help="accepted so that every step takes the same two options")
    parser.add_argument("--keep", action="store_true", help="copy the telling tables to reports/<study>/results")
    args = parser.parse_args(arguments)
    print("\n".join([str(p) for p in keep(args.study)] if args.keep else lines(args.study)))


if __name__ == "__main__":
    sys.exit(main())
