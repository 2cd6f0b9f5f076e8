"""From a folder to a study: what is refused, excluded and written."""

import hashlib
import html
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK
import yaml
from intake_folder import FORM, empty_root, images, state, ten_patients, write
from pictures import coco, dicom, grey, labelme, labels, save

from helpers import studies
from helpers.errors import StudyError
from tools.intake import check, form, page, pairing, patients
from tools.intake.make import make


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    return empty_root(tmp_path, monkeypatch)


@pytest.fixture
def folder(tmp_path):
    return ten_patients(tmp_path / "data")


def test_a_folder_with_a_form(root, folder, tmp_path):
    before = state(folder)
    page = make("mine", folder, write(tmp_path / "form.yml", FORM | {"title": "Mine <1>"}))
    assert state(folder) == before
    frame = images(root)
    assert frame["image_id"].tolist()[:3] == ["1_0", "1_1", "2_0"] and len(frame) == 20
    assert (
        frame["patient_id"].nunique() == 10
        and len(frame[["patient_id", "split"]].drop_duplicates()) == 10
    )
    assert frame["split"].value_counts().to_dict() == {"train": 12, "val": 4, "test": 4}
    row = frame.iloc[0]
    assert row["sha256_image"] == hashlib.sha256((folder / row["image"]).read_bytes()).hexdigest()
    loaded = studies.load("mine")
    assert [c.name for c in loaded.classes] == ["background", "nerve", "muscle", "artery"]
    assert len(studies.images(loaded)) == 20 and loaded.title == "Mine <1>"
    text = page.read_text()
    assert page == root / "reports" / "mine" / "intake.html"
    assert text.count("<figure>") >= 20 and "No picture stood out" in text and "No file." in text
    assert "http" not in text.replace("data:image", "")
    assert not [p for p in (root / "data_manifest").iterdir() if p.name != "mine"]


def test_a_folder_without_a_form(root, folder):
    make("mine", folder)
    loaded = studies.load("mine")
    assert [c.name for c in loaded.classes] == ["background", "class_1", "class_2", "class_3"]
    assert images(root)["patient_id"].isna().all() and loaded.split["unit"] == "image"
    text = (root / "reports" / "mine" / "intake.html").read_text()
    assert (
        "No form names the classes" in text
        and "No patient is known" in text
        and "No pixel spacing" in text
    )


def test_the_same_folder_gives_the_same_files(root, folder, tmp_path):
    form_path = write(tmp_path / "form.yml", FORM)
    make("mine", folder, form_path)
    first = state(root)
    make("mine", folder, form_path)
    assert state(root / "data_manifest") == {k: v for k, v in first.items() if "data_manifest" in k}
    make("other", folder, form_path)
    assert images(root, "other").equals(images(root))


def test_a_study_yml_that_exists_is_kept(root, folder, tmp_path):
    form_path = write(tmp_path / "form.yml", FORM)
    make("mine", folder, form_path)
    path = root / "data_manifest" / "mine" / "study.yml"
    path.write_text(path.read_text().replace("title: mine", "title: by hand"))
    make("mine", folder, form_path)
    assert studies.load("mine").title == "by hand"


def test_splits_are_never_drawn_again_silently(root, folder, tmp_path):
    form_path = write(tmp_path / "form.yml", FORM)
    make("mine", folder, form_path)
    first = images(root).set_index("image_id")["split"]
    for p in range(11, 14):
        save(folder / "photos" / f"{p}_0.png", grey(seed=1000 + p))
        save(folder / "masks" / f"{p}_0.png", labels())
    save(folder / "photos" / "1_2.png", grey(seed=2000))  # a new image of a known patient
    save(folder / "masks" / "1_2.png", labels())
    make(
        "mine", folder, write(tmp_path / "form.yml", FORM | {"split": FORM["split"] | {"seed": 99}})
    )
    second = images(root).set_index("image_id")["split"]
    assert (
        (second[first.index] == first).all() and second["1_2"] == first["1_0"] and len(second) == 24
    )
    make("mine", folder, form_path, redraw=True)
    assert len(images(root)[["patient_id", "split"]].drop_duplicates()) == 13


