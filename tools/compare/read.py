"""Results of single cases from the files of several tools, as one table.

A CSV with a row a case and algorithm; nnU-Net's summary.json, MONAI's <metric>_raw.csv and
panoptica's table, a file an algorithm. What is wrong with a file is one error that names it.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import files, metrics, schemas
from helpers.errors import StudyError, raise_all

COLUMNS = ["case", "patient", "algorithm", "class"]
#: how columns are called elsewhere, in small letters without blanks → ours
NAMES = {
    "case": (
        *("case", "case_id", "image", "image_id", "image_name", "filename", "file_name", "file"),
        *("subject", "subject_name"),
    ),
    "patient": (
        *("patient", "patient_id", "patients", "patient_no", "patient_nr", "patient_number"),
        *("patient_name", "pid", "participant", "participant_id", "subject_id", "person"),
        *("person_id", "proband", "proband_id"),
    ),
    "algorithm": ("algorithm", "model", "model_name", "network", "method", "team"),
    "class": ("class", "label", "structure"),
}
#: how metrics are called elsewhere → ours; a metric of another name keeps its own
METRICS = {
    "Dice": ("dice", "dsc", "mean_dice", "meandice", "global_bin_dsc"),
    "IoU": ("iou", "jaccard", "mean_iou", "meaniou", "global_bin_iou"),
    "recall": ("recall", "sensitivity", "tpr"),
    "precision": ("precision", "ppv"),
    "HD95": ("hd95", "hausdorff95", "hausdorff_distance_95", "global_bin_hd95"),
    "HD": ("hd", "hausdorff", "hausdorff_distance", "global_bin_hd"),
    "ASSD": ("assd", "asd", "surface_distance", "average_surface_distance", "global_bin_assd"),
    "NSD": ("nsd", "surface_dice", "mean_surface_dice"),
}
#: metrics of which less is better
DISTANCES = ("HD95", "HD", "ASSD")
ROUNDED = 0.006  # a ratio given with two digits differs so much from that of its counts
#: endings of a case's file
FILE_END = re.compile(r"(?i)\.(nii|nrrd|mha|mhd|png|jpe?g|tiff?|bmp|dcm|np[yz]|b2nd)(\.gz)?$")
#: ratios that want the true negatives, which many tables leave out
OF_TN = ("TNR", "FPR")
#: what no count of pixels exceeds, and every whole number up to it is a float
MOST = 2**53
#: what a row is called that is no case, and what may stand beside it: 'MEAN ± SD', 'mean_dice'
SUMMARIES = {
    *("mean", "average", "avg", "median", "std", "sd", "sem", "se", "var", "variance", "iqr"),
    *("ci", "overall", "total", "sum", "min", "max", "minimum", "maximum", "summary"),
    *("aggregate", "all", "count", "mad", "cv", "range", "geomean", "gesamt", "summe"),
    *("mittelwert", "moyenne", "media", "promedio"),
}
#: … which at either end of a name say so whatever stands beside: 'Grand mean', 'Mean of 12 cases'
SURE = {
    *("mean", "average", "avg", "median", "std", "stdev", "stddev", "sd", "iqr", "overall"),
    *("deviation", "standardabweichung", "durchschnitt", "mittelwert", "moyenne", "promedio"),
    "平均",
}
#: what ends the names of one case that was computed, or drawn, several times
AGAIN = re.compile(
    r"(?i)(?<=[^ _-])[ _-]+(seed|fold|run|rater|reader|observer|obs|repeat|rep)[ _-]*\d+$"
)
BESIDE = {"n", "dev", "deviation", "cases", "macro", "micro", "weighted", "of"} | SUMMARIES
NO_ROW = "has no row below its heading; a row is a case of an algorithm"
#: how an unknown patient is written
UNKNOWN = ("", "-", "?", "na", "n/a", "nan", "none", "unknown")
#: columns of panoptica that count or average instances, and are no overlap of the whole structure
INSTANCES = re.compile(r"^(tp|fp|fn|num_|rq|rec$|prec$|sq|pq|computation)")


def _ours(name: str, table: dict[str, tuple[str, ...]]) -> str | None:
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(name))  # 'PatientID'
    plain = {re.sub(r"[\W_]+", "_", text).strip("_").lower() for text in (str(name), apart)}
    return next((ours for ours, known in table.items() if plain & {*known}), None)


def metric_name(name: str) -> str:
    """Our name of a metric, or the given one."""
    return _ours(name, METRICS) or str(name)


def _of_monai(raw: str, file: Path) -> str:
    """Our name of the metric of a file 'val_hausdorff_distance_raw.csv'; StudyError for another, of
    which nobody knows whether more is better.
    """
    words = re.findall(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|\d+", raw)
    left = [w.lower() for w in words if w.lower() not in ("val", "test", "train", "mean", "metric")]
    found = _ours("_".join(left), METRICS) or _ours("".join(left), METRICS)
    if not found:
        raise StudyError(
            f"{file}: {raw!r} is no metric known here ({', '.join(METRICS)}); call the file by it,"
            " such as dice_raw.csv"
        )
    return found


def _is_summary(case: str) -> bool:
    """Whether a row is no case but sums up others: 'Mean Dice', 'MEAN ± SD', '50%', 'CI95'."""
    plain = re.sub(r"\(n ?= ?\d+\)|(?<=ci) ?95 ?%?", "", case.casefold())
    words = re.findall(r"[^\W\d_]+", plain)
    if words and {words[0], words[-1]} & SURE and (words[1:] or not re.search(r"\d", plain)):
        return True
    metric = {w for names in METRICS.values() for n in names for w in n.split("_")}
    told = bool(words) and (
        words[0] in SUMMARIES or (words[0] in BESIDE and words[-1] in SUMMARIES)
    )
    only = all(w in BESIDE | metric for w in words) and not re.search(r"\d", plain)
    return (told and only) or bool(re.fullmatch(r"\s*\d+ ?%\s*", plain))


def tables(paths: Sequence[Path | str], patients: Path | None = None) -> pd.DataFrame:
    """The results in all files: DataFrame of COLUMNS and a column a metric (Dice, IoU …), and of
    counts reference and drawn (pixels); attrs unread: columns of which nothing was taken.

    paths: list of files, each with or without "name=" before it, which names the algorithm of a
    file that holds one. patients: CSV with columns case and patient. patient is "" where unknown.
    StudyError for columns that are missing, a case given twice, unknown patients, and algorithms
    that lack cases which others have.
    """
    if not paths:
        raise StudyError("no table is named: TABLE=theirs.csv")
    parts = [_one(str(path)) for path in paths]
    frame = pd.concat(parts, ignore_index=True)
    frame["patient"] = frame["patient"].fillna("")
    frame.attrs = {"unread": [words for part in parts for words in part.attrs.get("unread", ())]}
    if patients:
        told = frame["case"].map(_patients(patients, frame))
        other = (frame["patient"] != "") & (frame["patient"] != told)
        if other.any():
            row = frame[other].iloc[0]
            raise StudyError(
                f"{patients}: case {row['case']} is of patient {told[other].iloc[0]}, by its own"
                f" table of {row['patient']}; leave one of the two out"
            )
        frame["patient"] = told
    where = ", ".join(str(p) for p in paths)
    raise_all(_problems(frame), where)
    return frame.drop(columns="pixels", errors="ignore")


def _one(path: str) -> pd.DataFrame:
    name, _, rest = ("", "", path) if Path(path).is_file() else path.partition("=")
    name, rest = (name, rest) if rest else ("", path)
    file = Path(rest)
    if not file.is_file():
        raise StudyError(f"{file}: no such file")
    try:
        if file.suffix == ".json":
            return _lawful(_nnunet(file, name), file)
        frame = _table(file)
    except StudyError:
        raise
    except (ValueError, TypeError, AttributeError, LookupError, csv.Error) as error:
        raise StudyError(f"{file}: cannot be read as a table: {error}") from None
    if frame.empty:
        raise StudyError(f"{file}: {NO_ROW}")
    columns = [str(c).strip() for c in frame.columns]
    frame.columns = columns
    if columns[0] == "subject_name" and any("-" in c for c in columns[1:]):
        return _lawful(_panoptica(frame, file, name), file)
    if columns[0] == "filename" and file.stem.endswith("_raw"):
        raw = file.stem.removesuffix("_raw")
        metric = _of_monai(raw, file)
        frame = frame.rename(columns={"filename": "case"})
        return _lawful(_wide(frame, metric, name or raw, file), file)
    return _lawful(_long(frame, file, name), file)


def _table(file: Path) -> pd.DataFrame:
    """The cells of a CSV of any separator, with a byte mark or Excel's first line 'sep=;' too."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise StudyError(f"{file}: cannot be read as a table; save it as 'CSV UTF-8'") from None
    told = re.match(r'"?sep=(.)"?\s*\n', text, re.IGNORECASE)
    body, sep = (text[told.end() :], told[1]) if told else (text, None)
    options = {"sep": sep, "engine": "python", "dtype": object, "skip_blank_lines": False}
    frame = pd.read_csv(io.StringIO(body), **options)
    heads = pd.read_csv(io.StringIO(body), header=None, nrows=1, **options).iloc[0].dropna()
    if (twice := heads.duplicated()).any():  # of which pandas would make X and X.1
        raise StudyError(f"{file}: two columns are called {heads[twice].iloc[0]}; leave one")
    # R's names of rows are numbers in front; those of cases are not
    ranges = [[str(k + by) for k in range(len(frame))] for by in (0, 1)]
    named = False
    if len(frame):
        first = pd.read_csv(io.StringIO(body), header=None, skiprows=1, nrows=1, **options)
        named = first.shape[1] > len(frame.columns)
    if list(frame.index.astype(str)) not in ranges or (
        named and frame.iloc[:, 0].astype(str).str.fullmatch(r"\d+").all()
    ):
        raise StudyError(
            f"{file}: its rows have more cells than headings, as decimal commas without quotes make"
        )
    return frame.reset_index(drop=True).dropna(how="all")


