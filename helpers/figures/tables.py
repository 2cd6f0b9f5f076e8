"""How a result table is written for reading: words for column names, sensible digits, nothing
said in every row.
"""

import math
import re

import pandas as pd

from helpers.models import catalogue

#: columns that hold P values, written as journals do
P_COLUMN = (
    r"^(P,.*|p|(paper|valid|printed)_p"
    r"|p_(adjusted|gg|interaction|not_inferior|not_superior|equivalent))$"
)
DECIDES = 0.05  # a P below it is a finding
NETWORKS = ("model", "headline", "network", "our_model", "a", "b", "other", "better")
#: columns that stay in the table even where all rows are alike, being what the table is about
RESULTS = ("verdict", "result", "difference", "estimate", "value")
#: columns whose cells are names of things, not text of their own: identifiers keep their
#: underscores
IDENTIFIERS = ("image_id", "patient_id", "other_patient", "setting", "file")
#: how columns, and cells that name one, are written; any other loses its underscores only
WORDS = {
    "model": "network",
    "our_model": "our network",
    "headline": "network examined",
    "image_id": "image",
    "patient_id": "patient",
    "n_images": "images",
    "n_units": "patients (or images)",
    "estimand": "averaged",
    "column": "what",
    "page": "in full",
    "undefined_images": "images undefined",
    "dropped_images": "images left out",
    "dropped": "left out",
    "p": "P",
    "p_adjusted": "P, adjusted",
    "p_gg": "P (Greenhouse–Geisser)",
    "p_not_inferior": "P, not inferior",
    "p_not_superior": "P, not superior",
    "p_equivalent": "P, equivalent",
    "p_interaction": "P, interaction",
    "paper_p": "P, as in the paper",
    "valid_p": "P, by patient",
    "printed_p": "P, printed",
    "p_first": "chance of first place",
    "q1": "1st quartile",
    "q3": "3rd quartile",
    "p5": "5th percentile",
    "df1": "df (numerator)",
    "df2": "df (denominator)",
    "t_inflation": "t too large by",
    "n_effective": "worth so many images",
    "se": "standard error",
    "smd": "standardised difference",
    "a": "first",
    "b": "second",
    "W": "W (Shapiro–Wilk)",
    "gate": "check",
    "eta2_partial": "partial η²",
    "epsilon": "ε",
    "kappa": "κ",
    "tau": "Kendall’s τ",
    "ece": "calibration error",
    "said": "network says",
    "true": "is true",
    "risk": "mean error",
    "hd95_px": "HD95 (px)",
    "hd95_mm": "HD95 (mm)",
    "assd_px": "ASSD (px)",
    "assd_mm": "ASSD (mm)",
    "nsd": "NSD",
    "pixel_mm": "pixel (mm)",
    "size_px": "image side (px)",
    "width_px": "width (px)",
    "height_px": "height (px)",
    "area_percent": "area (%)",
    "fps": "images a second",
    "ms_median": "median (ms)",
    "ms_q25": "1st quartile (ms)",
    "ms_q75": "3rd quartile (ms)",
    "first_call_s": "first call (s)",
    "warm_up": "warm-up runs",
    "peak_MiB": "peak memory (MiB)",
    "activations_MiB": "activations (MiB)",
    "GMACs": "multiply-adds (billion)",
    "FPR_union": "FPR of union",
    "FNR_union": "FNR of union",
    "age_years": "age (years)",
    "height_cm": "height (cm)",
    "weight_kg": "weight (kg)",
    "bmi_kg_m2": "BMI (kg/m²)",
    "low": "interval",
    "limit_low": "limits of agreement",
    "instead": "other interval",
    "t_low": "interval by t",
}
#: how a value of study.yml is written
SETTINGS = {
    "patient_t": "paired t over patients",
    "patient_wilcoxon": "Wilcoxon signed-rank over patients",
    "sign_flip": "sign-flip permutation over patients",
    "mixed": "mixed model on differences over patients",
    "image_t": "paired t over images",
    "bootstrap_t": "bootstrap-t",
    "percentile": "bootstrap, percentile",
    "bca": "bootstrap, BCa",
    "holm": "Holm",
    "fdr": "Benjamini and Hochberg (false discovery rate)",
    "adam": "Adam",
    "adamw": "AdamW",
    "sgd": "stochastic gradient descent",
    "rmsprop": "RMSprop",
    "one_cycle": "one cycle",
    "warmup_cosine": "warm-up, then cosine",
    "ce": "cross-entropy",
    "bce": "binary cross-entropy",
    "focal_dice": "focal and Dice",
    "ce_dice": "cross-entropy and Dice",
    "bce_dice": "binary cross-entropy and Dice",
    "logcosh_dice": "log-cosh of the Dice loss",
    "imagenet": "ImageNet",
    "train": "training images",
    "best": "best epoch",
    "last": "last epoch",
}
ROUNDING = 1e-9  # what is smaller is 0, but for the last digits of a computer
#: columns of differences: on which side of 0 their limits lie is the finding
SIGNED = {"difference", "bias"}
#: what a sentence of a note is known by → columns (or metrics) without which it promises what is
#: not there
PROMISED = {
    "another kind of interval": {"instead"},
    "Recall, TPR and FNR": {"recall", "mPA", "TPR", "FNR"},
}
#: under a table that is made for intervals and has none
NO_INTERVAL = "No interval could be made: too few units, or they do not vary enough."


