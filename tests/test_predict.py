"""Prediction for users: a small trained network on pictures, DICOM, cines and videos, and what is
written.
"""

import errno
import json
import os
import pickle
import shutil

import numpy as np
import pandas as pd
import pydicom
import pytest
import torch
from pictures import dicom as write_dicom
from PIL import Image

from helpers import errors, files, models, readers
from helpers.errors import StudyError
from helpers.models import inference, trained
from helpers.readers import videos
from helpers.training import checkpoint, losses
from tools.predict import __main__ as predict
from tools.predict import exports

pytestmark = pytest.mark.slow

SIZE = 32
CLASSES = ["background", "nerve"]


def disc(rows=64, columns=96, row=30, column=50, radius=16):
    """A bright disc on a dark ground, uint8, and its mask."""
    y, x = np.ogrid[:rows, :columns]
    mask = ((y - row) ** 2 + (x - column) ** 2 < radius**2).astype(np.uint8)
    return 40 + 180 * mask, mask


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a network that has learned to outline bright discs."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    network = models.build("femoral_unet", 1, 2)
    pairs = [disc(SIZE, SIZE, 8 + 2 * i, 20 - i, 5 + i % 4) for i in range(8)]
    x = torch.stack([torch.tensor(p[0]) for p in pairs])[:, None].float() / 255
    y = torch.stack([torch.tensor(p[1]) for p in pairs]).long()
    optimiser, criterion = (
        torch.optim.Adam(network.parameters(), 5e-3),
        losses.build({"name": "bce_dice"}),
    )
    for _ in range(40):
        optimiser.zero_grad()
        criterion(network(x), y).backward()
        optimiser.step()
    training = {"name": "femoral_unet", "channels": 1, "options": {}, "image_size": SIZE}
    norm = {"kind": "none", "mean": [0.0], "std": [1.0]}
    record = {
        "study": "discs",
        "protocol": "quick",
        "model": "femoral_unet",
        "training": training,
        "classes": CLASSES,
        "titles": ["background", "femoral nerve"],
        "colours": ["#000000", "#ffd500"],
        "normalisation": norm,
    }
    checkpoint.save_weights(network, folder / "weights.safetensors", record)
    return folder


def save(folder, name, pixels):
    folder.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(folder / name)
    return folder / name


def scan(path, pixels, **tags):
    """An ultrasound DICOM with the identifiers that a segmentation refers to; 0.2 mm a row, 0.1 mm
    a column.
    """
    uids = {k: pydicom.uid.generate_uid() for k in ("StudyInstanceUID", "SeriesInstanceUID")}
    return write_dicom(path, pixels, **uids, PatientID="p1", InstanceNumber=1, **tags)


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_picture_becomes_mask_overlay_and_area(model, tmp_path):
    image, mask = disc()
    table = predict.run(model, save(tmp_path, "scan.png", image), tmp_path / "out")
    found = np.array(Image.open(tmp_path / "out/scan_mask.png"))
    assert found.shape == (64, 96)
    assert dice(found, mask) > 0.9
    assert table["area_px"].tolist() == [int(found.sum())]
    assert table["unit"][0] == "px" and table["area"][0] == table["area_px"][0]  # a PNG says no mm
    assert np.isnan(table["frames_per_second"][0])  # a still has none
    assert np.array(Image.open(tmp_path / "out/scan_overlay.png")).shape == (64, 96, 3)
    kept = pd.read_csv(tmp_path / "out/measures.csv")
    assert kept["area_px"].tolist() == table["area_px"].tolist()
    assert (
        json.loads((tmp_path / "out/prediction.json").read_text())["network"]["model"]
        == "femoral_unet"
    )


def test_mask_reads_back_with_the_class_colours(model, tmp_path):
    predict.run(model, save(tmp_path, "scan.png", disc()[0]), tmp_path / "out")
    classes = trained.load(model).classes
    again = readers.read_mask(tmp_path / "out/scan_mask.png", classes)
    assert np.array_equal(again, np.array(Image.open(tmp_path / "out/scan_mask.png")))


