"""Tables with a row a picture say whose each is, where no name and no folder does."""

import pytest
from intake_folder import FORM, empty_root, images, ten_patients, write

from helpers.errors import StudyError
from tools.intake import by_picture, form, make

OWN = FORM | {"patient": {"table": "about.csv"}}


@pytest.fixture
def root(tmp_path, monkeypatch):
    return empty_root(tmp_path, monkeypatch)


def table(data, heading="ID,Case,Pathology,Height", change=lambda rows: rows):
    """As BUS-BRA has it: pictures by their stem, patients by a number, the picture's height."""
    rows = [f"{p}_{k},{100 + p},benign,450" for p in range(1, 11) for k in range(2)]
    (data / "about.csv").write_text("\n".join([heading, *change(rows)]))


def test_the_patient_stands_in_a_table_of_pictures(root, tmp_path, capsys):
    data = ten_patients(tmp_path / "data")
    table(data)
    make.make("mine", data, write(tmp_path / "f.yml", OWN))
    found = images(root)
    assert found["patient_id"].tolist() == [f"{100 + p}" for p in range(1, 11) for _ in range(2)]
    assert found.groupby("patient_id")["split"].nunique().eq(1).all()
    assert "tables: 1" in " ".join(capsys.readouterr().out.split())


def test_a_picture_without_a_row_is_refused_by_name(root, tmp_path, capsys):
    data = ten_patients(tmp_path / "data")
    table(data, change=lambda rows: rows[1:])
    make.make("mine", data, write(tmp_path / "f.yml", OWN))
    assert len(images(root)) == 19
    assert f"photos/1_0.png: {make.NOBODY}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: [*rows, "1_0,7,,"], "Case, row 2, 22: photos/1_0.png is of '101' and '7'"),
        (lambda rows: ["1_0,,,", *rows[1:]], "Case, row 2: photos/1_0.png is of ''"),
        (lambda rows: ["x" + row for row in rows], "names none of the pictures, such as photos/1"),
    ],
)
def test_a_table_that_cannot_be_right_names_its_row(tmp_path, root, change, said):
    data = ten_patients(tmp_path / "data")
    table(data, change=change)
    with pytest.raises(StudyError, match=rf"about\.csv: {said}"):
        make.make("mine", data, write(tmp_path / "f.yml", OWN))
    assert not (root / "data_manifest").exists()


@pytest.mark.parametrize(
    ("heading", "said"),
    [
        ("ID,Case,patient,Height", "Case, patient names a patient; call the one column so"),
        ("ID,who,Pathology,Height", "no column names a patient; .* of who, Pathology, Height"),
        ("ID,Case,Height,Height", r"about\.csv: two columns are called Height; call them apart"),
    ],
)
def test_one_column_is_the_patients(tmp_path, root, heading, said):
    data = ten_patients(tmp_path / "data")
    table(data, heading)
    with pytest.raises(StudyError, match=said):
        make.make("mine", data, write(tmp_path / "f.yml", OWN))


def test_such_a_table_in_place_of_that_of_patients_says_what_to_write(tmp_path, root):
    data = ten_patients(tmp_path / "data")
    table(data)
    with pytest.raises(StudyError, match=r"two columns mean patient_id; keep one; is a row a pict"):
        make.make("mine", data, None, data / "about.csv")


def test_a_name_of_several_pictures_is_not_taken_for_one_of_them(tmp_path):
    chosen = [f"{p}/photos/{k}.png" for p in "ab" for k in range(3)]
    said, told = form.Form(patient={"table": "t.csv"}), "image,patient\n"
    (tmp_path / "t.csv").write_text(told + "".join(f"{k},{k}\n" for k in range(3)))
    with pytest.raises(StudyError, match=r"row 2: 0 names a/photos/0.png, b/photos/0.png; give t"):
        by_picture.whose(said, tmp_path, None, chosen)
    (tmp_path / "t.csv").write_text(told + "".join(f"{n},{n[0]}\n" for n in chosen))
    found, read = by_picture.whose(said, tmp_path, None, chosen)
    assert found.patient["of"] == {n: n[0] for n in chosen} and read == "t.csv"


def test_a_cine_is_whose_its_file_is(tmp_path):
    (tmp_path / "t.csv").write_text("clip,patient\nA.mp4,p1\nB,p2\n")
    chosen = ["v/A.mp4#0", "v/A.mp4#1", "v/B.mp4#0"]
    found, _ = by_picture.whose(form.Form(patient={"table": "t.csv"}), tmp_path, None, chosen)
    assert found.patient["of"] == dict(zip(chosen, ["p1", "p1", "p2"], strict=True))


def test_numbers_of_rows_are_not_taken_for_numbers_of_pictures(tmp_path):
    chosen, said = ["1.png", "2.png"], form.Form(patient={"table": "t.csv"})
    (tmp_path / "t.csv").write_text("no,image,patient\n1,2,a\n2,1,b\n")
    found, _ = by_picture.whose(said, tmp_path, None, chosen)
    assert found.patient["of"] == {"1.png": "b", "2.png": "a"}
    (tmp_path / "t.csv").write_text("no,scan,patient\n1,2,a\n2,1,b\n")
    with pytest.raises(StudyError, match="columns no, scan name the pictures: call one of them im"):
        by_picture.whose(said, tmp_path, None, chosen)


def test_the_line_of_the_form_is_said_first_where_such_a_table_lies_there(root, tmp_path):
    data = ten_patients(tmp_path / "data")
    table(data)
    nobody = {k: v for k, v in FORM.items() if k not in ("patient", "split")}
    page = make.make("mine", data, write(tmp_path / "f.yml", nobody)).read_text()
    line = "write patient: {table: &#x27;about.csv&#x27;}"
    assert line in page or line.replace("&#x27;", "'") in page
    table(data, change=lambda rows: rows[1:])  # not of every picture: nothing is suggested
    page = make.make("mine", data, write(tmp_path / "f.yml", nobody)).read_text()
    assert "about.csv says of every picture" not in page and "No patient is known" in page
