"""Layouts of public sets of images: what their folders, names and side files say is read rightly,
or asked about.
"""

import base64
import io
import json
import zlib

import numpy as np
import pandas as pd
import pytest
from intake_folder import images, write
from pictures import save
from PIL import Image
from test_intake_doubtful import first, outline, picture

from helpers import readers, studies
from helpers.errors import StudyError
from tools.intake.make import make

pytestmark = pytest.mark.usefixtures("root")


def put(data, files, numbers=range(12)):
    """Files: name with {k} → function of k that gives pixels, text, or None for no file."""
    for k in numbers:
        for name, draw in files.items():
            path, content = data / name.format(k=k), draw(k)
            if content is None:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                path.write_text(content, encoding="utf-8")
            else:
                save(path, content)


# --- what a network drew is no reference


@pytest.mark.parametrize(
    "predicted",
    ["test/{k}_pred.png", "test/{k}_predicted_mask.png", "predictions/{k}.png", "predsTs/{k}.png"],
)
def test_predictions_are_no_masks(root, data, predicted):
    put(data, {"train/{k}.png": picture, "train/{k}_mask.png": outline}, range(10))
    put(data, {"test/{k}.png": picture, predicted: outline}, range(10, 14))
    make("mine", data)
    assert sorted(images(root)["mask"]) == sorted(f"train/{k}_mask.png" for k in range(10))
    page = (root / "reports/mine/intake.html").read_text(encoding="utf-8")
    assert "4 files are called overlays, previews or predictions" in page


def test_predictions_alone_are_refused_and_said_to_be_so(root, data):
    put(data, {"images/{k}.png": picture, "predictions/{k}.png": outline})
    with pytest.raises(StudyError, match=r"12 files are called .* predictions .* If people drew"):
        make("mine", data)
    form = write(data.parent / "form.yml", {"masks": "predictions/{stem}.png"})
    make("mine", data, form)
    assert images(root)["mask"].tolist() == [f"predictions/{k}.png" for k in range(12)]


@pytest.mark.parametrize("name", ["masks/{k}_inferior.png", "predicting nerves/masks/{k}.png"])
def test_other_words_are_no_predictions(root, data, name):
    put(data, {"images/{k}.png": picture, name: outline})
    make("mine", data)
    assert images(root)["mask"].tolist() == [name.format(k=k) for k in range(12)]


# --- structures by folder and name


def some(k):
    return outline(k) if k % 3 else None


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("images/{k}.png", "masks/NAME/{k}_NAME.png"),
        ("images/{k}.png", "NAME_masks/{k}_NAME.png"),
        ("c{k}/c{k}_us/c{k}.png", "c{k}/c{k}_NAME/c{k}_NAME.png"),
        ("images/{k}.png", "masks/NAME/{k}.png"),
    ],
)
def test_a_structure_is_one_whether_others_are_drawn_or_not(root, data, image, mask):
    nerve, artery = (mask.replace("NAME", name) for name in ("nerve", "artery"))
    put(data, {image: picture, nerve: lambda k: outline(k + 9), artery: some})
    make("mine", data)
    study = studies.load("mine", "quick")
    assert [c.name for c in study.classes] == ["background", "artery", "nerve"]
    for _, row in images(root).iterrows():
        k = int("".join(c for c in row["image"].rsplit("/", 1)[-1] if c.isdigit()))
        mask = readers.read_mask(data / row["mask"], study.classes)
        expected = np.where(outline(k + 9) > 0, 2, np.where((outline(k) > 0) & (k % 3 > 0), 1, 0))
        assert (mask == expected).all(), row["image"]


def test_sides_and_structures_in_folder_and_name(data):
    put(
        data,
        {
            "images/{k}.png": picture,
            "masks/left/{k}_nerve.png": outline,
            "masks/right/{k}_nerve.png": lambda k: outline(k + 20) if k % 3 else None,
        },
    )
    make("mine", data)
    assert [c.name for c in studies.load("mine", "quick").classes[1:]] == [
        "left_nerve",
        "right_nerve",
    ]


def labelme(k, label):
    corners = [[10 + k, 10], [30 + k, 12], [28 + k, 40], [11 + k, 33]]
    shape = {"label": label, "points": corners, "shape_type": "polygon"}
    return json.dumps(
        {"shapes": [shape], "imagePath": f"{k}.png", "imageHeight": 60, "imageWidth": 80}
    )


def test_names_of_which_one_says_more_are_asked_about(data):
    put(
        data, {"{k}.png": picture, "{k}.json": lambda k: labelme(k, ("nerve", "nerve area")[k % 2])}
    )
    assert "no picture shows both: is it one structure" in first(data)


