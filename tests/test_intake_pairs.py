"""Which mask is whose where no form says it: by numbers, frames, folders and entries of a file; and
what is suspected where it is another's.
"""

import json
import re

import nibabel
import numpy as np
import pytest
import SimpleITK
from intake_folder import images, write
from pictures import coco, dicom, grey, labelme, save
from pydicom import dcmread
from pydicom.uid import RTStructureSetStorage
from scipy import ndimage

from helpers import cache, readers, studies
from helpers.errors import StudyError
from tools.intake import anonymous, make, text

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("root")]

NERVE = {"classes": [{"name": "nerve"}]}
BOX = [[8, 5], [30, 5], [30, 15], [8, 15]]


def blob(k=0, value=1):
    """An outline (40, 60), elsewhere for each k."""
    y, x = np.mgrid[:40, :60]
    away = ((y - 10 - 4 * (k % 5)) / 7) ** 2 + ((x - 15 - 6 * (k % 6)) / 9) ** 2
    return (away < 1).astype(np.uint8) * value


def shown(mask, seed=0):
    """A picture (40, 60) of speckle in which an outline is bright."""
    speckle = np.random.default_rng(seed).gamma(4, 0.25, mask.shape)
    return np.clip(ndimage.gaussian_filter((70 + 110 * (mask > 0)) * speckle, 0.8), 0, 255).astype(
        np.uint8
    )


def put(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    return save(path, pixels)


def masks():
    """{image_id: mask as the study reads it}"""
    study, frame = studies.load("mine"), studies.images(studies.load("mine"))
    data = studies.ROOT.parent / "data"
    read = [
        readers.read_mask(data / m, study.classes, ignored=study.ignored) for m in frame["mask"]
    ]
    return dict(zip(frame["image_id"], read, strict=True))


def first(page):
    """What stands under 'Look at these first'."""
    told = page.read_text(encoding="utf-8")
    return told[told.index("Look at these first") : told.index("<h2>Refused")]


# --- by number, folder and entry


@pytest.mark.parametrize(
    ("image", "mask", "said"),
    [
        ("images/{k}.png", "masks/mask_00{k}.png", True),
        ("image{k}.png", "mask{k}.png", True),
        ("P0{k}_input.png", "P{k}_GT.png", True),
        ("frames/scan_{k}.png", "truth/label00{k}.png", True),
        ("img_{k}.png", "{k}_mask.png", False),
        ("p{k}.png", "masks/p{k}/lesion.png", True),
        ("Images/bus_000{k}-l.png", "Masks/mask_000{k}-l.png", False),  # a word of every picture
        ("us/{k}.png", "tumour_masks/tumour_{k}.png", False),
        ("B-mode/7_R_{k}_Bmode.png", "Masks/7_R_{k}_Mask.png", False),
    ],
)
def test_masks_that_are_called_otherwise(data, image, mask, said, capsys):
    for k in range(1, 6):
        put(data / image.format(k=k), grey(seed=k))
        put(data / mask.format(k=k), blob(k))
    make.make("mine", data)
    found = list(masks().values())
    assert len(found) == 5 and all(np.array_equal(m, blob(k)) for k, m in enumerate(found, 1))
    assert (
        "by its number or folder, because none is called as they are" in capsys.readouterr().out
    ) == said


def test_a_number_that_two_masks_have_is_nobodys(data):
    for k in range(1, 5):
        put(data / "images" / f"{k}.png", grey(seed=k))
        put(data / "masks" / f"mask_0{k}.png", blob(k))
        put(data / "masks" / f"mask_00{k}.png", blob(k + 1))
    with pytest.raises(StudyError, match=r"images/1.png: no mask found"):
        make.make("mine", data)


def test_a_word_of_every_picture_is_left_out_only_where_masks_have_none_of_their_own(data):
    for k in range(1, 5):
        put(data / "images" / f"left_{k}.png", grey(seed=k))
        put(data / "masks" / f"right_{k}.png", blob(k))
    with pytest.raises(StudyError, match=r"images/left_1.png: no mask found"):
        make.make("mine", data)


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("trainval-image/{k}.png", "trainval-mask/{k}.png"),
        ("training_set/{k}.png", "training_set/{k}_Annotation.png"),
        ("trainImages/{k}.png", "trainMasks/{k}.png"),
    ],
)
def test_a_mask_is_that_pictures_beside_which_it_lies(data, image, mask, capsys):
    """Pictures of another folder that are called so have none."""
    for k in range(1, 6):
        put(data / image.format(k=k), grey(seed=k))
        put(data / mask.format(k=k), blob(k))
    put(data / "test_set/1.png", grey(seed=20))
    put(data / "test_set/2.png", grey(seed=21))
    make.make("mine", data)
    frame = studies.images(studies.load("mine")).set_index("image")["mask"]
    assert dict(frame) == {image.format(k=k): mask.format(k=k) for k in range(1, 6)}
    assert "refused: test_set/1.png: no mask found" in capsys.readouterr().out