def test_classes_are_those_of_the_training_whatever_the_manifest_says_now(model):
    nerve = trained.load(model).classes[1]
    assert (nerve.name, nerve.title, nerve.colour) == ("nerve", "femoral nerve", "#ffd500")


def test_dicom_gives_areas_in_mm2(model, tmp_path):
    image, mask = disc()
    scan(tmp_path / "scan.dcm", image)
    table = predict.run(model, tmp_path / "scan.dcm", tmp_path / "out", ("png", "nifti"))
    assert table["unit"][0] == "mm" and table["area"][0] == pytest.approx(
        table["area_px"][0] * 0.02, abs=1e-3
    )
    assert table["area"][0] == pytest.approx(mask.sum() * 0.02, rel=0.1)
    ellipse = 2 * 16 * 0.2  # of the disc's height in mm: the axis of its length
    assert table["length"][0] == pytest.approx(ellipse, rel=0.1)
    assert table["thickness"][0] == pytest.approx(1.732 * 16 * 0.1, rel=0.1)
    assert table["depth_edge"][0] == pytest.approx((30 - 15) * 0.2, abs=0.4)
    along = pd.read_csv(tmp_path / "out/profiles.csv")
    assert len(along) == 40 and along["thickness"].max() == pytest.approx(3.2, rel=0.15)
    assert table[["pixel_height_mm", "pixel_width_mm"]].to_numpy().tolist() == [[0.2, 0.1]]
    volume = readers.open_picture(tmp_path / "out/scan_mask.nii.gz")
    assert volume.spacing_mm == pytest.approx((0.2, 0.1))
    assert dice(volume.pixels[0] > 0, mask > 0) > 0.9


def test_dicom_segmentation_refers_to_its_image(model, tmp_path):
    image, mask = disc()
    scan(tmp_path / "scan.dcm", image)
    predict.run(model, tmp_path / "scan.dcm", tmp_path / "out", ("dicom-seg",))
    source, found = (
        pydicom.dcmread(tmp_path / "scan.dcm"),
        pydicom.dcmread(tmp_path / "out/scan_seg.dcm"),
    )
    assert found.SOPClassUID == pydicom.uid.SegmentationStorage
    assert [s.SegmentLabel for s in found.SegmentSequence] == ["nerve"]
    assert found.StudyInstanceUID == source.StudyInstanceUID
    assert dice(found.pixel_array.reshape(64, 96), mask) > 0.9
    referenced = found.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0]
    assert referenced.ReferencedSOPInstanceUID == source.SOPInstanceUID


def test_cine_gives_a_video_and_a_row_for_each_frame(model, tmp_path):
    frames = np.stack([disc(column=30 + 10 * i)[0] for i in range(4)])
    scan(tmp_path / "cine.dcm", frames, FrameTime="50")
    table = predict.run(model, tmp_path / "cine.dcm", tmp_path / "out")
    assert table["frame"].tolist() == [0, 1, 2, 3]
    assert (table["frames_per_second"] > 0).all()
    video, rate = videos.read_video(tmp_path / "out/cine_overlay.mp4")
    assert (video.shape, rate) == ((4, 64, 96), 20.0)
    assert len(list((tmp_path / "out/cine_mask").glob("*.png"))) == 4
    with pytest.raises(StudyError, match="refers to a DICOM file of one frame"):
        predict.run(model, tmp_path / "cine.dcm", tmp_path / "out", ("dicom-seg",))


def test_one_frame_of_a_cine(model, tmp_path):
    scan(tmp_path / "cine.dcm", np.stack([disc(column=30 + 10 * i)[0] for i in range(3)]))
    table = predict.run(model, tmp_path / "cine.dcm#2", tmp_path / "out")
    assert len(table) == 1
    assert dice(np.array(Image.open(tmp_path / "out/cine_2_mask.png")), disc(column=50)[1]) > 0.9