def test_captions_beside_outlines_are_no_second_rater(root, data):
    put(data, {"train/{k}.png": picture})
    named = [{"id": k, "file_name": f"{k}.png", "height": 60, "width": 80} for k in range(12)]
    drawn = [
        {"id": k, "image_id": k, "category_id": 1, "segmentation": [[10 + k, 9, 40, 12, 30, 44]]}
        for k in range(12)
    ]
    told = [{"id": k, "image_id": k, "caption": "a nerve"} for k in range(12)]
    (data / "annotations").mkdir()
    for name, own in (("instances_train.json", drawn), ("captions_train.json", told)):
        content = {"images": named, "annotations": own}
        content["categories"] = [{"id": 1, "name": "nerve"}] if own is drawn else []
        (data / "annotations" / name).write_text(json.dumps(content))
    make("mine", data)
    assert len(images(root)) == 12
    assert set(images(root)["mask"].str.partition("#")[0]) == {"annotations/instances_train.json"}


def test_what_labelme_unpacked_is_no_further_picture(root, data):
    unpacked = {"{k}_json/img.png": picture, "{k}_json/label.png": lambda k: outline(k, 1)}
    put(data, {"{k}.png": picture, "{k}.json": lambda k: labelme(k, "nerve")} | unpacked)
    make("mine", data)
    assert images(root)["mask"].tolist() == [f"{k}.json" for k in range(12)]


@pytest.mark.parametrize(
    ("words", "asked"),
    [(("apo", "fasc"), True), (("train", "test"), False), (("apo", "apo"), False)],
)
def test_folders_of_pictures_that_have_each_a_folder_of_masks(data, words, asked):
    for n, word in enumerate(words):
        numbers = range(6 * n, 6 * n + 6)
        put(data, {f"{word}_img/{{k}}.png": picture, f"{word}_mask/{{k}}.png": outline}, numbers)
    assert ("If each folder is of another structure" in first(data)) == asked


def walls(k):
    """A lumen, 1, and the wall around it, 2."""
    rows, columns = np.mgrid[:60, :80]
    away = np.hypot(rows - 30, columns - 30 - k)
    return np.where(away < 14, 1, np.where(away < 17, 2, 0)).astype(np.uint8)


@pytest.mark.parametrize(("keep", "asked"), [((1, 2), False), ((2,), True)])
def test_a_wall_around_what_is_marked_is_an_area(data, keep, asked):
    put(
        data,
        {
            "images/{k}.png": lambda k: picture(k) // 2 + 50 * walls(k),
            "masks/{k}.png": lambda k: walls(k) * np.isin(walls(k), keep).astype(np.uint8),
        },
    )
    assert ("around something that is not marked" in first(data)) == asked


# --- the name of a set says nothing of its files


@pytest.mark.parametrize(
    "above",
    ["Nerve segmentation", "BrEaST_images_and_masks", "annotations 2024/all", "predictions set"],
)
@pytest.mark.parametrize(
    ("image", "mask"),
    [("{k}.png", "{k}_mask.png"), ("trainval-image/{k}.png", "trainval-mask/{k}.png")],
)
def test_a_folder_above_everything_tells_nothing_apart(root, data, above, image, mask):
    put(data, {f"{above}/{image}": picture, f"{above}/{mask}": outline})
    make("mine", data)
    found = images(root)
    assert len(found) == 12
    ids = found["image_id"].str.rsplit("/").str[-1]
    assert found["mask"].tolist() == [f"{above}/{mask}".format(k=k) for k in ids]


def test_a_folder_of_masks_alone_lacks_its_pictures(data):
    put(data, {"masks/{k}.png": outline})
    with pytest.raises(StudyError, match="are named as masks, or lie in a folder named so"):
        make("mine", data)


# --- copies


