"""Every kind of picture and mask comes back as it was written."""

import hashlib
import io
import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import CLASSES, ONE, Class, coco, dicom, grey, labelme, labels, save
from PIL import Image
from pydicom import dcmread
from pydicom.data import data_manager
from pydicom.encaps import encapsulate
from pydicom.pixels import convert_color_space
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from helpers import masks, outlines, readers, shapes

SHIPPED = Path(data_manager.DATA_ROOT) / "test_files"


@pytest.mark.parametrize("end", [".png", ".tif", ".bmp"])
def test_grey_pictures(tmp_path, end):
    path = save(tmp_path / f"a{end}", grey())
    pixels, spacing = readers.read_image(path)
    assert pixels.dtype == np.uint8 and np.array_equal(pixels, grey()) and spacing is None


@pytest.mark.parametrize("end", [".png", ".tif", ".bmp"])
def test_grey_stored_as_colour_keeps_every_level(tmp_path, end):
    path = save(tmp_path / f"a{end}", np.repeat(grey()[..., None], 3, 2))
    assert np.array_equal(readers.read_image(path)[0], grey())


def test_jpeg_is_decoded_as_pillow_does(tmp_path):
    path = save(tmp_path / "a.JPG", grey(), quality=95)
    assert np.array_equal(readers.read_image(path)[0], np.asarray(Image.open(path)))


def test_colour_becomes_luma(tmp_path):
    path = save(tmp_path / "a.png", np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8))
    assert readers.read_image(path)[0].tolist() == [[76, 150, 29]]


def test_palette_and_opaque_alpha(tmp_path):
    image = Image.fromarray(grey()).convert("RGBA")
    image.save(tmp_path / "a.png")
    assert np.array_equal(readers.read_image(tmp_path / "a.png")[0], grey())
    Image.fromarray(grey()).convert("P").save(tmp_path / "p.png")
    assert np.array_equal(readers.read_image(tmp_path / "p.png")[0], grey())


def test_sixteen_bits_that_hold_grey_levels(tmp_path):
    path = save(tmp_path / "a.png", grey().astype(np.uint16))
    assert np.array_equal(readers.read_image(path)[0], grey())


@pytest.mark.parametrize(("orientation", "turned"), [(3, lambda a: a[::-1, ::-1]), (6, lambda a: np.rot90(a, -1)),
                                                     (8, np.rot90), (2, lambda a: a[:, ::-1])])  # fmt: skip
def test_exif_rotation_is_applied_and_reported(tmp_path, orientation, turned):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a.png", grey(), exif=exif)
    picture = readers.open_picture(path)
    assert np.array_equal(picture.pixels[0], turned(grey()))
    assert picture.notes == ("rotated as its EXIF orientation says",)


def test_cine_frames(tmp_path):
    cine = np.stack([grey(seed=k) for k in range(3)])
    path = dicom(tmp_path / "cine.dcm", cine)
    frames, spacing = readers.read_frames(path)
    assert np.array_equal(frames, cine) and spacing == pytest.approx((0.2, 0.1))
    assert np.array_equal(readers.read_image(path, frame=2)[0], cine[2])
    assert np.array_equal(readers.read_image(f"{path}#1")[0], cine[1])
    pages = [Image.fromarray(f) for f in cine]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    assert np.array_equal(readers.read_frames(tmp_path / "stack.tif")[0], cine)


def test_a_name_with_a_hash_sign_is_a_name(tmp_path):
    path = save(tmp_path / "a#1.png", grey())
    assert np.array_equal(readers.read_image(path)[0], grey())
    assert readers.sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert readers.sha256(f"{save(tmp_path / 'b.png', grey())}#0") == readers.sha256(tmp_path / "b.png")


