"""A trained network on new images: masks, overlays, areas; for a cine also an overlay video.

``python -m tools.predict --model runs/phantom/train/qvum/main_11 --images scan.dcm --out
predictions``

Research software: the outlines have not been checked on the images it is given, and nothing here is
a medical device.
"""

import argparse
import glob
import time
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import figures, files, provenance, readers
from helpers.analyses import measures
from helpers.errors import DISK, StudyError, command, raise_all
from helpers.models import trained
from helpers.readers import dicom, videos
from helpers.studies import Class
from tools.intake import find, form, ledger
from tools.intake.check import SIDE
from tools.intake.tables import some
from tools.predict import exports

FORMATS = ("png", "nifti", "dicom-seg")
#: numbers of a thickness profile that are written for an outline
PROFILE = 40
LONGEST = 200  # bytes of an output's name, to which endings are added


def read(
    path: Path | str,
) -> tuple[np.ndarray, tuple[float, float] | None, float | None, tuple[str, ...]]:
    """(uint8 (frames, rows, columns), spacing_mm or None, frames a second or None, the reader's
    notes) of any image, DICOM or video.
    """
    file, part = readers.locate(path)
    if part is not None:
        one = readers.one_picture(path)
        return one.pixels, one.spacing_mm, None, one.notes
    if readers.kind(file) == "video":
        frames, rate = videos.read_video(file)
        return frames, None, rate, ()
    picture = readers.open_picture(file)
    frames, spacing, notes = picture.pixels, picture.spacing_mm, picture.notes
    if len(frames) == 1:
        return frames, spacing, None, notes
    header = dicom.header(file) if readers.kind(file) == "DICOM" else {}
    told = header.get("CineRate") or header.get("RecommendedDisplayFrameRate")
    gap_ms = header.get("FrameTime")
    rate = float(told or (1000 / float(gap_ms) if gap_ms else videos.FRAME_RATE))
    return frames, spacing, rate, notes


