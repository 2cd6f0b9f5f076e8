"""One run of a study at a time: a lock that the system frees when its holder ends, however it ends.

Snakemake's own lock stays behind when a run is killed, so the profiles leave it out. Imports the
standard library only.
"""

import fcntl
import os
import sys
from pathlib import Path
from typing import TextIO


def hold(run: Path) -> TextIO:
    """An open file that is locked as long as this process lives, so that no two processes destroy
    each other's files in runs/<study>; the second ends in one line that names the first.
    """
    run.mkdir(parents=True, exist_ok=True)
    lock = open(run / ".lock", "a+", encoding="utf-8")  # noqa: SIM115, kept open on purpose
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        sys.exit(
            f"error: {run}: another `make study` (process {lock.read().strip()}) is at work"
            " here; wait for it, or end it"
        )
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock
