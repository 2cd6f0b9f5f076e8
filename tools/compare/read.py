"""Results of single cases from the files of several tools, as one table.

A CSV with a row a case and algorithm; nnU-Net's summary.json, MONAI's <metric>_raw.csv and
panoptica's table, a file an algorithm. What is wrong with a file is one error that names it.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import files, metrics
from helpers.errors import StudyError, raise_all

COLUMNS = ["case", "patient", "algorithm", "class"]
#: how columns are called elsewhere, in small letters without blanks → ours
NAMES = {
    "case": ("case", "case_id", "image", "image_id", "filename", "subject", "subject_name"),
    "patient": ("patient", "patient_id"),
    "algorithm": ("algorithm", "model", "network", "method", "team"),
    "class": ("class", "label", "structure"),
}
#: how metrics are called elsewhere → ours; a metric of another name keeps its own
METRICS = {
    "Dice": ("dice", "dsc", "mean_dice", "meandice", "global_bin_dsc"),
    "IoU": ("iou", "jaccard", "mean_iou", "meaniou", "global_bin_iou"),
    "recall": ("recall", "sensitivity", "tpr"),
    "precision": ("precision", "ppv"),
    "HD95": ("hd95", "hausdorff95", "global_bin_hd95"),
    "HD": ("hd", "hausdorff", "hausdorff_distance", "global_bin_hd"),
    "ASSD": ("assd", "asd", "surface_distance", "global_bin_assd"),
    "NSD": ("nsd", "surface_dice", "mean_surface_dice"),
}
#: metrics of which less is better
DISTANCES = ("HD95", "HD", "ASSD")
#: columns of panoptica that count or average instances, and are no overlap of the whole structure
INSTANCES = re.compile(r"^(tp|fp|fn|num_|rq|rec$|prec$|sq|pq|computation)")


def _ours(name: str, table: dict[str, tuple[str, ...]]) -> str | None:
    plain = re.sub(r"\s+", "_", str(name).strip().lower())
    return next((ours for ours, known in table.items() if plain in known), None)


def metric_name(name: str) -> str:
    """Our name of a metric, or the given one."""
    return _ours(name, METRICS) or str(name)


def tables(paths: Sequence[Path | str], patients: Path | None = None) -> pd.DataFrame:
    """The results in all files: DataFrame of COLUMNS and a column a metric (Dice, IoU …).

    paths: list of files, each with or without "name=" before it, which names the algorithm of a
    file that holds one. patients: CSV with columns case and patient. patient is "" where unknown.
    StudyError for columns that are missing, a case given twice, unknown patients, and algorithms
    that lack cases which others have.
    """
    if not paths:
        raise StudyError("no table is named: TABLE=theirs.csv")
    frame = pd.concat([_one(str(path)) for path in paths], ignore_index=True)
    if patients:
        frame["patient"] = frame["case"].map(_patients(patients, frame))
    frame["patient"] = frame["patient"].fillna("")
    where = ", ".join(str(p) for p in paths)
    raise_all(_problems(frame), where)
    return frame


def _one(path: str) -> pd.DataFrame:
    name, _, rest = path.rpartition("=")
    file = Path(rest)
    if not file.is_file():
        raise StudyError(f"{file}: no such file")
    try:
        if file.suffix == ".json":
            return _nnunet(file, name)
        frame = pd.read_csv(file, sep=None, engine="python", dtype=object, keep_default_na=True)
    except StudyError:
        raise
    except (ValueError, TypeError, AttributeError, LookupError, csv.Error) as error:
        raise StudyError(f"{file}: cannot be read as a table: {error}") from None
    columns = [str(c).strip() for c in frame.columns]
    frame.columns = columns
    if columns[0] == "subject_name" and any("-" in c for c in columns[1:]):
        return _panoptica(frame, file, name)
    if columns[0] == "filename" and file.stem.endswith("_raw"):
        raw = file.stem.removesuffix("_raw")
        return _wide(frame.rename(columns={"filename": "case"}), metric_name(raw), name or raw)
    return _long(frame, file, name)


def _nnunet(file: Path, name: str) -> pd.DataFrame:
    content = files.read_json(file)
    if not isinstance(content, dict) or "metric_per_case" not in content:
        raise StudyError(f"{file}: has no 'metric_per_case', so it is no summary.json of nnU-Net")
    rows = []
    for case in content["metric_per_case"]:
        # the reference is the same file for every network; a prediction's folder is not
        stem = Path(case.get("reference_file") or case["prediction_file"]).name.split(".")[0]
        for label, found in case["metrics"].items():
            counts = {k.lower(): found[k] for k in ("TP", "FP", "FN", "TN")}
            rows.append({"case": stem, "class": label, "patient": None, **counts})
    frame = pd.DataFrame(rows).assign(algorithm=name or file.resolve().parent.name)
    return _scored(frame, file)


def _wide(frame: pd.DataFrame, metric: str, name: str) -> pd.DataFrame:
    """MONAI's raw table: a column a class, and their mean, which is left out."""
    own = frame[[c for c in frame if c == "case" or c != "mean"]]
    long = own.melt("case", var_name="class", value_name=metric)
    long["case"] = [Path(str(case)).name.split(".")[0] for case in long["case"]]
    long[metric] = pd.to_numeric(long[metric], errors="coerce")
    return long.assign(algorithm=name, patient=None)[[*COLUMNS, metric]]


