"""Folders as people hand them over: each kind of fault with its right answer."""

import html
import json
import re
import subprocess
import unicodedata

import numpy as np
import openpyxl
import pandas as pd
import pytest
import SimpleITK
import yaml
from intake_folder import FORM, images, state, ten_patients, write
from pictures import CLASSES, coco, dicom, grey, labelme, labels, save
from PIL import Image
from pydicom.uid import generate_uid

from helpers import datasets, files, readers, studies
from helpers.errors import StudyError
from tools.intake import __main__ as command
from tools.intake import (
    agreement,
    discover,
    find,
    first,
    form,
    layouts,
    ledger,
    pairing,
    patients,
    patterns,
    protocols,
    split_authors,
    split_words,
)
from tools.intake.make import make
from tools.predict import exports

pytestmark = pytest.mark.usefixtures("root")

NERVE = {"classes": [{"name": n} for n in ("nerve", "muscle", "artery")]}
BOX = [[8, 5], [30, 5], [30, 15], [8, 15]]


def put(data, names, maker):
    for k, name in enumerate(names):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        save(data / name, maker(k))


# --- patterns


@pytest.mark.parametrize(
    ("pattern", "file", "told"),
    [
        ("*.png", "a.png", {}),
        ("*.png", "masks/a.png", None),
        ("**/*.png", "a.png", {}),
        ("**/*.png", "x/y/a.PNG", {}),
        ("*/a.png", "x/y/a.png", None),
        (
            "{patient}/scans/img_{frame}.png",
            "P 7/scans/img_03.png",
            {"patient": "P 7", "frame": "03"},
        ),
        ("{patient}/{patient}_{stem}.png", "p1/p2_a.png", None),
        ("a[0-9].png", "a7.png", {}),
    ],
)
def test_patterns_are_anchored_at_the_folder(pattern, file, told):
    assert patterns.matches(pattern, file) == told


@pytest.mark.parametrize(
    ("template", "image", "mask"),
    [
        ("masks/{patient}_{frame}.png", "p1/f2.png", "masks/p1_f2.png"),
        ("{folder}/{stem}_mask*.png", "p1/f2.png", "p1/f2_mask_1.png"),
        ("{up}/labels/{name}.json", "x/images/a.png", "x/labels/a.png.json"),
        ("{folder}/{stem}_seg.png", "top.png", "top_seg.png"),
        ("masks/{stem}.png", "Mu\u0308ller.png", "masks/M\u00fcller.png"),  # stored in two ways
        ("masks/{stem}.png", "a [1].png", "masks/a [1].png"),
        ("all.json#{name}", "p1/f2.png", "all.json#f2.png"),
        ("masks/{stem}.png", "absent.png", None),
    ],
)
def test_a_mask_is_found_where_the_form_says(template, image, mask):
    there = ["masks/p1_f2.png", "p1/f2_mask_1.png", "x/labels/a.png.json", "top_seg.png"]
    there += ["masks/M\u00fcller.png", "masks/a [1].png", "all.json"]
    told = patterns.matches("{patient}/{frame}.png", image) or {}
    assert patterns.Places(there).found(template, image, told)[0] == ([mask] if mask else [])


def test_masks_below_are_not_pictures(root, data, tmp_path):
    put(data, [f"p{k}.png" for k in range(6)], lambda k: grey(seed=k))
    put(data, [f"masks/p{k}.png" for k in range(6)], lambda k: labels())
    content = NERVE | {"images": ["*.png"], "masks": "masks/{stem}.png"}
    assert "Refused (0)" in make("top", data, write(tmp_path / "f.yml", content)).read_text()
    text = make("any", data, write(tmp_path / "f.yml", content | {"images": ["**/*.png"]}))
    assert images(root, "top")["image"].tolist() == images(root, "any")["image"].tolist()
    assert len(images(root, "any")) == 6 and "6 files match **/*.png but are" in text.read_text()


def test_masks_in_a_folder_of_any_name_are_told_by_their_values(root, data):
    put(data, [f"us/p{k}.png" for k in range(6)], lambda k: grey(seed=k))
    put(data, [f"drawn/p{k}.png" for k in range(6)], lambda k: labels())
    text = make("mine", data).read_text()
    assert images(root)["mask"].tolist() == [f"drawn/p{k}.png" for k in range(6)]
    assert "6 files hold few grey values and are called as a picture is, or lie beside one" in text


def test_a_picture_of_few_values_stands_first(data):
    put(data, [f"p{k}.png" for k in range(6)], lambda k: labels() if k == 3 else grey(seed=k))
    put(data, [f"p{k}_mask.png" for k in range(6)], lambda k: labels())
    text = make("mine", data).read_text()
    assert "p3: only 4 grey values (0, 1, 2, 3): is it a mask, not a picture?" in text


def test_a_pattern_that_is_too_shallow_is_answered_with_the_right_one(data, tmp_path):
    put(data, ["x/p1.png"], lambda k: grey())
    with pytest.raises(StudyError, match=r'x/p1.png lies deeper, write images: \["\*\*/\*.png"\]'):
        make("mine", data, write(tmp_path / "f.yml", {"images": ["*.png"]}))


# --- several masks, one mask for many


def part(index):
    """One of the three structures of ``labels``, in black and white."""
    return np.where(labels() == index, 255, 0).astype(np.uint8)


def drawn(root, data, name="mine"):
    """The masks of a study as they are read."""
    loaded = studies.load(name)
    return [
        readers.read_mask(data / row.mask, loaded.classes, ignored=loaded.ignored)
        for row in studies.images(loaded).itertuples()
    ]


def test_numbered_lesions_are_united_and_the_rule_is_said(root, data, capsys):
    put(data, [f"b ({k}).png" for k in range(6)], lambda k: grey(seed=k))
    put(data, [f"b ({k})_mask.png" for k in range(6)], lambda k: part(1))
    put(data, ["b (3)_mask_1.png", "b (3)_mask_2.png"], lambda k: part(k + 2))
    text = make("mine", data).read_text()
    said = "1 pictures have several mask files, or one of several, which were united because they"
    said += " differ by a number"
    assert said in text and said in capsys.readouterr().out
    assert images(root)["mask"][3] == "{b (3)_mask.png|b (3)_mask_1.png|b (3)_mask_2.png}"
    found = drawn(root, data)
    assert np.array_equal(found[3], labels() > 0) and np.array_equal(found[2], labels() == 1)
    counted = {row.split(":")[0]: row for row in said_counts(text)}
    assert counted["masks and outlines"] == "masks and outlines: 8"


def said_counts(text):
    rows = re.findall(r"<tr><td>· (.*?)</td><td[^>]*>(\d+)</td></tr>", text)
    return [f"{what}: {count}" for what, count in rows]


