"""Results joined: the counts of all trainings as per_image.csv, and the record of drawn images."""

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from helpers import files, runs, studies
from helpers.errors import StudyError
from helpers.workflow import asked


def made(record: Path, *places: Path | str) -> None:
    """Write the record of a step: the files ``places``, and every file below those that are
    folders.
    """
    found = []
    for place in map(Path, places):
        below = sorted(place.rglob("*")) if place.is_dir() else [place]
        inside = [os.path.relpath(p, studies.ROOT) for p in below if p.is_file()]
        if not inside:
            raise StudyError(f"{place}: no file was made")
        found += inside
    files.write_record({}, found, record, studies.ROOT)


def collect(paths: Iterable[Path | str], output: Path) -> pd.DataFrame:
    """Join the counts of all trainings into per_image.csv; returns the DataFrame."""
    tables = [runs.counts(p) for p in paths]
    if not tables:
        raise StudyError("no training has finished, so there are no results; run `make study`")
    table = pd.concat(tables, ignore_index=True)
    files.write_csv(table, output)
    print(f"{len(table)} rows: {table.model.nunique()} networks, {table.image_id.nunique()} images")
    return table


def main(arguments: list[str] | None = None) -> None:
    """Join the counts of all trainings of a study."""
    study, _ = asked.line("results", main.__doc__, arguments)
    output = study.run / "results" / "per_image.csv"
    collect([runs.folder(study, *t) / "counts.csv" for t in study.trainings()], output)
    made(study.run / "results.json", output)


def record(arguments: list[str] | None = None) -> None:
    """Write the record of a step: RECORD FILE-OR-FOLDER…"""
    parser = argparse.ArgumentParser(prog="helpers made", description=record.__doc__)
    parser.add_argument("record")
    parser.add_argument("places", nargs="+")
    args = parser.parse_args(arguments)
    made(args.record, *args.places)
