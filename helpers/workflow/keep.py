"""Kept numbers: what is small and shows no image of each finished training, and the tables that
only a run with images can make, in reports/<study>/results/<protocol>.

That folder is laid out as runs/<study>, its tables of trainings compressed; it grows training by
training. The statistics are made from it again without images (``tools.book.analysis``).
"""

import gzip
import json
import shutil
import zlib
from pathlib import Path

import pandas as pd

from helpers import files, runs, studies
from helpers.errors import StudyError
from helpers.workflow import asked, settings

#: what is kept of a training: compressed tables, and the record of what it was trained with
TABLES, RECORD = ("counts.csv", "history.csv"), "weights.json"
#: keys of the record that are compared with the study
COMPARED = {"study", "model", "fold", "seed", "training", "classes"}
COMPARED |= {"manifest_sha256", "finished"}
#: what is kept of pages: what others read of those that need images, and the telling tables
PAGES = (
    *("results/agreement.csv", "results/speed.csv"),
    *("tables/areas.csv", "tables/gates.csv", "tables/rater_agreement.csv"),
    *("tables/robustness.csv", "tables/risk_coverage.csv"),
    *("tables/headline.csv", "tables/comparison.csv", "tables/structures.csv"),
    *("tables/huang.csv", "tables/folds.csv", "tables/folds_quartiles.csv", "tables/external.csv"),
)
LARGEST = 1_000_000_000  # bytes of a table, unpacked
TEXT = {"patient_id": str, "image_id": str}


def folder(study: studies.Study) -> Path:
    """Where the numbers of a study under its protocol are kept."""
    return studies.ROOT / "reports" / study.name / "results" / study.protocol


def differs(record: dict, study: studies.Study) -> list[str]:
    """In what a training's record is not what the study would train now, as words.

    record: the content of weights.json. Looked at: the study, the list of images with their
    hashes, the classes, every setting of the network in that fold, and the file that its encoder
    started from, where this machine names one.
    """
    names = [m["name"] for m in study.models]
    if record["study"] != study.name or record["model"] not in names:
        return [f"{record['model']} of {record['study']}"]
    if record["fold"] not in ("main", *(fold for _, fold, _ in study.trainings())):
        return [f"fold {record['fold']}"]
    spec = json.loads(json.dumps(study.training(record["model"], record["fold"])))
    ours, kept = studies.DEFAULTS | spec, studies.DEFAULTS | record["training"]
    keys = [key for key in {**ours, **kept} if key not in studies.NOT_TRAINING]
    found = [key for key in keys if ours.get(key) != kept.get(key)]
    weights = [c.weight for c in study.classes] if spec["class_weights"] else None
    now = {
        "classes": ([c.name for c in study.classes], record["classes"]),
        "weights of the classes": (weights, record.get("class_weights")),
        "images.csv": (files.sha256(study.root / "images.csv"), record["manifest_sha256"]),
    }
    found += [name for name, (one, other) in now.items() if one != other]
    try:
        here = settings.encoder_files(spec)
    except StudyError:  # kept numbers are read where the file is not as well
        here = []
    start = (record.get("encoder") or {}).get("sha256")
    return found + ["encoder file"] * bool(here and start and start not in here)


