"""The environment is one thing said in three places: ranges, the hashed lock, the conda file."""

import re
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
