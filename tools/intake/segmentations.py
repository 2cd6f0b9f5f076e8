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


def first(
    found: dict[str, list[str]], files: Sequence[str], data: Path | None
) -> tuple[dict[str, list[str]], set[str]]:
    """(image → masks: the segmentations that refer to it before what is called as it is, and never
    one that refers to other pictures; those that say to whom they belong).

    found: image → masks by their names. Where no segmentation refers to any picture of the set, as
    after a careless change of identifiers, names count.
    """
    by_picture = defaultdict(list)
    segmented = among([f for f in files if readers.suffix(f) in ENDINGS], data)
    for file, named in segmented.items():
        for identifier in named:
            by_picture[identifier].append(file)
    if not by_picture:
        return found, set()
    told = {i: by_picture.get(str(_header(i, data).get("SOPInstanceUID")), []) for i in found}
    if not any(told.values()):
        return found, set()
    apart = {file for file, named in segmented.items() if named}
    return {i: told[i] or [m for m in own if m not in apart] for i, own in found.items()}, apart
