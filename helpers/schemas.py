"""The tables of a manifest, declared once: which columns, of which kind, within which limits."""

import pandas as pd
import pandera.pandas as pa

from helpers import files
from helpers.errors import StudyError, raise_all

SPLITS = ("train", "val", "test")
#: images of another hospital, device or operator: looked at like the test set, apart from it, in no
#: fold
EXTERNAL = "external"

_sha = pa.Column(str, pa.Check.str_matches(r"^[0-9a-f]{64}$"))
#: a file below DATA: no absolute path, no drive, no step upwards
_INSIDE = r"^(?![/\\\\]|[A-Za-z]:)(?!(?:.*[/\\\\])?\.\.(?:[/\\\\]|$)).+$"
_file = pa.Column(str, pa.Check.str_matches(_INSIDE, error="a path inside DATA"))
_text = pa.Column(str, pa.Check.str_length(min_value=1))
_optional = pa.Column(str, required=False, nullable=True)
_id = pa.Column(str, pa.Check.str_matches(r"^[A-Za-z0-9_.-]+$"), unique=True)


def _number(low, high):
    return pa.Column(
        float, pa.Check.in_range(low, high), nullable=True, coerce=True, required=False
    )


IMAGES = pa.DataFrameSchema(
    {
        "image_id": _id,
        "patient_id": pa.Column(str, nullable=True),
        "image": pa.Column(
            str, pa.Check.str_matches(_INSIDE, error="a path inside DATA"), unique=True
        ),
        "mask": _file,
        "split": pa.Column(str, pa.Check.isin([*SPLITS, EXTERNAL, "excluded"])),
        "sha256_image": _sha,
        "sha256_mask": _sha,
        "device": _optional,
        "pixel_spacing_mm": _number(1e-4, 10),
        "excluded": _optional,
    },
    strict=True,
)
PATIENTS = pa.DataFrameSchema(
    {
        "patient_id": _id,
        "age_years": _number(0, 120),
        "sex": pa.Column(str, pa.Check.isin(["male", "female"]), nullable=True, required=False),
        "height_cm": _number(30, 250),
        "weight_kg": _number(1, 400),
        "excluded": _optional,
    }
)
ANNOTATIONS = pa.DataFrameSchema(
    {"image_id": _text, "rater": _text, "mask": _file, "sha256_mask": _optional}
)


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
