"""Masks that mean something else than they seem to, and what the intake makes of them."""

import json

import imageio_ffmpeg
import nibabel
import numpy as np
import pytest
import SimpleITK
from intake_folder import images, write
from pictures import ONE, grey, save
from PIL import Image
from scipy import ndimage

from helpers import readers, studies
from helpers.errors import StudyError
from tools.intake import agreement, find, form
from tools.intake.make import make

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("root")]

PALETTES = ([0, 0, 0, 255, 0, 0, 0, 255, 0], [0, 0, 0, 0, 255, 0, 255, 0, 0])  # red 1, red 2


def drawn(structures=1):
    """Class indices (40, 60): an ellipse, and a second one beside it."""
    y, x = np.mgrid[:40, :60]
    mask = np.zeros((40, 60), np.uint8)
    for k in range(structures):
        mask[((y - 16) / 9) ** 2 + ((x - 18 - 24 * k) / 10) ** 2 < 1] = k + 1
    return mask


def put(data, mask, count=6):
    """Pictures p0 … and masks; mask: a function of the number to pixels or a picture."""
    for k in range(count):
        save(data / f"p{k}.png", grey(seed=k))
        made = mask(k)
        (made if isinstance(made, Image.Image) else Image.fromarray(made)).save(
            data / f"p{k}_mask.png"
        )


def read(data):
    """The masks as the study will read them, and its classes."""
    study = studies.load("mine")
    cells = studies.images(study)["mask"]
    return [readers.read_mask(data / c, study.classes) for c in cells], study.classes


def first(page):
    """What stands under 'Look at these first'."""
    text = page.read_text(encoding="utf-8")
    return text[text.index("Look at these first") : text.index("<h2>Refused")]


# --- palettes


def shuffled(k):
    """Two structures whose numbers, but not whose colours, differ from file to file."""
    picture = Image.fromarray(np.array([[0, 1, 2], [0, 2, 1]][k % 2], np.uint8)[drawn(2)])
    picture.putpalette(PALETTES[k % 2] + [0] * 759)
    return picture


def test_palettes_that_number_colours_differently_are_read_by_colour(data):
    put(data, shuffled)
    make("mine", data)
    masks, classes = read(data)
    assert [c.name for c in classes[1:]] == ["colour_00ff00", "colour_ff0000"]
    for mask in masks:
        assert np.array_equal(mask, np.array([0, 2, 1], np.uint8)[drawn(2)])


def test_such_palettes_are_asked_about_where_a_form_names_no_colours(data, tmp_path):
    put(data, shuffled)
    told = {"classes": [{"name": "nerve"}, {"name": "artery"}]}
    with pytest.raises(StudyError, match="the colour counts: #00ff00, #ff0000"):
        make("mine", data, write(tmp_path / "f.yml", told))
    for entry, colour in zip(told["classes"], ("#ff0000", "#00ff00"), strict=True):
        entry["labels"] = [colour]
    make("mine", data, write(tmp_path / "f.yml", told))
    assert all(np.array_equal(mask, drawn(2)) for mask in read(data)[0])


def test_a_palette_whose_background_is_not_its_first_colour(data):
    def white_first(k):
        picture = Image.fromarray(1 - drawn())
        picture.putpalette([255, 255, 255, 0, 0, 0] + [0] * 762)
        return picture

    put(data, white_first)
    make("mine", data)
    assert all(np.array_equal(mask, drawn()) for mask in read(data)[0])


# --- what a form changes

CHANGED = {
    "fill": lambda m: np.where(ndimage.binary_erosion(m), 0, m),
    "transpose": lambda m: m.T,
    "mirror": np.fliplr,
    "upside_down": np.flipud,
    "half_turn": lambda m: m[::-1, ::-1],
    "invert": lambda m: 1 - m,
}


@pytest.mark.parametrize("change", CHANGED)
def test_masks_are_changed_as_the_form_says(root, data, tmp_path, change):
    put(data, lambda k: np.ascontiguousarray(CHANGED[change](drawn())) * 255)
    make("mine", data, write(tmp_path / "f.yml", {"change": [change]}))
    assert images(root)["mask"][0] == f"{{p0_mask.png}}+{change}"
    assert all(np.array_equal(mask, drawn()) for mask in read(data)[0])


def test_a_mask_on_its_side_is_refused_with_the_line_to_write(data):
    put(data, lambda k: np.ascontiguousarray(drawn().T) * 255)
    with pytest.raises(StudyError, match=r"exchanged: if it lies .* change: \[transpose\]"):
        make("mine", data)


