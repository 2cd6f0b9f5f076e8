"""The authors' own split: lists, JSON and folders that say it, and what is asked where they say it
only in part.
"""

import json

import numpy as np
import pandas as pd
import pytest
from intake_folder import images
from pictures import grey, save
from test_intake_doubtful import first

from helpers.errors import StudyError
from tools.intake import split_words
from tools.intake.make import make

pytestmark = pytest.mark.usefixtures("root")


def fill(data, names):
    """A picture and its mask of every name, in the folders of the names, beside masks/."""
    for k, name in enumerate(names):
        mask = np.zeros((40, 60), np.uint8)
        mask[5 + k % 20 : 17 + k % 20, 8 + k // 2 : 30 + k // 2] = 255
        mask[5 + k % 20, 8 + k // 2] = 0  # no box
        for path, pixels in ((name, grey(seed=k)), (f"{name[:-4]}_mask.png", mask)):
            (data / path).parent.mkdir(parents=True, exist_ok=True)
            save(data / path, pixels)


def drawn(root):
    """split → numbers of its pictures."""
    rows = images(root)
    rows["k"] = rows["image_id"].str.extract(r"(\d+)$", expand=False).astype(int)
    return {split: sorted(own["k"]) for split, own in rows.groupby("split")}


NAMES = [f"{k:02d}.png" for k in range(1, 13)]
OWN = {"train": list(range(1, 9)), "val": [9, 10], "test": [11, 12]}


def lists(form):
    return {s: [form.format(k=k) for k in own] for s, own in OWN.items()}


@pytest.mark.parametrize("form", ["{k:02d}.png", r"C:\data\images\{k:02d}.png", "images/{k:02d}"])
@pytest.mark.parametrize("heading", [[], ["image"], ["file name"]])
def test_lists_are_read_however_they_name_their_pictures(root, data, form, heading):
    fill(data, NAMES)
    for split, lines in lists(form).items():
        (data / f"{split}.txt").write_text("\n".join(heading + lines), encoding="utf-8")
    assert "Look at these first (1) No patient is known" in first(data)
    assert drawn(root) == OWN


@pytest.mark.parametrize("word", ["image_", "case", "img-", "patient"])
def test_a_first_line_that_names_a_picture_is_no_heading(root, data, word):
    fill(data, [f"{word}{k:02d}.png" for k in range(1, 13)])
    for split, lines in lists(word + "{k:02d}").items():
        (data / f"{split}.txt").write_text("\n".join(lines), encoding="utf-8")
    assert "Look at these first (1) No patient is known" in first(data)
    assert drawn(root) == OWN


def test_texts_of_single_pictures_are_no_lists(data):
    names = [f"test_{k}.png" for k in range(1, 13)]
    fill(data, names)
    for name in names:
        (data / f"{name[:-4]}.txt").write_text("0 0.1 0.2 0.3 0.4 0.5 0.6", encoding="utf-8")
    assert "is called as a list" not in first(data)


@pytest.mark.parametrize("how", ["coco", "json"])
def test_json_says_the_split_too(root, data, how):
    fill(data, NAMES)
    named = lists("{k:02d}.png")
    if how == "json":
        (data / "split.json").write_text(json.dumps(named), encoding="utf-8")
    for split, lines in named.items() if how == "coco" else ():
        entries = [{"id": k, "file_name": name} for k, name in enumerate(lines)]
        content = json.dumps({"images": entries, "annotations": [], "categories": []})
        (data / f"instances_{split}.json").write_text(content, encoding="utf-8")
    first(data)
    assert drawn(root) == OWN


def test_a_line_that_names_no_picture_is_asked_about(root, data):
    fill(data, NAMES)
    for split, lines in lists("{k:02d}.png").items():
        lines = [line.replace("12.png", "l2.png1") for line in lines] + ["11.png"] * (
            split == "test"
        )
        (data / f"{split}.txt").write_text("\n".join(lines), encoding="utf-8")
    said = first(data)
    assert "test.txt: 1 of its 3 lines name no picture here, such as 'l2.png1'" in said
    assert 11 in drawn(root)["test"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("train.txt", "P01\nP02\nP03"),
        ("test.txt", "\n"),
        ("test.csv", '"'),
        ("train.json", "null"),
        ("split.json", "[null, 1]"),
        ("split.json", "{"),
        ("dataset_split.json", json.dumps({"folds": 5})),
    ],
)
def test_a_list_that_is_not_understood_stands_first(data, file, text):
    fill(data, NAMES)
    (data / file).write_text(text, encoding="utf-8")
    assert f"{file} is called as a list of what pictures are for" in first(data)


def test_a_list_of_the_test_pictures_alone_leaves_the_others_to_learn_from(root, data):
    fill(data, NAMES)
    (data / "test.txt").write_text("11.png\n12.png", encoding="utf-8")
    first(data)
    assert drawn(root)["test"] == [11, 12]


def test_a_list_of_what_to_learn_from_alone_is_asked_about(root, data):
    fill(data, NAMES)
    (data / "train.txt").write_text("\n".join(NAMES[:8]), encoding="utf-8")
    assert "train.txt say only what train pictures are: the split was drawn anew" in first(data)


@pytest.mark.parametrize(
    ("folders", "asked"),
    [
        (("rest", "stress_test"), "stress_test"),
        (("carotid_internal", "carotid_external"), "carotid_external"),
        (("baseline", "train_of_four", "stress_test"), "stress_test"),
        (("normal", "Valsalva test"), "Valsalva test"),
        (("test", "retest"), "test"),
        (("baseline", "test1", "test2"), "test1"),
        (("internal", "external"), "external"),
        (("CCA", "ICA", "VA"), "VA"),
        (("rest", "val", "squeeze"), "val"),
        (("images", "test"), None),
        (("train", "test"), None),
        (("pictures", "external_test"), None),
        (("Trainingsdaten", "Testdaten"), None),
        (("entrenamiento", "prueba"), None),
        (("tr", "va", "ts"), None),
        (("images", "hold out"), None),
    ],
)
def test_words_that_are_no_split_are_asked_about(data, folders, asked):
    fill(data, [f"{folder}/{folder[:5]}{k}.png" for folder in folders for k in range(8)])
    said = first(data)
    assert ("The folders' names were taken for a split" in said) == bool(asked)
    assert not asked or f"If {asked} says something else" in said


@pytest.mark.parametrize("folders", [("Trainingsdaten", "Testdaten"), ("entrenamiento", "prueba")])
def test_folders_in_other_languages_are_a_split(root, data, folders):
    fill(data, [f"{f}/{k + 10 * n}.png" for n, f in enumerate(folders) for k in range(8)])
    first(data)
    assert drawn(root)["test"] == list(range(10, 18))


def test_patients_numbered_anew_in_each_folder_are_not_merged_unasked(data):
    fill(
        data, [f"{s}/patient{p}/{k}.png" for s in ("train", "test") for p in (1, 2) for k in (1, 2)]
    )
    with pytest.raises(StudyError, match=r"if they were numbered anew .* let the patient hold it"):
        first(data)


@pytest.mark.parametrize(
    ("name", "split"), [("Validierung", "val"), ("tr", "train"), ("tri", None)]
)
def test_what_a_folder_is_for(name, split):
    assert split_words.split_of(name) == split


def parts(data, write):
    """write(split, names) for each of the authors' splits."""
    fill(data, NAMES)
    for split, own in OWN.items():
        write(split, [f"{k:02d}.png" for k in own])


def sheet(columns):
    return pd.DataFrame(columns)


KINDS = {
    "spreadsheets": lambda d, s, n: sheet({"image": n}).to_excel(d / f"{s}.xlsx", index=False),
    "an index": lambda d, s, n: sheet({"image": n}).to_csv(d / f"{s}.csv"),
    "patients first": lambda d, s, n: sheet(
        {"patient": [int(i[:2]) % 7 + 1 for i in n], "image": n}
    ).to_csv(d / f"{s}.csv", index=False),
    "masks first": lambda d, s, n: sheet(
        {"mask": [f"{i[:2]}_mask.png" for i in n], "image": n}
    ).to_csv(d / f"{s}.csv", index=False),
    "a foreign heading": lambda d, s, n: (d / f"{s}.csv").write_text(
        "\n".join(["Bild;Maske", *(f"{i};{i[:2]}_mask.png" for i in n)])
    ),
    ".list": lambda d, s, n: (d / f"{s}.list").write_text("\n".join(n)),
    "UTF-16": lambda d, s, n: (d / f"{s}.txt").write_text("\n".join(n), encoding="utf-16"),
    "entries in JSON": lambda d, s, n: (d / f"{s}.json").write_text(
        json.dumps([{"image": i, "depth": 4} for i in n])
    ),
    "names in JSON": lambda d, s, n: (d / f"{s}.json").write_text(json.dumps(n)),
    "ids": lambda d, s, n: (d / f"{s}_ids.csv").write_text("\n".join(["image", *n])),
    "Chinese": lambda d, s, n: (
        d / f"{dict(train='训练集', val='验证集', test='测试集')[s]}.txt"
    ).write_text("\n".join(n)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_lists_of_many_kinds(root, data, kind):
    parts(data, lambda split, names: KINDS[kind](data, split, names))
    assert "Look at these first (1) No patient is known" in first(data)
    assert drawn(root) == OWN


def of_each():
    return [(f"{k:02d}.png", split) for split, own in OWN.items() for k in own]


WHOLE = {
    "split.txt": lambda: "\n".join(f"{n} {s}" for n, s in of_each()),
    "split.csv": lambda: "\n".join(f"{n},{s}" for n, s in of_each()),
    "Liste.csv": lambda: (
        "Bild;Aufteilung\n"
        + "\n".join(
            f"{n};{dict(train='Lernmenge', val='Validierung', test='Prüfmenge')[s]}"
            for n, s in of_each()
        )
    ),
    "名单.csv": lambda: (
        "图像,数据集\n"
        + "\n".join(
            f"{n},{dict(train='训练集', val='验证集', test='测试集')[s]}" for n, s in of_each()
        )
    ),
    "dataset.json": lambda: json.dumps(
        {
            word: [{"image": f"./{k:02d}.png"} for k in OWN[s]]
            for word, s in (("training", "train"), ("validation", "val"), ("test", "test"))
        }
    ),
}


@pytest.mark.parametrize("file", WHOLE)
@pytest.mark.parametrize("tables", [0, 25])
def test_one_file_of_the_whole_split(root, data, file, tables):
    fill(data, NAMES)
    (data / file).write_text(WHOLE[file](), encoding="utf-8")
    for k in range(tables):
        (data / "a").mkdir(exist_ok=True)
        (data / f"a/m_{k}.csv").write_text("frame,value\n1,2\n")
    assert "Look at these first (1) No patient is known" in first(data)
    assert drawn(root) == OWN


def test_cvat_says_the_subset_of_each_picture(root, data):
    ring = '<polygon label="nerve" points="20,10;40,10;40,{y};30,35" occluded="0" z_order="0"/>'
    entries = []
    for k, (name, split) in enumerate(of_each()):
        save(data / name, grey(seed=k))
        subset = {"train": "Train", "val": "Validation", "test": "Test"}[split]
        entries.append(
            f'<image id="{k}" name="{name}" subset="{subset}" width="60" height="40">'
            f"{ring.format(y=20 + k % 9)}</image>"
        )
    text = f"<annotations><version>1.1</version>{''.join(entries)}</annotations>"
    (data / "annotations.xml").write_text(text, encoding="utf-8")
    make("mine", data)
    assert drawn(root) == OWN


def numbered_on(data):
    """Seven patients, whose pictures are numbered on from one to the next."""
    fill(data, [f"{p}/{2 * p - 1 + j}.png" for p in range(1, 8) for j in (0, 1)])


def test_lists_of_patients_are_no_lists_of_pictures(root, data):
    numbered_on(data)
    for split, own in {"train": range(1, 6), "val": [6], "test": [7]}.items():
        (data / f"{split}.txt").write_text("\n".join(["patient", *map(str, own)]))
    make("mine", data)
    assert drawn(root) == {"train": list(range(1, 11)), "val": [11, 12], "test": [13, 14]}


def test_numbers_that_could_be_patients_or_pictures_are_asked_about(data):
    numbered_on(data)
    for split, own in {"train": range(1, 6), "val": [6], "test": [7]}.items():
        (data / f"{split}.txt").write_text("\n".join(map(str, own)))
    assert "its lines could be pictures, or patients and their folders" in first(data)


def test_two_columns_that_could_name_pictures_are_asked_about(data):
    fill(data, NAMES)
    for split, own in OWN.items():
        rows = [f"{k},{13 - k}" for k in own]
        (data / f"{split}.csv").write_text("\n".join(["a,b", *rows]))
    assert "two of its columns could name pictures" in first(data)


def test_folds_of_a_cross_validation_are_no_split_and_the_test_set_is_kept(root, data):
    fill(data, NAMES)
    for fold in range(5):
        (data / f"fold{fold}").mkdir()
        val = NAMES[2 * fold : 2 * fold + 2]
        rest = [n for n in NAMES[:10] if n not in val]
        (data / f"fold{fold}/train.txt").write_text("\n".join(rest))
        (data / f"fold{fold}/val.txt").write_text("\n".join(val))
    (data / "test.txt").write_text("\n".join(NAMES[10:]))
    assert "share pictures, as the folds of a cross-validation do" in first(data)
    assert drawn(root)["test"] == [11, 12]


def test_nnunets_folds_are_called_folds(data):
    fill(data, NAMES)
    folds = [{"train": ["01"], "val": ["02"]}, {"train": ["02"], "val": ["01"]}]
    (data / "splits_final.json").write_text(json.dumps(folds))
    assert "splits_final.json holds the folds of a cross-validation" in first(data)


def test_lists_may_tell_paths_as_seen_from_their_folder(root, data):
    fill(data, [f"{s}/images/{k}.png" for s in OWN for k in range(1, 5)])
    for split in OWN:
        lines = [f"images/{k}.png" for k in range(1, 5)]
        (data / split / f"{split}.txt").write_text("\n".join(lines))
    assert "Look at these first (1) No patient is known" in first(data)


def test_pictures_that_no_list_names_are_asked_about(data):
    fill(data, NAMES)
    for split, own in OWN.items():
        (data / f"{split}.txt").write_text("\n".join(f"{k:02d}.png" for k in own if k != 3))
    said = first(data)
    assert "1 pictures stand in none of train.txt and val.txt and test.txt, such as 03.png" in said


@pytest.mark.parametrize(
    ("folder", "file", "text"),
    [
        ("", "Datenaufteilung.mat", "x"),
        ("", "train_ids.npy", "x"),
        ("", "test.npz", "x"),
        ("lists", "val.pkl", "x"),
    ],
)
def test_lists_of_a_kind_that_is_not_read_are_asked_about(data, folder, file, text):
    fill(data, NAMES)
    (data / folder).mkdir(exist_ok=True)
    (data / folder / file).write_text(text)
    assert f"{file} is called as a list of what pictures are for" in first(data)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("training_log.csv", "epoch,split,loss\n1,train,0.5\n1,val,0.6\n"),
        ("test_results.csv", "image,Dice\n01.png,0.5\n"),
        ("metadata.csv", "image,dataset\n01.png,BUSI\n02.png,UDIAT\n"),
        ("data.yaml", "train: images/train\nval: images/val\n"),
        ("train.json", json.dumps({"lr": 0.1, "epochs": 5})),
        ("test_set_pixel_size.csv", "filename,pixel size(mm)\n01.png,0.1\n"),
        ("train_masks.csv", "subject,img,pixels\n1,1,1 2 3\n"),
        ("findings.csv", "image,valve\n01.png,TR\n02.png,TS\n03.png,TR\n"),
        ("findings.csv", "image,what\n01.png,stress test\n02.png,rest\n03.png,rest\n"),
        ("01_test_info.txt", "depth 4 cm"),
    ],
)
def test_what_a_training_left_behind_and_sources_are_no_split(data, file, text):
    fill(data, NAMES)
    (data / file).write_text(text)
    assert "Look at these first (1) No patient is known" in first(data)


@pytest.mark.parametrize("outer", ["Training_data", "US test dataset", "set"])
def test_a_folder_that_all_share_says_nothing_of_a_split(root, data, outer):
    fill(data, [f"{outer}/{s}/{k:02d}.png" for s, own in OWN.items() for k in own])
    make("mine", data)
    assert drawn(root) == OWN


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("训练集", "train"),
        ("測試集", "test"),
        ("Lernset", "train"),
        ("Prüfset", "test"),
        ("val_ids", "val"),
        ("Valsalva", None),
        ("contest", None),
        ("train_test", None),
    ],
)
def test_what_a_name_says_of_a_split(name, split):
    assert split_words.split_of(name) == split


