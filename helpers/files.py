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
