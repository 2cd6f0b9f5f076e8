"""Broken pictures and masks: the exact message, naming the file and what to do, and nothing
changed on disk.
"""

import hashlib

import nibabel
import numpy as np
import pytest
import SimpleITK
from pictures import CLASSES, ONE, coco, dicom, grey, labelme, labels, save
from PIL import Image
from pydicom import dcmread

from helpers import readers
from helpers.errors import StudyError

DECLARED = (
    "declared are 0 background, 1 nerve, 2 muscle, 3 artery; declare what was found under classes,"
    " or its label under ignored"
)
BROKEN = {}


def broken(kind, message, mask=False, **options):
    """Register a file that must be refused: a function (folder) → path, and the message with
    {path} for its path.
    """

    def register(make):
        assert kind not in BROKEN
        BROKEN[kind] = (make, message, mask, options)
        return make

    return register


def itk(path, values):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(path))
    return path


def cut(path, keep):
    path.write_bytes(path.read_bytes()[:keep])
    return path


# --- images
# ------------------------------------------------------------------------------


@broken("missing file", "{path}: no such file; check the path against the DATA folder")
def _(folder):
    return folder / "nowhere.png"


@broken("folder", "{path}: is a folder, a file was expected")
def _(folder):
    (folder / "a.png").mkdir()
    return folder / "a.png"


@broken("zero bytes", "{path}: is empty (0 bytes); copy it again")
def _(folder):
    (folder / "a.png").touch()
    return folder / "a.png"


@broken(
    "text with an image's name",
    "{path}: is no PNG file: it starts with b'patient '; give PNG, JPEG, TIFF, BMP, DICOM, NIfTI,"
    " NRRD, MetaImage, GIF, WebP, video, JSON, or leave it out",
)
def _(folder):
    (folder / "a.png").write_text("patient 7, see the other folder")
    return folder / "a.png"


@broken(
    "text with a scanner's name",
    "{path}: is no DICOM file: it starts with b'patient '; give PNG, JPEG, TIFF, BMP, DICOM, NIfTI,"
    " NRRD, MetaImage, GIF, WebP, video, JSON, or leave it out",
)
def _(folder):
    (folder / "a.dcm").write_text("patient 7")
    return folder / "a.dcm"


@broken(
    "unknown kind",
    "{path}: is no known image or mask file: it starts with b'8BPS\\x00\\x01\\x00\\x00'; give PNG,"
    " JPEG, TIFF, BMP, DICOM, NIfTI, NRRD, MetaImage, GIF, WebP, video, JSON, or leave it out",
)
def _(folder):
    (folder / "a.psd").write_bytes(b"8BPS\0\x01\0\0\0\0\0\3")
    return folder / "a.psd"


@broken("misnamed", "{path}: is JPEG inside but named .png; rename it to .jpg")
def _(folder):
    return save(folder / "a.jpg", grey()).rename(folder / "a.png")


@broken("misnamed DICOM", "{path}: is DICOM inside but named .jpg; rename it to .dcm")
def _(folder):
    return dicom(folder / "a.dcm", grey()).rename(folder / "a.jpg")


@broken("truncated PNG", "{path}: cannot be decoded, it is damaged or cut short (*); copy it again")
def _(folder):
    return cut(save(folder / "a.png", grey()), 900)


@broken(
    "truncated JPEG", "{path}: cannot be decoded, it is damaged or cut short (*); copy it again"
)
def _(folder):
    return cut(save(folder / "a.jpg", grey()), 900)


@broken(
    "truncated TIFF", "{path}: cannot be decoded, it is damaged or cut short (*); copy it again"
)
def _(folder):
    return cut(save(folder / "a.tif", grey()), 900)


@broken("truncated BMP", "{path}: cannot be decoded, it is damaged or cut short (*); copy it again")
def _(folder):
    return cut(save(folder / "a.bmp", grey()), 900)


@broken(
    "PNG with a damaged byte",
    "{path}: cannot be decoded, it is damaged or cut short (*); copy it again",
)
def _(folder):
    path = save(folder / "a.png", grey())
    raw = bytearray(path.read_bytes())
    raw[300] ^= 255
    path.write_bytes(raw)
    return path


@broken(
    "truncated NIfTI", "{path}: cannot be decoded, it is damaged or cut short (*); copy it again"
)
def _(folder):
    return cut(itk(folder / "a.nii", grey()), 900)


@broken(
    "truncated compressed NIfTI",
    "{path}: cannot be decoded, it is damaged or cut short (*); copy it again",
)
def _(folder):
    return cut(itk(folder / "a.nii.gz", grey()), 900)


