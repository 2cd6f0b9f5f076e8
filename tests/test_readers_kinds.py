"""Formats as scanners, phones and drawing tools write them, each with its right values."""

import base64
import io
import json
import struct
import zlib

import imageio_ffmpeg
import nibabel
import numpy as np
import pytest
import SimpleITK
from pictures import CLASSES, ONE, coco, dicom, grey, labelme, labels, save
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import convert_color_space
from pydicom.uid import MPEG4HP41, DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit

from helpers import readers
from helpers.errors import StudyError
from helpers.readers import labels as labels_of
from helpers.readers import plausible

BOX = [[8, 5], [30, 5], [30, 15], [8, 15]]  # class 1 of ``labels``


# --- DICOM


@pytest.mark.parametrize("kind", [np.uint16, np.int16])
def test_sixteen_bits_that_hold_eight_are_grey_levels(tmp_path, kind):
    path = dicom(tmp_path / "a.dcm", grey().astype(kind))
    if kind is np.int16:
        data = dcmread(path)
        data.PixelRepresentation = 1
        data.save_as(path)
    picture = readers.open_picture(path)
    assert np.array_equal(picture.pixels[0], grey())
    assert picture.notes == ("16 bits that hold grey values 0–255: taken as they are",)


def test_sixteen_bits_that_fill_little_of_them_are_refused(tmp_path):
    path = dicom(tmp_path / "a.dcm", grey().astype(np.uint16) * 4)
    with pytest.raises(StudyError, match=r"no window, but its values .* fill little of them"):
        readers.open_picture(path)


def test_bits_that_lie_high_are_moved_down(tmp_path):
    values = grey().astype(np.uint16) * 16 + 15
    stored = {"BitsStored": 12, "HighBit": 15, "WindowCenter": 2048, "WindowWidth": 4096}
    picture = readers.open_picture(dicom(tmp_path / "a.dcm", values << 4, **stored))
    assert np.abs(picture.pixels[0].astype(int) - grey()).max() <= 1
    assert picture.notes[0] == "the 12 bits of a pixel lie 4 higher than usual"
    overlay = 1 << 12  # a bit above, which is none of the picture's, under a wrong HighBit
    picture = readers.open_picture(dicom(tmp_path / "b.dcm", values | overlay, **stored))
    assert np.abs(picture.pixels[0].astype(int) - grey()).max() <= 1


@pytest.mark.parametrize(
    ("window", "share"),
    [
        ({"WindowCenter": 2048, "WindowWidth": 0}, lambda v: v / 4095),
        ({"WindowCenter": 1000, "WindowWidth": 2000}, lambda v: (v - 999.5) / 1999 + 0.5),
        (
            {"WindowCenter": 1000, "WindowWidth": 2000, "VOILUTFunction": "SIGMOID"},
            lambda v: 1 / (1 + np.exp(-4 * (v - 1000) / 2000)),
        ),
    ],
)
def test_windows_as_dicom_defines_them(tmp_path, window, share):
    values = grey().astype(np.uint16) * 16
    path = dicom(tmp_path / "a.dcm", values, BitsStored=12, HighBit=11, **window)
    found = readers.read_image(path)[0]
    assert np.abs(found - 255 * np.clip(share(values.astype(float)), 0, 1)).max() <= 0.51


@pytest.mark.parametrize("high", [True, False])
def test_a_palette_of_eight_bits_in_sixteen(tmp_path, high):
    table = np.arange(256, dtype=np.uint16)[::-1] * (256 if high else 1)
    names = ("Red", "Green", "Blue")
    lut = {f"{c}PaletteColorLookupTableData": table.tobytes() for c in names}
    sizes = {f"{c}PaletteColorLookupTableDescriptor": [256, 0, 16] for c in names}
    path = dicom(
        tmp_path / "a.dcm", grey(), PhotometricInterpretation="PALETTE COLOR", **sizes, **lut
    )
    assert np.array_equal(readers.read_image(path)[0], 255 - grey())


@pytest.mark.parametrize("said", ["RGB", "YBR_FULL"])
@pytest.mark.parametrize("held", ["RGB", "YBR_FULL"])
def test_colours_are_decoded_by_what_the_stream_holds(tmp_path, said, held):
    colour = np.repeat(grey()[..., None], 3, 2)
    stored = colour if held == "RGB" else convert_color_space(colour, "RGB", held)
    picture = readers.open_picture(
        dicom(tmp_path / "a.dcm", stored, PhotometricInterpretation=said)
    )
    assert np.abs(picture.pixels[0].astype(int) - grey()).max() <= 1
    assert any("the stream does not" in note for note in picture.notes) == (said != held)


