"""Results joined: the counts of all trainings as per_image.csv, and the record of drawn images."""

import argparse
import os
from pathlib import Path

import pandas as pd

from helpers import files, runs, studies
from helpers.errors import StudyError


def made(record, base):
    """Write the record of a step: every file below ``base`` (a folder), relative to the study's
    root.
    """
    found = sorted(os.path.relpath(p, studies.ROOT) for p in Path(base).rglob("*") if p.is_file())
    if not found:
        raise StudyError(f"{base}: no file was made")
    files.write_record({}, found, record, studies.ROOT)


def collect(paths, output):
    """Join the counts of all trainings into per_image.csv; returns the DataFrame."""
    tables = [runs.counts(p) for p in paths]
    if not tables:
        raise StudyError("no training has finished, so there are no results; run `make study`")
    table = pd.concat(tables, ignore_index=True)
    files.write_csv(table, output)
    record = Path(output).with_suffix(".json")
    files.write_record({}, [os.path.relpath(output, studies.ROOT)], record, studies.ROOT)
    print(f"{len(table)} rows: {table.model.nunique()} networks, {table.image_id.nunique()} images")
    return table


def main(arguments=None):
    """Join the counts of trainings: OUTPUT COUNTS…"""
    parser = argparse.ArgumentParser(prog="helpers results", description=main.__doc__)
    parser.add_argument("output")
    parser.add_argument("inputs", nargs="+")
    args = parser.parse_args(arguments)
    collect([p for p in args.inputs if p.endswith("counts.csv")], args.output)


def record(arguments=None):
    """Write the record of a step: RECORD FOLDER."""
    parser = argparse.ArgumentParser(prog="helpers made", description=record.__doc__)
    parser.add_argument("record")
    parser.add_argument("folder")
    args = parser.parse_args(arguments)
    made(args.record, args.folder)
