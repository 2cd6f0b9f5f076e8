"""Broken folders, forms, tables and requests: the exact message, and nothing changed."""

import runpy
import shutil
import sys

import numpy as np
import pytest
from intake_folder import FORM, empty_root, images, state, ten_patients, write
from pictures import coco, grey, labelme, save
from PIL import Image

from helpers import errors, studies
from helpers.errors import StudyError
from tools.intake import __main__ as command
from tools.intake import discover, form, pairing, patients
from tools.intake.make import make


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    return empty_root(tmp_path, monkeypatch)


@pytest.fixture
def folder(tmp_path):
    return ten_patients(tmp_path / "data")


def spoil(folder, tmp_path, kind):
    """(form content, patients path) of a folder spoiled in one way."""
    content, table = dict(FORM), None
    if kind == "no images":
        for p in (folder / "photos").iterdir():
            p.unlink()
        shutil.rmtree(folder / "masks")
    elif kind == "pattern matches nothing":
        content["images"] = ["scans/*.dcm"]
    elif kind == "no masks":
        shutil.rmtree(folder / "masks")
        for p in sorted((folder / "photos").iterdir())[2:]:
            p.unlink()
    elif kind == "patient not in the path":
        content["patient"] = {"pattern": "case([0-9]+)"}
        for p in sorted((folder / "photos").iterdir())[1:]:
            p.unlink()
    elif kind == "no DICOM value":
        content["patient"] = {"tag": "PatientID"}
        for p in sorted((folder / "photos").iterdir())[1:]:
            p.unlink()
    elif kind == "too few patients":
        for p in (folder / "photos").iterdir():
            if not p.name.startswith(("1_", "2_")):
                p.unlink()
    elif kind == "excluded name unknown":
        content["exclude"] = {"77_0": "typing error"}
    elif kind == "patient missing in the table":
        table = tmp_path / "patients.csv"
        table.write_text("patient_id\n" + "\n".join(str(p) for p in range(2, 11)))
    elif kind == "table without patients known":
        del content["patient"]
        content["split"] = {"policy": "image k-fold"}
        table = tmp_path / "patients.csv"
        table.write_text("patient_id\n1\n")
    elif kind == "image in two splits":
        content["split"] = {
            "policy": "given",
            "given": {"train": {"of": "photos/*"}, "test": {"of": "photos/1*"}},
        }
    elif kind == "image in no split":
        content["split"] = {"policy": "given", "given": {"train": {"of": "photos/1*"}}}
    elif kind == "choice too large":
        content["split"] = {"policy": "given", "given": {"val": {"of": "photos/1_*", "choose": 9}}}
    elif kind == "patient in two given splits":
        content["split"] = {
            "policy": "given",
            "given": {
                "train": {"of": "photos/*_0.png"},
                "test": {"of": "photos/*_1.png"},
                "val": {"of": "photos/1_0.png", "choose": 1},
            },
        }
    elif kind == "wrong key of study.yml":
        content["study"] = {"headlin": "unet"}
    elif kind == "everything excluded":
        content["exclude"] = {f"{p}_{k}": "no consent" for p in range(1, 11) for k in range(2)}
    return content, table


