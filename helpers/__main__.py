"""The command line of the study, python -m helpers COMMAND …, as workflow and Makefile call it."""

import sys
from importlib import import_module

from helpers.errors import StudyError, command
from helpers.workflow import warm

#: command → module and function
COMMANDS = {
    "check": ("helpers.workflow.check", "main"),
    "made": ("helpers.workflow.results", "record"),
    "results": ("helpers.workflow.results", "main"),
    "notebook": ("helpers.workflow.notebook", "main"),
    "keep": ("helpers.workflow.keep", "main"),
    "restore": ("helpers.workflow.keep", "restored"),
    "reproduce": ("helpers.workflow.reproduce", "main"),
    "headline": ("helpers.workflow.headline", "main"),
    "columns": ("helpers.schemas", "main"),
    "networks": ("helpers.workflow.networks", "main"),
    "plan": ("helpers.workflow.forecast", "main"),
    "clean": ("helpers.workflow.clean", "main"),
}


def main(arguments: list[str] | None = None) -> None:
    """Run one command; each says with --help what it takes."""
    name, *rest = sys.argv[1:] if arguments is None else arguments or [""]
    if name not in COMMANDS:
        raise StudyError(f"no command {name!r}; there are {', '.join(COMMANDS)}")
    module, function = COMMANDS[name]
    getattr(import_module(module), function)(rest)


if __name__ == "__main__":
    if warm.wanted():
        sys.exit(warm.ask("helpers", sys.argv[1:]))
    command(main)
