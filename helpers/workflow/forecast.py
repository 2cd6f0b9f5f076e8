"""What a run will cost before it starts: trainings, hours, disk, and the longest chain of steps.

Hours come from trainings that were timed, here or in kept results: seconds for one pixel of one
image in one epoch, by network. Where a network was never trained, the median of those that were
stands in, and is named.
"""

from collections import Counter
from datetime import datetime
from pathlib import Path
from statistics import median

from helpers import files, runs, studies
from helpers.errors import StudyError
from helpers.workflow import asked, keep, settings

#: trainings that run beside each other on one machine (Snakefile, rule train)
BESIDE = 2


def seconds(record: dict) -> float:
    """How long a step took, from the start and the end that its record names."""
    started, finished = (
        datetime.strptime(record[key], "%Y-%m-%d %H:%M:%S UTC") for key in ("started", "finished")
    )
    return (finished - started).total_seconds()


def measured() -> dict:
    """network → seconds for a pixel of an image in an epoch, median over all known trainings."""
    found: dict[str, list[float]] = {}
    places = ("runs/*/train/*/*", "reports/*/results/*/train/*/*")
    for path in [p for place in places for p in studies.ROOT.glob(f"{place}/{keep.RECORD}")]:
        record = _json(path)
        try:
            spec, pictures = record["training"], record["images"]["train"]
            work = spec["epochs"] * pictures * spec["image_size"] ** 2
            found.setdefault(record["model"], []).append(seconds(record) / work)
        except (KeyError, TypeError, ZeroDivisionError):
            continue
    return {model: median(rates) for model, rates in found.items()}


def missing(study: studies.Study) -> list[tuple[str, str, int]]:
    """Trainings without a finished or a kept one of the same settings and images."""
    found, kept = [], keep.reusable(study)
    for name, (model, fold, seed) in settings.trainings(study).items():
        folder = runs.folder(study, model, fold, seed)
        record, finished = _json(folder / keep.RECORD), (folder / "03_train.json").is_file()
        if name not in kept and not (finished and record and not keep.differs(record, study)):
            found.append((model, fold, seed))
    return found


def lines(study: studies.Study) -> list[str]:
    """The plan in words (list of str)."""
    images, size = studies.images(study), study.spec["image_size"]
    folds = study.spec.get("cross_validation", {}).get("folds", 0)
    pictures = {"main": int((images["split"] == "train").sum())}
    shown = {"main": len(images)}
    for k in range(folds):
        pictures[f"cv{k + 1}"] = len(images) * (folds - 2) // folds
        shown[f"cv{k + 1}"] = len(images) // folds
    todo, rates = missing(study), measured()
    usual = median(rates.values()) if rates else None
    times, space = [], 2 * len(images) * size**2
    for (model, fold), count in Counter((model, fold) for model, fold, _ in todo).items():
        spec = study.training(model, fold)
        if usual is not None:
            work = spec["epochs"] * pictures[fold] * size**2
            times += [rates.get(model, usual) * work] * count
        space += count * (shown[fold] * size**2 + _weights(model))
    said = [f"{len(todo)} of {len(study.trainings())} trainings are still to be done"]
    unknown = sorted({model for model, _, _ in todo} - set(rates))
    if not todo:
        said.append("hours: pages and book only, minutes")
    elif usual is None:
        said.append("hours: unknown, no training has been timed here yet")
    else:
        wall = max(sum(times) / BESIDE, max(times))
        pages = sum(seconds(_json(p)) for p in study.run.glob("notebooks/*.json"))
        after = f"{_time(pages)} of pages" if pages else "pages, which were never timed"
        said += [
            f"time: about {_time(wall)} of training, {BESIDE} side by side on one machine like the"
            f" one that was timed ({_time(sum(times))} in all), then {after}",
            f"longest chain: check, one training of {_time(max(times))}, results, pages, book",
        ]
    if todo and unknown and usual is not None:
        said.append(f"never timed, so taken for an average network: {', '.join(unknown)}")
    return [*said, f"disk: about {_size(space)} beside the images"]


def _json(path: Path) -> dict:
    try:
        content = files.read_json(path)
    except StudyError:
        return {}
    return content if isinstance(content, dict) else {}


def _weights(model: str) -> int:
    """Bytes of a network's weights as some finished training left them; 100 MB where none did."""
    pattern = f"runs/*/train/{runs.slug(model)}/*/weights.safetensors"
    path = next(studies.ROOT.glob(pattern), None)
    return path.stat().st_size if path else 100_000_000


def _time(value: float) -> str:
    if value >= 5400:
        return f"{value / 3600:.1f} hours"
    minutes = max(1, round(value / 60))
    return f"{minutes} minute{'s' * (minutes > 1)}"


def _size(value: int) -> str:
    return f"{value / 1e9:.1f} GB" if value >= 1e9 else f"{max(1, round(value / 1e6))} MB"


def main(arguments: list[str] | None = None) -> None:
    """Print what a run of a study will cost."""
    print("\n".join(lines(asked.line("plan", main.__doc__, arguments)[0])))
