"""No name, birth date or original id of a key file stands in what may be passed on."""

import gzip
import zipfile
from types import SimpleNamespace

import pandas as pd
import pytest

from helpers import files, studies
from helpers.errors import StudyError
from helpers.models import catalogue
from tools.audit import draft
from tools.book import private, verify
from tools.intake import deidentify

pytestmark = pytest.mark.slow

KEY = """original,new
# secret,abc
'=MUELLER^Anna,S000001
4711-08,S000002
19500321,S000003

77,S000004
Jürgens,S000005
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "ROOT", tmp_path)
    run, root = tmp_path / "runs/x", tmp_path / "data_manifest/x"
    for folder in (run / "tables", run / "data", root, tmp_path / "reports/x/book"):
        folder.mkdir(parents=True)
    (tmp_path / "key.csv").write_text(KEY, encoding="utf-8")
    (run / "tables/a.csv").write_text("patient_id,x\nS000001,0.4711\nS000002,14711-08\n")
    (run / "tables/a.png").write_bytes(b"4711-08")
    (run / "data/b.csv").write_text("4711-08")
    return SimpleNamespace(name="x", run=run, root=root, key=tmp_path / "key.csv")


def test_new_ids_and_longer_numbers_name_nobody(study):
    problems, said = private.search(study, study.key)
    assert problems == []
    assert (
        "1 texts" in said and "not looked into: 1 pictures" in said and "1 cells of the key" in said
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("runs/x/tables/b.csv", "id\n4711-08\n"),
        ("runs/x/notebooks.ipynb", '{"text": "Mueller"}'),
        ("reports/x/book/index.html", "<p>m&#117;eller</p>"),
        ("reports/x/book/born.html", "<td>21.03.1950</td>"),
        ("data_manifest/x/images.csv", "i1,1950-03-21,a.png"),
        ("reports/x/book/4711-08.html", ""),
        ("runs/x/weights.json", '{"note": "J\\u00fcrgens"}'),
        ("reports/x/book/link.html", '<a href="J%C3%BCrgens.csv">'),
        ("reports/x/book/Ju\u0308rgens.csv", ""),
        ("reports/x/results/quick/train/unet/main_1/counts.csv.gz", "id\n4711-08\n"),
        ("reports/x/manuscript.docx", "<w:t>Mueller</w:t>"),
    ],
)
def test_every_spelling_is_found_and_not_repeated(study, name, text):
    path = studies.ROOT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(path.read_bytes()))
    if path.suffix == ".docx":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("word/document.xml", text)
    problems, _ = private.search(study, study.key)
    assert len(problems) == 1 and "holds an entry of the key" in problems[0]
    assert path.name in problems[0] and "ueller" not in problems[0].lower()


def test_the_zip_is_looked_into(study):
    with zipfile.ZipFile(studies.ROOT / "reports/x/book.zip", "w") as archive:
        archive.writestr("book/a.html", "Anna")
    problems, _ = private.search(study, study.key)
    assert ["book.zip: book/a.html" in p for p in problems] == [True]


def test_a_key_that_cannot_be_read_is_one_line(study):
    with pytest.raises(StudyError, match=r"nokey\.csv: cannot be read as a key file"):
        private.search(study, study.key.with_name("nokey.csv"))


@pytest.mark.parametrize("content", [b"original,new\n\xff\n", b'"' + b"a" * 200_000])
def test_a_key_of_another_kind_is_one_line_everywhere(study, content):
    study.key.write_bytes(content)
    with pytest.raises(StudyError, match="cannot be read as a key file"):
        private.search(study, study.key)
    with pytest.raises(StudyError, match="is no key file; give the one"):
        deidentify.Key.open(study.key, away_from=[])
    table = study.key.with_suffix(".csv")
    table.write_bytes(content)
    with pytest.raises(StudyError, match=r"cannot be read as text|is no table"):
        draft.tables(table)


def test_verify_looks_at_weights_records_raters_and_lock(study, monkeypatch):
    place = study.run / "train/unet/main_1"
    weights = place / "weights.safetensors"
    place.mkdir(parents=True)
    weights.write_bytes(b"weights")
    spec = {"lr": 0.1, "epochs": 2}
    record = {"model": "unet", "fold": "main", "seed": 1, "training": spec}
    record["sources"] = catalogue.code("unet")
    files.write_json(record | {"sha256": files.sha256(weights)}, place / "weights.json")
    study.trainings = lambda: [("unet", "main", 1)]
    study.training = lambda model, fold: spec
    assert list(verify.learned(study)) == []
    study.training = lambda model, fold: spec | {"lr": 0.2}
    assert "was learned with another lr" in next(verify.learned(study))
    study.training = lambda model, fold: spec
    with monkeypatch.context() as patch:
        patch.setattr(catalogue, "code", lambda model: "other")
        assert "was learned by other code" in next(verify.learned(study))
    weights.write_bytes(b"Weights")
    assert "are not the weights of" in next(verify.learned(study))

    monkeypatch.setattr(verify.provenance, "libraries", lambda: {"numpy": "0.1"})
    assert "numpy is 0.1 here, the lock has" in next(verify.locked())


def test_verify_compares_the_outlines_of_raters(study, monkeypatch):
    files.write_json({"data": "data"}, study.run / "cache/check.json")
    outline = studies.ROOT / "data/r1.png"
    outline.parent.mkdir()
    outline.write_bytes(b"outline")
    frame = pd.DataFrame({"image_id": ["i1", "i2"], "mask": ["r1.png", "gone.png"]})
    frame["sha256_mask"] = files.sha256(outline)
    monkeypatch.setattr(studies, "annotations", lambda study: frame)
    monkeypatch.setattr(studies, "images", lambda study: frame.head(1))
    assert list(verify.raters(study)) == []  # i2 is not of this protocol
    outline.write_bytes(b"Outline")
    assert "r1.png has changed" in next(verify.raters(study))
    outline.unlink()
    assert "is missing" in next(verify.raters(study))