BROKEN = {
    "no images": "DATA={data}: none of its 0 files are images by their ending; nothing was written",
    "pattern matches nothing": (
        "DATA={data}: none of its 40 files match scans/*.dcm; nothing was written"
    ),
    "no masks": (
        "DATA={data}: no usable image, nothing was written: 2 problems\n"
        "  - photos/10_0.png: no mask found: no other file is called 10_0 or 10_0_mask, and no COCO"
        " or VIA file names it; outline it, or write in the form where its mask lies, such as"
        ' masks: "masks/{{stem}}.png"\n'
        "  - photos/10_1.png: no mask found: no other file is called 10_1 or 10_1_mask, and no COCO"
    ),
    "patient not in the path": (
        "DATA={data}: no usable image, nothing was written: 1 problem\n"
        "  - photos/10_0.png: the pattern 'case([0-9]+)' finds no patient in this path"
    ),
    "no DICOM value": (
        "DATA={data}: no usable image, nothing was written: 1 problem\n"
        "  - photos/10_0.png: has no DICOM value PatientID, which the form asks for"
    ),
    "too few patients": (
        "{form}: a split into 5 needs at least 5 patients, cines or images, found 2: 1, 2; if"
        " those are no people, say in the form whose pictures these are (patient)"
    ),
    "excluded name unknown": "{form}: 1 problem\n  - exclude: no image is called '77_0'",
    "patient missing in the table": (
        "table of patients: 1 problem\n  - patient '1' has images but no row; add it"
    ),
    "table without patients known": (
        "patients: a table was given, but no image has a patient; say in a form how to read it"
    ),
    "image in two splits": (
        "{form}: split: photos/1_0.png is in test and in train; change the patterns"
    ),
    "image in no split": (
        "{form}: split: 16 images are in none, among them photos/2_0.png; add a pattern for them"
    ),
    "choice too large": "{form}: split val: 9 images of 'photos/1_*' wanted, there are 2",
    "patient in two given splits": (
        "{root}/data_manifest/mine/images.csv: 10 problems\n"
        "  - patient 1 is in val and test (rows 2–3); keep each in one split\n"
    ),
    "wrong key of study.yml": (
        "{root}/data_manifest/mine/study.yml (drafted, with what the form says): 1 problem\n"
        "  - top level: Additional properties are not allowed ('headlin' was unexpected)\n"
        "  nothing was written"
    ),
    "everything excluded": (
        "{form}: every usable image is excluded; look at the keys exclude and duplicates of the"
        " form"
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_folder(root, folder, tmp_path, kind):
    content, table = spoil(folder, tmp_path, kind)
    form_path = write(tmp_path / "form.yml", content)
    before = state(tmp_path)
    with pytest.raises(StudyError) as raised:
        make("mine", folder, form_path, table)
    wanted = BROKEN[kind].format(data=folder, form=form_path, root=root)
    assert str(raised.value) == wanted or (
        kind in ("patient in two given splits", "no masks") and str(raised.value).startswith(wanted)
    )
    assert state(tmp_path) == before


def test_a_name_with_a_raised_two_is_a_name(root, folder, tmp_path):
    """A digit to Unicode, and no number."""
    for room in ("photos", "masks"):
        name = sorted((folder / room).iterdir())[0]
        name.rename(name.with_name(name.name.replace("_0", "_²")))
    make("mine", folder, write(tmp_path / "form.yml", FORM))
    assert len(images(root)) == 20


@pytest.mark.parametrize("room", ["photos", "masks"])
def test_a_link_out_of_the_folder_is_refused_and_not_shown(root, folder, tmp_path, room):
    """What lies behind it would stand on the page to check the pictures by."""
    name = sorted((folder / room).iterdir())[0]
    (tmp_path / "elsewhere").mkdir()
    name.rename(tmp_path / "elsewhere" / name.name)
    name.symlink_to(tmp_path / "elsewhere" / name.name)
    make("mine", folder, write(tmp_path / "form.yml", FORM))
    page = (root / "reports/mine/intake.html").read_text(encoding="utf-8")
    assert "leads out of DATA by a link; copy the file" in page
    assert len(images(root)) == 19
    name.unlink()
    name.symlink_to(sorted((folder / room).iterdir())[-1])  # within the folder
    make("mine", folder, write(tmp_path / "form.yml", FORM))
    assert len(images(root)) == 20


FORMS = {
    "unknown key": (
        {"image": ["*.png"]},
        "top level: Additional properties are not allowed ('image' was unexpected); there are"
        " title, question, citation, images, masks, reference, patient, device, spacing_mm,"
        " columns, classes, ignored, change, frames_from, exclude, duplicates, split, study",
    ),
    "wrong type": ({"images": "*.png"}, "images: '*.png' is not of type 'array'"),
    "two ways to a patient": (
        {"patient": {"tag": "a", "pattern": "b"}},
        "patient: {'pattern': 'b', 'tag': 'a'} has too many properties",
    ),
    "class without a name": (
        {"classes": [{"title": "x"}]},
        "classes.0: 'name' is a required property",
    ),
    "no colour": (
        {"classes": [{"name": "x", "colour": "red"}]},
        "classes.0.colour: 'red' does not match '^#[0-9a-fA-F]{6}$'",
    ),
    "two folds": ({"split": {"folds": 2}}, "split.folds: 2 is less than the minimum of 3"),
}


@pytest.mark.parametrize("kind", FORMS)
def test_broken_form(tmp_path, kind):
    content, message = FORMS[kind]
    path = write(tmp_path / "form.yml", content)
    with pytest.raises(StudyError) as raised:
        form.read(path)
    assert str(raised.value) == f"{path}: 1 problem\n  - {message}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"masks": {"A": "x", "B": "y"}}, "reference: must name one of the raters A, B"),
        ({"masks": {"A": "x"}, "reference": "C"}, "reference: must name one of the raters A"),
        (
            {"masks": {"A": "x", "reference": "y"}, "reference": "A"},
            "masks: 'reference' is what pages call the drawing that counts, which is A's; call that"
            " rater otherwise",
        ),
        (
            {"classes": [{"name": "x"}, {"name": "x"}]},
            "classes: every name once, background is added by itself",
        ),
        (
            {"split": {"policy": "given"}},
            "split: policy 'given' and the key 'given' belong together",
        ),
    ],
)
def test_contradicting_form(tmp_path, content, message):
    path = write(tmp_path / "form.yml", content)
    with pytest.raises(StudyError) as raised:
        form.read(path)
    assert str(raised.value) == f"{path}: {message}"


