"""``python -m tools.audit PAPER.yml [--csv TABLE.csv] [--all]``: the audit of one file of printed
numbers. ``python -m tools.audit data_manifest/STUDY/published.yml --out FOLDER``: the tables that
page 9 of a study reads.
"""

import argparse
import os
import sys
import textwrap

import pandas as pd

from helpers.errors import StudyError, command
from helpers.files import write_csv
from tools.audit import GRADES, HOLDS, audit, tables


def main(arguments: list[str] | None = None) -> None:
    """Print the findings, gravest first; exit status 0 also when there are some, 2 when the file
    cannot be read.
    """
    parser = argparse.ArgumentParser(
        prog="audit", description="Can the printed numbers of a paper be true together?"
    )
    parser.add_argument(
        "paper", metavar="PAPER.yml", help="a file of printed numbers; AUDIT.md describes it"
    )
    parser.add_argument(
        "--csv", metavar="TABLE.csv", help="also write every check, findings or not, as a table"
    )
    parser.add_argument(
        "--out",
        metavar="FOLDER",
        help="write the tables that page 9 reads (of this paper and those beside it), print nothing"
        " of the audit; a study without a paper is no error here",
    )
    parser.add_argument("--all", action="store_true", help="also list the checks that hold")
    options = parser.parse_args(arguments)
    if not options.paper:
        raise StudyError("PAPER is missing: name a file of printed numbers, PAPER=paper.yml")
    if options.out:
        paper = tables.write(options.paper, options.out)
        print(f"{options.out}: {paper.title if paper else 'this study reproduces no paper'}")
        return
    table = audit(options.paper)
    if options.csv:
        write_csv(table, options.csv)
    try:
        print(text(table, everything=options.all), flush=True)
    except BrokenPipeError:  # the reader has seen enough (| head)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def text(table: pd.DataFrame, everything: bool = False) -> str:
    """The audit as text for a terminal: counts first, then each finding with what it rests on."""
    counts = table["grade"].value_counts()
    found = ", ".join(f"{counts.get(g, 0)} {g}" for g in GRADES)
    lines = [
        f"{len(table)} check{'s' * (len(table) != 1)}: {counts.get(HOLDS, 0)} hold; findings:"
        f" {found}"
    ]
    for grade in (*GRADES, *((HOLDS,) if everything else ())):
        rows = table[table["grade"] == grade]
        if len(rows):
            lines += ["", grade.upper()]
        for row in rows.itertuples():
            lines += [
                "",
                *textwrap.wrap(
                    f"{row.sentence} [{row.rule}]", 100, initial_indent="- ", subsequent_indent="  "
                ),
            ]
            details = {
                "where": row.where,
                "printed": row.printed,
                "implied": row.implied,
                "tolerance": row.tolerance,
                "perhaps": row.explanations,
            }
            for name, value in details.items():
                if value:
                    lines += textwrap.wrap(
                        value, 100, initial_indent=f"    {name:<10}", subsequent_indent=" " * 14
                    )
    if counts.get(HOLDS, 0) < len(table):
        lines += [
            "",
            (
                "A contradiction is not an accusation: most have a simple explanation, and the"
                " authors can give it."
            ),
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    command(main)
