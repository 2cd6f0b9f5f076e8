"""Data folders and manifests: which files a phantom has, those of them that are missing, their hashes."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pandas as pd

from helpers.errors import StudyError, raise_all

from .cohort import COLUMNS, Person, persons
from .raters import RATERS
from .recipes import draw, people, recipe
from .write import dicom, nifti, save


def paths(image_id: str) -> dict[str, str]:
    """Every file of an image, relative to the data folder: image, mask, and one a rater by name."""
    files = {"image": f"images/{image_id}.dcm", "mask": f"masks/{image_id}.nii"}
    return files | {r.name: f"raters/{r.name}/{image_id}.nii" for r in RATERS}


def listing(study: str) -> list[tuple[str, Person, int]]:
    """(image_id, patient, frame) of every image, in the manifest's order."""
    return [(f"{p.patient_id}_{f:02d}", p, f) for p in persons(people(study)) for f in range(1, p.frames + 1)]


def contents(study: str, image_id: str, person: Person, frame: int) -> tuple[dict[str, bytes], float]:
    """The bytes of every file of one image, keyed as `paths`, and its pixel spacing in mm."""
    picture = draw(study, person, frame)
    masks = {name: nifti(mask, picture.spacing_mm) for name, mask in picture.masks.items()}
    image = dicom(picture.pixels, person, frame, study, recipe(study).view, picture.spacing_mm, picture.box)
    return {"image": image, "mask": masks.pop("consensus")} | masks, picture.spacing_mm


def _one(job) -> tuple[str, dict[str, str], float]:
    study, out, image_id, person, frame = job
    files, spacing = contents(study, image_id, person, frame)
    if out is not None:
        for key, name in paths(image_id).items():
            if not (out / name).exists():
                save(out / name, files[key])
    return image_id, {key: hashlib.sha256(value).hexdigest() for key, value in files.items()}, spacing


def cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run(jobs: list, doing: str):
    """The results of _one for every job, in order, from a pool of processes; progress on stderr."""
    start, shown, results = time.monotonic(), 0.0, []
    with ProcessPoolExecutor(cores()) as pool:
        for result in pool.map(_one, jobs, chunksize=4):
            results.append(result)
            elapsed, done = time.monotonic() - start, len(results)
            if elapsed - shown > 5 or done == len(jobs):
                shown, left = elapsed, elapsed / done * (len(jobs) - done)
                print(f"{doing}: {done} of {len(jobs)} images, {left:.0f} s left", file=sys.stderr, flush=True)
    return results


def chosen(images: pd.DataFrame, images_per_patient: int | None) -> pd.DataFrame:
    """The first K images of every patient in the table's order; all when K is None."""
    return images if images_per_patient is None else images.groupby("patient_id").head(images_per_patient)


def read_manifest(folder: Path) -> pd.DataFrame:
    """images.csv with the raters' masks and hashes as further columns."""
    for name in ("images.csv", "annotations.csv"):
        if not (folder / name).exists():
            raise StudyError(f"{folder / name}: no such file; python -m helpers.phantom --study "
                             f"{folder.name} --manifest writes it")  # fmt: skip
    return pd.read_csv(folder / "images.csv", dtype=str)


def make(study: str, out: Path, manifest: Path, images_per_patient: int | None = None) -> int:
    """Write the files of the manifest that `out` lacks; the number of images drawn. Present files stay as they are.

    StudyError: unknown study, no manifest, K below 1, `out` no folder, or bytes other than the manifest's hashes.
    """
    recipe(study)
    if images_per_patient is not None and images_per_patient < 1:
        raise StudyError(f"images per patient must be 1 or more, found {images_per_patient}")
    if out.exists() and not out.is_dir():
        raise StudyError(f"{out}: is a file; name a folder for the images")
    images = chosen(read_manifest(manifest), images_per_patient)
    known = {image_id: (person, frame) for image_id, person, frame in listing(study)}
    raise_all((f"image {i!r} is none of this phantom's" for i in images["image_id"] if i not in known),
              manifest / "images.csv")  # fmt: skip
    jobs = [
        (study, out, i, *known[i])
        for i in images["image_id"]
        if not all((out / name).exists() for name in paths(i).values())
    ]
    if not jobs:
        return 0
    drawn = _run(jobs, f"drawing the {study}")
    rows = images.set_index("image_id").to_dict("index")
    raise_all(
        (
            f"{paths(i)[key]}: drawn with sha256 {sums[key]}, the manifest has {rows[i][f'sha256_{key}']}"
            for i, sums, _ in drawn
            for key in ("image", "mask")
            if sums[key] != rows[i][f"sha256_{key}"]
        ),
        "this machine or version draws other bytes than the manifest's",
    )
    return len(jobs)


def write_manifest(study: str, folder: Path) -> None:
    """Draw every image in memory and write images.csv, patients.csv and annotations.csv."""
    rows = listing(study)
    drawn = {i: (sums, mm) for i, sums, mm in _run([(study, None, *row) for row in rows], f"hashing the {study}")}
    images = pd.DataFrame(
        {"image_id": i, "patient_id": p.patient_id, "image": paths(i)["image"], "mask": paths(i)["mask"],
         "split": p.split, "sha256_image": drawn[i][0]["image"], "sha256_mask": drawn[i][0]["mask"],
         "device": p.device, "pixel_spacing_mm": drawn[i][1]}
        for i, p, _ in rows
    )  # fmt: skip
    annotations = pd.DataFrame(
        {"image_id": i, "rater": r.name, "mask": paths(i)[r.name], "sha256_mask": drawn[i][0][r.name]}
        for i, *_ in rows
        for r in RATERS
    )
    tables = {"images": images, "patients": people(study)[COLUMNS], "annotations": annotations}
    for name, table in tables.items():
        save(folder / f"{name}.csv", table.to_csv(index=False, lineterminator="\n").encode())
