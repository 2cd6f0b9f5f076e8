"""De-identification: nothing that names a person comes through, every grey value of the fan and
the spacing do.
"""

import html
import os
import re
import shutil
import stat
from datetime import date

import numpy as np
import pandas as pd
import pytest
import SimpleITK
import yaml
from pictures import dicom, grey, save
from PIL import Image, ImageDraw, ImageFont
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from scipy import ndimage

from helpers import readers, studies
from helpers.errors import StudyError
from tools.intake import anonymous, deidentify, ledger, text
from tools.intake.make import make

pytestmark = pytest.mark.slow

SIZE = (240, 320)
SECRETS = {
    "PatientName": "Meier^Anna",
    "PatientID": "KH-778812",
    "PatientBirthDate": "19610514",
    "StudyDate": "20240307",
    "StudyTime": "101112",
    "AccessionNumber": "A-4711",
    "InstitutionName": "Kreiskrankenhaus",
    "OperatorsName": "Dr. Huber",
    "ReferringPhysicianName": "Dr. Lang",
    "StationName": "OP3",
    "DeviceSerialNumber": "SN123456",
    "StudyID": "ST-9",
    "PatientAddress": "Hauptstr. 5",
    "OtherPatientIDs": "OTHER-55",
    "PatientComments": "shy",
    "StudyDescription": "Anna's knee",
    "SeriesDate": "20240307",
    "ContentDate": "20240307",
    "PhysiciansOfRecord": "Dr. Vogel",
}


OVERLAYS = ("MEIER ANNA", "KH-778812", "14.05.1961", "07/03/2024")


def told(content):
    """Bytes or text without the numbers that are drawn by chance, in which any year may stand."""
    drawn = r"2\.25\.\d+|S\d{6}"
    if isinstance(content, bytes):
        return re.sub(drawn.encode(), b"", content)
    return re.sub(drawn, "", content)


@pytest.fixture
def nothing_written(monkeypatch):
    """A reader that finds no text, for what has nothing to do with it: the real one takes a
    second.
    """
    monkeypatch.setattr(text, "find", lambda frames: [])


def sector(seed=0):
    """A convex-array picture, uint8 SIZE: speckle 40–220 in a fan, black around; and the fan,
    bool.
    """
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    radius, angle = np.hypot(x - 160, y + 40), np.abs(np.arctan2(x - 160, y + 40))
    fan = (radius > 80) & (radius < 265) & (angle < 0.55)
    return (
        np.where(fan, np.random.default_rng(seed).integers(40, 220, SIZE), 0).astype(np.uint8),
        fan,
    )


def written(pixels, scale=1):
    """The picture with name, number and dates in its corners, as scanners burn them in."""
    picture = Image.fromarray(pixels)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=14 * scale)
    places = [(x * scale, y * scale) for x, y in ((4, 4), (230, 4), (8, 28), (232, 28))]
    for words, place in zip(OVERLAYS, places, strict=True):
        draw.text(place, words, fill=255, font=font)
    return np.asarray(picture)


def original(path, seed=0, **tags):
    pixels, fan = sector(seed)
    dicom(path, written(pixels), regions=((20, 10, 300, 235, 0.03, 0.03),), **(SECRETS | tags))
    return pixels, fan


def test_grey_values_and_spacing_survive(tmp_path, nothing_written):
    pixels, fan = original(tmp_path / "a.dcm")
    result = deidentify.clean(tmp_path / "a.dcm", "S1", "secret")
    deidentify.save(result, tmp_path / "out.dcm")
    found, spacing = readers.read_image(tmp_path / "out.dcm")
    top, bottom, left, right = result.box
    assert spacing == pytest.approx((0.3, 0.3)) and found.shape == (bottom - top, right - left)
    window = np.s_[top:bottom, left:right]
    expected = np.where(result.inside, written(pixels)[window], 0)
    assert np.array_equal(found, expected)
    region = np.zeros(SIZE, bool)
    region[10:236, 20:301] = True
    kept = np.zeros(SIZE, bool)
    kept[window] = result.inside
    assert (kept & fan).sum() / (region & fan).sum() > 0.999