@broken("truncated DICOM", "{path}: the picture cannot be decoded (*); export it again")
def _(folder):
    path = dicom(folder / "a.dcm", grey())
    return cut(path, path.stat().st_size - 700)


@broken(
    "DICOM without a picture", "{path}: is DICOM without a picture (no PixelData); leave it out"
)
def _(folder):
    data = dcmread(dicom(folder / "a.dcm", grey()))
    del data.PixelData
    data.save_as(folder / "a.dcm")
    return folder / "a.dcm"


@broken(
    "DICOM of an unknown photometric interpretation",
    "{path}: photometric interpretation 'CMYK' is not readable; export it as MONOCHROME2",
)
def _(folder):
    return dicom(folder / "a.dcm", grey(), PhotometricInterpretation="CMYK")


@broken("DICOM colour in 16 bits", "{path}: colour in 16 bits; export it in 8 bits a channel")
def _(folder):
    return dicom(folder / "a.dcm", np.zeros((8, 8, 3), np.uint16))


@broken(
    "cine without a frame",
    "{path}: holds 3 frames, its mask does not say of which it is; call masks by the frame (a_000"
    " is of the first), outline a stack of 3 slices (NIfTI, TIFF), or save the outlined frames as"
    " pictures of their own",
)
def _(folder):
    return dicom(folder / "a.dcm", np.stack([grey()] * 3))


@broken("frame past the end", "{file}: has no frame 3; it holds 3, counted from 0")
def _(folder):
    return dicom(folder / "a.dcm", np.stack([grey()] * 3)).with_name("a.dcm#3")


@broken(
    "frame that is no number",
    "{path}: '#last' names no frame; write a whole number, counted from 0",
)
def _(folder):
    return dicom(folder / "a.dcm", np.stack([grey()] * 3)).with_name("a.dcm#last")


@broken(
    "pages of different sizes", "{path}: its 2 pages differ in size; save each as a file of its own"
)
def _(folder):
    pages = [Image.fromarray(grey()), Image.fromarray(grey(20, 30))]
    pages[0].save(folder / "a.tif", save_all=True, append_images=pages[1:])
    return folder / "a.tif"


@broken(
    "16-bit image",
    "{path}: has values 0 to 51000 (uint16), grey levels 0 to 255 are needed; export it in 8 bits",
)
def _(folder):
    return save(folder / "a.png", grey().astype(np.uint16) * 200)


@broken(
    "negative values",
    "{path}: has values -100 to 155 (int16), grey levels 0 to 255 are needed; export it in 8 bits",
)
def _(folder):
    return itk(folder / "a.nii", grey().astype(np.int16) - 100)


@broken("NaN in an image", "{path}: has 1 pixels that are NaN or infinite; export again")
def _(folder):
    values = grey().astype(np.float32)
    values[3, 4] = np.nan
    return itk(folder / "a.nii.gz", values)


@broken("infinity in a TIFF", "{path}: has 1 pixels that are NaN or infinite; export again")
def _(folder):
    values = grey().astype(np.float32)
    values[3, 4] = np.inf
    return save(folder / "a.tif", values)


@broken(
    "grey as fractions",
    "{path}: has grey levels as fractions of 1, 0 to 255 are needed; export it in 8 bits",
)
def _(folder):
    return itk(folder / "a.nii", grey() / np.float32(255))


@broken(
    "one bit a pixel",
    "{path}: has 1 bit a pixel, that is a mask and not an image; export the image in 8 bits",
)
def _(folder):
    return save(folder / "a.png", grey() > 99)


@broken(
    "transparent pixels",
    "{path}: has transparent pixels, whose grey is undefined; export it without transparency",
)
def _(folder):
    return save(folder / "a.png", np.dstack([grey()] * 4))


@broken(
    "annotation as an image",
    "{path}: is an annotation, not an image; pictures embedded in JSON are never used",
)
def _(folder):
    return labelme(folder / "a.json", [])


@broken(
    "NIfTI of volumes over time",
    "{path}: has 4 axes (4, 4, 2, 3); a picture has two, a stack three",
)
def _(folder):
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 2, 3), np.uint8), np.eye(4)), folder / "a.nii")
    return folder / "a.nii"


@broken(
    "NIfTI stored sideways",
    "{path}: is stored with rows and columns exchanged; export it in the orientation of the image",
)
def _(folder):
    nibabel.save(nibabel.Nifti1Image(grey(), np.eye(4)[[1, 0, 2, 3]]), folder / "a.nii")
    return folder / "a.nii"


