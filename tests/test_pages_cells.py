"""A cell of a notebook is prose, the call that computes, or a figure: nothing is decided there."""

import ast

import nbformat
import pytest

from helpers import provenance

PAGES = (
    "01_cohort",
    "02_images",
    "03_train",
    "04_segmentation",
    "06_cases",
    "07_speed",
    "12_trust",
)
DECIDING = (
    ast.FunctionDef,
    ast.Lambda,
    ast.ClassDef,
    ast.If,
    ast.IfExp,
    ast.For,
    ast.While,
    ast.ListComp,
    ast.DictComp,
    ast.GeneratorExp,
    ast.JoinedStr,
)


def cells(name):
    path = provenance.REPOSITORY / "notebooks" / f"{name}.ipynb"
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]


@pytest.mark.parametrize("name", PAGES)
def test_cells_are_short_and_decide_nothing(name):
    for cell in cells(name):
        if "parameters" in cell.metadata.get("tags", []):
            continue
        tree = ast.parse(cell.source)
        found = [type(node).__name__ for node in ast.walk(tree) if isinstance(node, DECIDING)]
        allowed = ["JoinedStr"] * found.count("JoinedStr")  # a file's name, not a sentence
        texts = [n for n in ast.walk(tree) if isinstance(n, ast.JoinedStr)]
        assert found == allowed, cell.source
        assert all(len(ast.unparse(text)) < 50 for text in texts), cell.source
        assert "plt" not in cell.source and len(cell.source.splitlines()) <= 10, cell.source
