"""Tables of patients and of spacings as offices hand them over, and what few patients mean."""

import os
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
import yaml
from intake_folder import FORM, empty_root, images, ten_patients, write
from pictures import dicom, grey, labels, save

from helpers import studies
from helpers.errors import StudyError
from tools.intake import by_picture, form, make, patients, protocols, spreadsheet, variables


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    return empty_root(tmp_path, monkeypatch)


def opened(tmp_path, text, **more):
    (tmp_path / "p.csv").write_text(text, encoding="utf-8")
    return patients.opened(tmp_path / "p.csv", **more)


@pytest.mark.parametrize(
    ("written", "years"),
    [("045Y", 45), ("18 M", 1.5), ("006m", 0.5), ("52W", 0.997), ("61 years", 61), ("52", 52)],
)
def test_ages_have_units(tmp_path, written, years):
    frame, _ = opened(tmp_path, f"id;age\n1;{written}\n")
    assert frame["age_years"].tolist() == [years]


@pytest.mark.parametrize("unknown", ["n/a", "-", "unknown", "NA", ""])
def test_what_is_unknown_is_empty(tmp_path, unknown):
    frame, _ = opened(tmp_path, f"id,age,sex\n1,50,F\n2,{unknown},{unknown}\n")
    assert frame["age_years"].isna().tolist() == frame["sex"].isna().tolist() == [False, True]


def test_heights_in_metres_are_said(tmp_path):
    frame, notes = opened(tmp_path, 'id,height\n1,"1,71"\n2,1.8\n3,\n')
    assert frame["height_cm"].tolist()[:2] == [171, 180] and "metres" in notes[0]
    with pytest.raises(StudyError, match="row 3: height_cm '1"):
        opened(tmp_path, "id,height\n1,171\n2,1.7\n")


@pytest.mark.parametrize(
    ("column", "written", "found"),
    [
        ("height", "171 cm", 171),
        ("pixel size", "0.12 mm", 0.12),
        ("pixel size", "0.12 cm", None),
        ("weight", "71 cm", None),
        ("age", "50 kg", None),
    ],
)
def test_a_unit_behind_a_number_is_that_of_its_column(tmp_path, column, written, found):
    text = f"id,{column}\n1,{written}\n"
    if found is None:
        with pytest.raises(StudyError, match=f"{written!r} is no number"):
            opened(tmp_path, text)
    else:
        assert opened(tmp_path, text)[0].iloc[0, 1] == found


def test_rows_that_sum_up_the_others_are_nobody(tmp_path):
    frame, notes = opened(tmp_path, "id,age\n1.0,50\n2.0,60\nMean,55\nSD,7.1\n")
    assert frame["patient_id"].tolist() == ["1", "2"] and "left out: Mean, SD." in notes[0]


def test_numbers_of_patients_saved_as_fractions(tmp_path):
    frame, _ = opened(tmp_path, "id,age\n1.0,50\n2.0,60\n")
    assert frame["patient_id"].tolist() == ["1", "2"]


def test_a_row_a_picture_is_a_row_a_patient_where_they_agree(tmp_path):
    text = "id,image,age\n1,a.png,50\n1,b.png,50\n2,c.png,60\n"
    frame, notes = opened(tmp_path, text)
    assert frame["age_years"].tolist() == [50, 60] and "1 rows repeat" in notes[0]
    with pytest.raises(StudyError, match="rows 2, 3: patient 1 occurs 2 times"):
        opened(tmp_path, text.replace("b.png,50", "b.png,51"))
    with pytest.raises(StudyError, match="rows 2, 3: patient 1 occurs 2 times"):
        opened(tmp_path, text, named=("image",))


def test_titles_above_the_headings_and_other_sheets(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["This file was made in 2024"])
    sheet = book.create_sheet("Patients")
    sheet.append(["Patients of the study"])
    sheet.merge_cells("A1:C1")
    for row in (["ID", "Age"], [1, 50], [2, 60]):
        sheet.append(row)
    book.save(tmp_path / "p.xlsx")
    frame, notes = patients.opened(tmp_path / "p.xlsx")
    assert frame["patient_id"].tolist() == ["1", "2"] and frame["age_years"].tolist() == [50, 60]
    assert "the sheet 'Patients'" in notes[0] and "not read: Sheet" in notes[1]
    assert "from its row 2" in notes[2]