def _lines(frame: pd.DataFrame, wrong: pd.Series | np.ndarray) -> str:
    """In which lines of the file rows are wrong: the index of a table is the place of its rows."""
    return ", ".join(str(i + 2) for i in frame.index[np.asarray(wrong, bool)][:4])


def _nnunet(file: Path, name: str) -> pd.DataFrame:
    content = files.read_json(file)
    if not isinstance(content, dict) or "metric_per_case" not in content:
        raise StudyError(f"{file}: has no 'metric_per_case', so it is no summary.json of nnU-Net")
    rows = []
    for case in content["metric_per_case"]:
        # the reference is the same file for every network; a prediction's folder is not
        stem = _case(case.get("reference_file") or case["prediction_file"])
        for label, found in case["metrics"].items():
            counts = {k: found[k.upper()] for k in metrics.COUNTS if k != "tn" or "TN" in found}
            rows.append({"case": stem, "class": label, "patient": None, **counts})
    frame = pd.DataFrame(rows).assign(algorithm=name or file.resolve().parent.name)
    return _scored(frame, file)


def _case(path: object) -> str:
    """A case as its file is called, without the ending; dots of its name stay."""
    return FILE_END.sub("", Path(str(path)).name)


def _wide(frame: pd.DataFrame, metric: str, name: str, file: Path) -> pd.DataFrame:
    """MONAI's raw table: a column a class, and their mean, which is left out."""
    classes = [c for c in frame if c not in ("case", "mean")]
    if not classes:
        raise StudyError(f"{file}: has no column of a class; it has {', '.join(frame.columns)}")
    if (empty := frame["case"].isna()).any():
        raise StudyError(f"{file}: no case in line {_lines(frame, empty)}")
    own = frame[["case"]].assign(**{c: _numbers(frame[c], metric, file) for c in classes})
    long = own.melt("case", var_name="class", value_name=metric)
    long["case"] = long["case"].map(_case)
    return long.assign(algorithm=name, patient=None)[[*COLUMNS, metric]]


