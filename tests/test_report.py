"""The book on a fabricated run: what stands in it, what it refuses, and that one altered byte is
found.
"""

import contextlib
import csv
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from report_run import COHORT, FRONT, built, execute, fabricate, notebook

from helpers import datasets, files, provenance, runs, stats, studies
from helpers.errors import StudyError
from helpers.pages import summary
from helpers.workflow import headline
from tools.book import cases, claim, markup, pack, pages, trail, verify
from tools.book.build import build

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        yield built(tmp_path_factory.mktemp("phantom"), patch, FRONT, COHORT)


@pytest.fixture(scope="module")
def book(study):
    return studies.ROOT / "reports" / "phantom" / "book"


def test_pages_and_contents(book):
    text = (book / "index.html").read_text(encoding="utf-8")
    assert "What the study found" in text and "Synthetic data." in text
    assert text.count("Show the code") == 1
    for page in (
        "01_cohort",
        "training",
        "train_qvum_main_11",
        "train_unet_main_11",
        "cases",
        "claim",
        "card",
    ):
        assert (book / f"{page}.html").is_file() and f'href="{page}.html' in text, page
    learned = (book / "train_unet_main_11.html").read_text(encoding="utf-8")
    assert (
        "<h1>U-Net, the study’s split, seed 11" in learned
        or "U-Net, the study's split, seed 11" in learned
    )


def test_code_is_hidden_but_there_and_outputs_are_safe(book):
    text = (book / "01_cohort.html").read_text(encoding="utf-8")
    assert "Show the code" in text and "alert(" not in text
    assert all(' src="' in tag for tag in re.findall(r"<script\b[^>]*>", text))
    assert not re.search(r"\son(click|load|error)=", text)
    assert "Content-Security-Policy" in text and pack.POLICY in text
    assert 'src="figures/cohort.svg"' in text and 'href="figures/cohort.png"' in text
    assert (
        re.search(r'<a download="" href="tables/t_cohort.csv">', text) and "epoch 1/1\ndone" in text
    )
    assert (
        "parameters" in text.lower()
        and ">abc<" in text
        and "study = phantom, protocol = quick" in text
    )


def test_downloads_are_the_files_of_the_run(study, book):
    assert not list(verify.rebuilt(study, book.parent))
    with zipfile.ZipFile(book.parent / "book.zip") as archive:
        assert (
            archive.read("book/tables/t_front.csv")
            == (study.run / "tables" / "t_front.csv").read_bytes()
        )
        assert len(archive.namelist()) == sum(p.is_file() for p in book.rglob("*"))
    assert "phantom/book/index.html" in (book.parent.parent / "index.html").read_text(
        encoding="utf-8"
    )


def test_a_file_made_by_two_pages_is_named(study):
    path = study.run / "notebooks" / "01_cohort.ipynb"
    record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    other = study.run / "notebooks" / "00_summary.ipynb"
    shared = json.loads(other.with_suffix(".json").read_text(encoding="utf-8"))["files"][1]
    path.with_suffix(".json").write_text(
        json.dumps(record | {"files": [*record["files"], shared]}), encoding="utf-8"
    )
    found = pages.made_twice([other, path])
    path.with_suffix(".json").write_text(json.dumps(record), encoding="utf-8")
    assert found == [
        f"{shared} is written by 00_summary and by 01_cohort; give one of them another name"
    ]
    assert pages.made_twice([other, path]) == []


def test_warnings_and_missing_records_are_errors(study, tmp_path):
    path = study.run / "notebooks" / "02_images.ipynb"
    notebook(study, path, "2 · Images", "bad")
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("A question.", "[a](no_such_page.md)"), encoding="utf-8")
    before = (studies.ROOT / "reports/phantom/book/manifest.json").read_bytes()
    with pytest.raises(StudyError, match=r"(?s)1 warning.*02_images.*no_such_page"):
        build(study)
    assert (studies.ROOT / "reports/phantom/book/manifest.json").read_bytes() == before
    path.with_suffix(".json").unlink()
    with pytest.raises(StudyError, match=r"02_images.json: no such file"):
        pages.read(path)
    path.unlink()
    for name in ("figures/bad.svg", "figures/bad.png", "tables/t_bad.csv"):
        (study.run / name).unlink()