@pytest.mark.parametrize("before", [False, True])
def test_lists_that_come_after_a_manifest_are_not_said_to_be_kept(root, data, before):
    fill(data, NAMES)
    other = {"train": NAMES[4:], "val": NAMES[2:4], "test": NAMES[:2]}
    if before:
        for split, own in other.items():
            (data / f"{split}.txt").write_text("\n".join(own))
    make("mine", data)
    before_them = drawn(root)
    for split, own in OWN.items():
        (data / f"{split}.txt").write_text("\n".join(f"{k:02d}.png" for k in own))
    told = make("mine", data).read_text(encoding="utf-8")
    assert drawn(root) == before_them != OWN
    assert "pictures are elsewhere than folders, lists or a table of the set say" in told
    assert "it was kept so" not in told
    (root / "data_manifest/mine/images.csv").unlink()
    assert "it was kept so" in make("mine", data).read_text(encoding="utf-8")
    assert drawn(root) == OWN


@pytest.mark.parametrize("classes", [("benign", "malignant"), ("left", "right")])
@pytest.mark.parametrize("end", ["csv", "txt"])
def test_a_class_beside_the_names_is_no_list_of_folders(root, data, classes, end):
    """… also where a picture is lost."""
    fill(data, [f"{c}/{c[0]}{k:02d}.png" for c in classes for k in range(1, 9)])
    for split, own in {"train": range(1, 7), "test": range(7, 9)}.items():
        rows = [f"{c[0]}{k:02d}.png,{c}" for c in classes for k in own]
        rows = ["image,label", *rows] if end == "csv" else [r.replace(",", " ") for r in rows]
        (data / f"{split}.{end}").write_text("\n".join([*rows, f"x99.png,{classes[0]}"]))
    said = first(data)
    assert "1 of its 13 lines name no picture here, such as 'x99.png" in said
    assert drawn(root)["test"] == [7, 7, 8, 8]


