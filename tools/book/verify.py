"""Is every word and number in the book what the run gives?

Hashes; the book made again from its notebooks; images; counts from predictions; then each page run
again, its tables and what it says. ``--quick`` stops after the book. A hash alone proves nothing
against somebody who writes it anew, so nothing rests on hashes alone.
"""

import argparse
import contextlib
import io
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import nbformat
import numpy as np

from helpers import cache, datasets, files, provenance, runs, studies
from helpers.errors import StudyError, command, raise_all
from helpers.models import catalogue
from helpers.workflow import forecast, lock, results, settings, warm
from tools.book import manuscript, private
from tools.book.build import folder, make
from tools.book.pack import input_files

#: pages whose tables are measurements of a machine: they cannot come out the same twice
MEASURED = ("07",)


def seals(place: Path) -> Iterator[str]:
    """Differences between the seal and the files it covers: the manifest, the zip and the PDF."""
    seal = place / "seal.sha256"
    if not seal.is_file():
        raise StudyError(f"{seal}: no such file; make the book first (`make study`)")
    lines = seal.read_text(encoding="utf-8", errors="replace").splitlines()
    parted = [line.split("  ", 1) for line in lines if "  " in line]
    sealed = {name: digest for digest, name in parted}
    for name in {"book/manifest.json", "book.zip"} - set(sealed):
        yield f"{seal}: does not cover {name}"
    if (
        "".join(f"{digest}  {name}\n" for name, digest in sealed.items()).encode()
        != seal.read_bytes()
    ):
        yield f"{seal}: has changed since the book was made"
    yield from (f"{problem} (or {seal} has)" for problem in _compare(place, sealed))


def hashes(study: studies.Study, place: Path) -> Iterator[str]:
    """Differences between the manifest and the book, its zip, and everything that it was made
    from.
    """
    book = place / "book"
    try:
        manifest = files.read_json(book / "manifest.json")
        listed, inputs = manifest["book"], manifest["inputs"]
    except (OSError, ValueError, KeyError) as error:
        yield f"{book / 'manifest.json'}: cannot be read ({error})"
        return
    present = {p.relative_to(book).as_posix() for p in book.rglob("*") if p.is_file()} - {
        "manifest.json"
    }
    yield from _compare(book, listed)
    yield from (
        f"{book / name}: was not there when the book was made"
        for name in sorted(present - set(listed))
    )
    present = {Path(os.path.relpath(p, studies.ROOT)).as_posix() for p in input_files(study)}
    yield from _compare(studies.ROOT, inputs)
    yield from (
        f"{studies.ROOT / name}: is newer than the book; run `make study` again"
        for name in sorted(present - set(inputs))
    )
    try:
        with zipfile.ZipFile(place / "book.zip") as archive:
            names = {n.removeprefix("book/") for n in archive.namelist()}
    except (OSError, zipfile.BadZipFile) as error:
        yield f"{place / 'book.zip'}: cannot be opened ({error})"
        return
    yield from (f"{place / 'book.zip'}: lacks {name}" for name in sorted(set(listed) - names))


def _compare(base: Path, listed: dict) -> Iterator[str]:
    for name, digest in listed.items():
        path = base / name
        if not path.is_file():
            yield f"{path}: is missing"
        elif files.sha256(path) != digest:
            yield f"{path}: has changed since the book was made"


def recorded(study: studies.Study) -> Iterator[str]:
    """Files of any step that are not, byte for byte, what its record says."""
    for pattern in settings.RECORDS:
        found = sorted(study.run.glob(pattern))
        if not found and pattern != "data.json":  # which only drawn studies have
            yield f"{study.run / pattern}: is missing; run `make study` again"
        for record in found:
            for name in files.changed(record, studies.ROOT, every_byte=True):
                yield f"{studies.ROOT / name}: is not what {record} says was made"


def code(study: studies.Study) -> Iterator[str]:
    """Pages that were made by other code than is here."""
    for record in sorted(study.run.glob("notebooks/*.json")):
        page = provenance.REPOSITORY / "notebooks" / f"{record.stem}.ipynb"
        if files.read_json(record).get("sources") != provenance.code_digest(page):
            yield f"{record}: was made by other code than is here; run `make study` again"