@pytest.mark.parametrize("said", ["RGB", "YBR_FULL_422"])
def test_jpeg_streams_hold_ycbcr_whatever_the_header_says(tmp_path, said):
    smooth = np.repeat(np.tile(np.linspace(20, 230, 60), (40, 1))[..., None], 3, 2).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(smooth).save(stream, "JPEG", quality=95)
    path = dicom(tmp_path / "a.dcm", smooth, PhotometricInterpretation=said)
    data = dcmread(path)
    data.PixelData = encapsulate([stream.getvalue()])
    data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    data.save_as(path)
    found = readers.read_image(path)[0].astype(int)
    assert np.abs(found - smooth[..., 0]).mean() < 1.5


def film(path, frames, *options):
    """Write grey frames, uint8 (N, rows, columns), as H.264."""
    size = frames.shape[2], frames.shape[1]
    writer = imageio_ffmpeg.write_frames(
        str(path), size, pix_fmt_in="gray", fps=10, macro_block_size=2, output_params=[*options]
    )
    writer.send(None)
    for frame in frames:
        writer.send(np.ascontiguousarray(frame))
    writer.close()
    return path


def moving():
    """Three frames, uint8, of a bright box that moves right."""
    frames = np.full((3, 48, 64), 60, np.uint8)
    for k, frame in enumerate(frames):
        frame[16:32, 8 + 12 * k : 24 + 12 * k] = 200
    return frames


@pytest.mark.parametrize("end", ["mp4", "avi", "mkv"])
def test_a_video_has_the_grey_levels_of_its_frames(tmp_path, end):
    frames, spacing = readers.read_frames(film(tmp_path / f"a.{end}", moving()))
    assert frames.shape == moving().shape and spacing is None
    assert np.abs(frames.astype(int) - moving()).mean() < 3


def test_a_cine_that_wraps_a_video(tmp_path):
    stream = film(tmp_path / "stream.h264", moving(), "-f", "h264").read_bytes()
    path = dicom(tmp_path / "a.dcm", moving())
    data = dcmread(path)
    data.file_meta.TransferSyntaxUID = MPEG4HP41
    data.NumberOfFrames = 5
    data.PixelData = encapsulate([stream + b"\0" * (len(stream) % 2)])
    data.save_as(path)
    picture = readers.open_picture(path)
    assert np.abs(picture.pixels.astype(int) - moving()).mean() < 3
    assert picture.spacing_mm == pytest.approx((0.2, 0.1))
    assert picture.notes == ("the header says 5 frames, the video holds 3",)
    data.PixelData = encapsulate([bytes(range(200))])
    data.save_as(path)
    with pytest.raises(StudyError, match=r"is compressed as MPEG-4 .* cannot be decoded; ask the"):
        readers.open_picture(path)


# --- photographs and volumes


def test_a_photo_that_holds_two_is_its_first(tmp_path):
    Image.fromarray(grey()).save(
        tmp_path / "a.jpg",
        "MPO",
        save_all=True,
        append_images=[Image.fromarray(grey(20, 30, seed=1))],
        quality=100,
    )
    picture = readers.open_picture(tmp_path / "a.jpg")
    assert picture.pixels.shape == (1, 40, 60)
    assert np.abs(picture.pixels[0].astype(int) - grey()).max() <= 4
    assert picture.notes == ("a photo that holds 2 pictures: the first was taken",)


@pytest.mark.parametrize("colours", [3, 4])
def test_colour_on_the_fifth_axis_of_nifti(tmp_path, colours):
    values = np.repeat(grey().T[:, :, None, None, None], colours, 4)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "a.nii.gz")
    frames, spacing = readers.read_frames(tmp_path / "a.nii.gz")
    assert np.array_equal(frames, grey()[None]) and spacing is None


def test_a_cine_on_the_fourth_axis_of_nifti(tmp_path):
    values = np.stack([grey(seed=k).T[..., None] for k in range(3)], 3)  # column, row, 1, time
    nibabel.save(nibabel.Nifti1Image(values, np.diag([0.1, 0.2, 1, 1])), tmp_path / "a.nii")
    frames, _ = readers.read_frames(tmp_path / "a.nii")
    assert np.array_equal(frames, np.stack([grey(seed=k) for k in range(3)]))