STRUCTURES = {
    "an end of the name": ("images/p{k}.png", "masks/p{k}_{name}.png"),
    "a start of the name": ("images/p{k}.png", "masks/{name}-p{k}.png"),
    "a folder": ("images/p{k}.png", "masks/{name}/p{k}.png"),
    "beside the pictures": ("p{k}.png", "p{k}_{name}.png"),
    "a folder a patient": ("patient{k}/image.png", "patient{k}/{name}.png"),
    "with the word mask": ("p{k}.png", "p{k}_{name}_mask.png"),
}


@pytest.mark.parametrize("told", ["form", "names alone"])
@pytest.mark.parametrize("kind", STRUCTURES)
def test_one_file_a_structure(root, data, tmp_path, kind, told):
    image, mask = STRUCTURES[kind]
    put(data, [image.format(k=k) for k in range(6)], lambda k: grey(seed=k))
    for index, name in enumerate(("artery", "muscle", "nerve"), 1):
        have = [k for k in range(6) if (k, name) != (2, "artery")]  # one picture lacks one
        put(data, [mask.format(k=k, name=name) for k in have], lambda k, i=index: part(i))
    content = {"classes": [{"name": n} for n in ("artery", "muscle", "nerve")]}
    make("mine", data, write(tmp_path / "f.yml", content) if told == "form" else None)
    assert [c.name for c in studies.load("mine").foreground] == ["artery", "muscle", "nerve"]
    found = drawn(root, data)
    assert len(found) == 6 and np.array_equal(found[0], labels())
    assert np.array_equal(found[2], np.where(labels() == 1, 0, labels()))