def test_two_sets_whose_pictures_are_called_alike(data):
    for part, count, ahead in (("trainval", 6, 0), ("test", 3, 10)):
        for k in range(count):
            put(data / f"{part}-image" / f"{k:04d}.png", grey(seed=k + ahead))
            put(data / f"{part}-mask" / f"{k:04d}.png", blob(k + ahead))
    make.make("mine", data)
    frame = studies.images(studies.load("mine"))
    assert len(frame) == 9
    for row in frame.itertuples():
        assert row.image.replace("image", "mask") == row.mask
        assert (row.split == "test") == row.image.startswith("test-")


def test_raters_who_number_their_folders_are_no_patients(data):
    """'masks_1' is no set of its own: its folders 1 and 2 are those of the pictures."""
    for p in (1, 2):
        for k in range(3):
            put(data / f"images/{p}/{k}.png", grey(seed=3 * p + k))
            put(data / f"masks_1/{p}/{k}.png", blob(3 * p + k))
    make.make("mine", data)
    frame = studies.images(studies.load("mine"))
    assert (frame["image"].str.replace("images", "masks_1") == frame["mask"]).all()


@pytest.mark.parametrize("entry", ["{k}", "{k}.jpg", "C:\\scans\\{k}.png"])
def test_entries_that_write_a_pictures_name_otherwise(data, entry):
    content = json.loads(coco(data / "a.json", [[[8, 5, 30, 5, 30, 15, 8, 15]]], 4).read_text())
    content["annotations"] = [
        content["annotations"][0] | {"id": k, "image_id": k} for k in range(4)
    ]
    for k, one in enumerate(content["images"]):
        put(data / "pictures" / f"{k}.png", grey(seed=k))
        one["file_name"] = entry.format(k=k)
    (data / "a.json").write_text(json.dumps(content))
    make.make("mine", data)
    assert images(studies.ROOT)["mask"][2] == "a.json#" + entry.format(k=2)


def test_what_coco_ignores_is_left_out_before_it_is_looked_at(data, tmp_path):
    """A needle's tip has no outline, and a crowd of it none that counts."""
    put(data / "0.png", grey())
    content = json.loads(coco(data / "a.json", [[[8, 5, 30, 5, 30, 15, 8, 15]]]).read_text())
    content["categories"].append({"id": 8, "name": "Needle"})
    for k, crowd in enumerate((0, 1)):
        tip = {"id": 9 + k, "image_id": 0, "category_id": 8, "bbox": [1, 1, 2, 2], "iscrowd": crowd}
        content["annotations"].append(tip | {"segmentation": []})
    (data / "a.json").write_text(json.dumps(content))
    for k in (1, 2):
        put(data / f"{k}.png", grey(seed=k))
        put(data / f"{k}_mask.png", blob(k))
    make.make("mine", data, write(tmp_path / "f.yml", NERVE | {"ignored": ["needle"]}))
    assert masks()["0"].sum() == 220 and (masks()["0"][5:15, 8:30] == 1).all()
    with pytest.raises(StudyError, match=r"a.json: an area is marked iscrowd"):
        readers.read_mask(f"{data / 'a.json'}#0.png", studies.load("mine").classes)


