"""The printed numbers of one paper, as the rules see them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

from helpers.errors import StudyError
from tools.audit import words
from tools.audit.interval import SLACK, Interval

SETS = re.compile(r"_(train|training|dev|val|validation|test\d*)$")
SAME_SET = {"training": "train", "dev": "val", "validation": "val"}
#: one metric under its several names
ALIASES = {
    "recall": ("recall", "TPR", "sensitivity"),
    "precision": ("precision", "PPV"),
    "TNR": ("TNR", "specificity"),
    "IoU": ("IoU", "Jaccard"),
    "Dice": ("Dice", "DSC", "F1"),
    "FPR": ("FPR",),
    "FNR": ("FNR",),
}
#: metrics that are a share of something, by any of their names
SHARES = {name for names in ALIASES.values() for name in names} | {"accuracy", "mIoU", "AUC"}


@dataclass(frozen=True)
class Entry:
    """One printed number. value, sd: rounding intervals; n: what was averaged or counted over;
    text: as printed; sharper: where the same number stands with more digits, if they are used.
    """

    study: str
    table: str
    model: str
    structure: str  # the file's ``class``: a tissue, a cohort, a comparison
    metric: str
    text: str
    value: Interval
    sd: Interval | None
    sd_text: str
    n: int | None
    unit: str
    definition: str
    note: str
    published: str  # "printed", "figure" or "derived"
    sharper: str = ""
    against: str = ""  # the network that a t or P compares with, as the paper writes it

    @property
    def stem(self) -> str:
        """The metric without the name of the set: IoU_mean_test1 -> IoU_mean."""
        return SETS.sub("", self.metric)

    @property
    def fraction(self) -> Interval:
        """The value as a share of one: of 84.10 percent 0.8405 to 0.8415."""
        low, high = self.value.low, self.value.high
        return Interval(low / 100, high / 100) if self.unit == "percent" else self.value

    @property
    def whole(self) -> Interval:
        """The value as a count: what is printed without a point was counted, not rounded."""
        digits = self.text.strip().removeprefix("+")
        return Interval(*2 * (float(digits),)) if digits.isdecimal() else self.value

    @property
    def set(self) -> str:
        """train, val, test, test1, …; empty when the metric names none."""
        found = SETS.search(self.metric)
        return SAME_SET.get(found[1], found[1]) if found else ""

    @property
    def quantity(self) -> str:
        """The metric in words, with its set."""
        return words.quantity(self.stem, self.set, against=self.against)

    @property
    def who(self) -> str:
        """The structure, or else the network, in words."""
        return words.structure(self.structure) or self.model

    @property
    def quoted(self) -> bool:
        """Whether the paper quotes this number from another one."""
        return "quoted" in self.table.lower()

    @property
    def place(self) -> str:
        """Where it stands, in words."""
        parts = (self.table, self.model, words.structure(self.structure), self.quantity)
        return ", ".join(x for x in parts if x)

    def __str__(self) -> str:
        return f"{self.text} ± {self.sd_text}" if self.sd else self.text


@dataclass(frozen=True)
class Paper:
    """The printed numbers of one paper, and what its text claims about them."""

    path: Path
    name: str
    title: str
    everything: tuple[Entry, ...]
    claims: tuple[dict, ...] = ()
    checks: tuple[dict, ...] = ()
    layout: tuple[dict, ...] = ()  # its tables and figures, and the page that has ours
    oracle: dict | None = None
    same_images: bool = False  # the study has the very images that the paper measured
    entries: tuple[Entry, ...] = field(init=False)  # what the automatic rules look at

    def __post_init__(self) -> None:
        own = tuple(e for e in self.everything if e.published == "printed" and not e.quoted)
        object.__setattr__(self, "entries", own)

    @property
    def bounded(self) -> tuple[Entry, ...]:
        """The entries without those that are printed as a limit, such as '<5'."""
        return tuple(e for e in self.entries if e.value.bounded)

    def counts(self, entries: Sequence[Entry], where: str) -> list[float]:
        """What a declared check's entries count; StudyError where one is a limit."""
        if limit := next((e for e in entries if not e.value.bounded), None):
            raise StudyError(
                f"{where}: {limit.place} is printed as {limit.text}, a limit; leave this check out"
            )
        return [(e.whole.low + e.whole.high) / 2 for e in entries]

    def select(self, selector: dict[str, str], where: str) -> Entry:
        """The one entry that a selector such as {metric: IoU, class: bone} means; StudyError
        for none or several.
        """
        named = {"structure" if k == "class" else k: v for k, v in selector.items()}
        found = [
            e
            for e in self.everything
            if all(getattr(e, k) == str(v or "") for k, v in named.items())
        ]
        values = {(e.text, e.sd_text, e.metric) for e in found}
        if len(values) == 1:
            return found[0]
        what = "no entry" if not found else f"{len(found)} different entries"
        raise StudyError(
            f"{where}: {what} with {selector}; add or correct table, model, class or metric"
        )

    def declared(self, rule: str) -> list[tuple[str, dict]]:
        """The checks of one rule, each with its place in the file."""
        return [
            (f"checks[{i}] ({rule})", c) for i, c in enumerate(self.checks) if c["rule"] == rule
        ]

    def prints(self) -> list[list[Entry]]:
        """The numbers that are printed more than once, a list of Entries each.

        Those that a check ``same`` declares, and those of one metric, network, structure and n.
        """
        groups = [
            [self.select(s, where) for s in c["entries"]] for where, c in self.declared("same")
        ]
        alike = {}
        for e in self.entries:
            name = next((m for m, names in ALIASES.items() if e.stem in names), e.stem)
            if e.n:
                alike.setdefault((e.model, e.structure, name, e.set, e.n, e.unit), []).append(e)
        return [g for g in (*groups, *alike.values()) if len(g) > 1]

    def sharpened(self) -> "Paper | None":
        """The paper with each number as sharp as its sharpest print, or None where all are.

        Prints that contradict each other are left alone (the rule ``repeats`` reports them).
        """
        sharp = {}
        for group in self.prints():
            if all(a.value.meets(b.value) for a, b in combinations(group, 2)):
                for e in group:
                    sharp[e] = _sharper(sharp.get(e, e), group)
        sharp = {e: new for e, new in sharp.items() if new is not e}
        everything = tuple(sharp.get(e, e) for e in self.everything)
        return replace(self, everything=everything) if sharp else None


def _sharper(entry: Entry, group: list[Entry]) -> Entry:
    """The entry with the digits of its sharpest print; itself where it is the sharpest."""
    for other in group:
        if _width(other.value) < _width(entry.value) - SLACK:
            entry = replace(entry, value=other.value, text=other.text, sharper=other.table)
        if entry.sd and other.sd and _width(other.sd) < _width(entry.sd) - SLACK:
            entry = replace(entry, sd=other.sd, sd_text=other.sd_text, sharper=other.table)
    return entry


def plain(name: str) -> str:
    """A network's name as metrics carry it: 'Q-VUM' → 'qvum', 'U-Net++' → 'unet++'."""
    return "".join(c for c in name.lower() if c.isalnum() or c == "+")


def _width(interval: Interval) -> float:
    return interval.high - interval.low
