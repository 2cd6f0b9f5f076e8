"""Check and cache the images of a study, before anything trains."""

from helpers import cache
from helpers.models import catalogue
from helpers.workflow import asked


def main(arguments: list[str] | None = None) -> None:
    """Check every image of a study, and cache it."""
    study, args = asked.line("check", main.__doc__, arguments, "--data")
    for model in study.models:
        catalogue.entry(model["name"])  # which says what networks there are
    cache.build(study, args.data)