def test_encoded_outlines_come_back():
    mask = np.random.default_rng(1).integers(0, 3, (7, 5)).astype(np.uint8)
    runs = re.findall(r"([a-z])(\d+)", cases.encode(mask))
    again = np.concatenate([np.full(int(n), ord(letter) - 97) for letter, n in runs])
    assert (again.reshape(7, 5) == mask).all()


def test_an_outline_lies_over_its_part_of_a_padded_square():
    masks = np.zeros((1, 4, 4), np.uint8)
    masks[0, 1:3, 2:] = 3  # of a picture twice as wide as high, in the middle of its square
    arrays = SimpleNamespace(frame=lambda position: np.s_[1:3, 0:4])
    assert cases.shown(arrays, masks, 0).tolist() == [[0, 0, 3, 3]] * 4
    arrays = SimpleNamespace(frame=lambda position: np.s_[:, :])
    assert (cases.shown(arrays, masks, 0) == masks[0]).all()


def test_case_browser_holds_every_test_image(study, book):
    text = (book / "cases" / "index.js").read_text(encoding="utf-8")
    content = json.loads(text.removeprefix("window.STUDY_CASES = ").rstrip(";\n"))
    index = datasets.load(study).index
    assert [c["id"] for c in content["cases"]] == list(
        index.loc[index["split"] == "test", "image_id"]
    )
    first = content["cases"][0]
    assert {"patient", "sex", "age", "bmi", "device", "scores"} <= set(first)
    rows = stats.select(stats.read(study))
    assert first["scores"]["qvum"]["QLM"][0] == pytest.approx(
        stats.case_values(rows, "qvum", "QLM").get(first["id"], np.nan), abs=1e-4
    )
    for case in content["cases"]:
        assert (book / "cases" / f"{case['id']}.webp").stat().st_size < 20_000
        assert (book / "cases" / f"{case['id']}.js").is_file()


def test_checklist_says_missing(study, book):
    assert len(claim.ITEMS) == 44
    found = claim.evidence(study, {"index", "01_cohort", "training", "card"})
    assert {4, 8, 25, 35, 41} <= set(found) and not {29, 33, 34, 44} & set(found)
    text = (book / "claim.html").read_text(encoding="utf-8")
    met = len(re.findall(r"<tr><td>\d+</td>.*?<a href=", text))
    assert met + text.count(">MISSING<") == 44
    for link in re.findall(r'<td><a href="([^"#]+)', text):
        assert (book / link).is_file(), link


def test_missing_data_are_spoken_of_where_table_1_is(study):
    """It counts them, or says that there are none; without patients nobody knows."""
    table = study.run / "tables" / "table1.csv"
    assert 12 not in claim.evidence(study, {"01_cohort"})
    table.write_text("variable\n")
    try:
        assert "said to be none" in claim.evidence(study, {"01_cohort"})[12][0]
    finally:
        table.unlink()


def test_the_card_repeats_the_front_page_and_shows_quotes_as_quotes(study, book):
    front = pages.make(study.run / "notebooks" / "00_summary.ipynb", study, "index")
    said = pages.below(front, ("A section",))
    assert list(said) == ["A section"] and "Dice <strong>0.33</strong>" in said["A section"]
    assert pages.below(front, ("Another",)) == {}
    text = claim.card(study, said)
    assert "## A section" in text and said["A section"] in text
    assert "&amp;#x27;" not in (book / "card.html").read_text(encoding="utf-8")


def test_a_stand_in_is_named_where_it_is_shown_and_no_table_says_so():
    study = SimpleNamespace(models=({"name": "unet"}, {"name": "bpsegsys_r"}))

    def page(text):
        shown = nbformat.v4.new_output("display_data", {"text/html": text})
        return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=[shown])])

    assert "BPSegSys-R (" in pages.stand_ins(study, page("<p>BPSegSys-R: 0.7</p>"))
    assert pages.stand_ins(study, page("<p>U-Net: 0.7</p>")) == ""
    assert pages.stand_ins(study, page("BPSegSys-R is a stand-in: of the original …")) == ""


