"""The book for machines: ``ro-crate-metadata.json`` says what went in, each step with parameters
and times, and what came out, all with hashes.

The form is a Process Run Crate (Leo et al. 2024, PLoS ONE 19:e0309210) after RO-Crate 1.1. What
lies in the book is a File; what stays where the study was run (patients, weights, outlines) is
named by its path after '#' and known by its hash.
"""

import mimetypes
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from helpers import files, provenance, runs, studies
from tools.book import pages, sbom

NAME = "ro-crate-metadata.json"
BILL = "sbom.cdx.json"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
CONTEXT = [
    "https://w3id.org/ro/crate/1.1/context",
    "https://w3id.org/ro/terms/workflow-run/context",
]
LISTED = ("tables", "figures", "results", "notebooks", "manifest")
PRINTED = ("printed", "audit", "printed_pairs", "printed_items")  # tables of the audit
ELSEWHERE = "the images keep the terms of those who collected them"


def write(study: studies.Study, notebooks: list[Path], learned: list[Path], book: Path) -> None:
    """Write the crate and the bill of materials of the locked libraries into the folder ``book``.

    notebooks, learned: the executed notebooks of pages and trainings, with their records. Only what
    is kept goes in, no time of today, so that the same run gives the same bytes.
    """
    bill = sbom.bill(sbom.LOCK.read_text(encoding="utf-8"))
    files.write_json(bill, book / BILL)
    steps = [
        *(_training(study, path, book) for path in learned),
        *_joined(study, book),
        *(_page(study, path, book) for path in notebooks),
    ]
    entities = _about(study, book, [step[0] for step in steps])
    for entity in (entity for step in steps for entity in step):
        entities.setdefault(entity["@id"], entity)
    graph = {"@context": CONTEXT, "@graph": list(entities.values())}
    files.write_json(graph, book / NAME)