@pytest.mark.parametrize("heading", ["case", "subject", "Fall"])
def test_pictures_under_a_heading_of_people_are_pictures(root, data, heading):
    parts(data, lambda s, n: (data / f"{s}.csv").write_text("\n".join([heading, *n])))
    make("mine", data)
    assert drawn(root) == OWN


def test_ages_beside_patients_are_no_pictures(root, data):
    fill(data, [f"P{p:02d}/{2 * p - 1 + j}.png" for p in range(1, 13) for j in (0, 1)])
    for split, own in {"train": range(1, 9), "test": range(9, 13)}.items():
        rows = [f"P{p:02d},{p + 3}" for p in own]
        (data / f"{split}.csv").write_text("\n".join(["patient,age", *rows]))
    make("mine", data)
    assert drawn(root)["test"] == list(range(17, 25))


def columns(**more):
    """A table of the twelve pictures; the last two are for tests."""
    return pd.DataFrame({"image": NAMES} | more)


FLAGS = {
    "Train ": [1] * 10 + [0] * 2,
    "is_test": [False] * 10 + [True] * 2,
    "split": ["training"] * 10 + ["test set"] * 2,
}


@pytest.mark.parametrize("column", FLAGS)
def test_a_column_that_says_yes_or_no_is_a_split(root, data, column):
    fill(data, NAMES)
    columns(**{column: FLAGS[column]}).to_csv(data / "meta.csv", index=False)
    said = f"meta.csv: yes and no of {column.strip()!r} were taken for the split"
    assert (said in first(data).replace("Train '", "Train'")) == (column != "split")
    assert drawn(root)["test"] == [11, 12]


