"""Agreement of two ways to measure one thing: bias and limits of agreement.

Bland & Altman, Lancet 1986; several images of a patient as in Bland & Altman, J Biopharm Stat 2007,
section 3 (the true value varies): the spread is that between patients and that within them
together. Intervals resample whole patients.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers.errors import NotComputable
from helpers.stats.counts import MIN_UNITS

WIDTH = 1.96  # standard deviations on either side: 95 % of a normal distribution


class Limits(NamedTuple):
    """bias: mean difference; low, high: limits of agreement; sd: of one difference; intervals:
    {'bias' | 'low' | 'high': (from, to)}, 95 %; images, patients: numbers.
    """

    bias: float
    low: float
    high: float
    sd: float
    intervals: dict
    images: int
    patients: int


def _spread(total, squares, count):
    """(mean, SD) of one difference, from the sum, the sum of squares and the number of each unit's
    differences, arrays (…, n): the SD between units and that within them together.
    """
    images, units = count.sum(-1), count.shape[-1]
    mean = total.sum(-1) / images
    inner = (squares - total**2 / count).sum(-1)
    outer = (total**2 / count).sum(-1) - images * mean**2
    each = (images**2 - (count**2).sum(-1)) / ((units - 1) * images)  # images a unit, about
    more = images - units
    within = np.where(more > 0, inner / np.maximum(more, 1), 0.0)
    between = np.maximum((outer / (units - 1) - within) / each, 0.0)
    return mean, np.sqrt(np.maximum(between + within, 0.0))


def of_agreement(differences, units, draws: int = 2000, seed: int = 1) -> Limits:
    """Limits of agreement of differences, float (n,) with NaN where there is none; units: the
    patient of each.

    NotComputable where fewer than MIN_UNITS patients have a difference.
    """
    differences, units = np.asarray(differences, float), np.asarray(units)
    known = np.isfinite(differences)
    differences, units = differences[known], units[known]
    groups = pd.DataFrame({"sum": differences, "square": differences**2, "count": 1.0}).groupby(
        units
    )
    total, squares, count = groups.sum().to_numpy().T
    if len(total) < MIN_UNITS:
        raise NotComputable(
            f"limits of agreement need {MIN_UNITS} patients in whom both outlines can be measured,"
            f" there are {len(total)}"
        )
    bias, sd = _spread(total, squares, count)
    drawn = np.random.default_rng(seed).integers(len(total), size=(draws, len(total)))
    means, sds = _spread(total[drawn], squares[drawn], count[drawn])
    ends = {"bias": means, "low": means - WIDTH * sds, "high": means + WIDTH * sds}
    intervals = {k: tuple(map(float, np.quantile(v, (0.025, 0.975)))) for k, v in ends.items()}
    return Limits(
        float(bias),
        float(bias - WIDTH * sd),
        float(bias + WIDTH * sd),
        float(sd),
        intervals,
        len(differences),
        len(total),
    )
