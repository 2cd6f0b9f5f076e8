"""What the files of a manifest may hold, declared once: the keys of study.yml, the columns of the
tables, each within its limits.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import pandera.pandas as pa
import yaml

from helpers import files
from helpers.errors import StudyError, raise_all

STUDY = yaml.safe_load((Path(__file__).parent / "study.schema.yml").read_text(encoding="utf-8"))
#: words that pages and tables use themselves, in place of a structure's or a network's name
RESERVED = ("all", "foreground", "background", "reference", "network", "test")
#: values that a file may hold, its aliases written out
LARGEST = 1_000_000
#: lists in lists that it may hold
DEEPEST = 100
SPLITS = ("train", "val", "test")
#: images of another hospital, device or operator: looked at like the test set, apart from it, in no
#: fold
EXTERNAL = "external"

#: signs that no text has: control characters but tab and line ends, halves of a character
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")

#: a file below DATA: no absolute path, no drive, no step upwards
_INSIDE = r"^(?![/\\\\]|[A-Za-z]:)(?!(?:.*[/\\\\])?\.\.(?:[/\\\\]|$)).+$"

#: what a patient may be called
PERSON = r"^[\w.-]+(?: [\w.-]+)*$"
#: what stands in a column of reasons and is none
_NO_REASON = r"(?i)^\s*$|^\s*(?:no|not|none|false|0|-|nein|non)\s*$"


def _text(description: str, **options: Any) -> pa.Column:
    return pa.Column(str, description=description, **options)


def _number(low: float, high: float, description: str) -> pa.Column:
    return pa.Column(
        float,
        pa.Check.in_range(low, high),
        nullable=True,
        coerce=True,
        required=False,
        description=description,
    )


def _optional(description: str) -> pa.Column:
    return _text(description, required=False, nullable=True)


def _id(description: str) -> pa.Column:
    allowed = pa.Check.str_matches(r"^[A-Za-z0-9_.-]{1,100}$")
    return _text(description, checks=allowed, unique=True)


def _reason(description: str) -> pa.Column:
    told = pa.Check(
        lambda column: ~column.str.contains(_NO_REASON, na=False),
        error="a reason; leave the cell empty where there is none",
    )
    return _text(description, checks=told, required=False, nullable=True)


def _file(description: str, unique: bool = False) -> pa.Column:
    inside = pa.Check.str_matches(_INSIDE, error="a path inside DATA")
    return _text(description, checks=inside, unique=unique)


def _sha(description: str) -> pa.Column:
    return _text(description, checks=pa.Check.str_matches(r"^[0-9a-f]{64}$"))


def _left_out(frame: pd.DataFrame) -> pd.Series:
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
            checks=pa.Check.str_matches(PERSON, error="letters, digits, _ . - and single blanks"),
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


def main(arguments: list[str] | None = None) -> None:
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


def read_csv(path: Path, schema: pa.DataFrameSchema) -> pd.DataFrame:
    """A CSV under a schema, cells as text unless it coerces; every problem with its row."""
    if not Path(path).exists():
        raise StudyError(f"{path}: no such file; `make manifest` writes it from a folder of images")
    frame = files.read_csv(path, dtype=str)
    if frame.empty:
        raise StudyError(
            f"{path}: has a header but no rows; add at least one, or run `make manifest`"
        )
    numbers = {name for name, column in schema.columns.items() if str(column.dtype) == "float64"}
    raise_all(
        (
            f"row {i + 2}, {column}: {cell[:80]!r} {what}"
            for column in frame
            for what, wrong in (
                ("holds a control character", CONTROL.search),
                ("is no plain number", _no_number if column in numbers else None),
            )
            for i, cell in enumerate(frame[column])
            if wrong and isinstance(cell, str) and wrong(cell)
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


def _no_number(cell: str) -> bool:
    """Whether a cell is none of the numbers that people write: Python's 1_0 is 10."""
    return not files.NUMBER.fullmatch(cell.strip())


#: the parser in C where yaml has it, ten times as fast
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Plain(_Loader):
    """Safe YAML that is not nested without end, whose aliases do not unfold to more than a memory
    holds, and without signs that no text has.
    """

    def __init__(self, text: str) -> None:
        deep = 0
        for event in yaml.parse(text, _Loader):  # nothing stops the parser in C before the stack
            deep += isinstance(event, yaml.CollectionStartEvent)
            deep -= isinstance(event, yaml.CollectionEndEvent)
            if deep > DEEPEST:
                raise yaml.YAMLError(f"nested deeper than {DEEPEST} levels: {event.start_mark}")
        super().__init__(text)

    def get_single_node(self) -> yaml.Node | None:
        """The document as yaml composes it."""
        node = super().get_single_node()
        if node is not None and _unfolded(node, {}) > LARGEST:
            raise yaml.composer.ComposerError(
                None, None, f"holds more than {LARGEST:,} values, or itself", node.start_mark
            )
        return node

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        """As yaml constructs it; control characters and halves of a character are an error."""
        text = super().construct_scalar(node)
        if found := CONTROL.search(text):
            raise yaml.constructor.ConstructorError(
                None, None, f"the sign {found[0]!r} stands in a text", node.start_mark
            )
        return text


def _unfolded(node: yaml.Node, known: dict[int, float]) -> float:
    """How many values a YAML node holds with every alias written out; inf where it holds itself."""
    if id(node) not in known:
        known[id(node)] = math.inf
        parts = [] if isinstance(node, yaml.ScalarNode) else node.value
        pairs = isinstance(node, yaml.MappingNode)
        parts = [part for pair in parts for part in pair] if pairs else parts
        known[id(node)] = 1 + sum(_unfolded(part, known) for part in parts)
    return known[id(node)]


class _Strict(Plain):
    """Safe YAML in which a key stands once, and every number is one."""


