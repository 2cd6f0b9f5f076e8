"""Every pair opened and looked at: what is usable, what is refused and why, what a person should
look at first.
"""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from helpers import readers
from helpers.errors import StudyError
from helpers.readers import annotations, labels, pictures, united
from helpers.studies import Class
from tools.intake import agreement, burnt, find, geometry, layouts, pairing
from tools.intake.find import Refused
from tools.intake.form import Form

TURNED = (
    "the picture was turned as its file says (EXIF); many drawing tools do not turn it: does the"
    " outline fit?"
)
SIDE = (8, 400)  # mm of tissue along the longer side of an ultrasound picture
THUMBNAIL = 256  # px, longer side, for the page


@dataclass(frozen=True)
class Record:
    """A usable pair. areas: share of each foreground class; picture, drawn: thumbnails uint8;
    pixels: hash of the grey values; alike: one that mirrored and turned copies have too; drawn_on:
    the image that the annotation names, if it names one; notes: what the reader did; doubts: what
    makes the outlines implausible; turned: how much better they would fit when turned or mirrored;
    agreed: rater → ``agreement.with_reference``.
    """

    pair: pairing.Pair
    patient: str | None
    device: str | None
    spacing_mm: float | None
    size: tuple
    areas: tuple
    picture: np.ndarray
    drawn: np.ndarray
    pixels: str
    drawn_on: str | None
    notes: tuple
    doubts: tuple = ()
    turned: dict = field(default_factory=dict, compare=False)
    alike: str = ""
    agreed: dict = field(default_factory=dict, compare=False)


def read(
    pair: pairing.Pair, data: Path | str, classes: Sequence[Class], form: Form
) -> Record | Refused:
    """Open one pair: a Record, or Refused with the reader's words (paths as seen from DATA).

    Each file is on its own: one that breaks a library is refused as any other, by name.
    """
    try:
        return _read(pair, Path(data), classes, form)
    except find.ODD as error:
        return find.refusal(pair.image, error, data)


def _read(pair: pairing.Pair, data: Path, classes: Sequence[Class], form: Form) -> Record:
    for name in (pair.image, pair.mask, *pair.raters.values()):
        if readers.leads_out(data / name, data):
            raise StudyError(f"{name}: leads out of DATA by a link; copy the file into the folder")
    picture = readers.one_picture(data / pair.image)
    pixels, spacing = picture.pixels[0], picture.spacing_mm
    try:
        read = readers.open_mask(
            data / pair.mask, classes, ignored=form.ignored, shape=pixels.shape
        )
    except StudyError as error:
        if pictures.ROTATED not in picture.notes or "exchanged" not in str(error):
            raise
        raise StudyError(
            f"{pair.mask}: fits the picture before it was turned as its EXIF entry says; save the"
            " picture as it was drawn on, without that entry"
        ) from None
    mask = read.pixels
    if read.covered > united.SAME and not form.classes:
        raise StudyError(
            f"{pair.mask}: one file covers {read.covered:.0%} of what another outlines: are they"
            ' drawings of two people? Then write in the form masks: {anna: "anna/{stem}.png", ben:'
            ' "ben/{stem}.png"} and reference: anna; structures are to be named under classes'
        )
    agreed = {}
    for rater, name in pair.raters.items():
        other = readers.read_mask(data / name, classes, ignored=form.ignored, shape=pixels.shape)
        agreed[rater] = agreement.with_reference(pixels, mask, other, classes)
    patient = find.patient(pair.image, data, form, pair.told)
    notes = [*picture.notes, *read.notes]
    odd = [TURNED] if pictures.ROTATED in picture.notes and mask.any() else []
    if mask.any() and readers.kind(readers.locate(data / pair.image)[0]) == "DICOM":
        here, told = readers.spacing_at(data / pair.image, mask > 0)
        if spacing is None:
            spacing, notes = here, [*notes, *told]
        elif here is None:
            odd += told
    if mask.any() and not form.change:
        drawn = [file for file, _ in united.parts(data / pair.mask)] or [data / pair.mask]
        stored = [agreement.mirrored(data / pair.image, file) for file in drawn]
        stored = stored if any(stored) else [geometry.apart(data / pair.image, f) for f in drawn]
        odd += [words for words in dict.fromkeys(stored) if words]
    odd += _resized(data / pair.image, data / pair.mask)
    odd += burnt.doubt(data / pair.image, pixels, mask) if mask.any() else []
    if find.identified(pair.image, data):
        notes.append(find.IDENTIFIED)
    mm = None
    if spacing is not None and not all(1e-4 <= side <= 10 for side in spacing):
        notes.append(f"says that a pixel is {max(spacing):g} mm long: spacing unknown")
        spacing = None
    if spacing is not None:
        mm = float(np.sqrt(spacing[0] * spacing[1]))
        if abs(spacing[0] / spacing[1] - 1) > 0.01:
            notes.append(
                f"pixels of {spacing[0]:.4g} × {spacing[1]:.4g} mm are not square; their mean size"
                " is noted"
            )
    shares = np.bincount(mask.ravel(), minlength=len(classes))[1:] / mask.size
    return Record(
        pair,
        patient,
        find.device(pair.image, data, form),
        mm,
        pixels.shape,
        tuple(float(a) for a in shares),
        _small(pixels, Image.Resampling.BILINEAR),
        _small(mask, Image.Resampling.NEAREST),
        _hash(pixels),
        _named(data / pair.mask),
        tuple(notes),
        tuple(odd + readers.doubts(pixels) + agreement.doubts(pixels, mask, classes)),
        agreement.turned(pixels, mask),
        min(_hash(np.rot90(p, k)) for p in (pixels, pixels.T) for k in range(4)),
        agreed,
    )


