"""Keep the numbers of a long run in the repository: its telling tables, and the records they came
from.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

from helpers import studies

#: what is kept, where a study has it
KEPT = (
    "tables/headline.csv",
    "tables/comparison.csv",
    "tables/structures.csv",
    "tables/huang.csv",
    "tables/gates.csv",
    "tables/folds.csv",
    "tables/folds_quartiles.csv",
    "tables/external.csv",
    "results/per_image.csv",
)


def keep(study):
    """Copy the telling tables of a long run to reports/<study>/results, with the record of each
    main training.

    Numbers only, no images and no weights. Returns the files (list of paths); StudyError when the
    run is not finished.
    """
    run, folder = studies.ROOT / "runs" / study, studies.ROOT / "reports" / study / "results"
    records = sorted(run.glob("train/*/main_*/weights.json"))
    found = [path for name in KEPT if (path := run / name).is_file()]
    if not records or run / KEPT[0] not in found:
        sys.exit(
            f"error: {run}: no finished study to keep numbers of; run `make study STUDY={study}`"
            " first"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for old in filter(Path.is_file, folder.iterdir()):  # folders hold other protocols' numbers
        old.unlink()
    kept = [Path(shutil.copy(path, folder)) for path in found]
    kept.append(folder / "provenance.json")
    about = {
        path.parent.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in records
    }
    kept[-1].write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return kept


def main(arguments=None):
    """Keep the numbers of a study and name the files."""
    parser = argparse.ArgumentParser(prog="helpers keep", description=main.__doc__)
    parser.add_argument("--study", required=True)
    parser.add_argument(
        "--protocol", default="quick", help="accepted so that every step takes the same two options"
    )
    print("\n".join(str(path) for path in keep(parser.parse_args(arguments).study)))
