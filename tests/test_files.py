"""Tables come back as they were written, and hold nothing that a spreadsheet would run."""

import csv
import re
from pathlib import Path

import hypothesis
import numpy as np
import pandas as pd
import pytest
from hypothesis import strategies as st
from hypothesis.extra import pandas as frames

from helpers import files, schemas
from helpers.errors import StudyError

REPOSITORY = Path(__file__).resolve().parent.parent
DANGEROUS = ("=1+1", "+1-1", "-cmd|' /C calc'!A0", "@SUM(1)", "\t=1", "\r=1", "\n=1", "'=1", "--")
#: any text that UTF-8 can hold, short, and often with the signs that matter
CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
CELL |= st.text("=+-@\t\r\n'\", 1.e", max_size=6)


@pytest.mark.parametrize("text", DANGEROUS)
def test_no_cell_and_no_column_begins_like_a_formula(tmp_path, text):
    path = tmp_path / "table.csv"
    files.write_csv(pd.DataFrame({text: [text, "plain"]}), path)
    with open(path, newline="") as file:
        for row in csv.reader(file):
            assert not re.match(r"[=+\-@\t\r\n]", row[0])
    back = files.read_csv(path, dtype=str)
    assert list(back) == [text] and back[text].tolist() == [text, "plain"]
    assert files.read_rows(path) == [{text: text}, {text: "plain"}]


def test_a_number_stays_a_number(tmp_path):
    table = pd.DataFrame(
        {"a": [-0.01, 1e-17, np.nan], "b": ["-0.01", "+3", "-1e5"], "c": [-1, 0, 2]}
    )
    files.write_csv(table, tmp_path / "table.csv")
    assert "'" not in (tmp_path / "table.csv").read_text()
    pd.testing.assert_frame_equal(files.read_csv(tmp_path / "table.csv", dtype={"b": str}), table)


@hypothesis.given(
    cells=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8), names=st.tuples(CELL, CELL)
)
def test_every_text_is_read_back_unchanged(tmp_path_factory, cells, names):
    hypothesis.assume(len({*names}) == 2 and "" not in names)
    path = tmp_path_factory.getbasetemp() / "texts.csv"
    table = pd.DataFrame(cells, columns=list(names), dtype=str)
    files.write_csv(table, path)
    back = files.read_csv(path, dtype=str)
    assert list(back) == list(names)
    assert back.fillna("").to_numpy().tolist() == [list(row) for row in cells]  # "" is missing
    assert [list(row.values()) for row in files.read_rows(path)] == [list(row) for row in cells]


@hypothesis.given(
    frames.data_frames([frames.column("x", dtype=float), frames.column("n", dtype=np.int64)])
)
def test_every_number_is_read_back_to_the_last_bit(tmp_path_factory, table):
    path = tmp_path_factory.getbasetemp() / "numbers.csv"
    files.write_csv(table, path)
    back = files.read_csv(path, dtype={"x": float, "n": np.int64})
    np.testing.assert_array_equal(back["x"], table["x"])
    np.testing.assert_array_equal(back["n"], table["n"])


def test_names_that_look_like_missing_values_are_names(tmp_path):
    table = pd.DataFrame(
        {"class": ["NA", "None", "null", "nan", "n/a"], "x": [1.0, np.nan, 2, 3, 4]}
    )
    files.write_csv(table, tmp_path / "table.csv")
    pd.testing.assert_frame_equal(files.read_csv(tmp_path / "table.csv"), table)


def test_a_manifest_may_hold_what_a_spreadsheet_would_run(tmp_path):
    row = {"patient_id": "P1", "device": "=HYPERLINK(1)"}
    files.write_csv(pd.DataFrame([row]), tmp_path / "patients.csv")
    back = schemas.read_csv(tmp_path / "patients.csv", schemas.PATIENTS)
    assert back["device"].tolist() == ["=HYPERLINK(1)"]


@pytest.mark.parametrize("content", [b"{", b"\xff{}", b"[" * 100_000, None])
def test_json_that_cannot_be_read_is_one_line(tmp_path, content):
    path = tmp_path / "record.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StudyError, match=r"record\.json: cannot be read .*put the original back"):
        files.read_json(path)


def test_every_json_file_goes_through_the_one_reader():
    """A second way to read a record would end in a traceback where a byte of it is wrong."""
    for room in ("helpers", "tools"):
        for path in (REPOSITORY / room).rglob("*.py"):
            if path != REPOSITORY / "helpers/files.py":
                found = re.findall(r"json\.load\(|json\.loads\(.*read_", path.read_text("utf-8"))
                assert not found, f"{path}: {found}"


def test_every_table_goes_through_the_one_reader_and_writer():
    """A second way to read or write a table would see cells that nobody guards or unguards."""
    for room in ("helpers", "tools"):
        for path in (REPOSITORY / room).rglob("*.py"):
            if path != REPOSITORY / "helpers/files.py":
                found = re.findall(r"pd\.read_csv|\.to_csv\(|csv\.Dict", path.read_text("utf-8"))
                foreign = ("annotations.py", "compare/read.py")  # tables of other programs
                assert not found or str(path).endswith(foreign), f"{path}: {found}"


@pytest.mark.parametrize(
    "content", [None, b"", b"\xff\xfe,", b'a,b\n"1', b"a,b\n1,2,3\n4,5,6,7\n", b"a,b\nx,1\n"]
)
def test_a_table_that_is_none_is_one_error_that_names_it(tmp_path, content):
    path = tmp_path / "t.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StudyError, match=r"t\.csv: (no such file|not a readable CSV)"):
        files.read_csv(path, dtype={"a": "Int64"})
    if content is not None:  # packed in another file
        with pytest.raises(StudyError, match=r"t\.csv\.gz: not a readable CSV"):
            files.read_csv(tmp_path / "t.csv.gz", content, dtype={"a": "Int64"})
