"""The tables of a manifest, declared once: which columns, of which kind, within which limits."""

from pathlib import Path
from typing import Any

import pandas as pd
import pandera.pandas as pa

from helpers import files
from helpers.errors import StudyError, raise_all

SPLITS = ("train", "val", "test")
#: images of another hospital, device or operator: looked at like the test set, apart from it, in no
#: fold
EXTERNAL = "external"

#: a file below DATA: no absolute path, no drive, no step upwards
_INSIDE = r"^(?![/\\\\]|[A-Za-z]:)(?!(?:.*[/\\\\])?\.\.(?:[/\\\\]|$)).+$"

_PERSON = r"^[\w.-]+(?: [\w.-]+)*$"


def _text(description: str, **options: Any) -> pa.Column:
    return pa.Column(str, description=description, **options)


def _number(low: float, high: float, description: str) -> pa.Column:
    return pa.Column(
        float,
        pa.Check.in_range(low, high),
        nullable=True,
        coerce=True,
        required=False,
        description=description,
    )


def _optional(description: str) -> pa.Column:
    return _text(description, required=False, nullable=True)


def _id(description: str) -> pa.Column:
    return _text(description, checks=pa.Check.str_matches(r"^[A-Za-z0-9_.-]+$"), unique=True)


def _file(description: str, unique: bool = False) -> pa.Column:
    inside = pa.Check.str_matches(_INSIDE, error="a path inside DATA")
    return _text(description, checks=inside, unique=unique)


def _sha(description: str) -> pa.Column:
    return _text(description, checks=pa.Check.str_matches(r"^[0-9a-f]{64}$"))


IMAGES = pa.DataFrameSchema(
    {
        "image_id": _id("name of the image in every table and on every page"),
        "patient_id": _text("whose image it is; empty where nobody knows", nullable=True),
        "image": _file("file below DATA; `cine.dcm#12` is frame 12 of a cine", unique=True),
        "mask": _file("file of the outlines, or `file#part`"),
        "split": _text(
            "what the image is for: train, val, test, external (another hospital's) or excluded",
            checks=pa.Check.isin([*SPLITS, EXTERNAL, "excluded"]),
        ),
        "sha256_image": _sha("of the image file"),
        "sha256_mask": _sha("of the mask file"),
        "device": _optional("ultrasound machine or probe"),
        "pixel_spacing_mm": _number(1e-4, 10, "height of a pixel; empty: distances in pixels"),
        "excluded": _optional("why the image is left out"),
    },
    strict=True,
)
PATIENTS = pa.DataFrameSchema(
    {
        "patient_id": _text(
            "as in images.csv",
            checks=pa.Check.str_matches(_PERSON, error="letters, digits, _ . - and single blanks"),
            unique=True,
        ),
        "age_years": _number(0, 120, "years"),
        "sex": _text(
            "male or female",
            checks=pa.Check.isin(["male", "female"]),
            nullable=True,
            required=False,
        ),
        "height_cm": _number(30, 250, "cm"),
        "weight_kg": _number(1, 400, "kg"),
        "excluded": _optional("why the patient is left out"),
    }
)
ANNOTATIONS = pa.DataFrameSchema(
    {
        "image_id": _text("as in images.csv", checks=pa.Check.str_length(min_value=1)),
        "rater": _text("who drew it", checks=pa.Check.str_length(min_value=1)),
        "mask": _file("file of this rater's outlines"),
        "sha256_mask": _optional("of the mask file"),
    }
)
TABLES = {
    "images.csv": (IMAGES, "One row an image. Columns that are not listed are refused."),
    "patients.csv": (PATIENTS, "One row a person. Further columns are shown in Table 1."),
    "annotations.csv": (ANNOTATIONS, "One row an outline of a second reader. May be left out."),
}


def main(arguments: list[str] | None = None) -> None:
    """Print data_manifest/README.md: every column of the manifest's tables."""
    print("# The manifest's tables\n")
    print("Written by `python -m helpers columns > data_manifest/README.md`; an empty cell is")
    print("a value that is not known. `make manifest` writes them from a folder of images.")
    for name, (schema, about) in TABLES.items():
        print(f"\n## {name}\n\n{about}\n")
        print("| column | may be absent | may be empty | what it holds |\n|---|---|---|---|")
        for column in schema.columns.values():
            absent, empty = ("" if column.required else "yes"), ("yes" if column.nullable else "")
            print(f"| {column.name} | {absent} | {empty} | {column.description} |")


def read_csv(path: Path, schema: pa.DataFrameSchema) -> pd.DataFrame:
    """A CSV under a pandera schema, all cells as text unless the schema coerces; every problem with
    its row.
    """
    try:
        frame = files.read_csv(path, dtype=str)
    except FileNotFoundError:
        raise StudyError(
            f"{path}: no such file; `make manifest` writes it from a folder of images"
        ) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: not a readable CSV: {' '.join(str(error).split())}") from None
    if frame.empty:
        raise StudyError(
            f"{path}: has a header but no rows; add at least one, or run `make manifest`"
        )
    try:
        return schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        cases = errors.failure_cases
    lines = []
    for case in cases.itertuples():
        if pd.isna(case.index):
            lines.append(f"{case.column or ''} {case.check}: {case.failure_case}".strip())
        else:  # header is line 1
            lines.append(
                f"row {int(case.index) + 2}, {case.column}: {case.failure_case!r} fails"
                f" {case.check}"
            )
    raise_all(dict.fromkeys(lines), path)
