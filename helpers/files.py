"""Files written whole or not at all, and the digest of their bytes."""

import hashlib
import json
import os
from contextlib import contextmanager
from pathlib import Path


def sha256(path):
    """Hex digest of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def whole(path):
    """A temporary name beside ``path`` with the same ending, moved into place when the block
    ends well.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".part-{path.name}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_json(value, path):
    """Write JSON whole or not at all; what JSON does not know is written as text."""
    with whole(path) as part:
        part.write_text(json.dumps(value, indent=2, default=str) + "\n", encoding="utf-8")


def write_csv(frame, path):
    """Write a table whole or not at all. Floats keep every digit."""
    with whole(path) as part:
        frame.to_csv(part, index=False, lineterminator="\n")


def write_record(about, made, path, base):
    """Write the record of a step as JSON: about, files (relative to ``base``, in order), of each
    its size, its time and the digest of its bytes.
    """
    states = {name: [*_state(Path(base, name)), sha256(Path(base, name))] for name in made}
    write_json(about | {"files": list(made), "states": states}, path)


def changed(record, base):
    """Files of a step's record that are gone or hold other bytes (list of str).

    A file of the same size and time is taken as it is; of any other the bytes are compared.
    """
    content = json.loads(Path(record).read_text(encoding="utf-8"))
    found = []
    for name in content["files"]:
        path, known = Path(base, name), content.get("states", {}).get(name)
        if not path.is_file() or (
            known and [*_state(path)] != known[:2] and sha256(path) != known[2]
        ):
            found.append(name)
    return found


def _state(path):
    found = path.stat()
    return found.st_size, found.st_mtime_ns
