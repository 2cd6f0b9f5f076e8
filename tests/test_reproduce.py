"""A fresh run held against the kept one: identical, within the spread of seeds, or not."""

import gzip

import kept_run
import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY, shrink
from scipy import stats

from helpers import files, studies
from helpers.errors import StudyError
from helpers.workflow import keep, reproduce

pytestmark = pytest.mark.slow


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "ROOT", shrink(tmp_path))
    study = kept_run.finished()
    keep.keep(study)
    return study


def again(study, number, seed=1, model="femoral_unet"):
    """The run has one training, with other made-up outlines."""
    for record in study.run.glob("train/*/*/weights.json"):
        record.unlink()
    return kept_run.train(study, studies.images(study), model, "main", seed, number)


def spoil(place, share):
    """All but a share of what was found is missed, and taken for background."""
    rows = pd.read_csv(place / "counts.csv")
    behind = rows["class"] == "background"
    lost = (rows["tp"] * (1 - share)).astype(int).mask(behind, 0)
    rows["tp"], rows["fn"] = rows["tp"] - lost, rows["fn"] + lost
    more = lost.groupby(rows["image_id"]).transform("sum").where(behind, 0)
    rows["fp"], rows["tn"] = rows["fp"] + more, rows["tn"] - more
    rows.to_csv(place / "counts.csv", index=False)


def test_the_same_run_is_identical_in_every_number(study, capsys):
    with pytest.raises(SystemExit) as end:
        reproduce.main(["--study", "phantom"])
    assert end.value.code == 0
    assert capsys.readouterr().out.endswith("15 identical\n")


def test_one_kept_seed_gives_no_spread_and_the_run_is_not_called_reproduced(study):
    again(study, number=77)
    table = reproduce.compare(study)
    assert set(table["verdict"]) <= {reproduce.UNKNOWN, reproduce.IDENTICAL}
    assert (table["verdict"] == reproduce.UNKNOWN).any()
    with pytest.raises(SystemExit) as end:
        reproduce.main(["--study", "phantom"])
    assert end.value.code == 1


def test_a_further_training_lies_within_the_spread_and_a_bad_one_does_not(study):
    for seed in (2, 3, 4):
        again(study, number=20 + seed, seed=seed)
        keep.keep(study)
    place = again(study, number=30, seed=9)
    dice = reproduce.compare(study).iloc[0]
    assert np.isnan(dice["kept"]) and dice["verdict"] == reproduce.WITHIN
    spoil(place, 0.1)
    assert reproduce.compare(study).iloc[0]["verdict"] == reproduce.OUTSIDE


def test_limits_are_those_of_one_more_draw():
    low, high = reproduce.limits([0.595, 0.648, 0.656])
    mean, sd = np.mean([0.595, 0.648, 0.656]), np.std([0.595, 0.648, 0.656], ddof=1)
    assert (high - low) / 2 == pytest.approx(4.302652729911275 * sd * np.sqrt(4 / 3))
    assert (low + high) / 2 == pytest.approx(mean)
    assert np.isnan(reproduce.limits([0.6])).all()
    draws = np.random.default_rng(0).normal(size=(4000, 4))  # holds what it promises
    inside = [lo <= x <= hi for *known, x in draws for lo, hi in [reproduce.limits(known)]]
    assert stats.binomtest(sum(inside), 4000, 0.95).pvalue > 0.001


def test_numbers_of_huang_s_network_are_those_that_the_readme_gives():
    study = studies.load("femoral", "paper")
    kept = keep.trainings(study)
    found = [
        reproduce.numbers(study, keep.counts(kept["femoral_unet", "main", s])) for s in (42, 44)
    ]
    pooled = [round(n["pooled IoU of nerve_block_region"], 3) for n in found]
    assert pooled == [0.638, 0.656]
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert "| seed 42 | 0.638 |" in text and "| seed 44 | 0.656 |" in text


def test_a_run_without_trainings_cannot_be_held_against_anything(study):
    for record in study.run.glob("train/*/*/weights.json"):
        record.unlink()
    with pytest.raises(StudyError, match="no finished training of protocol 'quick'; run"):
        reproduce.compare(study)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.assign(tp=-t["tp"] - 1), "whole numbers of at least 0"),
        (lambda t: t.assign(fp=t["fp"] + 0.5), "whole numbers of at least 0"),
        (lambda t: t.assign(tn=np.inf), "whole numbers of at least 0"),
        (lambda t: pd.concat([t, t.tail(1)]), "given more than once"),
        (lambda t: t.iloc[1:], "has no row of"),
        (lambda t: t.assign(**{"class": ["other", *t["class"][1:]]}), "has no row of"),
        (lambda t: t.assign(hd95_px=-1.0), "hd95_px must be a distance of 0 or more"),
        (lambda t: t.assign(assd_mm="far"), "assd_mm must be a distance of 0 or more"),
        (lambda t: t.assign(assd_mm=np.inf), "assd_mm must be a distance of 0 or more"),
        (lambda t: t.drop(columns="fn"), "fn missing"),
        (lambda t: t.iloc[:0], "no rows"),
        (lambda t: pd.DataFrame({"": []}), "missing|not a readable CSV"),
    ],
)
@pytest.mark.parametrize("where", ["kept", "run"])
def test_counts_that_no_training_leaves_are_named(study, change, said, where):
    (path,) = study.run.glob("train/femoral_unet/main_1/counts.csv")
    files.write_csv(change(files.read_csv(path, dtype=keep.TEXT)), path)
    if where == "kept":
        place = keep.folder(study) / "train/femoral_unet/main_1/counts.csv.gz"
        place.write_bytes(gzip.compress(path.read_bytes()))
        kept_run.finished()
    with pytest.raises(StudyError, match=rf"femoral_unet/main_1/counts\.csv.*({said})"):
        reproduce.compare(study)


def test_numbers_over_patients_are_not_held_against_those_over_images(study):
    """Whoever kept them did not know whose the images are."""
    for path in keep.folder(study).glob("train/*/*/counts.csv.gz"):
        table = keep.counts(path.parent).assign(patient_id="")
        path.write_bytes(gzip.compress(files.csv_text(table).encode()))
    table = reproduce.compare(study)
    mean = table["number"].str.contains("mean over patients")
    assert mean.any() and table.loc[mean, "kept"].isna().all()
    assert (table.loc[mean, "verdict"] == reproduce.UNKNOWN).all()
    assert (table.loc[~mean, "verdict"] == reproduce.IDENTICAL).all()