def _panoptica(frame: pd.DataFrame, file: Path, name: str) -> pd.DataFrame:
    """A column "<class>-<metric>"; those of instances are not of the whole structure."""
    parts, subjects = [], frame["subject_name"]
    if (odd := subjects.isna() | subjects.duplicated()).any():
        raise StudyError(
            f"{file}: a subject is missing, or given twice, in line {_lines(frame, odd)}"
        )
    for column in frame.columns[1:]:
        group, _, metric = column.rpartition("-")
        if INSTANCES.match(metric) or not _ours(metric, METRICS):
            continue
        value = _numbers(frame[column], metric_name(metric), file)
        part = pd.DataFrame({"case": frame["subject_name"].astype(str), "class": group})
        parts.append(part.assign(metric=metric_name(metric), value=value))
    if not parts:
        raise StudyError(
            f"{file}: of panoptica's columns none is of a whole structure (global_bin_dsc,"
            " global_bin_iou, global_bin_assd, global_bin_hd95); run it with global_metrics"
        )
    long = pd.concat(parts).set_index(["case", "class", "metric"])["value"]
    wide = long.unstack("metric").reset_index().rename_axis(columns=None)  # noqa: PD010, keeps NaN
    return wide.assign(algorithm=name or file.stem, patient=None)


def _long(frame: pd.DataFrame, file: Path, name: str) -> pd.DataFrame:
    found = {c: _ours(c, NAMES) for c in frame.columns}
    twice = [ours for ours in NAMES if list(found.values()).count(ours) > 1]
    if twice:
        same = [c for c, ours in found.items() if ours == twice[0]]
        raise StudyError(f"{file}: columns {' and '.join(same)} both name the {twice[0]}")
    frame = frame.rename(columns={c: ours for c, ours in found.items() if ours})
    if "algorithm" in frame and name and set(frame["algorithm"].astype(str)) != {name}:
        raise StudyError(
            f"{file}: is called {name}, and its column of algorithms says"
            f" {_some(sorted(set(frame['algorithm'].astype(str))))}; leave one of the two out"
        )
    if "algorithm" not in frame and name:
        frame["algorithm"] = name
    if missing := [c for c in ("case", "algorithm") if c not in frame]:
        raise StudyError(
            f"{file}: no column {' and none '.join(missing)} (also known as"
            f" {'; '.join(', '.join(NAMES[c][1:]) for c in missing)}); it has"
            f" {', '.join(map(str, found))}. An algorithm of a whole file: name=file"
        )
    for column, value in (("class", "all"), ("patient", None)):
        if column not in frame:
            frame[column] = value
    empty = frame[["case", "algorithm", "class"]].isna().any(axis=1)
    if empty.any():
        raise StudyError(f"{file}: no case, algorithm or class in line {_lines(frame, empty)}")
    small = {c: c.lower() for c in frame if c.lower() in metrics.COUNTS}
    lack = [c.upper() for c in metrics.COUNTS if c not in small.values()]
    if small and lack not in ([], ["TN"]):
        raise StudyError(f"{file}: of the counts TP, FP, FN, TN it lacks {', '.join(lack)}")
    frame = frame.rename(columns=small)
    scored = _scored(frame, file)
    used = {*COLUMNS, *metrics.COUNTS, *(c for c in frame if _ours(c, METRICS))}
    scored.attrs["unread"] = [
        f"{column} ({frame[column].nunique()} values in {frame['case'].nunique()} cases)"
        for column in frame
        if column not in used and frame[column].notna().any()
    ]
    return scored