def _hash(pixels: np.ndarray) -> str:
    return hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()


def _small(pixels: np.ndarray, how: Image.Resampling) -> np.ndarray:
    scale = THUMBNAIL / max(pixels.shape)
    size = [max(1, round(n * min(scale, 1))) for n in pixels.shape[::-1]]
    return np.asarray(Image.fromarray(pixels).resize(size, how))


def _named(path: Path) -> str | None:
    """The stem of the image that a Labelme file says it was drawn on."""
    if readers.suffix(path) != ".json":
        return None
    content = labels.load_json(readers.locate(path)[0])[0]
    named = content.get("imagePath") if isinstance(content, dict) else None
    return (
        find.stem(str(PurePosixPath(named.replace("\\", "/"))))
        if isinstance(named, str) and named
        else None
    )


def _resized(image: Path, mask: Path) -> list[str]:
    """A sentence where VIA outlined a picture of another number of bytes than it has now."""
    file, part = readers.locate(mask)
    if readers.suffix(file) not in (".json", ".csv") or layouts.tool(file) != "VIA":
        return []
    if readers.suffix(file) == ".csv":
        content: Any = annotations.via_table(file.read_text(encoding="utf-8-sig"))
    else:
        content = labels.load_json(file)[0]
    then, now = annotations.via_bytes(content, part or image.name), image.stat().st_size
    if then in (None, now):
        return []
    return [
        f"VIA outlined a file of {then:,} bytes, this one has {now:,}: was the picture resized or"
        " saved anew since? Does the outline fit?"
    ]


def read_all(
    pairs: list[pairing.Pair], data: Path, classes: Sequence[Class], form: Form
) -> tuple[list[Record], list[Refused]]:
    """(records, refused) of all pairs, read in threads, in order; says how far it is."""
    records, refused = [], []
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for number, found in enumerate(pool.map(lambda p: read(p, data, classes, form), pairs), 1):
            (refused if isinstance(found, Refused) else records).append(found)
            if number % 200 == 0 or number == len(pairs):
                print(f"read {number} of {len(pairs)} images, {len(refused)} refused", flush=True)
    return records, refused


def exclude(records: list[Record], form: Form) -> dict:
    """image_id → reason: those the form names, and copies of a picture that came before."""
    reasons, first = dict(form.exclude), {}
    for record in records:
        name = record.pair.image_id
        if name in reasons:
            continue
        if record.pixels in first and form.duplicates == "exclude":
            reasons[name] = f"same picture as {first[record.pixels]}"
        first.setdefault(record.pixels, name)
    return reasons


def turned_words(turn: str, ratio: float) -> str:
    """What a set says whose outlines fit its pictures better turned, in words for a clinician."""
    return (
        f"the outlines of this set follow the pictures' edges {ratio:.1f} times better"
        f" {agreement.WORDS[turn]}: were the masks saved that way? Then write in the form change:"
        f" [{turn}], and run this again"
    )


def suspicious(
    records: list[Record], classes: Sequence[Class]
) -> list[tuple[Record, Record | None, str]]:
    """What a person should look at first: list of (Record, other Record or None, reason), worst
    first.
    """
    found: list[tuple] = []
    by_name = {find.stem(r.pair.image): r for r in records}
    twins, copies = {}, {}
    for r in records:
        if r.drawn_on and r.drawn_on != find.stem(r.pair.image) and r.drawn_on in by_name:
            found.append(
                (
                    0,
                    r,
                    by_name[r.drawn_on],
                    f"its outlines say that they were drawn on {r.drawn_on}",
                )
            )
        if other := twins.get(r.pixels):
            same = np.array_equal(r.drawn, other.drawn)
            reason = (
                "the same picture twice" if same else "the same picture twice, outlined differently"
            )
            found.append((2 if same else 1, r, other, f"{reason} ({other.pair.image_id})"))
        twins.setdefault(r.pixels, r)
        turned = copies.setdefault(r.alike, r)
        if turned.pixels != r.pixels:
            found.append((1, r, turned, f"a mirrored or turned copy of {turned.pair.image_id}"))
        if not any(r.areas):
            found.append((3, r, None, "nothing is outlined"))
        found += [(-1, r, None, reason) for reason in r.doubts]
        if r.spacing_mm and not SIDE[0] <= (long := r.spacing_mm * max(r.size)) <= SIDE[1]:
            told = f"its longer side would be {long:.3g} mm of tissue: is the spacing in mm?"
            found.append((-1, r, None, told))
        if fits := agreement.of_one(r):
            found.append((2, r, None, fits))
    if of_set := agreement.of_the_set(records):
        found += [(-2, r, None, turned_words(*of_set)) for r in records[:6]]
    if in_order := agreement.of_the_order(records):
        found += [(-2, r, None, in_order) for r in records[:6]]
    for k, c in enumerate(classes[1:]):
        shown = [r for r in records if r.areas[k] > 0]
        logs = np.log([r.areas[k] for r in shown])
        if len(shown) >= 20:
            spread = 1.4826 * np.median(np.abs(logs - np.median(logs)))
            for r, value in zip(shown, logs, strict=True):
                if abs(value - np.median(logs)) > 5 * max(spread, 0.05):
                    times = np.exp(value - np.median(logs))
                    found.append((4, r, None, f"{c.title}: {times:.2g} times the usual area"))
    return [item[1:] for item in sorted(found, key=lambda item: item[0])]