def test_a_structure_drawn_in_its_own_number_or_twice(root, data, tmp_path):
    put(data, [f"p{k}.png" for k in range(6)], lambda k: grey(seed=k))
    put(data, [f"m/p{k}_nerve.png" for k in range(6)], lambda k: part(1) // 255)
    put(data, [f"m/p{k}_muscle_1.png" for k in range(6)], lambda k: part(2) // 255 * 2)
    put(data, [f"m/p{k}_muscle_2.png" for k in range(6)], lambda k: part(3) // 255 * 2)
    content = NERVE | {
        "images": ["*.png"],
        "masks": ["m/{stem}_nerve.png", "m/{stem}_muscle_?.png"],
    }
    make("mine", data, write(tmp_path / "f.yml", content))
    assert np.array_equal(drawn(root, data)[4], np.minimum(labels(), 2))


def test_structures_that_overlap_are_said_with_their_size(root, data, tmp_path):
    put(data, [f"p{k}.png" for k in range(6)], lambda k: grey(seed=k))
    put(data, [f"masks/p{k}_nerve.png" for k in range(6)], lambda k: part(1))
    wide = part(2)
    wide[5:15, 28:40] = 255  # 10 rows × 2 columns of the nerve
    put(data, [f"masks/p{k}_muscle.png" for k in range(6)], lambda k: wide)
    text = make("mine", data, write(tmp_path / "f.yml", NERVE)).read_text()
    assert "6 images: nerve and muscle overlap in 20 pixels, which count as muscle" in text
    assert (drawn(root, data)[0] == 1).sum() == 200


def test_drawings_of_two_people_are_never_united(root, data):
    put(data, [f"p{k}.png" for k in range(7)], lambda k: grey(seed=k))
    put(data, [f"p{k}_mask.png" for k in range(7)], lambda k: part(1))
    put(data, ["p3_mask_1.png"], lambda k: np.roll(part(1), 1, 0))
    text = make("mine", data).read_text()
    assert "p3_mask_1.png: covers 90% of what p3_mask.png outlines, as two drawings" in text
    assert len(images(root)) == 6


def test_folders_named_after_people_are_no_structures(data):
    put(data, [f"images/p{k}.png" for k in range(6)], lambda k: grey(seed=k))
    put(data, [f"masks/{who}/p{k}.png" for k in range(6) for who in "ab"], lambda k: part(1))
    with pytest.raises(StudyError, match="covers 100% of what another outlines: are they drawings"):
        make("mine", data)


def test_masks_that_no_rule_unites_are_refused_alone(root, data, tmp_path):
    put(data, [f"p{k}.png" for k in range(7)], lambda k: grey(seed=k))
    put(data, [f"p{k}_mask.png" for k in range(7)], lambda k: labels())
    put(data, ["p3_label.png"], lambda k: labels())
    text = make("mine", data).read_text()
    assert len(images(root)) == 6
    assert "2 masks could be its own: p3_label.png, p3_mask.png; they are neither numbered" in text


def test_all_masks_beside_the_one_picture_of_a_folder(root, data):
    for k in range(6):
        put(data, [f"{k}ab/images/{k}ab.png"], lambda _, k=k: grey(seed=k))
        names = [f"{k}ab/masks/{n}{k}f.png" for n in ("07c", "9e1", "b20")]
        put(data, names, lambda n: part(n + 1))
    assert "united because they differ by a number" in make("mine", data).read_text()
    assert np.array_equal(drawn(root, data)[5], labels() > 0)


def test_one_mask_for_many_pictures_is_nobodys(data, tmp_path):
    put(data, [f"images/p{p}/f{k}.png" for p in range(3) for k in range(2)], lambda k: grey(seed=k))
    put(data, ["masks/p0/f0.png", "masks/p0/f1.png"], lambda k: labels())
    content = NERVE | {"images": ["images/*/*.png"], "masks": ["masks/p0/{stem}.png"]}
    with pytest.raises(StudyError, match=r"its mask masks/p0/f0\.png would serve 2 other pictures"):
        make("mine", data, write(tmp_path / "f.yml", content))
    listed = content | {"masks": ["masks/p0/{stem}.png", "masks/p1/{stem}.png"]}
    put(data, ["masks/p1/f0.png", "masks/p1/f1.png"], lambda k: labels())
    line = (
        r'such as images: \["images/{patient}/{stem}.png"\] and masks: "masks/{patient}/{stem}.png"'
    )
    with pytest.raises(StudyError, match=line):
        make("mine", data, write(tmp_path / "f.yml", listed))
    for k in range(2):
        (data / f"masks/p1/f{k}.png").unlink()
    content |= {"images": ["images/{patient}/{frame}.png"], "masks": "masks/{patient}/{frame}.png"}
    _, refused, _ = find_pairs(data, content, tmp_path)
    assert len(refused) == 4


def find_pairs(data, content, tmp_path):
    told = form.read(write(tmp_path / "f.yml", content))
    files = find.everything(data)
    chosen, notes = find.pictures_in(files, told, data)
    return *pairing.pair(files, chosen, told, data), notes


# --- layouts without a form


LAYOUTS = {
    "nnU-Net": ("imagesTr/bp_{k}_0000.png", "labelsTr/bp_{k}.png"),
    "img and msk": ("img_{k}.png", "msk_{k}.png"),
    "two folders": ("Images/us_{k}.png", "GroundTruth/us_{k}.png"),
    "patients": ("images/patient{k}/frame_0.png", "masks/patient{k}/frame_0.png"),
    "CAMUS": ("patient{k}/patient{k}_ED.png", "patient{k}/patient{k}_ED_gt.png"),
    "BUSI": ("benign/benign ({k}).png", "benign/benign ({k})_mask.png"),
    "the folder above says it": ("A segmentation/images/{k}.png", "A segmentation/masks/{k}.png"),
    "other suffix": ("p{k}.jpg", "p{k}_label.tif"),
}


@pytest.mark.parametrize("kind", LAYOUTS)
def test_a_public_layout_needs_no_form(root, data, kind):
    image, mask = LAYOUTS[kind]
    put(data, [image.format(k=k) for k in range(6)], lambda k: grey(seed=k))
    put(data, [mask.format(k=k) for k in range(6)], lambda k: labels())
    make("mine", data)
    frame = images(root)
    assert frame["image"].tolist() == [image.format(k=k) for k in range(6)]
    assert frame["mask"].tolist() == [mask.format(k=k) for k in range(6)]
    assert frame["patient_id"].notna().all() == (kind in ("patients", "CAMUS"))


def test_one_coco_file_is_found_and_linked_by_name(root, data):
    put(data, [f"images/{k}.png" for k in range(6)], lambda k: grey(seed=k))
    coco(data / "result.json", [[[8, 5, 30, 5, 30, 15, 8, 15]]], images=6)
    content = json.loads((data / "result.json").read_text())
    for entry in content["images"]:
        entry["file_name"] = f"ab12cd3{entry['id']}-{entry['file_name']}"
    (data / "result.json").write_text(json.dumps(content))
    make("mine", data)
    assert images(root)["mask"].tolist() == [f"result.json#ab12cd3{k}-{k}.png" for k in range(6)]
    assert [c.name for c in studies.load("mine").classes] == ["background", "nerve"]


def test_nnunet_names_its_classes_in_a_file_of_its_own(root, data):
    put(data, [f"imagesTr/bp_{k}_0000.png" for k in range(6)], lambda k: grey(seed=k))
    put(data, [f"labelsTr/bp_{k}.png" for k in range(6)], lambda k: labels())
    told = {"labels": {"background": 0, "nerve": 1, "soft tissue": 2, "artery": 3}}
    (data / "dataset.json").write_text(json.dumps(told))
    make("mine", data)
    loaded = studies.load("mine")
    assert [c.name for c in loaded.foreground] == ["nerve", "soft_tissue", "artery"]


def test_roboflow_has_a_coco_file_in_each_split(root, data):
    for n, split in enumerate(("train", "valid", "test")):
        put(data, [f"{split}/{k}.png" for k in range(4)], lambda k, n=n: grey(seed=k + 10 * n))
        coco(data / split / "_annotations.coco.json", [[[8, 5, 30, 5, 30, 15]]], images=4)
    make("mine", data)
    frame = images(root)
    mask = frame["image"].str.replace("/", "/_annotations.coco.json#")
    assert frame["mask"].tolist() == mask.tolist() and len(frame) == 12
    wanted = frame["image"].str.split("/").str[0].replace("valid", "val")
    assert frame["split"].tolist() == wanted.tolist()


@pytest.mark.parametrize(
    ("name", "content", "tool"),
    [
        ("a.json", [{"annotations": [], "data": {"image": "x"}}], "COCO"),
        ("a.json", [{"annotations": [], "data": {"image": "x"}}, {}], "Label Studio"),
        ("a.json", {"objects": [], "size": {"height": 1, "width": 1}}, "COCO"),
        ("a.json", {"x.png9": {"filename": "x.png", "regions": []}}, "VIA"),
        ("a.json", {"shapes": []}, "Labelme"),
        ("a.json", {"images": [], "annotations": []}, "COCO"),
        ("a.json", {"anything": 1}, None),
        ("a.xml", "<?xml version='1.0'?><annotations></annotations>", "COCO"),
        ("a.xml", "<annotations><track></track></annotations>", "CVAT"),
        ("a.txt", "0 0.1 0.2 0.3 0.4 0.5 0.6\n", "YOLO"),
        ("a.txt", "0 0.5 0.5 0.2 0.2\n", "YOLO boxes"),
        ("a.txt", "a note", None),
        ("a.xml", "<annotation><object><bndbox></bndbox></object></annotation>", "Pascal VOC"),
        ("a.json", [{"image": "x", "label": [{"original_width": 9}]}], "COCO"),
        ("task-1-annotation-2-by-1-tag-nerve-0.png", "", "Label Studio"),
        ("a.geojson", "{}", "QuPath"),
        ("a.roi", "Iout", "ImageJ"),
        ("a.npy", "", "arrays"),
    ],
)
def test_the_tool_that_wrote_a_file_is_named(tmp_path, name, content, tool):
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / name).write_text(text)
    assert layouts.tool(tmp_path / name) == tool


UNREAD = {
    "Label Studio": ("p{k}.png", "project.json", [{"annotations": [], "data": {}}, 1]),
    "CVAT": ("images/p{k}.png", "annotations.xml", "<annotations><track/></annotations>"),
    "arrays": ("images/p{k}.png", "masks/p{k}.npy", ""),
    "YOLO": ("train/images/p{k}.png", "train/labels/p{k}.txt", "0 0.1 0.2 0.3 0.4 0.5 0.6\n"),
}


@pytest.mark.parametrize("kind", UNREAD)
def test_a_layout_that_is_not_read_is_named_with_what_to_export(root, data, kind):
    image, outlines, content = UNREAD[kind]
    put(data, [image.format(k=k) for k in range(6)], lambda k: grey(seed=k))
    for k in range(6):
        path = data / outlines.format(k=k)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(StudyError) as raised:
        make("mine", data)
    told = str(raised.value)
    assert told.count(f"({kind}), not read here: {layouts.ADVICE[kind]}") == 6
    assert not list(root.iterdir())


def test_a_label_description_and_a_note_beside_a_mask_are_no_masks(root, data):
    put(data, [f"p{k}.png" for k in range(6)], lambda k: grey(seed=k))
    put(data, [f"p{k}_mask.png" for k in range(6)], lambda k: labels())
    for k in range(6):
        (data / f"p{k}.txt").write_text('0 0 0 0 0 0 0 "Clear Label"\n1 255 0 0 1 1 1 "nerve"\n')
        (data / f"p{k}.json").write_text('{"probe": "linear"}')
    make("mine", data)
    assert images(root)["mask"].tolist() == [f"p{k}_mask.png" for k in range(6)]


@pytest.mark.slow
def test_segmentations_are_linked_by_what_they_refer_to(root, data):
    (data / "scans").mkdir()
    for k in range(6):
        uids = {n: generate_uid() for n in ("StudyInstanceUID", "SeriesInstanceUID")}
        path = dicom(data / "scans" / f"IM{k}", grey(seed=k), PatientID=f"N{k}", **uids)
        target = data / "scans" / f"SE{5 - k}"
        exports.segmentation(np.roll(labels(), k, 0)[None], CLASSES, path, "net", target)
    make("mine", data)
    frame = images(root)
    assert frame["mask"].tolist() == [f"scans/SE{5 - k}" for k in range(6)]
    found = studies.load("mine")
    assert {c.name for c in found.foreground} == {"nerve", "muscle", "artery"}
    assert sorted(int((m > 0).sum()) for m in drawn(root, data)) == [int((labels() > 0).sum())] * 6


def test_a_picture_that_its_file_turns_stands_first(root, data):
    for k in range(6):
        Image.fromarray(grey(seed=k)).save(data / f"p{k}.png", exif=exif(3) if k == 2 else b"")
    put(data, [f"p{k}_mask.png" for k in range(6)], lambda k: labels())
    text = make("mine", data).read_text()
    first = text[text.index("Look at these first") : text.index("<h2>Refused")]
    assert "p2: the picture was turned as its file says (EXIF)" in first and "p1:" not in first


def exif(orientation):
    told = Image.Exif()
    told[0x0112] = orientation
    return told.tobytes()


def test_one_number_of_two_people_is_nobodys(root, data):
    for k in range(8):
        name, born = ("Meier^Anna", "19610514") if k != 3 else ("Huber^Karl", "19500101")
        tags = {"PatientID": "TEMP" if k in (2, 3) else f"N{k}", "PatientName": name}
        dicom(data / f"p{k}.dcm", grey(seed=k), PatientBirthDate=born, **tags)
        save(data / f"p{k}_mask.png", labels())
    text = make("mine", data).read_text()
    assert "two people share its patient number: p3.dcm has another name" in text
    assert images(root)["image"].tolist() == [f"p{k}.dcm" for k in (0, 1, 4, 5, 6, 7)]


def test_the_next_command_can_be_typed_whatever_the_folder_is_called(root, tmp_path):
    folder = ten_patients(tmp_path / "my scans \u00fc")
    assert html.escape(f"make study STUDY=mine DATA='{folder}'") in make("mine", folder).read_text()


def test_dicom_without_an_ending_whatever_its_name(root, data):
    for k, name in enumerate(("K64GR01E", "K64GR02", "IM", "a1", "z", "q.12")):
        dicom(data / name, grey(seed=k), PatientID=f"N{k}")
        save(data / f"{name}_mask.png", labels())
    (data / "README").write_text("hello")
    (data / "DICOMDIR").write_bytes((data / "z").read_bytes())
    make("mine", data)
    assert len(images(root)) == 6


# --- the authors' split


def test_the_authors_folders_are_kept(root, data):
    for split, count in (("train", 8), ("test", 3)):
        put(
            data,
            [f"{split}/images/{split}{k}.png" for k in range(count)],
            lambda k, n=count: grey(seed=k + n),
        )
        put(data, [f"{split}/masks/{split}{k}.png" for k in range(count)], lambda k: labels())
    text = make("mine", data).read_text()
    frame = images(root).set_index("image_id")["split"]
    assert (frame.filter(like="test") == "test").all() and (frame == "test").sum() == 3
    assert set(frame.filter(like="train")) == {"train", "val"}
    assert "a table of the set say which pictures are for what (8 train, 0 val, 3 test)" in text
    reason = "the folders, lists or table of those who made the set"
    assert studies.load("mine").split["reason"] == reason


@pytest.mark.parametrize(
    "line", ["{k}", "{k}.png", "/home/x/pictures/{k}.png", "{k} masks/{k}.png"]
)
def test_the_authors_lists_are_kept(root, data, capsys, line):
    put(data, [f"pictures/{k}.png" for k in range(12)], lambda k: grey(seed=k))
    put(data, [f"masks/{k}.png" for k in range(12)], lambda k: labels())
    parts = {"train": range(6), "val": range(6, 8), "trainval": range(8), "test": range(8, 12)}
    (data / "ImageSets").mkdir()
    for name, some in parts.items():
        text = "".join(line.format(k=k) + "\r\n" for k in some)
        (data / "ImageSets" / f"{name}.txt").write_text(text)
    (data / "train_notes.txt").write_text("drawn in May\nby two people\n")
    make("mine", data)
    split = images(root).set_index("image_id")["split"]
    for name in ("train", "val", "test"):
        assert set(split[[str(k) for k in parts[name]]]) == {name}
    said = capsys.readouterr().out
    assert "(6 train, 2 val, 4 test)" in said and "· tables: 4\n" in said


def test_a_number_in_a_list_is_the_patient_where_all_are(root, data):
    """'7' is a folder, and one frame of the only cine that is so long."""
    names = [f"{p}/{k}.png" for p in range(1, 9) for k in range(1, 10 if p == 1 else 3)]
    put(data, names, lambda k: grey(seed=k))
    put(data, [f"{n[:-4]}_mask.png" for n in names], lambda k: labels())
    for name, some in {"train": (1, 2, 3, 4), "val": (5, 6), "test": (7, 8)}.items():
        (data / f"{name}.txt").write_text("".join(f"{p}\n" for p in some))
    make("mine", data)
    frame = images(root)
    found = frame["split"].groupby(frame["image"].str[0]).unique().map(list).to_dict()
    said = [["train"]] * 4 + [["val"]] * 2 + [["test"]] * 2
    assert found == {str(p): s for p, s in enumerate(said, 1)}


@pytest.mark.parametrize("image", ["P{p}/{p}_{k}.png", "{p}_view{k}.png"])
def test_lists_of_patients_are_kept(root, data, tmp_path, image):
    """By their folders, or by the patient that a form reads from the names."""
    names = [image.format(p=f"{p:03d}", k=k) for p in range(1, 9) for k in range(2)]
    put(data, names, lambda k: grey(seed=k))
    put(data, [f"{n[:-4]}_mask.png" for n in names], lambda k: labels())
    (data / "split").mkdir()
    for name, some in {"training": (1, 2, 3, 4), "validation": (5, 6), "testing": (7, 8)}.items():
        ahead = "P" if image.startswith("P") else ""
        text = "".join(f"{ahead}{p:03d}\n" for p in some)
        (data / "split" / f"subgroup_{name}.txt").write_text(text)
    form = write(tmp_path / "f.yml", {"patient": {"pattern": r"(\d{3})[_/]"}})
    make("mine", data, form)
    found = images(root).groupby("patient_id")["split"].unique().map(list).to_dict()
    said = [["train"]] * 4 + [["val"]] * 2 + [["test"]] * 2
    assert found == {f"{p:03d}": s for p, s in enumerate(said, 1)}


def test_a_split_whose_patients_are_gone_is_drawn_from_what_was_to_learn_from(root, tmp_path):
    data, told = ten_patients(tmp_path / "data"), write(tmp_path / "f.yml", FORM)
    make("mine", data, told)
    before = images(root).set_index("image_id")
    gone = before[before["split"] == "val"]
    for row in gone.itertuples():
        (data / row.image).unlink()
        (data / row.mask).unlink()
    make("mine", data, told)
    after = images(root).set_index("image_id")["split"]
    tested = before.index[before["split"] == "test"]
    assert set(after[tested]) == {"test"} and (after == "test").sum() == len(tested)
    assert (after == "val").any() and (after == "train").any()


def test_whom_a_person_made_external_stays_so(root, tmp_path):
    """In images.csv, by hand; a picture of theirs that is added later is external too."""
    data, told = ten_patients(tmp_path / "data"), write(tmp_path / "f.yml", FORM)
    make("mine", data, told)
    path = root / "data_manifest/mine/images.csv"
    before = images(root).set_index("image_id")
    learned = before.loc[before["split"] == "train", "patient_id"].iloc[0]
    before.loc[before["patient_id"] == learned, "split"] = "external"
    files.write_csv(before.reset_index(), path)
    put(data, [f"photos/{learned}_9.png"], lambda k: grey(seed=99))
    put(data, [f"masks/{learned}_9.png"], lambda k: labels())
    make("mine", data, told)
    after = images(root).set_index("image_id")["split"]
    assert after[before.index].equals(before["split"]) and after[f"{learned}_9"] == "external"


def test_another_picture_of_the_same_name_moves_none(root, data):
    """Its name then needs its folder, and both need another: the split stays with the file."""
    put(data, [f"A/images/{k}.png" for k in range(9)], lambda k: grey(seed=k))
    put(data, [f"A/masks/{k}.png" for k in range(9)], lambda k: labels())
    make("mine", data)
    before = images(root).set_index("image")["split"]
    more = [f"B/{{}}/{k}.png" for k in range(5)] + ["A/{}/a b.png", "A/{}/a_b.png"]
    put(data, [m.format("images") for m in more], lambda k: grey(seed=k + 50))
    put(data, [m.format("masks") for m in more], lambda k: labels())
    make("mine", data)
    after = images(root).set_index("image")["split"]
    assert after[before.index].equals(before) and len(after) == 16


def test_a_folder_called_train_alone_is_no_split():
    assert split_authors.by_folder(["train/a.png", "train/b.png"]) is None
    assert split_authors.by_folder(["a.png", "b.png"]) is None
    assert split_authors.by_folder(["test/b.png", "c.png"]) == {
        "test/b.png": "test",
        "c.png": "train",
    }
    assert split_authors.by_folder(["trainval-image/a.png", "test-image/b.png"]) == {
        "trainval-image/a.png": "train",
        "test-image/b.png": "test",
    }
    assert split_authors.by_folder(["imagesTr/a.png", "imagesTs/b.png"]) == {
        "imagesTr/a.png": "train",
        "imagesTs/b.png": "test",
    }


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        *[("test_A", "test"), ("testB", "test"), ("Test_Input", "test"), ("test-internal", "test")],
        *[("ISIC_Training_Input", "train"), ("Validation_GroundTruth", "val")],
        *[
            ("external", "external"),
            ("External_Validation", "external"),
            ("external test", "external"),
        ],
        *[("train_test_files", None), ("external_oblique", None), ("latest results", None)],
    ],
)
def test_what_a_folder_is_for_by_its_words(folder, split):
    assert split_words.split_of(folder) == split