def changed(k, how):
    """A picture mirrored or turned, brighter, and saved as JPEG."""
    pixels = np.clip(how(picture(k)).astype(float) * 1.2 + 5, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize(
    ("how", "asked"),
    [
        (np.fliplr, True),
        (np.flipud, True),
        (lambda p: np.rot90(p, 2), True),
        (lambda p: np.roll(p, 20, 1), False),
    ],
)
def test_mirrored_copies_are_seen_through_brightness_and_jpeg(data, how, asked):
    put(data, {"images/{k}.png": picture, "masks/{k}.png": outline})
    put(
        data,
        {
            "images/{k}_1.png": lambda k: changed(k, how),
            "masks/{k}_1.png": lambda k: np.ascontiguousarray(how(outline(k))),
        },
        range(5),
    )
    assert ("5 pictures are others mirrored or turned (0_1 of 0)" in first(data)) == asked


def test_versions_of_one_picture_by_roboflow(data):
    for n, code in enumerate(("4ac2", "91d0", "0e5f")):
        name = f"{{k}}_png.rf.{code * 8}"
        put(
            data,
            {
                f"train/{name}.jpg": lambda k, n=n: picture(k) // (n + 1),
                f"train/{name}_mask.png": outline,
            },
        )
    assert "24 pictures are called as changed copies of others" in first(data)


# --- what authors say of their split


def supervisely(k):
    rows, columns = np.nonzero(outline(k))
    crop = outline(k)[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    buffer = io.BytesIO()
    Image.fromarray(crop).save(buffer, "PNG")
    bitmap = base64.b64encode(zlib.compress(buffer.getvalue())).decode()
    place = {"data": bitmap, "origin": [int(columns.min()), int(rows.min())]}
    object_ = {"classTitle": "nerve", "geometryType": "bitmap", "bitmap": place, "tags": []}
    split = ("train", "train", "train", "val", "test")[k % 5]
    return json.dumps(
        {"tags": [{"name": split}], "size": {"height": 60, "width": 80}, "objects": [object_]}
    )


def test_supervisely_s_tags_are_the_authors_split(root, data):
    put(data, {"ds0/img/{k}.png": picture, "ds0/ann/{k}.png.json": supervisely})
    make("mine", data)
    found = images(root)
    expected = [("train", "train", "train", "val", "test")[int(i) % 5] for i in found["image_id"]]
    assert found["split"].tolist() == expected


def test_folders_of_folds_are_no_split(root, data):
    put(data, {"images/{k}.png": picture, "masks/{k}.png": outline})
    for fold in range(3):
        for split in ("train", "test"):
            own = [k for k in range(12) if (k % 3 == fold) == (split == "test")]
            path = data / f"splits/fold_{fold}/{split}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(map(str, own)))
    assert "splits/fold_0, splits/fold_1, splits/fold_2 hold the folds of" in first(data)


def test_lists_of_two_centres_are_both_the_split(root, data):
    """Lists of one name beside each other that contradict each other in nothing are no folds."""
    put(data, {"images/{k}.png": picture, "masks/{k}.png": outline})
    tests = {"bern": [0, 1], "basel": [6, 7]}
    for start, (centre, tested) in zip((0, 6), tests.items(), strict=True):
        (data / centre).mkdir()
        own = [k for k in range(start, start + 6) if k not in tested]
        (data / centre / "train.txt").write_text("\n".join(map(str, own)))
        (data / centre / "test.txt").write_text("\n".join(map(str, tested)))
    make("mine", data)
    found = images(root)
    assert set(found.loc[found["split"] == "test", "image_id"]) == {"0", "1", "6", "7"}


@pytest.mark.parametrize("column", ["kFold", "fold", "cv fold"])
def test_a_table_of_folds_names_its_pictures(data, column):
    put(data, {"images/bus{k}.png": picture, "masks/bus{k}.png": outline})
    names, folds = [f"bus{k}" for k in range(12)], [k % 5 + 1 for k in range(12)]
    table = pd.DataFrame({"ID": names, column: folds})
    table.to_csv(data / "5-fold-cv.csv", index=False)
    text = first(data)
    assert "5-fold-cv.csv holds the folds of a cross-validation" in text
    assert "name none of them" not in text


@pytest.mark.parametrize(
    ("heading", "offered"), [("pixel size(mm)", True), ("head circumference (mm)", False)]
)
def test_a_table_of_pixel_sizes_is_offered(root, data, heading, offered):
    put(data, {"images/{k}.png": picture, "masks/{k}.png": outline})
    table = pd.DataFrame({"filename": [f"{k}.png" for k in range(12)], heading: 0.07})
    table.to_csv(data / "sizes.csv", index=False)
    page = make("mine", data).read_text(encoding="utf-8")
    assert ("sizes.csv says the size of a pixel in mm for every picture" in page) == offered
    if offered:
        make("mine", data, write(data.parent / "form.yml", {"spacing_mm": "sizes.csv"}))
        assert images(root)["pixel_spacing_mm"].astype(float).tolist() == [0.07] * 12


def test_a_licence_beside_masks_is_no_lost_picture(data):
    put(data, {"images/{k}.png": picture, "masks/{k}.png": outline})
    for name in ("images/LICENSE.txt", "masks/LICENSE.txt", "LICENSE.md"):
        (data / name).write_text("CC BY 4.0")
    assert "of a kind that is not read" not in first(data)


def test_masks_in_jpeg_are_refused_with_a_way_out(data):
    put(data, {"images/{k}.png": picture, "masks/{k}.jpg": outline})
    with pytest.raises(StudyError, match="black and white again: magick"):
        make("mine", data)
