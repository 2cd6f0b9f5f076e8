"""Whose a mask is, where its pixels lie, and what it outlines: folders in which a wrong one would
be taken without a word.
"""

import html
import json
import re

import numpy as np
import pytest
import SimpleITK
from intake_folder import images, write
from pictures import dicom, grey, save

from helpers import readers, studies
from helpers.errors import StudyError
from tools.intake import find, spreadsheet
from tools.intake.make import make

pytestmark = pytest.mark.usefixtures("root")


def outline(k):
    """A rectangle without a corner, whose place says of which picture it is."""
    mask = np.zeros((40, 60), np.uint8)
    mask[5 + k % 20 : 17 + k % 20, 8 + k // 2 : 30 + k // 2] = 255
    mask[5 + k % 20, 8 + k // 2] = 0  # no box
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
    assert "named after different things (nerve in 4, artery in 4;" in first
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
    (data / "a.csv").write_text("epoch,set\n1,train\n1,val\n")  # are these pictures?
    (data / "split.csv").write_text("image,Split\n" + rows)
    first, _ = made(data)
    assert "a.csv says in column 'set' what pictures are for, but it is not clear of which" in first
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
    with pytest.raises(
        StudyError, match=r"images/6\.png is train by train\.txt, test by test\.txt"
    ):
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
    told = [{"quality": "good", "anatomy": "kidney"}, {"quality": None, "anatomy": "kidney"}]
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
    with pytest.raises(
        StudyError, match=r"outlines have several attributes \(anatomy: kidney, quality: good\)"
    ):
        make("mine", data)
    made(data, {"classes": [{"name": "kidney"}]})


def test_colour_of_a_metaimage_is_grey(tmp_path):
    pixels = np.repeat(grey()[..., None], 3, 2)
    SimpleITK.WriteImage(
        SimpleITK.GetImageFromArray(pixels, isVector=True), str(tmp_path / "a.mha")
    )
    assert np.array_equal(readers.one_picture(tmp_path / "a.mha").pixels, grey()[None])


@pytest.mark.parametrize("slices", [1, 3])
def test_three_equal_slices_are_colour_unless_each_has_an_outline(root, data, slices):
    """PSFHS stores a picture as 3 × rows × columns; a still cine has as many masks as frames."""
    for k in range(3):
        volume(data / f"{k}.mha", np.repeat(grey(seed=k)[None], 3, 0))
        volume(data / f"{k}_seg.mha", np.repeat(outline(k)[None] // 255, slices, 0))
    made(data)
    cells = [f"{k}.mha#{n}" for k in range(3) for n in range(slices)]
    assert list(pairs(root)) == cells
    for cell in cells:
        assert np.array_equal(readers.read_image(data / cell)[0], grey(seed=int(cell[0])))


# --- right folders that must not be refused, nor cry for nothing


def quiet(first):
    """Whether nothing stands first but what every small folder without patients has."""
    return "1) No patient is known" in first and "No picture stood out" in first


@pytest.mark.parametrize(
    ("picture", "mask"),
    [
        ("images{s}/c_{k}_0000.png", "labels{s}/c_{k}.png"),
        ("{w}Set/{k}.png", "{w}Labels/{k}.png"),
        ("{w}Images/{k}.png", "{w}Masks/{k}.png"),
        ("{w}/{k}.png", "train_test_masks/{k}.png"),
        ("{w}/{k}.png", "masks/rater Test/{k}.png"),
        ("img/{w}/{k}.png", "msk/Train-Test/{k}.png"),
    ],
)
def test_folders_of_splits_and_raters_are_no_structures(root, data, picture, mask):
    named = [("Tr", "Train", k) for k in range(6)] + [("Ts", "Test", k) for k in range(6, 9)]
    files = [[n.format(s=s, w=w, k=k) for n in (picture, mask)] for s, w, k in named]
    put(data, *((i, m, k) for k, (i, m) in enumerate(files)))
    first, _ = made(data)
    assert quiet(first), first
    assert pairs(root) == dict(map(tuple, files))


@pytest.mark.parametrize("form", [None, {"classes": [{"name": "nerve"}, {"name": "artery"}]}])
def test_numbered_masks_keep_their_numbers_whatever_their_folders_say(root, data, form):
    """In masks/artery lie label maps of both, in masks/nerve of the nerve alone."""
    both = np.zeros((40, 60), np.uint8)
    both[5:15, 8:30], both[20:30, 40:55] = 1, 2
    for k in range(8):
        put(data, (f"images/{k}.png", None, k))
        path = data / "masks" / ("nerve", "artery")[k % 2] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path, both if k % 2 else both * (both == 1))
    made(data, form)
    classes = studies.load("mine").classes
    read = [readers.read_mask(data / m, classes, shape=(40, 60)) for m in pairs(root).values()]
    assert np.array_equal(read[1], both) and np.array_equal(read[0], both * (both == 1))


def test_an_overlay_with_a_mask_of_its_name_is_no_picture(root, data):
    for k in range(4):
        put(
            data, (f"{k}.png", f"{k}_mask.png", k), (f"{k}_preview.png", f"{k}_preview_mask.png", k)
        )
    made(data)
    assert pairs(root) == {f"{k}.png": f"{k}_mask.png" for k in range(4)}


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ({"origin": (5, 5, 0)}, {}),  # a mask that was given a spacing and no place
        ({}, {"down": -1}),  # one slice has no order
        ({"spacing": (1, 1, 1), "origin": (3, 4, 0)}, {"spacing": (1, 1, 1)}),
    ],
)
def test_headers_that_say_nothing_cry_no_alarm(data, image, mask):
    for k in range(3):
        volume(data / f"v{k}.nii.gz", grey(seed=k)[None], **image)
        volume(data / f"v{k}_seg.nii.gz", outline(k)[None] // 255, **mask)
    assert quiet(made(data)[0])


# --- splits of several sources


def ten(data, where="images"):
    put(data, *((f"{where}/{k}.png", f"masks/{k}.png", k) for k in range(10)))
    return [f"{k}.png" for k in range(10)]


def table(path, rows, heads="image,split"):
    path.write_text("\n".join([heads, *(",".join(row) for row in rows)]))


def test_the_largest_table_says_the_split(root, data):
    names = ten(data)
    table(data / "s.csv", [(n, "test" if k > 6 else "train") for k, n in enumerate(names)])
    table(data / "a_few.csv", [(names[0], "train"), (names[8], "test")])
    made(data)
    split = images(root).set_index("image")["split"]
    assert {k for k in range(10) if split[f"images/{k}.png"] == "test"} == {7, 8, 9}


@pytest.mark.parametrize("other", ["list", "table", "folder"])
def test_sources_that_would_test_what_others_learn_from_are_refused(data, other):
    names = ten(data)
    table(data / "s.csv", [(n, "test" if k > 6 else "train") for k, n in enumerate(names)])
    if other == "list":
        (data / "train.txt").write_text("\n".join(names[2:8]))
    elif other == "table":
        table(data / "b.csv", [(n, "train" if k > 6 else "test") for k, n in enumerate(names)])
    else:
        for folder, kept in (("train", range(7)), ("test", range(7, 10))):
            (data / folder).mkdir()
            for k in kept:
                (data / "images" / f"{k}.png").rename(data / folder / f"{9 - k}.png")
    with pytest.raises(StudyError, match=r"is it to be learned from or tested\?"):
        make("mine", data)


@pytest.mark.parametrize(
    ("cell", "told"), [("", ""), ("nan", ""), ("excluded", "what it calls excluded was taken as")]
)
def test_one_odd_cell_does_not_lose_the_split(root, data, cell, told):
    names = ten(data)
    said = ["test" if k > 6 else "train" for k in range(10)]
    table(data / "s.csv", zip(names, [cell, *said[1:]], strict=True))
    first, _ = made(data)
    split = images(root).set_index("image")["split"]
    assert {k for k in range(10) if split[f"images/{k}.png"] == "test"} == {7, 8, 9}
    assert told in first and (bool(told) or quiet(first))


@pytest.mark.parametrize(
    ("rows", "heads", "told"),
    [
        ([("teach",), ("exam",)], "image,split", "its words exam, teach were not understood"),
        ([("train", "test"), ("test", "train")], "image,split,set", "could both say it"),
    ],
)
def test_a_split_that_is_not_understood_stands_first(data, rows, heads, told):
    table(data / "s.csv", [(n, *rows[k > 6]) for k, n in enumerate(ten(data))], heads)
    assert told in made(data)[0]


def test_epochs_of_a_training_are_no_patients(root, data):
    put(data, *((f"images/{k}_0.png", f"masks/{k}_0.png", k) for k in range(6)))
    table(
        data / "log.csv", [(str(k), "train" if k % 2 else "val") for k in range(6)], "epoch,phase"
    )
    first, rest = made(data, {"patient": {"pattern": "([0-9]+)_"}})
    assert "Folders, lists or a table" not in first + rest


@pytest.mark.parametrize("part", ["test_A.txt", "external.txt"])
def test_a_part_of_the_test_list_is_no_contradiction(root, data, part):
    names = ten(data)
    (data / "train.txt").write_text("\n".join(names[:6]))
    (data / "test.txt").write_text("\n".join(names[6:]))
    (data / part).write_text("\n".join(names[8:]))
    made(data)
    split = images(root).set_index("image")["split"]
    assert {k for k in range(10) if split[f"images/{k}.png"] in ("test", "external")} == {
        6,
        7,
        8,
        9,
    }


def test_lists_may_be_csv_and_patients_may_lose_their_zeros(root, data):
    names = ten(data)
    for name, own in (("train", names[:6]), ("test", names[6:])):
        table(data / f"{name}.csv", [(n, "12") for n in own], "file,pixels")
    made(data)
    split = images(root).set_index("image")["split"]
    assert {k for k in range(10) if split[f"images/{k}.png"] == "test"} == {6, 7, 8, 9}
    for name in ("train.csv", "test.csv"):
        (data / name).unlink()
    for k in range(10):
        for place in ("images", "masks"):
            (data / place / f"{k}.png").rename(data / place / f"{k:03d}_a.png")
    table(
        data / "p.csv", [(str(k), "test" if k > 7 else "train") for k in range(10)], "patient,set"
    )
    make("other", data, write(data.parent / "f.yml", {"patient": {"pattern": "([0-9]+)_a"}}))
    split = images(root, "other").set_index("patient_id")["split"]
    assert {k for k in range(10) if split[f"{k:03d}"] == "test"} == {8, 9}


def test_a_mask_of_a_patient_without_pictures_is_nobodys(root, data):
    for p in range(1, 5):
        put(data, *((f"images/P{p}/{k}.png", f"masks/P{p}/{k}.png", 5 * p + k) for k in (1, 2)))
    put(data, ("images/P5/1.png", "masks/P6/1.png", 30))
    made(data)
    assert "images/P5/1.png" not in pairs(root) and len(pairs(root)) == 8


def test_a_region_of_a_shrunk_dual_view_says_no_spacing(tmp_path):
    regions = ((0, 0, None, None, 0.02, 0.02), (500, 0, 1000, 700, 0.01, 0.01))
    path = dicom(tmp_path / "a.dcm", grey(), regions)
    inside = np.zeros((40, 60), bool)
    inside[5:9, 5:9] = True
    assert readers.one_picture(path).spacing_mm is None
    assert readers.spacing_at(path, inside)[0] is None


@pytest.mark.parametrize(
    ("regions", "expected"),
    [
        (((30, 0, None, None, 0.02, 0.01),), None),  # beside the outline
        (((0, 0, 29, 39, 0.02, 0.01),), (0.2, 0.1)),
        (((0, 0, 6, 39, 0.02, 0.01), (7, 0, 29, 39, 0.02, 0.01)), (0.2, 0.1)),  # it lies in both
    ],
)
def test_a_region_beside_the_outline_says_nothing_of_it(tmp_path, regions, expected):
    path = dicom(tmp_path / "a.dcm", grey(), regions)
    inside = np.zeros((40, 60), bool)
    inside[5:9, 5:9] = True
    found = readers.spacing_at(path, inside)[0]
    assert found == (expected and pytest.approx(expected))


def test_a_spacing_of_another_part_of_the_screen_stands_first(data):
    for k in range(3):
        dicom(
            data / f"{k}.dcm", grey(seed=k), ((45, 0, None, None, 0.02, 0.01),), PatientID=f"p{k}"
        )
        save(data / f"{k}_mask.png", outline(k))
    assert "0: its ultrasound regions have different spacings, or the outline lies" in made(data)[0]
