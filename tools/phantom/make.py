"""Data folders and manifests: which files a phantom has, those of them that are missing, their
hashes.
"""

import hashlib
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pandas as pd

from helpers.errors import StudyError, raise_all
from helpers.files import csv_text, read_csv, sha256
from tools.phantom.cohort import COLUMNS, Person
from tools.phantom.raters import RATERS
from tools.phantom.recipes import draw, people, recipe
from tools.phantom.recipes import images as listing
from tools.phantom.write import dicom, nifti, save


def contents(
    study: str, image_id: str, person: Person, frame: int
) -> tuple[dict[str, bytes], float]:
    """The bytes of every file of one image by path (image, mask, then one a rater), and the pixel
    spacing in mm.
    """
    picture = draw(study, person, frame)
    header = (person, frame, study, recipe(study).view, picture.spacing_mm, picture.box)
    masks = {name: nifti(mask, picture.spacing_mm) for name, mask in picture.masks.items()}
    files = {
        f"images/{image_id}.dcm": dicom(picture.pixels, *header),
        f"masks/{image_id}.nii": masks["consensus"],
    }
    return (
        files | {f"raters/{r.name}/{image_id}.nii": masks[r.name] for r in RATERS},
        picture.spacing_mm,
    )


def _hash(job: tuple) -> tuple[dict[str, str], float]:
    files, spacing = contents(*job)
    return {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}, spacing


def _write(job: tuple) -> list[str]:
    *what, out, wanted = job
    files, _ = contents(*what)
    problems = []
    for name, expected in wanted.items():
        found = hashlib.sha256(files[name]).hexdigest()
        if found == expected:
            save(out / name, files[name])
        else:
            problems.append(
                f"{name}: drawn with sha256 {found[:12]}…, the manifest has {expected[:12]}…"
            )
    return problems


def cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run(task: Callable, jobs: list, doing: str) -> list:
    """The results of task for every job, in order, from a pool of processes; progress on stderr."""
    start, shown, results = time.monotonic(), 0.0, []
    if not jobs:
        return results
    with ProcessPoolExecutor(cores()) as pool:
        for result in pool.map(task, jobs, chunksize=4):
            results.append(result)
            elapsed, done = time.monotonic() - start, len(results)
            if elapsed - shown > 5 or done == len(jobs):
                shown, left = elapsed, elapsed / done * (len(jobs) - done)
                print(
                    f"{doing}: {done} of {len(jobs)} images, {left:.0f} s left",
                    file=sys.stderr,
                    flush=True,
                )
    return results


def read_manifest(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """images.csv and annotations.csv as text."""
    for name in ("images.csv", "annotations.csv"):
        if not (folder / name).exists():
            raise StudyError(
                f"{folder / name}: no such file; python -m tools.phantom --study "
                f"{folder.name} --manifest writes it"
            )
    return tuple(read_csv(folder / f"{name}.csv", dtype=str) for name in ("images", "annotations"))


def wanting(
    out: Path, images: pd.DataFrame, annotations: pd.DataFrame
) -> dict[str, dict[str, str]]:
    """image_id → {file relative to `out`: its sha256} of every image with a file that is absent or
    not the manifest's; the other files of that image are left out.
    """
    files = {
        row["image_id"]: {row["image"]: row["sha256_image"], row["mask"]: row["sha256_mask"]}
        for row in images.to_dict("records")
    }
    for row in annotations.to_dict("records"):
        if row["image_id"] in files:
            files[row["image_id"]][row["mask"]] = row["sha256_mask"]
    lacking = {
        image_id: {name: sha for name, sha in wanted.items() if not _is(out / name, sha)}
        for image_id, wanted in files.items()
    }
    return {image_id: names for image_id, names in lacking.items() if names}


def _is(path: Path, sha: str) -> bool:
    return path.is_file() and sha256(path) == sha


def make(study: str, out: Path, manifest: Path, images_per_patient: int | None = None) -> int:
    """Draw the manifest's files that `out` lacks or has otherwise; the number of images drawn.

    images_per_patient: only the first K images of every patient, in the order of images.csv.
    StudyError: unknown study, no manifest, K below 1, `out` no folder, an image that the phantom
    has not, or bytes that differ from the manifest's hashes (nothing that differs is written).
    """
    known = {image_id: (person, frame) for image_id, person, frame, _ in listing(study)}
    if images_per_patient is not None and images_per_patient < 1:
        raise StudyError(f"images per patient must be 1 or more, found {images_per_patient}")
    if out.exists() and not out.is_dir():
        raise StudyError(f"{out}: is a file; name a folder for the images")
    images, annotations = read_manifest(manifest)
    if images_per_patient is not None:
        images = images.groupby("patient_id").head(images_per_patient)
    raise_all(
        (f"image {i!r} is none of this phantom's" for i in images["image_id"] if i not in known),
        manifest / "images.csv",
    )
    lacking = wanting(out, images, annotations)
    jobs = [(study, i, *known[i], out, names) for i, names in lacking.items()]
    drawn = _run(_write, jobs, f"drawing {study}")
    heading = (
        "other bytes than the manifest's, not written: another version of the code or of numpy drew"
        " them"
    )
    raise_all((line for lines in drawn for line in lines), heading)
    return len(jobs)


def write_manifest(study: str, folder: Path) -> None:
    """Draw every image in memory and write images.csv, patients.csv and annotations.csv."""
    rows = listing(study)
    drawn = _run(_hash, [(study, *row[:3]) for row in rows], f"hashing {study}")
    images, annotations = [], []
    for (image_id, person, _, split), (sums, spacing) in zip(rows, drawn, strict=True):
        image, mask, *raters = sums
        images.append(
            {
                "image_id": image_id,
                "patient_id": person.patient_id,
                "image": image,
                "mask": mask,
                "split": split,
                "sha256_image": sums[image],
                "sha256_mask": sums[mask],
                "device": person.device,
                "pixel_spacing_mm": spacing,
            }
        )
        annotations += [
            {
                "image_id": image_id,
                "rater": name.split("/")[1],
                "mask": name,
                "sha256_mask": sums[name],
            }
            for name in raters
        ]
    tables = {"images": pd.DataFrame(images), "patients": people(study)[COLUMNS]}
    tables["annotations"] = pd.DataFrame(annotations)
    for name, table in tables.items():
        save(folder / f"{name}.csv", csv_text(table).encode())
