"""Whole sets that would be read in silence: copied outlines, numbered structures, slips, raters who
draw something else, DICOM numbers that merge or split people.
"""

import html
import json
import re

import numpy as np
import pytest
from intake_folder import images, write
from pictures import dicom, grey, save

from helpers.errors import StudyError
from tools.intake.make import make

pytestmark = pytest.mark.usefixtures("root")


def outline(k, value=255):
    """A disc, whose place says of which picture it is."""
    rows, columns = np.mgrid[:60, :80]
    inside = (rows - 20 - k % 12) ** 2 + (columns - 25 - k) ** 2 < 120 + 3 * k
    return (inside * value).astype(np.uint8)


def picture(k):
    """Speckle that is brighter where ``outline`` is."""
    return np.clip(grey(60, 80, seed=k) // 2 + outline(k, 90), 0, 255).astype(np.uint8)


def fill(data, masks, count=12, pictures=1):
    """images/k.png of outline k × pictures, and masks: name with {k} → function of k."""
    for k in range(count):
        files = {"images/{k}.png": lambda k: picture(pictures * k), **masks}
        for name, draw in files.items():
            path = data / name.format(k=k)
            path.parent.mkdir(parents=True, exist_ok=True)
            if (pixels := draw(k)) is not None:
                save(path, pixels)


def first(data, form=None):
    """What stands first on the page."""
    path = write(data.parent / "form.yml", form) if form else None
    text = make("mine", data, path).read_text(encoding="utf-8")
    text = re.sub(r"(?s)<style.*?</style>|<[^>]+>", " ", re.sub(r'src="[^"]*"', "", text))
    return html.unescape(" ".join(text.split())).partition("What was found")[0]


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda k: outline(0 if k in (4, 9) else k), "2 pictures have exactly the outline of"),
        (lambda k: outline(3), "pictures have exactly the outline of another one"),
        (outline, None),
        (lambda k: outline(k % 6), "6 pictures have exactly the outline of another one"),
        (lambda k: outline(k, 0 if k in (4, 9) else 255), None),  # nothing is outlined
    ],
)
def test_one_outline_of_two_pictures(data, draw, said):
    fill(data, {"masks/{k}.png": draw})
    text = first(data)
    assert said in text if said else "exactly the outline" not in text


def second(k):
    return outline(k + 20)


@pytest.mark.parametrize(
    ("first_mask", "second_mask", "each", "said"),
    [
        ("masks/class1/{k}.png", "masks/class2/{k}.png", 1, True),
        ("masks/{k}_mask_1.png", "masks/{k}_mask_2.png", 1, True),
        ("masks/{k}_mask_1.png", "masks/{k}_mask_2.png", 3, False),  # lesions, as many as there are
    ],
)
def test_as_many_numbered_masks_of_every_picture_may_be_structures(
    data, first_mask, second_mask, each, said
):
    fill(data, {first_mask: outline, second_mask: lambda k: None if k % each else second(k)})
    text = first(data)
    assert ("12 of 12 pictures have 2 masks each that differ by a number" in text) == said


def stray(k):
    mask = outline(k, 1)
    mask[5, 3] = 2
    return mask


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda k: outline(k, 2 if k == 7 else 1), "is outlined in 1 of 20 pictures (7): is it a"),
        (stray, "has at most 1 pixels in a picture"),
        (lambda k: outline(k, 1 + k % 2), None),
    ],
)
def test_a_class_that_is_a_slip(data, draw, said):
    fill(data, {"masks/{k}.png": draw}, count=20)
    text = first(data)
    assert said in text if said else "or a slip of" not in text


TWO = {"masks": {"anna": "anna/{stem}.png", "ben": "ben/{stem}.png"}, "reference": "anna"}


@pytest.mark.parametrize(
    ("ben", "said"),
    [
        (lambda k: 255 - outline(k), "ben: in 12 of 12 pictures nerve covers"),
        (lambda k: outline(k)[:, ::-1], "ben's outlines and those of the reference typically"),
        (lambda k: outline(k + 1), None),
        (outline, "ben's outlines are exactly those of the reference in 12 of 12 pictures"),
        (lambda k: outline(k, 0), "ben outlined nothing in 12 of 12 pictures"),
        (lambda k: outline(k) & ~np.roll(outline(k), (1, 1), (0, 1)), "ben: in 12 of 12 pictures"),
    ],
)
def test_a_second_raters_masks_are_looked_at_too(data, ben, said):
    fill(data, {"anna/{k}.png": outline, "ben/{k}.png": ben})
    text = first(data, TWO | {"classes": [{"name": "nerve", "labels": ["255"]}]})
    assert (said in text) if said else ("ben" not in text), text


def scan(data, name, k, **header):
    (data / name).parent.mkdir(parents=True, exist_ok=True)
    dicom(data / name, picture(k), **header)
    save((data / name).with_name(f"{(data / name).stem}_mask.png"), outline(k))


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (
            lambda p, k: {"PatientID": f"{p}{k}x"},
            "Each of 12 files has a patient number of its own",
        ),
        (lambda p, k: {"PatientID": f"P{max(p, 2)}"}, "Patient number 'P2' stands in the folders"),
        (
            lambda p, k: (
                {"PatientID": f"{p}0{k % 2}", "PatientName": f"N{p}AB^C"}
                | {"PatientBirthDate": "19500101"}
            ),
            "times files of one name and birth date have several patient numbers",
        ),
        (
            lambda p, k: {"PatientID": f"{p}0{k % 2}", "StudyInstanceUID": f"1.2.{p}"},
            "times files of one examination have several patient numbers (100 and 101)",
        ),
        (
            lambda p, k: {"PatientID": f"2020010{p}", "StudyDate": f"2020010{p}"},
            "Every patient's number is the date of the examination",
        ),
        (lambda p, k: {"PatientID": f"P{p}"}, None),
    ],
)
def test_dicom_numbers_that_merge_or_split_people(data, header, said):
    for p in range(1, 5):
        for k in range(3):
            name = f"person{p}/{k}.dcm"
            told = {"StudyInstanceUID": f"1.2.{p}.{k}"} | header(p, k)
            scan(data, name, 3 * p + k, **told)
    text = first(data)
    assert said in text if said else "patient number" not in text.lower()


