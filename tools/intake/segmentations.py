"""DICOM segmentations say themselves which picture they belong to, whatever they are called."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydicom.uid import SegmentationStorage

from helpers import readers
from helpers.errors import StudyError
from helpers.readers import dicom

ENDINGS = (".dcm", ".dicom", ".ima", "")


def _header(file: str, data: Any) -> Any:
    """The header of a DICOM file, or an empty dict."""
    path = Path(data) / file
    try:
        if readers.suffix(path) in ENDINGS and readers.kind(path) == "DICOM":
            return dicom.header(path)
    except StudyError:
        pass
    return {}


def among(files: Sequence[str], data: Path | None) -> dict:
    """{file: the identifiers of the pictures that it outlines} of the segmentations."""
    found = {}
    for file in files if data is not None else ():
        header = _header(file, data)
        if header.get("SOPClassUID") == SegmentationStorage:
            named = (e for e in header.iterall() if e.keyword == "ReferencedSOPInstanceUID")
            found[file] = {str(e.value) for e in named}
    return found


def of(images: list[str], files: Sequence[str], data: Path | None) -> dict:
    """image → the segmentations that refer to it."""
    by_picture = defaultdict(list)
    for file, named in among(files, data).items():
        for identifier in named:
            by_picture[identifier].append(file)
    if not by_picture:
        return {}
    return {i: by_picture.get(str(_header(i, data).get("SOPInstanceUID")), []) for i in images}
