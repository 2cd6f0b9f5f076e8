"""Tables as they are read: words for columns, what all rows share said once, every digit in the
file.
"""

import base64
import io
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from PIL import Image

from helpers import figures, metrics, stats, studies
from helpers.figures import structures, tables
from helpers.papers import Paper, plots
from tools.audit import read
from tools.audit.tables import audits
from tools.book import markup


@pytest.fixture
def study(tmp_path, monkeypatch):
    (tmp_path / "data_manifest").symlink_to(studies.ROOT / "data_manifest")
    monkeypatch.setattr(studies, "ROOT", tmp_path)
    return studies.load("phantom", "quick")


def compared():
    return pd.DataFrame(
        {
            "model": ["unet", "bpsegsys_r"],
            "class": ["QLM", "QLM"],
            "unit": ["patient"] * 2,
            "n": [22, 22],
            "difference": [-0.0241, -0.0241],
            "low": [-0.04, -0.05],
            "high": [0.012, -0.0001],
            "p": [0.0002, 0.2],
            "hd95_px": [12.3456, np.nan],
            "hd95_px_low": [1.0, np.nan],
            "hd95_px_high": [20.5, np.nan],
            "note": [None, None],
        }
    )


def test_columns_in_words_and_shared_values_said_once():
    shown, shared = tables.readable(compared())
    assert list(shown) == ["network", "difference", "interval", "P", "HD95 (px)"]
    assert shared == "In all rows: class QLM; patients 22."
    assert shown.iloc[0].tolist() == [
        "U-Net",
        "−0.024",
        "−0.040 to 0.012",
        "< 0.001",
        "12.35 (1.00 to 20.50)",
    ]
    assert shown.iloc[1].tolist() == ["BPSegSys-R", "−0.024", "−0.050 to −0.0001", "0.200", "–"]
    one = tables.readable(compared().head(1))
    assert one[1] == "" and one[0]["patients"].tolist() == ["22"]


def test_an_empty_table_says_so():
    bounds = pd.DataFrame(columns=["class", "Dice", "Dice_low", "Dice_high", "p_value"])
    shown, said = tables.readable(bounds)
    assert shown.empty and said == "Nothing to list."


def test_bounds_that_are_all_unknown():
    frame = pd.DataFrame(
        {"Dice": [0.5, 0.6], "Dice_low": [float("nan")] * 2, "Dice_high": [float("nan")] * 2}
    )
    assert tables.readable(frame)[0]["Dice"].tolist() == ["0.500", "0.600"]


@pytest.mark.parametrize(
    ("value", "low", "said"),
    [
        ("difference", -0.0000313, "−0.00003 to 0.005"),
        ("difference", 0.0003, "0.0003 to 0.005"),
        ("difference", -1e-12, "0.000 to 0.005"),
        ("bias", -0.0004, "−0.0004 to 0.005"),
        ("estimate", 0.0003, "0.000 to 0.005"),  # a share has one side
    ],
)
def test_a_limit_of_a_difference_beside_0_says_on_which_side(value, low, said):
    """Tukey's 0.000 to 0.005 stood beside a P of 0.054."""
    rows = pd.DataFrame({value: [0.002, 0.002], "low": [low, -0.1], "high": [0.005, 0.2]})
    assert tables.readable(rows)[0]["interval"].tolist() == [said, "−0.100 to 0.200"]


def test_a_caption_promises_no_column_that_the_table_lacks():
    """'Another kind of interval stands beside it' stood where there was none, 'recall' where there
    was no recall.
    """
    said = f"By image. {stats.rule(pd.DataFrame({'coverage': [0.95]}))} {metrics.POLICY}"
    enough = pd.DataFrame({"IoU": [0.5, 0.6], "coverage": [0.95, 0.94], "instead": ["", None]})
    kept = tables.kept_promises(said, enough)
    assert "Coverage: how many" in kept and "another kind" not in kept and "Recall" not in kept
    assert kept.endswith("it scores 0.")
    seldom = enough.assign(instead=["", "t"], metric=["recall", "IoU"])
    assert tables.kept_promises(said, seldom) == said


