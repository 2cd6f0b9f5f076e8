"""Annotation files that serve many pictures, and those of tools that are not read."""

import csv
import json
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from helpers import readers
from helpers.errors import StudyError
from helpers.readers import labels
from tools.intake.patterns import plain, stem

#: what Label Studio and its like put in front of a name: 'a1b2c3d4-'
HASH = re.compile(r"^[0-9a-f]{8}-(?=.)")
ADVICE = {
    "Label Studio": "export it as COCO, with its pictures",
    "CVAT": "export it as 'COCO 1.0', or as 'Segmentation mask'",
    "YOLO": "export it as COCO",
    "YOLO boxes": "boxes are no outlines, draw the structures' borders",
    "Pascal VOC": "boxes are no outlines, draw the structures' borders",
    "QuPath": "export the areas as labelled masks in PNG (QuPath: LabeledImageServer)",
    "ImageJ": "in ImageJ: Edit, Selection, Create Mask, then save it as PNG",
    "VIA 3": "export it as COCO",
    "RTSTRUCT": "export it as a DICOM segmentation, NIfTI or PNG",
    "Analyze": "save it as .nii.gz",
    "surface": "export a label map (NIfTI or NRRD)",
    "archive": "unpack it",
    "arrays": "save the masks as PNG, a number for each structure",
}
#: what writes files of these endings
ENDINGS = {".geojson": "QuPath", ".roi": "ImageJ"}
ENDINGS |= dict.fromkeys((".npy", ".npz", ".mat", ".pkl", ".h5", ".hdf5"), "arrays")
ENDINGS |= dict.fromkeys((".hdr", ".img"), "Analyze")
ENDINGS |= dict.fromkeys((".vtk", ".vtp", ".stl", ".ply", ".obj"), "surface")
ENDINGS |= dict.fromkeys((".zip", ".rar", ".7z", ".tar", ".tgz", ".gz"), "archive")
DICOM = (".dcm", ".dicom", ".ima", "")
CONTOURS = b"1.2.840.10008.5.1.4.1.1.481.3"  # the class of an RTSTRUCT, in the first bytes
#: files of nnU-Net and Supervisely that hold no outlines
SETTINGS = (
    "dataset.json",
    "plans.json",
    "splits_final.json",
    "dataset_fingerprint.json",
    "meta.json",
)
#: how Label Studio calls the masks that were painted in it: the picture's name is not in it
PAINTED = re.compile(r"task-\d+-annotation-\d+-by-")


def tool(path: Path | str) -> str | None:
    """The format of an annotation file: 'Labelme', 'COCO' (and what is read as such), 'VIA', a key
    of ADVICE, or None.
    """
    end = readers.suffix(path)
    if end in ENDINGS or PAINTED.match(Path(path).name):
        return ENDINGS.get(end, "Label Studio")
    try:
        if end in (".json", ".xml") and (found := _by_keys(labels.load_json(path)[0])):
            return found
    except (StudyError, OSError):
        pass  # of no tool that is read; the first bytes may say of which
    try:
        with Path(path).open("rb") as stream:
            head = stream.read(4096)
    except (StudyError, OSError):
        return None
    if end in DICOM:
        return "RTSTRUCT" if CONTOURS in head else None
    text = head.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if end == ".csv" and text.lstrip("#").startswith("filename,file_size,file_attributes"):
        return "VIA"
    if end == ".xml" and "<annotations>" in text:
        return "CVAT"
    if end == ".xml" and "<bndbox>" in text:
        return "Pascal VOC"
    lines = [line.split() for line in text.splitlines()[:3] if line.strip()]
    numbers = [re.fullmatch(r"\d+( [01](\.\d+)?)+", " ".join(line)) for line in lines]
    if end != ".txt" or not numbers or not all(numbers):
        return None
    return "YOLO boxes" if all(len(line) == 5 for line in lines) else "YOLO"


def is_contours(path: Path | str) -> bool:
    """Whether a file is a DICOM one of contours, which is no picture."""
    return readers.suffix(path) in DICOM and tool(path) == "RTSTRUCT"


def _by_keys(content: list[dict] | dict) -> str | None:
    if isinstance(content, list):
        first = content[0] if content and isinstance(content[0], dict) else {}
        short = any(  # its JSON-MIN
            isinstance(v, list) and v and isinstance(v[0], dict) and "original_width" in v[0]
            for v in first.values()
        )
        return "Label Studio" if short or {"annotations", "data"} <= set(first) else None
    if not isinstance(content, dict):
        return None
    if isinstance(content.get("shapes"), list):
        return "Labelme"
    if all(isinstance(content.get(k), list) for k in ("images", "annotations")):
        words = [isinstance(a, dict) and "caption" in a for a in content["annotations"]]
        return None if words and all(words) else "COCO"
    if {"project", "metadata", "view"} <= set(content):
        return "VIA 3"
    entries = content.get("_via_img_metadata", content)
    described = (
        isinstance(entries, dict)
        and entries
        and all(isinstance(e, dict) and {"filename", "regions"} <= set(e) for e in entries.values())
    )
    return "VIA" if described else None


