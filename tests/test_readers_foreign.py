"""Outlines of Supervisely, Label Studio and CVAT: pixels made by hand are read back the same."""

import base64
import contextlib
import io
import json
import zlib

import numpy as np
import pytest
from intake_folder import empty_root, images
from pictures import grey, save
from PIL import Image

from helpers import readers, studies
from helpers.errors import StudyError
from tools.intake import layouts
from tools.intake.make import make

CLASSES = tuple(
    studies.Class(k, n, n, "#000000", 1) for k, n in enumerate(("none", "nerve", "fat"))
)
SHAPE = (40, 60)
BOX = [[8, 5], [30, 5], [30, 15], [8, 15]]


def boxed(top, bottom, left, right, index=1):
    area = np.zeros(SHAPE, np.uint8)
    area[top:bottom, left:right] = index
    return area


NERVE = boxed(5, 15, 8, 30)
BLOT = np.array([[0, 1, 1], [1, 0, 1]], bool)


def read(path, content, part=None, shape=SHAPE):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    name = path if part is None else f"{path}#{part}"
    return readers.read_mask(name, CLASSES, shape=shape)


def bitmap(drawn, mode="P"):
    """As Supervisely packs pixels: a PNG in zlib in base64."""
    picture = Image.fromarray(drawn.astype(np.uint8) * (1 if mode == "P" else 255))
    if mode == "RGBA":
        picture = Image.merge("RGBA", [picture] * 4)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return base64.b64encode(zlib.compress(stream.getvalue())).decode()


def supervisely(*objects, size=SHAPE):
    return {"size": dict(zip(("height", "width"), size, strict=True)), "objects": list(objects)}


def polygon(exterior, *interior, title="nerve"):
    points = {"exterior": exterior, "interior": list(interior)}
    return {"classTitle": title, "geometryType": "polygon", "points": points}


def test_supervisely_polygons_have_holes_of_their_own(tmp_path):
    """What lies in the hole of one structure is not cut out of another."""
    hole = [[12, 8], [20, 8], [20, 12], [12, 12]]
    found = read(
        tmp_path / "p.png.json",
        supervisely(polygon(hole, title="fat"), polygon(BOX, hole)),
    )
    assert (found == NERVE - boxed(8, 12, 12, 20) + boxed(8, 12, 12, 20, 2)).all()


@pytest.mark.parametrize("mode", ["P", "RGBA"])
def test_supervisely_bitmaps_and_rectangles(tmp_path, mode):
    painted = {"data": bitmap(BLOT, mode), "origin": [10, 20]}
    corners = {"exterior": [[8, 5], [30, 15]], "interior": []}
    found = read(
        tmp_path / "p.png.json",
        supervisely(
            {"classTitle": "nerve", "geometryType": "bitmap", "bitmap": painted},
            {"classTitle": "fat", "geometryType": "rectangle", "points": corners},
        ),
    )
    wanted = 2 * NERVE
    wanted[20:22, 10:13] = BLOT
    assert (found == wanted).all()


@pytest.mark.parametrize(
    ("one", "message"),
    [
        ({"geometryType": "line", "points": {"exterior": [[1, 1], [5, 5]]}}, "has no outline"),
        (
            {"geometryType": "bitmap", "bitmap": {"data": "x", "origin": [0, 0]}},
            "cannot be decoded",
        ),
        (
            {"geometryType": "bitmap", "bitmap": {"data": bitmap(BLOT), "origin": [58, 0]}},
            "lies outside the picture",
        ),
        ({"geometryType": "polygon"}, "has no outline"),
    ],
)
def test_what_supervisely_cannot_mean_is_refused_by_name(tmp_path, one, message):
    with pytest.raises(StudyError, match=message) as raised:
        read(tmp_path / "p.png.json", supervisely({"classTitle": "nerve"} | one))
    assert "p.png.json" in str(raised.value)