def test_pictures_from_elsewhere_are_external(root, data):
    """And never learned from, nor what a training is chosen by."""
    counts = {"train": 6, "test_A": 2, "test_B": 2, "external_validation": 3}
    for n, (split, count) in enumerate(counts.items()):
        for kind in ("images", "masks"):
            put(
                data,
                [f"{split}/{kind}/{split}{k}.png" for k in range(count)],
                lambda k, n=n, kind=kind: grey(seed=9 * n + k) if kind == "images" else labels(),
            )
    text = make("mine", data).read_text()
    frame = studies.images(studies.load("mine")).set_index("image_id")["split"]
    assert (
        set(frame.filter(like="external")) == {"external"}
        and "6 train, 0 val, 4 test, 3 ext" in text
    )
    assert set(frame.filter(like="test_")) == {"test"}
    assert sorted(frame.filter(like="train").unique()) == ["train", "val"]


@pytest.mark.parametrize("policy", [{}, {"split": {"policy": "image k-fold"}}])
def test_frames_of_a_cine_stay_together_though_its_patient_is_unknown(root, data, tmp_path, policy):
    for c in range(6):
        for end, frames in (
            ("", [grey(seed=4 * c + k) for k in range(4)]),
            ("_mask", [labels()] * 4),
        ):
            image = SimpleITK.GetImageFromArray(np.stack(frames))
            SimpleITK.WriteImage(image, str(data / f"c{c}{end}.nii.gz"))
    make("mine", data, write(tmp_path / "f.yml", policy))
    frame = studies.images(studies.load("mine"))
    together = frame["image"].str.partition("#")[0]
    assert len(frame) == 24 and frame["patient_id"].isna().all()
    assert (frame.groupby(together)["split"].nunique().max() == 1) == (not policy)
    folds = pd.Series(datasets.assign_folds(frame, 3, 1))
    assert folds.groupby(together).nunique().max() == 1 and folds.value_counts().tolist() == [8] * 3
    before = frame.set_index("image_id")["split"]
    make("mine", data, write(tmp_path / "f.yml", policy))
    again = studies.images(studies.load("mine")).set_index("image_id")["split"]
    assert again.equals(before)


