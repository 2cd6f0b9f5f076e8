"""A folder of DICOM files and masks to a folder without identities, and the sheet for a person to
sign off.

python -m tools.intake.anonymous --data FOLDER --out FOLDER --key FILE [--form form.yml] [--patients
CSV]
"""

import argparse
import html
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import SimpleITK
import yaml
from PIL import Image

from helpers import readers, studies
from helpers.errors import StudyError, command, raise_all
from helpers.files import write_csv
from helpers.readers import united
from tools.intake import (
    by_picture,
    deidentify,
    find,
    form,
    ledger,
    make,
    page,
    pairing,
    patients,
    spacing,
    split_authors,
    splits,
    text,
)

COLUMNS = (
    *("patient_id", "age_years", "sex", "height_cm", "weight_kg", "pixel_spacing_mm", "excluded"),
)


@dataclass(frozen=True)
class Report:
    """sheet: path of the page to sign, beside the key; roles: {file: (role, why)} of every file of
    the folder; unproven: number of pictures whose pixels were not proven free of text.
    """

    sheet: Path
    roles: dict
    unproven: int

    def of(self, role: str) -> list[str]:
        """The files of a role."""
        return [file for file, (found, _) in self.roles.items() if found == role]


def convert(
    data: Path | str,
    out: Path | str,
    key_path: Path | str,
    form_path: Path | str | None = None,
    patients_path: Path | str | None = None,
) -> Report:
    """De-identify every DICOM image under data into out; returns a Report.

    Writes out/images/<new>.dcm, in a folder of its split where the authors' folders or the form say
    one, masks as PNG of class indices in out/masks (raters in
    out/raters/<rater>), out/form.yml for the intake, and patients.csv where a table is given. Every
    file is on its own: what cannot be done is refused by name. Where nothing can, nothing is
    written: StudyError lists it all.
    """
    data, out = Path(data), Path(out)
    if not data.is_dir():
        raise StudyError(f"DATA={data}: no such folder; give the folder that holds the DICOM files")
    if out.exists() and any(out.iterdir()):
        raise StudyError(f"{out}: is not empty; give a new folder for the result")
    key = deidentify.Key.open(key_path, away_from=[out, studies.ROOT])
    said = form.read(form_path)
    files = find.everything(data)
    chosen, told, refused = _pictures(files, data, said)
    paired, unmatched = pairing.pair(files, chosen, said, data)
    pairs = {p.image: p for p in paired}
    classes = make.classes_of(list(pairs.values()), data, said)[0] if pairs else said.classes
    framed, odd = pairing.frames(paired, data, said.frames_from)
    cells: dict[str, dict[int, str]] = {}
    for one in framed:
        if one.image not in pairs:
            file, _, frame = one.image.rpartition("#")
            cells.setdefault(file, {})[int(frame)] = one.mask
    said = by_picture.whose(said, data, form_path, chosen)[0]
    people, first_days, more = _people(chosen, data, said)
    people = {image: p for image, p in people.items() if image not in {r.file for r in odd}}
    refused += odd + more
    divided = _divided(list(people), data, said)
    mm, _ = spacing.told(said, data, form_path, chosen)
    done, counts = [], {}
    for number, image in enumerate(people, 1):
        try:
            new = key.new(people[image])
            drawn = _masks(pairs.get(image), data, classes, said, cells.get(image, {}))
            outlined = _anywhere(drawn)
            first_day = first_days.get(patients.spelling(people[image]))
            result = deidentify.clean(data / image, new, key.secret, outlined, first_day)
            drawn = _cut(drawn, pairs.get(image), result)
            if readers.dicom.spacing(result.header, []) is None and (side := mm(image)):
                result.header.PixelSpacing = [f"{side:.8g}"] * 2  # 16 letters at most
            counts[new] = counts.get(new, 0) + 1
            done.append((image, f"{new}_{counts[new]:03d}", result, drawn))
        except find.ODD as error:
            refused.append(find.refusal(image, error, data))
        if number % 20 == 0 or number == len(people):
            print(f"looked through {number} of {len(people)} pictures", flush=True)
    if not done and refused:
        raise_all(
            (f"{r.file}: {r.reason}" for r in refused),
            f"DATA={data}, nothing was written; repair these files or exclude them in the form",
        )
    if not done:
        raise StudyError(f"DATA={data}: none of its {len(files)} files is a DICOM image")
    table = None
    if patients_path:
        table = patients.read(Path(patients_path))
        table["patient_id"] = [key.new(p) for p in table["patient_id"]]
        if "age_years" in table:
            table["age_years"] = table["age_years"].clip(upper=deidentify.OLDEST)
        table = table[[c for c in COLUMNS if c in table]].sort_values("patient_id")
    told = _told(data, done, pairs, refused, unmatched, patients_path) + told
    roles = ledger.whole(data, said, told)
    sheet = _sheet(key.path.with_suffix(".html"), data, done, roles)
    key.save()  # before the files that cannot be traced without it
    _write(out, done, classes, said, table, divided)
    return Report(sheet, roles, sum(not result.proven for _, _, result, _ in done))