def merged(tmp_path, rows, *ranges):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for cells in ranges:
        book.active.merge_cells(cells)
    book.save(tmp_path / "p.xlsx")
    return patients.opened(tmp_path / "p.xlsx")


def test_a_cell_merged_over_rows_counts_for_each(tmp_path):
    people = [[k, "m" if k == 1 else "f" if k == 4 else None, 40 + k] for k in range(1, 7)]
    frame, notes = merged(tmp_path, [["ID", "sex", "age"], *people], "B2:B4", "B5:B7")
    assert frame["sex"].tolist() == 3 * ["male"] + 3 * ["female"]
    assert any("merged over several rows" in n for n in notes)


def test_headings_may_be_merged_over_two_rows(tmp_path):
    rows = [["ID", "people", None], [None, "sex", "age"], [1, "m", 50], [2, "f", 60]]
    frame, _ = merged(tmp_path, rows, "A1:A2", "B1:C1")
    assert frame["patient_id"].tolist() == ["1", "2"] and frame["age_years"].tolist() == [50, 60]


def test_cells_merged_below_the_table_are_nothing(tmp_path):
    frame, _ = merged(tmp_path, [["ID", "sex"], [1, "m"], [2, "f"]], "A9:A12", "B2:B40")
    assert frame["sex"].tolist() == ["male", "male"]


def test_a_patient_merged_over_two_rows_is_there_twice(tmp_path):
    rows = [["ID", "sex", "age"], [1, "m", 50], [None, "m", 51], [2, "f", 60]]
    with pytest.raises(StudyError, match="patient 1 occurs 2 times"):
        merged(tmp_path, rows, "A2:A3")


def test_a_title_in_front_may_hold_other_separators(tmp_path):
    frame, notes = opened(tmp_path, "Nerves, Vienna, 2020, final\nid;age\n1;50\n2;60\n")
    assert frame["age_years"].tolist() == [50, 60] and "from its row 2" in notes[0]


@pytest.mark.parametrize("word", ["no", "Nein", "0", "FALSE", "-", "n/a", ""])
def test_who_is_not_excluded_may_be_said_in_words(tmp_path, word):
    frame, _ = opened(tmp_path, f"id,age,excluded\n1,50,{word}\n2,60,yes\n3,70,probe slipped\n")
    assert frame["excluded"].isna().tolist() == [True, False, False]
    assert frame["excluded"][2] == "probe slipped"


def test_a_sheet_is_as_large_as_its_cells_not_as_it_says(tmp_path):
    """A sheet whose empty grid was formatted says that it has 17 billion cells."""
    book = openpyxl.Workbook()
    for row in (["ID", "Age"], [1, 50], [2, 60]):
        book.active.append(row)
    book.save(tmp_path / "small.xlsx")
    with (
        zipfile.ZipFile(tmp_path / "small.xlsx") as small,
        zipfile.ZipFile(tmp_path / "p.xlsx", "w") as large,
    ):
        for name in small.namelist():
            content = small.read(name).replace(b'"A1:B3"', b'"A1:XFD1048576"')
            large.writestr(name, content)
        assert b"XFD1048576" in large.read("xl/worksheets/sheet1.xml")
    frame, _ = patients.opened(tmp_path / "p.xlsx")
    assert frame["age_years"].tolist() == [50, 60]


@pytest.mark.parametrize("limit", ["CELLS", "UNPACKED"])
def test_a_spreadsheet_larger_than_any_table_of_people_is_refused(tmp_path, monkeypatch, limit):
    book = openpyxl.Workbook()
    for k in range(10):
        book.active.append(["ID" if k == 0 else k, "Age"])
    book.save(tmp_path / "p.xlsx")
    monkeypatch.setattr(spreadsheet, limit, 20)
    with pytest.raises(StudyError, match=r"p\.xlsx: (unpacks to|holds) more than 20 (cells|bytes)"):
        patients.opened(tmp_path / "p.xlsx")


