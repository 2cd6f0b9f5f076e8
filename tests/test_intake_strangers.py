"""Faults that strangers' folders showed: masks of another picture, raters and pictures that vanish,
people whom two hospitals number alike, and sentences that cried for nothing.
"""

import json

import numpy as np
import pydicom
import pytest
from intake_folder import images
from pictures import dicom, grey, labelme, save
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.pixels import pack_bits
from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage, generate_uid
from test_intake_doubtful import first, outline, picture

from helpers.errors import StudyError
from tools.intake import agreement
from tools.intake.make import make

pytestmark = pytest.mark.usefixtures("root")


def put(data, name, pixels):
    path = data / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return save(path, pixels)


# --- DICOM segmentations


def item(**tags):
    found = Dataset()
    for name, value in tags.items():
        setattr(found, name, value)
    return found


def segmentation(path, mask, *referred):
    """A segmentation of one segment, nerve, that refers to pictures by their identifiers."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        SegmentationStorage,
        generate_uid(),
    )
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = SegmentationStorage, meta.MediaStorageSOPInstanceUID
    data.Modality, data.SegmentationType = "SEG", "BINARY"
    data.Rows, data.Columns = mask.shape
    data.NumberOfFrames, data.SamplesPerPixel = 1, 1
    data.PhotometricInterpretation, data.PixelRepresentation = "MONOCHROME2", 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 1, 1, 0
    data.SegmentSequence = [item(SegmentNumber=1, SegmentLabel="nerve")]
    sources = [item(ReferencedSOPInstanceUID=uid) for uid in referred]
    derived = [item(SourceImageSequence=sources)] if sources else []
    data.PerFrameFunctionalGroupsSequence = [
        item(
            SegmentIdentificationSequence=[item(ReferencedSegmentNumber=1)],
            DerivationImageSequence=derived,
        )
    ]
    data.SharedFunctionalGroupsSequence = [Dataset()]
    data.PixelData = pack_bits((mask > 0)[None].astype(np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)


def scans(data, count=8):
    """The identifiers of pictures 1.dcm, 2.dcm, … of as many people."""
    (data / "images").mkdir()
    found = []
    for k in range(1, count + 1):
        path = dicom(data / f"images/{k}.dcm", picture(k), regions=(), PatientID=f"P{k}")
        found.append(str(pydicom.dcmread(path).SOPInstanceUID))
    return found


ORDERS = [(3, 1, 2, 6, 4, 5, 8, 7), (1, 2, 3, 4, 5, 6, 8, 7)]


@pytest.mark.parametrize("order", ORDERS)
def test_a_segmentation_is_of_the_picture_that_it_refers_to(root, data, order):
    uids = scans(data)
    for n, k in enumerate(order, 1):
        segmentation(data / f"seg/{n}.dcm", outline(k), uids[k - 1])
    make("mine", data)
    paired = images(root).set_index("image")["mask"]
    assert {paired[f"images/{k}.dcm"] for k in range(1, 9)} == set(paired)
    assert [paired[f"images/{k}.dcm"] for k in order] == [f"seg/{n}.dcm" for n in range(1, 9)]


def test_a_segmentation_of_a_picture_elsewhere_is_of_none_here(root, data):
    uids = scans(data)
    for k, uid in enumerate(uids, 1):
        segmentation(data / f"seg/{k}.dcm", outline(k), "1.2.3" if k == 8 else uid)
    make("mine", data)
    assert "images/8.dcm" not in set(images(root)["image"]) and len(images(root)) == 7


def test_names_count_where_no_identifier_is_known(root, data):
    scans(data)
    for k in range(1, 9):
        segmentation(data / f"seg/{k}.dcm", outline(k), f"1.2.3.{k}")
    make("mine", data)
    assert (images(root)["mask"] == images(root)["image"].str.replace("images", "seg")).all()


def test_a_segmentation_of_several_pictures_says_so(data):
    uids = scans(data, 6)
    for k in (0, 2, 4):
        segmentation(data / f"seg/{k}.dcm", outline(k), *uids[k : k + 2])
    with pytest.raises(StudyError, match=r"seg/0\.dcm is of 1 other pictures too; export one for"):
        make("mine", data)


# --- Label Studio


def project(data, turned=None, names=("left", "right")):
    """A task of both sides of each person; each region says of which side it is."""
    tasks = []
    for k in range(6):
        regions = []
        for side in names:
            put(data, f"P{k}_{side}.png", grey(60, 80, seed=k))
            points = [[20, 20], [50, 20], [50, 40 + k]]
            region = {"type": "polygonlabels", "to_name": side, "image_rotation": turned}
            region |= {"original_width": 80, "original_height": 60}
            regions.append(region | {"value": {"points": points, "polygonlabels": ["nerve"]}})
        shown = {side: f"/data/upload/1/P{k}_{side}.png" for side in names}
        shown = {"clip": "/data/upload/1/film.mp4"} | shown
        tasks.append({"id": k, "data": shown, "annotations": [{"id": k, "result": regions}]})
    (data / "project.json").write_text(json.dumps(tasks), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "P0_left.png and .*P0_right.png are shown in one task"),
        ({"turned": 90, "names": ("left",)}, "P0_left.png was turned while it was outlined"),
    ],
)
def test_regions_whose_picture_is_not_plain_are_refused(data, change, said):
    project(data, **change)
    with pytest.raises(StudyError, match=said):
        make("mine", data)


def test_a_film_beside_the_picture_is_not_the_picture(root, data):
    project(data, names=("left",))
    make("mine", data)
    assert len(images(root)) == 6


@pytest.mark.parametrize("key", ["filename", "original", "thumbnail"])
def test_a_picture_that_a_task_names_twice_is_one(root, data, key):
    project(data, names=("left",))
    tasks = json.loads((data / "project.json").read_text())
    for task in tasks:
        task["data"] |= {key: task["data"]["left"].rpartition("/")[2].replace("P", "ab-P")}
        task["annotations"][0]["result"][0]["to_name"] = "image"
    (data / "project.json").write_text(json.dumps(tasks))
    make("mine", data)
    assert len(images(root)) == 6


# --- what vanishes


def both(data, count=10):
    for k in range(count):
        put(data, f"images/{k}.png", picture(k))
        put(data, f"a/{k}.png", outline(k))
        put(data, f"b/{k}.png", outline(k + 1))


def test_a_rater_without_any_mask_is_a_slip_of_the_form(data):
    both(data)
    form = {"images": ["images/*.png"], "reference": "a"}
    form |= {"masks": {"a": "a/{stem}.png", "b": "bb/{stem}.png"}}
    with pytest.raises(StudyError, match=r"no mask of rater 'b' was found, at bb/0\.png"):
        first(data, form)


def test_a_rater_who_agrees_that_there_is_nothing_is_not_asked_about(data):
    both(data, 12)
    for k in range(4, 12):
        put(data, f"a/{k}.png", outline(k, 0))
        put(data, f"b/{k}.png", outline(k, 0))
    form = {"images": ["images/*.png"], "reference": "a"}
    assert "b outlined" not in first(data, form | {"masks": {r: f"{r}/{{stem}}.png" for r in "ab"}})


@pytest.mark.parametrize("end", ["jfif", "jp2", "pgm"])
def test_pictures_of_another_kind_are_read_or_missed(root, data, end):
    for k in range(12):
        put(data, f"masks/{k}.png", outline(k))
        path = data / f"images/{k}.{'png' if k < 6 else end}"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(picture(k)).save(
            path, **({"format": "JPEG"} if path.suffix == ".jfif" else {})
        )
    said = "6 files have a mask and are of a kind that is not read" in first(data)
    assert (len(images(root)), said) == ((12, False) if end == "jfif" else (6, True))


def test_pictures_counted_from_0000_are_no_channels(root, data):
    for k in range(12):
        put(data, f"imagesTr/us_{k:04d}.png", picture(k))
        put(data, f"labelsTr/us_{k:04d}.png", outline(k, 1))
    make("mine", data)
    assert len(images(root)) == 12


# --- whose a picture is


def hospitals(data, name):
    k = 0
    for place in ("Bern", "Basel"):
        for person in range(1, 6):
            for visit in range(2):
                path = data / place / f"{person:03d}" / f"{visit}.dcm"
                path.parent.mkdir(parents=True, exist_ok=True)
                told = {"PatientID": f"{person:03d}", "InstitutionName": name(place)}
                dicom(path, picture(k), regions=(), **told)
                save(path.with_name(f"{visit}_mask.png"), outline(k))
                k += 1


@pytest.mark.parametrize(
    ("name", "asked"), [(lambda place: place, True), (lambda place: "Bern", False)]
)
def test_one_number_in_two_hospitals_is_asked_about(data, name, asked):
    hospitals(data, name)
    said = "5 patient numbers stand in files of several institutions, such as '001' in those of"
    assert (said in first(data)) == asked


def test_folders_of_diagnoses_are_no_people(data):
    for c, kind in enumerate(("benign", "malignant", "normal")):
        for k in range(4):
            path = data / kind / f"{kind}_{k}.dcm"
            path.parent.mkdir(exist_ok=True)
            dicom(path, picture(4 * c + k), regions=(), PatientID=f"B{c}{k}")
            save(path.with_name(f"{kind}_{k}_mask.png"), outline(4 * c + k))
    assert "has a patient number of its own" not in first(data)


# --- names of structures


@pytest.mark.parametrize(
    ("one", "other", "often", "asked"),
    [
        ("nerve", "nervr", 1, True),
        ("nerve", "nervr", 3, True),
        ("femoral nerve", "femoral nerves", 4, True),
        ("femoral_nerve", "femoralnerve", 4, True),
        ("vastus lateralis", "vastus medialis", 6, False),
        ("internal carotid", "external carotid", 6, False),
        ("left lobe", "right lobe", 6, False),
        ("fetal head", "fetal heart", 6, False),
    ],
)
def test_names_that_differ_by_a_slip_are_asked_about(data, one, other, often, asked):
    for k in range(12):
        put(data, f"{k}.png", picture(k))
        label = other if k < often else one
        labelme(data / f"{k}.json", [(label, [[20, 20], [50, 20], [50, 40]])], size=(60, 80))
    assert ("is it one structure, written in two ways" in first(data)) == asked


def test_segmentations_that_name_their_structures_are_not_united(data):
    uids = scans(data, 6)
    for k, uid in enumerate(uids, 1):
        for n in (1, 2):
            segmentation(data / f"seg/{k}_{n}.dcm", outline(k + 9 * n), uid)
    assert "masks each that differ by a number" not in first(data)


@pytest.mark.parametrize(
    ("names", "asked"),
    [
        ([f"{k}{end}" for k in range(6) for end in ("", "_aug1", "_aug2")], True),
        ([f"{k}{end}" for k in range(6) for end in ("", " - Kopie")], True),
        ([f"{k}{end}" for k in range(6) for end in ("_left", "_right")], False),
        ([f"{k}_aug1" for k in range(12)], False),  # of none that is here
    ],
)
def test_changed_copies_are_no_further_cases(data, names, asked):
    for k, name in enumerate(names):
        put(data, f"images/{name}.png", picture(k))
        put(data, f"masks/{name}.png", outline(k))
    assert ("are called as changed copies of others" in first(data)) == asked


def test_names_that_say_a_split_are_asked_about(data):
    for k in range(12):
        name = f"{'train' if k < 8 else 'test'}_{k:03d}"
        put(data, f"images/{name}.png", picture(k))
        put(data, f"masks/{name}.png", outline(k))
    assert "The pictures' names say test and train, and the split was drawn anew" in first(data)


def test_a_labelmap_in_a_folder_of_the_task_names_the_colours(root, data):
    for n in range(2):
        for k in range(6):
            put(data, f"task{n}/JPEGImages/{n}{k}.png", picture(k + 6 * n))
            colours = np.dstack([outline(k + 6 * n, 250), outline(k, 0), outline(k, 0)])
            put(data, f"task{n}/SegmentationClass/{n}{k}.png", colours)
        text = "background:0,0,0::\nnerve:250,0,0::\n"
        (data / f"task{n}/labelmap.txt").write_text(text)
    make("mine", data)
    study = (root / "data_manifest/mine/study.yml").read_text()
    assert "name: nerve" in study


# --- turned outlines


def test_the_border_of_the_ultrasound_is_no_edge_of_a_structure():
    """A phased array's fan, with a faint structure below that is outlined exactly."""
    rng, (y, x) = np.random.default_rng(0), np.mgrid[:96, :96]
    fan = (np.hypot(y + 2, x - 48) < 93) & (abs(np.degrees(np.arctan2(x - 48, y + 2))) < 40)
    inside = ((y - 69) / 8.6) ** 2 + ((x - 57) / 11.5) ** 2 < 1
    pixels = np.where(fan, np.clip(rng.normal(90, 12, (96, 96)) - 15 * inside, 1, 255), 0)
    ratios = agreement.turned(pixels.astype(np.uint8), inside.astype(np.uint8))
    assert max(ratios.values()) < agreement.BETTER
