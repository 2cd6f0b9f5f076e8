"""A spreadsheet of patients as it comes, to patients.csv as the study wants it."""

import csv
import io
import re

import pandas as pd

from helpers.errors import StudyError, raise_all

SEX = {
    "m": "male",
    "male": "male",
    "man": "male",
    "男": "male",
    "f": "female",
    "female": "female",
    "w": "female",
    "woman": "female",
    "女": "female",
    "": "",
}
NUMBERS = {"age_years": (0, 120), "height_cm": (30, 250), "weight_kg": (1, 400)}
#: columns that would carry people's names into the manifest, which is meant to be shared
IDENTIFYING = re.compile(
    r"(?i)name|birth|\bdob\b|geburt|address|adresse|phone|telefon|mail|姓名|生日|出生|电话|地址"
)
NAMES = {
    "patient_id": ("patient", "patient id", "id", "pid", "case", "subject"),
    "age_years": ("age", "age years", "age (years)"),
    "sex": ("gender",),
    "height_cm": ("height", "height (cm)", "height cm"),
    "weight_kg": ("weight", "weight (kg)", "weight kg"),
    "excluded": ("exclusion", "reason", "excluded because"),
}


def spelling(patient):
    """What the ways of writing one patient share (tuple): 'P-007', 'p7', 'P 07' are one, '1-12' and
    '11-2' are two.
    """
    parts = re.findall(r"\d+|[^\W\d_]+", patient.casefold())
    return tuple(p.lstrip("0") or "0" for p in parts) or (patient,)


def respelled(names, like=()):
    """Names (text or None) in one spelling for each patient (list): as in like, else as it comes
    first.
    """
    known = {}
    for name in [*like, *names]:
        if name:
            known.setdefault(spelling(name), name)
    return [known[spelling(name)] if name else None for name in names]


def read(path):
    """patients.csv from a CSV with comma, semicolon or tab, UTF-8 or GB18030, decimal point or
    comma.

    Columns are known by their usual names (NAMES); further ones are kept. StudyError lists every
    wrong cell with its row (the header is row 1).
    """
    frame = _table(path)
    known = {alias: name for name, aliases in NAMES.items() for alias in (name, *aliases)}
    frame.columns = [known.get(c.strip().lower(), c.strip()) for c in frame.columns]
    if "patient_id" not in frame:
        raise StudyError(f"{path}: no column patient_id; it has {', '.join(frame.columns)}")
    if doubled := sorted({c for c in frame.columns if list(frame.columns).count(c) > 1}):
        raise StudyError(f"{path}: two columns mean {', '.join(doubled)}; keep one")
    frame = frame.map(str.strip)
    frame = frame[(frame != "").any(axis=1)].reset_index(names="row")
    problems = _problems(frame)
    raise_all(problems, path)
    for name in NUMBERS.keys() & set(frame.columns):
        frame[name] = pd.to_numeric(frame[name].str.replace(",", "."))
    if "sex" in frame:
        frame["sex"] = frame["sex"].str.lower().map(SEX)
    if "excluded" not in frame:
        frame["excluded"] = ""
    return frame.drop(columns="row").replace("", None)


def _table(path):
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        raise StudyError(f"{path}: no such file; give the table of patients as CSV") from None
    if raw[:4] in (b"PK\x03\x04", b"\xd0\xcf\x11\xe0"):
        raise StudyError(f"{path}: is a spreadsheet, not CSV; save it as 'CSV UTF-8'")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = raw.decode("gb18030")
        except UnicodeDecodeError:
            raise StudyError(
                f"{path}: neither UTF-8 nor GB18030 text; save it as 'CSV UTF-8'"
            ) from None
    if not text.strip():
        raise StudyError(f"{path}: is empty; give one row a patient")
    first = text.splitlines()[0]
    separator = max(",;\t", key=first.count)
    rows = list(csv.reader(io.StringIO(text), delimiter=separator))
    ragged = [
        f"row {k}: {len(r)} cells, the header has {len(rows[0])}"
        for k, r in enumerate(rows, 1)
        if r and len(r) != len(rows[0])
    ]
    raise_all(ragged, path)
    frame = pd.DataFrame([r for r in rows[1:] if r], columns=rows[0], dtype=str)
    frame.index = [k for k, r in enumerate(rows[1:], 2) if r]
    if frame.empty:
        raise StudyError(f"{path}: has a header but no patient; give one row a patient")
    return frame


def _problems(frame):
    """One sentence for each wrong cell."""
    found = []
    for r in frame.itertuples():
        row = r._asdict()
        if not row["patient_id"]:
            found.append(f"row {row['row']}: patient_id is empty")
        for name, (low, high) in NUMBERS.items():
            text = row.get(name, "")
            try:
                good = not text or low <= float(text.replace(",", ".")) <= high
            except ValueError:
                good = False
            if not good:
                found.append(f"row {row['row']}: {name} {text!r} is no number from {low} to {high}")
        if row.get("sex", "").lower() not in SEX:
            found.append(
                f"row {row['row']}: sex {row['sex']!r} is neither male nor female; empty where"
                " unknown"
            )
    for _, group in frame[frame["patient_id"] != ""].groupby(frame["patient_id"].map(spelling)):
        if len(group) > 1:
            written = ", also written ".join(dict.fromkeys(group["patient_id"]))
            found.append(
                f"rows {', '.join(map(str, group['row']))}: patient {written} occurs {len(group)}"
                " times"
            )
    return found


def match(frame, pictured, used):
    """Check the table against the patients who have images: (table, sentences).

    pictured: patients with an image; used: those of them with one that is not excluded. Patients of
    the table without a usable image are marked excluded, columns that name people left out; images
    of a patient who is not in the table are an error.
    """
    if not pictured:
        raise StudyError(
            "patients: a table was given, but no image has a patient; say in a form how to read it"
        )
    missing = sorted(set(pictured) - set(frame["patient_id"]))
    if missing:
        raise_all(
            (f"patient {p!r} has images but no row; add it" for p in missing), "table of patients"
        )
    personal = [c for c in frame if IDENTIFYING.search(c)]
    frame, notes = frame.drop(columns=personal), []
    if personal:
        notes.append(f"Columns of the table that name people were left out: {', '.join(personal)}.")
    without = ~frame["patient_id"].isin(used) & frame["excluded"].isna()
    if without.any():
        frame.loc[without, "excluded"] = "no usable image"
        notes.append(
            f"{int(without.sum())} patients of the table have no usable image: excluded for that"
            " reason."
        )
    return frame, notes