def keep(study: studies.Study) -> tuple[list[Path], list[str]]:
    """Keep what has finished; returns (files written, lines that say what was not kept and why).

    A training is kept when it was made with the settings and the list of images that the study has
    now, a page's table when it was made under this protocol and after every training.
    """
    place, written, left, newest = folder(study), [], [], ""
    for path in sorted(study.run.glob(f"train/*/*/{RECORD}")):
        about = record(path.parent) or {}
        if not (path.parent / TABLES[0]).is_file():
            continue  # still being written
        if other := differs(about, study):
            left.append(f"{path.parent.relative_to(study.run)}: has another {', '.join(other)}")
            continue
        newest = max(newest, about["finished"])
        written += _training(path.parent, place / path.parent.relative_to(study.run))
    if not written:
        raise StudyError(
            f"{study.run}: no finished training of protocol {study.protocol!r} to keep; run `make"
            f" study STUDY={study.name} PROTOCOL={study.protocol}`"
            + "".join(f"\n  - {line}" for line in left)
        )
    pages = settings.pages(studies.ROOT / "notebooks")
    for path in sorted(study.run.glob("notebooks/*.json")):
        page = files.read_json(path)
        own = [name for name in PAGES if f"runs/{study.name}/{name}" in page["files"]]
        about, images = page["parameters"], pages.get(path.stem, {}).get("needs") == "images"
        if not own:
            continue
        if about.get("protocol") != study.protocol:
            left.append(f"{path.stem}: was made under protocol {about.get('protocol')!r}")
        elif page["finished"] < newest and not images:
            left.append(f"{path.stem}: is older than a training; run `make study` to its end")
        else:
            written += [_copied(study.run / name, place / name) for name in own]
    return written, left


def _training(source: Path, target: Path) -> list[Path]:
    """Keep one training. The same bytes give the same file; what cannot be counts of it is refused,
    and what was kept before stays.
    """
    checked(files.read_csv(source / TABLES[0], dtype=TEXT), source / TABLES[0])
    if missing := [name for name in TABLES if not (source / name).is_file()]:
        raise StudyError(f"{source / missing[0]}: is gone; train it again")
    target.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        with files.whole(target / f"{name}.gz") as part:
            part.write_bytes(gzip.compress((source / name).read_bytes(), mtime=0))
    return [target / f"{name}.gz" for name in TABLES] + [_copied(source / RECORD, target / RECORD)]


