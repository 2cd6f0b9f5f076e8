"""Tables with a row a picture say whose each is, where no name and no folder does."""

import html
import re
import shutil

import pytest
from intake_folder import FORM, empty_root, images, ten_patients, write

from helpers import provenance
from helpers.errors import StudyError
from tools.intake import anonymous, by_picture, form, make

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
    assert f"photos/1_0.png: {by_picture.NO_ROW}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: [*rows, "1_0,7,,"], "Case, row 2, 22: photos/1_0.png is of '101' and '7'"),
        (
            lambda rows: ["x" + row for row in rows],
            "names none of the pictures, such as photos/1_0.png; it names x1_0, x1_1, x2_0, …:",
        ),
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
        ("ID,Case,patient,Height", "who is the patient[?] it could be column Case or patient; th"),
        ("ID,who,Pathology,Height", "who is the patient[?] no column says so; the form can name b"),
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
    (tmp_path / "u.csv").write_text(told + "".join(f"{n[:-4]},{n[0]}\n" for n in chosen))
    below = [f"images/{n}" for n in chosen]
    found, *_ = by_picture.whose(form.Form(patient={"table": "u.csv"}), tmp_path, None, below)
    assert found.patient["of"] == {n: n[7] for n in below}
    found, read, notes = by_picture.whose(said, tmp_path, None, chosen)
    assert found.patient["of"] == {n: n[0] for n in chosen} and read == "t.csv"
    assert notes == [
        "Whose a picture is was read from t.csv, pictures by column image, patients by column"
        " patient: 2 patients of 6 pictures."
    ]


def test_a_cine_is_whose_its_file_is(tmp_path):
    (tmp_path / "t.csv").write_text("clip,patient\nA.mp4,p1\nB,p2\n")
    chosen = ["v/A.mp4#0", "v/A.mp4#1", "v/B.mp4#0"]
    found, *_ = by_picture.whose(form.Form(patient={"table": "t.csv"}), tmp_path, None, chosen)
    assert found.patient["of"] == dict(zip(chosen, ["p1", "p1", "p2"], strict=True))


NUMBERED = [f"{k}.png" for k in range(1, 5)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no,Aufnahme,patient\n1,2,a\n2,1,b\n", "it could be column no or Aufnahme of pictures"),
        ("image no,scan,patient\n1,2,a\n2,1,b\n", "it could be column image no or scan of pict"),
        ("no,image,patient\n1,x7,a\n2,x9,b\n", "it could be column no or image of pictures"),
        ("no,mask,patient\n1,2_mask,a\n2,1_mask,b\n", "are the numbers of column no of pictures"),
        (",image_file,patient\n1,x2,a\n2,x1,b\n", "it could be column  or image_file of pict"),
        ("mask,BIRADS,patient\nm1,4,a\nm2,1,b\n", "are the numbers of column BIRADS of pict"),
        ("case,file,patient name\n1,1,a\n2,2,a\n", "it could be column case or patient name"),
        ("image,patient\n1,a\n2,b\n1.png,b\n", "patient, row 2, 4: 1.png is of 'a' and 'b'"),
        ("image,code,who\n1,70,a\n2,71,a\n", "who is the patient. it could be column code"),
        ("image,who\n1,a\n2,b\n", "who is the patient. no column says so"),
    ],
)
def test_what_could_be_read_in_two_ways_is_not_read(tmp_path, text, said):
    """Numbers of rows taken for names of pictures gave nearly every picture the wrong patient."""
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(StudyError, match=rf"t\.csv: .*{said}.*picture: …, patient: …"):
        by_picture.whose(form.Form(patient={"table": "t.csv"}), tmp_path, None, NUMBERED)
    assert by_picture.suggested(tmp_path, NUMBERED[:2]) == ""


