"""The blinded reading of a study's test images, and what readers' answers say:
python -m tools.book.readers --study NAME [--protocol NAME] [FILE …].

The book holds readers.html, which opens from disk and shows every test image with the reference and
each network's outline under letters that change from image to image. Which letter is what stands
only in runs/<study>/readers/key_<set>.json. Without files this command packs the page alone for the
readers; with the files that they saved it prints and keeps the statistics.
"""

import argparse
import hashlib
import json
import secrets
import shutil
import string
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from helpers import files, provenance, runs, studies
from helpers.analyses import inspection
from helpers.errors import NotComputable, StudyError, command
from helpers.figures import tables
from helpers.figures.tables import readable
from tools.book import cases

PAGE = "readers.html"
SCRIPTS = ("outline.js", "readers.js", "readers.css")
REFERENCE = inspection.REFERENCE
TITLES = {
    "acceptability": "Share of outlines that readers found, safe, acceptable (95 % intervals)",
    "against_reference": "Acceptable, network minus reference (same reader and image)",
    "agreement_of_readers": "Do two readers grade alike? Weighted kappa, quadratic weights",
    "places": "Which is better? Mean place, 1 is the best",
    "concordance": "Do readers order outlines alike? Kendall's W",
    "by_patient": "In which patients? Share of acceptable outlines",
}


def folder(study: studies.Study) -> Path:
    """Where keys and answers lie, runs/<study>/readers: not in the book."""
    return study.run / "readers"


def write(study: studies.Study, out: Path, assets: Path) -> None:
    """Write readers.html and the folder readers/ to a book: the test images in random order, one of
    each patient before the next, outlines under letters, no network's name.

    assets: the folder that holds the page's own files.
    """
    from helpers import datasets  # only where there are images

    arrays = datasets.load(study)
    positions = arrays.rows("main", "test")
    index, layers = arrays.index.iloc[positions], _layers(study, arrays)
    key = _key(study, index, layers)
    place = out / "readers"
    place.mkdir(parents=True)
    listed = []
    for name, case in key["cases"].items():
        k = int(positions[index["image_id"].to_list().index(case["image_id"])])
        width, height = cases.picture(study, arrays, k, place / f"{name}.webp")
        listed.append({"name": name, "width": width, "height": height})
        shown = {letter: layers[case["image_id"]][who] for letter, who in case["letters"].items()}
        text = f"readingLoaded({json.dumps(name)}, {json.dumps(shown)});\n"
        (place / f"{name}.js").write_text(text, encoding="utf-8")
    content = {
        "set": key["set"],
        "size": list(arrays.masks.shape[1:]),
        "letters": sorted(next(iter(key["cases"].values()))["letters"]),
        "target": next(c.title for c in study.foreground if c.name == study.target),
        "classes": [
            {"index": c.index, "title": c.title, "colour": c.colour} for c in study.foreground
        ],
        "cases": listed,
    }
    text = f"window.READING = {json.dumps(content)};\n"
    (place / "index.js").write_text(text, encoding="utf-8")
    for name in SCRIPTS:
        shutil.copy(assets / name, place / name)
    banner = '<p class="synthetic"><strong>Synthetic data.</strong> Drawn, not recorded.</p>'
    page = (assets / PAGE).read_text(encoding="utf-8")
    page = page.replace("SYNTHETIC", banner if study.synthetic else "")
    (out / PAGE).write_text(page, encoding="utf-8")


def _layers(study: studies.Study, arrays: Any) -> dict:
    """image_id → outline → its runs, of every test image."""
    drawn, positions = runs.drawn(study), arrays.rows("main", "test")
    return {
        name: {REFERENCE: cases.encode(cases.shown(arrays, arrays.masks, k))}
        | {model: cases.encode(cases.shown(arrays, masks, k)) for model, masks in drawn.items()}
        for k, name in zip(positions, arrays.index["image_id"].iloc[positions], strict=True)
    }


def _set(layers: dict) -> str:
    return hashlib.sha256(json.dumps(layers, sort_keys=True).encode()).hexdigest()[:16]


def current(study: studies.Study) -> str:
    """The name of the set of outlines that this run shows to readers."""
    from helpers import datasets

    return _set(_layers(study, datasets.load(study)))


def _key(study: studies.Study, index: pd.DataFrame, layers: dict) -> dict:
    """The key of just these outlines: the one that is there, else a new one by chance."""
    digest = _set(layers)
    path = folder(study) / f"key_{digest}.json"
    if path.is_file():
        return _read_key(path)
    chance = secrets.SystemRandom()
    rows = index[["image_id", "patient_id"]].astype(object).where(index.notna(), None)
    rows = rows.iloc[chance.sample(range(len(rows)), len(rows))]
    turn = rows.groupby(rows["patient_id"].fillna(rows["image_id"])).cumcount()
    found = {}
    for number, row in enumerate(
        rows.loc[turn.sort_values(kind="stable").index].to_dict("records")
    ):
        names = list(layers[row["image_id"]])
        chance.shuffle(names)
        letters = dict(zip(string.ascii_uppercase, names, strict=False))
        found[f"c{number + 1:04d}"] = row | {"letters": letters}
    key = {"set": digest, "cases": found}
    files.write_json(key | {"digest": provenance.digest(key)}, path)
    return key


