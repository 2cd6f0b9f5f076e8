"""The score of de-identification can fail: it is low where nothing is removed."""

import importlib.util
import shutil
from pathlib import Path

import pytest

from tools.intake import text

PATH = Path(__file__).resolve().parents[1] / "benchmarks" / "deidentification.py"


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("deidentification_score", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scored(bench, folder, clean, pictures=8):
    rows, group = [], {}
    for k in range(pictures):
        told = bench.plant(folder / f"{k}.dcm", k)
        box = clean(folder / f"{k}.dcm", folder / "after.dcm", told)
        rows += bench.actions(folder / f"{k}.dcm", folder / "after.dcm", told, box, group)
    return bench.score(rows)["percent"]


def test_a_copy_scores_nothing_for_what_had_to_go(bench, tmp_path):
    def copied(before, after, told):
        shutil.copy(before, after)
        return 0, bench.SIZE[0], 0, bench.SIZE[1]

    found = scored(bench, tmp_path, copied)
    assert found["header removed"] == found["identifier replaced"] == 0
    assert all(found[f"burnt in, {where}"] == 0 for where in ("bar", "corner", "edge", "fan"))
    assert 60 < found["kept"] < 100 and found["all"] < 30


def test_ours_removes_all_but_what_the_text_reader_finds(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(text, "find", lambda frames: [])

    def cleaned(before, after, told):
        return bench.ours(before, after, told, f"S{told['person']:06d}")[0]

    found = scored(bench, tmp_path, cleaned)
    for kind in ("header removed", "identifier replaced", "identity kept apart", "kept"):
        assert found[kind] == 100
    assert found["burnt in, bar"] == found["burnt in, corner"] == 100
    assert found["burnt in, fan"] == 0