def _panoptica(frame: pd.DataFrame, file: Path, name: str) -> pd.DataFrame:
    """A column "<class>-<metric>"; those of instances are not of the whole structure."""
    parts = []
    for column in frame.columns[1:]:
        group, _, metric = column.rpartition("-")
        if INSTANCES.match(metric) or not _ours(metric, METRICS):
            continue
        value = pd.to_numeric(frame[column], errors="coerce")
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
        lines = ", ".join(str(i + 2) for i in np.flatnonzero(empty)[:4])
        raise StudyError(f"{file}: no case, algorithm or class in line {lines}")
    small = {c: c.lower() for c in frame if c.lower() in metrics.COUNTS}
    if len(small) in (1, 2, 3):
        lack = [c.upper() for c in metrics.COUNTS if c not in small.values()]
        raise StudyError(f"{file}: of the counts TP, FP, FN, TN it lacks {', '.join(lack)}")
    frame = frame.rename(columns=small)
    return _scored(frame, file)


def _scored(frame: pd.DataFrame, file: Path) -> pd.DataFrame:
    """COLUMNS and metrics; of counts every metric is computed here, by the study's own rules."""
    keys = [c for c in COLUMNS if c in frame]
    known = frame["patient"].notna()
    frame = frame.assign(patient=frame["patient"].where(known, "").astype(str))
    frame[["case", "algorithm", "class"]] = frame[["case", "algorithm", "class"]].astype(str)
    if set(metrics.COUNTS) <= set(frame):
        numbers = frame[metrics.COUNTS].apply(pd.to_numeric, errors="coerce")
        bad = ~((numbers >= 0) & (numbers == numbers.round())).all(axis=1)
        if bad.any():
            raise StudyError(
                f"{file}: TP, FP, FN, TN must be whole numbers of at least 0; not so in line"
                f" {', '.join(str(i + 2) for i in np.flatnonzero(bad)[:4])}"
            )
        return pd.concat([frame[keys], metrics.scores(numbers)[list(metrics.RATIOS)]], axis=1)
    values = {metric_name(c): frame[c] for c in frame if c not in keys and _ours(c, METRICS)}
    if not values:
        raise StudyError(
            f"{file}: neither counts (TP, FP, FN, TN) nor a metric it is known by"
            f" ({', '.join(METRICS)}); it has {', '.join(map(str, frame))}"
        )
    numbers = pd.DataFrame({k: _numbers(v) for k, v in values.items()})
    words = pd.DataFrame(values).notna() & numbers.isna()
    if words.any().any():
        column = words.any().idxmax()
        line = int(np.flatnonzero(words[column])[0]) + 2
        raise StudyError(
            f"{file}: {column} in line {line} is no number: {values[column].iloc[line - 2]!r}"
        )
    if not len(numbers):
        raise StudyError(f"{file}: has no row below its heading; a row is a case of an algorithm")
    if (endless := np.isinf(numbers.to_numpy(float))).any():
        line, column = (int(k[0]) for k in np.nonzero(endless))
        raise StudyError(
            f"{file}: {numbers.columns[column]} in line {line + 2} is infinite (nothing"
            " outlined?); leave the cell empty to leave the case out, or write the largest distance"
            " there can be"
        )
    for column in numbers:
        most, words = 1.0, "lies from 0 to 1 (divide percentages by 100)"
        if column in DISTANCES:
            most, words = np.inf, "is a distance, 0 or more"
        if (out := ~numbers[column].between(0, most) & numbers[column].notna()).any():
            line = int(np.flatnonzero(out)[0]) + 2
            found = numbers[column].iloc[line - 2]
            raise StudyError(f"{file}: {column} in line {line} is {found:g}; it {words}")
    return pd.concat([frame[keys], numbers], axis=1)