def packed(area):
    """Label Studio's brush: four equal bytes a pixel, packed as @thi.ng/rle-pack does."""
    flat = np.repeat(area.ravel().astype(np.uint8) * 255, 4)
    bits, sizes = f"{len(flat):032b}{7:05b}", (3, 4, 8, 16)
    bits += "".join(f"{n - 1:04b}" for n in sizes)
    at = 0
    while at < len(flat):
        end = at + 1
        while end < len(flat) and flat[end] == flat[at] and end - at < 1 << 16:
            end += 1
        kind = next(k for k, n in enumerate(sizes) if end - at <= 1 << n)
        if end - at == 4:  # a run may be told value by value as well
            bits += f"0{kind:02b}{3:0{sizes[kind]}b}" + f"{flat[at]:08b}" * 4
        else:
            bits += f"1{kind:02b}{end - at - 1:0{sizes[kind]}b}{flat[at]:08b}"
        at = end
    bits += "0" * (-len(bits) % 8)
    return [int(bits[k : k + 8], 2) for k in range(0, len(bits), 8)]


def region(value, **more):
    return {"original_height": SHAPE[0], "original_width": SHAPE[1], "value": value} | more


def percent(points):
    return (np.array(points) / np.array([SHAPE[1], SHAPE[0]]) * 100).tolist()


def task(*regions, image="/data/upload/1/0a1b2c3d-p0.png", people=1):
    return {"data": {"image": image}, "annotations": [{"result": list(regions)}] * people}


POLYGON = region({"points": percent(BOX), "polygonlabels": ["nerve"]}, type="polygonlabels")
RECTANGLE = {"x": 100 * 8 / 60, "y": 100 * 5 / 40, "width": 100 * 22 / 60, "height": 25}


@pytest.mark.parametrize(
    "one",
    [
        [POLYGON],
        [region(RECTANGLE | {"rotation": 0, "rectanglelabels": ["nerve"]})],
        # turned by a right angle about its first corner, which is then the upper right one
        [
            region(
                {"x": 50, "y": 12.5, "width": 100 * 10 / 60, "height": 100 * 22 / 40}
                | {"rotation": 90, "rectanglelabels": ["nerve"]}
            )
        ],
        [region({"format": "rle", "rle": packed(NERVE > 0), "brushlabels": ["nerve"]})],
        # what the structure is said apart, and a remark on the picture
        [
            region({"points": percent(BOX)}, id="a", type="polygon"),
            region({"points": percent(BOX), "labels": ["nerve"]}, id="a", type="labels"),
            {"id": "b", "type": "choices", "value": {"choices": ["good"]}},
        ],
    ],
    ids=["polygon", "rectangle", "turned", "brush", "label apart"],
)
def test_label_studio(tmp_path, one):
    assert (read(tmp_path / "all.json", [task(*one)]) == NERVE).all()


def test_label_studio_s_ellipse_and_short_export(tmp_path):
    round_ = {"x": 50, "y": 50, "radiusX": 20, "radiusY": 20, "ellipselabels": ["fat"]}
    found = read(tmp_path / "all.json", [task(region(round_))])
    rows, columns = np.mgrid[:40, :60] + 0.5
    wanted = ((columns - 30) / 12) ** 2 + ((rows - 20) / 8) ** 2 < 1
    assert ((found == 2) ^ wanted).mean() < 0.005
    value = {"points": percent(BOX), "polygonlabels": ["nerve"]}
    sides = {"original_height": SHAPE[0], "original_width": SHAPE[1]}
    short = [{"id": 1, "image": "/data/upload/1/0a1b2c3d-p0.png", "label": [value | sides]}]
    assert (read(tmp_path / "short.json", short) == NERVE).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([task(POLYGON, people=2)], "was outlined 2 times"),
        ([task(region({"x": 1, "y": 1, "keypointlabels": ["nerve"]}))], "has no outline"),
        (
            [task(region({"rle": packed(NERVE[:20] > 0), "brushlabels": ["nerve"]}))],
            "does not fill 40 × 60 pixels",
        ),
        (
            [task(region({"rle": packed(NERVE > 0)[:-4], "brushlabels": ["nerve"]}))],
            "ends too early",
        ),
        ([task(region({"points": percent(BOX)}))], "without a label"),
        (
            [task(region({"points": percent(BOX), "polygonlabels": ["nerve", "fat"]}))],
            "is nerve and fat at once",
        ),
    ],
)
def test_what_label_studio_cannot_mean_is_refused_by_name(tmp_path, content, message):
    with pytest.raises(StudyError, match=message) as raised:
        read(tmp_path / "all.json", content)
    assert "all.json" in str(raised.value)


