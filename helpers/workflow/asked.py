"""The command lines of this room: each names a study and its protocol."""

import argparse

from helpers import studies


def line(
    command: str, about: str | None, arguments: list[str] | None, *more: str
) -> tuple[studies.Study, argparse.Namespace]:
    """(the study, the whole line). more: further things that the command must be given."""
    parser = argparse.ArgumentParser(prog=f"helpers {command}", description=about)
    parser.add_argument("--study", required=True)
    parser.add_argument("--protocol", default="quick")
    for name in more:
        parser.add_argument(name) if name[0] != "-" else parser.add_argument(name, required=True)
    args = parser.parse_args(arguments)
    return studies.load(args.study, args.protocol), args
