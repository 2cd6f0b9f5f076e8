"""Can the printed numbers of a paper be true together? Small named rules over a file of printed
numbers.

Nothing but the paper's own numbers is used: every rule takes the rounding interval of each printed
digit and asks whether any values inside them agree. ``AUDIT.md`` beside this file describes the
file format; ``examples/audit_example.yml`` is one to start from. On the command line: ``python -m
tools.audit PAPER.yml``. A contradiction is not an accusation: each finding carries the explanations
that would make it innocent.
"""

import re
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from helpers.errors import StudyError, raise_all
from tools.audit import claims, comparisons, counts, false_claims, groups, overlap, p_values
from tools.audit.finding import DEFINITION, GRADES, HOLDS, IMPOSSIBLE, QUESTION, SHARPER, Finding
from tools.audit.paper import Paper
from tools.audit.reading import find, read

#: every rule by name, in the order of the report; each takes a Paper and yields Findings
RULES = {
    f.__name__: f
    for f in (
        counts.sums,
        counts.categories,
        counts.percentages,
        counts.shares,
        counts.limits,
        counts.order,
        counts.proportions,
        counts.split_unit,
        counts.repeats,
        groups.totals,
        groups.spread_limit,
        p_values.p_means,
        p_values.p_counts,
        comparisons.t_sign,
        comparisons.t_size,
        comparisons.p_and_t,
        comparisons.units,
        overlap.identities,
        overlap.rates,
        overlap.class_means,
        overlap.jensen,
        claims.claims,
        false_claims.false_claims,
        claims.gaps,
        claims.loss_floor,
    )
}
COLUMNS = ["paper", *Finding.__dataclass_fields__]


def audit(paper: Paper | Path | str) -> pd.DataFrame:
    """Run every rule on a Paper or the path of its file -> DataFrame, one row a check, gravest
    first.

    Columns: paper, rule, grade ("holds" or one of GRADES), where, printed, implied, tolerance,
    sentence, explanations (joined by "; or "). Raises StudyError that lists every check or claim
    that cannot be read.
    """
    paper = paper if isinstance(paper, Paper) else read(paper)
    found = _run(paper)
    if sharp := paper.sharpened():
        found = _sharpest(found, _run(sharp))
    rows = [asdict(f) for f in found]
    frame = pd.DataFrame(rows, columns=COLUMNS[1:])
    frame.insert(0, "paper", paper.name)
    frame["explanations"] = ["; or ".join(x) for x in frame["explanations"]]
    order = {grade: i for i, grade in enumerate((*GRADES, HOLDS))}
    return frame.sort_values("grade", key=lambda g: g.map(order), kind="stable", ignore_index=True)


def _run(paper: Paper) -> list[Finding]:
    """The Findings of every rule; StudyError that lists all that they cannot read."""
    problems, found = [], []
    for rule in RULES.values():
        try:
            found += rule(paper)
        except StudyError as error:
            problems.append(str(error))
        except (ArithmeticError, ValueError) as error:
            problems.append(
                f"{rule.__name__}: some of these numbers allow no such check ({error}): is one a"
                " limit such as <5, 0, or of a single person? Leave it, or the check, out"
            )
    raise_all(dict.fromkeys(problems), paper.path)
    return found


def _sharpest(plain: list[Finding], sharp: list[Finding]) -> list[Finding]:
    """The checks of the numbers as they stand, and in place of those that hold what the sharpest
    print of each number gives.
    """
    contradicted = {_check(f): f for f in sharp if f.grade != HOLDS}
    return [contradicted.get(_check(f), f) if f.grade == HOLDS else f for f in plain]


def _check(finding: Finding) -> tuple[str, str, str]:
    """What a check is about: its rule and its numbers, whichever print their digits are from."""
    marks = re.escape(SHARPER).replace(r"\{\}", "[^)]*")
    return finding.rule, finding.metric, re.sub(marks, "", finding.where)


__all__ = [
    "DEFINITION",
    "GRADES",
    "HOLDS",
    "IMPOSSIBLE",
    "QUESTION",
    "RULES",
    "Finding",
    "Paper",
    "audit",
    "find",
    "read",
]
