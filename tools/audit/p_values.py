"""Rules about P values of two groups: from means, SDs and n, and from the counts of a 2 × 2
table.
"""

from collections.abc import Iterator
from itertools import pairwise, product
from typing import Any

import numpy as np
from scipy import stats

from tools.audit.finding import DEFINITION, HOLDS, QUESTION, Finding, report
from tools.audit.interval import Interval
from tools.audit.paper import Entry, Paper
from tools.audit.words import metric, structure

TINY = 1e-12  # an SD printed as 0.0 may be anything up to its rounding, but not 0


def _p(difference: Any, s1: Any, n1: float, s2: Any, n2: float, equal_var: bool) -> Any:
    """Two-sided P of Student's (equal_var) or Welch's t; numbers or arrays that broadcast."""
    v1, v2 = s1**2 / n1, s2**2 / n2
    if equal_var:
        df = n1 + n2 - 2.0
        error = np.sqrt(((n1 - 1) * s1**2 + (n2 - 1) * s2**2) / df * (1 / n1 + 1 / n2))
    else:
        df = (v1 + v2) ** 2 / (v1**2 / (n1 - 1) + v2**2 / (n2 - 1))
        error = np.sqrt(v1 + v2)
    return 2 * stats.t.sf(np.abs(difference) / error, df)


def p_of_means(
    a: tuple[Interval, Interval, int], b: tuple[Interval, Interval, int], equal_var: bool
) -> Interval:
    """Range of the two-sided P of a t test of two groups (mean, SD, n), the means and SDs
    Intervals.

    P falls with the distance of the means and, in Student's t, rises with each SD: corners are
    exact. In Welch's t the degrees of freedom move with the SDs too, so the SDs are sampled on
    a 5 × 5 grid that includes the corners.
    """
    (m1, s1, n1), (m2, s2, n2) = a, b
    far = max(m1.high - m2.low, m2.high - m1.low)
    near = max(m1.low - m2.high, m2.low - m1.high, 0.0)
    first, second = (np.linspace(max(s.low, TINY), max(s.high, TINY), 5) for s in (s1, s2))
    values = _p(np.array([near, far])[:, None, None], first[:, None], n1, second, n2, equal_var)
    return Interval(float(values.min()), float(values.max()))


def _cells(interval: Interval, count: int) -> list[Interval]:
    ends = np.linspace(interval.low, interval.high, count + 1)
    return [Interval(float(low), float(high)) for low, high in pairwise(ends)]


def fit_together(
    shared: tuple[Interval, Interval, int], others: list[tuple], equal_var: bool
) -> bool:
    """Whether one t test can give several P values that share a group: others is a list of
    (group, P Interval).

    The mean and SD of the shared group are cut into small cells; within a cell the range of
    each P is an outer bound, so the answer is never wrongly no.
    """
    mean, sd, n = shared
    return any(
        all(p_of_means((m, s, n), group, equal_var).meets(p) for group, p in others)
        for m, s in product(_cells(mean, 20), _cells(sd, 4))
    )


TESTS = {"Student's t": True, "Welch's t": False}


def p_means(paper: Paper) -> Iterator[Finding]:
    """X_p of 'A vs B' against means, SDs and n of A and B: which t test gives it; then which
    test gives them all.
    """
    families = {}
    for p in paper.entries:
        if not p.metric.endswith("_p") or " vs " not in p.structure:
            continue
        groups = {
            e.structure: e
            for e in paper.entries
            if (e.metric, e.table) == (p.metric[:-2], p.table) and e.sd and e.n
        }
        names = p.structure.split(" vs ")
        sides = [groups[name] for name in names if name in groups]
        if not len(names) == len(sides) == 2:
            continue
        families.setdefault(p.table, {}).setdefault(p.metric, []).append((p, sides))
        a, b = map(_summary, sides)
        ranges = {test: p_of_means(a, b, equal) for test, equal in TESTS.items()}
        fits = [test for test, interval in ranges.items() if interval.meets(p.value)]
        what = f"{metric(p.metric[:-2])}, {structure(p.structure)}"
        if fits:
            sentence = (
                f"The P value for {what} is what {' and '.join(fits)}"
                f" give{'' if len(fits) > 1 else 's'}."
            )
        else:
            sentence = (
                f"The P value printed for {what} ({p}) is not what a t test of the printed means"
                " and SDs gives."
            )
        implied = "; ".join(f"{test} {interval}" for test, interval in ranges.items())
        why = (
            "another test was used, for instance a rank test",
            "a typing error in the P value, a mean or an SD",
        )
        yield report(
            "P from means and SDs", HOLDS if fits else QUESTION, [p, *sides], implied, sentence, why
        )
    for table, tested in families.items():
        yield _which_test(table, tested)