def test_video_in_video_out(model, tmp_path):
    frames = (np.repeat(disc(column=30 + 5 * i)[0][..., None] / 255, 3, 2) for i in range(5))
    exports.video(frames, (64, 96), 10, tmp_path / "clip.mp4")
    table = predict.run(model, tmp_path / "clip.mp4", tmp_path / "out", ("nifti",))
    assert len(table) == 5
    assert videos.read_video(tmp_path / "out/clip_overlay.mp4")[0].shape == (5, 64, 96)
    assert readers.open_picture(tmp_path / "out/clip_mask.nii.gz").pixels.shape == (5, 64, 96)


def test_folder_with_a_bad_file_names_it_and_segments_the_rest(model, tmp_path, capsys):
    save(tmp_path / "in", "a.png", disc()[0])
    save(tmp_path / "in", "a.bmp", disc(column=40)[0])
    (tmp_path / "in/b.png").write_text("hello")
    (tmp_path / "in/notes.txt").write_text("hello")
    with pytest.raises(StudyError, match=r"2 of 3 pictures were segmented[\s\S]*b.png: is no PNG"):
        predict.run(model, tmp_path / "in", tmp_path / "out")
    assert pd.read_csv(tmp_path / "out/measures.csv")["image"].nunique() == 2
    assert sorted(p.name for p in (tmp_path / "out").glob("*_mask.png")) == [
        "a_bmp_mask.png",
        "a_png_mask.png",
    ]
    assert not list((tmp_path / "out").glob(".part*"))
    told = capsys.readouterr().out
    assert "files in the folder: 4\n· pictures used: 2\n· pictures refused: 1\n" in told
    assert "· not looked at: 1\n  1 × .txt is neither a picture nor a mask (notes.txt)" in told


def test_a_cd_of_a_hospital(model, tmp_path, capsys):
    disk = tmp_path / "cd"
    (disk / "IMAGES").mkdir(parents=True)
    for k in (1, 2):
        scan(disk / "IMAGES" / f"IM{k}", disc(column=40 + k)[0])
    for name in ("DICOMDIR", "Thumbs.db", "README.TXT", "viewer.exe"):
        (disk / name).write_bytes(b"MZ what a CD holds")
    table = predict.run(model, disk, tmp_path / "out")
    assert table["image"].tolist() == [str(disk / "IMAGES" / f"IM{k}") for k in (1, 2)]
    told = capsys.readouterr().out
    assert "files in the folder: 6\n· pictures used: 2\n" in told
    about = json.loads((tmp_path / "out/prediction.json").read_text())["files"]
    assert sum(about.values()) == 6


def test_outlines_at_the_training_size_are_those_that_are_scored(model):
    frames = np.stack([disc(SIZE, SIZE, 8 + i, 20 - i, 5 + i % 4)[0] for i in range(5)])
    network = trained.load(model, "cpu")
    scored = inference.predict(network.network, torch.from_numpy(frames), network.norm)
    assert np.array_equal(trained.segment(network, frames), scored) and scored.any()


def test_our_own_segmentation_is_read_back(model, tmp_path):
    scan(tmp_path / "scan.dcm", disc()[0])
    predict.run(model, tmp_path / "scan.dcm", tmp_path / "out", ("dicom-seg", "png", "nifti"))
    classes = trained.load(model).classes
    masks = [
        readers.read_mask(tmp_path / "out" / name, classes)
        for name in ("scan_seg.dcm", "scan_mask.png", "scan_mask.nii.gz")
    ]
    assert masks[0].any() and all(np.array_equal(m, masks[0]) for m in masks)


def test_segmentation_needs_dicom_and_something_found(model, tmp_path):
    with pytest.raises(StudyError, match="refers to a DICOM file"):
        predict.run(model, save(tmp_path, "scan.png", disc()[0]), tmp_path / "out", ("dicom-seg",))
    scan(tmp_path / "dark.dcm", np.zeros((64, 96), np.uint8))
    with pytest.raises(StudyError, match="no structure was found"):
        predict.run(model, tmp_path / "dark.dcm", tmp_path / "out", ("dicom-seg",))