# --- masks as pictures
# ------------------------------------------------------------------------------


@broken(
    "mask with an undeclared value", "{path}: undeclared values 9 (2 px); " + DECLARED, mask=True
)
def _(folder):
    mask = labels()
    mask[0, :2] = 9
    return save(folder / "a.png", mask)


@broken(
    "mask with an undeclared colour",
    "{path}: undeclared colours #ff0000 (100 px); declared are #000000 background, #ffd500 nerve,"
    " #e6194b muscle, #2ca02c artery; declare what was found as the colour of a class, or under"
    " ignored",
    mask=True,
)
def _(folder):
    colours = np.zeros((40, 60, 3), np.uint8)
    colours[:10, :10] = (255, 0, 0)
    return save(folder / "a.png", colours)


@broken(
    "smoothed black and white mask",
    "{path}: undeclared values 255 (487 px), 128 (40 px); declared are 0 background, 1 nerve"
    + DECLARED[DECLARED.index("; ") :],
    mask=True,
    classes=ONE,
)
def _(folder):
    mask = np.uint8(labels() > 0) * 255
    mask[:, 0] = 128
    return save(folder / "a.png", mask)


@broken(
    "half-transparent mask",
    "{path}: half-transparent pixels; export the mask without smoothing",
    mask=True,
)
def _(folder):
    pixels = np.full((40, 60, 4), 128, np.uint8)
    pixels[3, 3, 3] = 60
    return save(folder / "a.png", pixels)


@broken(
    "palette whose colours contradict its indices",
    "{path}: its palette's colours and its indices name different classes; export indices in grey",
    mask=True,
)
def _(folder):
    picture = Image.fromarray(labels(), "L")
    picture.putpalette([v for k in (0, 2, 1, 3) for v in bytes.fromhex(CLASSES[k].colour[1:])])
    picture.save(folder / "a.png")
    return folder / "a.png"


@broken(
    "mask of fractions in a TIFF",
    "{path}: has fractions such as 1.5, as probabilities do; a mask holds whole numbers: export it"
    " thresholded",
    mask=True,
)
def _(folder):
    values = labels().astype(np.float32)
    values[3, 4] = 1.5
    return save(folder / "a.tif", values)


@broken(
    "JPEG mask", "{path}: a mask cannot be JPEG: its losses smear the labels; export PNG", mask=True
)
def _(folder):
    return save(folder / "a.jpg", labels())


@broken(
    "DICOM picture as a mask",
    "{path}: is a DICOM picture and no segmentation; give its mask",
    mask=True,
)
def _(folder):
    return dicom(folder / "a.dcm", labels())


@broken(
    "mask of another size",
    "{path}: the mask has 40 rows × 61 columns, its image 40 × 60; export it at the size of the"
    " image",
    mask=True,
    shape=(40, 60),
)
def _(folder):
    return save(folder / "a.png", labels(40, 61))


@broken(
    "mask turned by a quarter",
    "{path}: the mask has 60 rows × 40 columns, its image 40 × 60; height and width are exchanged:"
    " if it lies on its side, write in the form change: [transpose]; else export it again",
    mask=True,
    shape=(40, 60),
)
def _(folder):
    return save(folder / "a.png", np.rot90(labels()).copy())


@broken(
    "mask with several slices",
    '{path}: holds 3 slices, its image one; name the slice, as in masks: "a.nii.gz#0" of a form,'
    " or save each structure as a file of its own",
    mask=True,
)
def _(folder):
    return itk(folder / "a.nii.gz", np.stack([labels()] * 3))


@broken("mask slice past the end", "{path}: has no slice 4; it holds 3, counted from 0", mask=True)
def _(folder):
    return itk(folder / "a.nii.gz", np.stack([labels()] * 3)).with_name("a.nii.gz#4")


# --- NIfTI masks
# ------------------------------------------------------------------------------


@broken("NaN in a mask", "{path}: has 1 pixels that are NaN or infinite; export again", mask=True)
def _(folder):
    values = labels().astype(np.float32)
    values[3, 4] = np.nan
    return itk(folder / "a.nii.gz", values)


@broken(
    "interpolated mask",
    "{path}: has fractions such as 1.5, as probabilities do; a mask holds whole numbers: export it"
    " thresholded",
    mask=True,
)
def _(folder):
    values = labels().astype(np.float32)
    values[3, 4] = 1.5
    return itk(folder / "a.nii.gz", values)