def test_dicom_spacing(tmp_path):
    assert readers.read_image(dicom(tmp_path / "a.dcm", grey()))[1] == pytest.approx((0.2, 0.1))
    path = dicom(tmp_path / "b.dcm", grey(), regions=(), PixelSpacing=[0.3, 0.4])
    assert readers.read_image(path)[1] == (0.3, 0.4)
    assert readers.read_image(dicom(tmp_path / "c.dcm", grey(), regions=()))[1] is None
    two = readers.open_picture(
        dicom(tmp_path / "d.dcm", grey(), regions=((0, 0, 9, 9, 0.5, 0.5), (0, 0, 50, 30, 0.02, 0.01)))
    )
    assert two.spacing_mm == pytest.approx((0.2, 0.1)) and "several ultrasound regions" in two.notes[0]


def test_dicom_photometric_interpretations(tmp_path):
    path = dicom(tmp_path / "1.dcm", grey(), PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(readers.read_image(path)[0], 255 - grey())
    colour = np.random.default_rng(1).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    expected = np.round(colour @ [0.299, 0.587, 0.114])
    assert np.array_equal(readers.read_image(dicom(tmp_path / "2.dcm", colour))[0], expected)
    path = dicom(
        tmp_path / "3.dcm", convert_color_space(colour, "RGB", "YBR_FULL"), PhotometricInterpretation="YBR_FULL"
    )
    assert np.abs(readers.read_image(path)[0] - expected).max() <= 1


def test_dicom_palette(tmp_path):
    table = np.arange(256, dtype=np.uint16)[::-1] * 257
    lut = {f"{c}PaletteColorLookupTableData": table.tobytes() for c in ("Red", "Green", "Blue")}
    sizes = {f"{c}PaletteColorLookupTableDescriptor": [256, 0, 16] for c in ("Red", "Green", "Blue")}
    path = dicom(tmp_path / "a.dcm", grey(), PhotometricInterpretation="PALETTE COLOR", **sizes, **lut)
    assert np.array_equal(readers.read_image(path)[0], 255 - grey())


def test_dicom_with_more_than_eight_bits(tmp_path):
    deep = (grey().astype(np.uint16) + 100) * 16
    path = dicom(tmp_path / "full.dcm", deep, BitsStored=13, HighBit=12)
    assert np.array_equal(readers.read_image(path)[0], np.round(deep / (2**13 - 1) * 255))
    # a window whose linear part runs from 1600 to 5680 is exactly the original grey
    path = dicom(tmp_path / "window.dcm", deep, WindowCenter=3640.5, WindowWidth=4081)
    picture = readers.open_picture(path)
    assert np.array_equal(picture.pixels[0], grey()) and picture.notes == ("16 bits mapped to 8",)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda u: u.name)
@pytest.mark.parametrize("shape", [(40, 60), (40, 60, 3), (3, 40, 60)])
def test_dicom_compressed_without_loss(tmp_path, syntax, shape):
    pixels = np.random.default_rng(2).integers(0, 256, shape).astype(np.uint8)
    path = dicom(tmp_path / "a.dcm", pixels)
    expected = readers.read_frames(path)[0]
    data = dcmread(path)
    if syntax == JPEG2000Lossless:  # Pillow writes the code stream, which pydicom's own plugins only read
        frames, streams = (pixels if shape[0] == 3 else pixels[None]), []
        for frame in frames:
            streams.append(io.BytesIO())
            Image.fromarray(frame).save(streams[-1], "JPEG2000", no_jp2=True, irreversible=False, mct=0)
        data.PixelData = encapsulate([s.getvalue() for s in streams])
        data["PixelData"].is_undefined_length = True
        data.file_meta.TransferSyntaxUID = syntax
    else:
        data.compress(syntax, generate_instance_uid=False)
    data.save_as(path)
    assert np.array_equal(readers.read_frames(path)[0], expected)


def shipped(name):
    path = SHIPPED / name
    if not path.is_file():
        pytest.skip(f"pydicom does not ship {name}; it would be a download")
    return path


