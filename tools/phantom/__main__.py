"""Draw a phantom: `python -m tools.phantom --study phantom --out runs/phantom/data`."""

import argparse
from pathlib import Path

from helpers.errors import StudyError, command
from helpers.studies import ROOT
from tools.phantom.make import make, write_manifest
from tools.phantom.recipes import recipe
from tools.phantom.sheet import contact_sheet


def main(arguments: list[str] | None = None) -> None:
    """Command line; StudyError for what is wrong with the request."""
    parser = argparse.ArgumentParser(prog="python -m tools.phantom", description=__doc__)
    parser.add_argument("--study", required=True, help="phantom, or another study with a generator")
    parser.add_argument("--out", type=Path, help="data folder; files that are there are left alone")
    parser.add_argument(
        "--images-per-patient", type=int, metavar="K", help="only the first K of every patient"
    )
    parser.add_argument(
        "--manifest", action="store_true", help="rewrite the tables in data_manifest instead"
    )
    parser.add_argument(
        "--sheet", type=Path, metavar="FILE", help="write a contact sheet (PNG) instead"
    )
    options = parser.parse_args(arguments)
    folder = ROOT / "data_manifest" / options.study
    recipe(options.study)
    if options.manifest:
        write_manifest(options.study, folder)
    elif options.sheet:
        contact_sheet(options.study, options.sheet)
    elif options.out is None:
        raise StudyError(
            f"--out is missing: say where the images go, such as --out runs/{options.study}/data"
        )
    else:
        drawn = make(options.study, options.out, folder, options.images_per_patient)
        print(
            f"{options.out}: {drawn} images drawn"
            if drawn
            else f"{options.out}: nothing was missing"
        )


if __name__ == "__main__":
    command(main)