@pytest.mark.parametrize("name", ["export.json", "dataset.json"])
def test_outlines_of_an_unknown_tool_are_asked_for_in_another_form(data, name):
    put(data / "p0.png", grey())
    (data / name).write_text('{"items": [{"id": "p0"}]}')
    said = "export.json may hold its outlines, but is of no tool"
    with pytest.raises(StudyError, match=said if name == "export.json" else "no other file is"):
        make.make("mine", data)


def test_an_entry_is_that_pictures_whose_name_it_writes(data, capsys):
    """And not also that of one that differs by its ending."""
    for k in range(3):
        put(data / f"{k}.jpg", grey(seed=k))
        put(data / f"{k}.png", grey(seed=k + 9))
    content = json.loads(coco(data / "a.json", [[[8, 5, 30, 5, 30, 15, 8, 15]]], 3).read_text())
    for k, one in enumerate(content["images"]):
        one["file_name"] = f"{k}.jpg"
    (data / "a.json").write_text(json.dumps(content))
    make.make("mine", data)
    assert images(studies.ROOT)["image"].tolist() == ["0.jpg", "1.jpg", "2.jpg"]
    assert "refused: 0.png: no mask found" in capsys.readouterr().out


def test_a_folder_that_numbers_a_patient_is_no_folder_of_masks(data):
    """'2/…' holds what is patient 2's, and nothing of the picture 2 of patient 1."""
    for p in (1, 2):
        put(data / f"{p}" / "2.png", grey(seed=p))
        put(data / f"{p}" / "x_mask.png", blob(p))
        put(data / f"{p}" / "y_mask.png", blob(p + 1))
        put(data / f"{p}" / "z.png", grey(seed=p + 5))
    with pytest.raises(StudyError, match=r"1/2.png: no mask found"):
        make.make("mine", data)


def test_two_files_that_name_a_picture_are_asked_about_as_they_are_called(data):
    for k in range(3):
        put(data / "images" / f"p{k}.png", grey(seed=k))
        put(data / "SegmentationClassPNG" / f"p{k}.png", blob(k))
        labelme(data / f"p{k}.json", [("nerve", BOX)])
    wanted = r'masks: \{anna: "SegmentationClassPNG/\{stem\}.png", ben: "\{stem\}.json"\}'
    with pytest.raises(StudyError, match=wanted):
        make.make("mine", data)


@pytest.mark.parametrize(
    ("name", "content", "advice"),
    [
        ("masks.zip", b"PK", r"\(archive\), not read here: unpack it"),
        ("p0.hdr", b"", r"\(Analyze\), not read here: save it as .nii.gz"),
        ("p0.stl", b"solid", r"\(surface\), not read here: export a label map"),
        (
            "v.json",
            b'{"project": 1, "metadata": {}, "view": {}}',
            r"\(VIA 3\), .* export it as COCO",
        ),
    ],
)
def test_files_that_hold_outlines_otherwise(data, name, content, advice):
    put(data / "p0.png", grey())
    (data / name).write_bytes(content)
    with pytest.raises(StudyError, match=advice):
        make.make("mine", data)


def test_dicom_contours_are_no_picture(data):
    dicom(data / "p0.dcm", grey(), PatientID="1", PatientName="")
    contours = dcmread(data / "p0.dcm")
    contours.file_meta.MediaStorageSOPClassUID = contours.SOPClassUID = RTStructureSetStorage
    del contours.PixelData
    contours.save_as(data / "p0_rt.dcm")
    with pytest.raises(StudyError, match=r"p0.dcm: its outlines seem .* \(RTSTRUCT\)") as e:
        make.make("mine", data)
    assert "p0_rt.dcm: " not in str(e.value)