def _lawful(frame: pd.DataFrame, file: Path) -> pd.DataFrame:
    """The table; StudyError where metrics of one row contradict each other."""
    for less, more in (("IoU", "Dice"), ("HD95", "HD"), ("ASSD", "HD")):
        if {less, more} <= set(frame) and (odd := frame[less] > frame[more] + ROUNDED).any():
            row = frame[odd].iloc[0]
            raise StudyError(
                f"{file}: {less} is above {more} for {row['algorithm']}, case {row['case']}"
                f" ({row[less]:g} and {row[more]:g}), which cannot be: are columns exchanged?"
            )
    for distance in [d for d in DISTANCES if d in frame and "Dice" in frame]:
        if (odd := (frame[distance] == 0) & (frame["Dice"] == 0)).any():
            row = frame[odd].iloc[0]
            raise StudyError(
                f"{file}: {distance} is 0, the best there is, where Dice is 0, for"
                f" {row['algorithm']}, case {row['case']}; leave the cell empty, or write the"
                " largest distance that there can be"
            )
    return frame


def _scored(frame: pd.DataFrame, file: Path) -> pd.DataFrame:
    """COLUMNS and metrics; of counts every metric is computed here, by the study's own rules."""
    keys = [c for c in COLUMNS if c in frame]
    if frame.empty:
        raise StudyError(f"{file}: {NO_ROW}")
    known = frame["patient"].notna()
    frame = frame.assign(patient=frame["patient"].where(known, ""))
    for column in COLUMNS:
        frame[column] = frame[column].astype(str).str.strip()
        if (odd := frame[column].str.contains(schemas.CONTROL)).any():
            lines = _lines(frame, odd)
            raise StudyError(f"{file}: {column} in line {lines} holds a control character")
    frame["patient"] = frame["patient"].mask(frame["patient"].str.lower().isin(UNKNOWN), "")
    frame["case"] = frame["case"].str.replace(FILE_END, "", regex=True)
    given = [c for c in metrics.COUNTS if c in frame]
    if {"tp", "fp", "fn"} <= set(given):
        counts = frame[given]
        numbers = counts.apply(pd.to_numeric, errors="coerce")
        whole = (numbers >= 0) & (numbers <= MOST) & (numbers == numbers.round())
        bad = ~whole.all(axis=1) | counts.map(lambda v: isinstance(v, bool)).any(axis=1)
        if bad.any():
            raise StudyError(
                f"{file}: {', '.join(given).upper()} must be whole numbers of at least 0; not so in"
                f" line {_lines(frame, bad)}"
            )
        ratios = [name for name in metrics.RATIOS if "tn" in given or name not in OF_TN]
        scores = metrics.scores(numbers.assign(tn=numbers.get("tn", 0)))[ratios]
        beside = _given(frame, keys, file)
        for metric in [name for name in beside if name in scores]:
            if (other := (beside[metric] - scores[metric]).abs() > ROUNDED).any():
                raise StudyError(
                    f"{file}: {metric} is not that of its counts in line {_lines(frame, other)};"
                    " leave one of the two out"
                )
        pixels = {
            "reference": numbers["tp"] + numbers["fn"],
            "drawn": numbers["tp"] + numbers["fp"],
        }
        if "tn" in given:
            pixels["pixels"] = numbers.sum(axis=1)
        beside = beside.drop(columns=ratios, errors="ignore")
        return pd.concat([frame[keys], scores, beside, pd.DataFrame(pixels)], axis=1)
    found = _given(frame, keys, file)
    if found.empty:
        raise StudyError(
            f"{file}: neither counts (TP, FP, FN, TN) nor a metric it is known by"
            f" ({', '.join(METRICS)}); it has {', '.join(map(str, frame))}"
        )
    return pd.concat([frame[keys], found], axis=1)