def test_labelme_with_names_of_its_own(root, tmp_path):
    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    (data / "labels").mkdir()
    box = [[8, 5], [30, 5], [30, 15], [8, 15]]
    for k in range(5):
        save(data / "images" / f"p{k}.png", grey(seed=k))
        labelme(
            data / "labels" / f"p{k}.json", [("shenjing", box), ("jizhu", box)], encoding="gb18030"
        )
    make(
        "mine",
        data,
        write(
            tmp_path / "form.yml",
            {"classes": [{"name": "nerve", "labels": ["shenjing"]}], "ignored": ["jizhu"]},
        ),
    )
    content = yaml.safe_load((root / "data_manifest" / "mine" / "study.yml").read_text())
    assert content["classes"][1]["labels"] == ["shenjing"] and content["ignored"] == ["jizhu"]
    make("bare", data)
    assert [c.name for c in studies.load("bare").classes] == ["background", "jizhu", "shenjing"]


def test_dicom_and_itk_snap_by_three_raters(root, tmp_path):
    data = tmp_path / "data"
    for rater in ("A", "B", "senior"):
        (data / rater).mkdir(parents=True)
    (data / "scans").mkdir()
    for k in range(6):
        dicom(
            data / "scans" / f"s{k}.dcm",
            grey(seed=k),
            PatientID=f"N{k // 2}x",
            ManufacturerModelName="Probe 7",
            regions=((0, 0, None, None, 0.02, 0.02),),
        )
        for rater in ("A", "B", "senior"):
            if (k, rater) != (5, "B"):
                SimpleITK.WriteImage(
                    SimpleITK.GetImageFromArray(labels()), str(data / rater / f"s{k}.nii.gz")
                )
    content = {
        "images": ["scans/*.dcm"],
        "reference": "senior",
        "split": {"folds": 3},
        "masks": {r: "{up}/" + r + "/{stem}.nii.gz" for r in ("A", "B", "senior")},
        "classes": FORM["classes"],
    }
    make("mine", data, write(tmp_path / "form.yml", content))
    frame = images(root)
    assert frame["patient_id"].tolist() == ["N0x", "N0x", "N1x", "N1x", "N2x", "N2x"]
    assert frame["device"].unique().tolist() == ["Probe 7"]
    assert frame["pixel_spacing_mm"].astype(float).tolist() == pytest.approx([0.2] * 6)
    drawn = pd.read_csv(root / "data_manifest" / "mine" / "annotations.csv")
    assert drawn.groupby("rater").size().to_dict() == {"A": 6, "B": 5}


def test_split_by_image_although_patients_are_known(root, folder, tmp_path):
    make("mine", folder, write(tmp_path / "form.yml", FORM | {"split": {"policy": "image k-fold"}}))
    frame, loaded = images(root), studies.load("mine")
    assert (
        len(frame[["patient_id", "split"]].drop_duplicates()) > 10
    )  # the gate of 02_images fails, as it should
    assert loaded.split["unit"] == "image" and loaded.statistics["test"] == "patient_t"
    assert len(studies.images(loaded)) == 20


def test_cines_give_the_frames_that_are_outlined(root, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for p in range(5):
        dicom(
            data / f"c{p}.dcm",
            np.stack([grey(seed=10 * p + k) for k in range(4)]),
            PatientID=f"N{p}",
        )
        stack = np.stack([labels() * 0, labels(), labels() * 0, labels()])
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(stack), str(data / f"c{p}_seg.nii.gz"))
    (tmp_path / "form.yml").write_text('images: ["*.dcm"]\n')
    make("mine", data, tmp_path / "form.yml")
    frame = images(root)
    assert frame["image"].tolist()[:2] == ["c0.dcm#1", "c0.dcm#3"] and len(frame) == 10
    assert frame["mask"][0] == "c0_seg.nii.gz#1" and frame["image_id"][0] == "c0_001"
    assert frame["sha256_image"][0] == hashlib.sha256((data / "c0.dcm").read_bytes()).hexdigest()
    assert len(frame[["patient_id", "split"]].drop_duplicates()) == 5