def network(name: str) -> str:
    """How a network is written, 'qvum' → 'Q-VUM'; any other word as it is."""
    return (
        catalogue.label(name)
        if name in catalogue.ENTRIES or str(name).startswith("smp:")
        else str(name)
    )


def stand_ins(frame: pd.DataFrame) -> list[str]:
    """One sentence for each network of a table that is a reconstruction."""
    found = dict.fromkeys(name for column in NETWORKS if column in frame for name in frame[column])
    return [
        f"{network(name)} is a stand-in: of the original only an abstract is public."
        for name in found
        if name in catalogue.ENTRIES and catalogue.entry(name).is_reconstruction
    ]


def words(name: str) -> str:
    """A column or class name in words, 'hd95_px' → 'HD95 (px)'."""
    return WORDS.get(name) or re.sub(
        r"\b(icc|sd)\b", lambda m: m[0].upper(), name.replace("_", " ")
    )


def setting(value: object) -> str:
    """A value of study.yml in words, 'patient_t' → 'paired t over patients'."""
    return SETTINGS.get(str(value)) or words(str(value))


def p_text(p: float) -> str:
    """A P value as journals print it: three digits, '< 0.001' below; '–' for none. One below 0.05
    that three digits would make 0.050 has as many as it takes to see it.
    """
    if pd.isna(p):
        return "–"
    if p < 0.001:
        return "< 0.001"
    places = next(k for k in range(3, 20) if p >= DECIDES or float(f"{p:.{k}f}") < DECIDES)
    return f"{p:.{places}f}"


def number(value: float, digits: int) -> str:
    """A number with a true minus sign, '–' for none; no minus before a zero."""
    if pd.isna(value):
        return "–"
    text = f"{value:.{digits}f}".replace("inf", "∞")
    return text.replace("-", "" if text.strip("-0.") == "" else "−")


def minus(text: str) -> str:
    """A text with true minus signs before its numbers, 't = -5.12' → 't = −5.12'."""
    return re.sub(r"(?<![\w.)–-])-(?=\.?\d)", "−", text)


def counted(number: float, noun: str) -> str:
    """'1 patient', '21 images'."""
    return f"{number:.0f} {noun}{'' if number == 1 else 's'}"


def two_digits(value: float) -> int:
    """How many digits after the point show two digits of a size that may be large or small."""
    return 0 if not value or pd.isna(value) else max(0, 1 - math.floor(math.log10(abs(value))))


def beside_zero(value: float, digits: int) -> int:
    """How many digits after the point show on which side of 0 a value lies: `digits`, or more."""
    if pd.isna(value) or abs(value) <= ROUNDING or float(f"{value:.{digits}f}"):
        return digits
    return two_digits(value) - 1