@pytest.mark.parametrize(
    ("text", "said", "whose"),
    [
        ("no,Aufnahme,patient\n1,2,a\n2,1,b\n", {"picture": "Aufnahme"}, {"1.png": "b"}),
        ("no,image,patient\n1,2,a\n2,1,b\n", {}, {"1.png": "b", "2.png": "a"}),
        ("ID,image,Case\n1,2,a\n2,1,b\n3,7,b\n", {}, {"1.png": "b", "2.png": "a"}),
        ("ID,image,SubjectID\n1,1,a\n2,2,a\n", {}, {"1.png": "a", "2.png": "a"}),
        ("no,image,who\n1,2,a\n2,1,b\n", {"picture": "no", "patient": "who"}, {"1.png": "a"}),
        ("image,mask_file,patient\n1,1,a\n2,2,b\n", {}, {"1.png": "a", "2.png": "b"}),
        ("image,patient\n1,1.0\n2,2.0\n", {}, {"1.png": "1", "2.png": "2"}),
        ("image,patient\n1,a\n2,NA\n3,unknown\n", {}, {"1.png": "a"}),
        ("image,patient,group\n1,a,control\n2,b,case\n", {}, {"1.png": "a", "2.png": "b"}),
    ],
)
def test_what_the_form_or_the_table_says_plainly_is_read(tmp_path, text, said, whose):
    (tmp_path / "t.csv").write_text(text)
    asked = form.Form(patient={"table": {"file": "t.csv"} | said})
    found = by_picture.whose(asked, tmp_path, None, NUMBERED)[0].patient["of"]
    assert whose.items() <= found.items() and (len(whose) == 1 or found == whose)


def test_a_word_of_a_row_makes_it_no_heading(tmp_path):
    rows = [f"{k},s{k},{group}" for k, group in enumerate(("control", "case", "case"), 1)]
    (tmp_path / "t.csv").write_text("\n".join(["image,SubjectID,group", *rows]))
    found = by_picture.whose(form.Form(patient={"table": "t.csv"}), tmp_path, None, NUMBERED)[0]
    assert found.patient["of"] == {"1.png": "s1", "2.png": "s2", "3.png": "s3"}


@pytest.mark.parametrize("said", [{"patient": {"table": "about.csv"}}, {"spacing_mm": "about.csv"}])
def test_a_folder_without_a_picture_to_name_says_so(root, tmp_path, said):
    """Whatever its table says: pictures without masks, and nothing from a scanner."""
    data = ten_patients(tmp_path / "data")
    shutil.rmtree(data / "masks")
    (data / "about.csv").write_text("image,Case,mm\n1_0,7,0.1\n")
    asked = write(tmp_path / "f.yml", said)
    with pytest.raises(StudyError, match="nothing was written"):
        make.make("mine", data, asked)
    with pytest.raises(StudyError, match="none of its 21 files is a DICOM image"):
        anonymous.convert(data, tmp_path / "clean", tmp_path / "key.csv", asked)


def test_the_example_names_the_columns(tmp_path):
    text = (provenance.REPOSITORY / "tools/intake/form_example.yml").read_text(encoding="utf-8")
    (line,) = re.findall(r"# (\{table: \{.*\}\})", text)
    (tmp_path / "f.yml").write_text(f"patient: {line}")
    assert form.read(tmp_path / "f.yml").patient["table"]["patient"] == "Case"


def test_a_picture_without_a_mask_shares_no_name(tmp_path):
    (tmp_path / "t.csv").write_text("image,patient\n1.png,M1\n")
    said = form.Form(patient={"table": "t.csv"})
    with pytest.raises(StudyError, match=r"1\.png names a/1\.png, b/1\.png; give the paths"):
        by_picture.whose(said, tmp_path, None, ["a/1.png"], ["b/1.png"])


def test_a_sign_of_frames_in_a_name_is_a_letter(tmp_path):
    (tmp_path / "t.csv").write_text("image,patient\nP#1.png,a\nP#2.png,b\n")
    chosen = ["images/P#1.png", "images/P#2.png"]
    found = by_picture.whose(form.Form(patient={"table": "t.csv"}), tmp_path, None, chosen)[0]
    assert found.patient["of"] == dict(zip(chosen, "ab", strict=True))


def test_the_line_of_the_form_is_said_first_where_such_a_table_lies_there(root, tmp_path):
    data = ten_patients(tmp_path / "data")
    table(data)
    nobody = {k: v for k, v in FORM.items() if k not in ("patient", "split")}
    page = make.make("mine", data, write(tmp_path / "f.yml", nobody)).read_text()
    assert 'write patient: {table: "about.csv"}' in html.unescape(page)
    table(data, change=lambda rows: rows[1:])  # not of every picture: nothing is suggested
    page = make.make("mine", data, write(tmp_path / "f.yml", nobody)).read_text()
    assert "about.csv says of every picture" not in page and "No patient is known" in page