def test_pictures_with_a_palette_are_none_of_the_masks(data):
    """GIF has nothing but palettes; a mask uses few of its colours."""
    for k in range(3):
        for place, pixels in (("a", grey(seed=k)), ("b", blob(k))):
            (data / place).mkdir(exist_ok=True)
            save(data / place / f"p{k}.gif", pixels)
    make.make("mine", data)
    assert all(np.array_equal(m, blob(k)) for k, m in enumerate(masks().values()))
    assert images(studies.ROOT)["image"].tolist() == [f"a/p{k}.gif" for k in range(3)]


# --- frames


def cines(data, number, structures=("",)):
    """Three cines of four frames, of which the second and the last are outlined."""
    for c in range(3):
        dicom(data / f"c{c}.dcm", np.stack([grey(seed=4 * c + k) for k in range(4)]))
        for k in (1, 3):
            for s, name in enumerate(structures):
                put(data / "masks" / f"{number(c, k)}{name}.png", blob(k + s, 255))


def drawn(k, structures):
    mask = blob(k)
    if len(structures) > 1:
        mask[blob(k + 1) > 0] = 2
    return mask


@pytest.mark.parametrize("structures", [("",), ("_nerve", "_vessel")])
@pytest.mark.parametrize(
    ("number", "first_frame"),
    [
        (lambda c, k: f"c{c}_frame{k + 1:03d}", None),
        (lambda c, k: f"c{c}/{k + 1}", None),
        (lambda c, k: f"c{c}_{k}", 0),
    ],
)
def test_masks_that_name_the_frame_of_a_cine(root, data, tmp_path, number, first_frame, structures):
    cines(data, number, structures)
    told = {"frames_from": first_frame} if first_frame is not None else {}
    make.make("mine", data, write(tmp_path / "f.yml", told))
    assert images(root)["image"].tolist()[:2] == ["c0.dcm#1", "c0.dcm#3"]
    found = masks()
    assert len(found) == 6
    for k in (1, 3):
        assert np.array_equal(found[f"c2_00{k}"], drawn(k, structures))


def test_frames_that_may_be_counted_from_either_are_asked_about(data, tmp_path):
    cines(data, lambda c, k: f"c{c}_{k}")
    with pytest.raises(StudyError, match=r"name frames \(1, 3 of 4\), .* frames_from: 0, or 1"):
        make.make("mine", data)
    put(data / "masks" / "c0_9.png", blob())
    for c in (1, 2):
        (data / f"c{c}.dcm").unlink()
    with pytest.raises(
        StudyError, match=r"c0.dcm: its masks name the frames 1, 3, 9; it holds 4, c"
    ):
        make.make(
            "mine", data, write(tmp_path / "f.yml", {"frames_from": 0, "exclude": {"c1": "-"}})
        )


def test_a_mask_that_names_no_frame_is_of_none(data):
    """Neither the number of a cine nor that of its mask is taken for a frame."""
    for c in range(3):
        dicom(data / f"c{c}.dcm", np.stack([grey(seed=4 * c + k) for k in range(4)]))
        put(data / "masks" / (f"c{c}_mask.png" if c else "mask_000.png"), blob())
    with pytest.raises(StudyError, match=r"c1.dcm: holds 4 frames, its mask does not say of which"):
        make.make("mine", data)


def test_a_stack_of_fewer_slices_than_frames(data):
    dicom(data / "c.dcm", np.stack([grey(seed=k) for k in range(4)]))
    stack = SimpleITK.GetImageFromArray(np.stack([blob(k) for k in range(3)]))
    SimpleITK.WriteImage(stack, str(data / "c_mask.nii.gz"))
    with pytest.raises(
        StudyError, match=r"holds 4 frames, its mask c_mask.nii.gz 3 slices; outline"
    ):
        make.make("mine", data)