def test_only_one_structure_can_be_inverted(data, tmp_path):
    put(data, lambda k: drawn(2))
    with pytest.raises(StudyError, match="only a mask of one structure can be inverted"):
        make("mine", data, write(tmp_path / "f.yml", {"change": ["invert"]}))


def test_a_picture_that_exif_turns_away_from_its_mask(data):
    turned = Image.Exif()
    turned[0x0112] = 6
    for k in range(4):
        Image.fromarray(grey(seed=k)).save(data / f"p{k}.jpg", exif=turned)
        save(data / f"p{k}_mask.png", drawn() * 255)
    with pytest.raises(StudyError, match="before it was turned as its EXIF entry says"):
        make("mine", data)


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (255 * (1 - drawn()), "% of the picture, with its four corners"),
        (np.full((40, 60), 255, np.uint8), "covers 100% of the picture"),
        (255 * CHANGED["fill"](drawn()), "a ring of one or two pixels"),
    ],
)
def test_what_is_no_area_stands_first(data, mask, words):
    put(data, lambda k: mask.astype(np.uint8))
    assert words in first(make("mine", data))


@pytest.mark.parametrize(("wall", "doubt"), [(3, "a ring of 4 pixels"), (9, "")])
def test_a_ring_is_doubted_where_it_is_thin_for_its_size(wall, doubt):
    y, x = np.mgrid[:90, :90]
    disc = np.hypot(y - 45, x - 45) < 30
    ring = disc & ~ndimage.binary_erosion(disc, iterations=wall)
    found = agreement.thin(ring)
    assert found.startswith(doubt) and bool(found) == bool(doubt)


# --- values


@pytest.mark.parametrize("values", [(254, 255), (1, 255)])
def test_one_structure_in_two_values_is_asked_about(data, tmp_path, values):
    put(data, lambda k: drawn() * values[k % 2])
    with pytest.raises(StudyError, match="and none in two"):
        make("mine", data)
    told = {"classes": [{"name": "nerve", "labels": [str(v) for v in values]}]}
    make("mine", data, write(tmp_path / "f.yml", told))
    assert all(np.array_equal(mask, drawn()) for mask in read(data)[0])


def test_what_nnunet_ignores_is_no_class(data, tmp_path):
    for k in range(6):
        for folder, pixels in (("imagesTr", grey(seed=k)), ("labelsTr", drawn(2))):
            (data / folder).mkdir(exist_ok=True)
            save(data / folder / f"c{k}{'_0000' * (folder == 'imagesTr')}.png", pixels)
    named = {"labels": {"background": 0, "nerve": 1, "ignore": 2}}
    (data / "dataset.json").write_text(json.dumps(named))
    with pytest.raises(StudyError, match=r'the value 2 \'ignore\'.* ignored: \["2"\]'):
        make("mine", data)
    make("mine", data, write(tmp_path / "f.yml", {"ignored": ["2"]}))
    assert [c.name for c in studies.load("mine").foreground] == ["nerve"]


# --- COCO


def entry(k, **more):
    return {"id": k, "image_id": 0, "category_id": 1, "segmentation": [SQUARE]} | more


SQUARE = [8, 5, 30, 5, 30, 15, 8, 15]
INSIDE = [12, 8, 20, 8, 20, 12, 12, 12]
CROWD = {"size": [40, 60], "counts": [0, 40, 2360]}
REFUSED = {
    "a crowd beside outlines": (
        [entry(1), entry(2, segmentation=CROWD, iscrowd=1)],
        "marked iscrowd",
    ),
    "a hole as a ring": ([entry(1, segmentation=[SQUARE, INSIDE])], "rings lies inside another"),
    "fractions": ([entry(1, segmentation=[[0.1, 0.1, 0.5, 0.1, 0.5, 0.5]])], "between 0 and 1"),
    "a box alone": ([entry(1, segmentation=[], bbox=[1, 1, 9, 9])], "a box alone"),
}


def test_coco_files_called_after_the_folder_of_their_pictures(root, data):
    """Pictures of one name in two splits, as each split numbers its own."""
    (data / "annotations").mkdir()
    for place, x in (("train2017", 8), ("val2017", 20)):
        square = [x, 5, x + 10, 5, x + 10, 15, x, 15]
        content = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "nerve"}]}
        for k in range(4):
            (data / place).mkdir(exist_ok=True)
            save(data / place / f"{k}.png", grey(seed=k + x))
            content["images"].append({"id": k, "file_name": f"{k}.png", "height": 40, "width": 60})
            content["annotations"].append(entry(k, image_id=k, segmentation=[square]))
        (data / "annotations" / f"instances_{place}.json").write_text(json.dumps(content))
    make("mine", data)
    frame = images(root)
    assert frame["mask"].str.contains("train2017").sum() == 4
    for image, mask in zip(frame["image"], read(data)[0], strict=True):
        x = 8 if "train" in image else 20
        assert mask[5:15, x : x + 10].all() and mask.sum() == 100


