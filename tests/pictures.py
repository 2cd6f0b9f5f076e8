"""Files that a scanner, a drawing tool or an accident would leave, for the tests of reading
them.
"""

import json
from dataclasses import dataclass

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage, generate_uid


@dataclass(frozen=True)
class Class:
    index: int
    name: str
    title: str
    colour: str
    weight: float = 1.0
    labels: tuple = ()


CLASSES = (
    Class(0, "background", "background", "#000000"),
    Class(1, "nerve", "brachial plexus", "#ffd500", labels=("shenjing", "神经")),
    Class(2, "muscle", "muscle", "#e6194b"),
    Class(3, "artery", "artery", "#2ca02c"),
)
ONE = CLASSES[:2]


def grey(rows=40, columns=60, seed=0):
    """A picture in which every pixel differs from its mirror images."""
    return np.random.default_rng(seed).integers(0, 256, (rows, columns)).astype(np.uint8)


def labels(rows=40, columns=60):
    """Class indices in three rectangles; turned or mirrored it is another array."""
    mask = np.zeros((rows, columns), np.uint8)
    mask[5:15, 8:30], mask[20:30, 40:55], mask[25:38, 3:12] = 1, 2, 3
    return mask


def dicom(path, pixels, regions=((0, 0, None, None, 0.02, 0.01),), **tags):
    """Write an ultrasound image or cine; regions: (x0, y0, x1, y1, cm per row, cm per column)."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = (
        ExplicitVRLittleEndian,
        UltrasoundImageStorage,
    )
    meta.MediaStorageSOPInstanceUID = generate_uid()
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID, data.Modality = (
        UltrasoundImageStorage,
        meta.MediaStorageSOPInstanceUID,
        "US",
    )
    colour = pixels.ndim > 2 and pixels.shape[-1] == 3
    frames = pixels.ndim - colour == 3
    rows, columns = pixels.shape[frames : 2 + frames]
    bits = pixels.dtype.itemsize * 8
    data.Rows, data.Columns, data.SamplesPerPixel = rows, columns, 3 if colour else 1
    data.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        data.PlanarConfiguration = 0
    if frames:
        data.NumberOfFrames = len(pixels)
    data.BitsAllocated = data.BitsStored = bits
    data.HighBit, data.PixelRepresentation = bits - 1, 0
    data.PixelData = pixels.tobytes()
    data.SequenceOfUltrasoundRegions = Sequence([_region(rows, columns, *r) for r in regions])
    for name, value in tags.items():
        setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)
    return path


def _region(rows, columns, x0, y0, x1, y1, dy, dx):
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = 1, 1, 0
    item.RegionLocationMinX0, item.RegionLocationMinY0 = x0, y0
    item.RegionLocationMaxX1 = columns - 1 if x1 is None else x1
    item.RegionLocationMaxY1 = rows - 1 if y1 is None else y1
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX, item.PhysicalDeltaY = dx, dy
    return item


def labelme(path, shapes, size=(40, 60), encoding="utf-8", **more):
    """Write a Labelme file; shapes: (label, points) or (label, points, kind)."""
    entries = [
        {"label": s[0], "points": s[1], "shape_type": s[2] if len(s) > 2 else "polygon"}
        for s in shapes
    ]
    content = {
        "version": "5.4",
        "shapes": entries,
        "imagePath": path.stem + ".png",
        "imageData": None,
        "imageHeight": size[0],
        "imageWidth": size[1],
    } | more
    path.write_bytes(json.dumps(content, ensure_ascii=False).encode(encoding))
    return path


def coco(path, segmentations, images=1, size=(40, 60), category="nerve"):
    """Write a COCO file: one annotation of a category for each segmentation, on the first of
    the images.
    """
    content = {
        "images": [
            {"id": k, "file_name": f"{k}.png", "height": size[0], "width": size[1]}
            for k in range(images)
        ],
        "categories": [{"id": 7, "name": category}],
        "annotations": [
            {"id": k, "image_id": 0, "category_id": 7, "segmentation": s}
            for k, s in enumerate(segmentations)
        ],
    }
    path.write_text(json.dumps(content))
    return path


def save(path, pixels, mode=None, **options):
    """Write an array with Pillow; mode 'P' gives it a palette of the class colours."""
    picture = Image.fromarray(pixels)
    if mode == "P":
        picture = Image.fromarray(pixels, "L")
        picture.putpalette([v for c in CLASSES for v in bytes.fromhex(c.colour[1:])])
    picture.save(path, **options)
    return path
