"""Whose a mask is, where its pixels lie, and what it outlines: folders in which a wrong one would
be taken without a word.
"""

import html
import json
import re

import numpy as np
import pytest
import SimpleITK
from intake_folder import empty_root, images, write
from pictures import dicom, grey, save

from helpers import readers, studies
from helpers.errors import StudyError
from tools.intake import find, spreadsheet
from tools.intake.make import make


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    return empty_root(tmp_path, monkeypatch)


@pytest.fixture
def data(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def outline(k):
    """A rectangle whose place says of which picture it is."""
    mask = np.zeros((40, 60), np.uint8)
    mask[5 + k % 20 : 17 + k % 20, 8 + k // 2 : 30 + k // 2] = 255
    return mask


def put(data, *pairs):
    """Pictures and masks, files or None: (picture, mask, number of both)."""
    for picture, mask, k in pairs:
        for name, pixels in ((picture, grey(seed=k)), (mask, outline(k))):
            if name:
                (data / name).parent.mkdir(parents=True, exist_ok=True)
                path = data / name
                dicom(path, pixels, PatientID=path.parent.name) if path.suffix == ".dcm" else save(
                    path, pixels
                )


def made(data, form=None):
    """(what stands first on the page, the rest of it) of the study 'mine'."""
    path = write(data.parent / "form.yml", form) if form else None
    text = make("mine", data, path).read_text(encoding="utf-8")
    text = re.sub(r"(?s)<style.*?</style>|<[^>]+>", " ", re.sub(r'src="[^"]*"', "", text))
    first, _, rest = html.unescape(" ".join(text.split())).partition("What was found")
    return first, rest


def pairs(root):
    return dict(images(root)[["image", "mask"]].itertuples(index=False))


# --- of another patient


@pytest.mark.parametrize(
    ("picture", "mask", "own"),
    [
        ("images/P{p}/{k}.png", "masks/P{p}/{k}.png", "images/P1/2.png"),
        ("P{p}/IM{k}.dcm", "P{p}/IM{k}_mask.png", "P1/IM2.dcm"),
        ("{p}/20{k}/us.png", "{p}/20{k}/us_mask.png", "1/202/us.png"),
    ],
)
def test_a_mask_of_another_patient_is_nobodys(root, data, picture, mask, own):
    """P1's second picture has no mask, the picture of P2's second mask is lost."""
    for p in (1, 2, 3):
        for k in (1, 2, 3):
            files = [name.format(p=p, k=k) for name in (picture, mask)]
            lost = {(1, 2): 1, (2, 2): 0}.get((p, k))
            files = [None if at == lost else name for at, name in enumerate(files)]
            put(data, (*files, 10 * p + k))
    _, rest = made(data)
    assert own not in pairs(root) and len(pairs(root)) == 7
    assert f"{own} no mask found" in rest or f"{own}: no mask found" in rest


def test_a_longer_name_is_not_its_own_where_others_have_their_exact_ones(root, data):
    put(data, *((f"images/P{p}.png", f"masks/P{p}.png", p) for p in (1, 2, 4, 5, 6)))
    put(data, ("images/P3.png", "masks/P3_visit2.png", 3))
    made(data)
    assert "images/P3.png" not in pairs(root) and len(pairs(root)) == 5


def test_longer_names_are_read_where_they_are_the_rule(root, data):
    put(data, *((f"P{p}.png", f"P{p}_nerve.png", p) for p in range(1, 7)))
    made(data)
    assert pairs(root) == {f"P{p}.png": f"P{p}_nerve.png" for p in range(1, 7)}


# --- pictures that are called as masks


@pytest.mark.parametrize(
    "named",
    [
        [(f"{p}/{k}.dcm", f"{p}/{k}_mask.png") for p in ("GT_01", "LEE_ANN", "KIM") for k in "12"],
        [
            (f"{p}/{k}.png", f"{p}/{k}_mask.png")
            for p in ("senior", "breast seg", "b")
            for k in "12"
        ],
        [
            (f"images/{p}_{k}.png", f"masks/{p}_{k}.png")
            for p in ("Ann", "Bob", "Seg")
            for k in "12"
        ],
        [(f"images/{k}_{p}.png", f"masks/{k}_{p}.png") for p in ("thumb", "Ann") for k in "123"],
    ],
)
def test_a_picture_with_a_mask_of_its_own_is_one_whatever_it_is_called(root, data, named):
    put(data, *((picture, mask, k) for k, (picture, mask) in enumerate(named)))
    made(data)
    assert pairs(root) == dict(named)


def test_a_mask_beside_masks_is_no_picture(root, data):
    put(data, *((f"images/{k}.png", f"masks/{k}.png", k) for k in range(6)))
    put(data, (None, "masks/0_mask.png", 0))
    assert find.outlined(find.everything(data)) == set()


def test_pictures_that_nobody_would_miss_stand_first(root, data):
    put(data, *((f"images/{k}.png", f"masks/{k}.png", k) for k in range(6)))
    put(data, *((f"GT/{k}.dcm", None, k) for k in (7, 8)))
    first, _ = made(data)
    assert "2 files were left out because they are named as masks" in first
    assert "GT/7.dcm, …" in first


def test_a_folder_of_nothing_but_masks_by_their_names_says_so(data):
    put(data, *((f"images_for_segmentation/{k}.png", f"masks/{k}.png", k) for k in range(3)))
    with pytest.raises(StudyError, match=r"6 are named as masks, or lie in a folder named so"):
        make("mine", data)


# --- where headers put them


def volume(path, values, origin=(0, 0, 0), spacing=(0.2, 0.2, 0.5), down=1):
    image = SimpleITK.GetImageFromArray(values)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection((1, 0, 0, 0, 1, 0, 0, 0, down))
    SimpleITK.WriteImage(image, str(path))
    return image


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"down": -1, "origin": (0, 0, 2)}, "has its slices in the other order"),
        ({"origin": (0, -1.8, 0)}, "lies -9.0 rows beside its picture"),
        ({"origin": (1, 0, 0)}, "lies +5.0 columns beside its picture"),
        ({"spacing": (0.6, 0.6, 0.5)}, "has other columns than its picture"),
        ({"origin": (0.05, 0, 7), "spacing": (0.2, 0.2, 3)}, ""),
        ({"spacing": (1, 1, 1)}, ""),  # a bare array: nothing is known
    ],
)
@pytest.mark.parametrize("end", [".nii.gz", ".nrrd", ".mha"])
def test_headers_that_put_a_mask_elsewhere_stand_first(data, changed, told, end):
    stack = np.stack([grey(seed=k) for k in range(5)])
    drawn = np.stack([outline(3 * k) // 255 for k in range(5)])
    for k in range(3):
        volume(data / f"v{k}{end}", np.roll(stack, k, 1))
        volume(data / f"v{k}_seg{end}", np.roll(drawn, k, 1), **changed)
    first, _ = made(data)
    wanted = f"v0_000: by its header the mask {told}"
    assert (wanted in first) if told else "by its header" not in first


def test_the_other_order_of_slices_is_what_itk_says():
    """Resampled onto its picture, a stack stored the other way round is turned, not as stored."""
    drawn = np.stack([outline(3 * k) for k in range(5)])
    picture = SimpleITK.GetImageFromArray(drawn)
    mask = SimpleITK.GetImageFromArray(np.ascontiguousarray(drawn[::-1]))
    mask.SetDirection((1, 0, 0, 0, 1, 0, 0, 0, -1))
    mask.SetOrigin((0, 0, 4))
    onto = SimpleITK.Resample(mask, picture, SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor)
    assert np.array_equal(SimpleITK.GetArrayFromImage(onto), drawn)


# --- what they outline


@pytest.mark.parametrize("mask", ["masks/{c}/{k}.png", "masks/{k}_{c}.png"])
def test_single_masks_named_after_different_structures_stand_first(root, data, mask):
    named = [(k, ("nerve", "artery")[k % 2]) for k in range(8)]
    put(data, *((f"images/{k}.png", mask.format(k=k, c=c), k) for k, c in named))
    first, _ = made(data)
    assert "named after different things (nerve in 4, artery in 4)" in first
    made(data, {"classes": [{"name": "nerve"}, {"name": "artery"}]})
    for k, c in named:
        read = readers.read_mask(
            data / pairs(root)[f"images/{k}.png"], studies.load("mine").classes, shape=(40, 60)
        )
        assert np.array_equal(read, (outline(k) > 0) * (1 if c == "nerve" else 2))


def test_a_single_structure_of_several_is_the_one_of_its_folder(root, data):
    """Every third picture has both; of the others the folder says which it is."""
    put(data, *((f"images/{k}.png", f"masks/artery/{k}.png", k) for k in range(9)))
    put(data, *((None, f"masks/nerve/{k}.png", 30 + k) for k in range(0, 9, 3)))
    made(data)
    classes = studies.load("mine").classes
    cells = pairs(root)
    assert [c.name for c in classes] == ["background", "artery", "nerve"]
    alone = readers.read_mask(data / cells["images/1.png"], classes, shape=(40, 60))
    both = readers.read_mask(data / cells["images/3.png"], classes, shape=(40, 60))
    assert set(np.unique(alone)) == {0, 1} and set(np.unique(both)) == {0, 1, 2}


def test_folders_of_the_split_name_no_structures(data):
    named = [("train", k) for k in range(6)] + [("test", k) for k in range(6, 9)]
    put(data, *((f"{s}/{k}.png", f"gt_{s}/{k}.png", k) for s, k in named))
    assert "different things" not in made(data)[0]


# --- whom, and for what


def test_two_spellings_of_one_patient_stand_first(data):
    put(data, *((f"{p}/{k}.dcm", f"{p}/{k}_mask.png", k) for k, p in enumerate(["007", "7", "b"])))
    put(data, *((f"{p}/{k}.dcm", f"{p}/{k}_mask.png", 9 + k) for k, p in enumerate("cdef")))
    assert "Patients '7' and '007' were taken as one" in made(data)[0]


def test_a_table_with_a_column_of_the_split_is_the_authors_own(root, data):
    put(data, *((f"images/{k}.png", f"masks/{k}.png", k) for k in range(10)))
    rows = "".join(f"{k}.png,{'Test' if k < 3 else 'train'}\n" for k in range(10))
    (data / "log.csv").write_text("loss,phase\n0.5,train\n0.25,val\n")  # of no picture
    (data / "a.csv").write_text("epoch,phase\n1,train\n1,val\n")  # are these pictures?
    (data / "split.csv").write_text("image,Split\n" + rows)
    first, _ = made(data)
    assert "a.csv has a column 'phase' that says what pictures are for" in first
    assert "log.csv" not in first
    split = images(root).set_index("image")["split"]
    assert {k for k in range(10) if split[f"images/{k}.png"] == "test"} == {0, 1, 2}


def test_a_table_of_patients_says_the_split(root, data):
    put(data, *((f"p{k}/a.png", f"p{k}/a_mask.png", k) for k in range(8)))
    rows = "".join(f"P{k};{'test' if k in (2, 5) else 'train'};x\n" for k in range(8))
    (data / "patients.csv").write_text("patient;set;note\n" + rows)
    made(data)
    split = images(root).set_index("image")["split"]
    assert {k for k in range(8) if split[f"p{k}/a.png"] == "test"} == {2, 5}


def test_a_picture_to_learn_from_and_to_test_is_refused(data):
    put(data, *((f"images/{k}.png", f"masks/{k}.png", k) for k in range(9)))
    (data / "train.txt").write_text("\n".join(map(str, range(7))))
    (data / "test.txt").write_text("6\n7\n8\n")
    with pytest.raises(StudyError, match=r"test\.txt: names images/6\.png, which train\.txt names"):
        make("mine", data)
    for name in ("train.txt", "test.txt"):
        (data / name).unlink()
    twice = "".join(f"{k},train\n" for k in range(8)) + "8,test\n0,test\n"
    (data / "split.csv").write_text("image,split\n" + twice)
    with pytest.raises(StudyError, match=r"split\.csv: images/0\.png is test and train"):
        make("mine", data)


def test_numbers_whose_zeros_a_spreadsheet_took_name_their_pictures(root, data):
    put(data, *((f"images/{k:03d}.png", f"masks/{k:03d}.png", k) for k in (1, 2, 10, 20, 100)))
    (data / "pics.csv").write_text("id;case\n1;a\n2;b\n10;c\n20;d\n100;a\n")
    made(data, {"patient": {"table": {"file": "pics.csv", "picture": "id", "patient": "case"}}})
    whose = images(root).set_index("image")["patient_id"]
    assert whose["images/001.png"] == whose["images/100.png"] == "a"
    assert whose["images/010.png"] == "c"


# --- what else was read otherwise than it was written


def test_names_in_another_encoding_are_refused_by_name(data):
    put(data, *((f"images/{k}.png", f"masks/{k}.png", k) for k in range(3)))
    try:
        (data / "images" / b"M\xfcller.png".decode("utf-8", "surrogateescape")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    with pytest.raises(StudyError, match=r"1 names are not UTF-8, such as b'images/M\\xfcller"):
        make("mine", data)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Patient;Alter;Größe (cm)\n1;40;170\n", "cp1252"),
        ("patient;sex\n1;男\n2;女\n", "gb18030"),
        ("患者编号;B超;CT值\n1;40;3\n", "gb18030"),
    ],
)
def test_two_letters_inside_of_a_word_are_no_chinese_sign(text, encoding):
    assert spreadsheet.decoded(text.encode(encoding))[0] == text


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        ({"Columns": 30, "Rows": 20, "PixelData": b"\1" * 600}, "reaches beyond the picture"),
        ({"PixelSpacing": [0.5, 0.5]}, "PixelSpacing says 0.5 × 0.5 mm, the ultrasound region"),
    ],
)
def test_a_spacing_that_the_header_contradicts_is_unknown(tmp_path, tags, told):
    picture = readers.one_picture(dicom(tmp_path / "a.dcm", grey(), **tags))
    assert picture.spacing_mm is None
    assert any(told in note for note in picture.notes)


