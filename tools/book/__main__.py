"""Make the book of a study: python -m tools.book --study NAME [--protocol NAME] [--pdf]."""

import argparse

from helpers import studies
from helpers.errors import command
from tools.book.build import build


def main(arguments: list[str] | None = None) -> None:
    """Make the book of a study from its executed notebooks and print its path."""
    parser = argparse.ArgumentParser(prog="tools.book", description=main.__doc__)
    parser.add_argument("--study", required=True)
    parser.add_argument("--protocol", default="quick")
    parser.add_argument(
        "--pdf", action="store_true", help="the whole book as one PDF too; needs Chromium"
    )
    args = parser.parse_args(arguments)
    print(build(studies.load(args.study, args.protocol), args.pdf))


if __name__ == "__main__":
    command(main)
