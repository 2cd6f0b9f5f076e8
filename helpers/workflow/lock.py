"""One run of a study at a time: locks that the system frees when their holder ends, however it
ends.

Snakemake's own lock stays behind when a run is killed, so the profiles leave it out. Imports the
standard library only.
"""

import fcntl
import os
import sys
from pathlib import Path
from typing import TextIO


def hold(run: Path, who: str = "another `make study`") -> TextIO:
    """An open file that is locked as long as this process lives, so that no two processes destroy
    each other's files in runs/<study>; the second ends in one line that names the first.
    """
    run.mkdir(parents=True, exist_ok=True)
    return of(run / ".lock", fcntl.LOCK_EX, who, run)


def look(run: Path, who: str) -> TextIO | None:
    """As :func:`hold` for somebody who reads a whole run: any number at once, and none beside a run
    that is at work. None where nobody can work, because nothing can be written.
    """
    if not os.access(run, os.W_OK):
        return None
    return of(run / ".lock", fcntl.LOCK_SH, who, run)


def of(path: Path, mode: int, who: str, place: Path) -> TextIO:
    """The locked file at ``path``, in which stands who holds it; SystemExit where another does."""
    lock = open(path, "a+", encoding="utf-8")  # noqa: SIM115, kept open on purpose
    try:
        fcntl.flock(lock, mode | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        sys.exit(f"error: {place}: {lock.read().strip()} is at work here; wait for it, or end it")
    lock.truncate(0)
    lock.write(f"{who} (process {os.getpid()})")
    lock.flush()
    return lock