# --- outlines and segments


def slicer(path, values, **names):
    """A segmentation as 3D Slicer writes it; names: Segment0="nerve:1" (label value)."""
    image = SimpleITK.GetImageFromArray(values[None])
    for segment, text in names.items():
        name, value = text.split(":")
        image.SetMetaData(f"{segment}_Name", name)
        image.SetMetaData(f"{segment}_LabelValue", value)
    SimpleITK.WriteImage(image, str(path))
    return path


def test_slicers_segmentation_is_read_by_its_names(tmp_path):
    stored = np.array([0, 7, 3, 5], np.uint8)[labels()]
    names = {"Segment0": "Nerve:7", "Segment1": "muscle:3", "Segment2": "artery:5"}
    path = slicer(tmp_path / "a.seg.nrrd", stored, **names)
    assert np.array_equal(readers.read_mask(path, CLASSES), labels())
    names.pop("Segment1")
    path = slicer(tmp_path / "b.seg.nrrd", stored, **names)
    with pytest.raises(StudyError, match="150 pixels belong to no named segment"):
        readers.read_mask(path, CLASSES)


def test_a_segmentation_that_slicer_cut_to_what_is_drawn(tmp_path):
    path = slicer(tmp_path / "a.seg.nrrd", labels()[5:15, 8:30], Segment0="nerve:1")
    with pytest.raises(StudyError, match="the mask has 10 rows × 22 columns, its image 40 × 60"):
        readers.read_mask(path, ONE, shape=(40, 60))
    image = SimpleITK.ReadImage(str(path))
    image.SetMetaData("Segmentation_ReferenceImageExtentOffset", "8 5 0")
    SimpleITK.WriteImage(image, str(path))
    assert np.array_equal(readers.read_mask(path, ONE, shape=(40, 60)), labels() == 1)
    with pytest.raises(StudyError, match="the mask has 10 rows × 22 columns, its image 14 × 60"):
        readers.read_mask(path, ONE, shape=(14, 60))


@pytest.mark.parametrize("end", ["mhd", "nhdr"])
def test_a_header_and_its_values_are_one_picture(tmp_path, end):
    image = SimpleITK.GetImageFromArray(grey())
    image.SetSpacing((0.1, 0.2))
    path = tmp_path / f"a.{end}"
    SimpleITK.WriteImage(image, str(path))
    pixels, spacing = readers.read_image(path)
    assert np.array_equal(pixels, grey()) and spacing == pytest.approx((0.2, 0.1))
    header, values = readers.files_of(path)
    assert header == path and values.stem == "a" and values.suffix == ".raw"
    before = readers.sha256(path)
    values.write_bytes(values.read_bytes()[::-1])
    assert readers.sha256(path) != before
    values.unlink()
    with pytest.raises(StudyError, match=r"its values should lie in a\.raw, which is missing"):
        readers.read_image(path)
    path.write_bytes(path.read_bytes().replace(b"a.raw", b"a%03d.raw 1 3 1"))
    with pytest.raises(StudyError, match="does not name the one file of its values; save it as"):
        readers.read_image(path)


@pytest.mark.parametrize("end", ["mha", "nrrd"])
def test_values_that_lie_elsewhere_are_part_of_the_file(tmp_path, end):
    """A file that usually holds its own may name another, even outside DATA: it is hashed, and a
    place outside is refused.
    """
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "secret.raw").write_bytes(grey().tobytes())
    rows, columns = grey().shape
    meta = f"ObjectType = Image\nNDims = 2\nDimSize = {columns} {rows}\nElementType = MET_UCHAR\n"
    nrrd = f"NRRD0004\ntype: uchar\ndimension: 2\nsizes: {columns} {rows}\nencoding: raw\n"
    header = meta + "ElementDataFile = {}\n" if end == "mha" else nrrd + "data file: {}\n\n"
    path = data / f"a.{end}"
    for name in ("../secret.raw", str(tmp_path / "secret.raw")):
        path.write_text(header.format(name))
        assert np.array_equal(readers.read_image(path)[0], grey())
        assert readers.leads_out(path, data)
        before = readers.sha256(path)
        (tmp_path / "secret.raw").write_bytes(grey()[::-1].tobytes())
        assert readers.sha256(path) != before
        (tmp_path / "secret.raw").write_bytes(grey().tobytes())
    path.write_text(header.format("LIST") + "../secret.raw\n")
    with pytest.raises(StudyError, match="does not name the one file of its values"):
        readers.read_image(path)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(grey()), str(path))
    assert readers.files_of(path) == [path] and not readers.leads_out(path, data)
    assert np.array_equal(readers.read_image(path)[0], grey())


