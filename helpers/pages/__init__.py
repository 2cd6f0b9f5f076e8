"""One module a notebook: its sentences, tables and figures, as functions of frames.

``Page`` binds a notebook to its study once. What cannot be computed is a sentence in the place of
the number (``NotComputable``), by one mechanism for all pages.
"""

import dataclasses
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
from IPython.display import Markdown, display

from helpers import figures, files, metrics, stats, studies
from helpers.errors import NotComputable, StudyError

#: parameter of a page → key of study.yml's statistics
DECLARED = {"class_name": "class"}
#: the unit that a page is asked for → the test that takes it, where none is named
UNIT_TESTS = {"patient": "patient_t", "image": "image_t"}

#: lies in a run that was laid out from kept numbers, without images (tools.book.analysis)
KEPT = "kept.json"
NEEDS_IMAGES = (
    "This part needs the images, and this report was made from kept numbers alone; with the images:"
    " `make study STUDY={study} DATA=folder`"
)

#: option of ``stats.intervals`` → key of study.yml's statistics
RESAMPLING = {"method": "interval", "draws": "draws", "seed": "seed"}


class Page:
    """One page of a study's book.

    study, protocol: names, as papermill hands them over; split: the images that results are of;
    name: of the notebook, '05_comparison'; changed: its other parameters, each empty (or 0) where
    the study's own holds: metric, class_name, test, unit, margin replace what study.yml declares.
    Attributes: study (studies.Study), settings (its statistics), headline (its main network),
    trial: what was changed, {} for the study as declared. A trial writes its tables and figures to
    runs/<study>/tryout/<page>/, so that the study's own stay what they are, and says so.
    """

    def __init__(
        self, study: str, protocol: str, split: str = "test", *, name: str = "", **changed: Any
    ) -> None:
        given = studies.load(study, protocol)
        changed = {DECLARED.get(key, key): value for key, value in changed.items() if value}
        settings, other = _settings(given.statistics, changed)
        self.trial = ({} if split == "test" else {"split": split}) | settings | other
        self.study = dataclasses.replace(given, statistics=given.statistics | settings)
        self.split, self.settings = split, self.study.statistics
        self.headline = self.study.headline
        self._place: Any = given
        self._reasons = set()
        figures.use_style()
        if self.trial:
            self._place = SimpleNamespace(run=given.run / "tryout" / (name or "page"))
            files.write_json(self.trial, self._place.run / "parameters.json")
            display(Markdown(trial_text(given, self.trial, self._place.run)))

    @cached_property
    def arrays(self) -> Any:
        """The cached arrays; a NotComputable where the run was laid out from kept numbers."""
        if (self.study.run / KEPT).is_file():
            return NotComputable(NEEDS_IMAGES.format(study=self.study.name))
        from helpers import datasets  # readers of every image format, which numbers alone need not

        return datasets.load(self.study)

    @cached_property
    def every(self) -> pd.DataFrame:
        """Every row of per_image.csv, checked."""
        return stats.read(self.study)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The rows of this page's split in the main fold."""
        return stats.select(self.every, split=self.split, fold="main")

    @property
    def unit(self) -> str:
        """What results are counted by: 'patient', or 'image' where patients are unknown."""
        return stats.default_unit(self.rows)

    @property
    def resampling(self) -> dict:
        """How intervals are made, as options of ``stats.intervals``: method, draws, seed."""
        return {key: self.settings[name] for key, name in RESAMPLING.items()}

    def caveat(self) -> str:
        """What the unit and the split mean for every number of this page, and the study's note."""
        note = f"\n\n*{self.study.note.strip()}*" if self.study.note else ""
        return stats.caveat(self.unit, self.study.split) + note

    def read(self, *names: str) -> dict[str, pd.DataFrame]:
        """Tables that other pages wrote, name → DataFrame; those that are not there are left out.

        The notebook's metadata must name the pages (``study: reads``), so that they run first.
        """
        found = {name: self.study.run / "tables" / f"{name}.csv" for name in names}
        return {name: files.read_csv(path) for name, path in found.items() if path.is_file()}

    def ask(self, function: Callable, *given: Any, **options: Any) -> Any:
        """``function(*given, **options)``, or the NotComputable that it raised or was given."""
        for value in (*given, *options.values()):
            if isinstance(value, NotComputable):
                return value
        try:
            return function(*given, **options)
        except NotComputable as reason:
            return reason

    def say(self, text: str | Callable | NotComputable, *given: Any, **options: Any) -> None:
        """Show Markdown: a text, or what a function says of results (asked as in ``ask``)."""
        text = self.ask(text, *given, **options) if callable(text) else text
        self._why(text) if isinstance(text, NotComputable) else display(Markdown(text))

    def keep(self, name: str, frame: pd.DataFrame | NotComputable) -> None:
        """Write a table without showing it; nothing where there is none."""
        if not isinstance(frame, NotComputable):
            figures.save_table(frame, self._place, name)

    def table(
        self,
        name: str,
        frame: pd.DataFrame | Callable | NotComputable,
        *given: Any,
        note: str = "",
        digits: int = 3,
        columns: list[str] | None = None,
        only: pd.Series | NotComputable | None = None,
        shown: pd.DataFrame | None = None,
        **options: Any,
    ) -> None:
        """Write and show a table (``figures.save_table``), or say why there is none.

        name: of the CSV; frame: a DataFrame, or a function that gives one of what else is given
        (asked as in ``ask``).
        """
        if callable(frame):
            frame = self.ask(frame, *given, **options)
        elif given or options:
            raise TypeError(f"table {name}: {[*given, *options]} would reach no function")
        if isinstance(frame, NotComputable):
            return self._why(frame)
        only = None if isinstance(only, NotComputable) else only
        display(figures.save_table(frame, self._place, name, note, digits, columns, only, shown))

    def figure(self, name: str, draw: Callable, *given: Any, **options: Any) -> None:
        """Write and show the figure that ``draw(*given, **options)`` makes, or say why not."""
        fig = self.ask(draw, *given, **options)
        if isinstance(fig, NotComputable):
            return self._why(fig)
        display(figures.save(fig, self._place, name))

    def _why(self, reason: NotComputable) -> None:
        """Show the reason, the first time that this page gives it."""
        text = sentence(reason)
        if text and text not in self._reasons:
            self._reasons.add(text)
            display(Markdown(text))