def _pictures(
    files: list[str], data: Path, said: form.Form
) -> tuple[list[str], list[tuple[str, str, str]], list[find.Refused]]:
    """(DICOM pictures, [(file, role, why)] of the others, refused)."""
    chosen, told, refused = [], [], []
    candidates = find.images(files, said, data)
    ids = find.identifiers(candidates)
    for file in candidates:
        if ids[file] in said.exclude:
            told.append((file, ledger.EXCLUDED, said.exclude[ids[file]]))
            continue
        try:
            if readers.kind(data / file) == "DICOM":
                chosen.append(file)
            else:
                told.append((file, ledger.IGNORED, "no DICOM picture: left behind"))
        except find.ODD as error:
            refused.append(find.refusal(file, error, data))
    return chosen, told, refused


def _people(
    chosen: list[str], data: Path, said: form.Form
) -> tuple[dict[str, str], dict, list[find.Refused]]:
    """({image: patient as the files name them}, {spelling of a patient: first day}, refused).

    Refused are pictures without a patient, and all of a number that two people share.
    """
    people, first_days, seen, refused = {}, {}, {}, []
    for image in chosen:
        try:
            original = find.patient(image, data, said)
            if original is None:
                nobody = "has no PatientID; say in the form how to read the patient"
                raise StudyError(by_picture.NO_ROW if "table" in said.patient else nobody)
            one = patients.spelling(original)
            who, day = deidentify.person(data / image), deidentify.examined(data / image)
        except find.ODD as error:
            refused.append(find.refusal(image, error, data))
            continue
        people[image] = original
        seen.setdefault(one, {})[image] = who
        if day:
            first_days[one] = min(day, first_days.get(one, day))
    for shown in seen.values():
        if why := deidentify.shared_number(shown):
            refused += [find.Refused(image, why) for image in shown]
            people = {image: p for image, p in people.items() if image not in shown}
    return people, first_days, refused


def _divided(images: list[str], data: Path, said: form.Form) -> dict[str, str]:
    """image → the split that its path or a list says, which are not those of the result; empty
    where none does.
    """
    if said.split.get("policy") == "given":
        frame = pd.DataFrame({"image": images})
        return dict(zip(images, splits.draw(frame, np.empty(0), said.split), strict=True))
    return {} if said.split else split_authors.by_authors(images, data)[0] or {}


def _told(
    data: Path,
    done: list[tuple],
    pairs: dict[str, pairing.Pair],
    refused: list[find.Refused],
    unmatched: list[find.Refused],
    patients_path: Path | str | None,
) -> list[tuple[str, str, str]]:
    """[(file, role, why)] of what was done and what was not."""
    told = [(image, ledger.PICTURE, "") for image, *_ in done]
    told += [(r.file, ledger.REFUSED, r.reason) for r in refused]
    drawn = {image for image, *_, masks in done if masks}
    for image, pair in pairs.items():
        why = "" if image in drawn else "its picture was refused"
        told += [(m, ledger.REST_MASK if why else ledger.MASK, why) for m in _places(pair).values()]
    for r in unmatched:
        told += [(mask, ledger.REST_MASK, f"of {r.file}: {r.reason}") for mask in r.masks]
    if table := make.inside(patients_path, data):
        told.append((table, ledger.TABLE, ""))
    return told


def _places(pair: pairing.Pair | None) -> dict[str, str]:
    """Folder in the result → mask of one image."""
    return (
        {"masks": pair.mask, **{f"raters/{r}": m for r, m in pair.raters.items()}} if pair else {}
    )