@pytest.mark.parametrize("kind", REFUSED)
def test_outlines_of_coco_that_would_be_read_wrongly(tmp_path, kind):
    annotations, words = REFUSED[kind]
    content = {
        "images": [{"id": 0, "file_name": "p.png", "height": 40, "width": 60}],
        "categories": [{"id": 1, "name": "nerve"}],
        "annotations": annotations,
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(StudyError, match=words):
        readers.read_mask(tmp_path / "a.json", ONE)


def test_coco_for_jpeg_in_folders_of_one_name_each(root, data):
    """Names with folders, the same in two of them; URL letters; the authors' split."""
    for place in ("train2017", "val2017"):
        (data / place).mkdir()
        content = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "nerve"}]}
        for k in range(4):
            save(data / place / f"{k}.jpg", grey(seed=k + 9 * len(place)), quality=95)
            name = f"{place}/{k}.jpg" if k else f"{place}%2F0.jpg"
            content["images"].append({"id": k, "file_name": name, "height": 40, "width": 60})
            content["annotations"].append(entry(k, image_id=k))
        (data / f"{place}.json").write_text(json.dumps(content))
    make("mine", data)
    frame = images(root)
    assert frame["mask"].tolist()[:2] == [
        "train2017.json#train2017%2F0.jpg",
        "train2017.json#train2017/1.jpg",
    ]
    assert all(mask.sum() == 220 for mask in read(data)[0])
    learned = frame["image"].str.startswith("train2017")
    assert set(frame.loc[learned, "split"]) == {"train", "test"}
    assert set(frame.loc[~learned, "split"]) == {"val"}


def test_two_coco_files_for_one_picture_are_nobodys(data):
    save(data / "p0.png", grey())
    for who in ("anna", "ben"):
        content = {
            "images": [{"id": 0, "file_name": "p0.png", "height": 40, "width": 60}],
            "categories": [{"id": 1, "name": "nerve"}],
            "annotations": [entry(1)],
        }
        (data / f"{who}.json").write_text(json.dumps(content))
    with pytest.raises(StudyError, match="2 masks could be its own: anna"):
        make("mine", data)


# --- other files, and files beside them


def stack(path, planes):
    """Planes uint8 (n, rows, columns) as a stack in one file."""
    if path.suffix == ".tif":
        first, *more = map(Image.fromarray, planes)
        first.save(path, save_all=True, append_images=more)
    elif path.suffix == ".mp4":
        rows, columns = planes.shape[1:]
        writer = imageio_ffmpeg.write_frames(
            str(path), (columns, rows), macro_block_size=2, quality=9
        )
        writer.send(None)
        for plane in planes:
            writer.send(np.repeat(plane[..., None], 3, 2).tobytes())
        writer.close()
    elif path.suffix == ".mha":
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(planes), str(path))
    else:
        image = nibabel.Nifti1Image(planes.transpose(2, 1, 0), np.diag([0.1, 0.2, 1, 1]))
        nibabel.save(image, path)


@pytest.mark.parametrize("picture", ["tif", "nii.gz", "mha", "mp4"])
@pytest.mark.parametrize("mask", ["nii.gz", "tif"])
def test_a_cine_and_a_stack_of_as_many_masks(root, data, picture, mask):
    drawn_on = np.stack([drawn(), 0 * drawn(), np.roll(drawn(), 9, 1)])
    for k in range(3):
        frames = np.stack([grey(seed=10 * k + j) for j in range(3)])
        stack(data / f"p{k}.{picture}", frames)
        stack(data / f"p{k}_mask.{mask}", drawn_on)
    make("mine", data)
    frame = images(root)
    assert frame["image"].tolist()[:2] == [f"p0.{picture}#0", f"p0.{picture}#2"] and len(frame) == 6
    masks, _ = read(data)
    assert np.array_equal(masks[0], drawn()) and np.array_equal(masks[1], np.roll(drawn(), 9, 1))


def as_float(path, mask):
    Image.fromarray(mask.astype(np.float32)).save(path)


def as_itk(path, mask):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(mask[None]), str(path))