def test_a_number_in_words_is_quoted_as_it_stands(tmp_path):
    with pytest.raises(StudyError, match="row 2: age_years 'age forty' is no number"):
        opened(tmp_path, "id,age\n1,age forty\n")


@pytest.mark.parametrize(
    "heading", ["Pat.-Nr.", "record_id", "Patient-ID", "Patienten-ID", "Patient no.", "N° patient"]
)
def test_headings_of_a_patients_number(tmp_path, heading):
    frame, _ = opened(tmp_path, f"{heading}|age\nP1|50\n")
    assert frame["patient_id"].tolist() == ["P1"] and frame["age_years"].tolist() == [50]


def test_a_table_without_a_patients_number_says_what_to_call_it(tmp_path):
    with pytest.raises(StudyError, match=r"call the one so that holds .* of Wer, age"):
        opened(tmp_path, "Wer,,age\nP1,,50\n")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["1,50,66,150", "2,60,70,160"], "Adults of the table are typically 68 cm tall"),
        (["1,50,66,", "2,60,70,"], "Adults of the table are typically 68 cm tall"),
        (["1,50,170,150", "2,60,180,160"], "a typical body mass index of 51 kg/m²"),
        (["1,50,170,70", "2,60,180,80"], ""),
        (["1,,66,9", "2,,70,10"], ""),  # children, perhaps
    ],
)
def test_heights_and_weights_in_other_units_are_asked_about(tmp_path, rows, said):
    frame, _ = opened(tmp_path, "\n".join(["id,age,height,weight", *rows, "3,1,66,9"]))
    found = patients.implausible(frame)
    assert found.startswith(said) or said in found
    assert bool(found) == bool(said)


@pytest.mark.parametrize(
    ("heading", "cells", "sexes"),
    [
        ("sexo", "H M M", None),  # hombre, mujer
        ("sexo", "V M M", None),  # varón, mujer
        ("sex", "V M M", None),
        ("geslacht", "V M M", ["female", "male", "male"]),
        ("sexe", "H F F", ["male", "female", "female"]),
        ("sex", "M W M", ["male", "female", "male"]),
    ],
)
def test_a_letter_that_may_be_man_or_woman_is_no_sex(tmp_path, heading, cells, sexes):
    rows = "".join(f"\n{k},{cell}" for k, cell in enumerate(cells.split()))
    if sexes:
        assert opened(tmp_path, f"id,{heading}{rows}")[0]["sex"].tolist() == sexes
    else:
        with pytest.raises(StudyError, match=r"M may be .*; write male and female"):
            opened(tmp_path, f"id,{heading}{rows}")


@pytest.mark.parametrize(
    "heading", ["included", "Inclusion (y/n)", "reason", "dropout", "Drop-out", "withdrawn"]
)
def test_a_column_that_may_leave_people_out_is_not_passed_over(tmp_path, heading):
    with pytest.raises(StudyError, match=r"may say who is not to be used; call it excluded"):
        opened(tmp_path, f"id,{heading}\n1,yes\n2,no\n")
    for other in ("date of inclusion", "inclusion no.", "N° inclusion", "reason for examination"):
        opened(tmp_path, f"id,{other}\n1,2020\n")


@pytest.mark.parametrize("heading", ["Ausschlussgrund", "excluded?", "Excluded (y/n)", "exclude"])
def test_how_many_are_not_used_is_said(tmp_path, heading):
    frame, notes = opened(tmp_path, f"id,{heading}\n1,keine\n2,no\n3,trauma\n4,\n")
    assert frame["excluded"].fillna("").tolist() == ["", "", "trauma", ""]
    assert f"1 of 4 patients are not used, as column '{heading}' of the table says." in notes


def test_a_formula_without_its_value_is_no_empty_cell(tmp_path):
    book = openpyxl.Workbook()
    for row in (["id", "age"], [1, 50], [2, "=2020-1950"]):
        book.active.append(row)
    book.save(tmp_path / "p.xlsx")
    with pytest.raises(StudyError, match=r"row 3: the formula =2020-1950 has no value in the file"):
        patients.opened(tmp_path / "p.xlsx")


