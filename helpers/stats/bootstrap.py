"""The cluster bootstrap as matrix algebra: every statistic here is a weighted sum of ratios of
per-unit sums.

A draw of whole patients with replacement is a row of counts W (draws × units). Resampled sums
are W @ sums, and the resampled standard errors (needed by bootstrap-t) come from W @ products
of sums, so no loop over draws exists. Sources: Davison & Hinkley, Bootstrap Methods, ch. 2, 5
(t, percentile, BCa); Field & Welsh 2007 (clusters).

:func:`limits` is the one door through which an interval leaves; what cannot be an interval leaves
as a reason in words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats

from helpers.stats.counts import MIN_UNITS

BLOCK = 2_000  # draws at a time, so that memory does not grow with them
SAME = 1e-9  # values closer than this share of the largest are one value
NIL = 1e-6  # a scatter below this share of the sample's is the rounding of one that is none
#: bootstrap-t divides by the scatter within each draw. Where more than the draws of one tail have
#: less than this share of the sample's scatter, they alone set the limit, and it can be anything
LEAST_SCATTER = 0.1
SHARES = ("wilson", "wilson_units")  #: kinds of interval for a share of images, Wilson's
NOTHING = "nowhere there and nowhere drawn: no score"
TOO_FEW = f"fewer than {MIN_UNITS} units: no interval, the spread between so few says too little"
FLAT = "no variation between units: no interval"
FEW_VALUES = (
    f"fewer than {MIN_UNITS} different values among the units: no interval, units that are alike"
    " do not show how far others may lie"
)
ALIKE = (
    "most units are nearly alike, so too many draws have hardly any scatter to measure chance by:"
    " no interval"
)
BESIDE = "the draws lie to one side of the estimate: no interval"


@dataclass(frozen=True)
class Ratios:
    """S statistics over G units. numerator, denominator: (G, S, K) per-unit sums; weights: (K,)
    or (S, K).

    statistic = Σ_k weight_k · Σ_i numerator_ik / Σ_i denominator_ik: K = 1 is one pooled metric
    or one mean, K classes with weights 1/K a mean over classes, weights (+1, −1) a difference.
    """

    numerator: np.ndarray
    denominator: np.ndarray
    weights: np.ndarray


def draw_counts(units: int, draws: int, seed: int) -> np.ndarray:
    """(draws, units) float64: how often each unit is drawn when `units` are drawn with
    replacement.
    """
    picks = np.random.default_rng(seed).integers(0, units, (draws, units))
    picks += np.arange(draws)[:, None] * units
    return np.bincount(picks.ravel(), minlength=draws * units).reshape(draws, units).astype(float)


def _pairs(k: int) -> list[tuple[int, int]]:
    return [(a, b) for a in range(2 * k) for b in range(a, 2 * k)]


def evaluate(
    ratios: Ratios, counts: np.ndarray, se: bool = True
) -> tuple[np.ndarray, np.ndarray | None]:
    """Statistic and its linearised standard error for each row of `counts` (B, G): two arrays
    (B, S).

    With z = (numerators, denominators) of a unit and c the gradient of the statistic by their
    sums, the standard error is √(G/(G−1) Σ_i w_i (c·z_i)²): the delta method with whole units,
    the same in the sample and in a draw.
    """
    g, s, k = ratios.numerator.shape
    b = len(counts)
    weights = np.broadcast_to(ratios.weights, (s, k))
    top = (counts @ ratios.numerator.reshape(g, -1)).reshape(b, s, k)
    bottom = (counts @ ratios.denominator.reshape(g, -1)).reshape(b, s, k)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1 / bottom
        each = top * inverse
        value = (each * weights).sum(-1)
    if not se:
        return value, None
    with np.errstate(invalid="ignore"):
        up = weights * inverse
        gradient = [up[..., a] for a in range(k)] + [-up[..., a] * each[..., a] for a in range(k)]
    z = [ratios.numerator[..., a] for a in range(k)] + [
        ratios.denominator[..., a] for a in range(k)
    ]
    variance = np.zeros((b, s))
    for i, j in _pairs(k):
        product = counts @ (z[i] * z[j])
        with np.errstate(invalid="ignore"):  # a statistic without any pixels is NaN throughout
            variance += (1 if i == j else 2) * gradient[i] * gradient[j] * product
    return value, np.sqrt(np.maximum(variance, 0) * g / max(g - 1, 1))


def _centred(ratios: Ratios) -> tuple[Ratios, np.ndarray]:
    """Numerators less estimate × denominator, and the estimate (S,): the same bootstrap without
    cancellation.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        each = ratios.numerator.sum(0) / ratios.denominator.sum(0)
    centred = ratios.numerator - np.nan_to_num(each) * ratios.denominator
    return Ratios(centred, ratios.denominator, ratios.weights), (each * ratios.weights).sum(-1)