@pytest.mark.parametrize(
    ("ending", "write_one"),
    [("tif", as_float), ("mha", as_itk), ("nrrd", as_itk), ("gif", lambda p, m: save(p, m * 255))],
)
def test_masks_in_further_files(data, ending, write_one):
    for k in range(4):
        Image.fromarray(grey(seed=k)).save(data / f"p{k}.webp", lossless=True)
        write_one(data / f"p{k}_mask.{ending}", drawn())
    make("mine", data)
    assert all(np.array_equal(mask, drawn()) for mask in read(data)[0])
    assert np.array_equal(readers.read_image(data / "p0.webp")[0], grey(seed=0))


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (drawn() * np.float32(0.37), "probabilities, JPEG"),
        (0 * drawn(), "hold nothing but background"),
        (np.stack([grey(seed=k) for k in range(3)], 2), "outlines drawn into them"),
    ],
)
def test_what_is_no_mask_is_said(data, mask, words):
    for k in range(4):
        save(data / f"p{k}.png", grey(seed=k))
        save(data / f"p{k}_mask.tif", mask)
    with pytest.raises(StudyError, match=words):
        make("mine", data)


def test_cvat_names_its_colours_and_draws_objects_beside(data):
    for k in range(4):
        for folder in ("JPEGImages", "SegmentationClass", "SegmentationObject", "overlays"):
            (data / folder).mkdir(exist_ok=True)
        save(data / "JPEGImages" / f"p{k}.jpg", grey(seed=k))
        colours = np.array([[0, 0, 0], [250, 50, 83], [61, 245, 61]], np.uint8)
        save(data / "SegmentationClass" / f"p{k}.png", colours[drawn(2)])
        save(data / "SegmentationObject" / f"p{k}.png", colours[::-1][drawn(2)])
        save(data / "overlays" / f"p{k}.png", np.repeat(grey(seed=k)[..., None], 3, 2))
    told = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nnerve:250,50,83::\n"
    (data / "labelmap.txt").write_text(told + "artery:61,245,61::\n")
    make("mine", data)
    masks, classes = read(data)
    assert [c.name for c in classes[1:]] == ["artery", "nerve"]
    assert all(np.array_equal(m, np.array([0, 2, 1], np.uint8)[drawn(2)]) for m in masks)


def test_labels_of_itk_snap_under_any_name(data):
    for k in range(4):
        save(data / f"p{k}.png", grey(seed=k))
        planes = np.array([0, 7, 3], np.uint8)[drawn(2)][None]
        stack(data / f"p{k}_seg.nii.gz", planes)
    (data / "itksnap_labels.txt").write_text(
        '# ITK-SnAP Label Description File\n 0 0 0 0 0 0 0 "Clear Label"\n'
        ' 3 255 0 0 1 1 1 "artery"\n 7 0 0 255 1 1 1 "nerve"\n'
    )
    make("mine", data)
    masks, classes = read(data)
    assert [c.name for c in classes[1:]] == ["artery", "nerve"]
    assert all(np.array_equal(m, np.array([0, 2, 1], np.uint8)[drawn(2)]) for m in masks)


def test_further_channels_of_nnunet_are_said_and_frames_elsewhere_kept(root, data, capsys):
    for folder in ("imagesTr", "labelsTr"):
        (data / folder).mkdir()
    for k in range(4):
        save(data / "imagesTr" / f"c{k}_0000.png", grey(seed=k))
        save(data / "imagesTr" / f"c{k}_0001.png", grey(seed=k + 9))
        save(data / "labelsTr" / f"c{k}.png", drawn())
    make("mine", data)
    assert images(root)["image"].str.endswith("_0000.png").all()
    assert "4 files are further channels (imagesTr/c0_0001.png" in capsys.readouterr().out
    assert len(find.images(["a/c_0000.png", "a/c_0001.png"], form.Form())) == 2
    previews = ["previews/1.png", "masks/1.png"]  # the only pictures there are
    assert find.images(previews, form.Form()) == ["previews/1.png"]


def test_masks_beside_outlines_of_a_format_that_is_not_read(root, data):
    """Supervisely's export with masks holds both."""
    for k in range(4):
        for folder in ("img", "ann", "masks_machine"):
            (data / "ds" / folder).mkdir(parents=True, exist_ok=True)
        save(data / "ds" / "img" / f"p{k}.png", grey(seed=k))
        save(data / "ds" / "masks_machine" / f"p{k}.png", drawn())
        told = {"objects": [], "size": {"height": 40, "width": 60}}
        (data / "ds" / "ann" / f"p{k}.png.json").write_text(json.dumps(told))
    make("mine", data)
    assert images(root)["mask"].tolist() == [f"ds/masks_machine/p{k}.png" for k in range(4)]