def images(study: studies.Study) -> Iterator[str]:
    """Differences between the images and masks that were learned from, their files, and the hashes
    of those in images.csv.
    """
    data, frame, arrays = studies.folder(study), studies.images(study), datasets.load(study)
    told = frame.assign(cv_fold=datasets.folds(study, frame))
    if files.csv_text(told) != files.csv_text(arrays.index[told.columns]):
        yield f"{study.run / 'cache/index.csv'}: says other than {study.root / 'images.csv'}"
        return
    if not data.is_dir():
        print(
            f"images: {data} is not on this machine, so the images themselves are not compared",
            flush=True,
        )
        return
    size, aspect = study.spec["image_size"], study.spec["aspect"]
    for row in frame.itertuples():
        image, mask, _, problems = cache.read_row(row, data, study.classes, study.ignored)
        yield from problems
        if image is None or mask is None:
            continue
        if not (
            np.array_equal(datasets.resize_image(image, size, aspect), arrays.images[row.Index])
            and np.array_equal(datasets.resize_mask(mask, size, aspect), arrays.masks[row.Index])
        ):
            yield f"{study.run / 'cache'}: image_id {row.image_id} is not what its files show"


def raters(study: studies.Study) -> Iterator[str]:
    """Differences between the raters' outlines and their hashes in annotations.csv."""
    data, frame = studies.folder(study), studies.annotations(study)
    if frame is None or not data.is_dir():
        return
    frame = frame.assign(sha256_mask=frame.get("sha256_mask", np.nan))
    inside = frame["image_id"].isin(studies.images(study)["image_id"])
    for name, digest in frame.loc[inside, ["mask", "sha256_mask"]].to_numpy():
        if found := cache.problem(data, name, digest):
            yield f"{study.root / 'annotations.csv'}: {found}"


def learned(study: studies.Study) -> Iterator[str]:
    """Differences between the weights, their records and the settings of study.yml."""
    for training in study.trainings():
        place = runs.folder(study, *training)
        path = place / "weights.json"
        try:
            record = files.read_json(path)
            same = files.sha256(place / "weights.safetensors") == record["sha256"]
            kept, wanted = (
                studies.DEFAULTS | s for s in (record["training"], study.training(*training[:2]))
            )
            if (record["model"], record["fold"], record["seed"]) != training:
                yield f"{path}: is the record of another training"
            elif others := [k for k in wanted if kept.get(k) != wanted[k]]:
                yield f"{path}: was learned with another {', '.join(sorted(others))}"
            elif record.get("sources") != catalogue.code(training[0]):
                yield f"{path}: was learned by other code than is here; run `make study` again"
            elif not same:
                yield f"{place / 'weights.safetensors'}: are not the weights of {path}"
        except (OSError, ValueError, KeyError, TypeError) as error:
            yield f"{path}: cannot be compared with its weights ({type(error).__name__}: {error})"


def locked() -> Iterator[str]:
    """Differences between the installed libraries that decide the numbers and requirements.lock."""
    lock = provenance.REPOSITORY / "requirements.lock"
    if not lock.is_file():
        yield f"{lock}: is missing"
        return
    pins = re.findall(r"^([\w.-]+)==([^ ;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    for name, version in provenance.libraries().items():
        versions = {v for pinned, v in pins if pinned == name}
        if version.split("+")[0] not in versions:
            known = " or ".join(sorted(versions)) or "none"
            yield f"{lock}: {name} is {version} here, the lock has {known}; run `make env`"


def rebuilt(study: studies.Study, place: Path) -> Iterator[str]:
    """Differences between the book and the one that its notebooks, tables and figures give."""
    with tempfile.TemporaryDirectory() as temporary:
        again = Path(temporary) / "book"
        make(study, again)
        made = {p.relative_to(again) for p in again.rglob("*") if p.is_file()}
        book = place / "book"
        there = {p.relative_to(book) for p in book.rglob("*") if p.is_file()}
        for name in sorted(made | there - {Path("manifest.json")}):
            if not _same(book / name, again / name):
                yield f"{book / name}: is not what the run gives"


def _same(one: Path, other: Path) -> bool:
    return one.is_file() and other.is_file() and one.read_bytes() == other.read_bytes()


def counted(study: studies.Study) -> Iterator[str]:
    """Differences between counts.csv, every cell of it, and what predictions and reference give,
    and between counts and per_image.csv.
    """
    from helpers.training import fold as learned  # slow to import

    arrays = datasets.load(study)
    folders = [runs.folder(study, *training) for training in study.trainings()]
    if missing := [p for p in folders if not (p / "predictions.npy").is_file()]:
        yield from (f"{p / 'predictions.npy'}: is missing; run `make study` again" for p in missing)
        return
    for place, (model, fold, seed) in zip(folders, study.trainings(), strict=True):
        predictions = np.load(place / "predictions.npy", mmap_mode="r")
        whole = np.arange(len(arrays.index))
        positions = whole if fold == "main" else arrays.rows(fold, "test")
        if len(positions) != len(predictions):
            yield (
                f"{place / 'predictions.npy'}: has {len(predictions)} outlines, fold {fold} has"
                f" {len(positions)} images"
            )
            continue
        with tempfile.TemporaryDirectory() as temporary:
            again = Path(temporary) / "counts.csv"
            rows = learned.count(study, arrays, positions, predictions, model, fold, seed)
            files.write_csv(rows, again)
            if not _equal(again, place / "counts.csv"):
                yield f"{place / 'counts.csv'}: is not what predictions.npy gives"
        record = files.read_json(place / "weights.json")
        if record["manifest_sha256"] != files.sha256(study.root / "images.csv"):
            yield f"{place / 'weights.json'}: was learned with another images.csv"
    with tempfile.TemporaryDirectory() as temporary:
        joined = Path(temporary) / "per_image.csv"
        with contextlib.redirect_stdout(io.StringIO()):
            results.collect([place / "counts.csv" for place in folders], joined)
        table = study.run / "results" / "per_image.csv"
        if joined.read_bytes() != table.read_bytes():
            yield f"{table}: is not the counts of the trainings joined"


def printed(study: studies.Study) -> Iterator[str]:
    """Differences between the tables of printed numbers and what the papers' files give."""
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, "-m", "tools.audit", str(study.root / "published.yml")]
        subprocess.run(
            [*command, "--out", temporary],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=provenance.REPOSITORY,
        )
        for made in sorted(Path(temporary).iterdir()):
            if not _equal(made, study.run / "results" / made.name):
                yield f"{study.run / 'results' / made.name}: is not what published.yml gives"