def test_what_says_something_of_a_patient_is_not_the_patient():
    names = ["patient_age", "subjective_quality", "Patient sex", "case_type", "patient", "case no"]
    assert [by_picture.personal(n) for n in names] == [False, False, False, False, True, True]


@pytest.mark.parametrize("table", [False, True])
def test_a_patient_is_called_the_same_with_and_without_a_table(root, tmp_path, table, capsys):
    """Signs that studies do not take, such as a hospital's slash, become one that they take."""
    data = tmp_path / "data"
    data.mkdir()
    for k, name in enumerate(["2024/0012", "=cmd", "P 1", "P\u00a02"]):
        dicom(data / f"{k}.dcm", grey(seed=k), PatientID=name, PatientName="")
        save(data / f"{k}_mask.png", labels())
    people = tmp_path / "p.csv"
    people.write_text("patient,age\nP 1,50\n=cmd,60\nP 2,51\n2024/0012,52\n")
    make.make("mine", data, patients_path=people if table else None)
    assert images(root)["patient_id"].tolist() == ["2024_0012", "_cmd", "P 1", "P 2"]
    assert "are called otherwise here, " in capsys.readouterr().out
    if table:
        study = studies.load("mine")
        ages = studies.patients(study).set_index("patient_id")["age_years"].to_dict()
        assert ages == {"P 1": 50, "_cmd": 60, "P 2": 51, "2024_0012": 52}


def test_words_of_the_table_that_are_kept_are_shown(tmp_path, capsys):
    data = ten_patients(tmp_path / "data")
    rows = [f"{p},50,left,{'Mrs Smith fell' if p == 3 else 'hip'},9," for p in range(1, 11)]
    rows[3] += "Mr Lee refused"
    (tmp_path / "p.csv").write_text("\n".join(["id,age,side,diagnosis,depth,excluded", *rows]))
    make.make("mine", data, write(tmp_path / "f.yml", FORM), tmp_path / "p.csv")
    said = "were kept: side: left; diagnosis: Mrs Smith fell, hip; excluded: Mr Lee refused. Does"
    assert said in capsys.readouterr().out


# --- spacing


@pytest.mark.parametrize(
    ("heading", "written", "mm"),
    [
        ("pixel_spacing_mm", "0,1", 0.1),
        ("spacing (cm)", "0,01", 0.1),
        ("spacing µm", "100", 0.1),
        ("spacing [m]", "0,0001", 0.1),
        ("spacing (\u03bcm)", "100", 0.1),
        ("mm per pixel", "0,1", 0.1),
    ],
)
def test_units_of_a_table_of_spacings(root, tmp_path, heading, written, mm):
    data = ten_patients(tmp_path / "data")
    rows = [f"{p}_{k};{written}" for p in range(1, 11) for k in range(2)]
    (data / "sp.csv").write_text("\n".join([f"image;{heading}", *rows]))
    make.make("mine", data, write(tmp_path / "f.yml", FORM | {"spacing_mm": "sp.csv"}))
    assert images(root)["pixel_spacing_mm"].astype(float).tolist() == pytest.approx([mm] * 20)


@pytest.mark.parametrize(
    ("headings", "cells", "mm"),
    [
        ("spacing_x_mm,spacing_y_mm", "0.1,0.4", 0.2),
        ("pixel size(mm),head circumference (mm)", "0.1,44", 0.1),
        ("spacing a mm,spacing b mm", "0.1,40", None),
    ],
)
def test_two_columns_of_millimetres(root, tmp_path, headings, cells, mm):
    data = ten_patients(tmp_path / "data")
    rows = [f"{p}_{k},{cells}" for p in range(1, 11) for k in range(2)]
    (data / "sp.csv").write_text("\n".join([f"image,{headings}", *rows]))
    told = write(tmp_path / "f.yml", FORM | {"spacing_mm": "sp.csv"})
    if mm is None:
        with pytest.raises(StudyError, match=r"needs a column of picture names .* spacing b mm"):
            make.make("mine", data, told)
    else:
        make.make("mine", data, told)
        assert images(root)["pixel_spacing_mm"].astype(float).tolist() == pytest.approx([mm] * 20)


