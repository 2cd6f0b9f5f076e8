"""The statistician's way: kept numbers to a book, without images, torch or their readers."""

import json
import subprocess
import sys
import tomllib
from importlib import metadata

import pytest
from conftest import REPOSITORY

PAGES = [
    *("00_summary", "04_segmentation", "05_comparison", "08_cross_validation", "09_published"),
    *("10_planning", "13_more_statistics"),
]
#: what the extra "study" alone brings; sphinx needs charset-normalizer too
HEAVY = """
import sys
class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names}:
            raise ImportError(name)
sys.meta_path.insert(0, Refused())
"""


def heavy():
    """Names of the modules that only the extra `study` installs."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = {d.split(">")[0].lower() for d in project["optional-dependencies"]["study"]}
    extra -= {"charset-normalizer"}
    found = metadata.packages_distributions().items()
    return {module for module, dists in found if {d.lower() for d in dists} & extra}


def without_heavy(code):
    start = HEAVY.format(names=heavy()) + code
    return subprocess.run(
        [sys.executable, "-c", start], cwd=REPOSITORY, capture_output=True, text=True
    )


def imports(page):
    cells = json.loads((REPOSITORY / f"notebooks/{page}.ipynb").read_text(encoding="utf-8"))[
        "cells"
    ]
    lines = "".join("".join(c["source"]) + "\n" for c in cells if c["cell_type"] == "code")
    return [line for line in lines.splitlines() if line.startswith(("from ", "import "))]


def test_pages_of_numbers_and_the_book_need_neither_torch_nor_readers_of_images():
    lines = [line for page in PAGES for line in imports(page)]
    tools = (
        "import helpers.workflow.notebook, helpers.__main__, tools.book.build, tools.audit.tables"
    )
    done = without_heavy("\n".join([*dict.fromkeys(lines), tools]))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["torch", "pydicom", "SimpleITK"])
def test_the_refusal_in_these_tests_refuses(module):
    assert module in heavy()
    assert without_heavy(f"import {module}").returncode == 1
