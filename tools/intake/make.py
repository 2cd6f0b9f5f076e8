"""From a folder to data_manifest/<study>/ and a page about it. Nothing is written unless something
is usable.
"""

import hashlib
import os
import re
import shlex
import tempfile
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import yaml

from helpers import readers, studies
from helpers.errors import StudyError, raise_all
from helpers.files import write_csv
from helpers.readers import sha256
from tools.intake import (
    by_picture,
    check,
    deidentify,
    doubtful,
    find,
    ledger,
    page,
    pairing,
    patients,
    protocols,
    sentences,
    spacing,
    split_authors,
    splits,
)
from tools.intake import form as forms
from tools.intake.discover import classes_of
from tools.intake.split_words import is_split
from tools.intake.tables import image_table, some

#: first line of a drafted study.yml, before the digest of the rest
DRAFTED = "# drafted by make manifest, which makes it anew until something in it is changed: "
NOBODY = (
    "nothing says whose it is, as the other images do; say in the form how to read the patient, or"
    " split by image"
)


def study_yml(
    name: str,
    form: forms.Form,
    classes: Sequence[studies.Class],
    by_patient: bool,
    target: str,
    draft: dict,
    authors: bool,
) -> dict:
    """The content of a drafted study.yml (dict). target: name of a class that is drawn; draft: what
    ``protocols.drafted`` gives; authors: whether the split is theirs.
    """
    unit = "patient" if by_patient else "image"
    if form.split.get("policy") == "image k-fold":
        unit = "image"
    content = {
        "title": form.title or name.replace("_", " "),
        **({"question": form.question} if form.question else {}),
        "citation": form.citation,
        **draft,
        "classes": [
            {
                "index": c.index,
                "name": c.name,
                "title": c.title,
                "colour": c.colour,
                "weight": c.weight,
                **({"labels": list(c.labels)} if c.labels else {}),
            }
            for c in classes
        ],
        **({"ignored": list(form.ignored)} if form.ignored else {}),
        "split": {
            "policy": form.split.get("policy", "given"),
            "unit": unit,
            "folds": form.split.get("folds", 5),
            "seed": form.split.get("seed", 42),
            **(
                {"reason": "the folders, lists or table of those who made the set"}
                if authors
                else {}
            ),
        },
        "target": target,
        "statistics": {
            "metric": "Dice",
            "class": target,
            "test": "patient_t" if by_patient else "image_t",
            "interval": "bootstrap_t",
            "margin": 0.02,
            "draws": 10000,
            "seed": 1,
            "multiplicity": "holm",
        },
    } | form.study
    if content["split"]["policy"] == "given":
        content["split"].pop("folds", None)
    return content