def measured(
    masks: np.ndarray,
    frames: np.ndarray,
    classes: Sequence[Class],
    spacing_mm: tuple[float, float] | None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(measures, profiles) of every foreground class in every frame, as DataFrames.

    measures: frame (from 0), class, area_px, the columns of ``measures.measure``, pixel_height_mm,
    pixel_width_mm (NaN: spacing unknown). profiles: frame, class, unit, position, thickness.
    """
    height, width = spacing_mm or (np.nan, np.nan)
    rows, profiles = [], []
    for number, (mask, pixels) in enumerate(zip(masks, frames, strict=True)):
        table = measures.measure(mask, classes, spacing_mm, pixels).round(3)
        counts = np.bincount(mask.ravel(), minlength=len(classes))[1:]
        table.insert(0, "frame", number)
        table.insert(2, "area_px", counts)
        rows.append(table)
        for c in classes[1:]:
            along = measures.profile(mask == c.index, spacing_mm or (1.0, 1.0))
            at = np.linspace(0, len(along.position) - 1, PROFILE).round().astype(int)
            if len(along.position):
                told = {"frame": number, "class": c.name, "unit": "mm" if spacing_mm else "px"}
                numbers = {k: np.round(v[at], 3) for k, v in along._asdict().items()}
                profiles.append(pd.DataFrame(told | numbers))
    table = pd.concat(rows, ignore_index=True)
    table = table.assign(pixel_height_mm=round(height, 5), pixel_width_mm=round(width, 5))
    return table, pd.concat(profiles, ignore_index=True) if profiles else pd.DataFrame()


def write(
    predictor: trained.Predictor, path: Path, out: Path, name: str, formats: Collection[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Segment one file and write its masks and overlay below ``out``; returns its rows of
    measures.csv and of profiles.csv (DataFrames).
    """
    frames, spacing, rate, notes = read(path)
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
    if masks.any() and readers.kind(readers.locate(path)[0]) == "DICOM":
        known = spacing
        spacing, more = readers.spacing_at(path, masks.max(0) > 0)
        notes = notes if spacing == known else more
    if spacing and not SIDE[0] <= (side := max(np.multiply(spacing, masks.shape[1:]))) <= SIDE[1]:
        notes = *notes, f"its longer side would be {side:.3g} mm of tissue: is its spacing in mm?"
    for note in notes:
        print(f"{path}: {note}", flush=True)
    if (out / "prediction.json").is_file():  # of an earlier run, whose film may have been longer
        for frame in (out / f"{name}_mask").glob("[0-9][0-9][0-9][0-9].png"):
            frame.unlink()
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
    table, profiles = measured(masks, frames, predictor.classes, spacing)
    for one in (table, profiles):
        one.insert(0, "image", str(path))
    speed = round(len(frames) / seconds, 1) if rate else np.nan
    return table.assign(frames_per_second=speed), profiles


def inputs(path: Path | str) -> tuple[list[Path], list[str]]:
    """(the pictures that --images names, what was left out and why): one file ('cine.dcm#3' for one
    frame), or every picture and video of a folder and below.
    """
    path = Path(path)
    if not path.is_dir():
        return [path], []
    there = find.everything(path)
    found, notes = find.pictures_in(there, form.Form(), path)
    if not found:
        raise StudyError(f"{path}: none of its {len(there)} files is a picture, a DICOM or a video")
    return [path / f for f in sorted(found, key=find.natural)], notes


def _names(paths: Sequence[Path], base: Path) -> list[str]:
    """An output name for each file, all different: its path below the folder without ending; with
    it where two would be the same, and with its number where that is not enough or too long.
    """
    plain, short = [], []
    for path in paths:
        file, frame = readers.locate(path)
        own = file.relative_to(base) if base.is_dir() else Path(file.name)
        name = "__".join(own.with_name(own.name.removesuffix(readers.suffix(own))).parts)
        mark = f"_{frame}" if frame else ""
        short.append(name + mark)
        plain.append("__".join(own.parts).replace(".", "_") + mark)
    names = [s if short.count(s) == 1 else p for s, p in zip(short, plain, strict=True)]
    return [
        name
        if names.count(name) == 1 and len(name.encode()) <= LONGEST
        else f"{number:04d}_{name[-LONGEST // 4 :]}"
        for number, name in enumerate(names, 1)
    ]


def _refuse_others(out: Path, names: Sequence[str], sources: Sequence[Path]) -> None:
    """StudyError where ``out`` holds outlines of another picture that is called as one of these."""
    if not (out / "prediction.json").is_file():
        return
    known = {Path(p).resolve() for p in files.read_json(out / "prediction.json").get("images", ())}
    for name, path in zip(names, sources, strict=True):
        held = next(iter(sorted(out.glob(f"{glob.escape(name)}_overlay.*"))), None)
        if held and path.resolve() not in known:
            raise StudyError(
                f"{path}: {held} is of another picture of that name, and nothing was written over"
                " it; take another folder, OUT=, or empty this one"
            )


def _earlier(out: Path, names: Sequence[str]) -> list[str]:
    """The sentence, as a list, on outlines of other pictures that ``out`` holds already."""
    ends = ("_mask.png", "_mask.nii.gz", "_mask", "_seg.dcm", "_overlay.png", "_overlay.mp4")
    own = {name + end for name in names for end in ends}
    left = [p.name for p in sorted(out.glob("*")) if p.name.endswith(ends) and p.name not in own]
    if not left:
        return []
    return [
        f"{out} holds {len(left)} files of an earlier run ({left[0]}, …), which measures.csv does"
        " not know: take another folder, OUT=, or empty this one"
    ]


def run(
    model: Path | str,
    images: Path | str,
    out: Path | str,
    formats: Collection[str] = ("png",),
    device: str | None = None,
) -> pd.DataFrame:
    """Segment images (a file or a folder) with the network in ``model`` and write everything to
    ``out``.

    Writes <name>_mask.png / _mask.nii.gz / _seg.dcm, <name>_overlay.png or .mp4, measures.csv
    (image, the columns of :func:`measured`, frames_per_second of the network for a cine),
    profiles.csv and prediction.json. Returns measures.csv as a DataFrame. Files that cannot be read
    are named in one StudyError after all others were written; every file of a folder is counted.
    """
    if not str(images):
        raise StudyError("IMAGES is missing: give an image or a folder of them, IMAGES=/folder")
    if Path(out).exists() and not Path(out).is_dir():
        raise StudyError(f"{out}: is a file; OUT names the folder that is written to")
    if Path(images).is_dir() and Path(images).resolve() == Path(out).resolve():
        raise StudyError(f"{out}: holds the images; give another folder, OUT=/folder")
    if unknown := sorted(set(formats) - set(FORMATS)):
        raise StudyError(f"--format: {', '.join(unknown)} is none of {', '.join(FORMATS)}")
    predictor, (sources, notes), out = trained.load(model, device), inputs(images), Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudyError(f"{out}: {error.strerror}; give another folder, OUT=/folder") from None
    folder = Path(images) if Path(images).is_dir() else None
    tables, profiles, told = [], [], []
    names = _names(sources, Path(images))
    _refuse_others(out, names, sources)
    notes = [*notes, *_earlier(out, names)]
    for path, name in zip(sources, names, strict=True):
        seen = path.relative_to(folder).as_posix() if folder else str(path)
        try:
            table, along = write(predictor, path, out, name, formats)
        except find.ODD as error:
            if folder is None and isinstance(error, StudyError):
                raise
            if getattr(error, "errno", None) in DISK:  # of what is written: no fault of a picture
                raise
            told.append((seen, ledger.REFUSED, find.refusal(seen, error, folder or "").reason))
            continue
        tables.append(table)
        profiles.append(along)
        told.append((seen, ledger.PICTURE, ""))
    roles = (
        ledger.whole(folder, form.Form(), told)
        if folder
        else {f: (role, why) for f, role, why in told}
    )
    if tables:
        table = pd.concat(tables, ignore_index=True)
        areas = table.groupby("image", sort=False)["area_px"].sum()
        if bare := list(areas.index[areas == 0]):
            notes.append(
                f"nothing was outlined in {len(bare)} of {len(areas)} pictures ({some(bare)}): is"
                " it there, and are they such pictures as the network learned from?"
            )
        files.write_csv(table, out / "measures.csv")
        files.write_csv(pd.concat(profiles, ignore_index=True), out / "profiles.csv")
        network = {
            k: predictor.record.get(k)
            for k in ("study", "protocol", "model", "fold", "seed", "sha256", "classes")
        }
        about = {
            "network": network,
            "code": provenance.code_version(),
            "time": provenance.now(),
            "images": sorted(set(table["image"])),
            "files": {role: count for role, count in ledger.summary(roles)},
            "hardware": provenance.hardware(),
        }
        files.write_json(about, out / "prediction.json")
    _say(roles, notes)
    raise_all(
        (f"{file}: {why}" for file, role, why in told if role == ledger.REFUSED),
        f"{images}: {len(tables)} of {len(sources)} pictures were segmented, the rest was not",
    )
    return table


def _say(roles: dict, notes: list[str]) -> None:
    """What became of every file, where there are several, and the notes."""
    if len(roles) > 1:
        print(f"files in the folder: {len(roles)}")
        for role, count in ledger.summary(roles):
            print(f"· {role}: {count}")
        for _, why, count, example in ledger.reasons(roles):
            print(f"  {count} × {why} ({example})")
    for note in notes:
        print(note)


def main(arguments: list[str] | None = None) -> None:
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
    table = run(args.model, args.images, args.out, args.format)
    print(f"{table['image'].nunique()} file(s) segmented, see {args.out}/measures.csv")
    if table["unit"].eq("px").any():
        print("where the size of a pixel is unknown, measures are in pixels (column unit)")


if __name__ == "__main__":
    command(main)
