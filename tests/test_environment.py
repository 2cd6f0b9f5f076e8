"""The environment is one thing said in three places: ranges, the hashed lock, the conda file."""

import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pins():
    """name → set of versions in the lock."""
    found = {}
    for name, version in re.findall(r"^([A-Za-z0-9_.-]+)==([^ ;\\]+)", LOCK, re.M):
        found.setdefault(normal(name), set()).add(version)
    return found


def test_every_dependency_is_locked_inside_its_range():
    locked = pins()
    extras = PROJECT["optional-dependencies"].values()
    wanted = [*PROJECT["dependencies"], *(name for extra in extras for name in extra)]
    for requirement in map(Requirement, wanted):
        versions = locked.get(normal(requirement.name))
        assert versions, f"{requirement.name} is not in requirements.lock; run `make lock`"
        assert all(requirement.specifier.contains(v, prereleases=True) for v in versions), (
            requirement,
            versions,
        )


def test_every_pin_has_a_hash_and_no_address_is_written():
    entries = re.split(r"\n(?=[A-Za-z0-9])", LOCK.strip())
    assert len(entries) > 50
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in LOCK and "index-url" not in LOCK


def test_the_lock_serves_linux_and_macos():
    torch = next(e for e in re.split(r"\n(?=[A-Za-z0-9])", LOCK) if e.startswith("torch=="))
    assert "linux" in torch and "darwin" in torch


def test_conda_installs_the_same_lock_for_the_same_pythons():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python = next(d for d in conda["dependencies"] if isinstance(d, str) and d.startswith("python"))
    assert python.removeprefix("python") == PROJECT["requires-python"]
    pip = next(d["pip"] for d in conda["dependencies"] if isinstance(d, dict))
    assert pip == ["--require-hashes -r requirements.lock"]


@pytest.mark.parametrize(
    "name", ["torch", "numpy", "pandas", "snakemake", "papermill", "statsmodels"]
)
def test_this_environment_is_the_locked_one(name):
    assert metadata.version(name).split("+")[0] in pins()[name]


def test_a_moved_tree_works_where_it_is(tmp_path):
    """Nothing that make runs knows where the tree was when its environment was made."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    run = re.findall(r"^(?:\S+:.*;|\t|override (?:SNAKE|LINT)).*", text, re.M)
    scripts = {n for line in run for n in re.findall(r"(?<!run )\.venv\S*?/bin/([\w-]+)", line)}
    assert scripts <= {"python", "uv", "ruff"}  # no script, whose first line is a place
    note = re.search(r"\$\(PY\) -c '(.*study\.pth.*)'$", text, re.M)[1]
    old, new = tmp_path / "old tree", tmp_path / "neuer Baum ü"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", old / ".venv"], check=True)
    subprocess.run([old / ".venv/bin/python", "-c", note], cwd=old, check=True)
    (old / "marker.py").write_text("print(__file__)")
    old.rename(new)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [new / ".venv/bin/python", "-c", "import marker"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{new / 'marker.py'}\n"


STAND_IN = """#!/bin/sh
case "$1 $2" in
"-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && cp "$0" "$3/bin/uv" ;;
"pip sync") [ ! -e .venv/half ] && touch .venv/half && [ -z "$INTERRUPTED" ] ;;
esac
"""


def test_an_interrupted_environment_is_made_anew(tmp_path):
    """uv takes a package for installed whose files are half there."""
    (tmp_path / "python").write_text(STAND_IN)
    (tmp_path / "python").chmod(0o755)
    (tmp_path / "requirements.lock").write_text("uv==1\n")
    command = ["make", "-f", ROOT / "Makefile", "env", f"PYTHON={tmp_path / 'python'}"]
    for interrupted, code in (("1", 2), ("1", 2), ("", 0), ("1", 0)):
        environment = os.environ | {"INTERRUPTED": interrupted}
        done = subprocess.run(command, cwd=tmp_path, env=environment, check=False)
        assert done.returncode == code
        assert (tmp_path / ".venv/.ready").exists() is (code == 0)
    (tmp_path / "requirements.lock").write_text("uv==2\n")  # and so is one that was to be changed
    os.utime(tmp_path / "requirements.lock", (2e9, 2e9))
    (tmp_path / ".venv/half").unlink()
    environment = os.environ | {"INTERRUPTED": "1"}
    assert subprocess.run(command, cwd=tmp_path, env=environment, check=False).returncode == 2
    assert not (tmp_path / ".venv/.ready").exists()
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    assert not (tmp_path / ".venv.gone").exists()