ULTRASOUND = {  # pydicom's own files of modality US: shape, spacing in mm from the header, mean grey
    "ExplVR_BigEnd.dcm": ((1, 60, 80), None, 222.5),
    "examples_jpeg2k.dcm": ((1, 480, 640), None, 35.6),
    "examples_palette.dcm": ((1, 350, 800), 0.262288, 19.4),
    "examples_rgb_color.dcm": ((1, 240, 320), None, 35.3),
    "examples_ybr_color.dcm": ((30, 240, 320), 0.510497, 10.5),
}


@pytest.mark.parametrize("name", ULTRASOUND)
def test_ultrasound_files_of_pydicom(name):
    frames, spacing = readers.read_frames(shipped(name))
    shape, millimetres, mean = ULTRASOUND[name]
    assert frames.shape == shape and frames.dtype == np.uint8 and frames.mean() == pytest.approx(mean, abs=0.1)
    assert spacing is None if millimetres is None else spacing == pytest.approx((millimetres,) * 2, rel=1e-5)


@pytest.mark.parametrize("name", ["SC_rgb_rle.dcm", "SC_rgb_jpeg_gdcm.dcm", "SC_ybr_full_422_uncompressed.dcm",
                                  "SC_rgb_gdcm_KY.dcm", "SC_rgb_rle_2frame.dcm"])  # fmt: skip
def test_one_picture_in_many_encodings(name):
    """pydicom ships one colour chart in many encodings: all give the same grey, up to JPEG's losses."""
    expected = readers.read_frames(shipped("SC_rgb_jpeg_dcmtk.dcm"))[0][0].astype(int)
    found = readers.read_frames(shipped(name))[0][0].astype(int)
    assert np.abs(found - expected).mean() < 1.5


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_every_file_that_pydicom_ships_is_read_or_refused_in_words():
    read = refused = 0
    for path in sorted(p for p in SHIPPED.rglob("*") if p.is_file()):
        try:
            frames, _ = readers.read_frames(path)
            assert frames.ndim == 3 and frames.dtype == np.uint8
            read += 1
        except readers.StudyError as error:
            assert str(error).startswith(str(path)) and "\n" not in str(error)
            refused += 1
    assert read >= 60 and refused >= 20


# --- NIfTI -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [".nii", ".nii.gz"])
@pytest.mark.parametrize("slices", [False, True])
def test_nifti_written_by_itk(tmp_path, end, slices):
    for pixels, read in (
        (grey(), lambda p: readers.read_image(p)[0]),
        (labels(), lambda p: readers.read_mask(p, CLASSES)),
    ):
        image = SimpleITK.GetImageFromArray(pixels[None] if slices else pixels)
        image.SetSpacing((0.1, 0.2, 1.0)[: image.GetDimension()])
        path = tmp_path / f"{pixels.max()}{end}"
        SimpleITK.WriteImage(image, str(path))
        assert nibabel.load(path).shape[:2] == (60, 40)  # columns first in the file
        assert np.array_equal(read(path), pixels)
        assert readers.open_picture(path).spacing_mm == pytest.approx((0.2, 0.1))


def test_nifti_written_by_nibabel(tmp_path):
    path = tmp_path / "a.nii.gz"
    image = nibabel.Nifti1Image(grey().T, np.diag([-0.1, -0.2, 1, 1]))
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    pixels, spacing = readers.read_image(path)
    assert np.array_equal(pixels, grey()) and spacing == pytest.approx((0.2, 0.1))
    assert np.array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))), grey())


def test_nifti_spacing_that_nobody_measured_is_unknown(tmp_path):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(grey()), str(tmp_path / "one.nii"))
    assert readers.read_image(tmp_path / "one.nii")[1] is None
    nibabel.save(nibabel.Nifti1Image(grey().T, np.diag([2.0, 3, 1, 1])), tmp_path / "nounit.nii")
    assert readers.read_image(tmp_path / "nounit.nii")[1] is None


def test_nifti_units(tmp_path):
    image = nibabel.Nifti1Image(grey().T, np.diag([100.0, 200, 1, 1]))
    image.header.set_xyzt_units("micron")
    nibabel.save(image, tmp_path / "a.nii")
    assert readers.read_image(tmp_path / "a.nii")[1] == pytest.approx((0.2, 0.1))


