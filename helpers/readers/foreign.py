"""Outlines of Supervisely, Label Studio and CVAT, told as a COCO file tells them.

Areas that are pixels, or have holes, are functions of the size of the picture, so that nothing is
drawn before it is asked for. What encloses no area (a line, a point) is an annotation without an
outline, which is refused by name where it is read.
"""

import base64
import io
import re
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from helpers.errors import StudyError
from helpers.readers.plausible import MOST_PIXELS, check_size
from helpers.readers.polygons import check_outline, ellipse, fill

Size = tuple[int, int]
Area = Callable[[Size], np.ndarray]
#: an outline of x, y pairs in a list, as COCO has it, an area, or None
Outline = list[list[float]] | Area | None
#: file name, height, width, [(label, outline)]
Picture = tuple[str, Any, Any, list[tuple[Any, Outline]]]
#: bits of a length in Label Studio's packed pixels, unless the file says otherwise
WORD = 8
#: of the picture, as Label Studio says them of each region
SIDES = ("original_height", "original_width")
PICTURES = (".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".tif", ".tiff", ".gif", ".webp")
#: what says where a region of Label Studio lies
PLACES = {"points", "x", "rle"}


def _coco(pictures: list[Picture]) -> dict:
    """Pictures as COCO's three lists."""
    names = list(dict.fromkeys(str(label) for *_, drawn in pictures for label, _ in drawn))
    told: dict[str, list] = {"images": [], "annotations": []}
    for number, (name, height, width, drawn) in enumerate(pictures):
        told["images"].append({"id": number, "file_name": name, "height": height, "width": width})
        told["annotations"] += [
            {"image_id": number, "category_id": names.index(str(label)), "segmentation": outline}
            for label, outline in drawn
        ]
    return told | {"categories": [{"id": k, "name": name} for k, name in enumerate(names)]}


def _ring(points: np.ndarray) -> list[list[float]]:
    return [np.asarray(points, float).ravel().tolist()]


def _turned(points: np.ndarray, about: np.ndarray, degrees: float) -> np.ndarray:
    """Points (n, 2) of (x, y) turned clockwise as seen on a screen."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return about + (np.asarray(points, float) - about) @ np.array([[c, s], [-s, c]])


def _corners(x: float, y: float, width: float, height: float) -> np.ndarray:
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], float)


def _placed(path: Path, drawn: np.ndarray, left: int, top: int, size: Size) -> np.ndarray:
    """Pixels bool (h, w) in a picture, at a corner."""
    h, w = drawn.shape
    if min(left, top) < 0 or top + h > size[0] or left + w > size[1]:
        raise StudyError(f"{path}: a mask lies outside the picture; draw it again")
    area = np.zeros(size, bool)
    area[top : top + h, left : left + w] = drawn
    return area


def converted(path: Path, content: Any) -> Any:
    """What a JSON file of Supervisely or Label Studio says, as COCO; any other as it is."""
    try:
        if isinstance(content, dict) and isinstance(content.get("objects"), list):
            return _supervisely(path, content) if isinstance(content.get("size"), dict) else content
        tasks = content if isinstance(content, list) else []
        if tasks and all(isinstance(task, dict) and _results(task) is not None for task in tasks):
            return _label_studio(path, tasks)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise StudyError(
            f"{path}: is not as Supervisely or Label Studio writes it ({error}); export it again"
        ) from None
    return content


def _refused(message: str, size: Size) -> np.ndarray:
    """The area of what is refused once it is asked for, and so for its picture alone."""
    raise StudyError(message)


# Supervisely -------------------------------------------------------------------------------------


def _supervisely(path: Path, content: dict) -> dict:
    """One picture, whose file is called as this one is before '.json'."""
    size = content["size"]
    drawn: list[tuple[Any, Outline]] = []
    for one in content["objects"]:
        one = one if isinstance(one, dict) else {}
        points, kind = one.get("points") or {}, one.get("geometryType")
        try:
            rings = [np.reshape(points["exterior"], (-1, 2)).astype(float)] if points else []
            rings += [
                np.reshape(hole, (-1, 2)).astype(float) for hole in points.get("interior", ())
            ]
        except (KeyError, TypeError, ValueError, AttributeError):
            rings = []
        outline: Outline = None
        if kind == "polygon" and rings:
            outline = partial(_cut, path, rings) if len(rings) > 1 else _ring(rings[0])
        elif kind == "rectangle" and rings and rings[0].shape == (2, 2):
            (x0, y0), (x1, y1) = rings[0]
            outline = _ring(_corners(x0, y0, x1 - x0, y1 - y0))
        elif kind == "bitmap" and isinstance(one.get("bitmap"), dict):
            outline = partial(_bitmap, path, one["bitmap"])
        drawn.append((one.get("classTitle"), outline))
    name = path.name.removesuffix(".json")
    return _coco([(name, size.get("height"), size.get("width"), drawn)])


def _cut(path: Path, rings: list[np.ndarray], size: Size) -> np.ndarray:
    """The area of an outline without its holes, the rings after the first."""
    for ring in rings:
        if wrong := check_outline(ring, size):
            raise StudyError(f"{path}: an outline with holes: {wrong}; draw it again")
    area = fill(rings[0], size)
    for hole in rings[1:]:
        area &= ~fill(hole, size)
    return area


def _bitmap(path: Path, told: dict, size: Size) -> np.ndarray:
    """Supervisely's pixels: a PNG, packed by zlib, in base64, at an origin (x, y)."""
    try:
        raw = zlib.decompressobj().decompress(base64.b64decode(told["data"]), MOST_PIXELS)
        with Image.open(io.BytesIO(raw), formats=("PNG",)) as picture:
            check_size(path, picture.height, picture.width)
            drawn = np.asarray(picture if picture.mode in ("1", "L", "P") else picture.split()[-1])
        left, top = (int(n) for n in told["origin"])
    except (KeyError, TypeError, ValueError, OSError, SyntaxError, zlib.error) as error:
        raise StudyError(f"{path}: a bitmap cannot be decoded ({error}); export again") from None
    return _placed(path, drawn > 0, left, top, size)


# Label Studio ------------------------------------------------------------------------------------


def _results(task: dict) -> list[list[dict]] | None:
    """What each person drew on a picture: [regions, …]; None where a dict is no task."""
    if isinstance(task.get("annotations"), list) and isinstance(task.get("data"), dict):
        made = [a for a in task["annotations"] if isinstance(a, dict)]
        return [_listed(a.get("result")) for a in made if not a.get("was_cancelled")]
    # its short export: the regions of each control beside the picture
    short = [v for v in task.values() if isinstance(v, list) and v and isinstance(v[0], dict)]
    regions = [one for found in short for one in _listed(found) if "original_width" in one]
    if not regions:
        known = isinstance(task.get("annotator"), int) and "annotation_id" in task
        return [] if known else None
    return [[{"value": one, **{k: one.get(k) for k in SIDES}} for one in regions]]


def _listed(found: Any) -> list[dict]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _label_studio(path: Path, tasks: list[dict]) -> dict:
    """The pictures that somebody has looked at; one on which nothing was done has no mask."""
    pictures: list[Picture] = []
    for task in tasks:
        people = _results(task) or []
        regions = [one for drawn in people for one in drawn]
        names = _shown(task.get("data", task), {str(one.get("to_name")) for one in regions})
        name = names[0]
        sides = [[one.get(side) for side in SIDES] for one in regions if one.get(SIDES[0])]
        drawn: list[tuple[Any, Outline]] = list(_regions(path, regions))
        why = ""
        if len(people) > 1:
            why = (
                f"{name} was outlined {len(people)} times; export one annotation of each"
                " picture, or give each person's export as a rater's"
            )
        elif len(names) > 1:
            why = f"{' and '.join(names)} are shown in one task; make a task of each picture"
        elif any(one.get("image_rotation") for one in regions):
            why = f"{name} was turned while it was outlined; outline it as it lies in its file"
        if why:
            drawn = [(label, partial(_refused, f"{path}: {why}")) for label, _ in drawn]
        if sides:
            pictures += [(one, sides[0][0], sides[0][1], drawn) for one in names]
    return _coco(pictures)


def _shown(data: dict, controls: set[str]) -> list[str]:
    """The picture that a task shows, in a list: that after which the control of its regions is
    called, else the first of its texts that ends as a picture, or as a file, does. All of them
    where regions are of several controls.
    """
    files = {}
    for key, text in data.items():
        place = unquote(text.split("?d=")[-1].split("?")[0]) if isinstance(text, str) else ""
        if re.search(r"\.[A-Za-z]\w{1,4}$", place):
            files[key] = place
    pictures = {k: f for k, f in files.items() if f.lower().endswith(PICTURES)}
    if len(controls) > 1 and len(set(pictures.values())) > 1:
        return list(dict.fromkeys(pictures.values()))
    called = [f for k, f in pictures.items() if k in controls]
    return [*called, *pictures.values(), *files.values(), ""][:1]


def _labels(one: dict) -> list[str]:
    """The structures that a region names."""
    value = one.get("value") or {}
    return [str(n) for key, found in value.items() if key.endswith("labels") for n in found]


def _regions(path: Path, found: list[dict]) -> Iterator[tuple[str, Outline]]:
    """(label, outline) of every region; what says its structure may stand apart, under its id."""
    together: dict[str, list[dict]] = {}
    for number, one in enumerate(found):
        together.setdefault(str(one.get("id") or number), []).append(one)
    for own in together.values():
        shaped = [one for one in own if PLACES & set(one.get("value") or {})]
        if shaped:  # else something that is said of the whole picture
            names = list(dict.fromkeys(name for one in own for name in _labels(one)))
            outline = _region(path, shaped[0])
            if len(names) > 1:
                both = " and ".join(names)
                outline = partial(_refused, f"{path}: a region is {both} at once; let it be one")
            yield (names or ["without a label"])[0], outline


def _region(path: Path, one: dict) -> Outline:
    """One region; its places are percent of the picture's sides."""
    value, sides = one.get("value") or {}, [one.get(side) for side in reversed(SIDES)]
    try:
        px = np.array(sides, float) / 100
        if "rle" in value:
            return partial(_brush, path, value["rle"])
        if "points" in value:
            return _ring(np.array(value["points"], float) * px)
        x, y = np.array([value["x"], value["y"]], float) * px
        turn = float(value.get("rotation") or 0)
        if "radiusX" in value:
            across = np.array([value["radiusX"], value["radiusY"]], float) * px
            return _ring(ellipse(np.array([x, y]), across[0], across[1], np.deg2rad(turn)))
        width, height = np.array([value["width"], value["height"]], float) * px
        return _ring(_turned(_corners(x, y, width, height), np.array([x, y]), turn))
    except (KeyError, TypeError, ValueError):
        return None


def _brush(path: Path, packed: Any, size: Size) -> np.ndarray:
    """Label Studio's painted pixels: the alpha of a picture of four bytes a pixel, packed by runs
    whose lengths have 1 + n bits, n of four classes that the head states (@thi.ng/rle-pack).
    """
    try:
        bits = _Bits(np.unpackbits(np.array(packed, np.uint8)))
        count, word = bits.read(32), bits.read(5) + 1
        lengths = [bits.read(4) + 1 for _ in range(4)]
        if count != 4 * size[0] * size[1] or word != WORD:
            raise ValueError(f"{count:,} values of {word} bits")
        values = np.empty(count, np.uint8)
        done = 0
        while done < count:
            repeated = bits.read(1)
            length = bits.read(lengths[bits.read(2)]) + 1
            end = min(done + length, count)
            told = 1 if repeated else end - done
            values[done:end] = np.packbits(bits.take(WORD * told))
            done = end
    except (TypeError, ValueError, OverflowError, IndexError) as error:
        raise StudyError(
            f"{path}: a painted area does not fill {size[0]} × {size[1]} pixels ({error}); export"
            " it as COCO, or as PNG"
        ) from None
    return values.reshape(*size, 4)[..., 3] > 0


class _Bits:
    """A row of bits, read from its beginning on."""

    def __init__(self, bits: np.ndarray) -> None:
        self.bits, self.at = bits, 0

    def take(self, count: int) -> np.ndarray:
        """The next bits, uint8 (count,)."""
        self.at += count
        if self.at > len(self.bits):
            raise ValueError("it ends too early")
        return self.bits[self.at - count : self.at]

    def read(self, count: int) -> int:
        return int("".join(map(str, self.take(count))), 2)


# CVAT --------------------------------------------------------------------------------------------


def cvat(path: Path, text: str) -> dict:
    """A CVAT file ('CVAT for images 1.1'); of a video it holds tracks, which are not read."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise StudyError(f"{path}: declares entities, as no CVAT file does; export it again")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise StudyError(f"{path}: broken XML ({error}); export it again") from None
    if root.tag != "annotations":
        raise StudyError(f"{path}: is no CVAT file: it begins with <{root.tag}>")
    if root.find("track") is not None:
        raise StudyError(
            f"{path}: holds tracks of a video; export it as 'CVAT for images', 'COCO 1.0', or"
            " 'Segmentation mask'"
        )
    pictures = []
    for image in root.iter("image"):
        height, width = (_number(image.get(side)) for side in ("height", "width"))
        pictures.append((image.get("name", ""), height, width, list(_cvat_shapes(path, image))))
    return _coco(pictures)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _cvat_shapes(path: Path, image: ElementTree.Element) -> Iterator[tuple[str, Outline]]:
    for one in sorted(image, key=lambda e: int(e.get("z_order") or 0)):
        if one.tag in ("tag", "attribute"):  # what is said of the whole picture
            continue
        outline: Outline = None
        try:
            turn = float(one.get("rotation") or 0)
            if one.tag == "polygon":
                pairs = [pair.split(",") for pair in one.attrib["points"].split(";")]
                outline = _ring(np.array(pairs, float))
            elif one.tag == "box":
                x0, y0, x1, y1 = (float(one.attrib[k]) for k in ("xtl", "ytl", "xbr", "ybr"))
                middle = np.array([x0 + x1, y0 + y1]) / 2
                outline = _ring(_turned(_corners(x0, y0, x1 - x0, y1 - y0), middle, turn))
            elif one.tag == "ellipse":
                x, y, rx, ry = (float(one.attrib[k]) for k in ("cx", "cy", "rx", "ry"))
                outline = _ring(ellipse(np.array([x, y]), rx, ry, turn=np.deg2rad(turn)))
            elif one.tag == "mask":
                outline = partial(_cvat_mask, path, dict(one.attrib))
        except (KeyError, ValueError):
            outline = None
        yield one.get("label", "without a label"), outline


def _cvat_mask(path: Path, told: dict[str, str], size: Size) -> np.ndarray:
    """Run lengths along the rows of a box, background first."""
    try:
        left, top, width, height = (int(told[k]) for k in ("left", "top", "width", "height"))
        runs = [int(n) for n in told["rle"].split(",")]
        check_size(path, height, width)
        if min(runs) < 0 or sum(runs) != width * height:
            raise ValueError(f"run lengths do not fill {width} × {height}")
    except (KeyError, ValueError) as error:
        raise StudyError(f"{path}: a mask cannot be decoded ({error}); export again") from None
    drawn = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    return _placed(path, drawn, left, top, size)