def test_a_column_for_each_split(root, data):
    fill(data, NAMES)
    flags = {s: [int(k in own) for k in range(1, 13)] for s, own in OWN.items()}
    columns(**flags).to_csv(data / "meta.csv", index=False)
    make("mine", data)
    assert drawn(root) == OWN


def test_json_with_an_entry_a_picture(root, data):
    fill(data, NAMES)
    entries = [{"image": name, "split": split} for name, split in of_each()]
    (data / "metadata.json").write_text(json.dumps(entries))
    make("mine", data)
    assert drawn(root) == OWN


def sheets(path):
    with pd.ExcelWriter(path) as book:
        for split, own in OWN.items():
            frame = pd.DataFrame({"image": [f"{k:02d}.png" for k in own]})
            frame.to_excel(book, sheet_name=split, index=False)


SPLIT = ["train"] * 10 + ["test"] * 2


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (
            lambda p: p.write_text(
                "\n".join(["image,split,note", "01.png,train,a,b"])
                + "\n"
                + "\n".join(f"{n},{s},a" for n, s in zip(NAMES[1:], SPLIT[1:], strict=True))
            ),
            "cannot be read (1 problem",
        ),
        (
            lambda p: p.write_text("image,split,side,side\n01.png,train,l,l\n02.png,test,r,r\n"),
            "cannot be read (two columns are called side",
        ),
        (
            lambda p: columns(cohort=["derivation"] * 10 + ["validation"] * 2).to_csv(
                p, index=False
            ),
            "its words derivation were not understood",
        ),
    ],
)
def test_a_table_whose_split_is_lost_is_asked_about(data, write, said):
    fill(data, NAMES)
    write(data / "metadata.csv")
    assert said in first(data)