def _copied(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    with files.whole(target) as part:
        shutil.copy(source, part)
    return target


def trainings(study: studies.Study) -> dict[tuple[str, str, int], Path]:
    """Every kept training: (network's folder, fold, seed) → its folder; in the study's order, then
    by name. StudyError where nothing is kept, or something under other settings than the study's.
    """
    place = folder(study)
    found = {}
    for path in sorted(place.glob(f"train/*/*/{TABLES[0]}.gz")):
        fold, _, seed = path.parent.name.rpartition("_")
        if not seed.isdecimal():
            raise StudyError(f"{path.parent}: is called like no training; remove this folder")
        found[path.parent.parent.name, fold, int(seed)] = path.parent
    if not found:
        others = sorted(p.parent.name for p in place.parent.glob("*/train"))
        raise StudyError(
            f"{place}: no kept numbers of protocol {study.protocol!r}; "
            + (f"there are those of {', '.join(others)}" if others else "`make keep` keeps them")
        )
    order = {(runs.slug(m), f, s): k for k, (m, f, s) in enumerate(study.trainings())}
    for path in found.values():
        about = record(path)
        said = about and f"{runs.slug(about['model'])}/{about['fold']}_{about['seed']}"
        if about and said != (wanted := "/".join(path.parts[-2:])):
            raise StudyError(
                f"{path}: its {RECORD} is that of {said}, in the folder of {wanted}; put the"
                " original back"
            )
        if about and (other := differs(about, study)):
            raise StudyError(
                f"{path}: was trained with another {', '.join(other)} than the study has now;"
                " remove this folder, or train and keep it again"
            )
    return dict(sorted(found.items(), key=lambda item: (order.get(item[0], len(order)), item[0])))


def record(path: Path | str) -> dict | None:
    """The record of a kept training (dict), or None where it was not kept."""
    found = Path(path) / RECORD
    if not found.is_file():
        return None
    content = files.read_json(found)
    if not (isinstance(content, dict) and content.keys() >= COMPARED):
        raise StudyError(
            f"{found}: is not the record of a training; put the original back, or remove its folder"
        )
    return content


def counts(path: Path | str) -> pd.DataFrame:
    """The counts of a kept training: DataFrame with the columns of per_image.csv. StudyError where
    they cannot be those of a training.
    """
    packed = Path(path) / f"{TABLES[0]}.gz"
    return checked(files.read_csv(packed, _unpacked(packed), dtype=TEXT), packed)


def checked(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The counts in a file of one training, as they stand; StudyError where they cannot be such, or
    are of another training than the file's folder, <network>/<fold>_<seed>.
    """
    from helpers.stats.per_image import check  # slow; every start of the workflow imports this file

    check(frame, str(path), "image")
    said = frame[["model", "fold", "seed"]].drop_duplicates().itertuples(index=False)
    found = {f"{runs.slug(model)}/{fold}_{seed}" for model, fold, seed in said}
    if found != {wanted := "/".join(path.parts[-3:-1])}:
        raise StudyError(
            f"{path}: holds counts of {', '.join(sorted(found))}, in the folder of {wanted}; put"
            " the original back"
        )
    return frame


def _unpacked(path: Path) -> bytes:
    """What a compressed table holds; StudyError where it is damaged, or as large as none is."""
    try:
        with gzip.open(path) as file:
            content = file.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise StudyError(f"{path}: cannot be read ({error}); put the original back") from None
    if len(content) > LARGEST:
        raise StudyError(f"{path}: unpacks to more than {LARGEST:,} bytes, as no table does")
    return content


def restore(path: Path | str, target: Path | str) -> None:
    """Write a kept training as its run had it, byte for byte, to the folder ``target``."""
    for name in TABLES:
        if (packed := Path(path) / f"{name}.gz").is_file():
            with files.whole(Path(target) / name) as part:
                part.write_bytes(_unpacked(packed))
    if (Path(path) / RECORD).is_file():
        _copied(Path(path) / RECORD, Path(target) / RECORD)


def reusable(study: studies.Study) -> dict:
    """'<network>/<fold>_<seed>' → kept folder, of the trainings that need not be repeated.

    Those are of folds and of further seeds, of which pages show counts alone (pages 4, 6, 12 and
    the front page show outlines of the first seed on the study's own split), that are kept with a
    record of the same settings and list of images, and that this run has not trained itself.
    """
    found = {}
    for model, fold, seed in study.trainings():
        path = Path("train", runs.slug(model), f"{fold}_{seed}")
        kept, outlines = folder(study) / path, fold == "main" and seed == study.spec["seeds"][0]
        about = record(kept)
        if outlines or not about or (study.run / path / "03_train.json").exists():
            continue
        if (kept / f"{TABLES[0]}.gz").is_file() and not differs(about, study):
            found[path.relative_to("train").as_posix()] = kept
    return found


def restore_training(study: studies.Study, name: str) -> None:
    """Write a kept training to the run; StudyError where it is not of the images that the run's
    own cache has in that fold. name: '<network>/<fold>_<seed>'.
    """
    kept = folder(study) / "train" / name
    index = files.read_csv(study.run / "cache" / "index.csv", dtype=TEXT)
    fold = name.rpartition("/")[2].rpartition("_")[0]
    if fold != "main":
        index = index[index["cv_fold"] == int(fold.removeprefix("cv")) - 1]
    if set(counts(kept)["image_id"]) != set(index["image_id"]):
        raise StudyError(
            f"{kept}: is not of the images that {fold} has here; REPEAT=1 trains it again"
        )
    restore(kept, study.run / "train" / name)


def restored(arguments: list[str] | None = None) -> None:
    """Take one training from the kept numbers: --study NAME --protocol NAME NETWORK/FOLD_SEED."""
    study, args = asked.line("restore", restored.__doc__, arguments, "training")
    restore_training(study, args.training)


def main(arguments: list[str] | None = None) -> None:
    """Keep the numbers of a study's finished trainings and of its pages; names the files."""
    written, left = keep(asked.line("keep", main.__doc__, arguments)[0])
    print("\n".join([str(path) for path in written] + [f"not kept, {line}" for line in left]))