def cvat(shapes, name="p0.png"):
    return (
        "<?xml version='1.0' encoding='utf-8'?>\n<annotations><version>1.1</version><meta/>"
        f'<image id="0" name="{name}" width="60" height="40">{shapes}</image></annotations>'
    )


RUNS = '<mask label="nerve" rle="1, 3, 1, 1" left="10" top="20" width="3" height="2"/>'


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ('<polygon label="nerve" points="8,5;30,5;30,15;8,15" z_order="0"/>', NERVE),
        ('<box label="nerve" xtl="8" ytl="5" xbr="30" ybr="15"/>', NERVE),
        ('<box label="nerve" xtl="14" ytl="-1" xbr="24" ybr="21" rotation="90"/>', NERVE),
        (RUNS, np.pad(BLOT, ((20, 18), (10, 47))).astype(np.uint8)),
        ('<tag label="good"/>', NERVE * 0),
    ],
)
def test_cvat(tmp_path, shape, wanted):
    assert (read(tmp_path / "annotations.xml", cvat(shape)) == wanted).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (cvat('<polyline label="nerve" points="1,1;2,2"/>'), "has no outline"),
        (cvat(RUNS.replace("1, 3", "1, 4")), "run lengths do not fill 3 × 2"),
        (cvat(RUNS.replace('"10"', '"58"')), "lies outside the picture"),
        (cvat("<polygon"), "broken XML"),
        ("<annotations><track/></annotations>", "holds tracks of a video"),
        ("<!DOCTYPE a><annotations/>", "declares entities"),
        ("<annotation><object/></annotation>", "is no CVAT file"),
        (cvat("").replace('width="60" height="40"', ""), "has no height and width"),
    ],
)
def test_what_cvat_cannot_mean_is_refused_by_name(tmp_path, content, message):
    with pytest.raises(StudyError, match=message) as raised:
        read(tmp_path / "annotations.xml", content)
    assert "annotations.xml" in str(raised.value)


ODD = (None, [], {}, "x", -1, 1e300, True, [None], [[1]], {"a": 1}, 10**30)


def places(content, path=()):
    """Where something stands in JSON (tuples of keys), the first three of a list."""
    yield path
    keys = content if isinstance(content, dict) else ()
    for key in range(min(len(content), 3)) if isinstance(content, list) else keys:
        yield from places(content[key], (*path, key))


def put(content, path, value):
    if not path:
        return value
    key, *rest = path
    copied = content.copy()
    copied[key] = put(content[key], rest, value)
    return copied


BRUSH = region({"rle": packed(NERVE > 0), "brushlabels": ["nerve"]}, id="q")
PAINTED = {"data": bitmap(BLOT), "origin": [10, 20]}
FILES = {
    "Supervisely": supervisely(
        polygon(BOX, [[12, 8], [20, 8], [20, 12]]),
        {"classTitle": "fat", "geometryType": "bitmap", "bitmap": PAINTED},
    ),
    "Label Studio": [task(POLYGON, region(RECTANGLE | {"rectanglelabels": ["nerve"]}), BRUSH)],
}


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("tool", FILES)
def test_whatever_stands_in_a_file_it_is_read_or_refused(tmp_path, tool):
    """One odd file stops no intake, which looks at every file before it reads any."""
    path = tmp_path / "p.json"
    for place in places(FILES[tool]):
        for odd in ODD:
            path.write_text(json.dumps(put(FILES[tool], place, odd)))
            layouts.tool(path)
            with contextlib.suppress(StudyError):
                readers.read_mask(path, CLASSES, shape=SHAPE)