def test_frames_that_masks_name_stay_so_without_identities(data, tmp_path, monkeypatch):
    monkeypatch.setattr(text, "find", lambda frames: [])
    cines(data, lambda c, k: f"c{c}_frame{k + 1:03d}")
    for path in data.glob("*.dcm"):
        dicom(path, readers.read_frames(path)[0], PatientID=path.stem, PatientName=path.stem)
    anonymous.convert(data, tmp_path / "out", tmp_path / "safe" / "key.csv")
    stacks = sorted((tmp_path / "out" / "masks").iterdir())
    assert len(stacks) == 3
    for path in stacks:
        values = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
        assert [bool(v.any()) for v in values] == [False, True, False, True]


def test_changed_slices_of_a_stack_are_read_by_the_study(root, data, tmp_path):
    rings = [blob(k) - ndimage.binary_erosion(blob(k)) for k in range(2)]
    for c in range(3):
        frames = np.stack([grey(seed=2 * c + k) for k in range(2)])
        for name, planes in ((f"c{c}", frames), (f"c{c}_mask", np.stack(rings))):
            SimpleITK.WriteImage(SimpleITK.GetImageFromArray(planes), str(data / f"{name}.mha"))
    make.make("mine", data, write(tmp_path / "f.yml", {"change": ["fill"]}))
    frame = images(root)
    assert frame["mask"][0] == "{c0_mask.mha#0}+fill"
    assert frame["sha256_mask"][0] == readers.sha256(data / "c0_mask.mha")
    study = studies.load("mine")
    for k, row in enumerate(studies.images(study).itertuples()):
        _, mask, _, problems = cache.read_row(row, data, study.classes, study.ignored)
        assert not problems and np.array_equal(mask, blob(k % 2))


def test_a_name_that_cannot_be_changed_refuses_its_own_picture(data, tmp_path, capsys):
    for name in ("a=1", "b", "c", "d"):
        put(data / f"{name}.png", grey(seed=ord(name[0])))
        put(data / f"{name}_mask.png", blob(ord(name[0])))
    make.make("mine", data, write(tmp_path / "f.yml", {"change": ["fill"]}))
    said = capsys.readouterr().out
    assert "pictures used: 3" in said and "refused: a=1.png: a=1_mask.png: its name holds" in said


# --- classes that masks hold, and only those


def test_a_described_label_that_nobody_drew_is_no_class(data):
    lines = [f'{v} 0 0 0 1 1 1 "{n}"' for v, n in ((0, "Clear"), (1, "nerve"), (2, "Label 2"))]
    (data / "names.txt").write_text("\n".join(lines))
    for k in range(3):
        put(data / f"p{k}.png", grey(seed=k))
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(blob(k)[None]), str(data / f"p{k}.nii.gz"))
    make.make("mine", data)
    assert [c.name for c in studies.load("mine").classes] == ["background", "nerve"]


def test_a_segment_that_nobody_drew_is_no_class(data):
    for k in range(3):
        put(data / f"p{k}.png", grey(seed=k))
        image = SimpleITK.GetImageFromArray(blob(k)[None])
        for number, name in ((0, "nerve"), (1, "Segment_2")):
            image.SetMetaData(f"Segment{number}_Name", name)
            image.SetMetaData(f"Segment{number}_LabelValue", str(number + 1))
        SimpleITK.WriteImage(image, str(data / f"p{k}.seg.nrrd"))
    make.make("mine", data)
    assert [c.name for c in studies.load("mine").classes] == ["background", "nerve"]


def test_one_mask_among_empty_ones_tells_the_class(data):
    for k in range(8):
        put(data / f"p{k}.png", grey(seed=k))
        put(data / f"p{k}_mask.png", blob(k) * (k == 3))
    make.make("mine", data)
    assert [m.any() for m in masks().values()] == [k == 3 for k in range(8)]


