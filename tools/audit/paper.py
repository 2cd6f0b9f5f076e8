"""Reading a file of printed numbers (published.yml); AUDIT.md in this folder describes the
format.
"""

import re
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import yaml

from helpers.errors import StudyError, raise_all
from tools.audit import declared
from tools.audit.interval import Interval, printed

FIELDS = (
    "study",
    "table",
    "model",
    "class",
    "metric",
    "value",
    "sd",
    "n",
    "unit",
    "definition",
    "note",
    "published",
    "seed",
)
TOP = (
    "same_images",
    "paper",
    "title",
    "entries",
    "claims",
    "checks",
    "qvum_confusion_matrix_oracle",
    "fields",
    "conventions",
)
#: units of numbers that are counted or set, not rounded
EXACT = {"count", "patients", "images", "pixel", "weight", "mixed", "folds"}
_SET = re.compile(r"_(train|training|dev|val|validation|test\d*)$")
SAME_SET = {"training": "train", "dev": "val", "validation": "val"}


@dataclass(frozen=True)
class Entry:
    """One printed number. value, sd: rounding intervals; n: what was averaged or counted over;
    text: as printed.
    """

    study: str
    table: str
    model: str
    structure: str  # the file's ``class``: a tissue, a cohort, a comparison
    metric: str
    text: str
    value: Interval
    sd: Interval | None
    sd_text: str
    n: int | None
    unit: str
    definition: str
    note: str
    published: str  # "printed", "figure" or "derived"

    @property
    def stem(self):
        """The metric without the name of the set: IoU_mean_test1 -> IoU_mean."""
        return _SET.sub("", self.metric)

    @property
    def set(self):
        """train, val, test, test1, …; empty when the metric names none."""
        found = _SET.search(self.metric)
        return SAME_SET.get(found[1], found[1]) if found else ""

    @property
    def quoted(self):
        """Whether the paper quotes this number from another one."""
        return "quoted" in self.table.lower()

    @property
    def place(self):
        """Where it stands, in words."""
        return ", ".join(x for x in (self.table, self.model, self.structure, self.metric) if x)

    def __str__(self):
        return f"{self.text} ± {self.sd_text}" if self.sd else self.text


@dataclass(frozen=True)
class Paper:
    """The printed numbers of one paper, and what its text claims about them."""

    path: Path
    name: str
    title: str
    everything: tuple[Entry, ...]
    claims: tuple[dict, ...] = ()
    checks: tuple[dict, ...] = ()
    oracle: dict | None = None
    same_images: bool = False  # the study has the very images that the paper measured
    entries: tuple[Entry, ...] = field(init=False)  # what the automatic rules look at

    def __post_init__(self):
        own = tuple(e for e in self.everything if e.published == "printed" and not e.quoted)
        object.__setattr__(self, "entries", own)

    def select(self, selector, where):
        """The one entry that a selector such as {metric: IoU, class: bone} means; StudyError
        for none or several.
        """
        named = {"structure" if k == "class" else k: v for k, v in selector.items()}
        found = [
            e
            for e in self.everything
            if all(getattr(e, k) == str(v or "") for k, v in named.items())
        ]
        values = {(e.text, e.sd_text, e.metric) for e in found}
        if len(values) == 1:
            return found[0]
        what = "no entry" if not found else f"{len(found)} different entries"
        raise StudyError(
            f"{where}: {what} with {selector}; add or correct table, model, class or metric"
        )

    def declared(self, rule):
        """The checks of one rule, each with its place in the file."""
        return [
            (f"checks[{i}] ({rule})", c) for i, c in enumerate(self.checks) if c["rule"] == rule
        ]


class _Loader(yaml.SafeLoader):
    """Safe YAML that keeps the digits of decimals (0.720 stays 0.720) and refuses a key given
    twice.
    """

    def construct_mapping(self, node, deep=False):
        keys = [k.value for k, _ in node.value if isinstance(k, yaml.ScalarNode)]
        for key in {k for k in keys if keys.count(k) > 1}:
            raise yaml.MarkedYAMLError(
                problem=f"key {key!r} is given twice", problem_mark=node.start_mark
            )
        return super().construct_mapping(node, deep)