def moved(k):
    return [[x + k, y + k] for x, y in BOX]


def exported(data, tool):
    """Six pictures with their outlines, as a tool lays them out; the folder of the pictures."""
    folder = {"Supervisely": "ds/img", "Label Studio": "images", "CVAT": "images"}[tool]
    for k in range(6):
        (data / folder).mkdir(parents=True, exist_ok=True)
        save(data / folder / f"p{k}.png", grey(seed=k))
    if tool == "Supervisely":
        (data / "ds/ann").mkdir()
        for k in range(6):
            content = supervisely(polygon(moved(k)))
            (data / f"ds/ann/p{k}.png.json").write_text(json.dumps(content))
        (data / "meta.json").write_text(json.dumps({"classes": [{"title": "nerve"}], "tags": []}))
    elif tool == "Label Studio":
        tasks = [
            task(
                region({"points": percent(moved(k)), "polygonlabels": ["nerve"]}),
                image=f"/data/upload/1/{k}a1b2c3d-p{k}.png",
            )
            for k in range(6)
        ]
        (data / "project-1.json").write_text(json.dumps(tasks))
    else:
        drawn = "".join(
            f'<image id="{k}" name="p{k}.png" width="60" height="40">'
            + '<polygon label="nerve" points="'
            + ";".join(f"{x},{y}" for x, y in moved(k))
            + '"/></image>'
            for k in range(6)
        )
        (data / "annotations.xml").write_text(f"<annotations>{drawn}</annotations>")
    return folder


@pytest.mark.parametrize("tool", ["Supervisely", "Label Studio", "CVAT"])
def test_a_folder_is_read_without_a_form(tmp_path, monkeypatch, tool):
    root, data = empty_root(tmp_path, monkeypatch), tmp_path / "data"
    folder = exported(data, tool)
    make("mine", data)
    frame, study = images(root), studies.load("mine")
    assert [c.name for c in study.classes] == ["background", "nerve"] and len(frame) == 6
    for k, row in enumerate(frame.itertuples()):
        assert row.image == f"{folder}/p{k}.png"
        found = readers.read_mask(data / row.mask, study.classes, shape=SHAPE)
        assert (found == np.roll(NERVE, (k, k), (0, 1))).all()


def test_two_data_sets_of_supervisely_keep_apart(tmp_path, monkeypatch):
    root, data = empty_root(tmp_path, monkeypatch), tmp_path / "data"
    for name, by in (("a", 0), ("b", 4)):
        for part in ("img", "ann"):
            (data / name / part).mkdir(parents=True)
        for k in range(4):
            save(data / name / "img" / f"p{k}.png", grey(seed=k + by))
            content = supervisely(polygon(moved(k + by)))
            (data / name / "ann" / f"p{k}.png.json").write_text(json.dumps(content))
    make("mine", data)
    frame = images(root)
    assert len(frame) == 8
    for row in frame.itertuples():
        assert row.mask.split("/")[0] == row.image.split("/")[0]


def test_a_picture_on_which_nothing_was_done_has_no_mask(tmp_path, monkeypatch):
    """A task of Label Studio that nobody opened is no picture without the structure."""
    empty_root(tmp_path, monkeypatch)
    data = tmp_path / "data"
    exported(data, "Label Studio")
    path = data / "project-1.json"
    tasks = json.loads(path.read_text())
    tasks[2]["annotations"] = []
    path.write_text(json.dumps(tasks))
    text = make("mine", data).read_text()
    assert "images/p2.png" in text[text.index("Refused (1)") :]


def test_a_converted_file_is_called_by_what_it_is_read_as(tmp_path):
    exported(tmp_path, "CVAT")
    assert layouts.tool(tmp_path / "annotations.xml") == "COCO"
    assert layouts.names(tmp_path / "annotations.xml") == [f"p{k}.png" for k in range(6)]