def test_folders_that_are_links_are_named(root, data, tmp_path):
    put(tmp_path / "elsewhere", [f"{k}.png" for k in range(3)], lambda k: grey(seed=k))
    put(data, [f"masks/{k}.png" for k in range(3)], lambda k: labels())
    (data / "images").symlink_to(tmp_path / "elsewhere")
    said = r"1 folders are links, which are not followed \(images\): copy"
    with pytest.raises(StudyError, match=said):
        make("mine", data)
    put(data, [f"more/{k}.png" for k in range(3)], lambda k: grey(seed=k))
    assert re.search(said, make("mine", data).read_text())


# --- classes


def test_three_spellings_are_one_class(root, data):
    for k, label in enumerate(("Nerve", "nerve", "nerve ", "nerve", "Nerve", "nerve")):
        save(data / f"p{k}.png", grey(seed=k))
        labelme(data / f"p{k}.json", [(label, BOX)])
    text = make("mine", data).read_text()
    loaded = studies.load("mine")
    assert [c.name for c in loaded.classes] == ["background", "nerve"]
    assert loaded.classes[1].labels == ("Nerve", "nerve", "nerve ") and loaded.target == "nerve"
    assert "were taken as one class" in text and "nothing is outlined" not in text


def test_a_class_that_nobody_drew_is_never_the_target(root, data, tmp_path):
    put(data, [f"p{k}.png" for k in range(6)], lambda k: grey(seed=k))
    put(data, [f"p{k}_mask.png" for k in range(6)], lambda k: np.where(labels() == 1, 0, labels()))
    make("mine", data, write(tmp_path / "f.yml", NERVE))
    assert studies.load("mine").target == "muscle"


