"""The form: how to read a folder. A few lines of YAML, every one of them optional."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import jsonschema
import yaml

from helpers import schemas, studies
from helpers.errors import StudyError, raise_all

SCHEMA = yaml.safe_load((Path(__file__).parent / "form.schema.yml").read_text(encoding="utf-8"))
#: colours for classes without one, told apart with colour-blindness too (Okabe–Ito)
COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#d55e00", "#cc79a7", "#0072b2", "#999999")


BACKGROUND = studies.Class(0, "background", "background", "#000000", 1.0)


@dataclass(frozen=True)
class Form:
    """A validated form with its defaults; classes is None where they are to be discovered."""

    title: str = ""
    question: str = ""
    citation: str = ""
    images: tuple = ()
    masks: tuple | dict = ()
    reference: str | None = None
    patient: dict = field(default_factory=dict)
    device: dict = field(default_factory=dict)
    spacing_mm: float | str | None = None
    columns: tuple = ()
    classes: tuple | None = None
    ignored: tuple = ()
    change: tuple = ()
    frames_from: int | None = None
    exclude: dict = field(default_factory=dict)
    duplicates: str = "exclude"
    split: dict = field(default_factory=dict)
    study: dict = field(default_factory=dict)


def read(path: Path | str | None) -> Form:
    """The form in a YAML file, or the defaults for None; StudyError lists every wrong key."""
    if path is None:
        return Form()
    if not Path(path).is_file():
        raise StudyError(
            f"FORM={path}: no such file; copy tools/intake/form_example.yml and change it to fit"
            " the folder, or leave FORM out"
        )
    content = studies.read_yaml(path)
    errors = sorted(
        jsonschema.Draft202012Validator(SCHEMA).iter_errors(content),
        key=lambda e: str(e.absolute_path),
    )
    raise_all(map(_words, errors), path)
    if pattern := content.get("patient", {}).get("pattern"):
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise StudyError(f"{path}: patient.pattern: {pattern!r}: {error}") from None
        if not groups:
            raise StudyError(
                f"{path}: patient.pattern: {pattern!r} has no brackets; put them round what names"
                " the patient"
            )
    masks = content.get("masks", ())
    if isinstance(masks, dict) and content.get("reference") not in masks:
        raise StudyError(f"{path}: reference: must name one of the raters {', '.join(masks)}")
    if "reference" in masks and content["reference"] != "reference":
        raise StudyError(
            f"{path}: masks: 'reference' is what pages call the drawing that counts, which is"
            f" {content['reference']}'s; call that rater otherwise"
        )
    if "classes" in content:
        content["classes"] = labels(content["classes"])
        names = [c.name for c in content["classes"]]
        if len(set(names)) < len(names):
            raise StudyError(f"{path}: classes: every name once, background is added by itself")
        if taken := [n for n in names[1:] if n.lower() in schemas.RESERVED]:
            raise StudyError(
                f"{path}: classes: {taken[0]!r} is no name for a structure: pages use"
                f" {', '.join(schemas.RESERVED)} for something else; choose another, and write what"
                " people shall read under title"
            )
    split = content.get("split", {})
    if (split.get("policy") == "given") != ("given" in split):
        raise StudyError(f"{path}: split: policy 'given' and the key 'given' belong together")
    content["masks"] = (masks,) if isinstance(masks, str) else masks
    content["ignored"] = [str(label) for label in content.get("ignored", ())]
    content["exclude"] = {str(name): why for name, why in content.get("exclude", {}).items()}
    return Form(**content)


def _words(error: jsonschema.ValidationError) -> str:
    """What is wrong with a form, and what may stand there."""
    place = ".".join(map(str, error.absolute_path)) or "top level"
    if error.validator == "additionalProperties":
        return f"{place}: {error.message}; there are {', '.join(error.schema['properties'])}"
    if error.validator == "pattern" and error.absolute_path[-1] == "name":
        return (
            f"{place}: {error.instance!r}: a name is of letters without accents, digits, _, + and"
            " -; write what people shall read under title"
        )
    return f"{place}: {error.message}"


def labels(entries: list[dict]) -> tuple[studies.Class, ...]:
    """Class entries of a form as classes with indices from 1, background first."""
    found = [BACKGROUND]
    for k, entry in enumerate(entries, 1):
        title, colour = (
            entry.get("title", entry["name"]),
            entry.get("colour", COLOURS[(k - 1) % len(COLOURS)]).lower(),
        )
        found.append(
            studies.Class(
                k,
                entry["name"],
                title,
                colour,
                entry.get("weight", 1),
                tuple(map(str, entry.get("labels", ()))),
            )
        )
    return tuple(found)