def test_one_altered_byte_is_found_and_named(study, book):
    place = book.parent
    assert not [*verify.seals(place), *verify.hashes(study, place), *verify.counted(study)]
    files = [p for p in place.rglob("*") if p.is_file()] + pack.input_files(study)
    rng = np.random.default_rng(3)
    always = [
        place / "seal.sha256",
        place / "book.zip",
        book / "manifest.json",
        study.root / "images.csv",
        study.run / "results/per_image.csv",
        study.run / "train/unet/main_11/weights.safetensors",
        study.run / "train/unet/main_11/counts.csv",
        book / "tables/t_front.csv",
    ]
    for path in [*always, *rng.choice(sorted(set(files) - set(always)), 12, replace=False)]:
        kept = path.read_bytes()
        at = int(rng.integers(len(kept)))
        path.write_bytes(kept[:at] + bytes([kept[at] ^ 1]) + kept[at + 1 :])
        found = "\n".join([*verify.seals(place), *verify.hashes(study, place)])
        path.write_bytes(kept)
        assert path.name in found, f"{path} byte {at}"
    extra = book / "tables" / "added.csv"
    extra.write_text("a\n", encoding="utf-8")
    assert "added.csv" in "".join(verify.hashes(study, place))
    extra.unlink()


def test_a_forged_page_is_found_although_its_hashes_were_written_anew(study, book):
    place = book.parent
    kept = {p: p.read_bytes() for p in place.rglob("*") if p.is_file()}
    for name, old, new in (
        ("index.html", b"A question", b"An answer"),
        ("cases/index.js", b"0.", b"9."),
    ):
        path = book / name
        assert old in kept[path]
        path.write_bytes(kept[path].replace(old, new, 1))
        pack.write_manifest(study, book)
        pack.write_zip(book, place / "book.zip")
        pack.write_seal(place)
        assert not [*verify.seals(place), *verify.hashes(study, place)]
        assert list(verify.rebuilt(study, place)) == [f"{path}: is not what the run gives"]
        for file, data in kept.items():
            file.write_bytes(data)


def test_a_figure_without_its_name_or_file_is_named(study, tmp_path):
    path = study.run / "notebooks" / "01_cohort.ipynb"
    svg = study.run / "figures" / "cohort.svg"
    kept = svg.read_bytes()
    svg.unlink()
    with pytest.raises(StudyError, match=r"01_cohort.ipynb, section .*cohort.svg is missing"):
        pages.make(path, study, "01_cohort")
    svg.write_bytes(kept)
    other = tmp_path / path.name
    other.write_text(path.read_text(encoding="utf-8").replace('"figure": "cohort"', '"x": ""'))
    other.with_suffix(".json").write_bytes(path.with_suffix(".json").read_bytes())
    with pytest.raises(StudyError, match="was not saved under a name"):
        pages.make(other, study, "01_cohort")


def test_counts_that_predictions_do_not_give_are_found(study):
    path = study.run / "train/qvum/main_11/predictions.npy"
    kept = path.read_bytes()
    predictions = np.load(path)
    predictions[2, 5, 5] ^= 1
    np.save(path, predictions)
    found = "".join(verify.counted(study))
    path.write_bytes(kept)
    assert "counts.csv: is not what predictions.npy gives" in found


@contextlib.contextmanager
def changed(*paths):
    """Files that are put back afterwards."""
    kept = {path: path.read_bytes() for path in paths}
    try:
        yield
    finally:
        for path, content in kept.items():
            path.write_bytes(content)


@pytest.mark.parametrize(
    ("column", "new"),
    [("hd95_px", 99.5), ("split", "train"), ("patient_id", "x"), ("fold", "cv1"), ("class", "x")],
)
def test_every_cell_of_the_counts_is_compared(study, column, new):
    path = study.run / "train/qvum/main_11/counts.csv"
    table = runs.counts(path)
    row = table.index[table["split"] == "test"][0]
    table[column] = table[column].astype(object)
    table.loc[row, column] = new
    with changed(path):
        files.write_csv(table, path)
        found = "".join(verify.counted(study))
    assert "main_11/counts.csv: is not what predictions.npy gives" in found


def test_an_image_left_out_of_the_counts_is_found(study):
    """As if the worst case had been left away, in the outlines and in the counts alike."""
    place = study.run / "train/qvum/main_11"
    counts, outlines = runs.counts(place / "counts.csv"), np.load(place / "predictions.npy")
    with changed(place / "counts.csv", place / "predictions.npy"):
        last = counts["image_id"].iloc[-1]
        files.write_csv(counts[counts["image_id"] != last], place / "counts.csv")
        np.save(place / "predictions.npy", outlines[:-1])
        found = "".join(verify.counted(study))
    assert f"has {len(outlines) - 1} outlines, fold main has {len(outlines)} images" in found


