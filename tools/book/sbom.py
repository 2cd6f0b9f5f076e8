"""What the study is built of: python -m tools.book.sbom [--out FILE] [--advisories FILE-OR-FOLDER].

Writes requirements.lock as a CycloneDX 1.5 bill of materials (JSON). With advisories in the OSV
format (one JSON file, a list of them, or a folder or zip as osv.dev gives for PyPI), every locked
version that one of them names is listed, and the command fails.
"""

import argparse
import json
import re
import uuid
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from helpers import __version__, files, provenance
from helpers.errors import StudyError, command, raise_all

#: bytes of advisories, unpacked; all that are known for Python are a twentieth
LARGEST = 2_000_000_000
LOCK = provenance.REPOSITORY / "requirements.lock"


def components(lock: str) -> list[dict]:
    """Every locked package: name, version, marker, hashes (list of dict, in the lock's order)."""
    found = []
    for entry in re.split(r"\n(?=[A-Za-z0-9])", lock.strip()):
        head = re.match(r"([A-Za-z0-9._-]+)==([^ ;\\]+)(?:\s*;\s*([^\\\n]+))?", entry)
        hashes = re.findall(r"--hash=sha256:([0-9a-f]{64})", entry)
        if not head or not hashes:
            raise StudyError(f"{LOCK}: {entry.splitlines()[0][:60]!r} is no pin with a hash")
        name, version, marker = head.groups()
        found.append(
            {
                "name": canonicalize_name(name),
                "version": version,
                "marker": (marker or "").strip(),
                "hashes": hashes,
            }
        )
    return found


def bill(lock: str) -> dict:
    """The lock as a CycloneDX 1.5 document (dict); the same lock gives the same document."""
    parts = []
    for part in components(lock):
        purl = f"pkg:pypi/{part['name']}@{part['version']}"
        entry = {
            "type": "library",
            "bom-ref": purl,
            "name": part["name"],
            "version": part["version"],
            "purl": purl,
            "properties": [
                {"name": "sha256 of a distribution", "value": digest} for digest in part["hashes"]
            ],
        }
        if part["marker"]:
            entry["properties"].append({"name": "marker", "value": part["marker"]})
        parts.append(entry)
    root = {"type": "application", "bom-ref": "study", "name": "qvum-study", "version": __version__}
    number = uuid.uuid5(uuid.NAMESPACE_URL, provenance.digest(lock))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{number}",
        "version": 1,
        "metadata": {"component": root},
        "components": parts,
        "dependencies": [{"ref": "study", "dependsOn": [p["bom-ref"] for p in parts]}],
    }


def advisories(path: Path | str) -> list[dict]:
    """Every OSV record of a file, a folder or a zip (list of dict)."""
    path = Path(path)
    try:
        if path.is_dir():
            texts = [p.read_text(encoding="utf-8") for p in sorted(path.rglob("*.json"))]
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                entries = [e for e in archive.infolist() if e.filename.endswith(".json")]
                if sum(e.file_size for e in entries) > LARGEST:
                    raise StudyError(f"{path}: holds more than {LARGEST:,} bytes of advisories")
                texts = [archive.read(e).decode() for e in entries]
        else:
            texts = [path.read_text(encoding="utf-8")]
        contents = [json.loads(text) for text in texts]
    except StudyError:
        raise
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise StudyError(f"{path}: cannot be read as OSV advisories ({error})") from None
    records = [r for content in contents for r in (content if type(content) is list else [content])]
    if not records or not all(_advisory(r) for r in records):
        raise StudyError(f"{path}: holds no advisories in the OSV format")
    return records


def _advisory(record: Any) -> bool:
    """Whether a record has the parts of an OSV advisory that are looked at."""
    affected = record.get("affected") if isinstance(record, dict) else None
    return isinstance(affected, list) and all(
        isinstance(a, dict) and isinstance(a.get("package", {}).get("name", ""), str)
        for a in affected
    )


def named(parts: list[dict], records: Iterable[dict]) -> Iterator[str]:
    """A line for every locked version that an advisory names, unless it was withdrawn."""
    locked: dict[str, list[str]] = {}
    for part in parts:
        locked.setdefault(part["name"], []).append(part["version"])
    for record in records:
        if record.get("withdrawn"):
            continue
        for affected in record["affected"]:
            package = affected.get("package", {})
            if package.get("ecosystem") != "PyPI":
                continue
            for version in locked.get(canonicalize_name(package["name"]), []):
                if _affects(affected, version):
                    said = record.get("summary") or record.get("details", "")[:100]
                    yield f"{package['name']} {version}: {record.get('id', 'advisory')} {said}"


def _affects(affected: dict, version: str) -> bool:
    if version in affected.get("versions", ()):
        return True
    ranges = [r for r in affected.get("ranges", ()) if r.get("type") == "ECOSYSTEM"]
    return any(_inside(r["events"], Version(version)) for r in ranges)


def _inside(events: list[dict], version: Version) -> bool:
    """Whether a version lies in an OSV range: the last event before it decides."""
    inside = False
    for event in sorted(events, key=lambda e: _version(next(iter(e.values())))):
        kind, at = next(iter(event.items()))
        if kind == "introduced" and _version(at) <= version:
            inside = True
        elif (kind == "fixed" and _version(at) <= version) or (
            kind == "last_affected" and _version(at) < version
        ):
            inside = False
    return inside


def _version(text: str) -> Version:
    try:
        return Version("0.dev0" if text == "0" else text)
    except InvalidVersion:
        return Version("0.dev0")


def main(arguments: list[str] | None = None) -> None:
    """Write the bill of materials of the locked environment; look it up in advisories."""
    parser = argparse.ArgumentParser(prog="tools.book.sbom", description=main.__doc__)
    parser.add_argument("--out", default="sbom.cdx.json")
    parser.add_argument("--advisories", help="OSV records: a JSON file, a folder or a zip")
    args = parser.parse_args(arguments)
    lock = LOCK.read_text(encoding="utf-8")
    document = bill(lock)
    files.write_json(document, args.out)
    print(f"{args.out}: {len(document['components'])} locked packages")
    if not args.advisories:
        print("not looked up: advisories (give ADVISORIES=, e.g. osv.dev's zip for PyPI)")
        return
    records = advisories(args.advisories)
    raise_all(named(components(lock), records), f"{LOCK} against {args.advisories}")
    print(f"{len(records)} advisories name none of them")


if __name__ == "__main__":
    command(main)
