"""One module a notebook: its sentences, tables and figures, as functions of frames.

``Page`` binds a notebook to its study once. What cannot be computed is a sentence in the place of
the number (``NotComputable``), by one mechanism for all pages.
"""

from functools import cached_property

from IPython.display import Markdown

from helpers import datasets, figures, stats, studies
from helpers.errors import NotComputable


class Page:
    """One page of a study's book.

    study, protocol: names, as papermill hands them over; split: the images that results are of.
    Attributes: study (studies.Study), settings (its statistics), headline (its main network).
    """

    def __init__(self, study, protocol, split="test"):
        self.study, self.split = studies.load(study, protocol), split
        self.settings, self.headline = self.study.statistics, self.study.headline
        figures.use_style()

    @cached_property
    def arrays(self):
        """The cached images, masks and index (datasets.Arrays)."""
        return datasets.load(self.study)

    @cached_property
    def every(self):
        """Every row of per_image.csv, checked."""
        return stats.read(self.study)

    @cached_property
    def rows(self):
        """The rows of this page's split in the main fold."""
        return stats.select(self.every, split=self.split, fold="main")

    def ask(self, function, *given, **options):
        """``function(*given, **options)``, or the NotComputable that it raised or was given."""
        for value in (*given, *options.values()):
            if isinstance(value, NotComputable):
                return value
        try:
            return function(*given, **options)
        except NotComputable as reason:
            return reason

    def say(self, text, *given, **options):
        """Markdown: a text, or a function of results that gives one (asked as in ``ask``)."""
        text = self.ask(text, *given, **options) if callable(text) else text
        return Markdown(_sentence(text) if isinstance(text, NotComputable) else text)

    def table(self, name, frame, **options):
        """Write and show a table (``figures.save_table``), or say why there is none.

        name: of the CSV; frame: a DataFrame, or the NotComputable in its place.
        """
        if isinstance(frame, NotComputable):
            return Markdown(_sentence(frame))
        return figures.save_table(frame, self.study, name, **options)

    def figure(self, name, draw, *given, **options):
        """Write and show the figure that ``draw(*given, **options)`` makes, or say why not."""
        fig = self.ask(draw, *given, **options)
        if isinstance(fig, NotComputable):
            return Markdown(_sentence(fig))
        return figures.save(fig, self.study, name)


def _sentence(reason):
    text = str(reason).rstrip(".")
    return f"*{text}.*" if text else ""  # said already