@pytest.mark.parametrize(("column", "new"), [("split", "train"), ("cv_fold", 1), ("device", "x")])
def test_the_list_that_was_learned_from_is_that_of_the_manifest(study, column, new):
    """Although its hash was written anew: a test image may have been learned from."""
    assert list(verify.images(study)) == []
    path, check = study.run / "cache/index.csv", study.run / "cache/check.json"
    index = files.read_csv(path, dtype={"device": str})
    index.loc[index.index[index["split"] == "test"][0], column] = new
    with changed(path, check):
        files.write_csv(index, path)
        about = files.read_json(check)
        about["sha256"]["index.csv"] = files.sha256(path)
        files.write_json(about, check)
        assert "index.csv: says other than" in "".join(verify.images(study))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("0.3333333333", "0.3333333334", True), ("0.33", "0.34", False), ("007", "7", False)],
)
def test_only_the_last_digits_of_a_fraction_may_differ(tmp_path, one, other, same):
    for name, cell in (("a.csv", one), ("b.csv", other)):
        (tmp_path / name).write_text(f"x,y\n1,{cell}\n")
    assert verify._equal(tmp_path / "a.csv", tmp_path / "b.csv") is same


def test_a_page_that_other_code_made_is_named(study, monkeypatch):
    """Notebooks of this fabricated run have records without their sources."""
    assert len(list(verify.code(study))) == len(list(study.run.glob("notebooks/*.json")))
    record = study.run / "notebooks/01_cohort.json"
    with changed(record):
        page = provenance.REPOSITORY / "notebooks/01_cohort.ipynb"
        about = files.read_json(record) | {"sources": provenance.code_digest(page)}
        files.write_json(about, record)
        assert not any("01_cohort" in line for line in verify.code(study))


def test_printed_numbers_are_those_of_the_papers_file(study):
    made = study.run / "results"
    command = [sys.executable, "-m", "tools.audit", str(study.root / "published.yml")]
    subprocess.run([*command, "--out", str(made)], check=True, cwd=provenance.REPOSITORY)
    assert list(verify.printed(study)) == []
    path = made / "printed.csv"
    with changed(path):
        path.write_text(path.read_text(encoding="utf-8").replace("0.8", "0.9", 1), "utf-8")
        assert "printed.csv: is not what published.yml gives" in "".join(verify.printed(study))


def test_what_a_page_leaves_for_others_is_made_again(study, monkeypatch):
    record = study.run / "notebooks/02_images.json"
    left = study.run / "results/agreement.csv"
    left.write_text("a\n0.5\n")
    about = files.read_json(study.run / "notebooks/01_cohort.json")
    files.write_json(about | {"files": ["runs/phantom/results/agreement.csv"]}, record)
    notebook = study.run / "notebooks/01_cohort.ipynb"
    shutil.copy(notebook, record.with_suffix(".ipynb"))

    def run(command, env, **options):
        page = Path(command[5])
        page.parent.mkdir(exist_ok=True)
        shutil.copy(study.run / "notebooks" / page.name, page)
        made = Path(env["STUDY_ROOT"], "runs/phantom/results/agreement.csv")
        if page.stem == "02_images":
            assert not made.exists()
            made.write_text("a\n0.4\n")
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(verify.subprocess, "run", run)
    found = "".join(verify.remade(study))
    for path in (record, record.with_suffix(".ipynb"), left):
        path.unlink()
    assert "results/agreement.csv: is not what notebooks/02_images.ipynb makes" in found


def test_tables_that_no_page_gives_are_found(study, capsys, forks):
    found = "".join(verify.remade(study))
    assert (
        "t_cohort.csv: is not what notebooks/01_cohort.ipynb makes" in found
        and "t_front.csv" in found
    )
    assert "[2 of 2]" in capsys.readouterr().out
    table, other = study.run / "tables" / "t_cohort.csv", study.root / "images.csv"
    assert verify._equal(table, table) and not verify._equal(table, other)


