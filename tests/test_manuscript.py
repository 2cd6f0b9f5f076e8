"""The draft of Methods and Results: every number is what its cell gives, and one altered digit is
found.
"""

import shutil
import subprocess
import zipfile

import numpy as np
import pandas as pd
import pytest
from report_run import root_of

from helpers import files, studies
from helpers.errors import StudyError
from tools.book import manuscript

TABLES = {
    "flow": [
        {"stage": "assessed", "reason": "", "patients": 151, "images": None},
        {"stage": "excluded", "reason": "declined", "patients": 10, "images": None},
        {"stage": "train", "reason": "", "patients": 68, "images": 272.0},
    ],
    "fingerprint_splits": [{"split": "test", "patients": 22, "images": 88}],
    "headline": [
        {
            "what": "Dice of QLM, Q-VUM",
            "value": 0.7610721,
            "low": 0.71948,
            "high": 0.7942,
            "unit": "",
            "how": "mean over 22 patients, 95 % interval",
        },
        {"what": "area", "value": -0.0151, "low": None, "high": None, "unit": "mm", "how": "all"},
    ],
    "comparison_declared": [
        {
            "model": "unet",
            "verdict": "better",
            "difference": 0.02705,
            "low": 0.0113,
            "high": 0.043,
            "p": 0.00001,
            "p_adjusted": 0.00004,
        }
    ],
    "failures": [
        {
            "model": "unet",
            "class": "QLM",
            "metric": "Dice",
            "threshold": 0.5,
            "n": 88,
            "below": 2,
            "share": 2 / 88,
            "low": 0.00625,
            "high": 0.0791,
        }
    ],
    "procedure_qvum_main_11": [
        {"setting": "network", "value": "Q-VUM", "meaning": ""},
        {"setting": "augmentation", "value": "scale [0.8, 1.25]", "meaning": ""},
        {"setting": "epochs, batch", "value": "4, 8", "meaning": ""},
    ],
    "procedure_unet_main_11": [
        {"setting": "network", "value": "U-Net", "meaning": ""},
        {"setting": "augmentation", "value": "scale [0.8, 1.25]", "meaning": ""},
        {"setting": "epochs, batch", "value": "9, 8", "meaning": ""},
    ],
}


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "ROOT", root_of(tmp_path, "phantom"))
    made = studies.load("phantom", "quick")
    place = manuscript.place(made) / "book" / "tables"
    place.mkdir(parents=True)
    for name, rows in TABLES.items():
        files.write_csv(pd.DataFrame(rows), place / f"{name}.csv")
    return made


def test_the_draft_says_the_right_values_and_where_they_are(study):
    text = manuscript.draft(study)
    for part in (
        "- assessed, [151](book/tables/flow.csv#cell=2,3) patients",
        "- test: [22](book/tables/fingerprint_splits.csv#cell=2,2) patients,"
        " [88](book/tables/fingerprint_splits.csv#cell=2,3) images",
        "[0.761](book/tables/headline.csv#cell=2,2) ([0.719](book/tables/headline.csv#cell=2,3) to"
        " [0.794](book/tables/headline.csv#cell=2,4))",
        "[−0.015](book/tables/headline.csv#cell=3,2) mm",
        "is better than U\\-Net: difference [0.027](book/tables/comparison_declared.csv#cell=2,3)",
        "adjusted P [< 0.001](book/tables/comparison_declared.csv#cell=2,7)",
        "below [0.5](book/tables/failures.csv#cell=2,4) in [2](book/tables/failures.csv#cell=2,6)"
        " of [88](book/tables/failures.csv#cell=2,5) images,"
        " [2.3 %](book/tables/failures.csv#cell=2,7)",
        "**All networks.** augmentation [scale \\[0.8, 1.25\\]]",
        "**U\\-Net.** epochs, batch [9, 8](book/tables/procedure_unet_main_11.csv#cell=4,2).",
    ):
        assert part in text, part
    assert "- train" not in text  # counted once, under the splits
    assert not list(manuscript.problems(study, text))


@pytest.mark.parametrize(
    ("low", "said"), [(0.0003, "0.0003"), (-0.00004, "−0.00004"), (0, "0.000")]
)
def test_a_limit_beside_0_says_on_which_side(study, low, said):
    path = manuscript.place(study) / "book" / "tables" / "comparison_declared.csv"
    table = pd.read_csv(path)
    table.assign(low=low).to_csv(path, index=False)
    assert f"([{said}](" in manuscript.Table(study, "comparison_declared").interval(0, "difference")


def test_each_altered_digit_is_found(study):
    text = manuscript.draft(study)
    links = [(m.start(1), m.end(1)) for m in manuscript.LINK.finditer(text)]
    places = [i for start, end in links for i in range(start, end) if text[i].isdigit()]
    assert len(places) > 60
    for i in places:
        altered = text[:i] + str((int(text[i]) + 1) % 10) + text[i + 1 :]
        assert len(list(manuscript.problems(study, altered))) == 1, text[i - 20 : i + 20]


