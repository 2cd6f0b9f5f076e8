"""The statistician's way: kept numbers to a book, without images, torch or their readers."""

import json
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata

import kept_run
import pandas as pd
import pytest
from conftest import REPOSITORY, shrink

from helpers import stats, studies
from helpers.analyses import raters
from helpers.errors import StudyError
from helpers.workflow import keep
from tools.book import analysis

pytestmark = pytest.mark.slow

PAGES = [
    *("00_summary", "04_segmentation", "05_comparison", "08_cross_validation", "09_published"),
    *("10_planning", "13_more_statistics"),
]
#: what the extra "study" alone brings; sphinx and papermill need two of them too
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
    extra -= {"charset-normalizer", "requests"}
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


@pytest.mark.slow
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


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "ROOT", shrink(tmp_path))
    study = kept_run.finished()
    kept_run.page(study, "02_images", {"results/agreement.csv": ",".join(raters.COLUMNS) + "\n"})
    keep.keep(study)
    return study


def test_a_run_laid_out_from_kept_numbers_has_the_rows_of_the_one_with_images(study, tmp_path):
    original = pd.concat(
        [pd.read_csv(p, dtype=keep.TEXT) for p in study.run.glob("train/*/*/counts.csv")]
    )
    analysis.lay_out(study, tmp_path / "runs/analysis")
    run = tmp_path / "runs/analysis/runs/phantom"
    again = pd.read_csv(run / "results/per_image.csv", dtype=keep.TEXT)
    pd.testing.assert_frame_equal(stats.check(again), stats.check(original))
    assert (run / "results/agreement.csv").is_file() and not (run / "cache").exists()
    assert (tmp_path / "runs/analysis/data_manifest/phantom/study.yml").is_file()


@pytest.mark.parametrize("fold", ["main_1", "cv2_1"])
def test_numbers_without_some_of_the_images_are_refused(study, tmp_path, fold):
    """An image that no network was scored on would be missing from every table in silence."""
    path = keep.folder(study) / f"train/femoral_unet/{fold}/counts.csv.gz"
    rows = pd.read_csv(path, dtype=keep.TEXT)
    rows[rows["image_id"] != rows["image_id"].iloc[0]].to_csv(path, index=False)
    with pytest.raises(StudyError, match=r"1 images of femoral_unet, .* are missing"):
        analysis.lay_out(study, tmp_path / "runs/analysis")


def test_numbers_of_images_that_the_manifest_does_not_list_are_refused(study, tmp_path):
    path = keep.folder(study) / "train/femoral_unet/main_1/counts.csv.gz"
    rows = pd.read_csv(path, dtype=keep.TEXT)
    rows["image_id"] = rows["image_id"].replace(rows["image_id"].iloc[0], "another")
    rows.to_csv(path, index=False)
    with pytest.raises(StudyError, match=r"2 images of femoral_unet, main, .*another"):
        analysis.lay_out(study, tmp_path / "root")


def test_a_study_with_raters_needs_their_agreement(study, tmp_path):
    (keep.folder(study) / "results/agreement.csv").unlink()
    with pytest.raises(StudyError, match=r"without results/agreement.csv"):
        analysis.lay_out(study, tmp_path / "root")


def test_without_the_headline_network_there_is_nothing_to_report(study, tmp_path):
    shutil.rmtree(keep.folder(study) / "train/femoral_unet")
    with pytest.raises(StudyError, match=r"no training of femoral_unet, .* only of tlf_unet"):
        analysis.lay_out(study, tmp_path / "root")


def test_parameters_go_to_pages_that_declare_all_of_them():
    taking = [n for n in analysis.NUMBERS if analysis.takes(n, {"metric": "IoU", "unit": "image"})]
    assert taking == ["05_comparison"]


@pytest.mark.slow
def test_the_statisticians_book_is_made_without_images(study, tmp_path, monkeypatch, forks):
    monkeypatch.setattr(analysis, "NUMBERS", ("04_segmentation", "05_comparison"))
    root = tmp_path / "runs/analysis"
    book = analysis.make(study, root)
    assert "needs the images" in (book.parent / "06_cases.html").read_text(encoding="utf-8")
    text = (book.parent / "04_segmentation.html").read_text(encoding="utf-8")
    assert "needs the images" in text and "HD95" in text
    assert "abc" in (book.parent / "03_train.html").read_text(encoding="utf-8")
    trial = analysis.run_page(study, "05_comparison", root, {"metric": "IoU"})
    assert trial.parent == root / "runs/phantom/tryout"
    assert (root / "runs/phantom/tryout/05_comparison/tables/comparison.csv").is_file()
