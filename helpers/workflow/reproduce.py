"""Did I reproduce it? A fresh run's trainings held against the kept ones, number by number."""

import sys
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats as distributions

from helpers import files, metrics, stats, studies
from helpers.errors import StudyError
from helpers.figures import model_label
from helpers.stats.counts import canonical
from helpers.workflow import asked, keep

IDENTICAL, WITHIN, OUTSIDE = "identical", "within the spread of seeds", "not reproduced"
UNKNOWN = "differs, and the spread of seeds is unknown"


def numbers(study: studies.Study, counts: pd.DataFrame) -> dict[str, float]:
    """The headline numbers of one training from its counts: name → value.

    The declared metric of the declared class, mean over patients (images where unknown); the
    target's pooled IoU; the share of images in which its Dice is below 0.5. Test images.
    """
    rows = canonical(counts[counts["split"] == "test"])
    metric, class_ = study.statistics["metric"], study.statistics["class"]
    unit = stats.default_unit(rows)
    each = stats.values(rows, metric, class_)
    target = rows[rows["class"] == study.target]
    dice = metrics.scores(target)["Dice"].dropna()
    return {
        f"{metric} of {class_}, mean over {unit}s": each.groupby(f"{unit}_id")["value"]
        .mean()
        .mean(),
        f"pooled IoU of {study.target}": metrics.pooled(target)["IoU"].iloc[0],
        f"share of images with Dice of {study.target} below 0.5": (dice < 0.5).mean(),
    }


def limits(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Within which one more seed would lie: a prediction interval by t; NaN below two seeds."""
    k = len(values)
    if k < 2:
        return np.nan, np.nan
    half = distributions.t.ppf((1 + level) / 2, k - 1) * np.std(values, ddof=1) * np.sqrt(1 + 1 / k)
    return np.mean(values) - half, np.mean(values) + half


def fresh(study: studies.Study) -> dict[tuple[str, str, int], pd.DataFrame]:
    """(network's folder, fold, seed) → counts of every finished training with these settings."""
    found = {}
    for path in sorted(study.run.glob(f"train/*/*/{keep.RECORD}")):
        about = keep.record(path.parent) or {}
        if (path.parent / "counts.csv").is_file() and not keep.differs(about, study):
            key = path.parent.parent.name, about["fold"], about["seed"]
            counts = path.parent / "counts.csv"
            found[key] = keep.checked(files.read_csv(counts, dtype=keep.TEXT), counts)
    if not found:
        raise StudyError(
            f"{study.run}: no finished training of protocol {study.protocol!r}; run `make study"
            f" STUDY={study.name} PROTOCOL={study.protocol}` first"
        )
    return found


def compare(study: studies.Study) -> pd.DataFrame:
    """Every number of every fresh training beside the kept ones: DataFrame with model, fold, seed,
    number, kept (of the same seed; NaN where there is none), ours, low, high (:func:`limits` over
    the kept seeds of that network and fold), verdict.
    """
    run, places = fresh(study), keep.trainings(study)
    kept = {key: numbers(study, keep.counts(path)) for key, path in places.items()}
    rows = []
    for (model, fold, seed), counts in run.items():
        others = [found for key, found in kept.items() if key[:2] == (model, fold)]
        if not others:
            continue
        for name, ours in numbers(study, counts).items():
            same = kept.get((model, fold, seed), {}).get(name, np.nan)
            low, high = limits([found[name] for found in others if name in found])
            row = {"model": model, "fold": fold, "seed": seed, "number": name, "kept": same}
            row |= {"ours": ours, "low": low, "high": high}
            rows.append(row | {"verdict": _verdict(same, ours, low, high)})
    if not rows:
        raise StudyError(f"{keep.folder(study)}: holds none of the trainings in {study.run}")
    return pd.DataFrame(rows)


def _verdict(kept: float, ours: float, low: float, high: float) -> str:
    if np.isclose(kept, ours, rtol=0, atol=1e-12):
        return IDENTICAL
    if np.isnan(low):
        return UNKNOWN
    return WITHIN if low <= ours <= high else OUTSIDE


def lines(table: pd.DataFrame) -> list[str]:
    """The table in words, a line a number, and the count of each verdict (list of str)."""
    said = []
    for row in table.to_dict("records"):
        kept = "not kept" if np.isnan(row["kept"]) else f"kept {row['kept']:.4f}"
        spread = "" if np.isnan(row["low"]) else f", seeds {row['low']:.3f} to {row['high']:.3f}"
        said.append(
            f"{row['verdict']}: {model_label(row['model'])} {row['fold']} seed {row['seed']},"
            f" {row['number'].replace('_', ' ')}: {row['ours']:.4f} ({kept}{spread})"
        )
    counted = table["verdict"].value_counts()
    return [*said, "; ".join(f"{n} {verdict}" for verdict, n in counted.items())]


def main(arguments: list[str] | None = None) -> None:
    """Hold a run against the kept numbers; exit code 1 where a number is not reproduced."""
    table = compare(asked.line("reproduce", main.__doc__, arguments)[0])
    print("\n".join(lines(table)))
    sys.exit(0 if table["verdict"].isin([IDENTICAL, WITHIN]).all() else 1)