def test_overlays_are_gone(tmp_path, nothing_written):
    pixels, fan = original(tmp_path / "a.dcm")
    result = deidentify.clean(tmp_path / "a.dcm", "S1", "secret")
    top, bottom, left, right = result.box
    burned = (written(pixels) != pixels)[top:bottom, left:right] & ~fan[top:bottom, left:right]
    assert (written(pixels) != pixels).sum() > 500 and not result.frames[0][burned].any()


def speckle(background=0):
    """A fan of smooth speckle on a screen of one grey: uint8 (300, 400)."""
    y, x = np.mgrid[:300, :400]
    radius, angle = np.hypot(x - 200, y + 50), np.abs(np.arctan2(x - 200, y + 50))
    noise = np.random.default_rng(1).rayleigh(1, (300, 400))
    tissue = np.clip(75 * ndimage.gaussian_filter(noise, (1, 2)), 8, 255)
    return np.where((radius > 100) & (radius < 330) & (angle < 0.55), tissue, background).astype(
        np.uint8
    )


def with_text(pixels, words, place, size, grey):
    picture = Image.fromarray(pixels)
    ImageDraw.Draw(picture).text(place, words, fill=grey, font=ImageFont.load_default(size=size))
    return np.asarray(picture)


@pytest.mark.parametrize(
    ("words", "place", "size", "grey"),
    [
        ("MEIER ANNA", (160, 130), 10, 255),
        ("14.05.1961", (150, 200), 12, 170),
        ("KH-778812", (150, 90), 20, 0),
    ],
)
def test_words_on_the_fan_are_found_and_blackened(tmp_path, words, place, size, grey):
    if not text.available():
        pytest.skip("no text reader is installed (rapidocr-onnxruntime)")
    clear = speckle()
    dicom(tmp_path / "a.dcm", with_text(clear, words, place, size, grey), regions=())
    result = deidentify.clean(tmp_path / "a.dcm", "S1", "s")
    assert "".join(result.removed).replace(" ", "") == words.replace(" ", "")
    assert result.proven and result.header.BurnedInAnnotation == "NO"
    top, bottom, left, right = result.box
    ink = (with_text(clear, words, place, size, grey) != clear)[top:bottom, left:right]
    assert not result.frames[0][ink].any()
    lost = (result.frames[0] != clear[top:bottom, left:right]) & result.inside
    assert lost.sum() < 1.5 * size * size * len(words)  # the rest of the fan is untouched


def test_words_on_a_grey_screen_and_in_a_bar_are_outside_the_fan(tmp_path, nothing_written):
    pixels = speckle(background=40)
    pixels[:24] = 90
    pixels = with_text(pixels, "MEIER ANNA  14.05.1961", (5, 3), 16, 255)
    dicom(tmp_path / "a.dcm", with_text(pixels, "KH-778812", (2, 240), 14, 255), regions=())
    result = deidentify.clean(tmp_path / "a.dcm", "S1", "s")
    fan = speckle() > 0
    top, bottom, left, right = result.box
    assert top >= 24 and result.inside.sum() == pytest.approx(fan.sum(), rel=0.08)
    assert (result.inside & fan[top:bottom, left:right]).sum() > 0.999 * fan.sum()


def test_what_is_half_read_or_not_looked_at_is_never_called_clean(tmp_path, monkeypatch):
    original(tmp_path / "a.dcm")
    found = [text.Place((10, 20, 10, 40), "")]
    for answer, told in ((found, "1 place looks like text still"), (None, "not looked through")):
        monkeypatch.setattr(text, "find", lambda frames, answer=answer: answer)
        result = deidentify.clean(tmp_path / "a.dcm", "S1", "s")
        assert result.header.BurnedInAnnotation == "YES" and told in anonymous._found(result)


def test_without_a_text_reader_nothing_is_found(monkeypatch):
    monkeypatch.setattr(text, "_reader", lambda: None)
    assert text.find(np.zeros((1, 8, 8), np.uint8)) is None and not text.available()