def test_two_spacings_of_one_picture_are_refused(tmp_path):
    data = ten_patients(tmp_path / "data")
    rows = [f"{p}_{k}.png,0.1" for p in range(1, 11) for k in range(2)]
    told = write(tmp_path / "f.yml", FORM | {"spacing_mm": "sp.csv"})
    (data / "sp.csv").write_text("\n".join(["image,mm", *rows, rows[0]]))
    make.make("mine", data, told)
    (data / "sp.csv").write_text("\n".join(["image,mm", *rows, "1_0.png,0.3"]))
    with pytest.raises(StudyError, match=r"row 2, 22: photos/1_0\.png has several spacings"):
        make.make("mine", data, told)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image;px per mm\n1_0;8", "column px per mm: give the millimetres of a pixel"),
        ("image;lesion size (mm)\n1_0;8", "needs a column of picture names .* lesion size"),
        ("scan;image;pixel_spacing_mm\n1_1;1_0;0,1", "it could be column scan or image of pict"),
    ],
)
def test_what_is_no_spacing_of_a_named_picture_is_refused(tmp_path, text, said):
    data = ten_patients(tmp_path / "data")
    (data / "sp.csv").write_text(text)
    with pytest.raises(StudyError, match=rf"sp\.csv: {said}"):
        make.make("mine", data, write(tmp_path / "f.yml", FORM | {"spacing_mm": "sp.csv"}))


def test_a_number_of_the_row_is_no_name_of_a_picture(root, tmp_path):
    data = ten_patients(tmp_path / "data")
    names = [f"{p}_{k}" for p in range(1, 11) for k in range(2)]
    rows = [f"{names[-1 - k]};{name};{k + 1}e-1" for k, name in enumerate(names)]
    (data / "sp.csv").write_text("\n".join(["id;image;pixel_spacing_mm", *rows]))
    make.make("mine", data, write(tmp_path / "f.yml", FORM | {"spacing_mm": "sp.csv"}))
    found = images(root).set_index("image_id")["pixel_spacing_mm"].astype(float)
    assert found[names].tolist() == pytest.approx([0.1 * (k + 1) for k in range(20)])


def test_spacings_of_some_pictures_alone(tmp_path, capsys):
    data = ten_patients(tmp_path / "data")
    (data / "sp.csv").write_text("image,mm\n" + "\n".join(f"{p}_0,0.1" for p in range(1, 11)))
    make.make("mine", data, write(tmp_path / "f.yml", FORM | {"spacing_mm": "sp.csv"}))
    assert "The pixel spacing of 10 pictures is unknown (1_1, 2_1, " in capsys.readouterr().out


def test_a_spacing_that_is_a_number_or_no_file(root, tmp_path):
    data = ten_patients(tmp_path / "data")
    make.make("mine", data, write(tmp_path / "f.yml", FORM | {"spacing_mm": "0,1 mm"}))
    assert set(images(root)["pixel_spacing_mm"]) == {"0.1"}
    with pytest.raises(StudyError, match=r"spacing_mm: no.csv: no such file, in DATA or beside th"):
        make.make("mine", data, write(tmp_path / "f.yml", FORM | {"spacing_mm": "no.csv"}))


def test_a_table_of_spacings_that_names_no_picture(tmp_path):
    data = ten_patients(tmp_path / "data")
    (data / "sp.csv").write_text("image,mm\nscan1,0.1\n")
    with pytest.raises(StudyError, match="names none of the pictures, such as photos"):
        make.make("mine", data, write(tmp_path / "f.yml", FORM | {"spacing_mm": "sp.csv"}))


@pytest.mark.parametrize(("mm", "said"), [("0,2", False), (0.0085, True), (9.0, True)])
def test_a_picture_of_impossible_size_stands_first(tmp_path, mm, said):
    data = ten_patients(tmp_path / "data")
    page = make.make("mine", data, write(tmp_path / "f.yml", FORM | {"spacing_mm": mm}))
    assert ("of tissue: is the spacing in mm?" in page.read_text()) == said