def via(version):
    """A VIA project of one picture: a polygon, a rectangle and a circle."""
    x, y = map(list, zip(*BOX, strict=True))
    drawn = [
        ({"name": "polygon", "all_points_x": x, "all_points_y": y}, "nerve"),
        ({"name": "rect", "x": 40, "y": 20, "width": 15, "height": 10}, "muscle"),
    ]
    regions = [
        {"shape_attributes": shape, "region_attributes": {"kind": name}} for shape, name in drawn
    ]
    if version == 1:
        regions = {str(k): region for k, region in enumerate(regions)}
    return {"a.png1234": {"filename": "a.png", "size": 1234, "regions": regions}}


@pytest.mark.parametrize("kind", ["project", "version 1", "table"])
def test_via_in_its_three_forms(tmp_path, kind):
    if kind == "table":
        rows = ["filename,file_size,file_attributes,region_count,region_id,region_shape_attributes"]
        rows[0] += ",region_attributes"
        for k, region in enumerate(via(2)["a.png1234"]["regions"]):
            cells = [json.dumps(region[n]).replace('"', '""') for n in region]
            rows.append(f'a.png,1234,"{{}}",2,{k},"{cells[0]}","{cells[1]}"')
        path = tmp_path / "via.csv"
        path.write_text("\n".join(rows) + "\n")
    else:
        content = {"_via_img_metadata": via(2)} if kind == "project" else via(1)
        path = tmp_path / "via.json"
        path.write_text(json.dumps(content))
    found = readers.read_mask(f"{path}#a.png", CLASSES, shape=(40, 60))
    assert np.array_equal(found, np.where(labels() == 3, 0, labels()))


def test_a_labelme_mask_of_a_model_is_its_pixels(tmp_path):
    drawn = io.BytesIO()
    Image.fromarray(np.ones((10, 22), bool)).save(drawn, "PNG")
    shape = {
        "label": "nerve",
        "shape_type": "mask",
        "points": [[8, 5], [29, 14]],
        "mask": base64.b64encode(drawn.getvalue()).decode(),
    }
    path = tmp_path / "a.json"
    content = {"shapes": [shape], "imageHeight": 40, "imageWidth": 60}
    path.write_text(json.dumps(content))
    assert np.array_equal(readers.read_mask(path, ONE), labels() == 1)


# --- sizes that no picture has, before memory is taken for them


def test_a_labelme_file_that_declares_forty_gigapixels(tmp_path, little_memory):
    path = labelme(tmp_path / "a.json", [("nerve", BOX)], size=(200_000, 200_000))
    with pytest.raises(StudyError, match="declares 200,000 × 200,000 pixels, more than any"):
        readers.read_mask(path, ONE)


