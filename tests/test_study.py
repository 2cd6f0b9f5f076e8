"""A manifest is believed only when every line of it is right; each error names file, row and
key.
"""

import errno
import os
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from helpers import cache, datasets, errors, files, provenance, readers, studies
from helpers.errors import StudyError
from helpers.workflow import settings
from tools.book import verify


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A small study of PNG files: three patients, two images each, one structure."""
    monkeypatch.setattr(studies, "ROOT", tmp_path)
    folder, data = tmp_path / "data_manifest" / "small", tmp_path / "data"
    folder.mkdir(parents=True)
    data.mkdir()
    content = yaml.safe_load(
        (provenance.REPOSITORY / "data_manifest/femoral/study.yml").read_text(encoding="utf-8")
    )
    content["split"]["unit"] = "patient"
    quick = content["protocols"]["quick"]
    quick |= {"image_size": 16, "models": [{"name": "qvum"}, {"name": "femoral_unet"}]}
    content["protocols"] = {
        "quick": quick | {"cross_validation": {"folds": 3, "models": ["femoral_unet"]}}
    }
    (folder / "study.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    rng, rows = np.random.default_rng(0), []
    for number, split in enumerate(["train", "train", "val", "val", "test", "test"]):
        image, mask = data / f"i{number}.png", data / f"m{number}.png"
        Image.fromarray(rng.integers(0, 255, (20, 24), dtype=np.uint8)).save(image)
        Image.fromarray(rng.integers(0, 2, (20, 24), dtype=np.uint8)).save(mask)
        rows.append(
            (
                f"i{number}",
                f"p{number // 2}",
                image.name,
                mask.name,
                split,
                files.sha256(image),
                files.sha256(mask),
                "",
                "",
            )
        )
    columns = [
        "image_id",
        "patient_id",
        "image",
        "mask",
        "split",
        "sha256_image",
        "sha256_mask",
        "device",
        "pixel_spacing_mm",
    ]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "images.csv", index=False)
    return tmp_path


def edit_yaml(root, change):
    path = root / "data_manifest/small/study.yml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(yaml.safe_dump(content), encoding="utf-8")


def edit_csv(root, row, column, value):
    path = root / "data_manifest/small/images.csv"
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    frame.loc[row, column] = value
    frame.to_csv(path, index=False)


def build(root):
    return cache.build(studies.load("small"), root / "data")


def test_a_good_study_is_cached(small):
    index = build(small)
    arrays = datasets.load(studies.load("small"))
    assert arrays.images.shape == arrays.masks.shape == (6, 16, 16)
    assert arrays.images.dtype == np.uint8 and set(np.unique(arrays.masks)) == {0, 1}
    assert index.height_px.eq(20).all() and index.width_px.eq(24).all()
    assert [len(arrays.rows("main", s)) for s in studies.SPLITS] == [2, 2, 2]


def test_folds_keep_patients_together_and_are_disjoint(small):
    build(small)
    arrays = datasets.load(studies.load("small"))
    seen = []
    for fold in ("cv1", "cv2", "cv3"):
        parts = [set(arrays.rows(fold, s)) for s in studies.SPLITS]
        assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
        patients = [set(arrays.index.patient_id.iloc[list(p)]) for p in parts]
        assert not (patients[0] & patients[2] or patients[0] & patients[1])
        seen += parts[2]
    assert sorted(seen) == list(range(6))


def test_columns_of_which_nothing_is_known_may_be_left_out(small):
    path = small / "data_manifest/small/images.csv"
    frame = pd.read_csv(path, dtype=str).drop(columns=["device", "pixel_spacing_mm"])
    frame.to_csv(path, index=False)
    index = cache.build(studies.load("small"), small / "data")
    assert index["pixel_mm"].isna().all() and len(datasets.load(studies.load("small")).index) == 6


def test_a_file_may_be_called_like_a_number(small):
    """As a scanner calls its DICOM: 00000007, without an ending."""
    names = [f"{number:08d}" for number in range(6)]
    for number, name in enumerate(names):
        (small / f"data/i{number}.png").rename(small / "data" / name)
        edit_csv(small, number, "image", name)
    build(small)
    study = studies.load("small")
    assert datasets.load(study).index["image"].tolist() == names
    assert list(verify.images(study)) == []


def test_external_images_are_in_no_fold(small):
    edit_csv(small, 5, "split", "external")
    edit_csv(small, 5, "patient_id", "p9")
    edit_yaml(small, lambda c: c["protocols"]["quick"]["cross_validation"].update(folds=3))
    build(small)
    arrays = datasets.load(studies.load("small"))
    assert arrays.rows("main", "external").tolist() == [5]
    assert all(
        5 not in arrays.rows(fold, split)
        for fold in ("cv1", "cv2", "cv3")
        for split in studies.SPLITS
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(titel="x"), "'titel' was unexpected"),
        (lambda c: c.pop("classes"), "'classes' is a required property"),
        (lambda c: c.update(synthetic="yes"), "synthetic: 'yes' is not of type 'boolean'"),
        (
            lambda c: c["protocols"]["quick"]["optimiser"].update(lr="1e-3"),
            "lr: '1e-3' is not of type 'number'; YAML reads it as text, write 0.001",
        ),
        (
            lambda c: c["classes"][1].update(colour="green"),
            "classes.1.colour: 'green' does not match",
        ),
        (
            lambda c: c["classes"][1].update(index=2),
            r"indices must be 0, 1, 2, … in order, found \[0, 2\]",
        ),
        (lambda c: c["classes"][0].update(name="nothing"), "the first class must be 'background'"),
        (
            lambda c: c["classes"][1].update(name="foreground"),
            "'foreground' is no name for a structure or a network: pages use all, foreground,",
        ),
        (lambda c: c["classes"][1].update(name="All"), "'All' is no name for a structure"),
        (
            lambda c: c["protocols"]["quick"]["models"].append({"name": "all"}),
            "'all' is no name for a structure or a network",
        ),
        (lambda c: c.update(target="nerve"), "target: 'nerve' is no foreground class"),
        (lambda c: c.update(headline="vgg"), r"protocols.quick: headline names \['vgg'\]"),
        (
            lambda c: c["protocols"]["quick"].update(epochs=0),
            "protocols.quick.epochs: 0 is less than the minimum",
        ),
        (
            lambda c: c["protocols"]["quick"]["loss"].update(name="dise"),
            "quick.loss.name: 'dise' is not one of",
        ),
        *(
            (
                lambda c, name=name: c["protocols"].update({name: c["protocols"]["quick"]}),
                "protocols: .* (does not match|is not of type 'string')",
            )
            for name in ("..", "a/../../b", "$(touch x)", "", "a,size=96", 1)
        ),
    ],
)
def test_a_wrong_study_file_names_the_key(small, change, message):
    edit_yaml(small, change)
    with pytest.raises(StudyError, match=message) as error:
        studies.load("small")
    assert "study.yml" in str(error.value)


def test_all_problems_are_reported_at_once(small):
    edit_yaml(
        small,
        lambda c: (c.update(titel="x", synthetic=3), c["protocols"]["quick"].update(batch="many")),
    )
    with pytest.raises(StudyError, match="3 problems"):
        studies.load("small")


def people(root, rows):
    text = "patient_id,excluded\n" + "".join(f"{who},{why}\n" for who, why in rows)
    (root / "data_manifest/small/patients.csv").write_text(text)


def test_an_excluded_person_is_in_no_split(small):
    frame = pd.read_csv(small / "data_manifest/small/images.csv", dtype=str)
    frame.loc[1, "patient_id"] = "p9"
    frame.to_csv(small / "data_manifest/small/images.csv", index=False)
    people(small, [("p0", ""), ("p1", ""), ("p2", ""), ("p9", "withdrew")])
    assert "p9" not in set(studies.images(studies.load("small"))["patient_id"])
    people(small, [("p0", ""), ("p1", ""), ("p2", "")])
    with pytest.raises(StudyError, match=r"(?s)patients.csv: 1 problem.*patient_id p9 of images"):
        studies.images(studies.load("small"))


#: ten lists, each ten times the one before
LAUGHS = "a0: &a0 x\n" + "\n".join(
    f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]" for k in range(1, 10)
)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("title: again", "'title' is given twice"),
        ("x: .nan", ".nan is not a number to compute with"),
        ("x: -.inf", "-.inf is not a number to compute with"),
        (LAUGHS, "holds more than 1,000,000 values, or itself"),
        ("x: &x [*x]", "holds more than 1,000,000 values, or itself"),
        ("x: " + "[" * 5000, "not valid YAML: nested deeper than 100 levels: .* line"),
        ('x: "a\\0b"', r"the sign '\\x00' stands in a text"),
        ('x: "\\ud800"', "found invalid Unicode character escape code"),
        ("x: " + "9" * 5000, "not valid YAML: Exceeds the limit"),
        ("x: 2024-13-45", "'x' was unexpected"),
    ],
)
def test_yaml_that_says_two_things_or_no_number_is_refused(small, line, message):
    path = small / "data_manifest/small/study.yml"
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(StudyError, match=message):
        studies.load("small")


def test_a_protocol_may_be_about_another_network(small):
    path = small / "data_manifest/small/study.yml"
    text = path.read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    content["protocols"]["quick"]["headline"] = "femoral_unet"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    study = studies.load("small", "quick")
    assert study.headline == "femoral_unet"
    assert "headline" not in study.training("femoral_unet", "main")
    assert studies.load("small", "quick,models=femoral_unet").headline == "femoral_unet"
    content["protocols"]["quick"]["headline"] = "nobody"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    with pytest.raises(StudyError, match="headline names \\['nobody'\\]"):
        studies.load("small", "quick")


def test_changes_from_the_command_line_are_in_the_protocol(small):
    study = studies.load("small", "quick,size=32,epochs=2,models=qvum+femoral_unet")
    assert study.spec["image_size"] == 32 and {m["epochs"] for m in study.models} == {2}
    assert study.protocol == "quick,size=32,epochs=2,models=qvum+femoral_unet"
    alone = studies.load("small", "quick,models=qvum")
    assert [m["name"] for m in alone.models] == ["qvum"] and len(alone.trainings()) == 1
    added = studies.load("small", "quick,models=qvum+tlf_unet")
    assert [m["name"] for m in added.models] == ["qvum", "tlf_unet"]
    assert added.models[1]["epochs"] == added.models[0]["epochs"]
    for change, message in [
        ("size=9", "SIZE=9: a whole number from 16"),
        ("epochs=x", "EPOCHS=x"),
        ("models=unet", 'MODELS=unet: keep qvum, .* as in MODELS="qvum unet"; helpers/models/cat'),
        ("models=femoral_unet", "MODELS=femoral_unet: keep qvum"),
        ("lr=3", "'lr=3' is no change"),
        (f"size={'9' * 5000}", "a whole number from 16"),
        ("size=٣٢", "a whole number from 16"),
        ("size=32,size=64", "size is said twice"),
    ]:
        with pytest.raises(StudyError, match=message):
            studies.load("small", f"quick,{change}")
    for name in ("../small", "a b", "$(touch x)", ""):
        with pytest.raises(StudyError, match="a study's name has letters"):
            studies.load(name)


def test_unknown_studies_and_protocols_list_the_known(small):
    with pytest.raises(StudyError, match=r"no such file\. Studies here: small"):
        studies.load("smal")
    with pytest.raises(StudyError, match="no protocol 'paper'; it has quick"):
        studies.load("small", "paper")


def another(root, **changed):
    """The small study under a second protocol, 'other', that takes the rest over from quick."""
    edit_yaml(root, lambda c: c["protocols"].update(other=c["protocols"]["quick"] | changed))
    return studies.load("small", "other")


def test_a_protocol_divides_the_patients_anew(small):
    study = another(small, split={"test": ["p0"], "val": ["p1"]})
    found = studies.images(study).set_index("image_id")["split"].to_dict()
    assert list(found.values()) == ["test", "test", "val", "val", "train", "train"]
    assert studies.images(studies.load("small")).iloc[0]["split"] == "train"
    # what was learnt from is a setting of the training, so that nothing is taken for it wrongly
    assert study.training("qvum", "main")["split"] == {"test": ["p0"], "val": ["p1"]}
    # and what pages say of the study's own split is not said of this one
    assert study.split["policy"] == "given" and "protocol other" in study.split["reason"]


def test_external_images_stay_so_unless_the_protocol_names_them(small):
    for row in (0, 1):
        edit_csv(small, row, "split", "external")
    with pytest.raises(StudyError, match="no image is in 'train'"):  # p0 is not learnt from
        studies.images(another(small, split={"test": ["p1"], "val": ["p2"]}))
    edit_csv(small, 2, "patient_id", "p3")
    study = another(small, split={"test": ["p0"], "val": ["p1"], "external": ["p2"]})
    assert [*studies.images(study)["split"]] == ["test", "test", "train", "val", *["external"] * 2]


@pytest.mark.parametrize(
    "split, message",
    [
        ({"test": ["p0"], "val": ["p0"]}, "split: names p0 twice"),
        ({"test": ["p0"], "val": ["p9"]}, "no patient p9 in images.csv"),
        ({"test": ["p0"]}, "'val' is a required property"),
    ],
)
def test_a_protocol_split_that_cannot_be_is_refused(small, split, message):
    with pytest.raises(StudyError, match=message):
        studies.images(another(small, split=split))


def test_a_protocol_learns_the_first_structures_alone(small):
    def two(content):
        more = {"index": 2, "name": "vein", "colour": "#4363d8", "weight": 1, "labels": ["v"]}
        content["classes"].append(more)

    edit_yaml(small, two)
    study = another(small, classes=["nerve_block_region"])
    assert [c.name for c in study.classes] == ["background", "nerve_block_region"]
    assert {"vein", "v", "2"} <= set(study.ignored) and "1" not in study.ignored
    assert len(studies.load("small").classes) == 3
    for wrong in (["vein"], ["vein", "nerve_block_region"]):
        with pytest.raises(StudyError, match=r"protocols\.other\.classes"):
            another(small, classes=wrong)


def test_a_mask_value_of_a_structure_left_out_is_background(small):
    edit_yaml(
        small,
        lambda c: c["classes"].append(
            {"index": 2, "name": "vein", "colour": "#4363d8", "weight": 1}
        ),
    )
    spoil_mask(small, np.full((20, 24), 2, np.uint8))
    study = another(small, classes=["nerve_block_region"])
    row = list(studies.images(study).itertuples())[1]
    mask = cache.read_row(row, small / "data", study.classes, study.ignored)[1]
    assert mask.shape == (20, 24) and not mask.any()


@pytest.mark.parametrize("united", [False, True])
def test_a_structure_left_out_by_its_colour_or_file_is_background(small, united):
    """As masks in colours, or as one file for each structure, have it."""
    edit_yaml(
        small,
        lambda c: c["classes"].append(
            {"index": 2, "name": "vein", "colour": "#4363d8", "weight": 1}
        ),
    )
    study = another(small, classes=["nerve_block_region"])
    values = np.zeros((20, 24, 3), np.uint8)
    values[3:9, 4:12] = list(bytes.fromhex(study.classes[1].colour[1:]))
    Image.fromarray(values.any(-1).astype(np.uint8)).save(small / "data" / "nerve.png")
    values[12:15, 3:9] = (0x43, 0x63, 0xD8)
    Image.fromarray(values).save(small / "data" / "both.png")
    cell = "{nerve.png=nerve_block_region|both.png=vein}" if united else "both.png"
    found = readers.read_mask(
        small / "data" / cell, study.classes, ignored=study.ignored, shape=(20, 24)
    )
    assert found[3:9, 4:12].all() and found.sum() == 48
    if united:
        only = small / "data" / "{both.png=vein}"
        none = readers.read_mask(only, study.classes, ignored=study.ignored, shape=(20, 24))
        assert none.shape == (20, 24) and not none.any()
        with pytest.raises(StudyError, match="every structure of it is ignored; give its picture"):
            readers.read_mask(only, study.classes, ignored=study.ignored)


def test_the_scanners_and_published_patients_of_ubpd():
    """36 patients, 361 pictures on machine 1; 52 and 594 on machine 2, as published."""
    study = studies.load("ubpd", "published42")
    people = studies.patients(study).set_index("patient_id")["device"]
    images = pd.read_csv(study.root / "images.csv", dtype=str)
    pictures = images["patient_id"].map(people).value_counts()
    assert people.value_counts().to_dict() == {"machine 2": 52, "machine 1": 36}
    assert pictures.to_dict() == {"machine 2": 594, "machine 1": 361}
    for seed in (42, 94, 33):
        split = studies.load("ubpd", f"published{seed}").spec["split"]
        tested = people[[str(p) for p in split["test"]]].tolist()
        assert tested == ["machine 1"] * 5 + ["machine 2"] * 8
        tuned = people[[str(p) for p in split["val"]]].tolist()
        assert tuned == ["machine 1"] * 5 + ["machine 2"] * 7
    for machine, other in ((1, 2), (2, 1)):
        split = studies.load("ubpd", f"machine{machine}").spec["split"]
        assert set(people[people == f"machine {other}"].index) == set(map(str, split["external"]))
        assert not set(split["test"]) & set(split["external"])


@pytest.mark.parametrize(
    ("row", "column", "value", "message"),
    [
        (2, "image_id", "i1", "row 4, image_id: 'i1'"),
        (1, "split", "training", "row 3, split: 'training'"),
        (3, "sha256_mask", "abc", "row 5, sha256_mask: 'abc'"),
        (4, "patient_id", "p0", r"patient p0 is in train and test \(rows 2–6\)"),
        (0, "image", "", "row 2, image"),
        (5, "pixel_spacing_mm", "-1", "row 7, pixel_spacing_mm: -1.0"),
        (1, "image", "/etc/passwd", "row 3, image: '/etc/passwd' fails a path inside DATA"),
        (1, "mask", "a/../../b.png", "row 3, mask: .* fails a path inside DATA"),
        (1, "mask", "C:\\b.png", "row 3, mask: .* fails a path inside DATA"),
        (1, "device", "a\0b", "row 3, device: .* holds a control character"),
        (1, "device", "a\x9b31mb", "row 3, device: .* holds a control character"),
        (1, "image_id", "i" * 101, "row 3, image_id"),
        (1, "excluded", "blurred", "row 3.* so its split must be excluded"),
        (1, "excluded", "no", "row 3, excluded: 'no' fails a reason; leave the cell empty"),
        (1, "patient_id", "P0 ", "'p0' and 'P0 ' differ in blanks, capitals or accents alone"),
    ],
)
def test_a_wrong_row_is_named(small, row, column, value, message):
    edit_csv(small, row, column, value)
    with pytest.raises(StudyError, match=message):
        studies.images(studies.load("small"))


@pytest.mark.parametrize("why", ["no", " ", "FALSE", "0", "nein"])
def test_no_reason_leaves_nobody_out(small, why):
    people(small, [("p0", ""), ("p1", why), ("p2", "")])
    with pytest.raises(
        StudyError, match=r"patients.csv.*(?s:.)*row 3, excluded: .* fails a reason"
    ):
        studies.images(studies.load("small"))


def test_an_empty_table_or_split_is_an_error(small):
    path = small / "data_manifest/small/images.csv"
    frame = pd.read_csv(path, dtype=str)
    frame[frame.split != "val"].to_csv(path, index=False)
    with pytest.raises(StudyError, match="no image is in 'val'"):
        studies.images(studies.load("small"))
    frame.head(0).to_csv(path, index=False)
    with pytest.raises(StudyError, match="no rows"):
        studies.images(studies.load("small"))


def spoil_mask(root, pixels):
    """Replace mask 1 and enter its new hash, so that only its content is wrong."""
    Image.fromarray(pixels).save(root / "data/m1.png")
    edit_csv(root, 1, "sha256_mask", files.sha256(root / "data/m1.png"))


def outside(root):
    """Put image 1 elsewhere and a link in its place."""
    (root / "data/i1.png").rename(root / "i1.png")
    (root / "data/i1.png").symlink_to("../i1.png")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda r: (r / "data/i1.png").unlink(), "image_id i1: image .* is missing"),
        (outside, "image_id i1: image .* leads out of .*data by a link; copy the file into"),
        (
            lambda r: edit_csv(r, 1, "mask", f"{'m' * 300}.png"),
            "image_id i1: mask .* cannot be opened: File name too long",
        ),
        (
            lambda r: shutil.copy(r / "data/i2.png", r / "data/i1.png"),
            "image_id i1: image .* has changed",
        ),
        (lambda r: (r / "data/m1.png").write_bytes(b"\x89PNG"), "image_id i1: mask .* has changed"),
        (
            lambda r: spoil_mask(r, np.zeros((20, 25), np.uint8)),
            "i1: mask cannot be read: .*m1.png: the mask has 20 rows × 25 columns, its image 20 ×",
        ),
        (
            lambda r: spoil_mask(r, np.full((20, 24), 7, np.uint8)),
            "image_id i1: mask cannot be read: .*7",
        ),
    ],
)
def test_a_bad_file_is_named_and_nothing_is_cached(small, spoil, message):
    spoil(small)
    with pytest.raises(StudyError, match=message):
        build(small)
    assert not (small / "runs/small/cache").exists()
    with pytest.raises(StudyError, match="no checked images yet"):
        datasets.load(studies.load("small"))


def test_a_truncated_image_with_a_fresh_hash_is_unreadable(small):
    path = small / "data/i3.png"
    path.write_bytes(path.read_bytes()[:80])
    edit_csv(small, 3, "sha256_image", files.sha256(path))
    with pytest.raises(StudyError, match="image_id i3: image cannot be read"):
        build(small)


def test_a_full_disk_is_one_line_and_the_last_good_cache_stays(small, monkeypatch):
    build(small)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(SystemExit, match=r"error: .*images\.npy: No space left on device; free it"):
        errors.command(lambda _: build(small))
    assert len(datasets.load(studies.load("small")).index) == 6


def test_every_bad_file_is_reported(small):
    for name in ("i0.png", "m2.png", "i5.png"):
        (small / "data" / name).unlink()
    with pytest.raises(StudyError, match="3 problems"):
        build(small)


def test_a_person_without_images_is_named(small, capsys):
    people = pd.DataFrame({"patient_id": ["p0", "p1", "p2", "nobody", "left out"]})
    people["excluded"] = [None, None, None, None, "declined"]
    files.write_csv(people, studies.load("small").root / "patients.csv")
    build(small)
    assert "patients.csv: no image in this run of nobody\n" in capsys.readouterr().out


def test_the_gates_are_told_before_anything_is_trained(small, capsys):
    for number in (4, 5):  # the test images show nothing
        path = small / f"data/m{number}.png"
        Image.fromarray(np.zeros((20, 24), np.uint8)).save(path)
        edit_csv(small, number, "sha256_mask", files.sha256(path))
    build(small)
    said = capsys.readouterr().out
    assert (
        "gate, patients disjoint: passed; 3 patients, 0 of them in more than one split or fold"
        in said
    )
    assert (
        "gate, classes present: FAILED; missing: nerve_block_region in test, nerve_block_region"
        " in cv" in said
    )


def test_a_missing_data_folder_and_too_many_folds(small):
    with pytest.raises(StudyError, match="no such folder"):
        cache.build(studies.load("small"), small / "nowhere")
    edit_yaml(small, lambda c: c["protocols"]["quick"]["cross_validation"].update(folds=7))
    with pytest.raises(StudyError, match="7 folds needs 7 patients or images, found 3"):
        build(small)


def test_a_failed_check_leaves_the_last_good_cache(small):
    build(small)
    before = files.sha256(small / "runs/small/cache/images.npy")
    (small / "data/i0.png").unlink()
    with pytest.raises(StudyError):
        build(small)
    assert files.sha256(small / "runs/small/cache/images.npy") == before
    shutil.rmtree(small / "runs")


def test_a_number_that_only_python_reads_is_refused(small):
    """1_0 is 10 to Python, and nan is a number."""
    path = small / "data_manifest/small/images.csv"
    frame = pd.read_csv(path, dtype=str)
    for value in (" 0.1 ", "1e-1"):
        frame.assign(pixel_spacing_mm=value).to_csv(path, index=False)
        assert (studies.images(studies.load("small"))["pixel_spacing_mm"] == 0.1).all()
    for value in ("1_0", "nan", "inf", "0x1"):
        frame.assign(pixel_spacing_mm=value).to_csv(path, index=False)
        with pytest.raises(StudyError, match=f"row 2, pixel_spacing_mm: '{value}' is no plain"):
            studies.images(studies.load("small"))


def test_patients_known_of_some_images_alone_are_refused_before_anything_runs(small):
    path = small / "data_manifest/small/images.csv"
    frame = pd.read_csv(path, dtype=str)
    frame.loc[1, "patient_id"] = ""
    frame.to_csv(path, index=False)
    with pytest.raises(StudyError, match="row 3, patient_id: empty, as of 1 images, but filled"):
        studies.images(studies.load("small"))
    frame.loc[1, ["split", "excluded"]] = ["excluded", "whose it is, nobody knows"]
    frame.to_csv(path, index=False)
    assert len(studies.images(studies.load("small"))) == len(frame) - 1


def test_a_key_of_a_json_file_stands_once(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": {"b": 1, "c": 2, "b": 3}}', encoding="utf-8")
    with pytest.raises(StudyError, match="key 'b' is given twice"):
        files.read_json(path)


def test_a_problem_is_a_line_that_a_person_reads():
    with pytest.raises(StudyError) as error:
        errors.raise_all([f"row 2: {'x' * 10**6} is missing"], "study.yml")
    assert len(str(error.value)) < 1100
    assert "- row 2: x" in str(error.value) and str(error.value).endswith("x is missing")


@pytest.mark.parametrize("name", ["a" * 300, "x/" * 3000 + "a", "{" + "a.png|" * 900 + "b.png}"])
def test_a_file_of_a_name_that_none_can_have_is_missing(small, name):
    path = small / "data_manifest/small/images.csv"
    frame = pd.read_csv(path, dtype=str)
    frame.loc[0, "mask"] = name
    frame.to_csv(path, index=False)
    study = studies.load("small")
    assert len(settings.folder_state(study, small / "data")) == 16
    with pytest.raises(StudyError, match=r"image_id i0: mask .*(is missing|cannot be op)"):
        cache.build(study, small / "data")


def test_what_a_file_says_gives_a_terminal_no_orders():
    with pytest.raises(SystemExit) as stop, errors.in_a_line():
        raise StudyError("a.csv: row 2: \x1b[2J\x07\r\x9b1m\n  - more\tand ü")
    assert stop.value.code == "error: a.csv: row 2: \\x1b[2J\\x07\\x0d\\x9b1m\n  - more\tand ü"


def test_a_memory_that_is_full_is_one_line(small, monkeypatch):
    with pytest.raises(SystemExit, match="error: not enough memory"), errors.in_a_line():
        raise MemoryError("Unable to allocate 9 GiB")
    monkeypatch.setattr(cache, "read_mask", lambda *_, **__: np.zeros(1 << 60, np.uint8))
    with pytest.raises(StudyError, match="image_id i0: mask cannot be read: Unable to allocate"):
        cache.build(studies.load("small"), small / "data")


@pytest.mark.parametrize("place", ["loss", "options"])
@pytest.mark.parametrize(
    "line",
    ["x: !!set {a, b}", "x: !!binary aGk=", "x: !!omap [a: 1]", "7: 1", "null: 1", "true: 1"],
)
def test_what_no_setting_can_be_is_refused(small, place, line):
    path = small / "data_manifest/small/study.yml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["protocols"]["quick"].setdefault(place, {})["MARK"] = 1
    text = yaml.safe_dump(content).replace("MARK: 1", line)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StudyError, match=r"study\.yml: "):
        studies.load("small")


def test_a_date_is_the_text_that_was_written(small):
    path = small / "data_manifest/small/study.yml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump(content | {"note": "MARK"}).replace("MARK", "2024-01-02"))
    assert studies.load("small").note == "2024-01-02"
