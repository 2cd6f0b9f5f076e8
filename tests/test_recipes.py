"""The three recipes of CONTRIBUTING.md, line by line, in a copy of the tree."""

import os
import re
import shutil
import subprocess
import sys

import pandas as pd
import pytest
from intake_folder import ten_patients

from helpers.provenance import REPOSITORY

pytestmark = pytest.mark.slow

TREE = ("helpers", "tools", "notebooks", "examples", "profiles", "tests", "data_manifest")
FILES = (
    "Makefile",
    "Snakefile",
    "CORRECTNESS.md",
    "CITATION.cff",
    "pyproject.toml",
    "requirements.lock",
)


def recipes():
    """Heading → (language, text) of its blocks of code."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.M)[1:]
    blocks = re.compile(r"^```(\w+)\n(.*?)^```", flags=re.M | re.S)
    return {part.split("\n")[0]: blocks.findall(part) for part in sections}


@pytest.fixture
def tree(tmp_path):
    """A copy of the tree beside which the environment is ready."""
    for name in TREE:
        skipped = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / name, tmp_path / name, ignore=skipped)
    for name in FILES:
        shutil.copy2(REPOSITORY / name, tmp_path / name)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


def follow(line, tree):
    """Run one line of a recipe; the environment is there, so make need not make it."""
    line = line.replace("make ", "make --assume-old=env ", 1)
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree), "PYTEST_ADDOPTS": "-n 0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout + done.stderr


def lines(heading):
    (_, text), *_ = [block for block in recipes()[heading] if block[0] == "sh"]
    found = [line.split("  #")[0].strip() for line in text.splitlines()]
    assert 0 < len(found) < 10
    return found


@pytest.mark.slow
def test_a_data_set(tree):
    ten_patients(tree / "folder")
    manifest, plan = lines("A data set")
    follow(manifest.replace("/folder", "folder"), tree)
    assert (tree / "data_manifest/mine/study.yml").is_file()
    assert len(pd.read_csv(tree / "data_manifest/mine/images.csv")) == 20
    assert (tree / "reports/mine/intake.html").is_file()
    assert "train" in follow(plan.replace("/folder", "folder"), tree)


@pytest.mark.slow
def test_a_network(tree):
    said = [follow(line, tree) for line in lines("A network")]
    assert re.search(r"[1-9]\d* passed", said[2])
    assert re.search(r"train +2\b", said[3])


def test_a_figure(tree):
    for line in lines("A figure"):
        follow(line, tree)
    (_, cell), *_ = [block for block in recipes()["A figure"] if block[0] == "python"]
    script = f"""
import pandas as pd
from types import SimpleNamespace
from matplotlib.figure import Figure
from helpers.figures import mine
rows = pd.DataFrame({{"patient_id": ["a", "a", "b"], "image_id": ["1", "2", "3"]}})
drawn = []
page = SimpleNamespace(rows=rows, figure=lambda name, draw, *given: drawn.append(draw(*given)))
{cell}
assert isinstance(drawn[0], Figure) and drawn[0].axes[0].patches
"""
    follow(f".venv/bin/python - <<'END'\n{script}\nEND", tree)