def remade(study: studies.Study) -> Iterator[str]:
    """Run every page again and compare its tables and what it says; pages that measure a machine
    are left out.

    Each page runs in a place of its own that holds all tables but the page's, so that several
    run side by side.
    """
    records = {p.stem: files.read_json(p) for p in study.run.glob("notebooks/*.json")}
    kept = (f"runs/{study.name}/tables/", f"runs/{study.name}/results/")
    again = {
        page: [name for name in record["files"] if name.startswith(kept)]
        for page, record in records.items()
        if not page.startswith(MEASURED)
    }
    ordered = sorted(again.items(), key=lambda item: forecast.seconds(records[item[0]]))
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = {
            pool.submit(_again, study, page, records[page], own, Path(temporary) / page): page
            for page, own in reversed(ordered)
        }
        for number, done in enumerate(as_completed(waiting), 1):
            seconds, problems = done.result()
            said = "differs" if problems else "the same again"
            print(
                f"[{number} of {len(again)}] {waiting[done]}: {said}, {seconds:.0f} s",
                flush=True,
            )
            yield from problems


def _again(
    study: studies.Study, page: str, record: dict, own: Any, root: Path
) -> tuple[float, list[str]]:
    """(seconds, problems) of running one page again below ``root``. own: names of the tables
    that it wrote.
    """
    run, begun = root / "runs" / study.name, time.monotonic()
    (run / "tables").mkdir(parents=True)
    (root / "data_manifest").symlink_to(studies.ROOT / "data_manifest")
    for part in ("cache", "train", "results"):
        if (study.run / part).exists():
            shutil.copytree(study.run / part, run / part, copy_function=os.symlink)
    check = files.read_json(run / "cache/check.json")
    files.write_json(
        check | {"data": str(studies.folder(study).resolve())}, run / "cache/check.json"
    )
    for path in (study.run / "tables").glob("*"):
        if os.path.relpath(path, studies.ROOT) not in own:
            (run / "tables" / path.name).symlink_to(path.resolve())
    for name in own:
        (root / name).unlink(missing_ok=True)
    given = [
        x
        for name, value in record["parameters"].items()
        for x in ("-p", name, value if isinstance(value, str) else json.dumps(value))
    ]
    command = [
        sys.executable,
        "-m",
        "helpers",
        "notebook",
        str(provenance.REPOSITORY / f"notebooks/{page}.ipynb"),
        str(run / "notebooks" / f"{page}.ipynb"),
        *given,
    ]
    done = subprocess.run(
        command,
        env=os.environ
        | {"STUDY_ROOT": str(root), "OMP_NUM_THREADS": "1", "STUDY_WARM": warm.place()},
        check=False,
        capture_output=True,
        text=True,
        cwd=provenance.REPOSITORY,
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        why = said[-1].removeprefix("error: ") if said else done.stderr.strip()[-200:]
        problems = [f"notebooks/{page}.ipynb: cannot be run again: {why}"]
    else:
        problems = [
            f"{studies.ROOT / name}: is not what notebooks/{page}.ipynb makes from the results"
            for name in own
            if not _equal(root / name, studies.ROOT / name)
        ]
        if not problems and _said(run / f"notebooks/{page}.ipynb") != _said(
            study.run / f"notebooks/{page}.ipynb"
        ):
            problems = [f"{study.run}/notebooks/{page}.ipynb: says other words than when run again"]
    return time.monotonic() - begun, problems


def _said(path: Path) -> list[str]:
    """What an executed notebook shows in words (list of str): texts and tables, without the ids
    that pandas draws for a table's cells and without times and versions of the code.
    """
    shown = []
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            for kind in ("text/markdown", "text/html"):
                text = output.get("data", {}).get(kind, "")
                shown.append(re.sub(r"T_[0-9a-f]{5}|\d{4}-\d\d-\d\d [\d:]+ UTC|code \w+", "", text))
    return shown


def _equal(made: Path, kept: Path) -> bool:
    """True for the same texts and numbers; another processor may round the last digits of a
    network's output.
    """
    if not made.is_file() or _same(made, kept):
        return made.is_file()
    one, other = (files.read_csv(path, dtype=str).fillna("") for path in (made, kept))
    if list(one) != list(other) or len(one) != len(other):
        return False
    differ = (one != other).to_numpy()
    return all(map(_close, one.to_numpy()[differ], other.to_numpy()[differ]))


def _close(one: str, other: str) -> bool:
    """Whether two cells are fractions that differ in their last digits alone; 007 is not 7."""
    try:
        fractions = "." in one and "." in other
        return fractions and math.isclose(float(one), float(other), rel_tol=1e-6, abs_tol=1e-9)
    except ValueError:
        return False


def verify(study: studies.Study, quick: bool = False, key: Path | str | None = None) -> None:
    """Check the book of a study, a line for each step; StudyError lists every difference.

    key: a file of names and original ids, none of which may stand in anything of the study.
    """
    place, _held = folder(study), lock.look(study.run, "`make verify`")

    def step(name: str, *checks: Iterable[str]) -> None:
        begun = time.monotonic()
        raise_all(
            [p for check in checks for p in check],
            f"the book of {study.name} is not what was made ({name})",
        )
        print(f"{name}: as made, {time.monotonic() - begun:.0f} s", flush=True)

    # in this order, and each only if the one before found nothing: numbers from changed files
    # mean nothing
    step("hashes of the book, its zip and all it was made from", seals(place), hashes(study, place))
    step("the book, made again from its notebooks", rebuilt(study, place))
    if (place / manuscript.NAME).is_file():
        step("every number of the manuscript, from its cell", manuscript.checked(study))
    if key:
        problems, looked = private.search(study, key)
        step(f"nobody is named: {looked}", problems)
    if quick:
        return
    step("every file that a step recorded", recorded(study))
    step("code, installed libraries and their lock", code(study), locked())
    step("images, masks and raters' outlines", images(study), raters(study))
    step("weights, their records and settings", learned(study))
    step("counts from predictions and reference", counted(study))
    step("printed numbers, from the papers' files", printed(study))
    step("every page, run again: tables and words", remade(study))


def main(arguments: list[str] | None = None) -> None:
    """Check a book: hashes, the book made again, counts from predictions, every page run again."""
    parser = argparse.ArgumentParser(prog="tools.book.verify", description=main.__doc__)
    parser.add_argument("--study", required=True)
    parser.add_argument("--protocol", default="quick")
    parser.add_argument("--quick", action="store_true", help="without images, counts and pages")
    parser.add_argument("--key", help="CSV of names and original ids, to be found nowhere")
    args = parser.parse_args(arguments)
    study = studies.load(args.study, args.protocol)
    verify(study, args.quick, args.key)
    names = "" if args.key else " names of people (give KEY=);"
    if args.quick:
        print(
            f"as made; not looked at:{names} images, weights, code, libraries, counts, and whether"
            " the pages come out the same"
        )
    else:
        measured = ", ".join(MEASURED)
        print(
            f"verified: every file is as it was made, and every page of {study.name} comes out"
            f" the same. Not looked at:{names} trainings, run again; pictures, pixel by pixel;"
            f" page {measured}, which measures a machine."
        )


if __name__ == "__main__":
    command(main)