# --- forms


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"patient": {"pattern": "([^_+_"}}, "patient.pattern: .* unterminated"),
        ({"patient": {"pattern": "[0-9]+"}}, "has no brackets"),
        ({"colour": "red"}, "there are title, question"),
        ({"classes": [{"name": "M. quadratus"}]}, "under title"),
        (
            {"classes": [{"name": "nerve"}, {"name": "All"}]},
            r"f\.yml: classes: 'All' is no name for",
        ),
    ],
)
def test_what_is_wrong_with_a_form_is_said(tmp_path, content, words):
    with pytest.raises(StudyError, match=words):
        form.read(write(tmp_path / "f.yml", content))


def test_a_form_that_is_not_there(tmp_path):
    with pytest.raises(StudyError, match=r"FORM=.*nope.yml: no such file; copy tools/intake"):
        form.read(tmp_path / "nope.yml")


@pytest.mark.parametrize(
    "split", [{"policy": "patient k-fold"}, {"policy": "image k-fold", "folds": 30}]
)
def test_a_split_that_cannot_be_names_the_form(tmp_path, split):
    data = ten_patients(tmp_path / "data")
    told = write(tmp_path / "f.yml", {"split": split})
    with pytest.raises(
        StudyError, match=r"f\.yml: (split by patient: no image|a split into 30 needs)"
    ):
        make.make("mine", data, told)


def test_what_the_form_says_of_the_study_is_named_as_its(tmp_path):
    data = ten_patients(tmp_path / "data")
    with pytest.raises(StudyError, match=r"study\.yml \(drafted, with what the form says\): 3 pro"):
        make.make("mine", data, write(tmp_path / "f.yml", FORM | {"study": {"target": "vein"}}))


# --- few patients, and what will run


