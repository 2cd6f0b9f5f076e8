"""``python -m tools.compare TABLE… [--headline NAME] [--metric Dice] [--class_name NAME]
[--test patient_t] [--margin 0.02] [--patients CSV] [--out FOLDER]``.
"""

import argparse
from pathlib import Path

from helpers.errors import StudyError, command
from tools.compare import read, report


def main(arguments: list[str] | None = None) -> None:
    """Compare algorithms by their results of single cases, and say what was found."""
    parser = argparse.ArgumentParser(prog="tools.compare", description=main.__doc__)
    parser.add_argument("tables", nargs="+", metavar="TABLE", help="CSV, summary.json; name=file")
    parser.add_argument("--patients", help="CSV with columns case and patient")
    parser.add_argument(
        "--headline", default="", help="held against the others; first of the table"
    )
    parser.add_argument("--metric", default="", help="Dice, IoU, HD95 …; Dice where there is one")
    parser.add_argument("--class_name", default="", help="a class of the table")
    parser.add_argument("--test", default="", help="patient_t, patient_wilcoxon, image_t …")
    parser.add_argument(
        "--margin", type=float, default=0.0, help="too small a difference to matter"
    )
    parser.add_argument("--out", default="runs/compared", help="folder of the page and its tables")
    args = parser.parse_args(arguments)
    asked = report.Asked(args.headline, args.metric, args.class_name, args.test, args.margin)
    # make hands on one text, in which a blank parts two files unless it is a file as it stands
    paths = [
        path
        for text in args.tables
        for path in (
            [text]
            if Path(text).exists() or Path(text.partition("=")[2]).is_file()
            else text.split()
        )
    ]
    given = [p if Path(p).is_file() else p.partition("=")[2] for p in (*paths, args.patients or "")]
    if lies := [p for p in given if p and Path(p).resolve().parent == Path(args.out).resolve()]:
        raise StudyError(
            f"{lies[0]}: lies in the folder that is written to; name another one, --out"
        )
    frame = read.tables(paths, args.patients)
    print("\n".join(report.make(frame, asked, Path(args.out))))


if __name__ == "__main__":
    command(main)