def test_header_holds_nothing_else(tmp_path, nothing_written):
    extra = Dataset()
    extra.PatientName = "Meier^Anna"
    original(
        tmp_path / "a.dcm",
        Manufacturer="Maker",
        ManufacturerModelName="Probe 7",
        PatientSex="F",
        PatientWeight="63",
        ReferencedPatientSequence=Sequence([extra]),
    )
    data = dcmread(tmp_path / "a.dcm")
    data.private_block(0x0009, "MAKER", create=True).add_new(1, "LO", "Meier private")
    data.save_as(tmp_path / "a.dcm")
    deidentify.save(deidentify.clean(tmp_path / "a.dcm", "S000001", "secret"), tmp_path / "out.dcm")
    found = dcmread(tmp_path / "out.dcm")
    assert {e.keyword for e in found} == {
        "SOPClassUID",
        "SOPInstanceUID",
        "Modality",
        "Manufacturer",
        "ManufacturerModelName",
        "PatientName",
        "PatientID",
        "PatientSex",
        "PatientAge",
        "PatientWeight",
        "PatientIdentityRemoved",
        "DeidentificationMethod",
        "SequenceOfUltrasoundRegions",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "Rows",
        "Columns",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "BurnedInAnnotation",
        "PixelData",
    }
    assert (
        found.PatientAge == "062Y"
        and found.PatientID == "S000001"
        and str(found.PatientName) == "S000001"
    )
    raw = told((tmp_path / "out.dcm").read_bytes())
    for secret in (*SECRETS.values(), "Meier", "Anna", "1961", "2024"):
        assert secret.encode() not in raw
    before = dcmread(tmp_path / "a.dcm")
    assert (
        found.SOPInstanceUID != before.SOPInstanceUID
        and found.file_meta.MediaStorageSOPInstanceUID == found.SOPInstanceUID
    )


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"PatientAge": "045Y"}, "045Y"),
        ({"PatientAge": "097Y"}, "090Y"),
        ({"PatientAge": "007M"}, "007M"),
        ({"PatientAge": "42"}, "042Y"),
        ({"PatientAge": "42 y"}, "042Y"),
        ({"PatientAge": "adult"}, ""),
        ({"PatientAge": "adult", "PatientBirthDate": "19610307", "StudyDate": "20240307"}, "063Y"),
        ({"PatientBirthDate": "20250101", "StudyDate": "20240307"}, ""),
        ({"PatientBirthDate": "19610308", "StudyDate": "20240307"}, "062Y"),
        ({"PatientBirthDate": "19610307", "StudyDate": "20240307"}, "063Y"),
        ({"PatientBirthDate": "19100101", "StudyDate": "20240307"}, "090Y"),
        ({"PatientBirthDate": "", "StudyDate": "20240307"}, ""),
    ],
)
def test_dates_become_ages(tags, expected):
    data = Dataset()
    for name, value in tags.items():
        setattr(data, name, value)
    assert deidentify.age(data) == expected


def test_allowed_values_that_name_somebody_or_are_no_values_stay_behind(tmp_path, nothing_written):
    original(
        tmp_path / "a.dcm",
        Manufacturer="Maker",
        ManufacturerModelName="Probe of Dr. Huber",
        PatientSex="Anna",
        PatientAge="62",
    )
    result = deidentify.clean(tmp_path / "a.dcm", "S1", "s")
    assert result.header.Manufacturer == "Maker"
    assert "ManufacturerModelName" not in result.header and "PatientSex" not in result.header
    assert sorted(result.notes) == [
        "ManufacturerModelName was left out: it holds what it should not",
        "PatientAge 62 has no unit: taken as years",
        "PatientSex was left out: it holds what it should not",
    ]


def test_files_without_identifiers_get_different_ones(tmp_path, nothing_written):
    for k in range(2):
        data = dcmread(dicom(tmp_path / f"{k}.dcm", sector(k)[0], regions=()))
        del data.SOPInstanceUID
        data.save_as(tmp_path / f"{k}.dcm")
    found = {
        deidentify.clean(tmp_path / f"{k}.dcm", "S1", "s").header.SOPInstanceUID for k in (0, 1)
    }
    assert len(found) == 2


def test_days_between_examinations_stay(tmp_path, nothing_written):
    original(tmp_path / "a.dcm", StudyDate="20240310")
    first = date(2024, 3, 7)
    result = deidentify.clean(tmp_path / "a.dcm", "S1", "s", first_day=first)
    assert result.header.LongitudinalTemporalOffsetFromEvent == 3.0
    assert "2024" not in told(str(result.header))