def test_wrong_model_folders_are_explained(model, tmp_path):
    with pytest.raises(StudyError, match="no weights"):
        trained.load(tmp_path)
    with pytest.raises(StudyError, match=r"femorall: no weights.* come along for .*femoral"):
        trained.load("femorall")
    with pytest.raises(StudyError, match=f"below it are .*{model.name}"):
        trained.load(model.parent)
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("weights.safetensors", "weights.json"):
        (copy / name).write_bytes((model / name).read_bytes())
    with open(copy / "weights.safetensors", "r+b") as file:
        file.seek(-4, 2)
        file.write(b"\0\0\0\0")
    with pytest.raises(StudyError, match="sha256 differs"):
        trained.load(copy)


@pytest.mark.parametrize(
    ("weights", "record", "said"),
    [
        (None, "[" * 100_000, r"weights\.json: cannot be read"),
        (None, [], r"weights\.json: lacks classes"),
        (None, {"training": {}}, r"weights\.json: is not as a training leaves it"),
        (None, {"training": 3}, r"weights\.json: is not as a training leaves it"),
        (None, {"classes": 3}, r"weights\.json: is not as a training leaves it"),
        (None, {"options": {"width": 50_000}}, "does not fit its record: .* size mismatch"),
        (b"\xff" * 100, {}, "does not fit its record: .*header"),
        (pickle.dumps({"a": 1}), {}, "does not fit its record: .*header"),
    ],
)
def test_a_damaged_model_is_one_line(model, tmp_path, weights, record, said):
    """Those of another size are refused before memory is taken for them."""
    path = tmp_path / "weights.safetensors"
    path.write_bytes(weights or (model / path.name).read_bytes())
    if isinstance(record, dict):
        kept = json.loads((model / "weights.json").read_text())
        del kept["digest"]
        record = {"sha256": files.sha256(path)} | record
        if "options" in record:
            record["training"] = kept["training"] | {"options": record.pop("options")}
        record = kept | record
    text = record if isinstance(record, str) else json.dumps(record)
    path.with_suffix(".json").write_text(text)
    with pytest.raises(StudyError, match=said):
        trained.load(tmp_path)


def test_command_line(model, tmp_path, capsys):
    image = save(tmp_path, "scan.png", disc()[0])
    predict.main(["--model", str(model), "--images", str(image), "--out", str(tmp_path / "out")])
    assert "1 file(s) segmented" in capsys.readouterr().out
    with pytest.raises(StudyError, match=r"missing.png: no such file"):
        predict.main(
            [
                "--model",
                str(model),
                "--images",
                str(tmp_path / "missing.png"),
                "--out",
                str(tmp_path / "o"),
            ]
        )