@dataclass(frozen=True)
class Resampled:
    """Estimate and standard error (S,), how many units have a value and how many different ones
    there are, both (S,), resampled values and standard errors (draws, S), acceleration (S,); total:
    sum of the denominators (S,), of a share the number of images.
    """

    estimate: np.ndarray
    se: np.ndarray
    units: np.ndarray
    different: np.ndarray
    values: np.ndarray
    errors: np.ndarray | None = None
    acceleration: np.ndarray | None = None
    total: np.ndarray | None = None


def resample(
    ratios: Ratios, draws: int, seed: int, methods: Sequence[str] = ("bootstrap_t",)
) -> Resampled:
    """Everything the intervals need, in blocks of draws; the standard errors only where
    bootstrap-t is asked for.
    """
    g, s = ratios.numerator.shape[:2]
    known = np.asarray((ratios.denominator > 0).any(-1))
    ratios, estimate = _centred(ratios)
    _, found = evaluate(ratios, np.ones((1, g)))
    assert found is not None  # standard errors were asked for
    se = found[0]
    different = _different(ratios, known)
    acceleration = None
    if "bca" in methods:
        left, _ = evaluate(ratios, 1 - np.eye(g), se=False)
        d = left.mean(0) - left
        with np.errstate(invalid="ignore", divide="ignore"):
            acceleration = (d**3).sum(0) / (6 * (d**2).sum(0) ** 1.5)
    values = np.empty((draws, s))
    errors = np.empty((draws, s)) if "bootstrap_t" in methods else None
    counts = draw_counts(g, draws, seed)
    for start in range(0, draws, BLOCK):
        part = slice(start, start + BLOCK)
        values[part], error = evaluate(ratios, counts[part], errors is not None)
        values[part] += estimate
        if errors is not None:
            errors[part] = error
    total = ratios.denominator.sum((0, 2))
    return Resampled(estimate, se, known.sum(0), different, values, errors, acceleration, total)


