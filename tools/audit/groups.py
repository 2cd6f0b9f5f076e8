"""Rules about groups of patients: the mean and SD of all against those of the cohorts, SDs against
ranges.
"""

import math
import re
from collections.abc import Iterable, Iterator
from itertools import product

from scipy import optimize

from tools.audit.finding import HOLDS, IMPOSSIBLE, Finding, report
from tools.audit.interval import Interval, hull
from tools.audit.paper import SHARES, Entry, Paper
from tools.audit.reading import EXACT


def weighted_mean(means: list[Interval], sizes: list[int]) -> Interval:
    """The mean of all, from group means (Intervals) and sizes; increasing in every mean, so the
    ends are exact.
    """
    total = sum(sizes)
    ends = [
        sum(n * getattr(m, end) for m, n in zip(means, sizes, strict=True)) / total
        for end in ("low", "high")
    ]
    return Interval(*ends)


def total_sd(means: list[Interval], sds: list[Interval], sizes: list[int]) -> Interval:
    """The SD of all, from group means, SDs (Intervals) and sizes, with n − 1 or n in the
    denominators.

    The spread between the groups is a convex function of the means: greatest at a corner of the
    box, least where the group means lie as near one common value as their intervals allow.
    """
    n = sum(sizes)

    def between(point: Iterable[float]) -> float:
        centre = sum(k * m for k, m in zip(sizes, point, strict=True)) / n
        return sum(k * (m - centre) ** 2 for k, m in zip(sizes, point, strict=True))

    def nearest(centre: float) -> float:
        return sum(
            k * max(m.low - centre, centre - m.high, 0) ** 2
            for k, m in zip(sizes, means, strict=True)
        )

    bounds = (min(m.low for m in means), max(m.high for m in means))
    least = optimize.minimize_scalar(
        nearest, bounds=bounds, method="bounded", options={"xatol": 1e-10}
    ).fun
    most = max(between(point) for point in product(*((m.low, m.high) for m in means)))
    both = []
    for lost in (1, 0):
        within = [
            sum((k - lost) * max(getattr(s, end), 0) ** 2 for k, s in zip(sizes, sds, strict=True))
            for end in ("low", "high")
        ]
        both.append(
            Interval(
                math.sqrt((within[0] + least) / (n - lost)),
                math.sqrt((within[1] + most) / (n - lost)),
            )
        )
    return hull(*both)


ALL = ("total", "all", "overall")


def _families(paper: Paper) -> Iterator[tuple]:
    """(total, parts) for every quantity given for everybody and for groups whose n add up to its n.

    The groups are those of the total's own table, or else of another one. A total that only
    repeats one with groups of its own is left to that one.
    """
    found = []
    for total in paper.bounded:
        if total.structure.lower() not in ALL or not total.n or total.unit in EXACT:
            continue
        groups = {}
        for e in paper.bounded:
            same = (e.metric, e.unit) == (total.metric, total.unit)
            if same and e.n and e.structure.lower() not in ALL:
                groups.setdefault(e.table, []).append(e)
        tables = [t for t in groups if t == total.table] + [t for t in groups if t != total.table]
        parts = next((groups[t] for t in tables if _make_up(groups[t], total)), None)
        if parts:
            found.append((total, parts))
    own = [total for total, parts in found if parts[0].table == total.table]
    for total, parts in found:
        repeated = any(
            (t.metric, t.n) == (total.metric, total.n) and t.value.meets(total.value) for t in own
        )
        if total in own or not repeated:
            yield total, parts


#: of what is no mean, and so no mean over groups either
NO_MEAN = {"median", "min", "max", "minimum", "maximum", "q1", "q3", "iqr", "pooled"}