def test_a_sheet_for_each_split_is_asked_about(data):
    fill(data, NAMES)
    sheets(data / "set.xlsx")
    assert "set.xlsx has the sheets train, val, test, of which only one is read" in first(data)


@pytest.mark.parametrize("beside", ["patient", None])
def test_numbers_of_rows_are_no_patients(root, data, beside):
    fill(data, [f"{p}/{k}.png" for p in range(1, 7) for k in "ab"])
    form = data.parent / "form.yml"
    form.write_text("patient: {pattern: '([0-9]+)/'}")
    table = {"id": range(1, 13), "file": [f"IMG_{k}.dcm" for k in range(12)]}
    table |= {beside: [p for p in range(1, 7) for _ in "ab"]} if beside else {}
    table |= {"split": ["train"] * 8 + ["test"] * 4}
    pd.DataFrame(table).to_csv(data / "meta.csv", index=False)
    text = make("mine", data, form).read_text(encoding="utf-8")
    if beside:
        rows = images(root)
        assert set(rows.loc[rows["split"] == "test", "patient_id"]) == {"5", "6"}
    else:
        assert "but it is not clear of which" in text


def test_a_table_that_is_called_a_spreadsheet_and_is_text_is_read(root, data):
    fill(data, NAMES)
    columns(split=SPLIT).to_csv(data / "meta.xlsx", index=False)
    make("mine", data)
    assert drawn(root)["test"] == [11, 12]