TABLES = {
    "no id": (
        "age\n40\n",
        "{path}: no column is called patient_id, patient or id; call the one so that holds the"
        " patient's number, of age_years",
    ),
    "empty": ("", "{path}: is empty; give one row a patient"),
    "header only": (
        "patient_id,age\n",
        "{path}: has a header but no patient; give one row a patient",
    ),
    "ragged": (
        "patient_id,age\n1,40\n2\n",
        "{path}: 1 problem\n  - row 3: 1 cells, the header has 2",
    ),
    "twice": (
        "patient_id\n1\n2\n1\n",
        "{path}: 1 problem\n  - rows 2, 4: patient 1 occurs 2 times; give one row a patient",
    ),
    "two ages": (
        "patient_id,age,age_years\n1,2,3\n",
        "{path}: two columns mean age_years; keep one",
    ),
    "wrong cells": (
        "patient_id,age,sex,height\n1,old,x,1.75\n,40,f,170\n",
        (
            "{path}: 4 problems\n  - row 2: age_years 'old' is no number from 0 to 120\n  - row 2:"
            " height_cm '1.75' is no number from 30 to 250\n  - row 2: sex 'x' is neither male nor"
            " female; empty where unknown\n  - row 3: patient_id is empty"
        ),
    ),
    "infinite": (
        "patient_id,age\n1,inf\n",
        "{path}: 1 problem\n  - row 2: age_years 'inf' is no number from 0 to 120",
    ),
    "spreadsheet": (
        b"PK\x03\x04....",
        "{path}: is no readable .xlsx (File is not a zip file); save it as .xlsx or CSV",
    ),
    "old spreadsheet": (
        b"\xd0\xcf\x11\xe0....",
        "{path}: is an old spreadsheet (.xls); save it as .xlsx or 'CSV UTF-8'",
    ),
    "a cell without end": (
        'patient_id,age\n"' + "a" * 200_000 + '",3\n',
        "{path}: is no table (field larger than field limit (131072)); give one row a patient",
    ),
    "no text": (
        b"patient_id\n\x00\xff\n",
        "{path}: is no text; save the table as 'CSV UTF-8' or .xlsx",
    ),
}


@pytest.mark.parametrize("kind", TABLES)
def test_broken_table_of_patients(tmp_path, kind):
    text, message = TABLES[kind]
    path = tmp_path / "patients.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(StudyError) as raised:
        patients.read(path)
    assert str(raised.value) == message.format(path=path)