def test_a_test_set_of_one_patient_is_the_first_thing_said(tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    for k in range(5):
        save(data / f"{k}_a.png", grey(seed=k))
        save(data / f"{k}_a_mask.png", labels())
    page = make.make("mine", data, write(tmp_path / "f.yml", {"patient": {"pattern": "([0-9]+)_"}}))
    said = "The test set holds 1 of 5 patients: what it says of a network is said of this person"
    text = page.read_text()
    assert text[text.index("<li>") :].startswith(f"<li>{said}")
    assert said in capsys.readouterr().out


def test_one_number_in_two_hospitals_is_asked_about(tmp_path, capsys):
    data = tmp_path / "data"
    for place in ("a/train", "b/train", "a/test"):
        (data / place / "7").mkdir(parents=True)
        for k in range(2):
            save(data / place / "7" / f"{k}.png", grey(seed=hash(place) % 99 + k))
            save(data / place / "7" / f"{k}_mask.png", labels())
    told = {"patient": {"pattern": "([0-9]+)/[0-9]"}, "split": {"policy": "image k-fold"}}
    make.make("mine", data, write(tmp_path / "f.yml", told))
    assert "such as '7' in a and b: is that one person?" in capsys.readouterr().out


@pytest.mark.parametrize("copied", ["same", "mirrored", "neither"])
def test_copies_in_several_splits_are_the_first_thing_said(tmp_path, copied, capsys):
    data = tmp_path / "data"
    data.mkdir()
    for k in range(10):
        picture = grey(seed=k % 5 if copied != "neither" else k)
        picture = picture[:, ::-1].copy() if copied == "mirrored" and k > 4 else picture
        save(data / f"p{k}.png", picture)
        save(data / f"p{k}_mask.png", np.roll(labels(), k, 0))
    page = make.make("mine", data, write(tmp_path / "f.yml", {"duplicates": "keep"})).read_text()
    said = "pictures are in several splits, the same, mirrored or turned (p"
    assert (said in capsys.readouterr().out) == (copied != "neither")
    assert ("a mirrored or turned copy of p" in page) == (copied == "mirrored")


@pytest.mark.parametrize("classes", [None, [{"name": "nerve"}, {"name": "muscle"}]])
def test_what_is_ignored_and_nobody_has_is_said(tmp_path, classes, capsys):
    data = ten_patients(tmp_path / "data")
    told = {"ignored": ["3", "foo"]} | ({"classes": classes} if classes else {})
    make.make("mine", data, write(tmp_path / "f.yml", told))
    assert (
        "The form ignores 'foo', which no mask holds (they hold 1, 2, 3)" in capsys.readouterr().out
    )
    make.make("mine", data, write(tmp_path / "f.yml", told | {"ignored": ["3"]}), redraw=True)
    assert "The form ignores" not in capsys.readouterr().out


def test_masks_that_use_words_of_the_pages_are_renamed(tmp_path):
    data = tmp_path / "data"
    for name in ("foreground", "test"):
        (data / "masks" / name).mkdir(parents=True)
    for k in range(4):
        save(data / f"p{k}.png", grey(seed=k))
        for value, name in ((1, "foreground"), (2, "test")):
            save(data / "masks" / name / f"p{k}.png", ((labels() == value) * 255).astype(np.uint8))
    make.make("mine", data)
    assert [c.name for c in studies.load("mine").foreground] == ["foreground_1", "test_1"]


def test_one_numbered_folder_in_two_hospitals_is_asked_about(tmp_path, capsys):
    data = tmp_path / "data"
    for place in "ab":
        for k in range(3):
            (data / place / f"patient{k}").mkdir(parents=True)
            save(data / place / f"patient{k}" / "x.png", grey(seed=k + 9 * (place == "b")))
            save(data / place / f"patient{k}" / "x_mask.png", labels())
    make.make("mine", data)
    said = capsys.readouterr().out
    assert "3 patients lie in several folders, such as 'patient0' in a and b: is that one" in said


def test_the_estimate_follows_the_study_that_will_run(tmp_path, capsys):
    data = ten_patients(tmp_path / "data")
    make.make("mine", data, write(tmp_path / "f.yml", FORM))
    assert "64 × 64 pixels for 20 epochs" in capsys.readouterr().out
    path = studies.ROOT / "data_manifest" / "mine" / "study.yml"
    content = yaml.safe_load(path.read_text())
    content["protocols"]["quick"] |= {"epochs": 3, "image_size": 96}
    path.write_text(yaml.safe_dump(content))
    make.make("mine", data, write(tmp_path / "f.yml", FORM))
    said = capsys.readouterr().out
    assert "96 × 96 pixels for 3 epochs" in said and "for 20 epochs" not in said


def test_the_estimate_of_the_drafted_protocol_is_that_it_was_fitted_by():
    quick = protocols.drafted(450, 0, 128, 5, cores=2)[0]["protocols"]["quick"]
    spent = protocols.seconds(270, quick["image_size"], quick["epochs"], 5) + protocols.PAGES
    assert f"in about {round(spent / 60)} minutes" in protocols.told(quick, 450, 0, 5)
    assert np.isclose(spent, protocols.BUDGET + protocols.PAGES, rtol=0.5)


@pytest.mark.parametrize(
    ("asked", "code"), [([], 2), (["STUDY=no_such_study"], 2), (["STUDY=../x"], 2)]
)
def test_make_clean_removes_only_what_is_named(asked, code):
    told = ["make", "-s", "clean", "PYTHON=.venv/bin/python", *asked]
    # as from a terminal: a make above this one would hand on its own STUDY
    alone = {k: v for k, v in os.environ.items() if k != "STUDY" and not k.startswith("MAKE")}
    place = Path(make.__file__).parents[2]
    done = subprocess.run(told, cwd=place, env=alone, capture_output=True, text=True)
    assert done.returncode == code
    assert ("error: " in done.stderr) == bool(code)


@pytest.mark.parametrize("end", [".tsv", ".xlsx", ".csv"])
def test_a_table_of_patients_among_the_pictures_is_counted_as_one(tmp_path, capsys, end):
    data = ten_patients(tmp_path / "data")
    rows = [["id", "age"], *([k, 40 + k] for k in range(1, 11))]
    if end == ".xlsx":
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        book.save(data / "p.xlsx")
    else:
        text = "\n".join(("\t" if end == ".tsv" else ",").join(map(str, row)) for row in rows)
        (data / f"p{end}").write_text(text)
    make.make("mine", data, write(tmp_path / "f.yml", FORM), data / f"p{end}")
    assert "· tables: 1\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "heading", ["Eingeschlossen", "verwendet", "Incluido", "排除原因", "Inclusion"]
)
def test_columns_that_leave_people_out_are_asked_about_in_other_languages(tmp_path, heading):
    with pytest.raises(StudyError, match="may say who is not to be used"):
        opened(tmp_path, f"id,age,{heading}\n1,50,ja\n2,60,nein\n")


