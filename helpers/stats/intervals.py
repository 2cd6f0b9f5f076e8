"""Every printed metric with its interval: pooled, per patient and per image, for each class and
network.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from helpers.errors import StudyError
from helpers.stats.bootstrap import Ratios, limits, resample
from helpers.stats.counts import COUNTS, canonical
from helpers.stats.design.coverage import KINDS, beside, coverage
from helpers.stats.values import (
    ALL,
    DIFFERENCE,
    EMPTY,
    FOREGROUND,
    RANGE,
    RATIOS,
    default_unit,
    ratio,
)

METHODS = ("bootstrap_t", "percentile", "bca", "t")
ESTIMANDS = {
    "pooled": "pixels of all images summed, then the ratio (micro)",
    "per_patient": "mean over a patient's images, then over patients (macro)",
    "per_image": "mean over images",
}
METRICS = ("IoU", "Dice", "recall", "precision")
COLUMNS = [
    "model",
    "class",
    "metric",
    "estimand",
    "estimate",
    "low",
    "high",
    "se",
    "method",
    "level",
    "unit",
    "n_units",
    "n_images",
    "undefined_images",
    "draws_used",
    "note",
]


def intervals(
    per_image: pd.DataFrame,
    metrics: Sequence[str] = METRICS,
    classes: Sequence[str] | None = None,
    estimands: Sequence[str] = ("pooled", "per_patient"),
    *,
    method: str | Sequence[str] = "bootstrap_t",
    draws: int = 10_000,
    seed: int = 1,
    level: float = 0.95,
    empty: str = "undefined",
    background: str = "background",
    headline: str | None = None,
    runs: int = 0,
) -> pd.DataFrame:
    """Estimates and intervals from pixel counts (rows of per_image.csv, one split and fold; seeds
    averaged).

    metrics: names of `units.RATIOS`; classes: class names, "all", "foreground" (None: all of
    these); method: one or several of METHODS. Patients are resampled whole, the same draws for
    every model, class and metric; images where no patient is known. "bootstrap_t" is the method of
    choice; "percentile" and "bca" cover about 93 % at 22 patients.

    Columns: model, class, metric, estimand, estimate, low, high, se, method, level, unit
    (patient|image), n_units, n_images, undefined_images (value undefined under the empty rule),
    draws_used, note; with `runs` also coverage, of each method in so many studies drawn from this
    one (``design.coverage``). With `headline` the rows are differences headline − model. Fewer than
    five units: low and high are NaN and `note` says why.
    """
    asked = [method] if isinstance(method, str) else list(method)
    for given, known, what in [
        (asked, METHODS, "interval method"),
        (estimands, ESTIMANDS, "estimand"),
        (metrics, RATIOS, "metric"),
        ([empty], EMPTY, "empty policy"),
    ]:
        if unknown := [g for g in given if g not in known]:
            raise StudyError(
                f"unknown {what} {', '.join(map(repr, unknown))}; known: {', '.join(known)}"
            )
    cube = Cube.of(per_image, background)
    if classes is None:
        classes = [ALL, *([FOREGROUND] if len(cube.classes) > 2 else []), *cube.classes]
    if unknown := [c for c in classes if c not in (*cube.classes, ALL, FOREGROUND)]:
        raise StudyError(
            f"class {', '.join(unknown)} is not in the results; there are {', '.join(cube.classes)}"
        )
    if headline is not None and headline not in cube.models:
        raise StudyError(
            f"no results for the headline model {headline!r}; there are {', '.join(cube.models)}"
        )
    specs = [
        (estimand, c, m)
        for estimand in estimands
        for c in classes
        for m in metrics
        if not (m == "accuracy" and c == FOREGROUND)
    ]
    by_terms: dict[int, list] = {}
    for spec in specs:
        n, d = cube.terms(*spec, empty)
        by_terms.setdefault(n.shape[-1], []).append((spec, n, d))
    out = []
    for k, group in by_terms.items():
        out += _group(cube, k, group, asked, draws, seed, level, headline, runs)
    frame = pd.DataFrame(out)[[*COLUMNS, *(["coverage"] if runs else [])]]
    rank = {spec: i for i, spec in enumerate(specs)}
    order = [
        rank[spec] for spec in zip(frame["estimand"], frame["class"], frame["metric"], strict=True)
    ]
    return frame.iloc[np.lexsort((np.arange(len(frame)), np.array(order)))].reset_index(drop=True)


def _group(
    cube: "Cube",
    k: int,
    group: list,
    methods: list[str],
    draws: int,
    seed: int,
    level: float,
    headline: str | None,
    runs: int,
) -> list[dict]:
    """Rows for statistics with the same number of terms: one resampling for all of them and all
    models.
    """
    models = list(range(len(cube.models)))
    top = np.stack([n for _, n, _ in group], axis=2)  # (G, M, specs, K)
    bottom, weights = over_classes(np.stack([d for _, _, d in group], axis=2))
    if headline is not None:
        first = cube.models.index(headline)
        models.remove(first)
        top, bottom, other = (
            np.concatenate(
                [np.repeat(a[..., [first], :, :], len(models), -3), a[..., models, :, :]], -1
            )
            for a in (top, bottom, weights)
        )
        weights = other * np.repeat([1, -1], k)
    g, terms = len(top), top.shape[-1]
    parts = top.reshape(g, -1, terms), bottom.reshape(g, -1, terms)
    ratios = Ratios(*parts, weights.reshape(-1, terms))
    r = resample(ratios, draws, seed, methods)
    within = RANGE if headline is None else DIFFERENCE
    covers = coverage(ratios, methods, within, runs, seed=seed, level=level) if runs else {}
    rows = []
    for method in methods:
        found = limits(r, method, level, within)
        for s, (m, (spec, _, _)) in enumerate((m, item) for m in models for item in group):
            compared = [m] if headline is None else [m, first]
            rows.append(
                {
                    "model": cube.models[m],
                    "class": spec[1],
                    "metric": spec[2],
                    "estimand": spec[0],
                    "estimate": r.estimate[s],
                    "low": found.low[s],
                    "high": found.high[s],
                    "se": r.se[s],
                    "method": method,
                    "level": level,
                    "unit": cube.unit,
                    "n_units": int(r.units[s]),
                    "n_images": cube.n_images,
                    "undefined_images": cube.undefined(compared, spec[1], spec[2]),
                    "draws_used": int(found.used[s]),
                    "note": str(found.note[s]),
                    "coverage": covers[method][s] if runs else np.nan,
                }
            )
    return rows


def covered(
    per_image: pd.DataFrame,
    *asked: Any,
    method: str = "bootstrap_t",
    runs: int = 1000,
    **options: Any,
) -> pd.DataFrame:
    """:func:`intervals` by `method`, with how often it covers at this number of units (in `runs`
    studies drawn from this one), and another interval where that is too seldom (``beside``).
    """
    kinds = [method, *(k for k in KINDS if k != method)]
    every = intervals(per_image, *asked, method=kinds, runs=runs, **options)
    return beside(every, method, ["estimand", "class", "metric", "model"])


def over_classes(denominator: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Denominators (G, …, K) and weights (…, K) of a mean over the last axis, the classes.

    A class without any pixel for a network is undefined there and left out of its mean: its weight
    is 0, its denominator that of the others together. NaN where no class is defined.
    """
    defined = denominator.sum(0) > 0
    total = denominator.sum(-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        weights = defined / defined.sum(-1, keepdims=True)
    return np.where(defined, denominator, total), weights


class Cube:
    """Counts as an array (models, images, classes, 4), seeds averaged, and which unit each image
    belongs to.
    """

    def __init__(
        self,
        models: list[str],
        classes: Sequence[str],
        counts: np.ndarray,
        unit_of: np.ndarray,
        unit: str,
        background: str,
    ) -> None:
        self.models, self.classes, self.counts = models, classes, counts
        self.unit_of, self.unit, self.background = unit_of, unit, background
        self.n_images, self.units = counts.shape[1], int(unit_of.max()) + 1
        self._values: dict = {}

    @classmethod
    def of(cls, per_image: pd.DataFrame, background: str = "background") -> "Cube":
        """From rows of per_image.csv; StudyError when a model or class lacks images that others
        have.
        """
        frame = canonical(per_image)
        unit = default_unit(frame)
        codes = {}
        for column in ["model", "image_id", "class", "seed"]:
            codes[column] = pd.factorize(frame[column], sort=True)
        (m, models), (i, images), (c, classes), (s, seeds) = codes.values()
        shape = len(models), len(images), len(classes), len(seeds)
        seen = np.zeros(shape, bool)
        seen[m, i, c, s] = True
        if seen.sum() != len(frame):
            raise StudyError(
                "per_image rows repeat (model, image, class, seed); select one fold and split first"
            )
        trained = np.asarray(seen.any((1, 2)))  # which seeds each model has
        if not (seen == trained[:, None, None, :]).all():
            a, b = np.argwhere(seen != trained[:, None, None, :])[0][:2]
            raise StudyError(
                f"model {models[a]} lacks rows of image {images[b]} that others have; predict"
                " it too"
            )
        counts = np.zeros((*shape, 4))
        counts[m, i, c, s] = frame[COUNTS].to_numpy(float)
        counts = counts.sum(3) / trained.sum(1)[:, None, None, None]
        names = frame["image_id"] if unit == "image" else frame["patient_id"]
        first = np.zeros(len(images), int)
        first[i] = pd.factorize(names, sort=True)[0]
        return cls(list(models), list(classes), counts, first, unit, background)

    def _columns(self, class_: str) -> list[int]:
        return [
            k
            for k, name in enumerate(self.classes)
            if class_ in (ALL, name) or (class_ == FOREGROUND and name != self.background)
        ]

    def _sum(self, values: np.ndarray) -> np.ndarray:
        """(M, N, ...) per image -> (G, M, ...) per unit."""
        onto = np.zeros((self.units, self.n_images))
        onto[self.unit_of, np.arange(self.n_images)] = 1
        return np.einsum("gn,mn...->gm...", onto, values, optimize=True)

    def value(self, class_: str, metric: str, empty: str) -> np.ndarray:
        """(models, images): the metric of each image; a mean over classes where several are asked
        for.
        """
        key = class_, metric, empty
        if key not in self._values:
            if metric == "accuracy" and class_ == ALL:
                v = self.counts[..., 0].sum(2) / self.counts[:, :, 0].sum(-1)
            else:
                each = ratio(self.counts[:, :, self._columns(class_)], metric, empty)
                n = (~np.isnan(each)).sum(-1)
                v = np.where(n > 0, np.nansum(each, -1) / np.maximum(n, 1), np.nan)
            self._values[key] = v
        return self._values[key]

    def undefined(self, models: list[int], class_: str, metric: str) -> int:
        """Images whose value is undefined for one of the models (indices)."""
        return int(np.isnan(self.value(class_, metric, "undefined")[models]).any(0).sum())

    def terms(
        self, estimand: str, class_: str, metric: str, empty: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Numerators and denominators per unit, each (G, M, K)."""
        if estimand != "pooled":
            v = self.value(class_, metric, empty)
            total, n = self._sum(np.nan_to_num(v)), self._sum((~np.isnan(v)).astype(float))
            if estimand == "per_patient":
                total, n = (
                    np.divide(total, n, out=np.zeros_like(total), where=n > 0),
                    (n > 0).astype(float),
                )
            return total[..., None], n[..., None]
        if metric == "accuracy" and class_ == ALL:
            right, pixels = self.counts[..., 0].sum(2), self.counts[:, :, 0].sum(-1)
            return self._sum(right)[..., None], self._sum(pixels)[..., None]
        sums = self._sum(self.counts[:, :, self._columns(class_)])
        top, bottom = (sums @ vector for vector in RATIOS[metric])
        if metric == "precision":  # of what is there and is missed throughout it is 0
            bottom = np.where(bottom.sum(0) == 0, sums[..., COUNTS.index("fn")], bottom)
        return top, bottom