@broken(
    "colours in a NIfTI mask",
    "{path}: holds colours; export the segmentation, not a rendering of it",
    mask=True,
)
def _(folder):
    rgb = np.zeros((60, 40), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(rgb, np.eye(4)), folder / "a.nii")
    return folder / "a.nii"


@broken(
    "ITK-SNAP label that is not declared",
    "{path}: undeclared labels 3 'rib' (117 px); " + DECLARED,
    mask=True,
)
def _(folder):
    (folder / "a.txt").write_text(
        '1 0 0 0 1 1 1 "nerve"\n2 0 0 0 1 1 1 "muscle"\n3 0 0 0 1 1 1 "rib"\n'
    )
    return itk(folder / "a.nii.gz", labels())


@broken(
    "ITK-SNAP label without a description",
    "{path}: undeclared labels 3 'without a name' (117 px); " + DECLARED,
    mask=True,
)
def _(folder):
    (folder / "a.txt").write_text('1 0 0 0 1 1 1 "nerve"\n2 0 0 0 1 1 1 "muscle"\n')
    return itk(folder / "a.nii.gz", labels())


@broken(
    "broken label description",
    "{folder}/a.txt, line 2: 'see the other file' is no label; it reads: value R G B alpha visible"
    ' mesh "name"',
    mask=True,
)
def _(folder):
    (folder / "a.txt").write_text('1 0 0 0 1 1 1 "nerve"\nsee the other file\n')
    return itk(folder / "a.nii.gz", labels())


# --- outlines
# ------------------------------------------------------------------------------

BOX = [[8, 5], [30, 5], [30, 15], [8, 15]]


@broken(
    "undeclared label", "{path}: 1 problem\n  - undeclared labels 'nerv'; " + DECLARED, mask=True
)
def _(folder):
    return labelme(folder / "a.json", [("nerv", BOX)])


@broken(
    "empty polygon",
    "{path}: 1 problem\n  - shape 1 (nerve): an outline needs at least three points, it has 0; draw"
    " it again",
    mask=True,
)
def _(folder):
    return labelme(folder / "a.json", [("nerve", [])])


@broken(
    "polygon of two points",
    "{path}: 1 problem\n  - shape 2 (nerve): an outline needs at least three points, it has 2; draw"
    " it again",
    mask=True,
)
def _(folder):
    return labelme(folder / "a.json", [("nerve", BOX), ("nerve", BOX[:2])])


@broken(
    "polygon on a line",
    "{path}: 1 problem\n  - shape 1 (nerve): an empty area: its points lie on a line; draw it"
    " again",
    mask=True,
)
def _(folder):
    return labelme(folder / "a.json", [("nerve", [[1, 1], [2, 2], [3, 3]])])


@broken(
    "polygon that crosses itself",
    "{path}: 1 problem\n  - shape 1 (nerve): it crosses itself so that its area is unclear; draw it"
    " again",
    mask=True,
)
def _(folder):
    return labelme(folder / "a.json", [("nerve", [BOX[0], BOX[2], BOX[1], BOX[3]])])


@broken(
    "polygon outside the image",
    "{path}: 1 problem\n  - shape 1 (nerve): points outside the image of 40 × 60; draw it again",
    mask=True,
)
def _(folder):
    return labelme(folder / "a.json", [("nerve", [*BOX, [8, 90]])])


@broken(
    "NaN in a polygon",
    "{path}: 1 problem\n  - shape 1 (nerve): a point is NaN or infinite; draw it again",
    mask=True,
)
def _(folder):
    return labelme(folder / "a.json", [("nerve", [*BOX[:3], [8, float("nan")]])])


@broken(
    "several problems in one file",
    "{path}: 2 problems\n  - undeclared labels 'rib'; "
    + DECLARED
    + "\n  - shape 2 (nerve): an outline needs at least three points, it has 1; draw it again",
    mask=True,
)
def _(folder):
    return labelme(folder / "a.json", [("rib", BOX), ("nerve", BOX[:1])])


@broken(
    "line drawn as a structure",
    "{path}: shape 1 (nerve) is a linestrip, which encloses no area; draw a polygon, or write"
    " its label under ignored in the form",
    mask=True,
)
def _(folder):
    return labelme(folder / "a.json", [("nerve", BOX, "linestrip")])


@broken("circle of one point", "{path}: shape 1 (nerve): a circle has two points, not 1", mask=True)
def _(folder):
    return labelme(folder / "a.json", [("nerve", BOX[:1], "circle")])


@broken("words as points", "{path}: shape 1 (nerve): points are not pairs of numbers", mask=True)
def _(folder):
    return labelme(folder / "a.json", [("nerve", [["a", "b"]])])


