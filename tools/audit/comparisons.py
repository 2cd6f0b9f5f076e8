"""Rules about paired comparisons of two models: sign, size and P value of a printed t, and the n
that they imply.

Names: ``<metric>_t_vs_<reference>`` and ``<metric>_p_vs_<reference>`` in the row of the other
model.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from scipy import stats

from tools.audit.finding import DEFINITION, HOLDS, IMPOSSIBLE, QUESTION, Finding, report
from tools.audit.interval import Interval
from tools.audit.paper import Entry, Paper, plain
from tools.audit.words import say, why

#: two networks whose scores differ from image to image by less than this share of the remaining
#: error are suspect
SAME_ERRORS = 0.05


@dataclass(frozen=True)
class Pair:
    """A printed comparison: the metric of the other model and of the reference, t, and P where
    printed.
    """

    other: Entry
    reference: Entry
    t: Entry
    p: Entry | None

    @property
    def gap(self) -> Interval:
        """Reference minus other, as an Interval."""
        a, b = self.reference.value, self.other.value
        return Interval(a.low - b.high, a.high - b.low)


def pairs(paper: Paper) -> Iterator[Pair]:
    """Every printed t with the two numbers it compares."""
    for t in paper.entries:
        metric, mark, reference = t.metric.partition("_t_vs_")
        if not mark or not t.value.bounded:
            continue
        near = [e for e in paper.entries if e.table == t.table]  # first
        near += [e for e in paper.entries if e.table != t.table]
        same = [
            e for e in near if (e.metric, e.structure) == (metric, t.structure) and e.value.bounded
        ]
        ours = next((e for e in same if plain(e.model) == plain(reference)), None)
        other = next((e for e in same if e.model == t.model), None)
        wanted = (f"{metric}_p_vs_{reference}", t.model, t.structure)
        p = next((e for e in near if (e.metric, e.model, e.structure) == wanted), None)
        if ours and other:
            yield Pair(other, ours, t, p)


def direction(found: list[Pair]) -> int:
    """1 where most t values are of reference minus other, -1 where of other minus reference."""
    clear = [p for p in found if 0 not in p.gap and 0 not in p.t.value]
    votes = sum((p.gap.low > 0) == (p.t.value.low > 0) for p in clear)
    return 1 if votes * 2 >= len(clear) else -1


def agrees(pair: Pair, way: int) -> bool:
    """Whether t has the sign of the difference, or either may be 0; way: of ``direction``."""
    if 0 in pair.gap or 0 in pair.t.value:
        return True
    return (pair.gap.low > 0) == (way * pair.t.value.low > 0)


def t_sign(paper: Paper) -> Iterator[Finding]:
    """The sign of t against the difference of the printed values; the order of subtraction is that
    of most pairs.
    """
    found = [p for p in pairs(paper) if 0 not in p.gap and 0 not in p.t.value]
    way = direction(found)
    for p in found:
        ok = agrees(p, way)
        values = {
            "reference": p.reference.model,
            "first": p.reference,
            "other": p.other.model,
            "second": p.other,
            "what": p.other.quantity,
        }
        values["who"] = say("sign of t", "who", **values)
        yield report(
            "sign of t",
            HOLDS if ok else DEFINITION,
            [p.t, p.reference, p.other],
            "t " + ("above" if way * p.gap.low > 0 else "below") + " 0",
            say("sign of t", "holds" if ok else "fails", **values),
            why("sign of t"),
        )


def implied_sd(gap: Interval, t: Interval, n: float) -> Interval:
    """SD of the paired differences, |gap| √n / |t|, as an Interval; gap and t are Intervals."""
    near = 0.0 if 0 in gap else min(abs(gap.low), abs(gap.high))
    small, large = sorted((abs(t.low), abs(t.high)))
    return Interval(
        near * math.sqrt(n) / large, max(abs(gap.low), abs(gap.high)) * math.sqrt(n) / small
    )


def t_size(paper: Paper) -> Iterator[Finding]:
    """The SD of the image-by-image differences that a printed t implies, against the error that is
    left.
    """
    for p in pairs(paper):
        n = p.reference.n
        if not n or 0 in p.t.value or p.reference.unit not in ("fraction", "percent"):
            continue
        sd = implied_sd(p.gap, p.t.value, n)
        full = 100 if p.reference.unit == "percent" else 1
        floor = SAME_ERRORS * (full - p.reference.value.high)
        ok = sd.high >= floor
        names = {
            "reference": p.reference.model,
            "other": p.other.model,
            "what": p.reference.quantity,
        }
        values = {"what": say("size of t", "who", **names), "sd": sd, "n": n, "most": sd.high}
        yield report(
            "size of t",
            HOLDS if ok else QUESTION,
            [p.t, p.reference, p.other],
            f"SD of differences {sd}",
            say("size of t", "holds" if ok else "fails", **values),
            why("size of t"),
            say("size of t", "tolerance", share=SAME_ERRORS, floor=floor),
        )


def p_of_t(t: Interval, df: int) -> Interval:
    """Two-sided P of a t Interval; P falls with |t|."""
    size = sorted((abs(t.low), abs(t.high)))
    low = 0.0 if 0 in t else size[0]
    return Interval(float(2 * stats.t.sf(size[1], df)), float(2 * stats.t.sf(low, df)))


def p_and_t(paper: Paper) -> Iterator[Finding]:
    """The printed P against that of the printed t with n − 1 degrees of freedom."""
    for pair in pairs(paper):
        if pair.p and pair.reference.n and pair.reference.n > 1:
            implied = p_of_t(pair.t.value, pair.reference.n - 1)
            ok = implied.meets(pair.p.value)
            values = _named(pair) | {"n": pair.reference.n, "implied": implied}
            yield report(
                "P and t",
                HOLDS if ok else IMPOSSIBLE,
                [pair.p, pair.t],
                f"P {implied}",
                say("P and t", "holds" if ok else "fails", **values),
                why("P and t"),
            )


def _named(pair: Pair) -> dict:
    return {"other": pair.other.model, "what": pair.other.quantity, "t": pair.t, "p": pair.p}


def implied_n(t: Interval, p: Interval, most: int = 100_000) -> tuple[int, int] | None:
    """(fewest, most) paired units for which a printed t and P (Intervals) agree, or None; most is
    the largest n tried.

    For a fixed t, P falls as the degrees of freedom grow, so both ends are found by bisection.
    """
    fits = [n for n in (2, most) if p_of_t(t, n - 1).meets(p)]
    if p_of_t(t, 1).high < p.low or p_of_t(t, most - 1).low > p.high:
        return None

    def first(condition: Callable, low: int = 2, high: int = most) -> int:
        while low < high:
            mid = (low + high) // 2
            low, high = (low, mid) if condition(mid) else (mid + 1, high)
        return low

    fewest = 2 if 2 in fits else first(lambda n: p_of_t(t, n - 1).low <= p.high)
    largest = most if most in fits else first(lambda n: p_of_t(t, n - 1).high < p.low) - 1
    return fewest, largest


def units(paper: Paper) -> Iterator[Finding]:
    """How many independent units a printed t and exact P imply, beside the patients and images of
    the test set.
    """
    counts = {
        e.metric: int(e.value.low)
        for e in paper.bounded
        if e.metric in ("patients_test", "images_test")
    }
    patients, images = counts.get("patients_test"), counts.get("images_test")
    for pair in pairs(paper):
        if not pair.p or not pair.p.value.bounded or not patients:
            continue
        n = implied_n(pair.t.value, pair.p.value)
        if n is None:
            continue  # the rule "P and t" reports it
        ok = n[0] <= patients
        top = "any larger number" if n[1] >= 100_000 else str(n[1])
        among = say("units behind P", "images", images=images) if images else ""
        values = _named(pair) | {"fewest": n[0], "patients": patients, "images": among}
        yield report(
            "units behind P",
            HOLDS if ok else QUESTION,
            [pair.p, pair.t],
            f"n from {n[0]} to {top}",
            say("units behind P", "holds" if ok else "fails", **values),
            why("units behind P"),
        )