def _numbers(column: pd.Series) -> pd.Series:
    """Floats, of a decimal comma too; NaN where there is none."""
    text = column.map(
        lambda v: re.sub(r"^([+-]?\d+),(\d+)$", r"\1.\2", v) if isinstance(v, str) else v
    )
    return pd.to_numeric(text, errors="coerce")


def _patients(path: Path, frame: pd.DataFrame) -> pd.Series:
    try:
        given = pd.read_csv(path, dtype=str)
    except (OSError, ValueError) as error:
        raise StudyError(f"{path}: cannot be read as a table: {error}") from None
    given.columns = [_ours(c, NAMES) or c for c in given.columns]
    if missing := {"case", "patient"} - set(given.columns):
        raise StudyError(f"{path}: no column {', '.join(sorted(missing))}")
    if (twice := given["case"].duplicated()).any():
        raise StudyError(f"{path}: case {given.loc[twice, 'case'].iloc[0]} is given twice")
    known = given.set_index("case")["patient"]
    if lack := sorted(set(frame["case"]) - set(known.dropna().index)):
        raise StudyError(f"{path}: no patient for {_some(lack)}")
    return known


def _problems(frame: pd.DataFrame) -> Iterator[str]:
    key = ["algorithm", "case", "class"]
    twice = frame[frame.duplicated(key, keep="first")]
    for row in twice[key].drop_duplicates().itertuples(index=False):
        yield f"algorithm {row[0]}, case {row[1]}, class {row[2]}: given more than once"
    for class_, part in frame.groupby("class", sort=False):
        cases = part.groupby("algorithm", sort=False)["case"].agg(set)
        every = set().union(*cases)
        for name in frame["algorithm"].unique():
            if lack := sorted(every - cases.get(name, set())):
                yield f"algorithm {name}, class {class_}: no result for {_some(lack)}"
    whose = frame.groupby("case")["patient"].nunique()
    for case in whose[whose > 1].index:
        names = frame.loc[frame["case"] == case, "patient"].unique()
        yield f"case {case}: is of patient {' and '.join(n or '(none)' for n in names)}"
    unknown = sorted(frame.loc[frame["patient"] == "", "case"].unique())
    if unknown and (frame["patient"] != "").any():
        yield f"patient unknown for {_some(unknown)}, but known for other cases"


def _some(names: list[str]) -> str:
    names = [str(n) for n in names]
    return ", ".join(names[:4]) + (f", … ({len(names)} in all)" if len(names) > 4 else "")