def test_figures_that_a_phone_shows_whole(study):
    """They were cut at the right edge, legend and last patient first."""
    scored = pd.DataFrame({"class": "QLM", "Dice": [0.5, 0.7, 0.9]})
    found = read(studies.ROOT / "data_manifest" / "phantom" / "published.yml")
    checks = audits([found], found.name)
    paper = Paper(pd.DataFrame(), checks, pd.DataFrame(), pd.DataFrame())
    figures.use_style()
    drawn = (
        structures.failures(study, scored, 0.5),
        plots.checks(paper),
        plots.contradictions(paper),
    )
    for number, fig in enumerate(drawn):
        figures.save(fig, study, f"narrow{number}")
        svg = (study.run / "figures" / f"narrow{number}.svg").read_text()
        assert float(re.search(r'width="([\d.]+)pt"', svg)[1]) < markup.WIDE


def test_a_caption_promises_no_interval_where_there_is_none(study):
    rows = pd.DataFrame({"Dice": [0.7, 0.8], "low": [np.nan, 0.6], "high": [np.nan, 0.9]})
    note = "By patient. 95 % intervals: bootstrap-t (whole patients). Absent: left out"
    assert figures.save_table(rows, study, "t", note).caption == f"{note}."
    none = figures.save_table(rows.head(1), study, "t", note).caption
    assert none == f"By patient. Absent: left out. {tables.NO_INTERVAL}"
    told = rows.head(1).assign(note="fewer than 5 units: no interval")
    assert figures.save_table(told, study, "t", note).caption == "By patient. Absent: left out."
    without = "No bounds in this table: differences and intervals stand in the file."
    assert tables.kept_promises(without, rows[["Dice"]]) == without


def test_the_file_keeps_every_column_and_digit(study):
    text = figures.save_table(compared(), study, "compared", note="Policy.").to_html()
    caption = text.split("<caption>")[1].split("</caption>")[0]
    assert (
        caption
        == "Policy. In all rows: class QLM; patients 22. BPSegSys-R is a stand-in: of the original"
        " only an abstract is public."
    )
    saved = pd.read_csv(study.run / "tables" / "compared.csv")
    assert list(saved) == list(compared()) and saved["difference"].tolist() == [-0.0241, -0.0241]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1, 0], ["1", "0"]),
        ([87.0, None], ["87", "–"]),
        ([0.0, 0.5], ["0.000", "0.500"]),
        ([1234.5, 2345.6], ["1234", "2346"]),
        ([True, False], ["yes", "no"]),
        (["age_years", "FPR_union"], ["age (years)", "FPR of union"]),
    ],
)
def test_cells(values, text):
    assert tables.readable(pd.DataFrame({"x": values}))[0]["x"].tolist() == text


def test_numbers_have_true_minus_signs_and_ids_their_hyphens():
    said = tables.minus("t = -5.12, (-0.3 to -.1); P003-02, 2024-01-02, 10.1007/s10278-024-01267-8")
    assert said == "t = −5.12, (−0.3 to −.1); P003-02, 2024-01-02, 10.1007/s10278-024-01267-8"


def test_a_saved_figure_tells_a_notebook_its_name(study):
    figures.use_style()
    fig, axes = plt.subplots(figsize=(2, 1))
    axes.plot([0, 1])
    saved = figures.save(fig, study, "curve")
    shown, metadata = InteractiveShell.instance().display_formatter.format(saved)
    assert metadata == {"study": {"figure": "curve"}}
    picture = Image.open(io.BytesIO(base64.b64decode(shown["image/png"])))
    assert picture.width == pytest.approx(2 * plt.rcParams["figure.dpi"], rel=0.2)
    assert {p.name for p in (study.run / "figures").iterdir()} == {"curve.svg", "curve.png"}


def test_a_table_keeps_its_columns_where_all_but_one_are_alike():
    frame = pd.DataFrame({"class": ["EIT", "QLM"], "present": [88, 88], "missed": [0, 0]})
    shown, shared = tables.readable(frame)
    assert list(shown.columns) == ["class", "present", "missed"] and shared == ""
