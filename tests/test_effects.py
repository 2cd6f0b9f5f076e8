"""The interval of a standardised difference inverts scipy's non-central t, also where scipy's own
is NaN.
"""

import numpy as np
import pytest
from scipy import stats

from helpers.stats.effects import noncentral_interval


@pytest.mark.parametrize(
    ("t", "n"), [(2.5, 22), (-3.98, 22), (-6.0, 22), (0.3, 10), (40.0, 88), (0.0, 6)]
)
def test_limits_give_back_their_tails(t, n):
    low, high = (d * np.sqrt(n) for d in noncentral_interval(t, n - 1, n))
    assert low < t < high
    assert stats.nct.cdf(t, n - 1, [low, high]) == pytest.approx([0.975, 0.025], abs=1e-9)


def test_mirrored_differences_have_mirrored_intervals():
    assert noncentral_interval(-5.3, 21, 22) == pytest.approx(
        [-x for x in noncentral_interval(5.3, 21, 22)][::-1]
    )
