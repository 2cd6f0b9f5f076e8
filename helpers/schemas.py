"""The tables of a manifest, declared once: which columns, of which kind, within which limits."""

import re

import pandas as pd
import pandera.pandas as pa

from helpers import files
from helpers.errors import StudyError, raise_all

SPLITS = ("train", "val", "test")
#: images of another hospital, device or operator: looked at like the test set, apart from it, in no
#: fold
EXTERNAL = "external"

#: signs that no text has: control characters but tab and line ends, halves of a character
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

#: a file below DATA: no absolute path, no drive, no step upwards
_INSIDE = r"^(?![/\\\\]|[A-Za-z]:)(?!(?:.*[/\\\\])?\.\.(?:[/\\\\]|$)).+$"

_PERSON = r"^[\w.-]+(?: [\w.-]+)*$"
#: what stands in a column of reasons and is none
_NO_REASON = r"(?i)^\s*$|^\s*(?:no|not|none|false|0|-|nein|non)\s*$"


def _text(description, **options):
    return pa.Column(str, description=description, **options)


def _number(low, high, description):
    return pa.Column(
        float,
        pa.Check.in_range(low, high),
        nullable=True,
        coerce=True,
        required=False,
        description=description,
    )


def _optional(description):
    return _text(description, required=False, nullable=True)


def _id(description):
    allowed = pa.Check.str_matches(r"^[A-Za-z0-9_.-]{1,100}$")
    return _text(description, checks=allowed, unique=True)


def _reason(description):
    told = pa.Check(
        lambda column: ~column.str.contains(_NO_REASON, na=False),
        error="a reason; leave the cell empty where there is none",
    )
    return _text(description, checks=told, required=False, nullable=True)


def _file(description, unique=False):
    inside = pa.Check.str_matches(_INSIDE, error="a path inside DATA")
    return _text(description, checks=inside, unique=unique)


def _sha(description):
    return _text(description, checks=pa.Check.str_matches(r"^[0-9a-f]{64}$"))


def _left_out(frame):
    """Per row: no reason in 'excluded', or the split says so as well."""
    if "excluded" not in frame:
        return pd.Series(True, frame.index)
    return frame["excluded"].isna() | (frame["split"] == "excluded")


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
        "excluded": _reason("why the image is left out"),
    },
    checks=pa.Check(_left_out, error="has a reason to be left out, so its split must be excluded"),
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
        "excluded": _reason("why the patient is left out"),
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


def main(arguments=None):
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


def read_csv(path, schema):
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
    raise_all(
        (
            f"row {i + 2}, {column}: {str(cell)[:80]!r} holds a control character"
            for column in frame
            for i, cell in enumerate(frame[column])
            if isinstance(cell, str) and CONTROL.search(cell)
        ),
        path,
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