@pytest.mark.parametrize(
    "heading", ["esclerosis", "protesis retirada", "入组日期", "纳入时间", "inclusion date"]
)
def test_columns_that_leave_nobody_out(tmp_path, heading):
    assert len(opened(tmp_path, f"id,age,{heading}\n1,50,si\n2,60,no\n")[0]) == 2


@pytest.mark.parametrize("word", ["entfällt", "n.v.", "k.A.", "/"])
def test_words_that_exclude_nobody(tmp_path, word):
    frame, _ = opened(tmp_path, f"id,age,excluded\n1,50,{word}\n2,60,{word}\n3,70,yes\n")
    assert frame["excluded"].isna().tolist() == [True, True, False]


def test_a_word_that_would_leave_most_people_out_is_asked_about(tmp_path):
    text = "id,age,excluded\n1,50,ok\n2,60,ok\n3,70,ok\n4,71,slipped\n"
    with pytest.raises(StudyError, match="column 'excluded' says 'ok' of 3 of 4 patients"):
        opened(tmp_path, text)


def test_a_spanish_column_of_m_alone_is_asked_about(tmp_path):
    with pytest.raises(StudyError, match="M may be mujer or masculino"):
        opened(tmp_path, "Paciente;Sexo\n1;M\n2;M\n")
    frame, _ = opened(tmp_path, "Patient;Sex\n1;M\n2;M\n")
    assert set(frame["sex"]) == {"male"}


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        *(("Alter [J.]", "age_years"), ("Edad (años)", "age_years"), ("年龄（岁）", "age_years")),
        *(("Age (yrs)", "age_years"), ("Sex (M/F)", "sex"), ("Geschlecht (m/w/d)", "sex")),
        *(("Sexo (H/M)", "sex"), ("Größe [cm]", "height_cm"), ("身高(cm)", "height_cm")),
        *(("Talla (cm)", "height_cm"), ("Peso (kg)", "weight_kg"), ("住院号", "patient_id")),
        *(("Height (in)", "Height (in)"), ("Weight (lb)", "Weight (lb)")),
        *(("Age (months)", "Age (months)"), ("Patient (name)", "Patient (name)")),
    ],
)
def test_what_stands_in_brackets_behind_a_heading(heading, name):
    assert variables.canonical(heading) == name


def test_a_separator_too_many_is_no_cell(tmp_path):
    frame, _ = opened(tmp_path, "id;age\n1;50;\n2;60;\n")
    assert frame["age_years"].tolist() == [50, 60]
    with pytest.raises(StudyError, match="row 3: 3 cells, the header has 2"):
        opened(tmp_path, "id;age\n1;50;\n2;60;f\n")


@pytest.mark.parametrize("word", ["Gesamt", "Mittel", "平均", "Promedio", "Total"])
def test_rows_that_sum_up_are_no_people(tmp_path, word):
    frame, notes = opened(tmp_path, f"id,age\n1,50\n2,60\n{word},55\n")
    assert len(frame) == 2 and word in notes[-1]


def test_a_legend_below_is_nobody(tmp_path):
    frame, notes = opened(tmp_path, "id,sex\n1,m\n2,f\nLegend: m = male,\nStand: 2024,\n")
    assert len(frame) == 2 and "Rows of the table that explain it were left out" in notes[-1]


def test_a_table_with_a_password_says_so(tmp_path):
    hidden = b"\xd0\xcf\x11\xe0" + b"\0" * 600 + "EncryptedPackage".encode("utf-16le")
    (tmp_path / "p.xlsx").write_bytes(hidden)
    with pytest.raises(StudyError, match=r"p\.xlsx: is protected by a password"):
        patients.opened(tmp_path / "p.xlsx")


@pytest.mark.parametrize("beside", ["scanner", "Device name", "image width mm"])
def test_a_column_that_names_no_picture_is_no_rival(beside):
    frame = pd.DataFrame({"image": ["a.png", "b.png"], beside: ["GE", "GE"]})
    assert by_picture.naming(frame, ["a.png", "b.png"])[0] == "image"
