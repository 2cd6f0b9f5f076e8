"""Rule about superiority: how probable it is that the network that is said to be better is not.

Christodoulou et al. 2025, arXiv 2505.04720: from the printed means m, the SDs s over n cases and
the congruence r of two networks (the correlation of their scores from case to case), the
probability that A, said to be better, is no better than B is the distribution function of Student's
t with n − 1 degrees of freedom at √n (m_B − m_A) / √(s_A² + s_B² − 2 r s_A s_B). A printed paired t
is that argument itself, and needs no r. Images of one patient are alike: n images count as
n / (1 + (n / patients − 1) ICC) cases. At ICC 0 this is the paper's formula.
"""

import math
from collections.abc import Iterator
from itertools import product

from scipy import stats

from tools.audit.comparisons import Pair, agrees, direction, pairs
from tools.audit.finding import HOLDS, QUESTION, Finding, report
from tools.audit.interval import Interval, corners
from tools.audit.paper import Entry, Paper
from tools.audit.words import say, why

RULE = "chance of a false claim"
LIMIT = 0.05
#: what is assumed where nothing is printed: how far two networks' scores go together, and how alike
#: two images of one patient are (page 9 measures the first, page 10 the second on our own images)
CONGRUENCE = Interval(0.5, 0.9)
ICC = 0.3


def cases(n: int, patients: float | None = None, icc: float = ICC) -> float:
    """How many independent cases n images of some patients count as."""
    return n / (1 + (n / patients - 1) * icc) if patients and patients < n else n


def probability(gap: float, sd: float, n: float) -> float:
    """P(A is no better than B) for a printed gap A − B, the SD of the differences and n cases."""
    return float(stats.t.cdf(-math.sqrt(n) * gap / sd, n - 1))


def sd_of_difference(a: Interval, b: Interval, congruence: Interval) -> Interval:
    """SD of the case-by-case differences of two networks, from their SDs (Intervals) and the
    congruence (Interval).

    Convex in each SD: the largest value is at a corner, the least may lie where one SD is r times
    the other.
    """

    def sd(x: float, y: float, r: float) -> float:
        return math.sqrt(max(x * x + y * y - 2 * r * x * y, 0.0))

    ends = [(i.low, i.high) for i in (a, b, congruence)]
    points = list(product(*ends))
    points += [(min(max(r * y, a.low), a.high), y, r) for _, y, r in points]
    points += [(x, min(max(r * x, b.low), b.high), r) for x, _, r in points]
    values = [sd(*point) for point in points]
    return Interval(min(values), max(values))


def false_claims(paper: Paper) -> Iterator[Finding]:
    """Claims that one network is best, or better: the most doubtful of the comparisons behind each
    that prints a t, or SDs and n.
    """
    patients = next((e.value.low for e in paper.entries if e.metric == "patients_test"), None)
    tests = _tests(list(pairs(paper)))
    for i, claim in enumerate(paper.claims):
        kind = next((k for k in ("highest", "lowest", "greater") if k in claim), None)
        if not kind:
            continue
        where = f"claims[{i}]"
        selectors = claim[kind] if kind == "greater" else [claim[kind], *claim["among"]]
        first, *others = (paper.select(s, where) for s in selectors)
        sign = -1 if kind == "lowest" else 1
        rivals = [o for o in others if o.model != first.model and o.structure == first.structure]
        found = [x for o in rivals if (x := _compared(first, o, sign, tests, patients))]
        if found:
            yield _finding(claim["text"], first, *max(found, key=lambda x: x[0].low))


def _tests(found: list[Pair]) -> dict:
    """(network, rival) → the printed t of their comparison and the sign that favours the network;
    a t against its own scores is left to the rule of its sign.
    """
    way, tests = direction(found), {}
    for p in (p for p in found if agrees(p, way)):
        tests[_key(p.reference), _key(p.other)] = p.t, way
        tests[_key(p.other), _key(p.reference)] = p.t, -way
    return tests


def _key(entry: Entry) -> tuple[str, str, str]:
    return entry.model, entry.structure, entry.metric


def _compared(
    first: Entry, other: Entry, sign: int, tests: dict, patients: float | None
) -> tuple[Interval, list[Entry], str] | None:
    """(P, entries, on what it rests) of one comparison, or None where too little is printed."""
    n = first.n
    if not n or n < 3 or first.metric != other.metric or other.n not in (n, None):
        return None
    count = cases(n, patients)
    who = {
        "n": n,
        "patients": say(RULE, "patients", patients=patients, icc=ICC) if patients else "",
    }
    if test := tests.get((_key(first), _key(other))):
        t, way = test
        p = corners(lambda v: probability(sign * way * v, math.sqrt(n), count), t.value)
        return p, [first, other, t], say(RULE, "t", t=t, **who)
    if not (first.sd and other.sd and first.value.bounded and other.value.bounded):
        return None
    ends = (first.value.low - other.value.high, first.value.high - other.value.low)
    gap = Interval(*sorted(sign * v for v in ends))
    sd = sd_of_difference(first.sd, other.sd, CONGRUENCE)
    if sd.low <= 0:
        return None
    p = corners(lambda g, s: probability(g, s, count), gap, sd)
    low, high = CONGRUENCE.low, CONGRUENCE.high
    return p, [first, other], say(RULE, "sd", low=low, high=high, **who)


def _finding(text: str, first: Entry, p: Interval, entries: list[Entry], basis: str) -> Finding:
    doubtful = p.low > LIMIT
    values = {"text": text, "p": p, "other": entries[1].model, "basis": basis, "limit": LIMIT}
    return report(
        RULE,
        QUESTION if doubtful else HOLDS,
        entries,
        f"chance {p}",
        say(RULE, "fails" if doubtful else "holds", **values),
        why(RULE),
        say(RULE, "tolerance", limit=LIMIT),
    )
