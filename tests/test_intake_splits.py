"""The authors' own split: lists, JSON and folders that say it, and what is asked where they say it
only in part.
"""

import html
import json
import re

import numpy as np
import pytest
from intake_folder import images
from pictures import grey, save

from helpers.errors import StudyError
from tools.intake import splits
from tools.intake.make import make

pytestmark = pytest.mark.usefixtures("root")


def fill(data, names):
    """A picture and its mask of every name, in the folders of the names, beside masks/."""
    for k, name in enumerate(names):
        mask = np.zeros((40, 60), np.uint8)
        mask[5 + k % 20 : 17 + k % 20, 8 + k // 2 : 30 + k // 2] = 255
        for path, pixels in ((name, grey(seed=k)), (f"{name[:-4]}_mask.png", mask)):
            (data / path).parent.mkdir(parents=True, exist_ok=True)
            save(data / path, pixels)


def made(data):
    """What stands first on the page."""
    text = make("mine", data).read_text(encoding="utf-8")
    text = re.sub(r"(?s)<style.*?</style>|<[^>]+>", " ", re.sub(r'src="[^"]*"', "", text))
    return html.unescape(" ".join(text.split())).partition("What was found")[0]


def drawn(root):
    """split → numbers of its pictures."""
    rows = images(root)
    rows["k"] = rows["image_id"].str.extract(r"(\d+)$", expand=False).astype(int)
    return {split: sorted(own["k"]) for split, own in rows.groupby("split")}


NAMES = [f"{k:02d}.png" for k in range(1, 13)]
OWN = {"train": list(range(1, 9)), "val": [9, 10], "test": [11, 12]}


def lists(form):
    return {s: [form.format(k=k) for k in own] for s, own in OWN.items()}


@pytest.mark.parametrize("form", ["{k:02d}.png", r"C:\data\images\{k:02d}.png", "images/{k:02d}"])
@pytest.mark.parametrize("heading", [[], ["image"], ["file name"]])
def test_lists_are_read_however_they_name_their_pictures(root, data, form, heading):
    fill(data, NAMES)
    for split, lines in lists(form).items():
        (data / f"{split}.txt").write_text("\n".join(heading + lines), encoding="utf-8")
    assert "Look at these first (1) No patient is known" in made(data)
    assert drawn(root) == OWN


@pytest.mark.parametrize("word", ["image_", "case", "img-", "patient"])
def test_a_first_line_that_names_a_picture_is_no_heading(root, data, word):
    fill(data, [f"{word}{k:02d}.png" for k in range(1, 13)])
    for split, lines in lists(word + "{k:02d}").items():
        (data / f"{split}.txt").write_text("\n".join(lines), encoding="utf-8")
    assert "Look at these first (1) No patient is known" in made(data)
    assert drawn(root) == OWN


def test_texts_of_single_pictures_are_no_lists(data):
    names = [f"test_{k}.png" for k in range(1, 13)]
    fill(data, names)
    for name in names:
        (data / f"{name[:-4]}.txt").write_text("0 0.1 0.2 0.3 0.4 0.5 0.6", encoding="utf-8")
    assert "is called as a list" not in made(data)


@pytest.mark.parametrize("how", ["coco", "json"])
def test_json_says_the_split_too(root, data, how):
    fill(data, NAMES)
    named = lists("{k:02d}.png")
    if how == "json":
        (data / "split.json").write_text(json.dumps(named), encoding="utf-8")
    for split, lines in named.items() if how == "coco" else ():
        entries = [{"id": k, "file_name": name} for k, name in enumerate(lines)]
        content = json.dumps({"images": entries, "annotations": [], "categories": []})
        (data / f"instances_{split}.json").write_text(content, encoding="utf-8")
    made(data)
    assert drawn(root) == OWN


def test_a_line_that_names_no_picture_is_asked_about(root, data):
    fill(data, NAMES)
    for split, lines in lists("{k:02d}.png").items():
        lines = [line.replace("12.png", "l2.png1") for line in lines] + ["11.png"] * (
            split == "test"
        )
        (data / f"{split}.txt").write_text("\n".join(lines), encoding="utf-8")
    first = made(data)
    assert "test.txt: 1 of its 3 lines name no picture here, such as 'l2.png1'" in first
    assert 11 in drawn(root)["test"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("train.txt", "P01\nP02\nP03"),
        ("test.txt", "\n"),
        ("splits_final.json", json.dumps([{"train": ["01"], "val": ["02"]}])),
        ("split.json", "{"),
        ("dataset_split.json", json.dumps({"folds": 5})),
    ],
)
def test_a_list_that_is_not_understood_stands_first(data, file, text):
    fill(data, NAMES)
    (data / file).write_text(text, encoding="utf-8")
    assert f"{file} is called as a list of what pictures are for" in made(data)


def test_a_list_of_the_test_pictures_alone_leaves_the_others_to_learn_from(root, data):
    fill(data, NAMES)
    (data / "test.txt").write_text("11.png\n12.png", encoding="utf-8")
    made(data)
    assert drawn(root)["test"] == [11, 12]


def test_a_list_of_what_to_learn_from_alone_is_asked_about(root, data):
    fill(data, NAMES)
    (data / "train.txt").write_text("\n".join(NAMES[:8]), encoding="utf-8")
    assert "train.txt say only what train pictures are: the split was drawn anew" in made(data)


@pytest.mark.parametrize(
    ("folders", "asked"),
    [
        (("rest", "stress_test"), "stress_test"),
        (("carotid_internal", "carotid_external"), "carotid_external"),
        (("baseline", "train_of_four", "stress_test"), "stress_test"),
        (("normal", "Valsalva test"), "Valsalva test"),
        (("train", "test"), None),
        (("pictures", "external_test"), None),
        (("Trainingsdaten", "Testdaten"), None),
        (("entrenamiento", "prueba"), None),
        (("tr", "va", "ts"), None),
        (("images", "hold out"), None),
    ],
)
def test_words_that_are_no_split_are_asked_about(data, folders, asked):
    fill(data, [f"{folder}/{folder[:2]}{k}.png" for folder in folders for k in range(8)])
    first = made(data)
    assert ("The folders' names were taken for a split" in first) == bool(asked)
    assert not asked or f"If {asked} says something else" in first


@pytest.mark.parametrize("folders", [("Trainingsdaten", "Testdaten"), ("entrenamiento", "prueba")])
def test_folders_in_other_languages_are_a_split(root, data, folders):
    fill(data, [f"{f}/{k + 10 * n}.png" for n, f in enumerate(folders) for k in range(8)])
    made(data)
    assert drawn(root)["test"] == list(range(10, 18))


def test_patients_numbered_anew_in_each_folder_are_not_merged_unasked(data):
    fill(
        data, [f"{s}/patient{p}/{k}.png" for s in ("train", "test") for p in (1, 2) for k in (1, 2)]
    )
    with pytest.raises(StudyError, match=r"if they were numbered anew .* let the patient hold it"):
        made(data)


@pytest.mark.parametrize(
    ("name", "split"), [("Validierung", "val"), ("tr", "train"), ("tri", None)]
)
def test_what_a_folder_is_for(name, split):
    assert splits.split_of(name) == split
