"""Masks out: palette PNG, NIfTI, DICOM segmentation, overlay pictures and videos. Whole files
or none.
"""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from helpers import files
from helpers.errors import StudyError
from helpers.readers import dicom
from helpers.studies import Class

LABEL = "QVUM-STUDY"
#: attributes of the source that a segmentation copies
REQUIRED = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
)


def png(mask: np.ndarray, classes: Sequence[Class], path: Path) -> None:
    """A mask uint8 (rows, columns) as a palette PNG: values are class indices, shown in the
    classes' colours.
    """
    picture = Image.fromarray(mask)
    colours = [int(c.colour[i : i + 2], 16) for c in classes for i in (1, 3, 5)]
    picture.putpalette(colours + [0] * (768 - len(colours)))
    with files.whole(path) as part:
        picture.save(part, format="PNG")


def nifti(masks: np.ndarray, spacing_mm: tuple[float, float] | None, path: Path) -> None:
    """Masks uint8 (frames, rows, columns) as NIfTI (column, row[, frame]); millimetres only
    where spacing is known.
    """
    import nibabel

    row, column = spacing_mm or (1.0, 1.0)
    volume = masks.transpose(2, 1, 0)
    image = nibabel.Nifti1Image(
        volume[..., 0] if len(masks) == 1 else volume, np.diag([column, row, 1, 1])
    )
    image.header.set_xyzt_units("mm" if spacing_mm else "unknown")
    with files.whole(path) as part:
        nibabel.save(image, part)


def segmentation(
    masks: np.ndarray, classes: Sequence[Class], source: Path, model: str, path: Path
) -> None:
    """Masks uint8 (1, rows, columns) of a one-frame DICOM file as a DICOM segmentation that
    refers to it (PS3.3 A.51).

    One segment for each foreground class that occurs; the type is the class name under a
    private scheme, because the names are the study's. StudyError when nothing was found, or the
    source cannot be referred to.
    """
    import highdicom
    import pydicom
    from highdicom.seg import Segmentation, SegmentDescription
    from pydicom.sr.codedict import codes
    from pydicom.sr.coding import Code

    found = [c for c in classes[1:] if (masks == c.index).any()]
    if not found:
        raise StudyError(
            f"{source}: no structure was found, and a DICOM segmentation cannot be empty; use"
            " --format png"
        )
    data = dicom.header(source, pixels=True)
    for keyword in REQUIRED:  # they must be there, but may be empty
        if keyword not in data:
            setattr(data, keyword, "")
    made = highdicom.AlgorithmIdentificationSequence(
        model, codes.DCM.ArtificialIntelligence, "1", source=LABEL
    )
    described = [
        SegmentDescription(
            segment_number=number,
            segment_label=c.name[:64],
            segmented_property_category=Code("91723000", "SCT", "Anatomical structure"),
            segmented_property_type=Code(c.name[:16], "99QVUM", c.title[:64]),
            algorithm_type="AUTOMATIC",
            algorithm_identification=made,
        )
        for number, c in enumerate(found, 1)
    ]
    stack = np.stack([masks == c.index for c in found], -1).astype(np.uint8)
    try:
        with (
            warnings.catch_warnings()
        ):  # a pseudonym is one word, which highdicom takes for a badly written name
            warnings.filterwarnings(
                "ignore", "The string .* is unlikely to represent the intended person name"
            )
            result = Segmentation(
                [data],
                stack,
                "BINARY",
                described,
                pydicom.uid.generate_uid(),
                900,
                pydicom.uid.generate_uid(),
                1,
                LABEL,
                model,
                "1",
                "1",
                content_label="SEGMENTATION",
                series_description=f"{model} segmentation"[:64],
            )
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise StudyError(
            f"{source}: highdicom cannot refer to it ({' '.join(str(error).split())}); use"
            " --format png"
        ) from error
    with files.whole(path) as part:
        result.save_as(part)


def picture(rgb: np.ndarray, path: Path) -> None:
    """Float RGB (rows, columns, 3) in 0…1 as PNG."""
    with files.whole(path) as part:
        Image.fromarray(np.round(rgb * 255).astype(np.uint8)).save(part, format="PNG")


def video(frames: Iterable[np.ndarray], size: tuple[int, int], rate: float, path: Path) -> None:
    """RGB float frames (iterable of (rows, columns, 3) in 0…1) as an H.264 MP4 of ``rate``
    frames a second.

    size: (rows, columns); odd sides lose their last line, which the codec cannot hold.
    """
    import imageio_ffmpeg

    rows, columns = size[0] // 2 * 2, size[1] // 2 * 2
    with files.whole(path) as part:
        writer = imageio_ffmpeg.write_frames(
            str(part), (columns, rows), fps=rate, macro_block_size=2, quality=7
        )
        writer.send(None)
        for frame in frames:
            writer.send(
                np.ascontiguousarray(np.round(frame[:rows, :columns] * 255).astype(np.uint8))
            )
        writer.close()