def _summary(entry: Entry) -> tuple[Interval, Interval, int]:
    assert entry.sd and entry.n  # chosen for having them
    return entry.value, entry.sd, entry.n


def _which_test(table: str, tested: dict[str, list]) -> Finding:
    """Which t test gives all P values of a table at once, those of one quantity jointly."""
    good = {
        test: [metric(m[:-2]) for m, rows in tested.items() if _together(rows, equal)]
        for test, equal in TESTS.items()
    }
    everything = [test for test, names in good.items() if len(names) == len(tested)]
    implied = "; ".join(f"{t} fits {', '.join(names) or 'none'}" for t, names in good.items())
    sentence = (
        f"The P values for means in {table} are all those of {' and equally of '.join(everything)}."
        if everything
        else f"No single t test gives all P values for means in {table}."
    )
    entries = [p for rows in tested.values() for p, _ in rows]
    why = ("some variables were tested with another test",)
    return report("which test", HOLDS if everything else QUESTION, entries, implied, sentence, why)


def _together(rows: list[tuple], equal_var: bool) -> bool:
    first = rows[0][1]
    shared = next((e for e in first if all(e in sides for _, sides in rows)), None)
    if shared is None or len(rows) == 1:
        return all(
            p_of_means(_summary(a), _summary(b), equal_var).meets(p.value) for p, (a, b) in rows
        )
    others = [(_summary(next(e for e in sides if e is not shared)), p.value) for p, sides in rows]
    return fit_together(_summary(shared), others, equal_var)


def _two_by_two(table: list[list[float]]) -> dict[str, float]:
    if not all(map(sum, (*table, *zip(*table, strict=True)))):  # nobody of a row or a column
        return {"every test, of a row or column without anybody,": 1.0}
    return {
        "Pearson's chi-square": stats.chi2_contingency(table, correction=False).pvalue,
        "chi-square with Yates's correction": stats.chi2_contingency(table, correction=True).pvalue,
        "Fisher's exact test": stats.fisher_exact(table).pvalue,
    }


def p_counts(paper: Paper) -> Iterator[Finding]:
    """A P value of a 2 × 2 table against the table: checks ``two_by_two`` with p, rows and
    columns.
    """
    for where, check in paper.declared("two_by_two"):
        p = paper.select(check["p"], where)
        cells = [
            [
                paper.select({"class": r, "metric": c, **check.get("in", {})}, where)
                for c in check["columns"]
            ]
            for r in check["rows"]
        ]
        tests = _two_by_two([paper.counts(row, where) for row in cells])
        fits = [name for name, value in tests.items() if value in p.value]
        implied = "; ".join(f"{name} {value:.4f}" for name, value in tests.items())
        what = f"{metric(p.metric.removesuffix('_p'))}, {structure(p.structure)}"
        sentence = (
            f"The P value for {what} is that of {fits[0]}."
            if fits
            else (
                "None of the usual tests of the printed counts gives the printed P value for"
                f" {what} ({p})."
            )
        )
        why = (
            "another test was used",
            "some patients were missing from the test",
            "a typing error",
        )
        entries = [p, *(e for row in cells for e in row)]
        yield report(
            "P from counts", HOLDS if fits else DEFINITION, entries, implied, sentence, why
        )
