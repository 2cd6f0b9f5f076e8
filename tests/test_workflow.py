"""The whole study on a tiny phantom, through Snakemake and papermill, and what a change remakes."""

import json
import os
import shutil

import pandas as pd
import pytest
from conftest import REPOSITORY, workflow

from helpers import files, provenance
from helpers.workflow import steps

STEPS = ("phantom", "check", "train", "results", "page", "book")


def planned(root):
    """Rule → number of steps that would run now (a dry run changes nothing)."""
    done = workflow(root, "--dry-run")
    assert done.returncode == 0, done.stderr
    words = [line.split() for line in (done.stdout + done.stderr).splitlines()]
    return {w[0]: int(w[1]) for w in words if len(w) == 2 and w[0] in STEPS}


def test_the_study_runs_from_images_to_a_report(tiny):
    run = tiny / "runs/phantom"
    assert (tiny / "reports/phantom/book/index.html").is_file()
    table = pd.read_csv(run / "results/per_image.csv")
    assert set(table.model) == {"qvum", "unet"} and set(table.fold) == {"main", "cv1", "cv2", "cv3"}
    assert not table.duplicated(["model", "fold", "seed", "image_id", "class"]).any()
    assert table[["tp", "fp", "fn", "tn"]].sum(axis=1).eq(32 * 32).all()
    for page in (REPOSITORY / "notebooks").glob("*.ipynb"):
        if page.stem not in steps.BY_HAND:
            record = json.loads((run / "notebooks" / f"{page.stem}.json").read_text())
            assert all((tiny / name).is_file() for name in record["files"]), page.stem
    assert (run / "tables/table2.csv").is_file() and (run / "figures/fig5_cases.svg").is_file()


def test_running_again_does_nothing(tiny):
    assert planned(tiny) == {}


def test_a_lost_table_remakes_only_its_page_and_what_hangs_on_it(tiny):
    path = tiny / "runs/phantom/tables/table2.csv"
    text = path.read_bytes()
    path.unlink()
    assert planned(tiny) == {"page": 2, "book": 1}  # its own and the summary
    done = workflow(tiny)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == text
    assert planned(tiny) == {}


def test_a_changed_setting_remakes_what_uses_it(tiny):
    path = tiny / "data_manifest/phantom/study.yml"
    text = path.read_text()
    pages = len(list((REPOSITORY / "notebooks").glob("*.ipynb"))) - len(steps.BY_HAND)
    try:
        path.write_text(text.replace("title: Quadratus", "title: A Quadratus"))
        assert planned(tiny) == {"page": pages, "book": 1}
        assert "lr: 0.0005" in text
        path.write_text(text.replace("lr: 0.0005", "lr: 0.0006"))
        assert planned(tiny)["train"] == 5 and "check" not in planned(tiny)
    finally:
        path.write_text(text)


def test_another_image_trains_everything_again(tiny):
    path = tiny / "data_manifest/phantom/images.csv"
    text = path.read_text()
    digest = pd.read_csv(tiny / "runs/phantom/cache/index.csv", dtype=str)["sha256_image"].iloc[
        0
    ]  # one of those used
    try:
        path.write_text(text.replace(digest, "0" * 64))
        plan = planned(tiny)
        assert plan["check"] == 1 and plan["train"] == 5
    finally:
        path.write_text(text)


def test_a_changed_module_remakes_only_what_imports_it():
    def pages(module):
        found = [
            p.stem
            for p in (REPOSITORY / "notebooks").glob("*.ipynb")
            if any(s.endswith(module) for s in provenance.sources(p))
        ]
        return set(found)

    assert "03_train" in pages("helpers/training/losses.py") and "05_comparison" not in pages(
        "helpers/training/losses.py"
    )
    assert "05_comparison" in pages("helpers/metrics.py")


def test_statistics_and_figures_need_no_torch():
    for page in (
        "01_cohort",
        "04_segmentation",
        "05_comparison",
        "08_cross_validation",
        "09_published",
    ):
        for source in provenance.sources(REPOSITORY / "notebooks" / f"{page}.ipynb"):
            if source.endswith(".py"):
                text = (REPOSITORY / source).read_text(encoding="utf-8")
                assert "import torch" not in text, f"{page} needs torch through {source}"


@pytest.fixture
def copy(tiny, tmp_path):
    """A copy of the finished tiny study that a test may spoil."""
    root = tmp_path / "copy"
    shutil.copytree(tiny, root, symlinks=True, copy_function=shutil.copy2)
    return root


def test_a_changed_mask_is_an_error_that_names_the_row_and_keeps_the_results(copy):
    data = copy / "elsewhere"
    shutil.copytree(copy / "runs/phantom/data", data)
    images = pd.read_csv(copy / "data_manifest/phantom/images.csv", dtype=str)
    mask = data / images["mask"].iloc[3]
    mask.write_bytes(mask.read_bytes() + b"\0")
    before = files.sha256(copy / "runs/phantom/results/per_image.csv")
    done = workflow(copy, data=str(data))
    assert done.returncode != 0
    assert (
        f"image_id {images.image_id.iloc[3]}: mask {mask} has changed" in done.stderr + done.stdout
    )
    assert files.sha256(copy / "runs/phantom/results/per_image.csv") == before


def test_a_lost_phantom_image_is_drawn_again_and_gives_the_same_results(copy):
    images = pd.read_csv(copy / "data_manifest/phantom/images.csv", dtype=str)
    results = copy / "runs/phantom/results/per_image.csv"
    before = files.sha256(results)
    (copy / "runs/phantom/data" / images["image"].iloc[0]).unlink()
    assert planned(copy)["phantom"] == 1
    done = workflow(copy)
    assert done.returncode == 0, done.stderr
    assert files.sha256(results) == before
    assert planned(copy) == {}


@pytest.mark.parametrize(
    ("name", "protocol", "data", "message"),
    [
        (
            "femoral",
            "quick",
            "",
            r"error: DATA=runs/femoral/data: no such folder.*`make data STUDY=femoral` downloads",
        ),
        (
            "femoral",
            "quick",
            "/no/where",
            r"error: DATA=/no/where: no such folder.*make study STUDY=femoral DATA=",
        ),
        (
            "femur",
            "quick",
            "",
            r"error: .*femur.study.yml: no such file. Studies here: femoral, phantom",
        ),
        ("phantom", "slow", "", r"error: .*no protocol 'slow'; it has quick, paper"),
        ("qlb", "quick", "/", r"error: .*qlb.images.csv: has a header but no rows"),
    ],
)
def test_a_wrong_request_ends_in_one_line(name, protocol, data, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # where no study has been run
    with pytest.raises(SystemExit, match=message) as stop:
        steps.begin(name, protocol, data)
    assert "\n" not in str(stop.value)


def test_folder_state_sees_every_file(tmp_path):
    from types import SimpleNamespace

    frame = pd.DataFrame({"image": ["a"], "mask": ["b"]})
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    original = steps.studies.images
    steps.studies.images = lambda study: frame
    try:
        first = steps.folder_state(SimpleNamespace(), tmp_path)
        os.utime(tmp_path / "b", (1, 1))
        second = steps.folder_state(SimpleNamespace(), tmp_path)
        (tmp_path / "a").unlink()
        third = steps.folder_state(SimpleNamespace(), tmp_path)
    finally:
        steps.studies.images = original
    assert len({first, second, third}) == 3
