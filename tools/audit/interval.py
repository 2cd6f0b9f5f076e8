"""Printed numbers as intervals: 0.720 stands for everything that rounds to it, 0.7195 to 0.7205.

Every rule of the audit works on these intervals and never on the printed point, so that rounding
alone cannot make a finding. Bounds are closed: half-up and half-even rounding both stay inside.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import product
from math import inf, isfinite

SLACK = 1e-9  # floating-point noise, far below any printed digit
_PRINTED = re.compile(r"^\s*([<>≤≥]?)\s*([+−-]?\d*\.?\d+)\s*$")


@dataclass(frozen=True)
class Interval:
    """All values from low to high, both included."""

    low: float
    high: float

    def meets(self, other: "Interval") -> bool:
        """Whether the two intervals have a value in common."""
        return self.low <= other.high + SLACK and other.low <= self.high + SLACK

    def __contains__(self, value: float) -> bool:
        return self.low - SLACK <= value <= self.high + SLACK

    @property
    def bounded(self) -> bool:
        """False for a number printed as a limit, such as < 0.05."""
        return isfinite(self.low) and isfinite(self.high)

    def __str__(self) -> str:
        if not self.bounded:
            return f"below {self.high:.4g}" if self.low == -inf else f"above {self.low:.4g}"
        digits = 4 if max(abs(self.low), abs(self.high)) < 10 else 2
        low, high = (f"{v:.{digits}f}".replace("-", "−") for v in (self.low, self.high))
        return low if low == high else f"{low} to {high}"


def printed(text: Decimal | str | int, exact: bool = False) -> Interval:
    """The interval of a number as printed: '0.720', '-5.12', '<0.001'. exact: a count, which is not
    rounded.

    Raises ValueError when the text is no such number.
    """
    match = _PRINTED.match(str(text))
    if not match:
        raise ValueError(f"{text!r} is not a printed number such as 0.720 or <0.001")
    sign, digits = match[1], match[2].replace("−", "-")
    try:
        number = Decimal(digits)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a printed number such as 0.720 or <0.001") from None
    if sign in ("<", "≤"):
        return Interval(-inf, float(number))
    if sign in (">", "≥"):
        return Interval(float(number), inf)
    half = Decimal(0) if exact else Decimal(5).scaleb(int(number.as_tuple().exponent) - 1)
    return Interval(float(number - half), float(number + half))


def corners(function: Callable, *intervals: Interval) -> Interval:
    """Range of a function over a box of intervals, from its corners.

    Exact for functions monotone in each argument (the direction may depend on the others); the
    callers say why theirs are.
    """
    values = [function(*point) for point in product(*((i.low, i.high) for i in intervals))]
    return Interval(min(values), max(values))


def hull(*intervals: Interval) -> Interval:
    """The smallest interval that holds all of them."""
    return Interval(min(i.low for i in intervals), max(i.high for i in intervals))