def test_nifti_colour_and_stack(tmp_path):
    rgb = np.zeros((60, 40, 1), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    rgb["R"][..., 0] = rgb["G"][..., 0] = rgb["B"][..., 0] = grey().T
    nibabel.save(nibabel.Nifti1Image(rgb, np.eye(4)), tmp_path / "rgb.nii")
    assert np.array_equal(readers.read_image(tmp_path / "rgb.nii")[0], grey())
    stack = np.stack([labels(), labels() * 0])
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(stack), str(tmp_path / "stack.nii"))
    assert np.array_equal(readers.read_mask(f"{tmp_path / 'stack.nii'}#0", CLASSES), labels())


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
    assert np.array_equal(readers.read_mask(tmp_path / "a.nii.gz", CLASSES), np.array([0, 1, 2, 2])[labels()])


def test_itk_snap_label_that_is_ignored(tmp_path):
    values = np.array([0, 4, 9, 12], np.uint8)[labels()]
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(tmp_path / "a.nii.gz"))
    (tmp_path / "a.txt").write_text(DESCRIPTION)
    found = readers.read_mask(tmp_path / "a.nii.gz", CLASSES, ignored=["Rib"])
    assert np.array_equal(found, np.array([0, 1, 2, 0])[labels()])


# --- Masks as pictures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [".png", ".tif", ".bmp"])
@pytest.mark.parametrize("mode", ["L", "P"])
def test_mask_of_indices(tmp_path, end, mode):
    path = save(tmp_path / f"a{end}", labels(), mode)
    assert np.array_equal(readers.read_mask(path, CLASSES, shape=(40, 60)), labels())


def test_mask_of_sixteen_bit_indices(tmp_path):
    assert np.array_equal(readers.read_mask(save(tmp_path / "a.png", labels().astype(np.uint16)), CLASSES), labels())


@pytest.mark.parametrize("alpha", [False, True])
def test_mask_of_colours(tmp_path, alpha):
    colours = np.array([list(bytes.fromhex(c.colour[1:])) for c in CLASSES], np.uint8)[labels()]
    if alpha:  # transparent means background, whatever its colour
        colours = np.dstack([np.where(labels()[..., None] == 0, 77, colours), (labels() > 0) * 255]).astype(np.uint8)
    assert np.array_equal(readers.read_mask(save(tmp_path / "a.png", colours), CLASSES), labels())


def test_palette_colours_in_another_order(tmp_path):
    picture = Image.fromarray(np.array([7, 5, 6, 4], np.uint8)[labels()], "L")
    picture.putpalette([1, 2, 3] * 4 + [v for k in (3, 1, 2, 0) for v in bytes.fromhex(CLASSES[k].colour[1:])])
    picture.save(tmp_path / "a.png")
    assert np.array_equal(readers.read_mask(tmp_path / "a.png", CLASSES), labels())


@pytest.mark.parametrize("top", [1, 255])
def test_black_and_white_mask_of_one_structure(tmp_path, top):
    path = save(tmp_path / "a.png", np.uint8((labels() > 0) * top))
    assert np.array_equal(readers.read_mask(path, ONE), labels() > 0)
    Image.fromarray(labels() > 0).save(tmp_path / "bit.png")
    assert np.array_equal(readers.read_mask(tmp_path / "bit.png", ONE), labels() > 0)


# --- Outlines --------------------------------------------------------------------------------------------------------


def box(x0, y0, x1, y1):
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


def test_labelme_box_of_whole_pixels(tmp_path):
    for kind, points in (
        ("polygon", box(8, 5, 30, 15)),
        ("rectangle", [[30, 15], [8, 5]]),
        ("rectangle", box(8, 5, 30, 15)),
    ):
        found = readers.read_mask(labelme(tmp_path / "a.json", [("nerve", points, kind)]), CLASSES)
        assert np.array_equal(found, np.where(labels() == 1, 1, 0))


