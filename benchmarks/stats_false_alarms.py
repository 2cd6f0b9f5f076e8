"""How often does each analysis call two equal networks different? The table of the front page.

    python benchmarks/stats_false_alarms.py [runs]

Prints Markdown. Exits with 1 if the patient-level t-test leaves 5 % by more than the simulation's
error, or the image-level one does not (with correlated differences): then the study's choice of
test would be wrong.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
from helpers import stats

DESIGNS = {
    "0": stats.Design(icc=0.0),
    "0.05": stats.Design(icc=0.05),
    "0.2": stats.Design(icc=0.2),
    "0.5": stats.Design(icc=0.5),
    "0.5, unequal": stats.Design(images=stats.UNEQUAL),
    "0.5, skewed": stats.Design(skewed=True),
}


def main(runs=2000):
    rates = {
        name: stats.false_positives(d, runs).set_index("analysis")["rate"]
        for name, d in DESIGNS.items()
    }
    print(
        f"False alarms at 5 %, in %; {runs:,} simulated studies of 22 patients with about 29 images"
        " each, without any"
    )
    print("difference. Columns: intraclass correlation of the differences between two networks.\n")
    print("| analysis | " + " | ".join(DESIGNS) + " |\n|---|" + "---:|" * len(DESIGNS))
    for analysis in stats.ANALYSES:
        print(
            f"| {analysis} | "
            + " | ".join(f"{100 * r[analysis]:.1f}" for r in rates.values())
            + " |"
        )
    error = 4 * np.sqrt(0.05 * 0.95 / runs)
    right = all(abs(rates[k]["paired t, patients"] - 0.05) < error for k in list(DESIGNS)[:5])
    wrong = all(rates[k][stats.ANALYSES[0]] > 0.05 + error for k in list(DESIGNS)[1:])
    return int(not (right and wrong))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
