"""The files: pictures as DICOM ultrasound images, masks as uncompressed NIfTI in the way
ITK-SNAP writes them.

Every byte is decided here or by the pictures: identifiers and dates are made from names, never
from a clock.
"""

import hashlib
import io
import os
import struct
import uuid
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian, UltrasoundImageStorage

from tools.phantom.cohort import Person

NAMESPACE = uuid.UUID("6f1d3f0e-2d0a-5f2c-9a55-7b1f6c1e0a11")
FIRST_DAY, DAYS = date(2023, 10, 15), 152  # the paper's months of acquisition


def uid(*names: object) -> str:
    """A unique identifier made from names, under the root that needs no registration (PS3.5,
    B.2).
    """
    return f"2.25.{uuid.uuid5(NAMESPACE, '/'.join(map(str, names))).int}"


def dicom(
    pixels: np.ndarray,
    person: Person,
    frame: int,
    study: str,
    view: str,
    spacing_mm: float,
    box: tuple[int, int, int, int],
) -> bytes:
    """A single-frame ultrasound image, explicit little endian. box: x0, y0, x1, y1 (px) of the
    sector.
    """
    day = FIRST_DAY + timedelta(
        days=int(hashlib.sha256(person.patient_id.encode()).hexdigest(), 16) % DAYS
    )
    ds = Dataset()
    ds.ImageType = [
        "ORIGINAL",
        "PRIMARY",
        "MUSCULOSKELETAL",
        "0001",
    ]  # value 4: two-dimensional imaging (PS3.3, C.8.5.6.1.1)
    ds.SOPClassUID = UltrasoundImageStorage
    ds.SOPInstanceUID = uid(study, person.patient_id, frame)
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = day.strftime("%Y%m%d")
    ds.StudyTime = f"{8 + person.number % 9:02d}{person.number * 7 % 60:02d}00"
    ds.ContentTime = (
        f"{8 + person.number % 9:02d}{(person.number * 7 + frame) % 60:02d}{frame * 11 % 60:02d}"
    )
    ds.AccessionNumber = ""
    ds.Modality = "US"
    ds.Manufacturer = "Synthetic phantom"
    ds.ManufacturerModelName = person.device
    ds.StudyDescription = view
    ds.ReferringPhysicianName = ""
    ds.PatientName = ds.PatientID = person.patient_id
    ds.PatientBirthDate = ""
    ds.PatientSex = {"male": "M", "female": "F"}[person.sex]
    ds.PatientAge = f"{int(person.age_years):03d}Y"
    ds.PatientSize = f"{person.height_cm / 100:.2f}"
    ds.DepthOfScanField = round(person.depth_cm * 10)
    ds.PatientWeight = f"{person.weight_kg:.1f}"
    ds.StudyInstanceUID = uid(study, person.patient_id, "study")
    ds.SeriesInstanceUID = uid(study, person.patient_id, "series")
    ds.StudyID = person.patient_id
    ds.SeriesNumber = 1
    ds.InstanceNumber = frame
    ds.PatientOrientation = ""
    region = Dataset()
    region.RegionSpatialFormat = 1  # two-dimensional
    region.RegionDataType = 1  # tissue
    region.RegionFlags = 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = box[:2]
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = box[2:]
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3  # cm
    region.PhysicalDeltaX = region.PhysicalDeltaY = spacing_mm / 10
    ds.SequenceOfUltrasoundRegions = Sequence([region])
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = pixels.shape
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit = 7
    ds.PixelRepresentation = 0
    ds.BurnedInAnnotation = "NO"
    ds.LossyImageCompression = "00"
    ds.PixelData = pixels.tobytes() + b"\0" * (pixels.size % 2)
    ds["PixelData"].VR = "OB"
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(
        uid("implementation")
    )  # else the library's version would be in every hash
    meta.ImplementationVersionName = "PHANTOM 1"
    ds.file_meta = meta
    buffer = io.BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def nifti(mask: np.ndarray, spacing_mm: float) -> bytes:
    """A uint8 NIfTI-1 volume of one slice; first axis to the right of the picture, second down
    it.

    Header fields: https://nifti.nimh.nih.gov/nifti-1. The directions are those of a picture in
    ITK's (left, posterior, superior) frame, so x and y are negative in NIfTI's.
    """
    height, width = mask.shape
    header = bytearray(348)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<c", header, 38, b"r")
    struct.pack_into("<8h", header, 40, 3, width, height, 1, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, 2, 8)  # uint8, 8 bits
    struct.pack_into("<8f", header, 76, 1, spacing_mm, spacing_mm, 1, 0, 0, 0, 0)
    struct.pack_into("<3f", header, 108, 352, 1, 0)  # offset of the voxels, slope, intercept
    struct.pack_into("<B", header, 123, 2)  # mm
    struct.pack_into("<2h", header, 252, 1, 1)  # both transforms: scanner coordinates
    struct.pack_into(
        "<6f", header, 256, 0, 0, 1, 0, 0, 0
    )  # quaternion: half a turn about the third axis
    struct.pack_into("<4f", header, 280, -spacing_mm, 0, 0, 0)
    struct.pack_into("<4f", header, 296, 0, -spacing_mm, 0, 0)
    struct.pack_into("<4f", header, 312, 0, 0, 1, 0)
    struct.pack_into("<4s", header, 344, b"n+1\0")
    return bytes(header) + b"\0\0\0\0" + np.ascontiguousarray(mask, np.uint8).tobytes()


def save(path: Path, content: bytes) -> None:
    """Write the file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