def test_without_regions_the_fan_is_found(tmp_path, nothing_written):
    pixels, fan = sector()
    dicom(tmp_path / "a.dcm", written(pixels), regions=(), PixelSpacing=[0.2, 0.2])
    result = deidentify.clean(tmp_path / "a.dcm", "S1", "s")
    top, bottom, left, right = result.box
    kept = np.zeros(SIZE, bool)
    kept[top:bottom, left:right] = result.inside
    assert (kept & fan).sum() / fan.sum() > 0.999 and (kept & ~fan).sum() < 0.08 * fan.sum()
    assert readers.dicom.spacing(result.header, []) == (0.2, 0.2)


def test_shadow_at_the_edge_of_the_fan_is_kept(tmp_path, nothing_written):
    pixels, fan = sector()
    pixels[120:, 60:110] = 0  # an acoustic shadow
    dicom(tmp_path / "a.dcm", pixels)
    result = deidentify.clean(tmp_path / "a.dcm", "S1", "s")
    kept = np.zeros(SIZE, bool)
    kept[result.box[0] : result.box[1], result.box[2] : result.box[3]] = result.inside
    assert (kept & fan).sum() / fan.sum() > 0.98


def test_cine(tmp_path, nothing_written):
    frames = np.stack([written(sector(seed)[0]) for seed in range(3)])
    dicom(tmp_path / "a.dcm", frames, regions=(), **SECRETS)
    deidentify.save(deidentify.clean(tmp_path / "a.dcm", "S1", "s"), tmp_path / "out.dcm")
    found = readers.read_frames(tmp_path / "out.dcm")[0]
    assert len(found) == 3 and found.mean((1, 2)).min() > 40


@pytest.mark.parametrize(
    ("pixels", "regions", "message"),
    [
        (np.zeros(SIZE, np.uint8), (), "no ultrasound fan found in the picture; crop it by hand"),
        (
            sector()[0],
            ((400, 300, 500, 400, 0.1, 0.1),),
            r"its ultrasound region \(400, 300, 500, 400\) lies outside",
        ),
    ],
)
def test_pictures_that_cannot_be_cropped(tmp_path, nothing_written, pixels, regions, message):
    path = dicom(tmp_path / "a.dcm", pixels, regions=regions)
    with pytest.raises(StudyError, match=message):
        deidentify.clean(path, "S1", "s")


# --- a whole folder
# --------------------------------------------------------------------------------------------------


@pytest.fixture
def hospital(tmp_path, monkeypatch, nothing_written):
    """Five patients with two pictures and masks each, and a table of patients."""
    monkeypatch.setattr(studies, "ROOT", tmp_path / "root")
    data = tmp_path / "hospital"
    (data / "masks").mkdir(parents=True)
    rows = ["patient_id,age,sex,weight,name"]
    for p in range(5):
        rows.append(f"KH-{p},{30 + 16 * p},f,60,Anna Meier")
        for k in range(2):
            original(data / f"Meier_{p}_{k}.dcm", seed=10 * p + k, PatientID=f"KH-{p}")
            mask = np.zeros(SIZE, np.uint8)
            mask[100:130, 140:190] = 1
            save(data / "masks" / f"Meier_{p}_{k}.png", mask)
    (data / "patients.csv").write_text("\n".join(rows) + "\n")
    return data


def test_a_folder_becomes_a_study(hospital, tmp_path):
    out, key = tmp_path / "clean", tmp_path / "locked" / "key.csv"
    report = anonymous.convert(hospital, out, key, None, hospital / "patients.csv")
    sheet = report.sheet
    assert dict(ledger.summary(report.roles)) == {
        "pictures used": 10,
        "masks and outlines": 10,
        "tables": 1,
    }
    assert report.unproven == 0
    everything = told(
        b"".join(
            p.read_bytes() + str(p.relative_to(out)).encode() for p in out.rglob("*") if p.is_file()
        )
    )
    for secret in ("Meier", "KH-", "Anna", "1961", "Kreiskrankenhaus"):
        assert secret.encode() not in everything
    assert len(list(out.glob("images/S*_00[12].dcm"))) == 10
    assert "before: Meier_0_0.dcm" in sheet.read_text() and sheet.parent == key.parent
    for path in (key, sheet):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    ids = dict(line.split(",") for line in key.read_text().splitlines()[2:])
    assert set(ids) == {f"KH-{p}" for p in range(5)} and all(
        re.fullmatch(r"S\d{6}", v) for v in ids.values()
    )
    make("mine", out, out / "form.yml", out / "patients.csv")
    frame = pd.read_csv(tmp_path / "root" / "data_manifest" / "mine" / "images.csv")
    assert set(frame["patient_id"]) == set(ids.values()) and len(frame) == 10
    assert frame["pixel_spacing_mm"].tolist() == pytest.approx([0.3] * 10)
    people = pd.read_csv(tmp_path / "root" / "data_manifest" / "mine" / "patients.csv")
    assert people["age_years"].max() == 90 and "name" not in people
    mask = readers.read_mask(out / frame["mask"][0], studies.load("mine").classes)
    image = readers.read_image(out / frame["image"][0])[0]
    assert mask.shape == image.shape and mask.sum() == 30 * 50