def _make_up(parts: list[Entry], total: Entry) -> bool:
    """Whether the groups make up the total: their n add up. A score must be a mean: it has SDs."""
    counted = total.metric.endswith("_percent")  # of people, whose share over all is a mean
    score = (total.unit in ("fraction", "percent") and not counted) or total.stem in SHARES
    other = NO_MEAN & {*total.metric.split("_"), *re.findall(r"\w+", total.definition.lower())}
    means = not other and (not score or all(e.sd for e in (total, *parts)))
    means = means and {e.model for e in parts} == {total.model}
    return means and len(parts) > 1 and sum(e.n or 0 for e in parts) == total.n


def totals(paper: Paper) -> Iterator[Finding]:
    """The mean and the SD of all patients against those of the cohorts that make them up."""
    why = (
        (
            "the total row was computed on another set of people, for instance before the last"
            " exclusions"
        ),
        "the cohorts were changed after the total row had been written",
        "a typing error in one of the means",
    )
    excluded = next((int(e.value.low) for e in paper.bounded if e.metric == "patients_excluded"), 0)
    for total, parts in _families(paper):
        sizes = [e.n for e in parts]
        implied = weighted_mean([e.value for e in parts], sizes)
        ok = implied.meets(total.value)
        reasons = list(why)
        if excluded:  # whose mean would reconcile the two
            everyone = [
                (total.n + excluded) * v - total.n * m
                for v, m in ((total.value.low, implied.high), (total.value.high, implied.low))
            ]
            theirs = Interval(everyone[0] / excluded, everyone[1] / excluded)
            reasons[0] = (
                f"the total row includes the {excluded} people who were excluded, whose mean is"
                f" then {theirs}"
            )
        what = total.quantity
        sentence = (
            f"The mean {what} of all patients is what the cohorts give."
            if ok
            else (
                f"The cohorts together have a mean {what} of {implied} {total.unit}, yet"
                f" {total.text} is printed for all of them: an average of all cannot differ from"
                " the average of its parts."
            )
        )
        yield report(
            "mean of all patients",
            HOLDS if ok else IMPOSSIBLE,
            [total, *parts],
            f"mean {implied}",
            sentence,
            reasons,
            value=total.value,
            possible=implied,
        )
        if not all(e.sd for e in (total, *parts)):
            continue
        spread = total_sd([e.value for e in parts], [e.sd for e in parts], sizes)
        ok = spread.meets(total.sd)
        sentence = (
            f"The spread of {what} over all patients is what the cohorts give."
            if ok
            else (
                f"The cohorts together have an SD of {spread} {total.unit}, yet {total.sd_text} is"
                " printed."
            )
        )
        yield report(
            "SD of all patients",
            HOLDS if ok else IMPOSSIBLE,
            [total, *parts],
            f"SD {spread}",
            sentence,
            why,
            "rounding of every printed digit; SD with n or n − 1",
            total.sd,
            spread,
        )


def spread_limit(paper: Paper) -> Iterator[Finding]:
    """An SD cannot exceed what the printed minimum, maximum and mean allow (X_mean with sd, X_min,
    X_max).
    """
    for e in paper.bounded:
        if not e.metric.endswith("_mean") or not e.sd or not e.n or e.n < 2:
            continue
        alike = [x for x in paper.bounded if (x.structure, x.model) == (e.structure, e.model)]
        least, largest = (
            next((x for x in alike if x.metric == e.metric[:-4] + end), None)
            for end in ("min", "max")
        )
        if least and largest:
            low, high = least.value.low, largest.value.high
            mid = min(
                max((low + high) / 2, e.value.low), e.value.high
            )  # the product below is greatest nearest the middle
            most = math.sqrt(max((high - mid) * (mid - low), 0) * e.n / (e.n - 1))
            ok = e.sd.low <= most
            sentence = (
                "The SD fits the range."
                if ok
                else f"With values from {least} to {largest} the SD is at most {most:.4g}."
            )
            grade = HOLDS if ok else IMPOSSIBLE
            yield report(
                "SD within range",
                grade,
                [e, least, largest],
                f"SD ≤ {most:.4g}",
                sentence,
                ("a standard error or a typing error",),
            )