def _different(centred: Ratios, known: np.ndarray) -> np.ndarray:
    """How many different values the units that are `known` (G, S) have, (S,): of what each adds to
    the statistic.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = centred.weights / centred.denominator.sum(0)
        each = (centred.numerator * np.nan_to_num(weight, posinf=0, neginf=0)).sum(-1)
    size = np.abs(each).max(0)
    ordered = np.sort(np.where(known, each, np.nan), axis=0)  # NaN goes last
    steps = np.diff(ordered, axis=0) > SAME * size
    return steps.sum(0) + known.any(0)


class Limits(NamedTuple):
    """An interval for each statistic, or why there is none: low, high (S,), NaN where there is
    none; used: usable draws (S,) int; note (S,) str, "" where there is an interval.
    """

    low: np.ndarray
    high: np.ndarray
    used: np.ndarray
    note: np.ndarray


def limits(r: Resampled, method: str, level: float, within: tuple = (-np.inf, np.inf)) -> Limits:
    """The interval of each statistic, cut to the range `within` that it can lie in (two numbers or
    arrays (S,)).

    None (NaN, and a note that says why) for fewer than five units; fewer than five different values
    among them (but for SHARES, which may be 0 or 1); units so alike that bootstrap-t divides by
    almost nothing (LEAST_SCATTER) in more draws than a tail has; or where the estimate would lie
    outside. A draw in which a statistic (or, for bootstrap-t, its standard error) is undefined is
    left out and counted.
    """
    tail = (1 - level) / 2
    low, high, used = _raw(r, method, np.array([tail, 1 - tail]))
    low, high = np.clip(low, *within), np.clip(high, *within)
    slack = 1e-9 * np.maximum(np.abs(r.estimate), 1)
    reasons = {
        NOTHING: np.isnan(r.estimate),
        TOO_FEW: r.units < MIN_UNITS,
        FLAT: _flat(r) & (method not in SHARES),
        FEW_VALUES: (r.different < MIN_UNITS) & (method not in SHARES),
        ALIKE: _scarce(r, tail) if method == "bootstrap_t" else np.zeros(len(low), bool),
        BESIDE: ~((low <= r.estimate + slack) & (r.estimate - slack <= high)),
    }
    note = np.select(list(reasons.values()), list(reasons), "")
    none = note != ""
    return Limits(np.where(none, np.nan, low), np.where(none, np.nan, high), used, note)


def _raw(r: Resampled, method: str, tails: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower and upper limit and the number of usable draws, each (S,), whatever they are."""
    if method == "t":
        half = stats.t.ppf(tails[1], np.maximum(r.units - 1, 1)) * r.se
        return r.estimate - half, r.estimate + half, np.zeros(len(r.se), int)
    if method in SHARES:
        return *_wilson(r, method, tails), np.zeros(len(r.se), int)
    sample = r.values
    if method == "bootstrap_t":
        assert r.errors is not None  # asked for
        with np.errstate(divide="ignore", invalid="ignore"):
            sample = (r.values - r.estimate) / r.errors
        sample[~(r.errors > NIL * r.se)] = np.nan
    ordered = np.sort(np.asarray(sample).T, axis=1)  # NaN goes last
    used = np.isfinite(ordered).sum(1)
    low_tail, high_tail = np.full(len(used), tails[0]), np.full(len(used), tails[1])
    if method == "bca":
        low_tail, high_tail = _bca_tails(r, used, tails)
    low, high = _quantile(ordered, used, low_tail), _quantile(ordered, used, high_tail)
    if method == "bootstrap_t":
        low, high = r.estimate - high * r.se, r.estimate - low * r.se
    return low, high, used


def _wilson(r: Resampled, method: str, tails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's limits of shares, by their images; by their units with as many images as would
    scatter like that if they were independent, less for few units (Korn & Graubard 1998).
    """
    assert r.total is not None  # shares have counted their images
    p, n, z = r.estimate, r.total, stats.norm.ppf(tails[1])
    if method == "wilson_units":
        with np.errstate(divide="ignore", invalid="ignore"):
            worth = np.where(r.se > 0, p * (1 - p) / r.se**2, r.units)
        n = np.minimum(worth * (z / stats.t.ppf(tails[1], np.maximum(r.units - 1, 1))) ** 2, n)
    with np.errstate(divide="ignore", invalid="ignore"):
        centre, width = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
        return (centre - width) / (1 + z**2 / n), (centre + width) / (1 + z**2 / n)


def _flat(r: Resampled) -> np.ndarray:
    return ~(r.se > 1e-12 * np.maximum(np.abs(r.estimate), 1))


def _scarce(r: Resampled, tail: float) -> np.ndarray:
    """Whether more draws than a tail has hold next to no scatter, (S,)."""
    assert r.errors is not None  # asked for
    enough = r.errors >= LEAST_SCATTER * r.se  # not where undefined
    return (~enough).mean(0) > tail


def _bca_tails(r: Resampled, used: np.ndarray, tails: np.ndarray) -> list[np.ndarray]:
    away = r.values - r.estimate
    equal = np.abs(away) <= SAME * np.maximum(r.se, 1e-300)
    below = ((away < 0) & ~equal).sum(0) + 0.5 * equal.sum(0)
    z0 = stats.norm.ppf(below / np.maximum(used, 1))
    out = []
    for z in stats.norm.ppf(tails):
        with np.errstate(invalid="ignore"):
            out.append(stats.norm.cdf(z0 + (z0 + z) / (1 - r.acceleration * (z0 + z))))
    return out


def _quantile(ordered: np.ndarray, used: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Linear-interpolation quantile (numpy's default) of each row's first `used` values."""
    position = np.where(np.isfinite(q), q, 0) * np.maximum(used - 1, 0)
    lower = np.floor(position).astype(int)
    upper = np.minimum(lower + 1, np.maximum(used - 1, 0))
    rows = np.arange(len(ordered))
    a, b = ordered[rows, lower], ordered[rows, upper]
    return np.where(np.isfinite(q) & (used > 0), a + (position - lower) * (b - a), np.nan)