def test_one_coco_file_for_all(root, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for k in range(6):
        save(data / f"{k}.png", grey(seed=k))
    coco(data / "all.json", [[[8, 5, 30, 5, 30, 15, 8, 15]]], images=6)
    make(
        "mine",
        data,
        write(
            tmp_path / "form.yml",
            {"masks": "all.json#{stem}.png", "classes": [{"name": "nerve"}], "split": {"folds": 3}},
        ),
    )
    assert images(root)["mask"].tolist() == [f"all.json#{k}.png" for k in range(6)]


def test_files_that_name_a_person_are_pointed_out(root, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for k in range(5):
        dicom(
            data / f"s{k}.dcm",
            grey(seed=k),
            PatientID=f"N{k}",
            PatientName="Meier^Anna" if k == 2 else f"N{k}",
        )
        save(data / f"s{k}_mask.png", labels())
    text = make("mine", data).read_text()
    assert "1 images: the file names a person or a birth date" in text
    assert (
        "1 of these files name a person, and images.csv repeats their ids: make anonymous first."
        " Next:" in text
    )


def test_a_table_of_patients(root, folder, tmp_path):
    table = tmp_path / "patients.csv"
    rows = [
        f"{p};{40 + p},5;{'MF'[p % 2]};17{p % 10};{60 + p};{'refused consent' if p == 2 else ''}"
        for p in range(1, 13)
    ]
    table.write_text(
        "Patient;Age;Sex;Height (cm);Weight;Excluded\n" + "\n".join(rows), encoding="utf-8-sig"
    )
    make("mine", folder, write(tmp_path / "form.yml", FORM), table)
    people = studies.patients(studies.load("mine"))
    assert people["age_years"].tolist()[0] == 41.5 and people["sex"].tolist()[:2] == [
        "female",
        "male",
    ]
    assert people["excluded"].dropna().tolist() == [
        "refused consent",
        "no usable image",
        "no usable image",
    ]
    frame = images(root).set_index("image_id")
    assert frame.loc[["2_0", "2_1"], "excluded"].tolist() == ["patient excluded"] * 2


def test_an_image_of_nobody_is_refused_where_the_others_have_patients(root, tmp_path):
    (tmp_path / "data" / "masks").mkdir(parents=True)
    for k in range(6):
        dicom(tmp_path / "data" / f"a{k}.dcm", grey(seed=k), PatientID=f"P{k % 5}" if k else "")
        save(tmp_path / "data" / "masks" / f"a{k}.png", labels())
    text = make("mine", tmp_path / "data").read_text()
    assert len(images(root)) == 5 and "nothing says whose it is" in text


def test_nan_in_a_mask_is_refused_without_a_form_too(root, folder):
    values = labels().astype(np.float32)
    values[0, 0] = np.nan
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), folder / "masks" / "1_0.nii")
    (folder / "masks" / "1_0.png").unlink()
    assert "has 1 pixels that are NaN or infinite" in make("mine", folder).read_text()


