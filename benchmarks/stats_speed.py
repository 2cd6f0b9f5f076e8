"""How fast are the statistics: the bootstrap of every metric, reading results, and the simulation
of false alarms.

    python benchmarks/stats_speed.py

Times the best of three runs each and exits with 1 when a target is missed: 10,000 cluster-bootstrap
draws of all metrics, classes and five networks in 1 s; 100,000 rows read and summarised in 1 s;
2,000 simulations in 60 s.
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pandas as pd

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent / "tests")]
import stats_data  # noqa: E402  (the tests' simulated results)

from helpers import metrics, stats  # noqa: E402


def best(function, repeats=3):
    """Seconds of the fastest of `repeats` runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def main():
    rows = stats.check(stats_data.per_image())
    every = list(metrics.RATIOS)
    many = pd.concat(
        [stats_data.per_image(seed=k).assign(fold=f"f{k}") for k in range(8)], ignore_index=True
    )
    with tempfile.TemporaryDirectory() as folder:
        study = SimpleNamespace(run=Path(folder), split={})
        (study.run / "results").mkdir()
        many.to_csv(study.run / "results" / "per_image.csv", index=False)

        def read():
            frame = stats.read(study)
            metrics.pooled(frame, ["model", "fold", "class"])

        results = [
            (
                "10,000 draws, all metrics and classes, five networks, percentile",
                1.0,
                best(
                    lambda: stats.intervals(rows, every, estimands=["pooled"], method="percentile")
                ),
            ),
            (
                "the same with bootstrap-t (a standard error in every draw)",
                1.0,
                best(lambda: stats.intervals(rows, every, estimands=["pooled"])),
            ),
            (f"{len(many):,} rows read, checked and summarised", 1.0, best(read)),
            (
                "2,000 simulated studies, eleven analyses",
                60.0,
                best(lambda: stats.false_positives(stats.Design())),
            ),
        ]
    print(f"{os.cpu_count()} cores, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}")
    for name, target, seconds in results:
        print(f"{seconds:7.3f} s  (target {target:g} s)  {name}")
    return int(any(seconds > target for _, target, seconds in results))


if __name__ == "__main__":
    sys.exit(main())
