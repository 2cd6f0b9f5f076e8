"""The first study of a folder, from the pictures to the report, and what a person has to decide."""

import os
import subprocess
import sys
from pathlib import Path

from helpers import studies
from helpers.errors import StudyError

REPOSITORY = Path(__file__).resolve().parents[2]


def run(name: str, data: Path | str) -> Path:
    """Compute the study as PROTOCOL, PROFILE and JOBS say, or by its default protocol on all cores;
    returns the path of the report.

    The workflow is told by the environment, as make tells it. No shell is asked: a blank or an
    umlaut in a path is passed as it is.
    """
    profile, cores = os.environ.get("PROFILE") or "local", os.environ.get("JOBS") or "all"
    command = [sys.executable, "-m", "snakemake", "--profile", f"profiles/{profile}"]
    command += ["--cores", cores]
    told = {
        "STUDY": name,
        "PROTOCOL": os.environ.get("PROTOCOL") or "quick",
        "DATA": str(Path(data).resolve()),
        "PYTHONPATH": os.pathsep.join(
            filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")])
        ),
    }
    done = subprocess.run(command, cwd=REPOSITORY, env=os.environ | told, check=False)
    report = studies.ROOT / "reports" / name / "book" / "index.html"
    if done.returncode or not report.is_file():
        raise StudyError(
            f"the first study of {name} did not end; its manifest is written: mend what is said"
            f" above and run make study STUDY={name} DATA='{data}'"
        )
    return report


def decisions(name: str) -> list[str]:
    """The three things that the program cannot decide (list of str)."""
    study = studies.load(name)
    frame, path = studies.images(study), studies.ROOT / "data_manifest" / name / "study.yml"
    others = [c.name for c in study.foreground if c.name != study.target]
    instead = f", or is it {' or '.join(others)}" if others else ""
    people = frame["patient_id"].nunique()
    whose = (
        f"whose the pictures are: they were taken to be of {people} patients. Is that right? A"
        " person in training and test makes every number too good"
        if people
        else "whose the pictures are: nothing says it, so that one person may be in training and"
        " test and every number too good. Say it in a form (patient:)"
    )
    return [
        "whether the outlines are right: look at the page, the suspicious pictures stand first",
        whose,
        f"what matters: the structure that counts is {study.target}{instead}, and a difference of"
        f" {study.statistics.get('margin', 0.02)} in {study.statistics['metric']} was taken to be"
        f" worth having. Change target and margin in {path}",
    ]
