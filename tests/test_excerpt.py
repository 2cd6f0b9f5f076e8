"""Pages of a report as one file: pictures inside, links that lead there, real ones by licence."""

import gzip
import hashlib
import re

import pytest
from bs4 import BeautifulSoup
from report_run import COHORT, FRONT, built

from helpers import provenance, stats, studies
from helpers.errors import StudyError
from helpers.workflow import keep
from tools.book import excerpt


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        yield built(tmp_path_factory.mktemp("excerpt"), patch, FRONT, COHORT)


@pytest.mark.slow
def test_two_pages_are_one_file_that_loads_nothing(study, tmp_path):
    path = excerpt.write(study, ["00", "01"])
    text = path.read_text(encoding="utf-8")
    page = BeautifulSoup(text, "html.parser")
    assert [a["id"] for a in page("article")] == ["00_summary", "01_cohort"]
    assert page.find(id="table-1-1") and "0.333" in text and "alert(1)" not in text
    assert all(i["src"].startswith("data:image/webp;base64,") for i in page("img")) and page("img")
    here = {tag["id"] for tag in page.find_all(id=True)}
    assert {a["href"] for a in page("a")} <= {f"#{name}" for name in here}
    with pytest.raises(StudyError, match="page 07 has not run"):
        excerpt.write(study, ["07"])


@pytest.mark.slow
def test_real_images_leave_with_their_licence_and_in_few_bytes(study, tmp_path, monkeypatch):
    real = study.__class__(**vars(study) | {"synthetic": False})
    with pytest.raises(StudyError, match="its images are real; name the licence"):
        excerpt.write(real, ["00"])
    licence = tmp_path / "MIT"
    licence.write_text("MIT License\n\nCopyright (c) 2019 A. Body\n", encoding="utf-8")
    path = excerpt.write(real, ["00"], licence)
    assert "Copyright (c) 2019 A. Body" in path.read_text(encoding="utf-8")
    assert (path.parent / "LICENSE").read_bytes() == licence.read_bytes()
    monkeypatch.setattr(excerpt, "MOST", 1000)
    with pytest.raises(StudyError, match="choose fewer pages"):
        excerpt.write(real, ["00"], licence)


def test_the_real_pages_show_the_kept_numbers(monkeypatch):
    monkeypatch.setattr(studies, "ROOT", provenance.REPOSITORY)
    place = provenance.REPOSITORY / "reports" / "femoral" / "excerpt"
    text = (place / "index.html").read_text(encoding="utf-8")
    assert len(text) < excerpt.MOST and "MIT License" in (place / "LICENSE").read_text()
    study = studies.load("femoral", "paper,models=femoral_unet")
    kept = provenance.REPOSITORY / "reports/femoral/results/paper/train/femoral_unet/main_42"
    counts = gzip.decompress((kept / "counts.csv.gz").read_bytes())
    assert hashlib.sha256(counts).hexdigest()[:16] in text, "made from just these counts"
    rows = stats.select(keep.counts(kept), split="test", fold="main")
    dice = stats.case_values(rows, study.headline, study.target)
    words = BeautifulSoup(text, "html.parser").get_text()
    assert f"a mean Dice of {dice.mean():.2f} " in re.sub(r"\s+", " ", words)
    assert re.search(
        rf"It fails .*: the \D* in {(dice < 0.5).sum()} of {len(dice)}\s+images", words
    )