def test_labelme_circle(tmp_path):
    found = readers.read_mask(labelme(tmp_path / "a.json", [("nerve", [[30, 20], [42, 20]], "circle")]), CLASSES)
    y, x = np.mgrid[:40, :60] + 0.5
    assert abs(int(found.sum()) - np.pi * 144) < 6
    assert ((found > 0) != (np.hypot(x - 30, y - 20) < 12)).sum() <= 8


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_labelme_encodings_and_names(tmp_path, encoding):
    path = labelme(
        tmp_path / "a.json", [("神经", box(8, 5, 30, 15)), ("MUSCLE", box(40, 20, 55, 30))], encoding=encoding
    )
    assert np.array_equal(readers.read_mask(path, CLASSES), np.where(labels() == 3, 0, labels()))


def test_labelme_ignored_and_embedded_picture(tmp_path):
    shapes_ = [("nerve", box(8, 5, 30, 15)), ("spine", box(0, 0, 60, 40))]
    path = labelme(tmp_path / "a.json", shapes_, imageData="not a picture at all")
    assert np.array_equal(readers.read_mask(path, CLASSES, ignored=["spine"]), np.where(labels() == 1, 1, 0))


def test_labelme_without_size_takes_that_of_the_image(tmp_path):
    path = labelme(tmp_path / "a.json", [("nerve", box(8, 5, 30, 15))], size=(None, None))
    assert readers.read_mask(path, CLASSES, shape=(40, 60)).shape == (40, 60)


def test_no_shapes_is_an_empty_mask(tmp_path):
    assert not readers.read_mask(labelme(tmp_path / "a.json", []), CLASSES).any()


def test_overlap_the_higher_class_lies_on_top(tmp_path):
    small, large = ("artery", box(10, 10, 20, 20)), ("muscle", box(0, 0, 40, 40))
    for order in ([small, large], [large, small]):
        found = readers.read_mask(labelme(tmp_path / "a.json", order), CLASSES)
        assert (found[10:20, 10:20] == 3).all() and (found == 2).sum() == 1500


def test_slightly_self_crossing_outline_is_filled(tmp_path):
    points = [[5, 5], [30, 5], [30, 30], [5, 30], [5, 4], [6, 6]]
    assert outlines.crossings(np.array(points, float)) > 0
    found = readers.read_mask(labelme(tmp_path / "a.json", [("nerve", points)]), CLASSES)
    assert abs(int(found.sum()) - 625) <= 25


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(3, 12))
def test_fill_agrees_with_the_winding_number(seed, corners):
    points = np.random.default_rng(seed).uniform(-5, 35, (corners, 2))
    y, x = np.mgrid[:30, :30] + 0.5
    angles = np.arctan2(points[:, 1, None, None] - y, points[:, 0, None, None] - x)
    turns = np.diff(angles, axis=0, append=angles[:1])
    winding = np.round(((turns + np.pi) % (2 * np.pi) - np.pi).sum(0) / (2 * np.pi))
    assert np.array_equal(outlines.fill(points, (30, 30)), winding != 0)


def test_neighbouring_outlines_share_no_pixel_and_leave_none_out():
    edge = np.array([[10.0, 0], [14.5, 13], [9.25, 30]])
    left = outlines.fill(np.vstack([[[0, 0]], edge, [[0, 30]]]), (30, 30))
    right = outlines.fill(np.vstack([edge, [[30, 30], [30, 0]]]), (30, 30))
    assert (left ^ right).all()


def test_area_is_unbiased():
    rng = np.random.default_rng(3)
    error = []
    for _ in range(300):
        points = outlines.circle(rng.uniform(35, 45, 2), rng.uniform(50, 60, 2))
        x, y = points.T
        error.append(outlines.fill(points, (80, 80)).sum() - abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)
    assert abs(np.mean(error)) < 4 * np.std(error) / np.sqrt(300)


# --- COCO ------------------------------------------------------------------------------------------------------------