def test_values_of_255_beside_others_are_asked_about(data):
    put(data, [f"p{k}.png" for k in range(6)], lambda k: grey(seed=k))
    put(
        data, [f"p{k}_mask.png" for k in range(6)], lambda k: np.where(labels() == 3, 255, labels())
    )
    with pytest.raises(StudyError, match=r"255 often means 'do not count'. Write in a form either"):
        make("mine", data)


def test_lesions_that_were_counted_are_asked_about(root, data, tmp_path):
    def lesions(k):
        mask = np.zeros((40, 60), np.uint8)
        for n in range(1 + k % 3):
            mask[4 + 9 * n : 10 + 9 * n, 5 : 20 + k] = n + 1
        return mask

    put(data, [f"p{k}.png" for k in range(6)], lambda k: grey(seed=k))
    put(data, [f"p{k}_mask.png" for k in range(6)], lesions)
    said = "are they the single lesions of a picture, of one structure? Then write"
    assert said in make("mine", data).read_text()
    lesion = {"name": "lesion", "labels": ["1", "2", "3"]}
    text = make("mine", data, write(tmp_path / "f.yml", {"classes": [lesion]})).read_text()
    assert said not in text and [c.name for c in studies.load("mine").foreground] == ["lesion"]
    put(data, ["p1_mask.png"], lambda k: lesions(2) * (lesions(2) != 1))
    assert said not in make("mine", data).read_text()


def test_grey_levels_and_colours_of_masks_are_classes(tmp_path):
    save(tmp_path / "a.png", labels() * 100)
    Image.new("RGB", (4, 4), (0, 128, 255)).save(tmp_path / "b.png")
    pair = [pairing.Pair("a", "x", "a.png", {})]
    found, _ = discover.classes_of(pair, tmp_path, form.Form())
    assert [c.labels for c in found[1:]] == [("44",), ("100",), ("200",)]  # 300 is 44 in 8 bits
    found, _ = discover.classes_of([pairing.Pair("b", "x", "b.png", {})], tmp_path, form.Form())
    assert [c.colour for c in found[1:]] == ["#0080ff"]


# --- patients


def table(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (
            "sep=;\r\nPatienten-ID;Alter;Geschlecht;Größe;Gerät\r\n1;41,5;weiblich;170;Gerät 1\r\n",
            "utf-8-sig",
        ),
        ("Patienten-ID;Alter;Geschlecht;Größe;Gerät\n1;41,5;w;170;Gerät 1\n", "cp1252"),
        (
            "Patienten-ID\tAlter\tGeschlecht\tGröße\tGerät\n1\t41.5 J\tFrau\t170 cm\tGerät 1\n",
            "utf-16",
        ),
    ],
)
def test_tables_as_offices_write_them(tmp_path, text, encoding):
    frame, notes = patients.opened(table(tmp_path / "p.csv", text, encoding))
    row = frame.iloc[0]
    assert (row["patient_id"], row["age_years"], row["sex"], row["height_cm"], row["Gerät"]) == (
        *("1", 41.5, "female", 170.0),
        "Gerät 1",
    )
    assert bool(notes) == (encoding in ("cp1252", "utf-16"))


def test_excel_is_read(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["ID", "Age", "Sex", "Side"])
    book.active.append([7, 41.0, "M", "left"])
    book.create_sheet("more").append(["x"])
    book.save(tmp_path / "p.xlsx")
    frame, notes = patients.opened(tmp_path / "p.xlsx")
    assert frame.iloc[0][["patient_id", "age_years", "sex", "Side"]].tolist() == [
        "7",
        41,
        "male",
        "left",
    ]
    assert "Its other sheets were not read: more." in notes


def test_only_known_columns_and_named_ones_are_kept(root, data, tmp_path):
    ten_patients(data / "in")
    head = "patient_id,Nom,Prénom,DDN,MRN,Initials,NHS number,Remarks,age,Seite,device,Block"
    rows = [
        f"{p},Dupont{p},Jeanne,01/03/1961,4410{p},J.D.,999{p},fell ill,41,links,A,seen 3.4.2020"
        for p in range(1, 11)
    ]
    text = "\n".join([head, *rows])
    content = FORM | {"columns": ["Remarks"]}
    page = make(
        "mine", data / "in", write(tmp_path / "f.yml", content), table(tmp_path / "p.csv", text)
    )
    found = studies.patients(studies.load("mine"))
    assert list(found) == ["patient_id", "Remarks", "age_years", "Seite", "device", "excluded"]
    shared = (root / "data_manifest" / "mine" / "patients.csv").read_text() + page.read_text()
    assert not any(w in shared for w in ("Dupont", "Jeanne", "1961", "J.D.", "4410", "9991"))
    assert "Nom (no known study variable), Prénom" in shared and "Block (holds dates)" in shared


# --- spacing


def test_spacing_by_number_by_table_and_by_patient(root, data, tmp_path):
    ten_patients(data)
    make("one", data, write(tmp_path / "f.yml", FORM | {"spacing_mm": 0.085}))
    assert set(images(root, "one")["pixel_spacing_mm"]) == {"0.085"}
    table(data / "sizes.csv", "image;pixel size(mm)\n1_0.png;0,1\n1_1;0,2\n")
    make("two", data, write(tmp_path / "f.yml", FORM | {"spacing_mm": "sizes.csv"}))
    frame = images(root, "two").set_index("image_id")["pixel_spacing_mm"]
    assert frame["1_0"] == "0.1" and frame["1_1"] == "0.2" and frame.isna().sum() == 18
    people = "".join(f"{p},{p / 100}\n" for p in range(1, 11))
    people = table(tmp_path / "p.csv", f"id,pixel_spacing_mm\n{people}")
    make("three", data, write(tmp_path / "f.yml", FORM), people)
    assert images(root, "three").set_index("image_id")["pixel_spacing_mm"]["7_1"] == "0.07"
    assert "pixel_spacing_mm" not in studies.patients(studies.load("three"))


# --- outlines against their pictures


def fan(size=96):
    """A noisy disc on black with one bright, off-centre ellipse; and the ellipse."""
    y, x = np.mgrid[:size, :size]
    disc = (y - 48) ** 2 + (x - 48) ** 2 < 44**2
    ellipse = ((y - 30) / 8) ** 2 + ((x - 58) / 14) ** 2 < 1
    noise = np.random.default_rng(1).integers(20, 60, (size, size))
    return (np.where(ellipse, 200, noise) * disc).astype(np.uint8), ellipse.astype(np.uint8)


def test_outlines_that_fit_are_not_doubted():
    pixels, mask = fan()
    assert agreement.doubts(pixels, mask, form.labels([{"name": "nerve"}])) == []
    assert max(agreement.turned(pixels, mask).values()) < 0.5


@pytest.mark.parametrize("turn", agreement.TURNS)
def test_an_outline_that_was_turned_is_seen(turn):
    pixels, mask = fan()
    ratios = agreement.turned(pixels, agreement.TURNS[turn](mask))
    assert max(ratios, key=ratios.get) == turn and ratios[turn] > agreement.ALONE


