"""From files to arrays: every image opened, hashed and sized once, kept as uint8 beside an index.

Nothing is cached, and so nothing trains, unless every file of the manifest passed.
"""

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from helpers import files, leakage, studies
from helpers.datasets import FRAME, folds, frame, resize_image, resize_mask
from helpers.errors import DISK, StudyError, raise_all
from helpers.readers import files_of, leads_out, read_image, read_mask, sha256


def problem(data: Path, name: str, expected: Any) -> str | None:
    """Why a file that a manifest names is not to be read, in words, or None: it is not there, a
    link leads out of the folder ``data``, or its digest is not ``expected`` (NaN where unknown).
    """
    path = data / name
    try:
        parts = files_of(path)
        if not all(part.is_file() for part in parts):
            return f"{path} is missing; restore it, or take the row out of the table"
        if leads_out(path, data):
            return f"{path} leads out of {data} by a link; copy the file into the folder"
        found = sha256(path)
    except OSError as error:
        return f"{path} cannot be opened: {error.strerror}"
    if expected == expected and found != expected:
        return (
            f"{path} has changed (sha256 {found[:12]}…, manifest {expected[:12]}…); restore the"
            " file, or run `make manifest` if the change is meant"
        )
    return None


def read_row(
    row: Any, data: Path, classes: Sequence[studies.Class], ignored: Sequence[str] = ()
) -> tuple[np.ndarray | None, np.ndarray | None, tuple[float, float] | None, list[str]]:
    """Read and check one row of images.csv: (image, mask, spacing or None, list of problems)."""
    where, problems, spacing = f"image_id {row.image_id}", [], None
    arrays: list[np.ndarray | None] = [None, None]
    for kind, name, expected in [
        ("image", row.image, row.sha256_image),
        ("mask", row.mask, row.sha256_mask),
    ]:
        path = data / name
        if found := problem(data, name, expected):
            problems.append(f"{where}: {kind} {found}")
            continue
        try:
            if kind == "image":
                arrays[0], spacing = read_image(path)
            else:
                shape = None if arrays[0] is None else arrays[0].shape
                arrays[1] = read_mask(path, classes, ignored=ignored, shape=shape)
        except (StudyError, OSError, ValueError, MemoryError) as error:
            problems.append(f"{where}: {kind} cannot be read: {error or 'not enough memory'}")
    image, mask = arrays
    return image, mask, spacing, problems


def build(study: studies.Study, data: Path | str) -> pd.DataFrame:
    """Check every file of the study and write runs/<study>/cache; StudyError lists every bad row.

    data: the folder that the paths of images.csv are relative to. Writes images.npy, masks.npy
    (uint8 N×S×S), index.csv and check.json; the last appears only when all else is in place.
    The record of the step is cache.json beside the folder. Returns the index.
    """
    data, index = Path(data), studies.images(study)
    if not data.is_dir():
        raise StudyError(
            f"DATA={data}: no such folder; give the folder that holds the images of {study.name}"
        )
    if "pixel_spacing_mm" not in index:  # may be left out where nothing is known
        index["pixel_spacing_mm"] = np.nan
    size, aspect, count = study.spec["image_size"], study.spec["aspect"], len(index)
    folder = study.run / "cache"
    part = folder.with_name("cache.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    arrays = [_reserved(part / name, (count, size, size)) for name in ("images.npy", "masks.npy")]
    shapes, spacings, problems = [], [], []

    def work(row: Any) -> tuple[tuple[int, ...], tuple[float, float] | None, list[str]]:
        image, mask, spacing, found = read_row(row, data, study.classes, study.ignored)
        if found or image is None or mask is None:
            return (0, 0), None, found
        arrays[0][row.Index], arrays[1][row.Index] = (
            resize_image(image, size, aspect),
            resize_mask(mask, size, aspect),
        )
        return image.shape, spacing, found

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, (shape, spacing, found) in enumerate(pool.map(work, index.itertuples()), 1):
            shapes.append(shape)
            spacings.append(spacing)
            problems += found
            if number % 200 == 0 or number == count:
                print(f"checked {number} of {count} images", flush=True)
    raise_all(problems, f"{study.root / 'images.csv'} against {data}")
    leakage.require([leakage.identical(index)], study.root / "images.csv")
    index["height_px"], index["width_px"] = np.array(shapes).T
    declared = index.get("pixel_spacing_mm", pd.Series(np.nan, index.index))
    index[["pixel_row_mm", "pixel_column_mm", "pixel_mm"]] = [
        _pixel_mm(*row, frame(row[0], size, aspect)[2:])
        for row in zip(shapes, spacings, declared, strict=True)
    ]
    if aspect == "keep":
        index[FRAME] = [frame(shape, size, aspect) for shape in shapes]
    index["cv_fold"] = folds(study, index)
    for line in leakage.table(leakage.quick(index, arrays[1], study.classes)).itertuples():
        print(f"gate, {line.gate}: {line.result}; {line.found}", flush=True)
    if (people := studies.patients(study)) is not None:
        alone = people.loc[studies.imageless(people, index), "patient_id"].tolist()
        more = f" and {len(alone) - 5} more" if len(alone) > 5 else ""
        if alone:
            print(f"patients.csv: no image in this run of {', '.join(alone[:5])}{more}", flush=True)
    files.write_csv(index, part / "index.csv")
    pixels = np.bincount(arrays[1].ravel(), minlength=len(study.classes))
    summary = {
        "images": count,
        "size": size,
        "aspect": aspect,
        "data": os.path.relpath(data, studies.ROOT),
        "passed": True,
        "sha256": {path.name: files.sha256(path) for path in sorted(part.iterdir())},
        "pixels": dict(zip([c.name for c in study.classes], pixels.tolist(), strict=True)),
    }
    folder.mkdir(exist_ok=True)
    for path in part.iterdir():
        os.replace(path, folder / path.name)
    part.rmdir()
    files.write_json(summary, folder / "check.json")
    made = [folder / name for name in (*summary["sha256"], "check.json")]
    names = [os.path.relpath(path, studies.ROOT) for path in made]
    files.write_record({}, names, study.run / "cache.json", studies.ROOT)
    return index


def _reserved(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """A new uint8 array on disk. Its room is taken at once: a disk that fills up under a mapped
    file ends the process without a word.
    """
    array = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    if hasattr(os, "posix_fallocate"):
        with open(path, "rb+") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
            except OSError as error:  # some file systems cannot promise room
                if error.errno in DISK:
                    raise OSError(error.errno, error.strerror, str(path)) from None
    return array


def _pixel_mm(
    shape: tuple[int, ...],
    spacing: tuple[float, float] | None,
    declared: float,
    size: tuple[int, int],
) -> tuple[float, float, float]:
    """Height and width of an array pixel in mm after the resize to `size` (rows, columns), and the
    side of a square as large (their geometric mean); NaN where unknown.
    """
    row, column = spacing if spacing is not None else (declared, declared)
    side = float(np.sqrt(row * shape[0] * column * shape[1]) / np.sqrt(size[0] * size[1]))
    sides = row * shape[0] / size[0], column * shape[1] / size[1]
    return (side, side, side) if sides[0] == sides[1] else (*sides, side)