@pytest.mark.parametrize("ordered", [True, False])
def test_classes_in_another_order_than_dataset_json_are_asked_about(data, tmp_path, ordered):
    for k in range(3):
        put(data / "imagesTr" / f"p{k}_0000.png", grey(seed=k))
        put(data / "labelsTr" / f"p{k}.png", blob(k, 1 + k % 2))
    told = {"labels": {"background": 0, "vessel": 1, "nerve": 2}}
    (data / "dataset.json").write_text(json.dumps(told))
    classes = [{"name": "nerve"}, {"name": "vessel"}]
    classes = classes[::-1] if ordered else classes
    if not ordered:
        with pytest.raises(
            StudyError, match=r"nerve stands at place 1 of .* value 2 in dataset.json"
        ):
            make.make("mine", data, write(tmp_path / "f.yml", {"classes": classes}))
        classes = [c | {"labels": [v]} for c, v in zip(classes, (2, 1), strict=True)]
    make.make("mine", data, write(tmp_path / "f.yml", {"classes": classes}))
    study, found = studies.load("mine"), masks()
    names = [study.classes[found[f"p{k}_0000"].max()].name for k in range(3)]
    assert names == ["vessel", "nerve", "vessel"]


def test_numbers_in_a_form_need_no_quotes(data, tmp_path):
    for k in range(4):
        put(data / f"{k}.png", grey(seed=k))
        put(data / f"{k}_mask.png", blob(k, 127) + blob(k + 3, 255) * (blob(k) == 0))
    told = {"classes": [{"name": "nerve", "labels": [127]}], "ignored": [255], "exclude": {3: "x"}}
    make.make("mine", data, write(tmp_path / "f.yml", told))
    found = masks()
    assert sorted(found) == ["0", "1", "2"]
    assert all(np.array_equal(found[str(k)], blob(k)) for k in range(3))


@pytest.mark.parametrize(
    ("values", "known"), [((1, 3), ["class_1", "class_3"]), ((128,), ["structure"])]
)
def test_values_that_leave_gaps(data, values, known):
    def held(k):
        mask = np.zeros((40, 60), np.uint8)
        for s, value in enumerate(values):
            mask[blob(k + s) > 0] = value
        return mask

    for k in range(3):
        put(data / f"p{k}.png", grey(seed=k))
        put(data / f"p{k}_mask.png", held(k))
    make.make("mine", data)
    assert [c.name for c in studies.load("mine").foreground] == known
    for k, found in enumerate(masks().values()):
        assert np.array_equal(np.array([0, *values])[found], held(k))


def test_the_labels_of_vias_table_are_the_classes(data):
    rows = ["filename,file_size,file_attributes,region_count,region_id,region_shape_attributes"]
    rows[0] += ",region_attributes"
    shape = {"name": "rect", "x": 8, "y": 5, "width": 22, "height": 10}
    for k in range(3):
        put(data / f"p{k}, left.png", grey(seed=k))
        cells = [json.dumps(c).replace('"', '""') for c in (shape, {"kind": "nerve"})]
        rows.append(f'"p{k}, left.png",1,"{{}}",1,0,"{cells[0]}","{cells[1]}"')
    (data / "via.csv").write_text("\n".join(rows))
    make.make("mine", data)
    assert [c.name for c in studies.load("mine").foreground] == ["nerve"]


# --- another's mask


@pytest.mark.parametrize(("step", "place"), [(0, None), (1, "before"), (-1, "after")])
def test_masks_of_the_next_picture_stand_first(data, step, place):
    for k in range(6):
        put(data / "images" / f"p{k}.png", shown(blob(k), seed=k))
        put(data / "masks" / f"p{k}.png", blob(k + step))
    said = first(make.make("mine", data))
    words = f"of 5 pictures fit the outline of the picture {place} them better than their own"
    assert (words in said) == (place is not None) and ("better than" in said) == (place is not None)