class Shared:
    """The COCO and VIA files of a folder, and which picture each of their entries means."""

    def __init__(self, files: Sequence[str], data: Path | None) -> None:
        self.known: dict[str, str | None] = {}
        #: base name → [(file, entry)], and so without a hash or without the ending
        self.entries, self.hashed, self.stems = (defaultdict(list) for _ in range(3))
        self.there = {_base(file) for file in files}
        ends = (".json", ".csv", ".xml", ".txt", *ENDINGS)
        base = Path(data or "")
        for file in files if data is not None else ():
            if readers.suffix(file) in ends or PAINTED.match(PurePosixPath(file).name):
                self.known[file] = tool(base / file)
            elif is_contours(base / file):
                self.known[file] = "RTSTRUCT"
        for file, kind in self.known.items():
            for name in names(base / file) if kind in ("COCO", "VIA") else ():
                self.entries[_base(name)].append((file, name))
                self.stems[stem(_base(name))].append((file, name))
                if HASH.match(_base(name)):
                    self.hashed[HASH.sub("", _base(name))].append((file, name))

    def is_one(self, file: str) -> bool:
        """Whether a file describes many pictures, whatever it is called."""
        return self.known.get(file) in ("COCO", "VIA")

    def readable(self, file: str) -> bool:
        """Whether a file that could hold outlines by its name does, in a format that is read."""
        return file not in self.known or self.known[file] not in (None, *ADVICE)

    def unread(self, masks: list[str]) -> str:
        """A sentence on a tool whose files are not read, where it wrote one of an image's masks, or
        where an image has none and the folder holds its files; else ''.
        """
        for file in masks or self.known:
            if (kind := self.known.get(file)) in ADVICE:
                return f"its outlines seem to be in {file} ({kind}), not read here: {ADVICE[kind]}"
        for file, kind in self.known.items():
            named = PurePosixPath(file).name in SETTINGS
            if (
                not masks
                and kind is None
                and readers.suffix(file) in (".json", ".xml")
                and not named
            ):
                return (
                    f"no mask found; {file} may hold its outlines, but is of no tool that is read"
                    " here: export it as COCO, or as masks in PNG"
                )
        return ""

    def of(self, image: str) -> list[str]:
        """The entries that name an image, as 'file.json#entry': those of its own folder first, then
        those that write its folder, then those of a file called after it, then those of a folder
        beside its own (Supervisely's ann/ and img/).
        """
        found, folder = self._named(image), PurePosixPath(image).parent
        parts = {plain(part) for part in folder.parts}  # 'instances_val2017.json' of 'val2017/'
        for own in (
            [e for e in found if PurePosixPath(e[0]).parent == folder],
            [e for e in found if plain(image).endswith(_plain(e[1]))],
            [e for e in found if parts & set(re.split(r"[ _.-]", plain(stem(e[0]))))],
            [e for e in found if PurePosixPath(e[0]).parents[1:2] == folder.parents[:1]],
        ):
            found = [e for e in found if e in own] or found
        return [f"{file}#{name}" for file, name in dict.fromkeys(found)]

    def _named(self, image: str) -> list[tuple[str, str]]:
        base = _base(image)
        other = [e for e in self.stems.get(stem(base), ()) if _base(e[1]) not in self.there]
        return self.entries.get(base) or self.hashed.get(base) or other

    def linked(self, mask: str, image: str) -> str:
        """A mask 'file.json#name' with the name as the file itself writes it."""
        file, _, part = mask.partition("#")
        if not self.is_one(file):
            return mask
        own = [name for f, name in self._named(part or image) if f == file]
        return f"{file}#{own[0]}" if len(set(own)) == 1 else mask


def names(path: Path) -> list[str]:
    """The pictures that a COCO or VIA file describes, as it writes them."""
    try:
        if readers.suffix(path) == ".csv":
            rows = csv.reader(path.read_text(encoding="utf-8-sig").splitlines()[1:])
            return list(dict.fromkeys(row[0] for row in rows if row))
        content = labels.load_json(path)[0]
    except (StudyError, OSError, UnicodeDecodeError, csv.Error, json.JSONDecodeError):
        return []
    if isinstance(content.get("images"), list):
        return [str(i.get("file_name")) for i in content["images"] if isinstance(i, dict)]
    entries = content.get("_via_img_metadata", content)
    return [str(e["filename"]) for e in entries.values() if isinstance(e, dict) and "filename" in e]


def _base(name: str) -> str:
    """A picture's name without folders, as names are compared."""
    return PurePosixPath(_plain(name)).name


def _plain(name: object) -> str:
    """A path as it is compared, whether it was written for a browser or not."""
    return plain(unquote(str(name)))