def test_headline_says_where_and_how_much(study, monkeypatch, capsys):
    monkeypatch.setattr(headline, "ROOT", studies.ROOT)
    table = study.run / "tables" / "headline.csv"
    with open(table, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows(
            [
                summary.COLUMNS,
                ["Dice", 0.73412, 0.7, 0.76, "", "by patient"],
                ["n", 5, "", "", "mm", ""],
            ]
        )
    headline.main(["--study", "phantom"])
    out = capsys.readouterr().out
    table.unlink()
    assert (
        "book/index.html" in out
        and "Dice: 0.734 (0.700 to 0.760), by patient" in out
        and "n: 5.000 mm" in out
    )


def test_summary_page_runs_without_patients(tmp_path, monkeypatch):
    study = fabricate(tmp_path, "femoral", monkeypatch)
    names = execute(study, "00_summary")
    rows = names["page"].rows
    assert "each image counts as independent" in summary.limits(study, rows)
    assert "outlined the femoral nerve block region" in summary.answer(
        study, rows, names["numbers"]
    )
    assert "was not published" in summary.studied(study)
    for name in ("cases", "numbers"):
        assert (study.run / "figures" / f"summary_{name}.svg").is_file()
    with open(study.run / "tables" / "headline.csv", encoding="utf-8") as file:
        assert next(csv.reader(file)) == summary.COLUMNS


def test_pdf_says_what_to_install(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(StudyError, match="apt-get install chromium"):
        pack.browser()


def test_every_table_leads_to_its_file_its_definition_and_the_counts(study, book):
    text = (book / "01_cohort.html").read_text(encoding="utf-8")
    assert '<strong id="table-1-1">Table 1.1.</strong>' in text
    assert '<strong id="figure-1-1">Figure 1.1.</strong>' in text
    digest = files.sha256(study.run / "tables" / "t_cohort.csv")
    assert f'<a href="data.html#t_cohort">{digest[:12]}…</a>' in text
    assert 'href="data.html#per-image"' in text and 'href="definitions.html"' in text
    data = (book / "data.html").read_text(encoding="utf-8")
    assert 'id="t_cohort"' in data and digest in data
    assert files.sha256(study.run / "results" / "per_image.csv") in data
    assert "bootstrap-t" in (book / "definitions.html").read_text(encoding="utf-8")


def test_the_columns_of_the_counts_are_all_explained(study):
    columns = pd.read_csv(study.run / "results" / "per_image.csv", nrows=0).columns
    assert list(columns) == list(trail.PER_IMAGE)


def test_ids_of_images_lead_to_their_case():
    ids = frozenset({"P1_03", "17"})
    assert markup.sentences("Worst: P1_03, not P1_031 or 17.", markup.Links(ids=ids)) == (
        '<div class="study-text"><p>Worst: <a href="cases.html#case=P1_03">P1_03</a>, not P1_031 or'
        " 17.</p>\n</div>"
    )
    assert markup.with_cases("<code>P1_03</code>", ids) == "<code>P1_03</code>"


@pytest.mark.parametrize(
    ("rows", "opened", "printed"), [(8, None, True), (9, True, True), (41, False, False)]
)
def test_a_long_table_can_be_closed_and_a_very_long_one_is(study, rows, opened, printed):
    about = SimpleNamespace(numbers=markup.Numbers("x"), links=markup.NOTHING, study=study)
    cells = "<tr><td>a</td></tr>" * rows
    shown = markup.tables(f"<table><tr><th>h</th></tr>{cells}</table>", "Numbers", about)
    fold = BeautifulSoup(shown, "html.parser").find("details", class_="study-rows")
    assert (fold is None) if opened is None else fold.has_attr("open") == opened
    assert ("<td>" in pack.on_paper(shown, [])) == printed


def test_paper_shows_what_is_closed_and_names_what_it_leaves_out():
    article = (
        '<h1 id="a">T</h1><details class="hide"><pre>code</pre></details>'
        '<details class="study-finding"><summary>Why</summary>because</details>'
        '<details class="study-rows"><summary>Table of 40 rows</summary><table></table></details>'
        '<a href="02_images.html#x">page 2</a><a href="cases.html">all</a>'
    )
    shown = pack.on_paper(article, ["02_images"])
    assert "code" not in shown and '<details class="study-finding" open="">' in shown
    assert "Table of 40 rows: in the book, not printed." in shown
    assert 'href="#02_images"' in shown and 'href="cases.html"' in shown