def test_ids_stay_the_same_in_the_next_run(hospital, tmp_path):
    key = tmp_path / "key.csv"
    anonymous.convert(hospital, tmp_path / "one", key)
    first = key.read_text()
    anonymous.convert(hospital, tmp_path / "two", key)
    assert key.read_text() == first
    names = [sorted(p.name for p in (tmp_path / n / "images").iterdir()) for n in ("one", "two")]
    assert names[0] == names[1]
    assert (tmp_path / "one/images" / names[0][0]).read_bytes() == (
        tmp_path / "two/images" / names[0][0]
    ).read_bytes()


def test_one_patient_in_two_spellings_gets_one_id(hospital, tmp_path):
    original(hospital / "Meier_1_1.dcm", PatientID="kh 01")
    anonymous.convert(hospital, tmp_path / "clean", tmp_path / "key.csv")
    ids = dict(line.split(",") for line in (tmp_path / "key.csv").read_text().splitlines()[2:])
    assert ids["KH-1"] == ids["kh 01"] and len(ids) == 6 and len(set(ids.values())) == 5
    assert {
        readers.dicom.header(p).PatientID for p in (tmp_path / "clean" / "images").iterdir()
    } == set(ids.values())


def test_outlines_in_a_shadow_at_the_edge_come_along(hospital, tmp_path):
    pixels, fan = sector()
    row = np.arange(SIZE[0])[:, None]
    noise = fan * np.where(
        pixels > 215, 20, 0
    )  # dark below row 150: the hull of what is bright ends there
    pixels, drawn = written(np.where(row > 150, noise, pixels).astype(np.uint8)), fan & (row > 120)
    dicom(hospital / "Meier_0_0.dcm", pixels, regions=(), **SECRETS | {"PatientID": "KH-0"})
    save(hospital / "masks" / "Meier_0_0.png", drawn.astype(np.uint8))
    anonymous.convert(hospital, tmp_path / "clean", tmp_path / "key.csv")
    new = dict(line.split(",") for line in (tmp_path / "key.csv").read_text().splitlines()[2:])[
        "KH-0"
    ]
    mask = np.asarray(Image.open(tmp_path / "clean" / "masks" / f"{new}_001.png"))
    kept = readers.read_image(tmp_path / "clean" / "images" / f"{new}_001.dcm")[0]
    assert mask.sum() == drawn.sum() and mask.shape == kept.shape and 0 < kept[-20:].max() <= 20
    assert not kept[0, :10].any()  # the text above the fan stays out


def test_what_the_form_excludes_stays_behind_and_what_it_tells_comes_along(hospital, tmp_path):
    (tmp_path / "form.yml").write_text(
        "title: Our nerves\nexclude: {Meier_0_0: consent withdrawn, Meier_2_1: cut}\n"
    )
    (hospital / "Meier_2_1.dcm").write_bytes(b"")
    anonymous.convert(hospital, tmp_path / "clean", tmp_path / "key.csv", tmp_path / "form.yml")
    assert len(list((tmp_path / "clean" / "images").iterdir())) == 8
    make("mine", tmp_path / "clean", tmp_path / "clean" / "form.yml")
    assert studies.load("mine").title == "Our nerves"


GIVEN = {"test": "test/*.dcm", "val": "train/Meier_3*", "train": "train/Meier_[124]*"}


