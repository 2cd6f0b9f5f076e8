"""Kill a small study again and again, in every phase, and see that it ends as if nothing had been:
python tests/kill.py [KILLS] [SEED].

Each kill takes the whole tree, the process group, or one process of the run at random. Afterwards
every file is compared, byte for byte, with a run that nobody disturbed; times, speeds and what
hangs on them are left out, and counted.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from conftest import OFFLINE, REPOSITORY, shrink

MARK = "STUDY_KILL_TEST"
RECORDS = ("*.json", "train/*/*/03_train.json", "notebooks/*.json")
#: what is compared, below runs/phantom
COMPARED = (
    *("data/**/*", "cache/*", "results/*.csv", "tables/*", "train/*/*/weights.safetensors"),
    *("train/*/*/predictions.npy", "train/*/*/counts.csv", "train/*/*/history.csv"),
)


def start(root, profile="local", **environment):
    """The workflow of the study below ``root``, in a process group of its own."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    command += ["--profile", str(REPOSITORY / "profiles" / profile), "--directory", str(root)]
    asked = {"STUDY": "phantom", "PROTOCOL": "quick", "DATA": "", "STUDY_ROOT": str(root)}
    asked |= {"PYTHONPATH": f"{REPOSITORY}{os.pathsep}{OFFLINE}", MARK: str(root)}
    log = open(root / "log", "ab")  # noqa: SIM115, the child's
    return subprocess.Popen(
        command,
        cwd=root,
        env=os.environ | asked | environment,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def alive(root):
    """Every process that a run below ``root`` has started, however far away (list of pid)."""
    mark, found = f"{MARK}={root}\0".encode(), []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def finished(root):
    """How many steps have left their record (int)."""
    run = root / "runs/phantom"
    return sum(len(list(run.glob(pattern))) for pattern in RECORDS)


def end(pids):
    """Kill processes; those that are gone already are no matter."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def strike(root, process, how, draw):
    """Kill the run in one of three ways and wait until nothing of it is left; returns what."""
    there = alive(root)
    if how == "one process" and there:
        end([draw.choice(there)])
        if not wait(lambda: process.poll() is not None, 10):  # it does without: no phase is skipped
            end(alive(root))
    elif how == "group":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        end(there)
    process.wait(60)
    if not wait(lambda: not alive(root), 90):
        raise SystemExit(f"error: 90 s after a kill ({how}) there still run {alive(root)}")


def wait(condition, seconds):
    """Whether a condition became true in time."""
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.1)
    return condition()


def contents(root):
    """name → content of every file that is compared, and how many were left out."""
    run, found = root / "runs/phantom", {}
    measured = set()
    for record in [*run.glob("notebooks/07*.json"), *run.glob("train/*/*/03_train.json")]:
        names = json.loads(record.read_text(encoding="utf-8"))["files"]
        measured |= {name for name in names if "/tables/" in name or "/results/" in name}
    for path in {p for pattern in COMPARED for p in run.glob(pattern) if p.is_file()}:
        name = str(path.relative_to(root))
        if path.name == "history.csv":
            found[name] = pd.read_csv(path).drop(columns="seconds").to_csv()
        elif name not in measured:
            found[name] = path.read_bytes()
    return found, len(measured)


def main(kills=30, seed=0):
    """Run undisturbed, then killed; compare."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as temporary:
        whole, killed = Path(temporary, "whole"), Path(temporary, "killed")
        for root in (whole, killed):
            root.mkdir()
            shrink(root)
        if start(whole).wait(1800):
            raise SystemExit((whole / "log").read_text(encoding="utf-8")[-3000:])
        steps, ways = finished(whole), ("tree", "group", "one process")
        for number in range(kills):
            goal, how = number * steps // kills, ways[number % 3]
            process = start(killed)
            wait(lambda p=process, g=goal: p.poll() is not None or finished(killed) >= g, 600)
            time.sleep(draw.uniform(0, 4))
            strike(killed, process, how, draw)
            done = finished(killed)
            print(f"kill {number + 1} of {kills}: {how}, {done} of {steps} steps done", flush=True)
        if start(killed).wait(1800):
            raise SystemExit((killed / "log").read_text(encoding="utf-8")[-3000:])
        compare(whole, killed)


def compare(whole, other):
    """Say how many files of two runs differ; SystemExit names them, or a book that is not there."""
    (one, left_out), (two, _) = contents(whole), contents(other)
    differ = sorted(n for n in one.keys() | two.keys() if one.get(n) != two.get(n))
    if not (other / "reports/phantom/book/index.html").is_file():
        differ.append("the book is not there")
    print(f"{len(one)} files compared, {len(differ)} differ, {left_out} of times left out")
    if differ:
        raise SystemExit("error: " + "\n  ".join(differ))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