def test_a_spacing_that_the_header_says_twice_is_known(tmp_path):
    picture = readers.one_picture(dicom(tmp_path / "a.dcm", grey(), PixelSpacing=[0.2, 0.1]))
    assert picture.spacing_mm == pytest.approx((0.2, 0.1))


def test_attributes_of_which_nobody_says_which_is_the_structure_are_refused(data):
    shape = {"name": "rect", "x": 5, "y": 5, "width": 20, "height": 10}
    for k in range(3):
        save(data / f"{k}.png", grey(seed=k))
    told = [{"quality": "good", "anatomy": "kidney"}, {"quality": "", "anatomy": "kidney"}]
    entries = {
        f"{k}": {
            "filename": f"{k}.png",
            "size": 1,
            "regions": [{"shape_attributes": shape, "region_attributes": told[k > 1]}],
            "file_attributes": {},
        }
        for k in range(3)
    }
    (data / "via.json").write_text(json.dumps(entries))
    with pytest.raises(StudyError, match=r"several attributes \(quality: good, anatomy: kidney\)"):
        make("mine", data)
    made(data, {"classes": [{"name": "kidney"}]})


def test_colour_of_a_metaimage_is_grey(tmp_path):
    pixels = grey()
    colour = SimpleITK.GetImageFromArray(np.repeat(pixels[..., None], 3, 2), isVector=True)
    layers = SimpleITK.GetImageFromArray(np.repeat(pixels[None], 3, 0))
    for image, name in ((colour, "a.mha"), (layers, "b.mha")):
        SimpleITK.WriteImage(image, str(tmp_path / name))
        assert np.array_equal(readers.one_picture(tmp_path / name).pixels, pixels[None])