def _given(frame: pd.DataFrame, keys: list[str], file: Path) -> pd.DataFrame:
    """The columns that are metrics, under our names; StudyError where two are the same one."""
    named = {c: metric_name(c) for c in frame if c not in keys and _ours(c, METRICS)}
    for metric in named.values():
        if len(same := [c for c in named if named[c] == metric]) > 1:
            raise StudyError(f"{file}: columns {' and '.join(same)} are both {metric}; leave one")
    return pd.DataFrame({metric: _numbers(frame[c], metric, file) for c, metric in named.items()})


def _numbers(column: pd.Series, metric: str, file: Path) -> pd.Series:
    """The values of a metric as floats, of a decimal comma too; NaN for an empty cell. StudyError
    for words, and for a value that the metric cannot have.
    """
    given = column[column.map(lambda v: isinstance(v, str))].astype(str)
    commas, points = given[given.str.contains(",")], given.str.contains(".", regex=False)
    if len(commas) and (points.any() or commas.str.fullmatch(r"[+-]?[1-9]\d*,\d{3}").all()):
        raise StudyError(
            f"{file}: {metric} in line {commas.index[0] + 2} is {commas.iloc[0]}: thousands, or"
            " decimals? Write all numbers with points, and no sign between thousands"
        )
    text = column.map(lambda v: v.strip().replace(",", ".") if isinstance(v, str) else v)
    numbers = pd.to_numeric(text, errors="coerce").astype(float)
    most, range_ = 1.0, "lies from 0 to 1 (divide percentages by 100)"
    if metric in DISTANCES:
        most, range_ = np.inf, "is a distance, 0 or more"
    known = metric in METRICS
    for wrong, why in (
        (column.notna() & numbers.isna(), "is no number: {0!r}"),
        (
            np.isinf(numbers),
            "is infinite (nothing outlined?); leave the cell empty to leave the case out, or write"
            " the largest distance there can be",
        ),
        (known & numbers.notna() & ~numbers.between(0, most), "is {1:g}; it " + range_),
    ):
        if len(at := np.flatnonzero(wrong)):
            found = why.format(column.iloc[at[0]], numbers.iloc[at[0]])
            raise StudyError(f"{file}: {metric} in line {column.index[at[0]] + 2} {found}")
    return numbers