def test_names_of_people_stay_out_of_the_manifest(root, folder, tmp_path):
    (tmp_path / "patients.csv").write_text(
        "id,Name,age,Date of birth,bmi,姓名\n"
        + "".join(f"{p},Anna Meier,50,1961-05-14,25,安娜\n" for p in range(1, 11))
    )
    text = make(
        "mine", folder, write(tmp_path / "form.yml", FORM), tmp_path / "patients.csv"
    ).read_text()
    assert list(studies.patients(studies.load("mine"))) == [
        "patient_id",
        "age_years",
        "bmi",
        "excluded",
    ]
    assert "left out, because they might name a person: Name (no known study variable), " in text
    assert "Date of birth (no known study variable), 姓名 (no known study variable)." in text
    assert not any(
        b"Meier" in p.read_bytes() or b"1961" in p.read_bytes() for p in root.rglob("*.[chy]*")
    )


def test_numbers_and_names_of_classes_are_not_mixed_by_guess(root, folder):
    for p in range(1, 6):
        labelme(folder / "masks" / f"{p}_0.json", [("nerve", [[8, 5], [30, 5], [30, 15]])])
        (folder / "masks" / f"{p}_0.png").unlink()
    with pytest.raises(
        StudyError,
        match="some masks name their classes \\(nerve\\), others number them \\(1, 2, 3\\); ",
    ):
        make("mine", folder)
    assert not list(root.iterdir())


def test_a_patient_in_two_spellings_is_one(root, folder, tmp_path):
    for kind in ("photos", "masks"):
        for p in range(1, 11):
            for k in range(2):
                name = f"{p}_{k}.png" if (p, k) != (7, 1) else "p 007_1.png"
                (folder / kind / f"{p}_{k}.png").rename(
                    folder / kind / (f"P{name}" if name[0] != "p" else name)
                )
    table = tmp_path / "patients.csv"
    table.write_text(
        "id,age,excluded\n" + "".join(f"p-{p},50,{'withdrew' * (p == 7)}\n" for p in range(1, 11))
    )
    text = make(
        "mine",
        folder,
        write(tmp_path / "form.yml", FORM | {"patient": {"pattern": "([^/]+)_"}}),
        table,
    ).read_text()
    frame = images(root).set_index("image_id")
    assert (
        len(set(frame["patient_id"])) == 10
        and len(set(frame.loc[["P7_0", "p_007_1"], "patient_id"])) == 1
    )
    assert frame.loc[["P7_0", "p_007_1"], "excluded"].tolist() == ["patient excluded"] * 2
    assert set(studies.patients(studies.load("mine"))["patient_id"]) == set(frame["patient_id"])
    assert "were taken as one" in text