@pytest.mark.parametrize(
    "form",
    [{}, {"split": {"policy": "given", "given": {s: {"of": p} for s, p in GIVEN.items()}}}],
)
def test_what_paths_say_of_the_split_and_the_form_of_spacing_comes_along(hospital, tmp_path, form):
    for p in range(5):
        for k in range(2):
            folder = hospital / ("test" if p == 0 else "train")
            folder.mkdir(exist_ok=True)
            (hospital / f"Meier_{p}_{k}.dcm").unlink()
            original(folder / f"Meier_{p}_{k}.dcm", seed=10 * p + k, PatientID=f"KH-{p}")
            header = dcmread(folder / f"Meier_{p}_{k}.dcm")
            del header.SequenceOfUltrasoundRegions
            header.save_as(folder / f"Meier_{p}_{k}.dcm")
    (tmp_path / "form.yml").write_text(yaml.safe_dump({"spacing_mm": 2**0.5 / 10} | form))
    out, key = tmp_path / "clean", tmp_path / "key.csv"
    anonymous.convert(hospital, out, key, tmp_path / "form.yml")
    make("mine", out, out / "form.yml")
    frame = studies.images(studies.load("mine"))
    assert frame["pixel_spacing_mm"].tolist() == pytest.approx([2**0.5 / 10] * 10)
    ids = dict(line.split(",") for line in key.read_text().splitlines()[2:])
    split = frame.groupby("patient_id")["split"].unique().map(list)
    assert [p for p, known in split.items() if "test" in known] == [ids["KH-0"]]
    assert not form or split[ids["KH-3"]] == ["val"]


def test_the_patient_of_a_table_of_pictures_gets_the_new_number(hospital, tmp_path):
    """The files' own numbers are those of visits."""
    rows = [f"Meier_{p}_{k}.dcm,Anna-{p // 2}" for p in range(5) for k in range(2)]
    (hospital / "whose.csv").write_text("\n".join(["image,patient", *rows]))
    (tmp_path / "form.yml").write_text(yaml.safe_dump({"patient": {"table": "whose.csv"}}))
    anonymous.convert(hospital, tmp_path / "clean", tmp_path / "key.csv", tmp_path / "form.yml")
    ids = dict(line.split(",") for line in (tmp_path / "key.csv").read_text().splitlines()[2:])
    assert set(ids) == {"Anna-0", "Anna-1", "Anna-2"}
    made = [p.name[: p.name.rindex("_")] for p in (tmp_path / "clean/images").rglob("*.dcm")]
    assert sorted(made.count(new) for new in ids.values()) == [2, 4, 4]


def test_what_is_left_behind_is_said(hospital, tmp_path):
    save(hospital / "photo.png", sector()[0])
    report = anonymous.convert(hospital, tmp_path / "clean", tmp_path / "key.csv")
    assert report.roles["photo.png"] == ("not looked at", "no DICOM picture: left behind")
    told = report.sheet.read_text()
    assert "<td>no DICOM picture: left behind</td>" in told and "photo.png" in told
    assert sum(count for _, count in ledger.summary(report.roles)) == 22


def test_the_sheet_shows_every_frame_of_a_cine(hospital, tmp_path, monkeypatch):
    frames = np.stack([sector(seed)[0] for seed in range(3)])
    frames[2, 120:140, 150:170] = 255  # only on the last
    dicom(hospital / "Meier_0_0.dcm", frames, regions=(), **SECRETS | {"PatientID": "KH-0"})
    monkeypatch.setattr(
        text,
        "find",
        lambda f: [text.Place((120, 140, 150, 170), "")] if len(f) > 1 else [],
    )
    report = anonymous.convert(hospital, tmp_path / "clean", tmp_path / "key.csv")
    told = report.sheet.read_text()
    assert report.unproven == 1 and told.count("looks like text still") == 1
    assert told.index("looks like text still") < told.index("no text found")


def test_one_frame_of_text_in_a_cine_is_looked_for(monkeypatch):
    seen = []
    monkeypatch.setattr(
        text, "_places", lambda pixels: seen.append(int((pixels == 255).sum())) or []
    )
    frames = np.full((9, 20, 20), 100, np.uint8)
    frames[6, 5:8, 5:8] = 255
    monkeypatch.setattr(text, "available", lambda: True)
    assert text.find(frames) == [] and max(seen) == 9


def test_two_people_under_one_number(hospital, tmp_path):
    original(
        hospital / "Meier_1_1.dcm",
        PatientID="KH-1",
        PatientName="Huber^Karl",
        PatientBirthDate="19500101",
    )
    report = anonymous.convert(hospital, tmp_path / "clean", tmp_path / "key.csv")
    why = report.roles["Meier_1_0.dcm"][1]
    assert report.of("pictures refused") == ["Meier_1_0.dcm", "Meier_1_1.dcm"]
    assert why.startswith("two people share its patient number: Meier_1_1.dcm has another name")
    assert why.split(":")[0] in report.sheet.read_text()
    assert "KH-1" not in (tmp_path / "key.csv").read_text()
    assert len(list((tmp_path / "clean" / "images").iterdir())) == 8