def _about(study: studies.Study, book: Path, actions: list) -> dict:
    """The crate itself, its files, people, licence and software, by id (dict)."""
    cited = yaml.safe_load((provenance.REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    people = [_person(author) for author in cited["authors"]]
    licence = {
        "@id": f"https://spdx.org/licenses/{cited['license']}",
        "@type": "CreativeWork",
        "name": cited["license"],
    }
    rights = licence
    if not study.synthetic:
        name = f"{cited['license']} for code and words; {ELSEWHERE}"
        rights = {"@id": "#licence", "@type": "CreativeWork", "name": name}
    paths = [book / "index.html", book / BILL]
    paths += [p for room in LISTED for p in sorted((book / room).glob("**/*")) if p.is_file()]
    parts = [_file(path, path.relative_to(book).as_posix()) for path in paths]
    lock = _kept(sbom.LOCK, provenance.REPOSITORY)
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": study.title,
        "description": study.question or study.title,
        "datePublished": max(action["endTime"] for action in actions if "endTime" in action),
        "license": _id(rights),
        "author": [*map(_id, people)],
        "conformsTo": {"@id": PROFILE},
        "hasPart": [*map(_id, parts)],
        "mentions": [*map(_id, actions)],
    }
    if study.citation:
        root["citation"] = study.citation
    entities: list[dict] = [
        {
            "@id": NAME,
            "@type": "CreativeWork",
            "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
            "about": {"@id": "./"},
        },
        root,
        {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
        {
            "@id": "#software",
            "@type": "SoftwareApplication",
            "name": cited["title"],
            "softwareVersion": cited["version"],
            "license": _id(licence),
            "author": [*map(_id, people)],
            "softwareRequirements": [_id(lock), {"@id": BILL}],
        },
        licence,
        rights,
        lock,
        *people,
        *parts,
    ]
    return {entity["@id"]: entity for entity in entities}


def _person(author: dict) -> dict:
    """An author of CITATION.cff; one with a name alone is a group."""
    name = author.get("name") or f"{author['given-names']} {author['family-names']}"
    kind = "Organization" if "name" in author else "Person"
    return {"@id": author.get("orcid", f"#{name.replace(' ', '-')}"), "@type": kind, "name": name}


def _training(study: studies.Study, path: Path, book: Path) -> list:
    """The action of a training and the entities it names (list): cached images in, weights out."""
    cache = [p for p in sorted((study.run / "cache").glob("*")) if p.is_file()]
    made = [path.parent / name for name in ("weights.safetensors", "weights.json", "counts.csv")]
    return _step(study, path, book, pages.slug(path), cache, made)


def _page(study: studies.Study, path: Path, book: Path) -> list:
    """The action of a page and the entities it names (list): the images or the table of counts, and
    printed numbers, in; tables and figures out.
    """
    notebook, _ = pages.read(path)
    needs = notebook.metadata.get("study", {}).get("needs")
    counts = "cache/check.json" if needs == "images" else "results/per_image.csv"
    printed = [study.run / "results" / f"{name}.csv" for name in PRINTED]
    return _step(study, path, book, path.stem, [study.run / counts, *printed], [])


def _step(
    study: studies.Study, path: Path, book: Path, name: str, read: Sequence, made: Sequence
) -> list:
    """An executed notebook as [action, what it names]. read, made: files beside the manifest's, and
    beside those of its record; those that are there are taken.
    """
    _, record = pages.read(path)
    code = {
        "@id": f"#notebooks/{record['notebook']}@{record['code']}",
        "@type": "SoftwareApplication",
        "name": record["notebook"],
        "softwareVersion": record["code"],
        "isPartOf": {"@id": "#software"},
    }
    parameters = [
        {"@id": f"#{name}/{key}", "@type": "PropertyValue", "name": key, "value": value}
        for key, value in record["parameters"].items()
    ]
    entered = [*sorted(study.root.glob("*")), *read]
    entered = [_place(study, p, book) for p in entered if p.is_file()]
    left = [studies.ROOT / file for file in record["files"] if not file.endswith("03_train.ipynb")]
    left = [_place(study, p, book) for p in [*left, *made] if p.is_file()]
    if name != path.stem:  # a training's notebook has another name in the book
        left.append(_file(book / "notebooks" / f"{name}.ipynb", f"notebooks/{name}.ipynb"))
    action = {
        "@id": f"#{name}",
        "@type": "CreateAction",
        "name": f"{record['notebook']}, executed: {name}",
        "startTime": _time(record["started"]),
        "endTime": _time(record["finished"]),
        "actionStatus": "http://schema.org/CompletedActionStatus",
        "instrument": _id(code),
        "object": [*map(_id, entered), *map(_id, parameters)],
        "result": [*map(_id, left)],
    }
    return [action, code, *parameters, *entered, *left]


def _joined(study: studies.Study, book: Path) -> Iterator[list]:
    """The step between trainings and pages, as a list of one step: counts to one table."""
    table = study.run / "results" / "per_image.csv"
    if not table.is_file():
        return
    places = [runs.folder(study, *training) / "counts.csv" for training in study.trainings()]
    read = [_place(study, path, book) for path in places if path.is_file()]
    action = {
        "@id": "#results",
        "@type": "CreateAction",
        "name": "counts of all trainings, joined",
        "actionStatus": "http://schema.org/CompletedActionStatus",
        "instrument": {"@id": "#software"},
        "object": [*map(_id, read)],
        "result": [{"@id": "results/per_image.csv"}],
    }
    yield [action, *read]


def _place(study: studies.Study, path: Path, book: Path) -> dict:
    """A file of the run or the manifest: the book's copy where there is one, else its hash."""
    for base, room in ((study.run, ""), (study.root, "manifest/")):
        if path.is_relative_to(base):
            name = room + path.relative_to(base).as_posix()
            if name.startswith(tuple(f"{r}/" for r in LISTED)) and (book / name).is_file():
                return _file(book / name, name)
    return _kept(path, studies.ROOT)


def _file(path: Path, name: str) -> dict:
    """A file of the book as an entity."""
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return {
        "@id": name,
        "@type": "File",
        "name": name,
        "encodingFormat": "application/x-ipynb+json" if name.endswith(".ipynb") else kind,
        "contentSize": str(path.stat().st_size),
        "sha256": files.known_sha256(path),
    }


def _kept(path: Path, base: Path) -> dict:
    """A file that is not in the book, by its path from ``base`` and its hash."""
    name = Path(os.path.relpath(path, base)).as_posix()
    return {
        "@id": f"#{name}",
        "@type": "CreativeWork",
        "name": name,
        "description": "not in the book; this is its hash where the study was run",
        "sha256": files.known_sha256(path),
    }


def _time(text: str) -> str:
    """A record's time as ISO 8601."""
    return text.removesuffix(" UTC").replace(" ", "T") + "+00:00"


def _id(entity: Any) -> dict:
    return {"@id": entity["@id"]}
