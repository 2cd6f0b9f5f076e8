"""What a rule reports: one row of the audit."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

from helpers.papers.grades import DEFINITION, GRADES, HOLDS, IMPOSSIBLE, QUESTION
from tools.audit.interval import Interval
from tools.audit.paper import Entry


@dataclass(frozen=True)
class Finding:
    """One check of one or more printed numbers.

    grade: "holds" or one of GRADES. where, printed: the numbers checked. implied: what the others
    imply. tolerance: the room that rounding (or a stated threshold) leaves. sentence: for a
    clinician. explanations: innocent reasons that would explain it, likeliest first. metric: the
    name of the number under test; quantity: the same in words. printed_low … possible_high: the
    printed number and what the others allow it to be, where both are one interval.
    """

    rule: str
    grade: str
    where: str
    printed: str
    implied: str
    tolerance: str
    sentence: str
    explanations: tuple[str, ...] = ()
    metric: str = ""
    quantity: str = ""
    printed_low: float = nan
    printed_high: float = nan
    possible_low: float = nan
    possible_high: float = nan


ROUNDING = "rounding of every printed digit"
#: after the place of a number whose digits were taken from another of its prints
SHARPER = " (with the digits of {})"


def report(
    rule: str,
    grade: str,
    entries: list[Entry],
    implied: str,
    sentence: str,
    explanations: Sequence[str] = (),
    tolerance: str = ROUNDING,
    value: Interval | None = None,
    possible: Interval | None = None,
) -> Finding:
    """A Finding about entries; explanations are kept only where there is something to explain.

    value, possible: Intervals of the number under test and of what the others allow, for the
    figures.
    """
    where = "; ".join(
        dict.fromkeys(e.place + (SHARPER.format(e.sharper) if e.sharper else "") for e in entries)
    )
    shown = "; ".join(dict.fromkeys(f"{e.quantity} {e}" for e in entries))
    why = () if grade == HOLDS else tuple(explanations)
    ends = (
        (value.low, value.high, possible.low, possible.high) if value and possible else (nan,) * 4
    )
    name = (entries[0].metric, entries[0].quantity)
    return Finding(rule, grade, where, shown, implied, tolerance, sentence, why, *name, *ends)


__all__ = [
    "DEFINITION",
    "GRADES",
    "HOLDS",
    "IMPOSSIBLE",
    "QUESTION",
    "SHARPER",
    "Finding",
    "report",
]