def tables(
    records: list[check.Record],
    reasons: dict,
    form: forms.Form,
    data: Path | str,
    previous: pd.DataFrame | None,
    authors: dict[str, str] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """(images, annotations or None) as written, from the usable records and image_id → reason of
    the excluded.
    """
    rows = [
        {
            "image_id": r.pair.image_id,
            "patient_id": r.patient,
            "image": r.pair.image,
            "mask": r.pair.mask,
            "device": r.device,
            "pixel_spacing_mm": r.spacing_mm,
            "excluded": reasons.get(r.pair.image_id),
        }
        for r in records
    ]
    frame = pd.DataFrame(rows)
    used = frame["excluded"].isna().to_numpy()
    if not used.any():
        raise StudyError(
            "every usable image is excluded; look at the keys exclude and duplicates of the form"
        )
    frame["split"] = "excluded"
    areas = np.array([r.areas for r in records])[used]
    frame.loc[used, "split"] = splits.draw(
        frame[used].reset_index(drop=True), areas, form.split, previous, authors
    )
    images = image_table(frame.astype(object).where(frame.notna(), None).to_dict("records"), data)
    drawn = [
        (r.pair.image_id, rater, mask) for r in records for rater, mask in r.pair.raters.items()
    ]
    if not drawn:
        return images, None
    notes = pd.DataFrame(drawn, columns=["image_id", "rater", "mask"])
    return images, notes.assign(sha256_mask=[sha256(Path(data) / m) for m in notes["mask"]])


def previous_split(folder: Path, redraw: bool, ids: dict[str, str]) -> pd.DataFrame | None:
    """The split of an earlier manifest, or None where there is none or it shall be drawn again.

    ids: image → its image_id now, which another picture of its name may have changed.
    """
    path = folder / "images.csv"
    if redraw or not path.is_file():
        return None
    earlier = studies.read_csv(path, studies.IMAGES)
    return earlier.assign(image_id=earlier["image"].map(ids).fillna(earlier["image_id"]))


def named_folder(name: str, data: Path | str) -> tuple[Path, Path]:
    """(the folder of images, that of the manifest); StudyError where either cannot be used."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise StudyError(f"study name {name!r}: use letters, digits, _ and - only")
    if not str(data).strip():
        raise StudyError("DATA is missing: give the folder of pictures and masks, DATA=/folder")
    data = Path(data)
    if not data.is_dir():
        raise StudyError(
            f"DATA={data}: no such folder; give the folder that holds the images and masks"
        )
    folder = studies.ROOT / "data_manifest" / name
    earlier_yml = folder / "study.yml"
    if earlier_yml.is_file() and studies.read_yaml(earlier_yml).get("generator"):
        raise StudyError(
            f"STUDY={name}: is a study of drawn images, which an intake would replace; give yours a"
            " name of its own, STUDY=mine"
        )
    return data, folder


def make(
    name: str,
    data: Path | str,
    form_path: Path | str | None = None,
    patients_path: Path | str | None = None,
    redraw: bool = False,
) -> Path:
    """Read a folder and write the manifest and the page; returns the path of the page.

    Raises StudyError, and writes nothing, where the study would not be usable; what was refused is
    then in the message.
    """
    data, folder = named_folder(name, data)
    form = forms.read(form_path)
    people, assumed = (
        patients.opened(Path(patients_path), form.columns) if patients_path else (None, [])
    )
    pairs, refused, notes = found_pairs(data, form)
    chosen = [p.image for p in pairs]
    mm, mm_file = spacing.told(form, data, form_path, chosen)
    assumed += notes
    without = [r.file for r in refused]
    form, whose_file, notes = by_picture.whose(form, data, form_path, chosen, without)
    assumed += notes
    classes, notes = classes_of(pairs, data, form)
    assumed += notes
    records, more = check.read_all(pairs, data, classes, form)
    refused += more
    raise_unusable(data, records, refused)
    if not form.classes:
        doubtful.smoothed(records, classes)
    records = [
        r if r.spacing_mm is not None else replace(r, spacing_mm=mm(r.pair.image)) for r in records
    ]
    unknown = sorted(
        set(form.exclude) - {p.image_id for p in pairs} - {find.stem(r.file) for r in refused}
    )
    raise_all((f"exclude: no image is called {n!r}" for n in unknown), str(form_path))
    ids = {r.pair.image: r.pair.image_id for r in records}
    reasons, previous = check.exclude(records, form), previous_split(folder, redraw, ids)
    records, notes, same = with_patients(records, form)
    assumed += notes
    records, more = apart(records, data, form)
    refused += more
    raise_unusable(data, records, refused)
    named = [r.patient for r in records]
    if any(named) and form.split.get("policy") not in ("given", "image k-fold"):
        why = by_picture.NO_ROW if "table" in form.patient else NOBODY
        refused += [find.Refused(r.pair.image, why) for r in records if not r.patient]
        records = [r for r in records if r.patient]
    if people is not None:
        people["patient_id"] = patients.respelled(people["patient_id"], named)
        out = set(people.loc[people["excluded"].notna(), "patient_id"])
        reasons |= {r.pair.image_id: "patient excluded" for r in records if r.patient in out}
        records, people = patients.spacings(records, people)
    authors, lists, unclear = None, [], []
    if not form.split:
        whose = {r.pair.image: r.patient for r in records}
        authors, lists, unclear = split_authors.by_authors(list(whose), data, list(whose.values()))
    try:
        images, drawn = tables(records, reasons, form, data, previous, authors)
    except StudyError as error:
        raise StudyError(f"{form_path or f'DATA={data}'}: {error}") from None
    by_patient = images["patient_id"].notna().any()
    elsewhere = sentences.overruled(images, authors or {}, folder)
    doubts = sentences.shared(images, records) + unclear + same + sentences.few_tested(images)
    doubts += [*elsewhere, *doubts_about(records, classes, form, data)]
    if people is not None and (odd := patients.implausible(people)):
        doubts.append(odd)
    if len(form.classes or ()) <= 2 and not form.masks:
        doubts += pairing.called_apart(pairs) or pairing.folders_apart(pairs)
    if not by_patient:
        doubts.append(sentences.nobody_known(data, records, authors))
    before = sentences.kept_split(images, previous)
    assumed += sentences.assumed(records, before, authors, bool(elsewhere))
    if not any(r.spacing_mm for r in records):
        assumed += spacing.offered(data, [r.pair.image for r in records])
    written = {"images.csv": images, "annotations.csv": drawn}
    if people is not None:
        pictured = set(images["patient_id"].dropna())
        used = set(images.loc[images["split"] != "excluded", "patient_id"].dropna())
        people, notes = patients.match(people, pictured, used, form.columns)
        written["patients.csv"], assumed = people, assumed + notes
    kept = images[images["split"] != "excluded"]
    people_kept, folds = int(kept["patient_id"].nunique()), form.split.get("folds", 5)
    smallest = min(min(r.size) for r in records)
    draft, notes = protocols.drafted(len(kept), people_kept, smallest, folds)
    shown = [c.name for k, c in enumerate(classes[1:]) if any(r.areas[k] for r in records)]
    if not shown:
        raise StudyError(f"DATA={data}: nothing is outlined in any mask; nothing was written")
    content = study_yml(name, form, classes, by_patient, shown[0], draft, bool(authors))
    own = folder / "study.yml"
    changed = studies.read_yaml(own) if own.is_file() and not is_draft(own) else None
    if quick := (changed or content)["protocols"].get("quick"):
        assumed.append(protocols.told(quick, len(kept), people_kept, folds))
    if not changed and "protocols" not in form.study:
        assumed += notes
    if changed:
        doubts += sentences.otherwise(changed, content)
        assumed.append(
            "study.yml was changed by hand and is kept as it is; delete it to have it made anew."
        )
    frames = {k: v for k, v in written.items() if v is not None}
    write_manifest(folder, None if changed else content, frames)
    read = (mm_file, whose_file, inside(patients_path, data))
    others = [*lists, *filter(None, read)]
    roles = ledger.ledger(data, form, images, refused, drawn, others)
    doubts += ledger.not_masks(roles, data) + ledger.unread(roles)
    return write_page(
        name, data, roles, records, refused, reasons, images, classes, doubts, assumed
    )


def doubts_about(
    records: list[check.Record],
    classes: Sequence[studies.Class],
    form: forms.Form,
    data: Path,
) -> list[str]:
    """Sentences on what is doubtful about pictures, outlines and whose they are."""
    doubts = [*doubtful.copied(records), *doubtful.numbered(records, data)]
    doubts += doubtful.changed_copies(records) or doubtful.mirrored_copies(records)
    doubts += [*doubtful.slips(records, classes), *doubtful.raters(records)]
    doubts += doubtful.boxes(records, classes)
    if not form.classes:
        doubts += doubtful.never_together(records, classes)
    if "table" not in form.patient and "pattern" not in form.patient:
        doubts += doubtful.people(records, data)
    return doubts


def found_pairs(
    data: Path, form: forms.Form
) -> tuple[list[pairing.Pair], list[find.Refused], list[str]]:
    """(pairs, refused, sentences): what the folder holds; StudyError where nothing is usable."""
    files = find.everything(data)
    chosen, notes = find.pictures_in(files, form, data)
    if not chosen:
        wanted = f"match {', '.join(form.images)}" if form.images else "are images by their ending"
        deeper = [f"**/{p}" for p in form.images]
        anywhere = [f for f in files if any(find.matches(p, f) is not None for p in deeper)]
        advice = ""
        named = [f for f in files if readers.suffix(f) in find.IMAGES and find.masklike(f)]
        if named and not form.images:
            wanted = "are pictures"
            advice = (
                f"; {len(named)} are named as masks, or lie in a folder named so ({some(named)}):"
                " if they are pictures, rename them, or say so in a form, such as images:"
                ' ["*.png"]'
            )
        if anywhere:
            advice = f'; {anywhere[0]} lies deeper, write images: ["**/{form.images[0]}"]'
        advice += "".join(f"; {sentence}" for sentence in find.linked(data))
        raise StudyError(
            f"DATA={data}: none of its {len(files)} files {wanted}{advice}; nothing was written"
        )
    notes = [*find.linked(data), *notes]
    pairs, refused = pairing.pair(files, chosen, form, data)
    raise_unusable(data, pairs, refused, notes)
    strange = [p for p in pairs if pairing.is_called_otherwise(p)]
    if strange and not form.masks:
        notes = [
            *notes,
            f"{len(strange)} pictures found their mask by its number or folder, because none is"
            f" called as they are: {strange[0].image} has {strange[0].mask}. Is that right?",
        ]
    pairs, more = pairing.frames(pairs, data, form.frames_from)
    raise_unusable(data, pairs, refused + more)
    if form.change:
        notes = [*notes, f"Every mask was changed as the form says: {', '.join(form.change)}."]
    refused += more
    pairs, more = pairing.all_changed(pairs, form.change)
    raise_unusable(data, pairs, refused + more)
    return pairs, refused + more, notes


def with_patients(
    records: list[check.Record], form: forms.Form
) -> tuple[list[check.Record], list[str], list[str]]:
    """(records, sentences, doubts) with each patient in one spelling, from the folders' names where
    nothing else says whose a picture is. That two may be one, or one two, is a doubt.
    """
    notes, doubts = [], []
    if not form.patient and not any(r.patient for r in records):
        own = [find.patient_folder(r.pair.image) for r in records]
        if all(own) and len(set(own)) > 1:
            records = [replace(r, patient=p) for r, p in zip(records, own, strict=True)]
            notes.append(
                f"The patient was read from the folders' names ({own[0]}, …): is that right?"
            )
            doubts += _places_of_one(records, find.PATIENT_FOLDER)
    if "pattern" in form.patient:
        doubts += _places_of_one(records, form.patient["pattern"])
    one = patients.respelled([r.patient for r in records])
    named = [patients.safe(name) if name else None for name in one]
    pairs = {(r.patient or "", n) for r, n in zip(records, named, strict=True) if r.patient != n}
    alias = dict(sorted(pairs))
    renamed = {old: new for old, new in alias.items() if new == patients.safe(old)}
    if renamed:
        old, new = next(iter(renamed.items()))
        notes.append(
            f"{len(renamed)} patients are called otherwise here, without signs that tables and"
            f" folders trip over: {old!r} is {new}."
        )
    merged = [f"{old!r} and {new!r}" for old, new in alias.items() if old not in renamed]
    if merged:
        listed = ", ".join(merged[:3]) + ", …" * (len(merged) > 3)
        doubts.append(
            f"Patients {listed} were taken as one. If they are two, write other letters or"
            " numbers for one of them, not only zeros or signs."
        )
    return [replace(r, patient=n) for r, n in zip(records, named, strict=True)], notes, doubts


def _places_of_one(records: list[check.Record], pattern: str) -> list[str]:
    """Sentences on patients whom a pattern finds behind different folders: one number in two
    hospitals may be two people.
    """
    places = defaultdict(set)
    for r in records:
        if found := re.search(pattern, unicodedata.normalize("NFC", r.pair.image)):
            above = PurePosixPath(r.pair.image[: found.start(1)] + "x").parent
            places[r.patient].add(" / ".join(p for p in above.parts if not is_split(p)))
    twice = {p: sorted(where) for p, where in places.items() if len(where) > 1}
    if not twice:
        return []
    one, where = next(iter(twice.items()))
    return [
        f"{len(twice)} patients lie in several folders, such as {one!r} in"
        f" {' and '.join(where[:2])}: is that one person? Else let the brackets of a pattern hold"
        " that folder too (patient: {pattern: …} in the form)."
    ]


def apart(
    records: list[check.Record], data: Path, form: forms.Form
) -> tuple[list[check.Record], list[find.Refused]]:
    """(records, refused): without those of a DICOM patient number that two people share."""
    if {"pattern", "table"} & set(form.patient):
        return records, []
    people = defaultdict(dict)
    for r in records:
        file = readers.locate(data / r.pair.image)[0]
        if r.patient and "patient" not in r.pair.told and readers.kind(file) == "DICOM":
            people[r.patient][r.pair.image] = deidentify.person(file)
    why = {image: deidentify.shared_number(own) for own in people.values() for image in own}
    return (
        [r for r in records if not why.get(r.pair.image)],
        [find.Refused(image, told) for image, told in why.items() if told],
    )


def inside(path: Path | str | None, data: Path) -> str | None:
    """A file as seen from DATA, or None where it lies elsewhere."""
    if path is None:
        return None
    path, data = Path(path).resolve(), data.resolve()
    return path.relative_to(data).as_posix() if path.is_relative_to(data) else None


def raise_unusable(
    data: Path, usable: Sequence, refused: list[find.Refused], notes: Sequence[str] = ()
) -> None:
    """StudyError with every refusal where nothing is left; notes: on files that were left out."""
    if not usable:
        out = [
            f"{n} If people drew them, say so in a form (masks: …)"
            for n in notes
            if "left out" in n
        ]
        raise_all(
            [*out, *(f"{r.file}: {r.reason}" for r in refused)],
            f"DATA={data}: no usable image, nothing was written",
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_draft(path: Path) -> bool:
    """Whether a study.yml is as ``write_manifest`` drafted it."""
    first, _, rest = path.read_text(encoding="utf-8").partition("\n")
    return first == DRAFTED + _digest(rest)


def write_manifest(folder: Path, content: dict | None, frames: dict[str, pd.DataFrame]) -> None:
    """Validate everything as the study will, then move it into place; without content the
    study.yml that is there is kept, and so is an earlier patients.csv that has a row for everybody.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as made:
        draft = Path(made)
        if content is None:
            text = (folder / "study.yml").read_text(encoding="utf-8")
        else:
            text = yaml.safe_dump(
                content, allow_unicode=True, sort_keys=False, width=110, default_flow_style=None
            )
            text = f"{DRAFTED}{_digest(text)}\n{text}"
        (draft / "study.yml").write_text(text, encoding="utf-8")
        for name, frame in frames.items():
            write_csv(frame, draft / name)
        people = folder / "patients.csv"
        if "patients.csv" not in frames and people.is_file():
            known = set(studies.read_csv(people, studies.PATIENTS)["patient_id"])
            if lost := sorted(set(frames["images.csv"]["patient_id"].dropna()) - known):
                raise StudyError(
                    f"{people}: is of an earlier intake and has no row for {', '.join(lost[:5])};"
                    " give the table again (PATIENTS=), or delete it"
                )
        try:
            loaded = studies.load(draft.name)
            studies.images(loaded)
            studies.patients(loaded)
            studies.annotations(loaded)
        except StudyError as error:
            made = (
                "study.yml" if content is None else "study.yml (drafted, with what the form says)"
            )
            words = str(error).replace(str(draft / "study.yml"), str(folder / made))
            raise StudyError(
                words.replace(str(draft), str(folder)) + "\n  nothing was written"
            ) from None
        folder.mkdir(exist_ok=True)
        for path in sorted(draft.iterdir()):
            os.replace(path, folder / path.name)


def write_page(
    name: str,
    data: Path,
    roles: dict[str, tuple[str, str]],
    records: list[check.Record],
    refused: list[find.Refused],
    reasons: dict,
    images: pd.DataFrame,
    classes: Sequence[studies.Class],
    doubts: list[str],
    assumed: list[str],
) -> Path:
    """Write reports/<study>/intake.html and return its path. doubts, assumed: sentences, those
    that stand first and the others.
    """
    used = images[images["split"] != "excluded"]
    people = used["patient_id"].nunique()
    summary = [
        ("files in the folder", len(roles)),
        *((f"· {role}", count) for role, count in ledger.summary(roles)),
        ("images used", len(used)),
        ("patients", people or "unknown"),
        ("images excluded", len(images) - len(used)),
        ("images refused", len(refused)),
        ("images with known pixel spacing", int(used["pixel_spacing_mm"].notna().sum())),
    ]
    summary += [
        (f"images that show {c.title}", sum(r.areas[c.index - 1] > 0 for r in records))
        for c in classes[1:]
    ]
    groups = [(s, used[used["split"] == s]) for s in ("train", "val", "test", "external")]
    rows = [(s, int(g["patient_id"].nunique()) or "unknown", len(g)) for s, g in groups if len(g)]
    suspects = check.suspicious(records, classes)
    unseen = [c for c in classes[1:] if not any(r.areas[c.index - 1] > 0 for r in records)]
    doubts = [
        *(
            f"No picture shows {c.title}: is it outlined under another name, or another structure?"
            for c in unseen
        ),
        *doubts,
    ]
    shown = [records[k] for k in np.random.default_rng(1).permutation(len(records))[:48]]
    named = sum(find.IDENTIFIED in r.notes for r in records)
    first = (
        f"{named} of these files name a person, and images.csv repeats their ids: make anonymous"
        " first. "
    )
    repair = "repair what is refused and run make manifest again; " if refused else ""
    settle = "settle what stands first below, " if doubts else ""
    then = (
        f"{first * bool(named)}Next: {repair}{settle}look at the pictures, then run make study"
        f" STUDY={name} DATA={shlex.quote(str(data))}"
    )
    for what, count in summary[: 1 + len(ledger.summary(roles))]:
        print(f"{what}: {count}", flush=True)
    for one in refused[:5]:
        print(f"refused: {one.file}: {one.reason}", flush=True)
    if len(refused) > 5:
        print(f"… and {len(refused) - 5} more, all on the page", flush=True)
    for sentence in doubts:
        print(f"LOOK FIRST: {sentence}", flush=True)
    if suspects:
        odd = len({record.pair.image_id for record, *_ in suspects})
        print(
            f"LOOK FIRST: {odd} of {len(records)} pictures stand out, on top of the page, such as"
            f" {suspects[0][0].pair.image_id}: {suspects[0][2]}"
        )
    for sentence in assumed:
        print(sentence, flush=True)
    text = page.render(
        name,
        summary,
        doubts,
        assumed,
        refused,
        suspects,
        reasons,
        shown,
        rows,
        classes,
        then,
        ledger.reasons(roles),
    )
    target = studies.ROOT / "reports" / name / "intake.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, target)
    return target