def test_table_in_another_encoding(tmp_path):
    (tmp_path / "p.csv").write_bytes("id\t备注\tsex\n1\tx\t女\n\n2\ty\t\n".encode("gb18030"))
    frame, notes = patients.opened(tmp_path / "p.csv")
    assert frame["sex"].fillna("").tolist() == ["female", ""]
    assert frame["备注"].tolist() == ["x", "y"] and "read as GB18030" in notes[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--study", "my study", "--data", "."],
            "error: study name 'my study': use letters, digits, _ and - only",
        ),
        (
            ["--study", "mine", "--data", "/nowhere"],
            "error: DATA=/nowhere: no such folder; give the folder that holds the images and masks",
        ),
        (
            ["--study", "mine", "--data", ".", "--form", "/nowhere.yml"],
            "error: FORM=/nowhere.yml: no such file; copy tools/intake/form_example.yml and change"
            " it to fit the folder, or leave FORM out",
        ),
        (
            ["--study", "mine", "--data", ".", "--patients", "/nowhere.csv"],
            "error: /nowhere.csv: no such file; give the table of patients as CSV",
        ),
    ],
)
def test_command_line_errors(root, arguments, message):
    with pytest.raises(SystemExit) as raised:
        errors.command(command.main, arguments)
    assert str(raised.value) == message and list(root.iterdir()) == []


@pytest.mark.parametrize(
    ("program", "options"),
    [
        ("intake", "--study x --data nowhere"),
        ("intake.anonymous", "--data nowhere --out o --key k.csv"),
        ("intake.fetch", "--study nowhere"),
        ("predict", "--model nowhere --images nowhere"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_every_program_ends_in_one_way(program, options, monkeypatch):
    monkeypatch.setattr(sys, "argv", [program, *options.split()])
    with pytest.raises(SystemExit) as raised:
        runpy.run_module(f"tools.{program}", run_name="__main__")
    assert str(raised.value).startswith("error: ") and "nowhere" in str(raised.value)


def test_command_line(root, folder, tmp_path, capsys):
    own = root / "data_manifest" / "mine"
    own.mkdir(parents=True)
    write(own / "form.yml", FORM)  # found by itself
    command.main(["--study", "mine", "--data", str(folder)])
    assert "intake.html" in capsys.readouterr().out and images(root)["patient_id"].notna().all()


def test_labels_are_discovered(tmp_path):
    coco(tmp_path / "a.json", [[[8, 5, 30, 5, 30, 15]]])
    coco(tmp_path / "c.json", [], category="root")  # a category that no outline uses is no class
    labelme(tmp_path / "b.json", [("vein", [[0, 0], [1, 0], [1, 1]])])
    pairs = [pairing.Pair(n, f"{n}.png", f"{n}.json", {}) for n in "abc"]
    found = discover.look(pairs, tmp_path)
    assert (found.names, found.values) == ({"nerve", "vein"}, set())


def test_too_many_values_are_no_classes(folder):
    for p in (folder / "masks").iterdir():
        save(p, grey())
    with pytest.raises(StudyError, match=r"masks/10_0.png and others hold more than 20 values"):
        make("mine", folder)


@pytest.mark.parametrize("slip", ["smoothed", "named", "255"])
def test_a_slip_in_one_mask_is_that_pictures_alone(root, folder, slip):
    path = folder / "masks" / "3_1.png"
    if slip == "smoothed":
        save(path, grey())
    elif slip == "named":
        labelme(path.with_suffix(".json"), [("nerve", [[8, 5], [30, 5], [30, 15]])])
        path.unlink()
    else:
        pixels = np.asarray(Image.open(path)).copy()
        pixels[0] = 255
        save(path, pixels)
    text = make("mine", folder).read_text()
    assert len(images(root)) == 19 and "undeclared" in text and "Refused (1)" in text
    assert [c.name for c in studies.load("mine").foreground] == ["class_1", "class_2", "class_3"]