def via(data, count=6, sizes=None):
    """One VIA file of all pictures; sizes: bytes that it notes of each, those of the files."""
    project = {}
    for k in range(count):
        path = data / f"{k}.png"
        save(path, picture(k))
        points = {"all_points_x": [20, 40, 40, 20], "all_points_y": [10, 10, 30, 30 + k]}
        region = {
            "shape_attributes": {"name": "polygon", **points},
            "region_attributes": {"a": "n"},
        }
        noted = path.stat().st_size if sizes is None else sizes(k)
        project[str(k)] = {"filename": path.name, "size": noted, "regions": [region]}
    (data / "via.json").write_text(json.dumps(project), encoding="utf-8")


@pytest.mark.parametrize(
    ("sizes", "asked"),
    [(None, False), (lambda k: 50_000 + k, True), (lambda k: 12345, False), (lambda k: -1, False)],
)
def test_via_outlines_of_a_picture_that_was_changed_since(data, sizes, asked):
    via(data, sizes=sizes)
    assert ("VIA outlined a file of 50,00" in first(data)) == asked


@pytest.mark.parametrize("what", ["images", "categories"])
def test_coco_ids_that_two_have_are_refused(data, what):
    content = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "nerve"}]}
    for k in range(6):
        save(data / f"{k}.png", picture(k))
        entry = {"id": k % 3 if what == "images" else k, "file_name": f"{k}.png"}
        content["images"].append(entry | {"height": 60, "width": 80})
        ring = {"segmentation": [[20, 10, 40, 10, 40, 30]], "category_id": 1}
        content["annotations"].append({"id": k, "image_id": entry["id"]} | ring)
    if what == "categories":
        content["categories"].append({"id": 1, "name": "artery"})
    (data / "coco.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(StudyError, match=rf"have one id, [01], under {what}: were two files put"):
        make("mine", data)


@pytest.mark.parametrize("name", ["dataset.json", "labelmap.txt"])
def test_two_sets_that_number_their_structures_otherwise_are_not_one(data, name):
    for n, (one, other) in enumerate([("nerve", "artery"), ("artery", "nerve")]):
        for k in range(5):
            for folder, pixels in (("images", picture(k + 5 * n)), ("masks", two(k + 5 * n, name))):
                path = data / f"set{n}/{folder}/{n}{k}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                save(path, pixels)
        text = json.dumps({"labels": {"background": 0, one: 1, other: 2}})
        if name == "labelmap.txt":
            text = f"background:0,0,0::\n{one}:255,0,0::\n{other}:0,255,0::\n"
        (data / f"set{n}" / name).write_text(text, encoding="utf-8")
    with pytest.raises(StudyError, match=rf"set0/{name} and set1/{name} name the labels diff"):
        make("mine", data)


def two(k, name):
    """Two structures, in numbers or in colours."""
    mask = outline(k, 1)
    mask[45:55, 5:30] = 2
    colours = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)
    return colours[mask] if name == "labelmap.txt" else mask


@pytest.mark.parametrize(
    ("draw", "asked"),
    [
        (lambda k: outline(k, 1 + k % 2), True),
        (lambda k: np.dstack([outline(k, 254 + k % 2), *2 * [outline(k, 0)]]), True),
        (lambda k: two(k, "dataset.json") if k % 2 else outline(k, 1), False),
    ],
)
def test_labels_of_which_no_picture_shows_both_are_asked_about(data, draw, asked):
    fill(data, {"masks/{k}.png": draw})
    assert ("and no picture shows both: is it one structure" in first(data)) == asked


@pytest.mark.parametrize(
    "number", ["ANONYMOUS", "0", "000", "Unknown", "anonymized", "N/A", "none"]
)
def test_what_stands_in_the_place_of_a_patient_is_nobody(root, data, number):
    for k in range(12):
        scan(data, f"{k}.dcm", k, PatientID=f"P{k // 2}" if k < 8 else number)
    text = make("mine", data).read_text(encoding="utf-8")
    assert "nothing says whose it is" in text
    assert set(images(root)["patient_id"]) == {"P0", "P1", "P2", "P3"}


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (lambda k: sorted(range(12), key=str).index(k), "at their place in the order 1, 10, 11, 2"),
        (lambda k: 11 - k, "at the same place from the other end"),
        (lambda k: min(k + 1, 11), "of the picture after them"),
        (lambda k: k, None),
    ],
)
def test_masks_in_another_order_than_their_pictures(data, order, said):
    """Mask number order(k) is the k-th picture's."""
    whose = {order(k): k for k in range(12)}
    fill(data, {"masks/{k}.png": lambda k: outline(3 * whose.get(k, 0))}, pictures=3)
    text = first(data)
    assert f"pictures fit the outline {said}" in text if said else "fit the outline" not in text
