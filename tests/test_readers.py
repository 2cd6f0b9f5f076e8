"""Every kind of picture comes back as it was written; real masks too, where they are at hand."""

import hashlib
import io
import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from pictures import CLASSES, ONE, Class, dicom, grey, labels, save
from PIL import Image
from pydicom import dcmread
from pydicom.data import data_manager
from pydicom.encaps import encapsulate
from pydicom.pixels import convert_color_space
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from helpers import readers
from helpers.readers import labels as label_files

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


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (3, lambda a: a[::-1, ::-1]),
        (6, lambda a: np.rot90(a, -1)),
        (8, np.rot90),
        (2, lambda a: a[:, ::-1]),
    ],
)
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
    assert readers.sha256(f"{save(tmp_path / 'b.png', grey())}#0") == readers.sha256(
        tmp_path / "b.png"
    )


def test_dicom_spacing(tmp_path):
    assert readers.read_image(dicom(tmp_path / "a.dcm", grey()))[1] == pytest.approx((0.2, 0.1))
    path = dicom(tmp_path / "b.dcm", grey(), regions=(), PixelSpacing=[0.3, 0.4])
    assert readers.read_image(path)[1] == (0.3, 0.4)
    assert readers.read_image(dicom(tmp_path / "c.dcm", grey(), regions=()))[1] is None


SIDE_BY_SIDE = ((0, 0, 29, 39, 0.02, 0.02), (30, 0, 59, 39, 0.01, 0.01))


@pytest.mark.parametrize(
    ("columns", "expected"), [((5, 20), (0.2, 0.2)), ((35, 50), (0.1, 0.1)), ((20, 40), None)]
)
def test_spacing_is_that_of_the_region_in_which_the_outline_lies(tmp_path, columns, expected):
    path = dicom(tmp_path / "a.dcm", grey(), regions=SIDE_BY_SIDE)
    outlined = np.zeros((40, 60), np.uint8)
    outlined[10:20, slice(*columns)] = 1
    spacing, notes = readers.spacing_at(path, outlined)
    assert spacing == (None if expected is None else pytest.approx(expected))
    assert bool(notes) == (expected is None)
    alone = readers.open_picture(path)  # without an outline nobody can tell
    assert alone.spacing_mm is None and "spacing unknown" in alone.notes[0]


def test_a_colour_flow_region_has_a_spacing(tmp_path):
    path = dicom(tmp_path / "a.dcm", grey())
    data = dcmread(path)
    data.SequenceOfUltrasoundRegions[0].RegionDataType = 2
    data.save_as(path)
    assert readers.read_image(path)[1] == pytest.approx((0.2, 0.1))
    data.SequenceOfUltrasoundRegions[0].RegionDataType = 3  # a Doppler trace: seconds, not tissue
    data.save_as(path)
    assert readers.read_image(path)[1] is None


