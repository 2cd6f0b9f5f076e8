"""A trained network on new images: masks, overlays, areas; for a cine also an overlay video.

``python -m tools.predict --model runs/phantom/train/qvum/main_11 --images scan.dcm --out
predictions``

Research software: the outlines have not been checked on the images it is given, and nothing here is
a medical device.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import figures, files, provenance, readers
from helpers.errors import StudyError, raise_all
from helpers.models import trained
from helpers.readers import dicom
from tools.predict import exports

FORMATS = ("png", "nifti", "dicom-seg")
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".wmv")
#: frames a second of a cine that does not say
FRAME_RATE = 25.0


def read(path):
    """(uint8 (frames, rows, columns), spacing_mm or None, frames a second or None) of any image,
    DICOM or video.
    """
    path = Path(path)
    if path.suffix.lower() in VIDEOS:
        frames, rate = exports.read_video(path)
        return frames, None, rate
    file, part = readers.locate(path)
    if part is not None:
        image, spacing = readers.read_image(path)
        return image[None], spacing, None
    frames, spacing = readers.read_frames(file)
    if len(frames) == 1:
        return frames, spacing, None
    header = dicom.header(file) if readers.kind(file) == "DICOM" else {}
    rate, gap_ms = (
        header.get("CineRate") or header.get("RecommendedDisplayFrameRate"),
        header.get("FrameTime"),
    )
    return frames, spacing, float(rate or (1000 / float(gap_ms) if gap_ms else FRAME_RATE))


def areas(masks, classes, spacing_mm):
    """Area of every foreground class in every frame: DataFrame frame (from 0), class, area_px,
    area_mm2 (two digits; NaN: spacing unknown), pixel_height_mm, pixel_width_mm.
    """
    counts = np.stack([np.bincount(mask.ravel(), minlength=len(classes)) for mask in masks])[:, 1:]
    frame, index = np.indices(counts.shape)
    height, width = spacing_mm or (np.nan, np.nan)
    return pd.DataFrame(
        {
            "frame": frame.ravel(),
            "class": [classes[i + 1].name for i in index.ravel()],
            "area_px": counts.ravel(),
            "area_mm2": (counts.ravel() * height * width).round(2),
            "pixel_height_mm": round(height, 5),
            "pixel_width_mm": round(width, 5),
        }
    )


def write(predictor, path, out, name, formats):
    """Segment one file and write its masks and overlay below ``out``; returns its rows of areas.csv
    (DataFrame).
    """
    frames, spacing, rate = read(path)
    if "dicom-seg" in formats and (
        rate or readers.locate(path)[1] or readers.kind(path) != "DICOM"
    ):
        raise StudyError(
            f"{path}: a DICOM segmentation refers to a DICOM file of one frame; use --format png or"
            " nifti"
        )
    started = time.perf_counter()
    masks = trained.segment(predictor, frames)
    seconds = time.perf_counter() - started
    if "png" in formats:
        for number, mask in enumerate(masks):
            exports.png(
                mask,
                predictor.classes,
                out / (f"{name}_mask/{number:04d}.png" if rate else f"{name}_mask.png"),
            )
    if "nifti" in formats:
        exports.nifti(masks, spacing, out / f"{name}_mask.nii.gz")
    if "dicom-seg" in formats:
        exports.segmentation(
            masks,
            predictor.classes,
            path,
            predictor.record["training"]["name"],
            out / f"{name}_seg.dcm",
        )
    drawn = (
        figures.overlay(frame, mask, predictor, contour=True)
        for frame, mask in zip(frames, masks, strict=True)
    )
    if rate:
        exports.video(drawn, frames.shape[1:], rate, out / f"{name}_overlay.mp4")
        print(
            f"{path}: {len(frames)} frames, {len(frames) / seconds:.1f} frames a second", flush=True
        )
    else:
        exports.picture(next(drawn), out / f"{name}_overlay.png")
        print(f"{path}: {seconds * 1000:.0f} ms", flush=True)
    table = areas(masks, predictor.classes, spacing)
    table.insert(0, "image", str(path))
    return table.assign(frames_per_second=round(len(frames) / seconds, 1) if rate else np.nan)


def inputs(path):
    """The files that --images names: one file ('cine.dcm#3' for one frame), or every file of a
    folder and below.
    """
    path = Path(path)
    if not path.is_dir():
        return [path]
    found = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
    if not found:
        raise StudyError(f"{path}: the folder holds no file")
    return found


def _names(paths, base):
    """An output name for each file: its path below the folder without ending; with it where two
    would be the same.
    """
    plain = [f.relative_to(base) if base.is_dir() else Path(f.name) for f in paths]
    short = []
    for path in plain:
        file, frame = readers.locate(path)
        name = "__".join(file.with_name(file.name.removesuffix(readers.suffix(file))).parts)
        short.append(f"{name}_{frame}" if frame else name)
    return [
        s if short.count(s) == 1 else "__".join(p.parts).replace(".", "_")
        for s, p in zip(short, plain, strict=True)
    ]


def run(model, images, out, formats=("png",), device=None):
    """Segment images (a file or a folder) with the network in ``model`` and write everything to
    ``out``.

    Writes <name>_mask.png / _mask.nii.gz / _seg.dcm, <name>_overlay.png or .mp4, areas.csv (image,
    the columns of :func:`areas`, frames_per_second of the network for a cine) and prediction.json.
    Returns areas.csv as a DataFrame. Files that cannot be read are named in one StudyError after
    all others were written.
    """
    if unknown := sorted(set(formats) - set(FORMATS)):
        raise StudyError(f"--format: {', '.join(unknown)} is none of {', '.join(FORMATS)}")
    predictor, sources, out = trained.load(model, device), inputs(images), Path(out)
    tables, problems = [], []
    for path, name in zip(sources, _names(sources, Path(images)), strict=True):
        try:
            tables.append(write(predictor, path, out, name, formats))
        except StudyError as error:
            if len(sources) == 1:
                raise
            problems.append(str(error))
    if tables:
        table = pd.concat(tables, ignore_index=True)
        files.write_csv(table, out / "areas.csv")
        network = {
            k: predictor.record.get(k)
            for k in ("study", "protocol", "model", "fold", "seed", "sha256", "classes")
        }
        about = {
            "network": network,
            "code": provenance.code_version(),
            "time": provenance.now(),
            "images": sorted(set(table["image"])),
            "hardware": provenance.hardware(),
        }
        files.write_json(about, out / "prediction.json")
    raise_all(
        problems,
        f"{images}: {len(tables)} of {len(sources)} files were segmented, the rest was not",
    )
    return table


def main(arguments=None):
    """Command line: python -m tools.predict --model DIR --images PATH --out DIR [--format png nifti
    dicom-seg].
    """
    parser = argparse.ArgumentParser(prog="tools.predict", description=main.__doc__)
    parser.add_argument("--model", required=True, help="folder of a finished training")
    parser.add_argument(
        "--images", required=True, help="an image, DICOM, cine or video, or a folder of them"
    )
    parser.add_argument("--out", default="predictions")
    parser.add_argument("--format", nargs="+", choices=FORMATS, default=["png"])
    args = parser.parse_args(arguments)
    try:
        table = run(args.model, args.images, args.out, args.format)
    except StudyError as error:
        sys.exit(f"error: {error}")
    print(f"{table['image'].nunique()} file(s) segmented, see {args.out}/areas.csv")


if __name__ == "__main__":
    main()