def test_outlines_that_fit_no_picture_are_not_said_to_fit_the_next(data):
    for k in range(6):
        put(data / "images" / f"p{k}.png", shown(blob(0), seed=k))
        put(data / "masks" / f"p{k}.png", np.roll(blob(k), (20, 30), (0, 1)))
    assert "better than" not in first(make.make("mine", data))


@pytest.mark.parametrize("share", [0.6, 1.0])
def test_a_mask_of_the_whole_ultrasound_stands_first(data, share):
    y, x = np.mgrid[:120, :160]
    fan = (np.abs(x - 80) < 10 + y / 2) & (y < 118)
    for k in range(3):
        speckle = np.random.default_rng(k).integers(40, 250, fan.shape)
        put(data / f"p{k}.png", (speckle * fan).astype(np.uint8))
        put(data / f"p{k}_mask.png", (fan & (y < 118 * share)).astype(np.uint8))
    assert ("is this the mask of the field" in first(make.make("mine", data))) == (share == 1)


def volume(path, pixels, columns, rows):
    """A NIfTI file whose header says where columns and rows run: 1 or -1 (-1, -1: as ITK)."""
    path.parent.mkdir(exist_ok=True)
    affine = np.diag([0.1 * columns, 0.1 * rows, 1.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(pixels.T[..., None], affine), path)


@pytest.mark.parametrize(
    ("columns", "rows", "words"),
    [
        (-1, -1, None),
        (1, -1, "mirrored left to right against its picture.* change: \\[mirror\\]"),
        (-1, 1, "turned upside down against its picture.* change: \\[upside_down\\]"),
    ],
)
@pytest.mark.parametrize("end", ["nii", "png"])
def test_masks_that_headers_say_are_stored_mirrored(data, end, columns, rows, words):
    for k in range(3):
        if end == "nii":
            volume(data / "images" / f"p{k}.nii", grey(seed=k), -1, -1)
        else:
            put(data / "images" / f"p{k}.png", grey(seed=k))
        volume(data / "masks" / f"p{k}.nii", blob(k), columns, rows)
    said = first(make.make("mine", data))
    assert ("by its header the mask is stored" in said) == (words is not None)
    assert words is None or len(re.findall(words, said)) == 3


def test_an_affine_that_only_scales_says_nothing_of_rows(data, capsys):
    for k in range(3):
        put(data / f"p{k}.png", grey(40, 40, seed=k))
        volume(data / f"p{k}_mask.nii", blob(k)[:, :40], 1, 1)
    make.make("mine", data)
    assert "rows and columns may be exchanged" in capsys.readouterr().out


@pytest.mark.parametrize("end", ["mhd", "nhdr"])
def test_headers_and_values_from_picture_to_ledger(data, end, capsys):
    """As CAMUS has them: each header with the file of its values, both counted."""
    for k in range(3):
        for name, pixels in ((f"p{k}", grey(seed=k)), (f"p{k}_gt", blob(k))):
            SimpleITK.WriteImage(SimpleITK.GetImageFromArray(pixels), str(data / f"{name}.{end}"))
    make.make("mine", data)
    assert all(np.array_equal(m, blob(k)) for k, m in enumerate(masks().values()))
    said = capsys.readouterr().out
    for line in ("pictures used: 3", "masks and outlines: 3", "values that a header names: 6"):
        assert line in said


def test_colour_volumes_are_asked_for_their_frames(data):
    """A picture of NIfTI's colour axis, beside masks that name no frame."""
    for k in range(3):
        colour = np.repeat(grey(seed=k).T[:, :, None, None, None], 3, 4)
        nibabel.save(nibabel.Nifti1Image(colour, np.diag([-0.1, -0.1, 1, 1])), data / f"p{k}.nii")
        put(data / f"p{k}_mask.png", blob(k))
    make.make("mine", data)
    assert all(np.array_equal(m, blob(k)) for k, m in enumerate(masks().values()))