def _patients(path: Path, frame: pd.DataFrame) -> pd.Series:
    try:
        given = _table(Path(path))
    except StudyError:
        raise
    except (OSError, ValueError, csv.Error) as error:
        raise StudyError(f"{path}: cannot be read as a table: {error}") from None
    given.columns = [_ours(c, NAMES) or c for c in given.columns]
    for name in ("case", "patient"):
        if list(given.columns).count(name) > 1:
            raise StudyError(f"{path}: two columns name the {name}; leave one")
    if missing := {"case", "patient"} - set(given.columns):
        raise StudyError(f"{path}: no column {', '.join(sorted(missing))}")
    given = given[["case", "patient"]].astype(object).where(given.notna(), "").astype(str)
    given = given.apply(lambda cells: cells.str.strip())
    given["case"] = given["case"].str.replace(FILE_END, "", regex=True)
    given["patient"] = given["patient"].mask(given["patient"].str.lower().isin(UNKNOWN))
    if (twice := given["case"].duplicated()).any():
        raise StudyError(f"{path}: case {given.loc[twice, 'case'].iloc[0]} is given twice")
    known = given.set_index("case")["patient"]
    if lack := sorted(set(frame["case"]) - set(known.dropna().index)):
        raise StudyError(f"{path}: no patient for {_some(lack)}")
    return known


def _problems(frame: pd.DataFrame) -> Iterator[str]:
    key = ["algorithm", "case", "class"]
    twice = frame[frame.duplicated(key, keep="first")]
    for (name, class_), rows in twice.groupby(["algorithm", "class"], sort=False):
        yield (
            f"algorithm {name}, case {_some(list(dict.fromkeys(rows['case'])))}, class {class_}:"
            " given more than once; average several trainings, or call each an algorithm"
        )
    cases = frame["case"].drop_duplicates()
    for case in cases[cases.map(_is_summary)]:
        yield f"case {case}: is a summary of the others, as its name says; leave its row out"
    yield from _repeated(cases)
    yield from _other_references(frame)
    for class_, part in frame.groupby("class", sort=False):
        cases = part.groupby("algorithm", sort=False)["case"].agg(set)
        every = set().union(*cases)
        for name in frame["algorithm"].unique():
            if lack := sorted(every - cases.get(name, set())):
                yield f"algorithm {name}, class {class_}: no result for {_some(lack)}"
    people = pd.Series(frame.loc[frame["patient"] != "", "patient"].unique(), dtype=str)
    for _, own in people.groupby(people.map(_plain)):
        if len(own) > 1:
            yield f"patients {' and '.join(own)}: is that one person? Write the same one way"
    whose = frame.groupby("case")["patient"].nunique()
    for case in whose[whose > 1].index:
        names = frame.loc[frame["case"] == case, "patient"].unique()
        yield f"case {case}: is of patient {' and '.join(n or '(none)' for n in names)}"
    unknown = sorted(frame.loc[frame["patient"] == "", "case"].unique())
    if unknown and (frame["patient"] != "").any():
        yield f"patient unknown for {_some(unknown)}, but known for other cases"


def _plain(patient: str) -> str:
    """A patient without capitals, signs, and zeros in front of numbers: 'P-01' is 'p1'."""
    return re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"[\W_]+", "", patient.casefold()))


def _repeated(cases: pd.Series) -> Iterator[str]:
    """What is wrong where the names of all cases end with a seed, a fold or a rater."""
    bare = cases.str.replace(AGAIN, "", regex=True)
    times = bare.value_counts()
    if len(times) < len(cases) and (times > 1).all() and (bare != cases).all():
        yield (
            f"cases {_some(list(cases[bare == bare.iloc[0]]))} are one case several times, as all"
            " are: average them, or call each training, or rater, an algorithm"
        )


def _other_references(frame: pd.DataFrame) -> Iterator[str]:
    """What is wrong where counts say that algorithms were held against different references."""
    for column, what in (("reference", "the structure has"), ("pixels", "the image has")):
        if column not in frame:
            continue
        own = frame.dropna(subset=[column]).groupby(["case", "class"], sort=False)[column]
        differ = own.nunique()
        if (wrong := differ[differ > 1]).empty:
            continue
        case, class_ = wrong.index[0]
        rows = frame[(frame["case"] == case) & (frame["class"] == class_)]
        sizes = " and ".join(
            f"{n:.0f} for {a}" for a, n in zip(rows["algorithm"], rows[column], strict=True)
        )
        yield (
            f"case {case}, class {class_}: {what} {sizes} pixels, and so in {len(wrong)} cases:"
            " another reference, another size, or another case"
        )


def _some(names: list[str]) -> str:
    names = [str(n) for n in names]
    return ", ".join(names[:4]) + (f", … ({len(names)} in all)" if len(names) > 4 else "")