@pytest.mark.parametrize(
    ("images", "out", "message"),
    [
        ("", "new", "IMAGES is missing: give an image or a folder"),
        (".", ".", "holds the images; give another folder"),
        (".", "a.txt", "a.txt: is a file; OUT names the folder"),
    ],
)
def test_where_to_read_and_write_is_asked_for_first(
    model, tmp_path, monkeypatch, images, out, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(StudyError, match=message):
        predict.run(model, images, out)
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_disk_that_takes_nothing_is_no_fault_of_a_picture(model, tmp_path, monkeypatch, number):
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(np.zeros((40, 60), np.uint8)).save(tmp_path / "images" / name)

    def full(*_):
        raise OSError(number, os.strerror(number), "out/a_mask.png")

    monkeypatch.setattr(exports, "png", full)
    said = r"error: out/a_mask\.png: .*; free it, and run again"
    with pytest.raises(SystemExit, match=said), errors.in_a_line():
        predict.run(model, tmp_path / "images", tmp_path / "out")


@pytest.fixture
def recorded(model, tmp_path):
    """A trained network whose record may be changed: (its folder, its record without digest)."""
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    record = json.loads((folder / "weights.json").read_text(encoding="utf-8"))
    return folder, {k: v for k, v in record.items() if k != "digest"}


def test_a_record_that_was_changed_is_not_believed(recorded):
    folder, record = recorded
    path = folder / "weights.json"
    digest = json.loads(path.read_text(encoding="utf-8"))["digest"]
    assert trained.load(folder).record == record
    other = record | {"training": record["training"] | {"image_size": 97}, "digest": digest}
    files.write_json(other, path)
    with pytest.raises(StudyError, match=r"weights\.json: is not as a training leaves it"):
        trained.load(folder)
    files.write_json(record, path)  # an earlier version's
    assert trained.load(folder).size == record["training"]["image_size"]


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("classes", [[], None, "x", ["background"], [1, 2], 7]),
        ("titles", [[], None, "x", [None, None]]),
        ("colours", [[], None, ["red", "url(x)"], [1, 2]]),
        ("normalisation", [None, [], {}, {"mean": [0]}, {"mean": ["a"], "std": [1]}]),
        ("normalisation", [{"mean": [0.0], "std": [0.0]}, {"mean": [np.nan], "std": [1.0]}]),
        ("normalisation", [{"mean": [0.0] * 7, "std": [1.0] * 7}]),
        ("training", [None, [], "x", {}]),
        ("image_size", [0, -1, 10**9, 96.0, "96", None, True]),
        ("channels", [None, 7, "x"]),
        ("name", [None, 7, ["a"]]),
        ("aspect", ["x", None]),
    ],
)
def test_whatever_stands_in_a_record_without_a_digest_is_one_line(recorded, key, values):
    folder, record = recorded
    for value in values:
        inside = {"training": record["training"] | {key: value}}
        files.write_json(
            record | ({key: value} if key in record else inside), folder / "weights.json"
        )
        with pytest.raises(StudyError, match=r"weights\.json: is not as a training leaves it"):
            trained.load(folder)


# --- pictures whose names, places or headers could make one picture's numbers another's


def test_every_picture_has_outputs_of_its_own(model, tmp_path):
    """Names that lengthen to the same one wrote over each other's masks."""
    sides = {"sub/a.png": 40, "sub__a.png": 44, "b.png": 48, "b.bmp": 52, "b_png.tif": 56}
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for name, side in sides.items():
        save(tmp_path / "in", name, disc(side, side, 20, 20, 9)[0])
    predict.run(model, tmp_path / "in", tmp_path / "out")
    masks = [Image.open(path).size[0] for path in (tmp_path / "out").glob("*_mask.png")]
    assert sorted(masks) == sorted(sides.values())


@pytest.mark.parametrize("name", ["#1.png", "a#3.png", "x" * 230 + ".png"])
def test_odd_names_are_outlined(model, tmp_path, name, monkeypatch):
    save(tmp_path / "in", name, disc()[0])
    monkeypatch.chdir(tmp_path)
    table = predict.run(model, tmp_path / "in", tmp_path / "out")
    assert len(table) == 1 and len(list((tmp_path / "out").glob("*_mask.png"))) == 1


def test_pictures_in_which_nothing_was_outlined_are_named(model, tmp_path, capsys):
    pixels = disc()[0]
    save(tmp_path / "in", "a.png", pixels)
    save(tmp_path / "in", "b.png", np.zeros_like(pixels))
    table = predict.run(model, tmp_path / "in", tmp_path / "out")
    bare = table.groupby("image")["area_px"].sum().eq(0)
    said = capsys.readouterr().out
    assert (f"nothing was outlined in {bare.sum()} of 2 pictures" in said) == bare.any()
    assert bare.any()  # a network that draws on black too would prove nothing