def readable(frame: pd.DataFrame, digits: int = 3, note: str = "") -> tuple[pd.DataFrame, str]:
    """(the table as text under words, what stands in every row as a sentence). digits: after
    the point, below 10.

    Bounds become one column; empty columns, and those with one value in all of several rows,
    are left out (not from a cross table, whose columns have a name; those named "class" are
    structures, and stay as they are). note: what stands under
    the table anyway, and need not be said twice.
    """
    if frame.empty:
        return frame.rename(columns=words), "Nothing to list."
    unit = frame["unit"].iloc[0] if "unit" in frame and len(set(frame["unit"])) == 1 else None
    names = {"n": f"{unit}s", "n_units": f"{unit}s"} if unit in ("patient", "image") else {}
    names |= {"statistic": "F" if "df1" in frame else "F or χ²"}
    shown, used = {}, {"unit"} if "n" in names else set()
    structures = list(frame.columns[1:]) if frame.columns.name == "class" else []
    for column in frame.columns:
        if column in structures:  # a name, whatever else it may mean; digits as its neighbours have
            numeric = pd.api.types.is_numeric_dtype(frame[column])
            cells = frame[column].map(lambda v: number(v, digits)) if numeric else frame[column]
            shown[str(column)] = cells if numeric else _text("", cells, digits)
            continue
        if column in used or (frame[column].isna() | (frame[column] == "")).all():
            continue
        cells, name = _text(column, frame[column], digits), names.get(column, words(column))
        low, high = (f"{column}_low", f"{column}_high")
        if low in frame and high in frame:
            cells = cells.where(
                frame[low].isna(), cells + " (" + _range(frame, low, high, digits) + ")"
            )
            used |= {low, high}
        elif column.endswith("low") and column[:-3] + "high" in frame:
            cells = _range(frame, column, column[:-3] + "high", digits)
            used.add(column[:-3] + "high")
            name = WORDS.get(column) or words(column.removesuffix("_low"))
        shown[words(column) if name in shown else name] = cells
    same = [
        name
        for name, cells in shown.items()
        if len(cells) > 1 and len(set(cells)) == 1 and name not in RESULTS
    ]
    # a table of one column, or of none, would say nothing: then every column stays
    same = [] if frame.columns.name or len(shown) - len(same) < 2 else same
    alike = {name: shown.pop(name).iloc[0] for name in same}
    said = "; ".join(
        f"{name} {cell}" for name, cell in alike.items() if len(cell) < 12 or cell not in note
    )
    return pd.DataFrame(shown, index=frame.index), f"In all rows: {said}." if said else ""


def kept_promises(note: str, frame: pd.DataFrame) -> str:
    """The note without its sentences on columns that the table lacks (PROMISED), and on intervals
    where it has none of those it is made for; then a sentence that there is none, where no column
    says why.
    """
    there = {c for c in frame if (frame[c].notna() & (frame[c] != "")).any()}
    there |= set(frame["metric"]) if "metric" in frame else set()
    lacking = [known_by for known_by, columns in PROMISED.items() if not columns & there]
    sentences = re.split(r"(?<=\.) ", note)
    note = " ".join(s for s in sentences if not any(known_by in s for known_by in lacking))
    pairs = [(c, f"{c[:-3]}high") for c in frame if c.endswith("low") and f"{c[:-3]}high" in frame]
    known = any(frame[list(pair)].notna().any(axis=None) for pair in pairs)
    if not pairs or known or "nterval" not in note:
        return note
    kept = [text for text in re.split(r"(?<=\.) ", note) if "nterval" not in text]
    return " ".join([*kept, *([] if "note" in frame else [NO_INTERVAL])])


def _range(frame: pd.DataFrame, low: str, high: str, digits: int) -> pd.Series:
    """The cells of two bounds as text, a Series; both with as many digits. A bound of a difference
    that lies beside 0 has as many as show on which side.
    """
    places = _places(pd.concat([frame[low], frame[high]]), digits)
    signed = not SIGNED.isdisjoint(frame.columns)
    each = [
        frame[end].map(lambda v: number(v, beside_zero(v, places) if signed else places))
        for end in (low, high)
    ]
    cells = each[0] + " to " + each[1]
    return cells.where(frame[low].notna() | frame[high].notna(), "–")


def _places(values: pd.Series, digits: int) -> int:
    """Digits after the point of a column: none for counts, fewer from 10, 100 and 1000 on."""
    whole = pd.api.types.is_integer_dtype(values) or (
        values.abs().max() >= 1 and (values.dropna() % 1 == 0).all()
    )
    return (
        0
        if whole
        else max(0, digits - sum(values.abs().median() >= limit for limit in (10, 100, 1000)))
    )


def _text(column: str, values: pd.Series, digits: int) -> pd.Series:
    """The cells of a column as text, a Series."""
    values = values.infer_objects()
    if re.match(P_COLUMN, column):
        return values.map(p_text)
    if pd.api.types.is_bool_dtype(values):
        return values.map({True: "yes", False: "no"})
    if pd.api.types.is_numeric_dtype(values):
        places = _places(values, digits)
        return values.map(lambda value: number(value, places))
    cells = values.astype(object).where(values.notna(), "–").map(str)
    if column in NETWORKS:
        cells = cells.map(network)
    cells = cells if column in IDENTIFIERS else cells.map(minus)
    named = cells.str.fullmatch(r"\w+_\w+") & (column not in IDENTIFIERS)
    return cells.where(~named, cells.map(words))