@broken(
    "annotation without a size",
    "{path}: imageHeight and imageWidth are missing; save it again with a newer Labelme",
    mask=True,
)
def _(folder):
    return labelme(folder / "a.json", [("nerve", BOX)], size=(None, None))


@broken(
    "annotation of an image of another size",
    "{path}: the mask has 80 rows × 60 columns, its image 40 × 60; export it at the size of the"
    " image",
    mask=True,
    shape=(40, 60),
)
def _(folder):
    return labelme(folder / "a.json", [("nerve", BOX)], size=(80, 60))


@broken("broken JSON", "{path}: broken JSON in line 2 (Expecting value); save it again", mask=True)
def _(folder):
    (folder / "a.json").write_text('{"shapes":\n}')
    return folder / "a.json"


@broken(
    "JSON in no known encoding",
    "{path}: neither UTF-8 nor GB18030 text; save it again in UTF-8",
    mask=True,
)
def _(folder):
    (folder / "a.json").write_bytes(b'{"label": "\xff\xff"}')
    return folder / "a.json"


@broken(
    "some other JSON",
    "{path}: neither Labelme (key 'shapes') nor COCO (keys 'images', 'annotations', 'categories')"
    " nor VIA (file names with 'regions') nor Supervisely (keys 'objects', 'size') nor tasks of"
    " Label Studio",
    mask=True,
)
def _(folder):
    (folder / "a.json").write_text('{"nerve": 1}')
    return folder / "a.json"


@broken(
    "COCO file of several images",
    "{path}: describes 3 images; name one as 'a.json#<file name of the image>'",
    mask=True,
)
def _(folder):
    return coco(folder / "a.json", [], images=3)


@broken(
    "image that the COCO file does not have",
    "{file}: has 0 images called 'x.png'; it must be exactly one",
    mask=True,
)
def _(folder):
    return coco(folder / "a.json", [], images=3).with_name("a.json#x.png")


@broken(
    "COCO category that is not listed",
    "{path}: annotation 1 has category 8, which is not listed",
    mask=True,
)
def _(folder):
    path = coco(folder / "a.json", [[[1, 1, 9, 1, 9, 9]]])
    path.write_text(path.read_text().replace('"category_id": 7', '"category_id": 8'))
    return path


@broken(
    "COCO annotation without an outline",
    "{path}: annotation 1 has no outline of x, y pairs, such as a box alone; draw the"
    " structure's border",
    mask=True,
)
def _(folder):
    return coco(folder / "a.json", [[[1, 1, 9]]])


@broken(
    "COCO image without a size",
    "{path}: image '0.png' has no height and width; export it again",
    mask=True,
)
def _(folder):
    return coco(folder / "a.json", [], size=(None, None))


@broken(
    "COCO run lengths of another size",
    "{path}: annotation 1: run lengths do not fill 40 × 60 pixels; export again",
    mask=True,
)
def _(folder):
    return coco(folder / "a.json", [{"size": [40, 60], "counts": [10, 10]}])


@broken(
    "COCO run lengths cut short",
    "{path}: annotation 1: run lengths do not fill 40 × 60 pixels; export again",
    mask=True,
)
def _(folder):
    return coco(folder / "a.json", [{"size": [40, 60], "counts": "PPP"}])


def state(folder):
    return {
        str(p): hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else "folder"
        for p in folder.rglob("*")
    }


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_file(tmp_path, kind):
    make, message, is_mask, options = BROKEN[kind]
    path = make(tmp_path)
    before = state(tmp_path)
    with pytest.raises(StudyError) as raised:
        if is_mask:
            readers.read_mask(path, options.get("classes", CLASSES), shape=options.get("shape"))
        else:
            readers.read_image(path)
    wanted = message.format(path=path, folder=tmp_path, file=str(path).partition("#")[0])
    if "(*)" in wanted:  # what the decoder says differs between its versions
        head, tail = wanted.split("(*)")
        assert str(raised.value).startswith(head + "(") and str(raised.value).endswith(")" + tail)
    else:
        assert str(raised.value) == wanted
    assert state(tmp_path) == before


def test_file_that_may_not_be_read(tmp_path):
    path = save(tmp_path / "a.png", grey())
    path.chmod(0)
    try:
        path.open("rb").close()
        pytest.skip("this user may read every file")
    except PermissionError:
        with pytest.raises(StudyError, match="may not be read; ask for read permission on it"):
            readers.read_image(path)
    finally:
        path.chmod(0o600)


def test_there_are_enough_kinds():
    assert len(BROKEN) >= 70