def test_a_ring_and_an_outline_on_black_are_doubted():
    pixels, mask = fan()
    classes = form.labels([{"name": "nerve"}])
    ring = mask & ~np.pad(mask, 1)[2:, 1:-1] | mask & ~np.pad(mask, 1)[:-2, 1:-1]
    ring |= mask & ~np.pad(mask, 1)[1:-1, 2:] | mask & ~np.pad(mask, 1)[1:-1, :-2]
    assert "nerve is a ring of one or two pixels" in agreement.doubts(pixels, ring, classes)[0]
    corner = np.zeros_like(mask)
    corner[:10, :10] = 1
    assert "100% of what is outlined lies on black" in agreement.doubts(pixels, corner, classes)[0]
    hole = pixels.copy()
    hole[40:60, 40:60] = 0  # a vessel is black, and in the picture
    vessel = np.zeros_like(mask)
    vessel[42:58, 42:58] = 1
    assert agreement.doubts(hole, vessel, classes) == []


def test_a_transposed_set_is_said_first(root, data):
    pixels, mask = fan()
    for k in range(6):
        noise = np.random.default_rng(k).integers(0, 9, pixels.shape).astype(np.uint8)
        save(data / f"p{k}.png", pixels + noise)
        save(data / f"p{k}_mask.png", mask.T)
    text = make("mine", data).read_text()
    first = text[text.index("Look at these first") :]
    assert "times better with rows and columns exchanged: were the masks saved" in first[:90000]


# --- every file once


def test_every_file_is_counted_once(root, data, capsys):
    put(data, [f"p{k}.png" for k in range(6)], lambda k: grey(seed=k))
    put(data, [f"p{k}_mask.png" for k in range(5)], lambda k: labels())
    put(data, ["masks/other.png"], lambda k: labels())
    for name in ("film.mp4", "notes.docx", "people.xlsx", ".DS_Store", "VERSION"):
        (data / name).write_text("x")
    text = make("mine", data).read_text()
    said = dict(
        line.removeprefix("· ").rsplit(": ", 1)
        for line in capsys.readouterr().out.splitlines()
        if line.startswith(("·", "files"))
    )
    assert int(said.pop("files in the folder")) == 17 == sum(map(int, said.values()))
    assert said == {
        "pictures used": "5",
        "pictures refused": "2",
        "masks and outlines": "5",
        "masks of no used picture": "1",
        "tables": "1",
        "hidden, or left by a system": "1",
        "not looked at": "2",
    }
    assert "a video without masks" in text and ".docx is neither a picture nor a mask" in text


def test_one_odd_file_does_not_stop_the_others(root, data, tmp_path):
    put(data, [f"{k}.png" for k in range(7)], lambda k: grey(seed=k))
    for k in range(7):
        coco(data / f"{k}.json", [[[8, 5, 30, 5, 30, 15, 8, 15]]])
    broken = json.loads((data / "3.json").read_text())
    broken["annotations"][0]["segmentation"] = [{"odd": 1}]
    (data / "3.json").write_text(json.dumps(broken))
    text = make(
        "mine",
        data,
        write(tmp_path / "f.yml", {"classes": [{"name": "nerve"}], "masks": "{stem}.json"}),
    )
    assert len(images(root)) == 6 and "Refused (1)" in text.read_text()


# --- protocols


