"""A table of patients as it comes, to patients.csv as the study wants it."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.errors import StudyError, raise_all
from tools.intake import spreadsheet, variables
from tools.intake.check import Record

MALE = "m male man masc masculin masculino maschio männlich mann homme h hombre uomo 男 男性"
FEMALE = (
    "f female woman w weiblich frau femme féminin femenino feminino femmina donna mujer vrouw v"
    " 女 女性"
)
UNKNOWN = " - ? u unknown unbekannt inconnu desconocido na n/a nan none"
SEX = (
    dict.fromkeys(MALE.split(), "male")
    | dict.fromkeys(FEMALE.split(), "female")
    | dict.fromkeys(["", *UNKNOWN.split()], "")
)
#: a letter for a man, and M beside it: of Spanish and Dutch tables one of them is a woman
AMBIGUOUS = {"h": "mujer and hombre", "v": "man and vrouw, or mujer and varón"}
#: what a column may be called that says who is not to be used
LEAVES_OUT = re.compile(
    r"(in|ex)clu|^esclus|(aus|ein)(ge)?schl|^verwendet$|auswertbar|drop ?out|withdr[ae]w|^reason$"
    r"|^retirad[oa]s?$|排除|剔除|纳入|入组"
)
#: … and what only numbers or dates their inclusion
NUMBERS_OF = re.compile(r"dat|fecha|日期|时间|编号|\b(no|nr|num|number|numero|id|code)\b|^n\b")
#: what people write in the column 'excluded' of those who are not
KEPT = (
    *("no", "n", "nein", "non", "não", "nao", "nej", "nee", "false", "0", "0.0", "included", "否"),
    *("entfällt", "entfaellt", "n.v.", "n. v.", "nv", "k.a.", "k. a.", "/", "--", "n. a.", "n.a."),
    *("keine", "kein", "keiner", "aucun", "aucune", "ninguno", "ninguna", "nessuno", "nessuna"),
)
#: what rows are called that sum up the others
SUMMARIES = (
    *("mean", "average", "median", "sd", "std", "total", "sum", "min", "max", "range"),
    *("mittelwert", "mittel", "gesamt", "summe", "moyenne", "somme", "promedio", "media", "suma"),
    *("mediana", "totale", "médiane", "平均", "平均值", "合计", "总计", "总数", "合計"),
)
NUMBERS = {
    "age_years": (0, 120),
    "height_cm": (30, 250),
    "weight_kg": (1, 400),
    "pixel_spacing_mm": (1e-4, 10),
}
#: signs of a name that separate no parts of it: they may be what tells two patients apart
SIGNS = re.compile(r"[+*'’!?~@%&=<>$§|µ°]")
MOST_WORDS = 12  # of a column, on the page
ADULT = 16  # years
TALL = (120, 210)  # cm, outside of which the median of no group of adults lies
BMI = (14, 40)  # kg/m², outside of which the median of no group lies
#: what people write behind a number of a column; behind it another unit is no number
UNITS = {
    "age_years": "y|yr|yrs|years?|j|jahre?|ans|años|anni|岁",
    "height_cm": "cm",
    "weight_kg": "kg",
    "pixel_spacing_mm": "mm",
}


def safe(patient: str) -> str:
    """A patient as studies may call one: signs other than letters, digits, _ . - become _."""
    return re.sub(r"[^\w. -]+", "_", unicodedata.normalize("NFC", " ".join(patient.split())))


def spelling(patient: str) -> tuple[str, ...]:
    """What the ways of writing one patient share (tuple): 'P-007', 'p7', 'P 07' are one, '1-12' and
    '11-2' are two.
    """
    parts = re.findall(r"\d+|[^\W\d_]+", patient.casefold())
    return tuple(p.lstrip("0") or "0" for p in parts) or (patient,)


def respelled(
    names: pd.Series | list[str | None], like: Sequence[str | None] = ()
) -> list[str | None]:
    """Names (text or None) in one spelling for each patient (list): as in like, else as it comes
    first. StudyError where a sign that no name can keep is all that tells two apart.
    """
    known = {}
    for name in [*like, *names]:
        if name:
            other = known.setdefault(spelling(name), name)
            if SIGNS.findall(name) != SIGNS.findall(other):
                raise StudyError(
                    f"patients {other!r} and {name!r} differ by a sign alone, which names here"
                    " cannot keep; write it in letters (A+ as Aplus), or both alike if they are one"
                )
    return [known[spelling(name)] if name else None for name in names]


def read(path: Path) -> pd.DataFrame:
    """The frame of ``opened``."""
    return opened(path)[0]


def opened(path: Path, named: Sequence[str] = ()) -> tuple[pd.DataFrame, list[str]]:
    """(patients.csv as a frame, sentences) from a CSV or an Excel file. named: columns that the
    form keeps.

    Columns are known by their usual names in several languages (``variables``). StudyError lists
    every wrong cell with its row (the header is row 1).
    """
    frame, notes = spreadsheet.read(path)
    headings = {variables.canonical(c): c for c in frame.columns}
    frame.columns = [variables.canonical(c) for c in frame.columns]
    for column in frame:
        said = variables.spelled(column)
        asks = LEAVES_OUT.search(said) and not NUMBERS_OF.search(said)
        if column not in variables.NAMES and asks:
            raise StudyError(
                f"{path}: column {column!r} may say who is not to be used; call it excluded (a"
                " reason for each who is not, nothing for the others), or take it out"
            )
    if "patient_id" not in frame:
        raise StudyError(
            f"{path}: no column is called patient_id, patient or id; call the one so that holds the"
            f" patient's number, of {', '.join(filter(None, frame.columns)) or 'these'}"
        )
    if doubled := sorted({c for c in frame.columns if list(frame.columns).count(c) > 1}):
        rows = "; is a row a picture? Then write in a form patient: {table: this file}"
        raise StudyError(
            f"{path}: two columns mean {', '.join(doubled)}; keep one"
            f"{rows if 'patient_id' in doubled else ''}"
        )
    frame = frame.map(lambda cell: " ".join(cell.split()))
    if (legend := _legend(frame)).any():
        listed = ", ".join(frame.loc[legend, "patient_id"])
        notes.append(f"Rows of the table that explain it were left out: {listed}.")
        frame = frame[~legend]
    frame["patient_id"] = frame["patient_id"].map(safe)
    frame = frame[(frame != "").any(axis=1)].reset_index(names="row")
    summary = frame["patient_id"].str.casefold().isin(SUMMARIES)
    if summary.any():
        listed = ", ".join(frame.loc[summary, "patient_id"])
        notes.append(f"Rows of the table that sum up the others were left out: {listed}.")
        frame = frame[~summary].reset_index(drop=True)
    if frame["patient_id"].str.fullmatch(r"\d+\.0").all():  # numbers, as some programs save them
        frame["patient_id"] = frame["patient_id"].str.removesuffix(".0")
    for name in sorted(NUMBERS.keys() & set(frame.columns)):
        frame[name] = frame[name].where(~frame[name].str.lower().isin(UNKNOWN.split()), "")
        unit = re.compile(rf"(?i)(?<=\d)\s*({UNITS[name]})\.?$")
        frame[name] = frame[name].str.replace(unit, "", regex=True)
    if "age_years" in frame:
        frame["age_years"] = frame["age_years"].map(_years)
    if "height_cm" in frame and frame["height_cm"].str.fullmatch(r"([0-2][.,]\d+)?").all():
        frame["height_cm"] = frame["height_cm"].map(_centimetres)
        notes.append("Heights of the table are metres: they were taken as centimetres times 100.")
    frame, more = _one_row_each(frame, named)
    notes += more
    raise_all([*_problems(frame), *_which_sex(frame, headings.get("sex", ""))], path)
    for name in NUMBERS.keys() & set(frame.columns):
        frame[name] = pd.to_numeric(frame[name].str.replace(",", "."))
    if "sex" in frame:
        frame["sex"] = frame["sex"].str.lower().map(SEX)
    if "excluded" not in frame:
        frame["excluded"] = ""
    kept = frame["excluded"].str.lower().isin([*KEPT, *UNKNOWN.split()])
    frame["excluded"] = frame["excluded"].mask(kept, "")
    words = frame["excluded"].value_counts().drop("", errors="ignore")
    if len(words) and len(frame) > 2 and words.iloc[0] > len(frame) / 2:
        raise StudyError(
            f"{path}: column {headings['excluded']!r} says {words.index[0]!r} of {words.iloc[0]} of"
            f" {len(frame)} patients, who would not be used; leave the cell empty for who is used"
        )
    if out := int((frame["excluded"] != "").sum()):
        notes.append(
            f"{out} of {len(frame)} patients are not used, as column {headings['excluded']!r} of"
            " the table says."
        )
    return frame.drop(columns="row").replace("", None), notes


def _legend(frame: pd.DataFrame) -> pd.Series:
    """Which rows hold but one text with ':' or '=' in the column of patients: they explain."""
    alone = (frame.drop(columns="patient_id") == "").all(axis=1) & (frame.shape[1] > 1)
    return alone & frame["patient_id"].str.contains("[:=]")


def _years(text: str) -> str:
    """An age such as '018M' or '7 W' in years (text); others as they are."""
    found = re.fullmatch(r"0*(\d+)\s*([MWD])", text, re.IGNORECASE)
    if not found:
        return text
    return f"{int(found[1]) / {'m': 12, 'w': 52.18, 'd': 365.25}[found[2].lower()]:.3g}"


def _which_sex(frame: pd.DataFrame, heading: str) -> list[str]:
    """A sentence where M may be a man or a woman (mujer), and no other letter tells."""
    used = set(frame["sex"].str.lower()) if "sex" in frame else set()
    dutch = variables.spelled(heading) == "geslacht"
    if variables.spelled(heading) == "sexo" and used - set(UNKNOWN.split()) - {""} == {"m"}:
        return [
            f"sex: M may be {AMBIGUOUS['h'].replace('and hombre', 'or masculino')}; write male"
            " and female"
        ]
    return [
        f"sex: {letter.upper()} and M may be {words}; write male and female"
        for letter, words in AMBIGUOUS.items()
        if {letter, "m"} <= used and not used & {"f", "w"} and not (letter == "v" and dutch)
    ]


def implausible(frame: pd.DataFrame) -> str:
    """The sentence on heights and weights that grown people do not have, or ''."""
    if "height_cm" not in frame:
        return ""
    known = "age_years" in frame
    grown = frame[~(frame["age_years"] < ADULT)] if known else frame
    tall = float(frame.loc[frame["age_years"] >= ADULT, "height_cm"].median()) if known else np.nan
    if tall < TALL[0] or tall > TALL[1]:
        return f"Adults of the table are typically {tall:.0f} cm tall: is it in centimetres?"
    if "weight_kg" not in frame:
        return ""
    bmi = float((grown["weight_kg"] / (grown["height_cm"] / 100) ** 2).median())
    if not (bmi < BMI[0] or bmi > BMI[1]):
        return ""
    return (
        f"Heights and weights of the table make a typical body mass index of {bmi:.0f} kg/m²: are"
        " they in centimetres and kilograms?"
    )


def _centimetres(text: str) -> str:
    return f"{float(text.replace(',', '.')) * 100:g}" if text else text


def _one_row_each(frame: pd.DataFrame, named: Sequence[str] = ()) -> tuple[pd.DataFrame, list[str]]:
    """(frame, sentences): rows that say the same of one patient, such as one a picture, are one."""
    wanted = {variables.spelled(c) for c in named}
    told = [c for c in frame if c in variables.NAMES or variables.spelled(c) in wanted]
    told += [c for c in frame if variables.spelled(c) in variables.OTHERS]
    same = frame.duplicated(subset=list(dict.fromkeys(told)))
    once = frame[~same | frame.drop(columns="row").duplicated()]  # all the same is a slip
    if len(once) == len(frame):
        return frame, []
    return once, [f"{len(frame) - len(once)} rows repeat what others say of a patient: left out."]


def _problems(frame: pd.DataFrame) -> list[str]:
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
                " times; give one row a patient"
            )
    return found


def match(
    frame: pd.DataFrame, pictured: set[str], used: set[str], named: Sequence[str] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """Check the table against the patients who have images: (table, sentences).

    pictured: patients with an image; used: those of them with one that is not excluded. Patients of
    the table without a usable image are marked excluded, columns that may name people left out;
    images of a patient who is not in the table are an error. named: columns that the form keeps.
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
    frame, left = variables.sorted_out(frame, named)
    notes = []
    if left:
        listed = ", ".join(f"{c} ({why})" for c, why in left.items())
        notes.append(
            f"Columns of the table that were left out, because they might name a person: {listed}."
            f' To keep one, write in the form columns: ["{next(iter(left))}"].'
        )
    if words := _words(frame):
        notes.append(f"Words of the table that were kept: {words}. Does one name a person?")
    without = ~frame["patient_id"].isin(used) & frame["excluded"].isna()
    if without.any():
        frame.loc[without, "excluded"] = "no usable image"
        notes.append(
            f"{int(without.sum())} patients of the table have no usable image: excluded for that"
            " reason."
        )
    return frame, notes


def _words(frame: pd.DataFrame) -> str:
    """The texts of the columns that are no number, for a person to look at: one text."""
    told = []
    for column in frame.columns.difference(["patient_id", "sex", *NUMBERS], sort=False):
        cells = frame[column].dropna().astype(str)
        texts = sorted(set(cells[~cells.str.fullmatch(r"[\d.,+<> -]*")]))
        if texts:
            told.append(
                f"{column}: {', '.join(texts[:MOST_WORDS])}{', …' * (len(texts) > MOST_WORDS)}"
            )
    return "; ".join(told)


def spacings(records: list[Record], frame: pd.DataFrame) -> tuple[list[Record], pd.DataFrame]:
    """(records, frame): the table's pixel_spacing_mm given to the pictures of its patients that do
    not say it themselves, and taken out of the table.
    """
    if "pixel_spacing_mm" not in frame:
        return records, frame
    told = frame.set_index("patient_id")["pixel_spacing_mm"].dropna().to_dict()
    records = [
        replace(r, spacing_mm=float(told[r.patient]))
        if r.spacing_mm is None and r.patient in told
        else r
        for r in records
    ]
    return records, frame.drop(columns="pixel_spacing_mm")