def test_dicom_photometric_interpretations(tmp_path):
    path = dicom(tmp_path / "1.dcm", grey(), PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(readers.read_image(path)[0], 255 - grey())
    colour = np.random.default_rng(1).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    expected = np.round(colour @ [0.299, 0.587, 0.114])
    assert np.array_equal(readers.read_image(dicom(tmp_path / "2.dcm", colour))[0], expected)
    path = dicom(
        tmp_path / "3.dcm",
        convert_color_space(colour, "RGB", "YBR_FULL"),
        PhotometricInterpretation="YBR_FULL",
    )
    assert np.abs(readers.read_image(path)[0] - expected).max() <= 1


def test_dicom_palette(tmp_path):
    table = np.arange(256, dtype=np.uint16)[::-1] * 257
    lut = {f"{c}PaletteColorLookupTableData": table.tobytes() for c in ("Red", "Green", "Blue")}
    sizes = {
        f"{c}PaletteColorLookupTableDescriptor": [256, 0, 16] for c in ("Red", "Green", "Blue")
    }
    path = dicom(
        tmp_path / "a.dcm", grey(), PhotometricInterpretation="PALETTE COLOR", **sizes, **lut
    )
    assert np.array_equal(readers.read_image(path)[0], 255 - grey())


def test_dicom_with_more_than_eight_bits(tmp_path):
    deep = (grey().astype(np.uint16) + 100) * 16
    path = dicom(tmp_path / "full.dcm", deep, BitsStored=13, HighBit=12)
    assert np.array_equal(readers.read_image(path)[0], np.round(deep / (2**13 - 1) * 255))
    # a window whose linear part runs from 1600 to 5680 is exactly the original grey
    path = dicom(tmp_path / "window.dcm", deep, WindowCenter=3640.5, WindowWidth=4081)
    picture = readers.open_picture(path)
    assert np.array_equal(picture.pixels[0], grey()) and picture.notes == ("16 bits mapped to 8",)


@pytest.mark.parametrize(
    "syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda u: u.name
)
@pytest.mark.parametrize("shape", [(40, 60), (40, 60, 3), (3, 40, 60)])
def test_dicom_compressed_without_loss(tmp_path, syntax, shape):
    pixels = np.random.default_rng(2).integers(0, 256, shape).astype(np.uint8)
    path = dicom(tmp_path / "a.dcm", pixels)
    expected = readers.read_frames(path)[0]
    data = dcmread(path)
    if (
        syntax == JPEG2000Lossless
    ):  # Pillow writes the code stream, which pydicom's own plugins only read
        frames, streams = (pixels if shape[0] == 3 else pixels[None]), []
        for frame in frames:
            streams.append(io.BytesIO())
            Image.fromarray(frame).save(
                streams[-1], "JPEG2000", no_jp2=True, irreversible=False, mct=0
            )
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


# pydicom's own files of modality US: shape, spacing in mm from the header, mean grey
ULTRASOUND = {
    "ExplVR_BigEnd.dcm": ((1, 60, 80), None, 222.5),
    "examples_jpeg2k.dcm": ((1, 480, 640), None, 35.6),
    # of these two the header's region reaches beyond the picture, as of one twice as large
    "examples_palette.dcm": ((1, 350, 800), None, 19.4),
    "examples_rgb_color.dcm": ((1, 240, 320), None, 35.3),
    "examples_ybr_color.dcm": ((30, 240, 320), None, 10.5),
}


@pytest.mark.parametrize("name", ULTRASOUND)
def test_ultrasound_files_of_pydicom(name):
    frames, spacing = readers.read_frames(shipped(name))
    shape, millimetres, mean = ULTRASOUND[name]
    assert frames.shape == shape and frames.dtype == np.uint8
    assert frames.mean() == pytest.approx(mean, abs=0.1)
    assert spacing == millimetres


@pytest.mark.parametrize(
    "name",
    [
        "SC_rgb_rle.dcm",
        "SC_rgb_jpeg_gdcm.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
        "SC_rgb_gdcm_KY.dcm",
        "SC_rgb_rle_2frame.dcm",
    ],
)
def test_one_picture_in_many_encodings(name):
    """pydicom ships one colour chart in many encodings: all give the same grey, up to JPEG's
    losses.
    """
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


# --- NIfTI
# ------------------------------------------------------------------------------


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


def test_a_nifti_that_gives_two_sizes_of_a_pixel_has_none(tmp_path):
    image = nibabel.Nifti1Image(grey().T, np.diag([-0.1, -0.2, 1, 1]))
    image.header.set_xyzt_units("mm")
    image.header["pixdim"][1:3] = 0.3
    nibabel.save(image, tmp_path / "a.nii")  # which writes pixdim as it stands
    picture = readers.open_picture(tmp_path / "a.nii")
    assert picture.spacing_mm is None
    assert "two sizes of a pixel, 0.3 × 0.3 and 0.1 × 0.2" in picture.notes[0]


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


# --- Real data, where it is at hand
# ------------------------------------------------------------------------------

DATA = Path(os.environ.get("QVUM_DATA", "../shared/data"))


@pytest.mark.skipif(not (DATA / "femoral").is_dir(), reason="no folder femoral under QVUM_DATA")
def test_femoral_files():
    for number in (1, 77, 310):
        image, _ = readers.read_image(DATA / f"femoral/trainset/images/sample_{number}.jpg")
        mask = readers.read_mask(
            DATA / f"femoral/trainset/masks/sample_{number}.png", ONE, shape=image.shape
        )
        assert set(np.unique(mask)) == {0, 1}


@pytest.mark.skipif(not (DATA / "ubpd").is_dir(), reason="no folder ubpd under QVUM_DATA")
def test_ubpd_files_in_both_encodings():
    names = {"nerve": "shenjing", "muscle": "jirouzuzhi", "artery": "dongmai", "vein": "jingmai"}
    declared = [
        CLASSES[0],
        *(
            Class(k, n, n, "#ffffff", labels=(label,))
            for k, (n, label) in enumerate(names.items(), 1)
        ),
    ]
    seen = set()
    for name in ("100_101", "1_00", "2_1_0", "3_10"):
        image, _ = readers.read_image(DATA / f"ubpd/images/{name}.jpg")
        path = DATA / f"ubpd/labels/{name}.json"
        mask = readers.read_mask(path, declared, ignored=("jizhu", "zhifang"), shape=image.shape)
        expected = {s["label"] for s in label_files.load_json(path)[0]["shapes"]}
        assert {names[declared[k].name] for k in np.unique(mask) if k} == expected & set(
            names.values()
        )
        seen.add(label_files.load_json(path)[1])
    assert seen == {"utf-8-sig", "gb18030"}


@pytest.mark.parametrize("orientation", [3, 5, 6, 7, 8])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_a_tiff_that_its_entry_turns_is_turned_or_refused(tmp_path, orientation, compression):
    """Pillow 13 takes rows for columns where such a file is not compressed."""
    stored = grey(8, 12)
    turned = {
        3: stored[::-1, ::-1],
        5: stored.T,
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].T,
        8: np.rot90(stored),
    }
    path = tmp_path / "a.tif"
    Image.fromarray(stored).save(path, compression=compression, tiffinfo={274: orientation})
    if orientation > 4 and compression == "raw":
        with pytest.raises(
            readers.StudyError, match=r"a\.tif: an uncompressed TIFF that its orientation"
        ):
            readers.one_picture(path)
    else:
        assert np.array_equal(readers.one_picture(path).pixels[0], turned[orientation])