def read(study: studies.Study, paths: Sequence[Path | str]) -> pd.DataFrame:
    """Every answer as a table (:func:`helpers.analyses.inspection.answers`)."""
    known = {key["set"]: key for key in map(_read_key, folder(study).glob("key_*.json"))}
    given = {}
    for path in paths:
        try:
            content = files.read_json(path)
            reader, set_ = content["reader"], str(content["set"])
        except (ValueError, KeyError, TypeError) as error:
            raise StudyError(f"{path}: is no file that the reading page saved ({error})") from None
        if set_ not in known:
            raise StudyError(
                f"{path}: answers on outlines {set_!r}, of which {folder(study)} has no key; they"
                " belong to another study or an earlier run"
            )
        given[path] = (reader, content.get("cases"), known[set_])
    if len({key["set"] for *_, key in given.values()}) > 1:
        listed = ", ".join(f"{path} on {key['set']}" for path, (*_, key) in given.items())
        raise StudyError(
            f"answers on different outlines: {listed}; evaluate those of each run apart"
        )
    return inspection.answers(given)


def _read_key(path: Path) -> dict:
    """The key of a set of outlines; StudyError where it is not what :func:`_key` wrote."""
    key = files.read_json(path)
    try:
        whole = key.pop("digest") == provenance.digest(key) and all(
            isinstance(case["image_id"], str)
            and isinstance(case["patient_id"], str | None)
            and all(isinstance(name, str) for name in case["letters"].values())
            for case in key["cases"].values()
        )
        whole = whole and path.name == f"key_{key['set']}.json"
    except (KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise StudyError(
            f"{path}: is no key of outlines; put the original back: without it nobody knows whose"
            " outlines were judged"
        )
    return key


def judged(study: studies.Study, table: pd.DataFrame) -> dict:
    """name → table of what the answers say; a NotComputable in the place of what they cannot."""
    options = {"draws": study.statistics["draws"], "seed": study.statistics["seed"]}
    ranked = _ask(inspection.places, table, **options)
    order, together = ranked if isinstance(ranked, tuple) else (ranked, ranked)
    return {
        "acceptability": inspection.acceptability(table, **options),
        "against_reference": _ask(inspection.against_reference, table, **options),
        "agreement_of_readers": _ask(inspection.agreement, table, **options),
        "places": order,
        "concordance": together,
        "by_patient": inspection.by_patient(table),
    }


def _ask(function: Callable, *given: Any, **options: Any) -> Any:
    try:
        return function(*given, **options)
    except NotComputable as reason:
        return reason


def report(study: studies.Study, paths: Sequence[Path | str]) -> None:
    """Print what the answers of the files say, and keep the answers and every table in
    runs/<study>/readers.
    """
    table = read(study, paths)
    files.write_csv(table, folder(study) / "answers.csv")
    for name, found in judged(study, table).items():
        print(f"\n{TITLES[name]}")
        path = folder(study) / f"{name}.csv"
        path.unlink(missing_ok=True)
        if isinstance(found, NotComputable):
            print(f"  {found}")
            continue
        files.write_csv(found, path)
        if "outline" in found:
            found = found.assign(outline=found["outline"].map(label))
        shown, same = readable(found.rename(columns=label))
        print(shown.to_string(index=False) + (f"\n{same}" if same else ""))
    print(f"\ntables: {folder(study)}; a page of the report: make book STUDY={study.name}")


def label(name: str) -> str:
    """An outline's name in words; any other word as it is."""
    return tables.network(name)


def packed(study: studies.Study) -> Path:
    """Write readers.zip, the reading page of the study's book alone; returns its path."""
    book = studies.ROOT / "reports" / study.name / "book"
    if not (book / PAGE).is_file():
        raise StudyError(f"{book / PAGE}: no such page; run `make study STUDY={study.name}` first")
    path = folder(study) / "readers.zip"
    with files.whole(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in [book / PAGE, *sorted((book / "readers").iterdir())]:
            archive.write(file, f"readers/{file.relative_to(book)}")
    return path


def main(arguments: list[str] | None = None) -> None:
    """Pack the blinded reading for readers, or evaluate the files that they saved."""
    parser = argparse.ArgumentParser(prog="tools.book.readers", description=main.__doc__)
    parser.add_argument("--study", required=True)
    parser.add_argument("--protocol", default="quick")
    parser.add_argument("files", nargs="*", help="answers that readers saved")
    args = parser.parse_args(arguments)
    study = studies.load(args.study, args.protocol)
    if args.files:
        report(study, args.files)
    else:
        print(f"give this to each reader: {packed(study)}")
        print("then: make readers FILES='answers_1.json answers_2.json'")


if __name__ == "__main__":
    command(main)
