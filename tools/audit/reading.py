"""Reading a file of printed numbers (published.yml); AUDIT.md in this folder describes the format,
published.schema.yml declares it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from helpers import schemas
from helpers.errors import StudyError, raise_all
from tools.audit.interval import printed
from tools.audit.paper import Entry, Paper, plain
from tools.audit.words import COMPARED

SCHEMA = yaml.safe_load(
    Path(__file__).with_name("published.schema.yml").read_text(encoding="utf-8")
)
#: units of numbers that are counted or set, not rounded
EXACT = {"count", "patients", "images", "pixel", "weight", "mixed", "folds"}
#: how people write the two units by which numbers are scaled
UNITS = re.compile(r"(?i)\s*(?:%|per ?cents?|percentages?|(fractions?))\s*")


class _Loader(schemas.Plain):
    """Safe YAML that keeps the digits of decimals (0.720 stays 0.720) and refuses a key given
    twice.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [k.value for k, _ in node.value if isinstance(k, yaml.ScalarNode)]
        for key in {k for k in keys if keys.count(k) > 1}:
            raise yaml.MarkedYAMLError(
                problem=f"key {key!r} is given twice", problem_mark=node.start_mark
            )
        return super().construct_mapping(node, deep)


_Loader.add_constructor("tag:yaml.org,2002:int", schemas.whole)
_Loader.add_constructor("tag:yaml.org,2002:float", lambda loader, node: _decimal(node.value))


def _decimal(text: str) -> Decimal | str:
    try:
        number = Decimal(text)
    except ArithmeticError:
        return text  # .nan and .inf: reported below with their key
    plain = "_" not in text and not set("EN") & set(str(number))  # nothing is printed as 1E+999
    return number if plain else text


def _content(path: Path) -> Any:
    """The file's YAML; StudyError where there is none."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # a SafeLoader
    except FileNotFoundError:
        raise StudyError(
            f"{path}: no such file; give the path of a file of printed numbers"
        ) from None
    except IsADirectoryError:
        raise StudyError(
            f"{path}: is a folder; give the path of a file of printed numbers"
        ) from None
    except (yaml.YAMLError, OSError, ValueError, RecursionError) as error:
        raise StudyError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None


def find(path: Path | str) -> Paper | None:
    """The Paper of a study's published.yml, or None where the study reproduces none: no such file,
    an empty one, or one with an empty list of entries.
    """
    path = Path(path)
    if not path.exists():
        return None
    content = _content(path)
    listed = content.get("entries") if isinstance(content, dict) else content
    return None if listed in ([], None) else read(path)


def read(path: Path | str) -> Paper:
    """Read a file of printed numbers -> Paper. StudyError lists every problem with its key."""
    path = Path(path)
    content = _content(path)
    if content is None:
        raise StudyError(f"{path}: is empty; examples/audit_example.yml is one to start from")
    if (
        not isinstance(content, dict)
        or not isinstance(content.get("entries"), list)
        or not content["entries"]
    ):
        keys = set(map(str, content)) if isinstance(content, dict) else set()
        other = "".join(f"key {k} is unknown; " for k in sorted(keys - set(SCHEMA["properties"])))
        raise StudyError(
            f"{path}: {other}entries: must be a list with at least one printed number; see AUDIT.md"
        )
    validator = jsonschema.Draft202012Validator(SCHEMA)
    problems = [
        line
        for error in sorted(validator.iter_errors(content), key=_order)
        for line in _lines(error, content)
    ]
    problems += [
        f"{_where(['entries', i], content)}.{line}"
        for i, raw in enumerate(content["entries"])
        if isinstance(raw, dict)
        for line in _meaning(_stated(raw))
    ]
    raise_all(dict.fromkeys(problems), path)
    name = str(content.get("paper") or path.stem)
    return Paper(
        path,
        name,
        str(content.get("title") or path.stem),
        _named(_entry(_stated(raw), name) for raw in content["entries"]),
        tuple(content.get("claims") or ()),
        tuple(content.get("checks") or ()),
        tuple(content.get("layout") or ()),
        content.get("qvum_confusion_matrix_oracle"),
        content.get("same_images") is True,
    )


def _stated(raw: dict) -> dict:
    """An entry without the fields that are null: not stated."""
    return {k: v for k, v in raw.items() if v is not None}


# --- problems, in words ---


def _order(error: Any) -> list[str]:
    return [f"{p:06d}" if isinstance(p, int) else str(p) for p in error.absolute_path]


def _where(path: Sequence, content: Any) -> str:
    """A path of the file as a user reads it: entries[0] (IoU).value, checks[2] (sum).parts[0]."""
    text = ""
    for depth, key in enumerate(path):
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
        if depth == 1:
            text += _label(path[0], content[path[0]][key])
    return text


def _label(kind: Any, item: object) -> str:
    """The metric of an entry, the rule of a check, in brackets; nothing where it is not known."""
    if not isinstance(item, dict):
        return ""
    name = item.get({"entries": "metric", "checks": "rule"}.get(kind))
    known = kind == "entries" or name in SCHEMA["$defs"]["check"]["properties"]["rule"]["enum"]
    return f" ({name})" if isinstance(name, str) and name and known else ""


def _lines(error: Any, content: Any) -> list[str]:
    """The lines that one error of the schema gives, each with its key."""
    where = _where(list(error.absolute_path), content)
    dot = f"{where}." if where else ""
    if error.validator == "required":
        wanted = error.validator_value
        return [f"{dot}{key}: missing" for key in wanted if key not in error.instance]
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        kind = "field" if where.startswith("entries") else "key"
        listed = ", ".join(known)
        return [
            f"{dot}{key}: unknown {kind}; known are {listed}"
            for key in error.instance
            if key not in known
        ]
    found = error.instance
    if error.validator == "oneOf":
        keys = isinstance(found, dict)
        found = (", ".join(map(str, found)) or "nothing") if keys else repr(found)
    else:
        found = str(found) if isinstance(found, Decimal) else repr(found)
    text = error.schema.get("description", f"{error.message}").replace("$found", found)
    return [f"{where}: {text}"]


def _meaning(raw: dict) -> list:
    """What the schema cannot say: a fraction lies between 0 and 1, an SD is not negative."""
    try:
        value, sd = _interval(raw, "value"), _interval(raw, "sd")
    except ValueError:
        return []  # the schema says so
    lines = []
    unit = str(raw.get("unit", ""))
    if (spelled := UNITS.fullmatch(unit)) and unit not in ("percent", "fraction"):
        lines.append(f"unit: {unit!r}: write {'fraction' if spelled[1] else 'percent'}")
    if value and raw.get("unit") == "fraction" and (value.low > 1 or value.high < 0):
        lines.append(
            f"value: {raw['value']} is no fraction between 0 and 1; use unit: percent for"
            " percentages"
        )
    if sd and sd.high < 0:
        lines.append(f"sd: {raw['sd']} is negative")
    return lines


# --- entries ---


def _interval(raw: dict, key: str) -> Any:
    exact = str(raw.get("unit")) in EXACT and isinstance(raw.get(key), int)
    return printed(raw[key], exact=exact) if key in raw else None


def _named(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """The entries; a metric that names a network ('…_vs_QVUM') knows how the paper writes it."""
    entries = tuple(entries)
    models = {plain(e.model): e.model for e in entries}
    found = [COMPARED.fullmatch(e.metric) for e in entries]
    names = [models.get(plain(f["network"]), "") if f else "" for f in found]
    return tuple(replace(e, against=n) for e, n in zip(entries, names, strict=True))


def _entry(raw: dict, paper: str) -> Entry:
    fields = ("table", "model", "class", "unit", "definition", "note")
    text = {k: str(raw.get(k, "")) for k in fields}
    origin = {False: "derived", "figure": "figure"}.get(raw.get("published", True), "printed")
    return Entry(
        study=str(raw.get("study") or paper),
        table=text["table"],
        model=text["model"],
        structure=text["class"],
        metric=raw["metric"],
        text=str(raw["value"]),
        value=_interval(raw, "value"),
        sd=_interval(raw, "sd"),
        sd_text=str(raw.get("sd", "")),
        n=raw.get("n"),
        unit=text["unit"],
        definition=text["definition"],
        note=text["note"],
        published=origin,
    )