@pytest.mark.parametrize(
    ("count", "side", "size"), [(20, 600, 128), (20, 90, 64), (600, 600, 96), (20000, 600, 64)]
)
def test_the_default_protocol_ends_within_an_hour(count, side, size):
    fit = protocols.fitted(count, side, cores=2)
    assert fit["image_size"] == size or (size == 96 and fit["image_size"] in (64, 96, 128))
    taken = protocols.seconds(fit["images"], fit["image_size"], fit["epochs"], protocols.FOLDS)
    assert taken <= protocols.BUDGET and fit["epochs"] >= protocols.FEWEST_EPOCHS
    quick = protocols.drafted(count * 5 // 3, 8, side, 5, cores=2)[0]["protocols"]["quick"]
    said = protocols.told(quick, count * 5 // 3, 8, 5)
    minutes = int(re.search(r"in about (\d+) minutes on two free cores", said)[1])
    assert minutes == round(taken / 60 + 5) <= 45


def test_a_drafted_study_has_no_paper_and_no_citation(root, data, monkeypatch):
    monkeypatch.delenv("ENCODER_WEIGHTS", raising=False)
    ten_patients(data)
    text = make("mine", data).read_text()
    written = yaml.safe_load((root / "data_manifest" / "mine" / "study.yml").read_text())
    assert "paper" not in written and written["citation"] == "" and written["title"] == "mine"
    assert not (root / "data_manifest" / "mine" / "published.yml").exists()
    quick = studies.load("mine")
    assert {m["encoder_weights"] for m in quick.models} == {"none"}
    assert quick.spec["image_size"] == 64 and "No ImageNet weights are at hand" in text


def test_umlauts_of_two_kinds_are_one_name(root, data):
    put(data, [f"images/Mu\u0308ller_{k}.png" for k in range(6)], lambda k: grey(seed=k))
    put(data, [f"masks/M\u00fcller_{k}.png" for k in range(6)], lambda k: labels())
    make("mine", data)
    found = images(root)["mask"].tolist()
    assert found == [unicodedata.normalize("NFC", f) for f in found] and len(found) == 6


def test_ledger_names_the_tool_of_a_file_that_is_not_read(root, data):
    ten_patients(data)
    (data / "export.json").write_text(json.dumps([{"annotations": [], "data": {}}, 1]))
    frame = images_of(root, data)
    roles = ledger.ledger(data, form.Form(), frame, [])
    assert roles["export.json"] == (
        "not looked at",
        "Label Studio is not read; export it as COCO, with its pictures",
    )


def images_of(root, data):
    make("mine", data)
    return studies.read_csv(root / "data_manifest" / "mine" / "images.csv", studies.IMAGES)


HOLE = [[12, 8], [20, 8], [20, 12], [12, 12]]


@pytest.mark.parametrize("ignored", [[], ["_background_"]])
def test_a_hole_drawn_as_a_shape_is_cut_out(root, data, tmp_path, ignored):
    for k in range(6):
        save(data / f"p{k}.png", grey(seed=k))
        hole = [("_background_", HOLE)] if k == 2 else []
        labelme(data / f"p{k}.json", [("nerve", BOX), *hole])
    content = {"ignored": ignored} if ignored else {}
    text = make("mine", data, write(tmp_path / "f.yml", content)).read_text()
    assert [(m > 0).sum() for m in drawn(root, data)] == [220, 220, 188, 220, 220, 220]
    assert "1 images: 1 shapes called a hole, or background, were cut out" in text


def test_a_hole_under_what_it_is_cut_from_is_refused(tmp_path):
    path = labelme(tmp_path / "a.json", [("hole", HOLE), ("nerve", BOX)])
    with pytest.raises(StudyError, match="shape 1 is a hole, but lies under what it shall be cut"):
        readers.read_mask(path, CLASSES)
    island = [("nerve", BOX), ("hole", HOLE), ("artery", [[14, 9], [16, 9], [16, 11], [14, 11]])]
    found = readers.read_mask(labelme(tmp_path / "b.json", island), CLASSES)
    assert ((found == 1).sum(), (found == 3).sum()) == (188, 4)
    under = [("background", [[0, 0], [60, 0], [60, 40], [0, 40]]), ("nerve", BOX)]
    assert readers.read_mask(labelme(tmp_path / "c.json", under), CLASSES).sum() == 220


def test_masks_in_jpeg_are_refused_by_name(data):
    put(data, [f"images/p{k}.png" for k in range(6)], lambda k: grey(seed=k))
    put(data, [f"masks/p{k}.jpg" for k in range(6)], lambda k: labels())
    with pytest.raises(StudyError, match=r"its mask masks/p0\.jpg is JPEG, whose losses smear"):
        make("mine", data)


def test_two_pictures_on_one_screen_both_count():
    pixels, mask = fan()
    screen = np.zeros((96, 300), np.uint8)
    screen[:, :96], screen[20:84, 200:264] = pixels, pixels[20:84, 20:84]
    outline = np.zeros_like(screen)
    outline[20:84, 200:264] = mask[20:84, 20:84]
    assert agreement.doubts(screen, outline, form.labels([{"name": "nerve"}])) == []


# --- folder to report in one line


def test_the_first_study_follows_and_ends_with_what_to_decide(root, tmp_path, monkeypatch, capsys):
    data, asked = ten_patients(tmp_path / "my scans \u00fc"), []

    def ran(command, env, **_):
        asked.append({k: env[k] for k in ("STUDY", "PROTOCOL", "DATA")} | {"": command[-4:]})
        (root / "reports" / "mine" / "book").mkdir(parents=True)
        (root / "reports" / "mine" / "book" / "index.html").touch()
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(first.subprocess, "run", ran)
    monkeypatch.setenv("STUDY", "phantom")  # what is asked for counts, not what was set before
    monkeypatch.setenv("PROTOCOL", "quick,size=64")  # as make has it of SIZE=64
    monkeypatch.setenv("JOBS", "1")
    command.main(["--study", "mine", "--data", str(data), "--first"])
    told = ["--profile", "profiles/local", "--cores", "1"]
    assert asked == [{"STUDY": "mine", "PROTOCOL": "quick,size=64", "DATA": str(data), "": told}]
    lines = capsys.readouterr().out.splitlines()
    assert lines[-5].endswith("book/index.html") and lines[-6].endswith("intake.html")
    assert [line[:5] for line in lines[-3:]] == ["  1. ", "  2. ", "  3. "]
    assert "nothing says it" in lines[-2] and "the structure that counts is class_1" in lines[-1]


def test_a_first_study_that_does_not_end_says_so(monkeypatch):
    failed = subprocess.CompletedProcess([], 1)
    monkeypatch.setattr(first.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(StudyError, match="the first study of mine did not end"):
        first.run("mine", "/a folder")


def test_an_intake_never_replaces_a_study_of_drawn_images(root, tmp_path):
    place = root / "data_manifest" / "phantom"
    place.mkdir(parents=True)
    write(place / "study.yml", {"generator": "phantom"})
    data = ten_patients(tmp_path / "data")
    before = state(place)
    with pytest.raises(StudyError, match=r"STUDY=phantom: .*a name of its own"):
        make("phantom", data)
    with pytest.raises(StudyError, match="DATA is missing"):
        make("mine", "")
    assert state(place) == before


def test_folders_that_may_be_people_are_asked_for_with_the_line_to_write(root, tmp_path):
    """A layout whose folders do not say that they are patients; the line that is given works."""
    data = tmp_path / "data"
    for name in ("Anton-1", "b 2", "c_3", "d4"):
        for kind in ("images", "masks"):
            (data / kind / name).mkdir(parents=True)
        for k in range(2):
            save(data / "images" / name / f"f{k}.png", grey(seed=k + len(name) * 7 + ord(name[0])))
            save(data / "masks" / name / f"f{k}.png", np.roll(labels(), k + ord(name[0]), axis=0))
    page = make("mine", data, write(tmp_path / "form.yml", {"classes": FORM["classes"]}))
    text = html.unescape(page.read_text(encoding="utf-8"))
    assert "lie in 4 folders" in text
    pattern = re.search(r"write patient: \{pattern: '([^']+)'\}", text)[1]
    form = {"classes": FORM["classes"], "patient": {"pattern": pattern}}
    make("mine", data, write(tmp_path / "form.yml", form), redraw=True)
    found = files.read_csv(root / "data_manifest/mine/images.csv", dtype=str)
    assert set(found["patient_id"]) == {"Anton-1", "b 2", "c_3", "d4"}


def test_what_an_earlier_intake_left_fits_or_is_said(root, tmp_path):
    """An earlier patients.csv that lacks somebody is refused; an earlier study.yml that was
    changed by hand is kept and told of.
    """
    data = ten_patients(tmp_path / "data")
    form = write(tmp_path / "form.yml", FORM)
    make("mine", data, form)
    kept = root / "data_manifest/mine/study.yml"
    text = kept.read_text(encoding="utf-8").replace("title: mine", "title: by hand")
    kept.write_text(text, encoding="utf-8")
    (root / "data_manifest/mine/patients.csv").write_text("patient_id\n1\n")
    with pytest.raises(StudyError, match=r"patients.csv: is of an earlier intake .* no row for 10"):
        make("mine", data, form)
    (root / "data_manifest/mine/patients.csv").unlink()
    other = FORM | {"classes": [{"name": n} for n in ("plexus", "muscle", "artery")]}
    page = make("mine", data, write(tmp_path / "other.yml", other))
    assert kept.read_text(encoding="utf-8") == text
    shown = page.read_text(encoding="utf-8")
    assert "nerve, muscle, artery" in shown and "plexus, muscle, artery" in shown


def test_a_class_that_no_picture_shows_and_what_was_refused_are_said_at_once(
    root, data, tmp_path, capsys
):
    put(data, [f"p{k}.png" for k in range(6)], lambda k: grey(seed=k))
    put(data, [f"masks/p{k}_nerve.png" for k in range(6)], lambda k: part(1))
    put(data, [f"masks/p{k}_muscle.png" for k in range(6)], lambda k: part(1) * 0)
    (data / "p5.png").write_bytes((data / "p5.png").read_bytes()[:60])
    text = make("mine", data, write(tmp_path / "f.yml", NERVE)).read_text()
    said = capsys.readouterr().out
    assert "No picture shows muscle" in said and "No picture shows muscle" in text
    assert "refused: p5.png: " in said