def sentence(reason: Exception) -> str:
    """How a page says why a number is not there."""
    text = str(reason).rstrip(".")
    return f"*{text}.*" if text else ""  # said already


def _settings(declared: dict, changed: dict) -> tuple[dict, dict]:
    """(what replaces study.yml's statistics, other parameters), those as declared left out."""
    changed = dict(changed)
    unit, test = changed.pop("unit", ""), changed.get("test", "")
    if unit and unit not in UNIT_TESTS:
        raise StudyError(f"unit {unit!r} is unknown; it is patient or image, or empty")
    if unit and unit != _unit_of(test or declared["test"]):
        if test:
            raise StudyError(f"test {test!r} counts by {_unit_of(test)}; leave unit={unit!r} out")
        changed["test"] = UNIT_TESTS[unit]
    if better := metrics.ERRORS.get(changed.get("metric", "")):
        raise StudyError(
            f"metric {changed['metric']!r} counts errors, of which less is better, and everything"
            f" here takes more for better; compare {better}"
        )
    if isinstance(margin := changed.get("margin"), int | float) and margin >= 1:
        raise StudyError(f"margin {margin}: scores lie from 0 to 1, and so must it")
    keys = {"metric", "class", "test", "margin"}
    changed = {key: value for key, value in changed.items() if declared.get(key) != value}
    other = {key: value for key, value in changed.items() if key not in keys}
    return {key: value for key, value in changed.items() if key in keys}, other


def _unit_of(test: str) -> str:
    return "image" if test.startswith("image") else "patient"


def trial_text(study: studies.Study, trial: dict, folder: Path) -> str:
    """What a page says above everything else when its parameters are not the study's."""
    said = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in trial.items())
    where = folder.relative_to(studies.ROOT).as_posix()
    return (
        f"**A trial, not the study as declared: {said}.** Its tables and figures lie in"
        f" `{where}/`; those of the study “{study.name}” are untouched."
    )