@pytest.mark.parametrize(
    ("other", "differs"),
    [
        (("Meier^Anna", "19610514", "F"), False),
        (("ANNA MEIER-HUBER", "19610514", ""), False),  # another spelling, a new name
        (("", "", ""), False),
        (("Huber^Karl", "", ""), True),
        (("Meier^Anna", "19610515", "F"), True),
        (("Meier^Anna", "19610514", "M"), True),
    ],
)
def test_who_is_another_person(tmp_path, other, differs):
    people = []
    for k, (name, born, sex) in enumerate((("Meier^Anna", "19610514", "F"), other)):
        tags = {"PatientName": name, "PatientBirthDate": born, "PatientSex": sex}
        people.append(deidentify.person(dicom(tmp_path / f"{k}.dcm", grey(), **tags)))
    assert deidentify.differ(*people) is differs


def test_raters_come_along(hospital, tmp_path):
    for rater in "AB":
        shutil.copytree(hospital / "masks", hospital / f"rater_{rater}")
    (tmp_path / "form.yml").write_text(
        'images: ["*.dcm"]\nreference: senior\nmasks: {senior: "masks/{stem}.png", A:'
        ' "rater_A/{stem}.png", B: "rater_B/{stem}.png"}\nclasses: [{name: nerve}]\n'
    )
    anonymous.convert(hospital, tmp_path / "clean", tmp_path / "key.csv", tmp_path / "form.yml")
    make("mine", tmp_path / "clean", tmp_path / "clean" / "form.yml")
    drawn = pd.read_csv(tmp_path / "root" / "data_manifest" / "mine" / "annotations.csv")
    assert drawn.groupby("rater").size().to_dict() == {"A": 10, "B": 10}


def test_a_cine_that_is_outlined_frame_by_frame(hospital, tmp_path):
    frames = np.stack([sector(seed)[0] for seed in range(3)])
    dicom(hospital / "Meier_0_0.dcm", frames, regions=(), **SECRETS | {"PatientID": "KH-0"})
    (hospital / "masks" / "Meier_0_0.png").unlink()
    drawn = np.zeros(frames.shape, np.uint8)
    drawn[0, 100:130, 140:190], drawn[2, 150:160, 150:170] = 1, 1
    path = str(hospital / "masks" / "Meier_0_0.nii.gz")
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(drawn), path)
    report = anonymous.convert(hospital, tmp_path / "o", tmp_path / "key.csv")
    assert len(report.of("pictures used")) == 10 and not report.of("pictures refused")
    make("mine", tmp_path / "o", tmp_path / "o" / "form.yml")
    study = studies.load("mine")
    found = [
        readers.read_mask(tmp_path / "o" / r.mask, study.classes).sum()
        for r in studies.images(study).itertuples()
        if "#" in r.image
    ]
    assert found == [1500, 200]


def spoil(hospital, kind):
    """Spoil one file of the folder in one way."""
    path, mask = hospital / "Meier_0_0.dcm", np.zeros(SIZE, np.uint8)
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "cut short":
        path.write_bytes(path.read_bytes()[:9000])
    elif kind == "no patient":
        original(path, PatientID="")
    elif kind == "no fan":
        dicom(path, mask, PatientID="KH-0")
    elif kind == "outline outside the fan":
        mask[:20, :20] = 1
        save(hospital / "masks" / "Meier_0_0.png", mask)
    elif kind == "mask of another size":
        save(hospital / "masks" / "Meier_0_0.png", mask[:100])


