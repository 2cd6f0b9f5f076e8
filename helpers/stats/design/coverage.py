"""Do the intervals of this study cover? Studies as large are drawn from its own units, and each
kind of interval is made of each.

The units of the study stand for the population, so the truth is known: its own estimate. A study
drawn with replacement repeats units, which a real one does not; with few units the coverage found
is therefore on the low side.
"""

from collections.abc import Sequence

import numpy as np

from helpers.stats.bootstrap import Ratios, Resampled, draw_counts, evaluate, limits
from helpers.stats.counts import MIN_UNITS

ENOUGH = 0.93  #: an interval of 95 % that covers less often gives way to one that covers more
KINDS = ("bootstrap_t", "t", "percentile")  #: those that stand in for each other


def coverage(
    ratios: Ratios,
    methods: Sequence[str] = KINDS,
    within: tuple[float, float] = (-np.inf, np.inf),
    runs: int = 1000,
    draws: int = 300,
    seed: int = 1,
    level: float = 0.95,
) -> dict[str, np.ndarray]:
    """Share of `runs` drawn studies whose interval holds the estimate, method → (S,).

    Studies in which a method gives no interval are left out; NaN where that is more than half of
    them, or where fewer than five units have a value.
    """
    g = len(ratios.numerator)
    known = (ratios.denominator > 0).any(-1)
    truth, studies = evaluate(ratios, np.ones((1, g)), se=False)[0][0], draw_counts(g, runs, seed)
    estimate, error = evaluate(ratios, studies)
    assert error is not None  # they were asked for
    rng = np.random.default_rng(seed + 1)
    held, made = ({m: np.zeros(len(truth)) for m in methods} for _ in range(2))
    for k in range(runs):
        again = rng.multinomial(g, studies[k] / g, draws).astype(float)
        units = studies[k] @ known  # a unit drawn twice is two units of that study
        r = Resampled(estimate[k], error[k], units, units, *evaluate(ratios, again), None)
        for method in methods:
            found = limits(r, method, level, within)
            held[method] += (found.low <= truth) & (truth <= found.high)
            made[method] += found.note == ""
    few = (known.sum(0) < MIN_UNITS) | np.isnan(truth)
    return {
        m: np.where(few | (made[m] < runs / 2), np.nan, held[m] / np.maximum(made[m], 1))
        for m in methods
    }
