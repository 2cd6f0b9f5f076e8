"""Remove what one study has computed; its manifest and its kept numbers stay."""

import argparse
import os
import re
import shutil
from pathlib import Path

from helpers.errors import StudyError
from helpers.workflow import lock

ROOT = Path(os.environ.get("STUDY_ROOT") or Path(__file__).resolve().parent.parent.parent)


def clean(name: str) -> list[Path]:
    """Remove runs/<name> and the book of a study; returns the paths that were there (list).

    Not while a run of the study is at work.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise StudyError(f"STUDY={name!r}: name one study; its runs and its book are removed")
    run, report = ROOT / "runs" / name, ROOT / "reports" / name
    parts = ("book", "book.zip", "book.pdf", "seal.sha256")
    found = [p for p in (run, *(report / part for part in parts)) if p.exists()]
    known = sorted(path.parent.name for path in (ROOT / "data_manifest").glob("*/study.yml"))
    if not found and name not in known:
        raise StudyError(f"STUDY={name}: no study is called so; there are {', '.join(known)}")
    if not found:
        return []
    with lock.hold(run):
        for path in (p for p in found if p.exists()):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    return found


def main(arguments: list[str] | None = None) -> None:
    """Remove what a study has computed."""
    parser = argparse.ArgumentParser(prog="helpers clean", description=main.__doc__)
    parser.add_argument("--study", required=True)
    found = clean(parser.parse_args(arguments).study)
    print("\n".join(f"removed {path}" for path in found) or "nothing to remove")