def _mapping(loader: _Strict, node: yaml.MappingNode, deep: bool = False) -> dict:
    own = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
    keys = [loader.construct_object(key, deep=True) for key in own]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise yaml.constructor.ConstructorError(
            None, None, f"key {twice[0]!r} is given twice", node.start_mark
        )
    return loader.construct_mapping(node, deep)


def _finite(loader: _Strict, node: yaml.ScalarNode) -> float:
    value = loader.construct_yaml_float(node)
    if not math.isfinite(value):
        raise yaml.constructor.ConstructorError(
            None, None, f"{node.value} is not a number to compute with", node.start_mark
        )
    return value


def whole(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    """A YAML node as the whole number that a person reads; an error where YAML reads another."""
    if not re.fullmatch(r"[+-]?(0|[1-9][0-9]*)", node.value):  # 010 is 8 to YAML, 1:30 is 90
        raise yaml.constructor.ConstructorError(
            None, None, f"{node.value} is not a plain whole number", node.start_mark
        )
    return loader.construct_yaml_int(node)


def _date(loader: _Strict, node: yaml.ScalarNode) -> str:
    return loader.construct_yaml_str(node)  # the text that was written


def _no_value(loader: _Strict, node: yaml.Node) -> None:
    kind = node.tag.rpartition(":")[2]
    raise yaml.constructor.ConstructorError(
        None, None, f"a {kind} is no value here: write text, numbers or lists", node.start_mark
    )


for kind in ("binary", "set", "omap", "pairs"):
    _Strict.add_constructor(f"tag:yaml.org,2002:{kind}", _no_value)
_Strict.add_constructor("tag:yaml.org,2002:timestamp", _date)
_Strict.add_constructor("tag:yaml.org,2002:int", whole)
_Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Strict.add_constructor("tag:yaml.org,2002:float", _finite)


def read_yaml(path: Path | str) -> dict:
    """The YAML file as a dict; StudyError with the line when it cannot be read."""
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), _Strict)
    except FileNotFoundError:
        raise StudyError(f"{path}: no such file") from None
    except (yaml.YAMLError, OSError, ValueError, RecursionError) as error:
        raise StudyError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise StudyError(f"{path}: must hold keys and values, found {type(content).__name__}")
    return content


#: as the standard says, but 4.0 is no whole number: nothing can be counted with it
_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)


def study_problems(content: dict) -> list[str]:
    """What is wrong with a study.yml: its form or, where that is right, its sense."""
    return list(_schema_problems(content)) or list(_meaning_problems(content))


def _schema_problems(content: dict) -> Iterator[str]:
    errors = _Validator(STUDY).iter_errors(content)
    for error in sorted(errors, key=lambda e: [str(p) for p in e.absolute_path]):
        hint = ""
        if error.validator == "type" and files.NUMBER.fullmatch(str(error.instance)):
            hint = f"; YAML reads it as text, write {float(error.instance)!r}"
        place = ".".join(str(p) for p in error.absolute_path) or "top level"
        yield f"{place}: {error.message}{hint}"


def _meaning_problems(content: dict) -> Iterator[str]:
    names_ = [c["name"] for c in content["classes"]]
    indices = [c["index"] for c in content["classes"]]
    if indices != list(range(len(names_))):
        yield f"classes: indices must be 0, 1, 2, … in order, found {indices}"
    if len(set(names_)) < len(names_):
        yield f"classes: every name once, found {names_}"
    if names_[0] != "background":
        yield f"classes.0.name: the first class must be 'background', found {names_[0]!r}"
    models = [m["name"] for p in content["protocols"].values() for m in p["models"]]
    for name in dict.fromkeys([*names_[1:], *models]):
        if name.lower() in RESERVED:
            yield (
                f"{name!r} is no name for a structure or a network: pages use"
                f" {', '.join(RESERVED)} for something else; choose another"
            )
    told = {"target": content["target"], "statistics.class": content["statistics"]["class"]}
    for key, value in told.items():
        if value not in names_[1:]:
            yield f"{key}: {value!r} is no foreground class; declared are {names_[1:]}"
    for name, protocol in content["protocols"].items():
        learnt = protocol.get("classes", names_[1:])
        if learnt != names_[1 : len(learnt) + 1]:
            yield f"protocols.{name}.classes: the first of {names_[1:]}, in order; found {learnt}"
        for key in set(told.values()) - set(learnt):
            yield f"protocols.{name}.classes: lack {key}, which the study is about"
        people = [p for part in protocol.get("split", {}).values() for p in part]
        if twice := sorted({str(p) for p in people if people.count(p) > 1}):
            yield f"protocols.{name}.split: names {', '.join(twice)} twice"
        models = [m["name"] for m in protocol["models"]]
        if len({re.sub(r"[^A-Za-z0-9_.+-]", "-", m) for m in models}) < len(models):
            yield f"protocols.{name}.models: every network and its folder once, found {models}"
        for part in (protocol, *protocol["models"], protocol.get("cross_validation", {})):
            yield from _range_problems(f"protocols.{name}", part)
        folds = protocol.get("cross_validation", {"models": []})["models"]
        for key, wanted in (
            ("headline", [protocol.get("headline", content["headline"])]),
            ("cross_validation.models", folds),
        ):
            if missing := [m for m in wanted if m not in models]:
                yield (
                    f"protocols.{name}: {key} names {missing}, which are not among its models"
                    f" {models}"
                )


def _range_problems(where: str, spec: dict) -> Iterator[str]:
    for key in ("scale", "rotation_deg", "gamma"):
        low, high = (spec.get("augmentation") or {}).get(key, (0, 0))
        if low > high:
            yield f"{where}.augmentation.{key}: the lower value first, found [{low}, {high}]"
