"""Command line of ``make manifest`` and ``make mine``."""

import argparse

from helpers import studies
from helpers.errors import command
from tools.intake import first
from tools.intake.make import make


def main(arguments: list[str] | None = None) -> None:
    """A folder of images and masks becomes a study. python -m tools.intake --study NAME --data
    FOLDER [...].
    """
    parser = argparse.ArgumentParser(
        prog="tools.intake",
        description=main.__doc__,
        epilog="a form to copy: tools/intake/form_example.yml",
    )
    parser.add_argument("--study", required=True, help="a new name: letters, digits, _ and -")
    parser.add_argument("--data", required=True, help="the folder that holds images and masks")
    parser.add_argument("--patients", help="the table of patients, CSV or .xlsx")
    parser.add_argument(
        "--form", help="how to read the folder; default data_manifest/NAME/form.yml if it is there"
    )
    parser.add_argument(
        "--redraw", action="store_true", help="draw the splits again, against an earlier manifest"
    )
    parser.add_argument(
        "--first", action="store_true", help="go on to a first study, and say what is to decide"
    )
    args = parser.parse_args(arguments)
    own = studies.ROOT / "data_manifest" / args.study / "form.yml"
    form = args.form or (own if own.is_file() else None)
    page = make(args.study, args.data, form, args.patients, args.redraw)
    print(f"manifest: {studies.ROOT / 'data_manifest' / args.study}", flush=True)
    if args.first:
        report, asked = first.run(args.study, args.data), first.decisions(args.study)
    print(f"look at: {page}")
    if args.first:
        print(f"report: {report}\nThree things only a person can decide:")
        for number, text in enumerate(asked, 1):
            print(f"  {number}. {text}.")


if __name__ == "__main__":
    command(main)
