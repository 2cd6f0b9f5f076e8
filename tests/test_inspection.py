"""What readers said: simulated readers with known answers, against scikit-learn, scipy and hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from helpers import files, studies
from helpers.analyses import inspection
from helpers.errors import NotComputable, StudyError
from tools.book import readers

NAMES = ("reference", "qvum", "unet", "vistr")


@pytest.fixture(scope="module")
def table():
    """Three readers, 30 images of ten patients, four outlines, graded by a known rule."""
    rng, rows = np.random.default_rng(4), []
    for image in range(30):
        quality = np.array([3.6, 3.0, 2.6, 1.2]) + rng.normal(0, 0.5, 4)
        for reader in "ABC":
            seen = quality + rng.normal(0, 0.6, 4)
            for name, value, rank in zip(NAMES, seen, stats.rankdata(-seen.round()), strict=True):
                rows.append(
                    {"reader": reader, "image_id": f"i{image}", "unit": f"p{image // 3}"}
                    | {"outline": name, "found": int(value > 1), "safe": int(value > 2)}
                    | {"acceptable": int(np.clip(round(value), 1, 4)), "rank": rank}
                )
    return pd.DataFrame(rows)


def test_weighted_kappa_is_that_of_scikit_learn(table):
    found = inspection.agreement(table, 500, 1).set_index("readers")
    grades = table.pivot_table(index=["image_id", "outline"], columns="reader", values="acceptable")
    for a, b in ("AB", "AC", "BC"):
        row = found.loc[f"{a} – {b}"]
        expected = cohen_kappa_score(grades[a], grades[b], weights="quadratic")
        assert row["kappa"] == pytest.approx(expected, abs=1e-8)
        assert row["kappa_low"] < expected < row["kappa_high"] and row["outlines"] == 120


def test_kappa_of_readers_who_agree_and_who_do_not():
    alike, apart = np.diag([5.0, 0, 0, 5]), np.zeros((4, 4))
    apart[0, 3] = apart[3, 0] = 5
    assert inspection.kappa(alike) == 1 and inspection.kappa(apart) == -1
    assert np.isnan(inspection.kappa(np.diag([9.0, 0, 0, 0])))


def test_concordance_is_friedmans_over_its_largest_value(table):
    _, together = inspection.places(table, 500, 1)
    each = {}
    for (unit, _), part in table.groupby(["unit", "image_id"]):
        ranks = part.pivot_table(index="reader", columns="outline", values="rank")
        w = stats.friedmanchisquare(*ranks.to_numpy().T).statistic / (3 * 3)
        each.setdefault(unit, []).append(w)
    expected = np.mean(np.concatenate(list(each.values())))
    assert together.loc[0, "W"] == pytest.approx(expected, abs=1e-8)
    assert together.loc[0, ["images", "units"]].tolist() == [30, 10]
    assert inspection.concordance(np.tile([1, 2, 3], (4, 1))) == 1
    assert inspection.concordance(np.array([[1, 2], [2, 1]])) == 0
    assert np.isnan(inspection.concordance(np.ones((3, 4))))


def test_acceptability_is_the_share_of_grades_from_three(table):
    found = inspection.acceptability(table, 500, 1).set_index("outline")
    assert list(found.index) == sorted(NAMES, key=lambda n: (n != "reference", n))
    for name, part in table.groupby("outline"):
        assert found.loc[name, "acceptable"] == pytest.approx((part["acceptable"] >= 3).mean())
        assert found.loc[name, "safe"] == pytest.approx(part["safe"].mean())
    assert found.loc["qvum", "acceptable_low"] < found.loc["qvum", "acceptable"]
    assert (found["units"] == 10).all() and (found["answers"] == 90).all()


def test_a_network_is_held_against_the_reference_by_patient(table):
    found = inspection.against_reference(table, 500, 1).set_index("outline")
    shares = table.assign(share=(table["acceptable"] >= 3) * 1.0)
    wide = shares.pivot_table(
        index=["unit", "image_id", "reader"], columns="outline", values="share"
    )
    for name in NAMES[1:]:
        difference = wide[name] - wide["reference"]
        assert found.loc[name, "difference"] == pytest.approx(difference.mean(), abs=1e-12)
        by_patient = difference.groupby("unit").mean()
        p = stats.ttest_rel(
            wide[name].groupby("unit").mean(), wide["reference"].groupby("unit").mean()
        )
        assert found.loc[name, "p"] == pytest.approx(p.pvalue, abs=1e-8) and len(by_patient) == 10
    assert found.loc["vistr", "p_adjusted"] >= found.loc["vistr", "p"]


def test_places_share_ties_and_order_the_outlines(table):
    order, _ = inspection.places(table, 500, 1)
    assert order["place"].sum() == pytest.approx(10)
    assert order["outline"].iloc[-1] == "vistr" and order["outline"].iloc[0] == "reference"


def test_open_questions_are_left_out_and_said_where_nothing_is_left(table):
    part = table.assign(acceptable=table["acceptable"].where(table["image_id"] != "i0"))
    found = inspection.agreement(part, 100, 1)
    assert (found["outlines"] == 116).all()
    one = table[table["reader"] == "A"]
    with pytest.raises(NotComputable, match="no other to agree with"):
        inspection.agreement(one, 100, 1)
    with pytest.raises(NotComputable, match="reference"):
        inspection.against_reference(table[table["outline"] != "reference"], 100, 1)
    with pytest.raises(NotComputable, match="a place"):
        inspection.places(one.assign(rank=np.nan), 100, 1)


KEY = {
    "cases": {
        "c1": {"image_id": "i1", "patient_id": None, "letters": {"A": "unet", "B": "reference"}},
        "c2": {"image_id": "i2", "patient_id": "p", "letters": {"A": "reference", "B": "unet"}},
    }
}


def test_letters_become_outlines_by_the_key():
    said = {"c1": {"A": {"found": 1, "acceptable": 2}}, "c2": {"A": {"safe": 0, "rank": 1}}}
    table = inspection.answers({"a.json": ("R", said, KEY)})
    assert table["outline"].tolist() == ["unet", "reference"]
    assert table["unit"].tolist() == ["i1", "p"] and np.isnan(table["safe"].iloc[0])


def test_what_is_no_answer_is_refused_with_file_case_and_letter():
    said = {"c1": {"A": {"acceptable": 5, "rank": 3}, "Z": {}}, "c9": {"A": {"found": 1}}}
    with pytest.raises(StudyError) as error:
        inspection.answers({"a.json": ("R", said, KEY), "b.json": ("", {}, KEY)})
    text = str(error.value)
    for part in (
        "a.json, c1 A: 'acceptable' is 5",
        "'rank' is 3",
        "outline Z of case c1",
        "outline A of case c9",
        "b.json: has no reader",
    ):
        assert part in text
    fine = {"c1": {"A": {"found": 1}}}
    with pytest.raises(StudyError, match="R: answered twice"):
        inspection.answers({"a.json": ("R", fine, KEY), "b.json": ("R", fine, KEY)})


@pytest.mark.parametrize("value", [None, True, 7, 0.5, "x", [], [{"found": 1}]])
def test_whatever_stands_in_place_of_answers_is_named(value):
    for said, where in (({"c1": value}, "a.json, case c1"), ({"c1": {"A": value}}, "c1 A: holds")):
        with pytest.raises(StudyError, match=where):
            inspection.answers({"a.json": ("R", said, KEY)})


@pytest.mark.parametrize("value", [True, 1.0, "1", [1], {}, None, float("nan")])
def test_a_grade_is_a_whole_number_and_nothing_that_python_takes_for_one(value):
    with pytest.raises(StudyError, match="c1 A: 'found' is"):
        inspection.answers({"a.json": ("R", {"c1": {"A": {"found": value}}}, KEY)})


@pytest.mark.parametrize("reader", ["a\0b", "\x1b[31mR", "a\nb", "a\u202eb", "\ud800", 7, None])
def test_a_reader_has_a_name_that_can_be_printed(reader):
    with pytest.raises(StudyError, match="no reader's name"):
        inspection.answers({"a.json": (reader, {"c1": {"A": {"found": 1}}}, KEY)})


@pytest.fixture
def reading(tmp_path, monkeypatch):
    """A study of which one image was shown to readers: (study, path of its key, of answers)."""
    monkeypatch.setattr(studies, "ROOT", tmp_path)
    study = SimpleNamespace(name="s", run=tmp_path / "runs" / "s")
    index = pd.DataFrame({"image_id": ["i1"], "patient_id": ["p1"]})
    key = readers._key(study, index, {"i1": {"reference": [], "unet": []}})
    (path,) = readers.folder(study).glob("key_*.json")
    said = {"reader": "R", "set": key["set"], "cases": {"c0001": {"A": {"found": 1}}}}
    files.write_json(said, tmp_path / "a.json")
    return study, path, tmp_path / "a.json"


def test_answers_are_read_by_the_key_as_it_was_written(reading):
    study, path, answers = reading
    key = files.read_json(path)
    table = readers.read(study, [answers])
    assert table["outline"].tolist() == [key["cases"]["c0001"]["letters"]["A"]]
    assert set(table["reader"]) == {"R"}


def test_answers_on_different_outlines_are_not_put_together(reading, tmp_path):
    study, _, answers = reading
    index = pd.DataFrame({"image_id": ["i1"], "patient_id": ["p1"]})
    other = readers._key(study, index, {"i1": {"reference": [], "unetpp": []}})
    files.write_json(
        files.read_json(answers) | {"set": other["set"], "reader": "S"}, tmp_path / "b.json"
    )
    assert len(readers.read(study, [tmp_path / "b.json"])) == 1
    with pytest.raises(StudyError, match=r"answers on different outlines: .*a\.json on .*b\.json"):
        readers.read(study, [answers, tmp_path / "b.json"])


@pytest.mark.parametrize("other", ["r josé", " R  José ", "R Jose\u0301"])
def test_a_reader_is_one_however_the_name_is_written(other):
    fine = {"c1": {"A": {"found": 1}}}
    with pytest.raises(StudyError, match="answered twice; keep one file a reader"):
        inspection.answers({"a.json": ("R José", fine, KEY), "b.json": (other, fine, KEY)})


def test_two_files_of_the_very_same_answers_are_one_readers():
    letters = {"A": "unet", "B": "reference"}
    cases = {
        f"c{k}": {"image_id": f"i{k}", "patient_id": None, "letters": letters} for k in range(5)
    }
    said = {case: {"A": {"acceptable": 3}, "B": {"acceptable": 4}} for case in cases}
    given = {"a.json": ("R", said, {"cases": cases}), "b.json": ("S", said, {"cases": cases})}
    with pytest.raises(StudyError, match=r"b\.json: holds the very answers of a\.json"):
        inspection.answers(given)
    said = said | {"c4": {"A": {"acceptable": 2}, "B": {"acceptable": 4}}}
    inspection.answers(given | {"b.json": ("S", said, {"cases": cases})})


def test_a_key_that_was_changed_is_refused(reading):
    study, path, answers = reading
    key = files.read_json(path)
    case, bare = key["cases"]["c0001"], {"set": key["set"]}
    letters = dict(zip("AB", reversed(case["letters"].values()), strict=True))
    for other in (
        key | {"cases": {"c0001": case | {"letters": letters}}},
        {k: v for k, v in key.items() if k != "digest"},
        *([], 7, None, bare, bare | {"cases": []}, bare | {"cases": {"c0001": {}}}),
        {"set": [], "cases": {}},
        {"set": "other", "cases": {}},
    ):
        files.write_json(other, path)
        with pytest.raises(StudyError, match="is no key of outlines"):
            readers.read(study, [answers])


@pytest.mark.parametrize("other", [[], {}, None, 7])
def test_answers_on_a_set_that_is_none_belong_to_another_study(reading, other):
    study, _, answers = reading
    files.write_json(files.read_json(answers) | {"set": other}, answers)
    with pytest.raises(StudyError, match="belong to another study"):
        readers.read(study, [answers])