def png(rows, columns):
    """A PNG of little more than a kilobyte that declares a size."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(100_000)))
        + chunk(b"IEND", b"")
    )


def large(tmp_path, kind):
    if kind == "PNG":
        (tmp_path / "a.png").write_bytes(png(30_000, 30_000))
        return tmp_path / "a.png"
    if kind == "NIfTI":
        header = nibabel.Nifti1Header()
        header.set_data_shape((30_000, 30_000, 1))
        header.set_data_dtype(np.uint8)
        content = header.binaryblock + bytes(100)
        (tmp_path / "a.nii").write_bytes(content)
        return tmp_path / "a.nii"
    if kind == "NRRD":
        text = "NRRD0004\ntype: uint8\ndimension: 2\nsizes: 30000 30000\nencoding: raw\n\n"
        (tmp_path / "a.nrrd").write_bytes(text.encode() + bytes(100))
        return tmp_path / "a.nrrd"
    path = dicom(tmp_path / "a.dcm", grey())
    data = dcmread(path)
    if kind == "DICOM":
        data.Rows, data.Columns, data.NumberOfFrames = 20_000, 6_000, 400
    else:  # a data set that unpacks to gigabytes
        data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        data.PixelData = bytes(1 << 24)
    data.save_as(path)
    return path


@pytest.fixture
def little_memory(monkeypatch):
    """numpy takes no array larger than 100 MB."""
    for name in ("zeros", "empty", "ones"):
        make = getattr(np, name)

        def guarded(shape, *args, make=make, **kwargs):
            assert np.prod(np.atleast_1d(shape), dtype=float) < 1e8, f"memory taken for {shape}"
            return make(shape, *args, **kwargs)

        monkeypatch.setattr(np, name, guarded)


@pytest.mark.parametrize("kind", ["PNG", "NIfTI", "NRRD", "DICOM"])
def test_a_small_file_that_declares_a_huge_picture(tmp_path, little_memory, kind):
    path = large(tmp_path, kind)
    assert path.stat().st_size < 10_000
    with pytest.raises(StudyError, match=r"declares .*more.* than any picture here has"):
        readers.open_picture(path)


def swollen(tmp_path, kind):
    """A small file of a size that is allowed, and that takes more memory than that once read."""
    path = tmp_path / {"GIF": "a.gif", "NRRD": "a.nrrd"}.get(kind, "a.nii")
    if kind == "GIF":
        frames = [Image.new("RGB", (60, 40), (9 * k, 200, 9)) for k in range(5)]
        frames[0].save(path, save_all=True, append_images=frames[1:])
    elif kind == "NRRD":
        head = "NRRD0004\ntype: double\ndimension: 3\nsizes: 60 40 5\nencoding: raw\n"
        path.write_bytes(f"{head}endian: little\n\n".encode() + bytes(60 * 40 * 5 * 8))
    else:
        header = nibabel.Nifti1Header()
        header.set_data_shape((60, 40, 5))
        header.set_data_dtype(np.uint8 if kind == "scaled" else np.float64)
        header["scl_slope"] = 0.5 if kind == "scaled" else 1
        header["magic"], header["vox_offset"] = b"n+1", 352
        path.write_bytes(header.binaryblock + bytes(4 + 60 * 40 * 5 * 8))
    return path


@pytest.mark.parametrize("kind", ["GIF", "NRRD", "NIfTI", "scaled"])
def test_what_a_pixel_takes_once_it_is_read_is_weighed(tmp_path, monkeypatch, kind):
    path = swollen(tmp_path, kind)
    readers.open_picture(path)
    monkeypatch.setattr(plausible, "MOST_BYTES", 60 * 40 * 5 * 2)
    with pytest.raises(StudyError, match="declares 5 × 40 × 60 pixels, more than any"):
        readers.open_picture(path)


def test_sixteen_bits_are_weighed_as_the_numbers_that_they_become(tmp_path, monkeypatch):
    path = dicom(tmp_path / "a.dcm", grey().astype(np.uint16))
    monkeypatch.setattr(plausible, "MOST_BYTES", 40 * 60 * 2)
    with pytest.raises(StudyError, match="declares 40 × 60 pixels, more than any"):
        readers.open_picture(path)


def test_a_video_is_given_up_at_the_frame_that_is_too_many(tmp_path, monkeypatch):
    given = []

    def frames(*_, **__):
        yield {"size": (60, 40), "fps": 25}
        for _ in range(300):
            given.append(bytes(60 * 40))
            yield given[-1]

    (tmp_path / "a.mp4").write_bytes(b"1234ftyp")
    monkeypatch.setattr(imageio_ffmpeg, "read_frames", frames)
    monkeypatch.setattr(plausible, "MOST_BYTES", 60 * 40 * 10)
    with pytest.raises(StudyError, match="declares 11 × 40 × 60 pixels, more than any"):
        readers.open_picture(tmp_path / "a.mp4")
    assert len(given) == 11


def test_run_lengths_of_many_outlines_are_weighed_together(tmp_path, monkeypatch):
    runs = {"size": [40, 60], "counts": [0, 100, 2300]}
    path = coco(tmp_path / "a.json", [runs] * 5)
    assert (readers.read_mask(path, ONE) == 1).sum() == 100
    monkeypatch.setattr(plausible, "MOST_BYTES", 40 * 60 * 4)
    with pytest.raises(StudyError, match="declares 5 × 40 × 60 pixels, more than any"):
        readers.read_mask(path, ONE)


@pytest.mark.parametrize("ask", [readers.open_picture, readers.frame_count])
def test_a_line_of_pixels_is_no_picture(tmp_path, ask):
    head = "ObjectType = Image\nNDims = 1\nDimSize = 10\nElementType = MET_UCHAR\n"
    (tmp_path / "a.mha").write_bytes(f"{head}ElementDataFile = LOCAL\n".encode() + bytes(10))
    with pytest.raises(StudyError, match=r"a\.mha: has one axis; a picture has two"):
        ask(tmp_path / "a.mha")


def test_a_small_file_that_unpacks_to_more_than_is_allowed(tmp_path, monkeypatch):
    monkeypatch.setattr(readers.dicom, "MOST_DEFLATED", 1 << 23)
    path = large(tmp_path, "deflated")
    assert path.stat().st_size < 50_000
    with pytest.raises(StudyError, match="unpacks to more than"):
        readers.open_picture(path)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_black_and_white_masks_stored_as_colour(tmp_path, mode):
    picture = Image.fromarray(np.where(labels() == 1, 255, 0).astype(np.uint8)).convert(mode)
    picture.save(tmp_path / "a.png")
    assert np.array_equal(readers.read_mask(tmp_path / "a.png", ONE), labels() == 1)


def test_an_overlay_of_one_transparency_is_a_mask_and_smoothing_none(tmp_path):
    colours = np.zeros((40, 60, 4), np.uint8)
    colours[labels() == 1] = (*bytes.fromhex(ONE[1].colour[1:]), 128)
    save(tmp_path / "a.png", colours)
    assert np.array_equal(readers.read_mask(tmp_path / "a.png", ONE), labels() == 1)
    colours[8, 8, 3] = 60
    save(tmp_path / "b.png", colours)
    with pytest.raises(StudyError, match="half-transparent pixels; export the mask without smoo"):
        readers.read_mask(tmp_path / "b.png", ONE)


def test_a_mask_of_many_values_is_smoothed(tmp_path):
    save(tmp_path / "a.png", np.tile(np.arange(60, dtype=np.uint8), (40, 1)))
    with pytest.raises(StudyError, match=r"and 50 more; .* have smoothed edges, JPEG and prob"):
        readers.read_mask(tmp_path / "a.png", ONE)
    save(tmp_path / "b.png", np.full((40, 60), 7, np.uint8))
    with pytest.raises(StudyError, match=r"values 7 \(2400 px\); .* under ignored$"):
        readers.read_mask(tmp_path / "b.png", ONE)


def test_colours_that_are_ignored_are_background(tmp_path):
    colours = np.zeros((40, 60, 3), np.uint8)
    colours[labels() == 1] = list(bytes.fromhex(ONE[1].colour[1:]))
    colours[labels() == 2] = (0, 9, 0)
    path = save(tmp_path / "a.png", colours)
    with pytest.raises(StudyError, match=r"undeclared colours #000900 .* or under ignored"):
        readers.read_mask(path, ONE)
    assert np.array_equal(readers.read_mask(path, ONE, ignored=("#000900",)), labels() == 1)


@pytest.mark.parametrize("wide", [257, 256])
def test_sixteen_bits_made_of_eight_are_those_eight(tmp_path, wide):
    save(tmp_path / "a.png", grey().astype(np.uint16) * wide)
    assert np.array_equal(readers.read_image(tmp_path / "a.png")[0], grey())
    save(tmp_path / "b.png", grey().astype(np.uint16) * wide + 1)
    with pytest.raises(StudyError, match="grey levels 0 to 255 are needed; export it in 8 bits"):
        readers.read_image(tmp_path / "b.png")


def test_a_mask_whose_height_and_width_are_exchanged_is_refused_with_both(tmp_path):
    path = save(tmp_path / "a.png", labels().T.copy())
    with pytest.raises(
        StudyError, match=r"60 rows × 40 columns, its image 40 × 60; height and wid"
    ):
        readers.read_mask(path, CLASSES, shape=(40, 60))


def test_eight_bits_are_rescaled_as_the_header_says(tmp_path):
    dicom(tmp_path / "a.dcm", grey() // 2, RescaleSlope="2", RescaleIntercept="0")
    assert np.array_equal(readers.read_image(tmp_path / "a.dcm")[0], grey() // 2 * 2)


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("said", [0, 1])
def test_planes_are_found_where_the_header_denies_them(tmp_path, said, scale):
    y, x = np.mgrid[:40, :60]
    colours = np.repeat((120 + 90 * np.sin(x / 4 + y / 9)).astype(np.uint8)[..., None], 3, 2)
    if scale:  # a yellow one, as scanners draw it
        colours[2:4, 2:30] = (255, 255, 0)
    path = dicom(tmp_path / "a.dcm", colours, PlanarConfiguration=said)
    if said == 0:
        data = dcmread(path)
        data.PixelData = np.ascontiguousarray(np.moveaxis(colours, -1, 0)).tobytes()
        data.save_as(path)
    picture = readers.open_picture(path)
    assert np.array_equal(picture.pixels[0], np.round(colours @ [0.299, 0.587, 0.114]))
    assert "plane by plane" in picture.notes[0] or "pixel by pixel" in picture.notes[0]


def test_a_spacing_of_one_by_one_is_none(tmp_path):
    path = dicom(tmp_path / "a.dcm", grey(), regions=(), PixelSpacing=[1, 1])
    picture = readers.open_picture(path)
    assert picture.spacing_mm is None and "spacing unknown" in picture.notes[0]


def test_a_small_outline_that_unpacks_to_a_huge_picture_is_refused(tmp_path):
    """Labelme keeps what a model proposed as a PNG; this one declares 900 megapixels."""
    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", b""), (b"IEND", b""))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    shape = {"label": "nerve", "shape_type": "mask", "points": [[0, 0], [9, 9]]}
    shape["mask"] = base64.b64encode(png).decode()
    content = {"version": "5", "shapes": [shape], "imagePath": "a.png"}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content | {"imageHeight": 40, "imageWidth": 60}))
    with pytest.raises(StudyError, match=r"a\.json: shape 1 \(nerve\): its mask cannot be decoded"):
        readers.read_mask(path, CLASSES, shape=(40, 60))


@pytest.mark.parametrize(
    ("unit", "spacing"), [("mm", 0.02), ("cm", 0.2), ("um", 2e-5), ("pixels", None), ("", 0.02)]
)
def test_units_of_nrrd_are_heeded(tmp_path, unit, spacing):
    for told in ("space units: {0}", "units: {0}") if unit else ("",):
        oriented = "space dimension: 2\nspace directions: (0.02,0) (0,0.02)"
        head = oriented if "space" in told else "spacings: 0.02 0.02"
        lines = f"type: uint8\ndimension: 2\nsizes: 60 40\n{head}\nencoding: raw\n{told}".strip()
        lines = lines.format(f'"{unit}" "{unit}"')
        (tmp_path / "a.nrrd").write_bytes(f"NRRD0004\n{lines}\n\n".encode() + grey().tobytes())
        pixels, found = readers.read_image(tmp_path / "a.nrrd")
        assert np.array_equal(pixels, grey())
        assert found == (spacing and pytest.approx((spacing, spacing)))


@pytest.mark.parametrize("near", [0.9999999, 1.0000152])
def test_a_label_stored_by_a_scale_is_the_whole_number(tmp_path, near):
    mask = nibabel.Nifti1Image((labels() * np.float32(near)).T, np.diag([-1, -1, 1, 1]))
    nibabel.save(mask, tmp_path / "m.nii.gz")
    assert np.array_equal(readers.read_mask(tmp_path / "m.nii.gz", CLASSES), labels())
    assert labels_of.whole(np.array([0.9, 1.5, 2.9999])).tolist() == [0.9, 1.5, 3]


@pytest.mark.parametrize("tool", ["labelme", "coco"])
def test_sizes_written_as_fractions_are_sizes(tmp_path, tool):
    """And held against the picture's, as others are."""
    if tool == "labelme":
        path = labelme(tmp_path / "a.json", [("nerve", BOX)], size=(40.0, 60.0))
    else:
        path = coco(tmp_path / "a.json", [[np.ravel(BOX).tolist()]], size=(40.0, 60.0))
    assert np.array_equal(readers.read_mask(path, ONE, shape=(40, 60)), labels() == 1)
    with pytest.raises(StudyError, match="the mask has 40 rows × 60 columns, its image 80 × 120"):
        readers.read_mask(path, ONE, shape=(80, 120))