def test_another_picture_of_that_name_is_not_written_over(model, tmp_path):
    for place in ("one", "other"):
        save(tmp_path / place, "a.png", disc()[0])
    predict.run(model, tmp_path / "one", tmp_path / "out")
    before = (tmp_path / "out/a_mask.png").stat().st_mtime_ns
    with pytest.raises(StudyError, match=r"a_overlay\.png is of another picture of that name"):
        predict.run(model, tmp_path / "other", tmp_path / "out")
    assert (tmp_path / "out/a_mask.png").stat().st_mtime_ns == before
    predict.run(model, tmp_path / "one", tmp_path / "out")


def test_frames_of_a_longer_film_do_not_stay(model, tmp_path):
    frames = [Image.fromarray(disc()[0])] * 4
    (tmp_path / "in").mkdir()
    for count in (4, 2):
        frames[0].save(tmp_path / "in/v.tif", save_all=True, append_images=frames[1:count])
        predict.run(model, tmp_path / "in", tmp_path / "out")
        assert len(list((tmp_path / "out/v_mask").glob("*.png"))) == count


def test_a_folder_that_no_earlier_run_made_keeps_its_files(model, tmp_path):
    save(tmp_path / "in", "v.png", disc()[0])
    (tmp_path / "out").mkdir()
    save(tmp_path / "out/v_mask", "0007.png", disc()[0])
    predict.run(model, tmp_path / "in", tmp_path / "out")
    assert (tmp_path / "out/v_mask/0007.png").is_file()


def test_outlines_of_an_earlier_run_are_said(model, tmp_path, capsys):
    for name in ("a.png", "b.png"):
        save(tmp_path / "in", name, disc()[0])
    predict.run(model, tmp_path / "in", tmp_path / "out")
    assert "earlier run" not in capsys.readouterr().out
    predict.run(model, tmp_path / "in", tmp_path / "out")
    assert "earlier run" not in capsys.readouterr().out
    (tmp_path / "in" / "b.png").unlink()
    save(tmp_path / "in", "c.png", disc()[0])
    predict.run(model, tmp_path / "in", tmp_path / "out")
    assert "holds 2 files of an earlier run (b_mask.png, …)" in capsys.readouterr().out


def test_an_output_that_cannot_be_made_is_no_fault_of_a_picture(model, tmp_path):
    save(tmp_path, "a.png", disc()[0])
    with pytest.raises(StudyError, match=r"a\.png/x: .*give another folder, OUT="):
        predict.run(model, tmp_path / "a.png", tmp_path / "a.png" / "x")


def test_of_two_regions_that_of_the_outline_says_the_spacing(model, tmp_path):
    regions = ((0, 0, 95, 63, 0.02, 0.01), (96, 0, None, None, 0.05, 0.05))
    pixels = np.full((64, 200), 40, np.uint8)
    pixels[:, :96] = disc()[0]
    write_dicom(tmp_path / "a.dcm", pixels, regions)
    row = predict.run(model, tmp_path / "a.dcm", tmp_path / "out").iloc[0]
    mask = np.asarray(Image.open(tmp_path / "out" / "a_mask.png").convert("L")) > 0
    inside = mask[:, 96:].sum() == 0 and mask.any()
    assert (row["pixel_height_mm"] == 0.2) == inside


def test_a_spacing_that_cannot_be_one_and_a_note_are_printed(model, tmp_path, capsys):
    write_dicom(tmp_path / "a.dcm", disc()[0], (), PixelSpacing=[25.4, 25.4])
    write_dicom(tmp_path / "b.dcm", disc()[0], PixelSpacing=[0.5, 0.5])
    predict.run(model, tmp_path / "a.dcm", tmp_path / "out")
    predict.run(model, tmp_path / "b.dcm", tmp_path / "out2")
    said = capsys.readouterr().out
    assert "2.44e+03 mm of tissue: is its spacing in mm?" in said
    assert "b.dcm: PixelSpacing says 0.5 × 0.5 mm, the ultrasound region" in said