REFUSED = {
    "empty": "is empty (0 bytes); copy it again",
    "cut short": "the picture cannot be decoded",
    "no patient": "has no PatientID; say in the form how to read the patient",
    "no fan": "no ultrasound fan found in the picture; crop it by hand",
    "outline outside the fan": (
        "masks/Meier_0_0.png: 400 pixels of its outlines lie outside the ultrasound fan; does it"
        " belong to this picture?"
    ),
    "mask of another size": (
        "masks/Meier_0_0.png: the mask has 100 rows × 320 columns, its image 240 × 320"
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_one_bad_file_is_refused_by_name_and_the_others_are_done(hospital, tmp_path, kind, capsys):
    spoil(hospital, kind)
    key = tmp_path / "key.csv"
    anonymous.main(["--data", f"{hospital}", "--out", f"{tmp_path / 'o'}", "--key", f"{key}"])
    told = capsys.readouterr().out
    assert f"refused: Meier_0_0.dcm: {REFUSED[kind]}" in told
    assert "files in the folder: 21\n· pictures used: 9\n· pictures refused: 1\n" in told
    assert "· masks and outlines: 9\n· masks of no used picture: 1\n· tables: 1\n" in told
    assert REFUSED[kind].split(" ×")[0] in html.unescape(key.with_suffix(".html").read_text())
    assert len(list((tmp_path / "o" / "images").iterdir())) == 9


def test_a_library_that_breaks_on_one_file_stops_nothing(hospital, tmp_path, monkeypatch):
    clean = deidentify.clean

    def broken(path, *rest):
        if path.name == "Meier_2_0.dcm":
            raise IndexError("list index out of range")
        return clean(path, *rest)

    monkeypatch.setattr(deidentify, "clean", broken)
    report = anonymous.convert(hospital, tmp_path / "o", tmp_path / "key.csv")
    assert report.roles["Meier_2_0.dcm"][1].startswith("cannot be read (IndexError: list index")
    assert len(report.of("pictures used")) == 9


def test_outlines_that_are_nobodys_stay_behind_with_the_reason(hospital, tmp_path):
    shutil.copy(hospital / "masks" / "Meier_0_0.png", hospital / "masks" / "Meier_0_0_label.png")
    report = anonymous.convert(hospital, tmp_path / "o", tmp_path / "key.csv")
    role, why = report.roles["masks/Meier_0_0_label.png"]
    assert role == "masks of no used picture"
    assert why.startswith("of Meier_0_0.dcm: 2 masks could be its own")
    assert len(list((tmp_path / "o" / "masks").iterdir())) == 9


def spoiled(hospital, tmp_path, kind):
    out, key = tmp_path / "clean", tmp_path / "key.csv"
    if kind == "key in the result":
        key = out / "key.csv"
    elif kind == "key in the repository":
        key = tmp_path / "root" / "key.csv"
    elif kind == "result not empty":
        out.mkdir()
        (out / "x").touch()
    elif kind == "no key file":
        key.write_text("something else\n")
    elif kind == "nothing usable":
        for p in hospital.glob("*.dcm"):
            p.write_bytes(b"")
    elif kind == "no DICOM":
        for p in hospital.glob("*.dcm"):
            p.unlink()
    return out, key


BROKEN = {
    "key in the result": "{key}: the key identifies people; keep it outside {out}",
    "result not empty": "{out}: is not empty; give a new folder for the result",
    "key in the repository": "{key}: the key identifies people; keep it outside {root}",
    "no key file": "{key}: is no key file; give the one that an earlier run wrote, or a new name",
    "nothing usable": (
        "DATA={data}, nothing was written; repair these files or exclude them in the form:"
        " 10 problems\n"
        + "\n".join(
            f"  - Meier_{p}_{k}.dcm: is empty (0 bytes); copy it again"
            for p in range(5)
            for k in range(2)
        )
    ),
    "no DICOM": "DATA={data}: none of its 11 files is a DICOM image",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_folder(hospital, tmp_path, kind):
    out, key = spoiled(hospital, tmp_path, kind)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StudyError) as raised:
        anonymous.convert(hospital, out, key)
    assert str(raised.value) == BROKEN[kind].format(
        data=hospital, out=out, key=key, root=studies.ROOT
    )
    assert sorted(tmp_path.rglob("*")) == before


def test_command_line(hospital, tmp_path, capsys):
    anonymous.main(
        ["--data", str(hospital), "--out", str(tmp_path / "o"), "--key", str(tmp_path / "k.csv")]
    )
    assert "next: make manifest STUDY=... DATA=" in capsys.readouterr().out
    with pytest.raises(StudyError, match="is not empty"):
        anonymous.main(
            [
                "--data",
                str(hospital),
                "--out",
                str(tmp_path / "o"),
                "--key",
                str(tmp_path / "k.csv"),
            ]
        )