def _masks(
    pair: pairing.Pair | None, data: Path, classes: Any, said: form.Form, cells: dict[int, str]
) -> dict[str, np.ndarray]:
    """Masks of one image as they are, {folder in the result: uint8 (rows, columns)}; of a cine that
    is outlined frame by frame (frames, rows, columns). cells: frame → its mask.
    """
    if pair is None:
        return {}
    count, rows, columns = readers.open_picture(data / pair.image).pixels.shape
    size = rows, columns

    def read(name: str) -> np.ndarray:
        cell = united.changed(name, said.change) if said.change else name
        return readers.read_mask(data / cell, classes, ignored=said.ignored, shape=size)

    if cells:
        empty = np.zeros(size, np.uint8)
        return {"masks": np.stack([read(cells[k]) if k in cells else empty for k in range(count)])}
    return {place: read(name) for place, name in _places(pair).items()}


def _anywhere(masks: dict[str, np.ndarray]) -> np.ndarray | None:
    """Where something is outlined, by anybody on any frame: bool (rows, columns), or None."""
    flat = [(m > 0).reshape(-1, *m.shape[-2:]).any(0) for m in masks.values()]
    return np.any(flat, 0) if flat else None


def _cut(
    masks: dict[str, np.ndarray], pair: pairing.Pair | None, result: deidentify.Clean
) -> dict[str, np.ndarray]:
    """The masks cut like their image; an outline outside the fan is an error."""
    top, bottom, left, right = result.box
    cut = {place: mask[..., top:bottom, left:right] for place, mask in masks.items()}
    for place, mask in masks.items():
        lost = int((mask > 0).sum() - (cut[place][..., result.inside] > 0).sum())
        if lost > 0.01 * (mask > 0).sum():
            raise StudyError(
                f"{_places(pair)[place]}: {lost} pixels of its outlines lie outside the ultrasound"
                " fan; does it belong to this picture?"
            )
    return cut


