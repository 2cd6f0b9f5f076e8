"""Which columns of a table of patients may be shared: an allow-list, because what names a person is
called by a thousand names.
"""

import re
import unicodedata
from collections.abc import Sequence

import pandas as pd

#: what the manifest calls them, and how tables do (lower case, no accents, no brackets)
NAMES = {
    "patient_id": (
        *("patient", "patient id", "patientid", "id", "pid", "case", "case id", "subject"),
        *("subject id", "participant", "participant id", "study id", "pseudonym", "code"),
        *("proband", "probanden id", "patienten id", "patientennummer", "patnr", "pat nr"),
        *("pat id", "patid", "patient no", "patient number", "patient nr", "record id", "fall nr"),
        *("subject no", "subject number", "participant no", "study no", "fallnummer"),
        *("numero patient", "n patient", "num patient"),
        *("sujet", "cas", "paciente", "caso", "sujeto", "paziente", "soggetto", "paziente id"),
        *("patienten nr", "probanden nr", "probandennummer", "pat id nr", "id paciente"),
        *("编号", "患者编号", "患者", "病例号", "病人编号", "住院号", "受试者编号"),
    ),
    "age_years": (
        *("age", "age years", "age in years", "age y", "alter", "alter jahre", "alter in jahren"),
        *("eta", "edad", "idade", "leeftijd", "alder", "wiek", "年龄", "年齢"),
    ),
    "sex": (
        *("gender", "geschlecht", "sexe", "sexo", "sesso", "geslacht", "kon", "kjonn", "plec"),
        *("genre", "genero", "性别", "性別"),
    ),
    "height_cm": (
        *("height", "height cm", "body height", "size cm", "grosse", "groesse", "grosse cm"),
        *("korpergrosse", "koerpergroesse", "taille", "taille cm", "altura", "talla", "estatura"),
        *("altezza", "lengte", "身高", "身長"),
    ),
    "weight_kg": (
        *("weight", "weight kg", "body weight", "gewicht", "gewicht kg", "korpergewicht"),
        *("koerpergewicht", "poids", "poids kg", "peso", "peso kg", "体重"),
    ),
    "excluded": (
        *("exclusion", "exclude", "exclude y n", "excluded y n", "excluded because"),
        *("exclusion reason", "reason for exclusion", "ausschluss", "ausschlussgrund"),
        *("ausgeschlossen", "exclu", "excluido", "escluso"),
    ),
    "pixel_spacing_mm": (
        *("pixel spacing", "pixel spacing mm", "spacing mm", "spacing", "pixel size"),
        *("pixel size mm", "mm per pixel", "pixelgrosse mm", "taille de pixel mm"),
    ),
}
#: kept under the name that the table gives them
OTHERS = (
    *("bmi", "imc", "body mass index", "bsa", "asa", "asa class", "asa status"),
    *("device", "gerat", "geraet", "appareil", "equipo", "dispositivo", "scanner", "apparaat"),
    *("machine", "manufacturer", "model", "transducer", "probe", "schallkopf", "sonde", "sonda"),
    *("frequency", "frequency mhz", "depth", "depth cm", "tiefe", "profondeur"),
    *("side", "seite", "cote", "lado", "lato", "kant", "laterality", "左右", "侧别"),
    *("procedure", "eingriff", "intervention", "operation", "block", "blockade", "bloc", "bloqueo"),
    *("region", "site", "level", "indication", "diagnosis", "diagnose", "diagnostic"),
    *("diagnostico", "diagnosi", "group", "gruppe", "groupe", "grupo", "gruppo", "cohort"),
    *("center", "centre", "zentrum", "centro", "hospital id", "center id", "centre id"),
    *(
        "smoker",
        "diabetes",
        "position",
        "handedness",
        "ethnicity",
        "menopause",
        "parity",
        "bi rads",
    ),
    *("birads", "pathology", "histology", "设备", "诊断", "分组"),
)
DATE = re.compile(r"\b\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\b|年\d+月")
MOST_TEXTS = 12  # a column of more different texts than this, and than half its rows, is free text


def spelled(column: str) -> str:
    """A heading as it is compared: lower case, no accents, no units in brackets, single blanks."""
    text = unicodedata.normalize("NFKD", column.casefold().replace("ß", "ss"))
    text = "".join(c for c in text if not unicodedata.combining(c))
    text = re.sub(r"[_.,:;?/()\[\]°#-]+", " ", text)
    return " ".join(text.split())


#: what may stand in brackets behind a heading and leaves it what it is, by its name
IN_BRACKETS = {
    "age_years": r"y|yrs?|years?|j|jahre?|ans?|anos|anni|jaar|岁|歳|周岁",
    "height_cm": "cm|厘米",
    "weight_kg": "kg|公斤|千克",
    "sex": r"([mfwdhvx男女]|(fe)?male|männlich|weiblich|[ /|,])+",
}
KNOWN = {spelled(alias): name for name, aliases in NAMES.items() for alias in (name, *aliases)}


def canonical(column: str) -> str:
    """The manifest's name of a column, or the column's own without blanks around it."""
    parts = re.fullmatch(
        r"(.+?)\s*[(\[](.+?)[.]?[)\]]", unicodedata.normalize("NFKC", column.strip())
    )
    known = KNOWN.get(spelled(parts[1])) if parts else None
    inside = unicodedata.normalize("NFC", parts[2].casefold().replace("ñ", "n")) if parts else ""
    if known in IN_BRACKETS and re.fullmatch(IN_BRACKETS[known], inside):
        return known
    return KNOWN.get(spelled(column), column.strip())


def sorted_out(frame: pd.DataFrame, named: Sequence[str] = ()) -> tuple[pd.DataFrame, dict]:
    """(frame, left out: column → why): only known study variables and those that the form names.

    A known variable is left out too where its cells hold dates, or free text, which may name
    anybody.
    """
    left = {}
    wanted = {spelled(c) for c in named}
    for column in frame:
        if column in NAMES or spelled(column) in wanted:
            continue
        cells = frame[column].dropna().astype(str)
        texts = cells[~cells.str.fullmatch(r"[\d.,+<> -]*")]
        if spelled(column) not in OTHERS:
            left[column] = "no known study variable"
        elif cells.str.contains(DATE).any():
            left[column] = "holds dates"
        elif texts.nunique() > max(MOST_TEXTS, len(cells) / 2) or cells.str.contains("@").any():
            left[column] = "free text"
    return frame.drop(columns=list(left)), left