def packed(counts):
    """COCO's compressed run lengths, written out from its definition (the inverse of the reader's)."""
    text = ""
    for k, value in enumerate(counts):
        value -= counts[k - 2] if k > 2 else 0
        while True:
            bits, value = value & 31, value >> 5
            last = (value == 0 and not bits & 16) or (value == -1 and bits & 16)
            text += chr(48 + (bits if last else bits | 32))
            if last:
                break
    return text


def runs(mask):
    flat = np.r_[0, mask.ravel(order="F").astype(int)]
    ends = np.flatnonzero(np.diff(np.r_[flat, -1]))
    return np.diff(np.r_[0, ends]).tolist()


def test_coco_polygon_and_run_lengths(tmp_path):
    wanted = labels() == 1
    size = list(wanted.shape)
    for number, segmentation in enumerate((
        [[8, 5, 30, 5, 30, 15, 8, 15]],
        {"size": size, "counts": runs(wanted)},
        {"size": size, "counts": packed(runs(wanted))},
        [[8, 5, 20, 5, 20, 15, 8, 15], [20, 5, 30, 5, 30, 15, 20, 15]],
    )):  # fmt: skip
        found = readers.read_mask(coco(tmp_path / f"{number}.json", [segmentation]), CLASSES)
        assert np.array_equal(found, wanted)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.floats(0.02, 0.98))
def test_coco_run_lengths_come_back(seed, share):
    mask = np.random.default_rng(seed).random((23, 17)) < share
    for counts in (runs(mask), packed(runs(mask))):
        assert np.array_equal(shapes.run_lengths("x", 1, {"size": [23, 17], "counts": counts}, (23, 17)), mask)


def test_coco_known_packed_string():
    # 6 × 6 image, a 2 × 2 block in rows 2–3, columns 1–2: counts 8 2 4 2 20; 8, 2, 4 plain, then 2−2, 20−4
    assert shapes._decompressed("8240`0") == [8, 2, 4, 2, 20]


def test_coco_image_by_name(tmp_path):
    path = coco(tmp_path / "a.json", [[[8, 5, 30, 5, 30, 15, 8, 15]]], images=3)
    assert readers.read_mask(f"{path}#0.png", CLASSES).sum() == 220
    assert readers.read_mask(f"{path}#2.png", CLASSES).sum() == 0


# --- Real data, where it is at hand ----------------------------------------------------------------------------------

DATA = Path(os.environ.get("QVUM_DATA", "../shared/data"))


@pytest.mark.skipif(not (DATA / "femoral").is_dir(), reason="no folder femoral under QVUM_DATA")
def test_femoral_files():
    for number in (1, 77, 310):
        image, _ = readers.read_image(DATA / f"femoral/trainset/images/sample_{number}.jpg")
        mask = readers.read_mask(DATA / f"femoral/trainset/masks/sample_{number}.png", ONE, shape=image.shape)
        assert set(np.unique(mask)) == {0, 1}


@pytest.mark.skipif(not (DATA / "ubpd").is_dir(), reason="no folder ubpd under QVUM_DATA")
def test_ubpd_files_in_both_encodings():
    names = {"nerve": "shenjing", "muscle": "jirouzuzhi", "artery": "dongmai", "vein": "jingmai"}
    declared = [
        CLASSES[0],
        *(Class(k, n, n, "#ffffff", labels=(label,)) for k, (n, label) in enumerate(names.items(), 1)),
    ]
    seen = set()
    for name in ("100_101", "1_00", "2_1_0", "3_10"):
        image, _ = readers.read_image(DATA / f"ubpd/images/{name}.jpg")
        path = DATA / f"ubpd/labels/{name}.json"
        mask = readers.read_mask(path, declared, ignored=("jizhu", "zhifang"), shape=image.shape)
        expected = {s["label"] for s in masks.load_json(path)[0]["shapes"]}
        assert {names[declared[k].name] for k in np.unique(mask) if k} == expected & set(names.values())
        seen.add(masks.load_json(path)[1])
    assert seen == {"utf-8-sig", "gb18030"}
