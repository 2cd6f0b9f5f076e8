"""Which numbers of a finished study are kept."""

import json

import pytest

from helpers import studies
from helpers.workflow import keep

ROW = (
    'what,value,low,high,unit,how\nDice of QLM,0.7613,0.7191,0.794,,"mean over 22'
    ' patients"\nfailed,0,,,images,\n'
)


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "ROOT", tmp_path)
    for name, text in [
        ("tables/headline.csv", ROW),
        ("results/per_image.csv", "model\n"),
        ("tables/other.csv", "x\n"),
        ("train/qvum/main_11/weights.json", json.dumps({"seed": 11})),
    ]:
        path = tmp_path / "runs/mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_kept_numbers_are_those_of_the_run_and_nothing_else(root):
    (root / "reports/mine/results").mkdir(parents=True)
    (root / "reports/mine/results/old.csv").write_text("from an earlier run")
    keep.main(["--study", "mine"])
    kept = root / "reports/mine/results"
    assert sorted(p.name for p in kept.iterdir()) == [
        "headline.csv",
        "per_image.csv",
        "provenance.json",
    ]
    assert (kept / "headline.csv").read_text() == ROW
    assert json.loads((kept / "provenance.json").read_text()) == {"qvum": {"seed": 11}}


def test_nothing_is_kept_of_a_study_that_has_not_run(root):
    with pytest.raises(
        SystemExit, match=r"error: .*yours: no finished study to keep numbers of; run `make study"
    ):
        keep.main(["--study", "yours"])
    assert not (root / "reports").exists()
