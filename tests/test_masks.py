"""Masks as pictures and NIfTI: read back as they were painted, by index, palette, colour or
ITK-SNAP label.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import SimpleITK
from pictures import CLASSES, ONE, labels, save
from PIL import Image

from helpers import cache, readers, studies
from helpers.workflow import settings

DESCRIPTION = """# ITK-SnAP Label Description File
    0     0    0    0        0  0  0    "Clear Label"
    4   255    0    0        1  1  1    "Brachial Plexus"
    9     0  255    0        1  1  1    "muscle"
   12     0    0  255        1  1  1    "rib"
"""


@pytest.mark.parametrize("beside", ["a.txt", "a.label", "a_labels.txt", "labels.txt"])
def test_itk_snap_labels(tmp_path, beside):
    values = np.array([0, 4, 9, 9], np.uint8)[labels()]
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(tmp_path / "a.nii.gz"))
    (tmp_path / beside).write_text(DESCRIPTION)
    assert np.array_equal(
        readers.read_mask(tmp_path / "a.nii.gz", CLASSES), np.array([0, 1, 2, 2])[labels()]
    )


def test_a_changed_description_is_a_changed_mask(tmp_path, monkeypatch):
    """The same bytes of the mask show other structures."""
    values = np.array([0, 4, 9, 9], np.uint8)[labels()]
    path = tmp_path / "a.nii.gz"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(path))
    (tmp_path / "labels.txt").write_text(DESCRIPTION)
    frame = pd.DataFrame({"image": ["a.nii.gz"], "mask": ["a.nii.gz"]})
    monkeypatch.setattr(studies, "images", lambda study: frame)
    monkeypatch.setattr(studies, "annotations", lambda study: None)
    before = readers.sha256(path), settings.folder_state(None, tmp_path)
    mask = readers.read_mask(path, CLASSES)
    assert cache.problem(tmp_path, path.name, before[0]) is None
    swapped = DESCRIPTION.replace("Brachial Plexus", "x").replace("muscle", "Brachial Plexus")
    (tmp_path / "labels.txt").write_text(swapped.replace('"x"', '"muscle"'))
    assert (readers.read_mask(path, CLASSES) != mask).any()
    assert "has changed" in cache.problem(tmp_path, path.name, before[0])
    assert settings.folder_state(None, tmp_path) != before[1]


def test_itk_snap_label_that_is_ignored(tmp_path):
    values = np.array([0, 4, 9, 12], np.uint8)[labels()]
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(tmp_path / "a.nii.gz"))
    (tmp_path / "a.txt").write_text(DESCRIPTION)
    found = readers.read_mask(tmp_path / "a.nii.gz", CLASSES, ignored=["Rib"])
    assert np.array_equal(found, np.array([0, 1, 2, 0])[labels()])


# --- Masks as pictures
# -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [".png", ".tif", ".bmp"])
@pytest.mark.parametrize("mode", ["L", "P"])
def test_mask_of_indices(tmp_path, end, mode):
    path = save(tmp_path / f"a{end}", labels(), mode)
    assert np.array_equal(readers.read_mask(path, CLASSES, shape=(40, 60)), labels())


def test_mask_of_sixteen_bit_indices(tmp_path):
    assert np.array_equal(
        readers.read_mask(save(tmp_path / "a.png", labels().astype(np.uint16)), CLASSES), labels()
    )


@pytest.mark.parametrize("alpha", [False, True])
def test_mask_of_colours(tmp_path, alpha):
    colours = np.array([list(bytes.fromhex(c.colour[1:])) for c in CLASSES], np.uint8)[labels()]
    if alpha:  # transparent means background, whatever its colour
        colours = np.dstack(
            [np.where(labels()[..., None] == 0, 77, colours), (labels() > 0) * 255]
        ).astype(np.uint8)
    assert np.array_equal(readers.read_mask(save(tmp_path / "a.png", colours), CLASSES), labels())


@pytest.mark.parametrize("field", ["colour", "labels"])
def test_a_colour_of_two_classes_is_neither(tmp_path, field):
    """Else one structure would silently be read as the other."""
    red = "#ff0000"
    two = [replace(c, **{field: red if field == "colour" else (red,)}) for c in CLASSES[1:3]]
    path = save(tmp_path / "a.png", np.uint8([[[255, 0, 0], [0, 0, 0]]]))
    with pytest.raises(readers.StudyError, match="undeclared colours #ff0000"):
        readers.read_mask(path, [CLASSES[0], *two, *CLASSES[3:]])


def test_palette_colours_in_another_order(tmp_path):
    picture = Image.fromarray(np.array([7, 5, 6, 4], np.uint8)[labels()], "L")
    picture.putpalette(
        [1, 2, 3] * 4 + [v for k in (3, 1, 2, 0) for v in bytes.fromhex(CLASSES[k].colour[1:])]
    )
    picture.save(tmp_path / "a.png")
    assert np.array_equal(readers.read_mask(tmp_path / "a.png", CLASSES), labels())


@pytest.mark.parametrize("top", [1, 255])
def test_black_and_white_mask_of_one_structure(tmp_path, top):
    path = save(tmp_path / "a.png", np.uint8((labels() > 0) * top))
    assert np.array_equal(readers.read_mask(path, ONE), labels() > 0)
    Image.fromarray(labels() > 0).save(tmp_path / "bit.png")
    assert np.array_equal(readers.read_mask(tmp_path / "bit.png", ONE), labels() > 0)


def test_a_mask_of_many_files_is_longer_than_any_name(tmp_path):
    """A cell that unites twenty lesions is no path, and asking whether it is one is an error."""
    (tmp_path / "masks").mkdir()
    names = [f"patient_7_picture_3_lesion_{k:02d}.png" for k in range(20)]
    for k, name in enumerate(names):
        mask = np.zeros((40, 60), np.uint8)
        mask[k, k] = 1
        save(tmp_path / "masks" / name, mask)
    cell = tmp_path / "masks" / ("{" + "|".join(f"{name}=nerve" for name in names) + "}")
    assert [p.name for p in readers.files_of(cell)] == names
    assert readers.locate(f"{cell}#1")[1] == "1"
    assert (readers.read_mask(cell, ONE) == 1).sum() == 20
    assert not readers.leads_out(cell, tmp_path) and len(readers.sha256(cell)) == 64