@pytest.mark.parametrize(
    ("text", "cell", "same"),
    [
        ("0.761", "0.76107", True),
        ("0.76", "0.76107", True),
        ("0.77", "0.76107", False),
        ("1", "0.76107", False),  # a count is whole
        ("88", "88.0", True),
        ("2.3 %", "0.0227272", True),
        ("2.4 %", "0.0227272", False),
        ("2.3", "0.0227272", False),
        ("< 0.001", "0.00004", True),
        ("< 0.001", "0.002", False),
        ("< 0.002", "0.00004", False),
        ("−0.015", "-0.0151", True),
        ("0.015", "-0.0151", False),
        ("4, 8", "4, 8", True),
        ("4, 9", "4, 8", False),
        ("0.5", "", False),
        ("0.5", "nan", False),
    ],
)
def test_what_words_agree_with_a_cell(text, cell, same):
    assert manuscript.agrees(text, cell) is same


def test_a_number_without_a_cell_is_found_and_a_name_is_not(study):
    def found(text):
        return list(manuscript.problems(study, text))

    assert not found("U-Net of L3, cv1")
    assert found("It took 12 weeks.") == ["'12' leads to no cell: It took 12 weeks."]
    assert "22" in found("a 22-patient study")[0]
    for cell in ("99,1", "2,99", "1,1", "2,0"):
        assert "there is no" in found(f"[1](book/tables/flow.csv#cell={cell})")[0]
    for name in ("tables/none.csv", "tables/../../../data_manifest/phantom/images.csv"):
        assert "there is no" in found(f"[1](book/{name}#cell=2,1)")[0]


def test_changed_words_stay_and_changed_numbers_are_refused(study, capsys):
    with pytest.raises(StudyError, match=r"manuscript.md: no such file; run `make manuscript`"):
        manuscript.main(["--study", "phantom", "--check"])
    manuscript.main(["--study", "phantom"])
    manuscript.main(["--study", "phantom"])  # the same again
    path = manuscript.place(study) / manuscript.NAME
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("Failures", "Where it fails"), encoding="utf-8")
    manuscript.main(["--study", "phantom", "--check"])
    assert "links says what its cell gives" in capsys.readouterr().out
    with pytest.raises(StudyError, match="is there already with other words"):
        manuscript.main(["--study", "phantom"])
    path.write_text(text.replace("[0.761]", "[0.781]"), encoding="utf-8")
    with pytest.raises(StudyError, match=r"'0.781' is not what .*headline.csv, row 2, column 2"):
        manuscript.main(["--study", "phantom", "--check"])


def test_without_pandoc_there_is_no_word_file_and_without_a_book_no_draft(
    study, monkeypatch, capsys
):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    manuscript.main(["--study", "phantom"])
    assert "no .docx: pandoc is not installed" in capsys.readouterr().out
    shutil.rmtree(manuscript.place(study) / "book")
    with pytest.raises(StudyError, match=r"no book with tables; run `make book` first"):
        manuscript.write(study)


def test_pandoc_is_called_with_the_draft(study, tmp_path, monkeypatch):
    program = tmp_path / "pandoc"
    program.write_text('#!/bin/sh\ntest "$1" = --from=commonmark && cp "$2" "$4"\n')
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(program))
    path = manuscript.write(study)
    made = manuscript.to_docx(path)
    assert made.name == "manuscript.docx" and made.read_bytes() == path.read_bytes()
    program.write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    with pytest.raises(StudyError, match=r"did not make .*manuscript.docx: broken"):
        manuscript.to_docx(path)


@pytest.mark.skipif(shutil.which("pandoc") is None, reason="pandoc is not installed")
def test_the_word_file_says_and_links_what_the_draft_does(study):
    path = manuscript.write(study)
    made = manuscript.to_docx(path)

    def plain(*given):
        command = ["pandoc", *given, "--to=plain", "--wrap=none"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    assert plain(str(made)) == plain("--from=commonmark", str(path))
    with zipfile.ZipFile(made) as archive:
        found = archive.read("word/_rels/document.xml.rels").decode()
    links = [
        f"{name}#cell={row},{column}"
        for _, name, row, column in manuscript.LINK.findall(path.read_text(encoding="utf-8"))
    ]
    assert links and all(f'Target="{link}"' in found for link in links)


def test_a_structure_without_a_number_is_said_to_have_none(study):
    path = manuscript.place(study) / "book" / "tables" / "headline.csv"
    table = files.read_csv(path)
    table.loc[0, ["value", "low", "high"]] = np.nan
    files.write_csv(table, path)
    text = manuscript.draft(study)
    assert ": no number; " in text and not list(manuscript.problems(study, text))