def test_the_example_of_a_form_shows_every_key():
    path = Path(form.__file__).with_name("form_example.yml")
    said = form.read(path)
    assert [c.name for c in said.classes[1:]] == [
        "QLM",
        "EIT",
        "bone",
    ] and said.reference in said.masks
    shown = set(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert shown == set(form.SCHEMA["properties"]) - {"question", "citation", "study"}


@pytest.mark.parametrize(
    ("names", "one"),
    [
        (("P-007", "p7", " P 07"), True),
        (("1-12", "11-2"), False),
        (("A1", "B1"), False),
        (("?", "!"), False),
    ],
)
def test_spellings(names, one):
    assert (len({patients.spelling(n) for n in names}) == 1) is one


def test_patients_whom_a_sign_alone_tells_apart_are_not_made_one():
    """A+ and A- would both be A: of two patients one, silently, as each name loses its sign."""
    for names in (["A+", "A-"], ["7", "7*"], ["A", "A'"]):
        with pytest.raises(StudyError, match="differ by a sign alone"):
            patients.respelled(names)
    assert patients.respelled(["O'Neil", "o'neil", "P-7", "p07"]) == ["O'Neil"] * 2 + ["P-7"] * 2


def test_duplicates_and_suspicious_pairs(root, folder, tmp_path):
    shutil.copy(folder / "photos" / "1_0.png", folder / "photos" / "1_1.png")
    save(folder / "masks" / "2_0.png", labels() * 0)
    form_path = write(tmp_path / "form.yml", FORM | {"exclude": {"3_0": "moved during the scan"}})
    text = make("mine", folder, form_path).read_text()
    frame = images(root).set_index("image_id")["excluded"]
    assert frame["1_1"] == "same picture as 1_0" and frame["3_0"] == "moved during the scan"
    assert "the same picture twice" in text and "nothing is outlined" in text
    assert (
        text.index("the same picture twice")
        < text.index("nothing is outlined")
        < text.index("Contact sheet")
    )


def test_annotation_of_another_picture_comes_first(root, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    box = [[8, 5], [30, 5], [30, 15], [8, 15]]
    for k in range(5):
        save(data / f"p{k}.png", grey(seed=k))
        labelme(
            data / f"p{k}.json",
            [("nerve", box)],
            imagePath="C:\\scans\\p1.png" if k == 3 else f"p{k}.png",
        )
    text = make("mine", data).read_text()
    assert "p3: its outlines say that they were drawn on p1" in text


def test_what_is_refused_is_on_the_page(root, folder, tmp_path):
    (folder / "photos" / "1_0.png").write_bytes(b"")
    (folder / "masks" / "1_1.png").unlink()
    save(folder / "masks" / "2_0.png", labels(41, 60))
    text = make("mine", folder, write(tmp_path / "form.yml", FORM)).read_text()
    assert len(images(root)) == 17 and "Refused (3)" in text
    for reason in (
        "is empty (0 bytes); copy it again",
        "no mask found: no other file is called 1_1 or 1_1_mask",
        "masks/2_0.png: the mask has 41 rows × 60 columns, its image 40 × 60",
    ):
        assert reason in text


def first_of(path):
    """What stands under 'Look at these first'."""
    text = html.unescape(path.read_text())
    return text[text.index("Look at these first") : text.index("<h2>What was found")]


def test_patients_told_later_are_counted_by(root, folder, tmp_path):
    """A drafted study.yml follows what is known; nobody has to delete it."""
    first = first_of(make("mine", folder))
    line = re.search(r"write patient: (\{pattern: '(.+)'\})", first)
    assert "No patient is known" in first and "begin with 10 names (1, 10, 2, …)" in first
    assert studies.load("mine").statistics["test"] == "image_t"
    form_path = write(tmp_path / "form.yml", {"patient": yaml.safe_load(line[1])})
    text = make("mine", folder, form_path).read_text()
    study = studies.load("mine")
    assert (study.split["unit"], study.statistics["test"]) == ("patient", "patient_t")
    assert images(root)["patient_id"].nunique() == 10
    assert "kept their split" not in text and "No patient is known" not in text
    assert "kept their split" in make("mine", folder, form_path).read_text()


def test_a_kept_study_yml_that_counts_otherwise_is_said_first(root, folder, tmp_path, capsys):
    make("mine", folder)
    path = root / "data_manifest" / "mine" / "study.yml"
    path.write_text(path.read_text().replace("title: mine", "title: by hand"))
    first = first_of(make("mine", folder, write(tmp_path / "form.yml", FORM)))
    said = "The kept study.yml counts by image (split: unit: image, statistics: test: image_t)"
    assert said in first and f"LOOK FIRST: {said}" in capsys.readouterr().out
    assert "has the classes background, class_1" in first  # nerve … in this intake
    assert studies.load("mine").statistics["test"] == "image_t"


def test_files_that_were_not_used_stand_beside_many_suspects():
    pixels, classes = np.zeros((4, 4), np.uint8), [studies.Class(0, "none", "", "#000000", 1)]
    pair = pairing.Pair("a", "a.png", "b.png", {})
    one = check.Record(pair, "1", "probe", None, (4, 4), (), pixels, pixels, "", None, ())
    others, suspects = [("notes", "no picture", 3, "notes.txt")], [(one, None, "odd")] * 61
    text = page.render("x", [], [], [], [], suspects, {}, [], [], classes, "", others)
    assert "notes.txt" in text and text.count("odd") == 121  # 60 with caption and description