_Loader.add_constructor("tag:yaml.org,2002:float", lambda loader, node: _decimal(node.value))


def _decimal(text):
    try:
        return Decimal(text.replace("_", ""))
    except ArithmeticError:
        return text  # .nan and .inf: reported below with their key


def read(path):
    """Read a file of printed numbers -> Paper. StudyError lists every problem with its key."""
    path = Path(path)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # a SafeLoader
    except FileNotFoundError:
        raise StudyError(
            f"{path}: no such file; give the path of a file of printed numbers"
        ) from None
    except IsADirectoryError:
        raise StudyError(
            f"{path}: is a folder; give the path of a file of printed numbers"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if (
        not isinstance(content, dict)
        or not isinstance(content.get("entries"), list)
        or not content["entries"]
    ):
        raise StudyError(
            f"{path}: entries: must be a list with at least one printed number; see AUDIT.md"
        )
    problems = [
        f"{key}: unknown key; known are {', '.join(TOP)}" for key in content if key not in TOP
    ]
    entries = []
    for i, raw in enumerate(content["entries"]):
        try:
            entries.append(_entry(raw, str(content.get("paper") or path.stem)))
        except ValueError as error:
            problems += [f"entries[{i}]{line}" for line in str(error).split("\n")]
    lists = {}
    for key in ("claims", "checks"):
        lists[key] = content.get(key) or []
        if not isinstance(lists[key], list) or not all(isinstance(x, dict) for x in lists[key]):
            problems.append(f"{key}: must be a list of mappings")
            lists[key] = []
    problems += declared.problems(lists["checks"], lists["claims"])
    raise_all(problems, path)
    return Paper(
        path,
        str(content.get("paper") or path.stem),
        str(content.get("title") or path.stem),
        tuple(entries),
        tuple(lists["claims"]),
        tuple(lists["checks"]),
        content.get("qvum_confusion_matrix_oracle"),
        content.get("same_images") is True,
    )


def _entry(raw, paper):
    if not isinstance(raw, dict):
        raise ValueError(
            f": must be a mapping such as {{metric: IoU, value: 0.720}}, found {raw!r}"
        )
    label = f" ({raw['metric']})" if raw.get("metric") else ""
    problems = [
        f"{label}.{key}: unknown field; known are {', '.join(FIELDS)}"
        for key in raw
        if key not in FIELDS
    ]
    problems += [
        f"{label}.{key}: missing" for key in ("metric", "value") if raw.get(key) in (None, "")
    ]
    unit = str(raw.get("unit") or "")
    value = sd = None
    for key in ("value", "sd"):
        if raw.get(key) is not None:
            try:
                interval = printed(raw[key], exact=unit in EXACT and isinstance(raw[key], int))
                value, sd = (interval, sd) if key == "value" else (value, interval)
            except ValueError as error:
                problems.append(f"{label}.{key}: {error}")
    if value and unit == "fraction" and (value.low > 1 or value.high < 0):
        problems.append(
            f"{label}.value: {raw['value']} is no fraction between 0 and 1; use unit: percent for"
            " percentages"
        )
    if sd and sd.high < 0:
        problems.append(f"{label}.sd: {raw['sd']} is negative")
    n = raw.get("n")
    if n is not None and (not isinstance(n, int) or isinstance(n, bool) or n < 1):
        problems.append(f"{label}.n: {n!r} must be a whole number of at least 1, or null")
    if problems:
        raise ValueError("\n".join(problems))
    published = {"False": "derived", "figure": "figure"}.get(
        str(raw.get("published", True)), "printed"
    )
    words = {
        k: str(raw.get(k) if raw.get(k) is not None else "")
        for k in ("table", "model", "class", "definition", "note")
    }
    return Entry(
        str(raw.get("study") or paper),
        words["table"],
        words["model"],
        words["class"],
        str(raw["metric"]),
        str(raw["value"]),
        value,
        sd,
        str(raw.get("sd") if sd else ""),
        n,
        unit,
        words["definition"],
        words["note"],
        published,
    )