def _save(mask: np.ndarray, target: Path) -> None:
    """A mask as PNG, that of a cine as a stack in NIfTI; beside it first, then in place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if mask.ndim == 2:
        Image.fromarray(mask).save(target.with_suffix(".part"), "PNG")
        os.replace(target.with_suffix(".part"), target.with_suffix(".png"))
        return
    image = SimpleITK.GetImageFromArray(mask)
    part = target.with_suffix(".part.nii.gz")
    SimpleITK.WriteImage(image, str(part))
    os.replace(part, target.with_suffix(".nii.gz"))


def _write(
    out: Path,
    done: list[tuple],
    classes: Sequence[studies.Class] | None,
    said: form.Form,
    table: pd.DataFrame | None,
    divided: dict[str, str],
) -> None:
    raters = sorted(
        {place.removeprefix("raters/") for *_, masks in done for place in masks if place != "masks"}
    )
    for image, name, result, masks in done:
        deidentify.save(result, out / "images" / divided.get(image, "") / f"{name}.dcm")
        for place, mask in masks.items():
            _save(mask, out / place / name)
    where: dict = {"masks": "masks/{stem}.png"}
    if raters:
        drawn = {r: "raters/" + r + "/{stem}.png" for r in raters}
        where = {"reference": "reference", "masks": {"reference": where["masks"], **drawn}}
    elif any(mask.ndim == 3 for *_, masks in done for mask in masks.values()):
        where = {"masks": ["masks/{stem}.png", "masks/{stem}.nii.gz"]}
    told = {
        k: getattr(said, k)
        for k in ("title", "question", "citation", "duplicates", "split", "study")
        if not (k == "split" and divided)
    }
    told |= {"device": said.device} if "name" in said.device else {}
    content: dict = {"images": ["images/**/*.dcm"], **where, "patient": {"tag": "PatientID"}}
    content |= {key: value for key, value in told.items() if value}
    if classes:
        content["classes"] = [
            {"name": c.name, "title": c.title, "colour": c.colour, "weight": c.weight}
            for c in classes[1:]
        ]
    (out / "form.yml").write_text(
        yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8"
    )
    if table is not None:
        write_csv(table, out / "patients.csv")


def _sheet(path: Path, data: Path, done: list[tuple], roles: dict) -> Path:
    """Every picture before and after, with what a text reader still finds; beside the key, because
    it identifies.
    """
    parts = [
        "<h1>Before and after</h1>",
        (
            '<p class="note">This page shows the original pictures: keep it with the key. Look at'
            " every pair; sign only if nothing on the right names or dates a person; else exclude"
            " the picture in the form and run again. Pictures on which text was found come"
            " first.</p>"
        ),
        "<p>Checked by: ______________________ on: ______________</p>",
    ]
    if not text.available():
        parts.append(
            '<p class="note">No text reader (rapidocr-onnxruntime) is installed: no picture was'
            " looked through, and none is called clean.</p>"
        )
    parts += ["<h2>Every file of the folder</h2>", page.table(ledger.summary(roles), ["", "files"])]
    for title, role in (("Refused", ledger.REFUSED), ("Excluded by the form", ledger.EXCLUDED)):
        if rows := [(file, why) for file, (found, why) in roles.items() if found == role]:
            parts += [f"<h2>{title} ({len(rows)})</h2>", page.table(rows, ["file", "why"])]
    if rest := ledger.reasons(roles):
        parts += [
            "<h2>Left behind</h2>",
            page.table(rest, ["what", "why", "files", "for example"]),
        ]
    pairs = []
    for image, name, result, _ in done:
        before, after = (
            readers.open_picture(data / image).pixels.max(0),
            result.frames.max(0),
        )  # all of a cine
        told = "; ".join([f"after: {name}", _found(result), *result.notes])
        shown = ""
        for pixels, caption in ((before, f"before: {image}"), (after, told)):
            source = page.embedded(np.repeat(pixels[..., None], 3, 2))
            shown += (
                f'<figure style="display:inline-block;width:24rem"><img src="{source}" alt="">'
                f"<figcaption>{html.escape(caption)}</figcaption></figure>"
            )
        rank = (result.proven, not result.removed, not result.notes)
        pairs.append((rank, f"<div>{shown}</div>"))
    parts += [shown for _, shown in sorted(pairs, key=lambda pair: pair[0])]
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with os.fdopen(
        os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as out:
        out.write(
            '<!doctype html><meta charset="utf-8"><title>Before and'
            f" after</title><style>{page.STYLE}</style>"
        )
        out.write("\n".join(parts))
    os.replace(part, path)
    return path


def _found(result: deidentify.Clean) -> str:
    """What the text reader found in a picture, in words."""
    told = f"words removed: {' '.join(result.removed)}; " if result.removed else ""
    if result.doubtful is None:
        return told + "not looked through for text: marked BurnedInAnnotation YES"
    if result.doubtful:
        many = "1 place looks" if result.doubtful == 1 else f"{result.doubtful} places look"
        return told + f"{many} like text still: marked BurnedInAnnotation YES"
    return told + "no text found"


def main(arguments: list[str] | None = None) -> None:
    """De-identify a folder of DICOM files, then tell how to go on."""
    parser = argparse.ArgumentParser(prog="tools.intake.anonymous", description=main.__doc__)
    for name, about in (
        ("data", "folder with the DICOM files"),
        ("out", "new folder for the result"),
        ("key", "file that keeps who is who, outside the result"),
    ):
        parser.add_argument(f"--{name}", required=True, help=about)
    parser.add_argument("--form", help="how to read the folder, as tools/intake/form_example.yml")
    parser.add_argument("--patients", help="table of patients, CSV")
    args = parser.parse_args(arguments)
    report = convert(args.data, args.out, args.key, args.form, args.patients)
    out = Path(args.out)
    more = f" PATIENTS={shlex.quote(f'{out}/patients.csv')}" if args.patients else ""
    print(f"files in the folder: {len(report.roles)}")
    for role, count in ledger.summary(report.roles):
        print(f"· {role}: {count}")
    for file in report.of(ledger.REFUSED):
        print(f"refused: {file}: {report.roles[file][1]}")
    if not text.available():
        print("no text reader is installed (rapidocr-onnxruntime): no picture is called clean")
    if report.unproven:
        print(
            f"{report.unproven} pictures may hold text still: marked BurnedInAnnotation YES and"
            " first on the sheet"
        )
    print(
        f"look at and sign: {report.sheet}\nnext: make manifest STUDY=..."
        f" DATA={shlex.quote(str(out))} FORM={shlex.quote(f'{out}/form.yml')}{more}"
    )


if __name__ == "__main__":
    command(main)
