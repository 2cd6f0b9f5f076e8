"""Other teams' tables: read as they are, compared as R does, refused in one sentence."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers import stats
from helpers.errors import StudyError
from helpers.stats import challenge
from tools.compare import __main__, read, report

FOLDER = Path(__file__).parent / "reference"
R = json.loads((FOLDER / "challenge.json").read_text())
SCHEMES = {
    "aggregate": "aggregate then rank",
    "rank": "rank then aggregate",
    "test": "test then rank",
}
EXACT = {"rel": 1e-8, "abs": 1e-10}


@pytest.fixture
def theirs(tmp_path):
    """The reference scores as another team would send them."""
    frame = pd.read_csv(FOLDER / "scores.csv", dtype={"patient_id": str, "image_id": str})
    frame.columns = ["Algorithm", "patient", "case", "DSC"]
    frame.to_csv(tmp_path / "theirs.csv", index=False)
    return tmp_path / "theirs.csv"


def each(path, **asked):
    return report.values(read.tables([path]), report.Asked(**asked))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_ranks_are_those_of_r(theirs, scheme):
    table = stats.wide(each(theirs)[0], "image")
    rows = challenge.rankings(table).set_index(["scheme", "algorithm"]).loc[SCHEMES[scheme]]
    assert rows["rank"].to_dict() == R[scheme]["rank"]
    assert rows["score"].to_dict() == pytest.approx(R[scheme]["score"], **EXACT)


def test_one_sided_p_values_are_those_of_r(theirs):
    p = challenge.better(stats.wide(each(theirs)[0], "image"))
    expected = np.array(list(R["better"].values()), dtype=float)
    np.testing.assert_allclose(p.loc[R["networks"], R["networks"]], expected, rtol=1e-8)


@pytest.mark.parametrize(("test", "over"), [("patient_t", "patients"), ("image_t", "images")])
def test_p_values_of_the_comparison_are_those_of_r(theirs, test, over):
    values, asked = each(theirs, test=test)
    rows = report.tested(values, asked)
    rows = rows[rows["role"] == "declared"].set_index("model")
    for model, expected in R[over]["each"].items():
        assert rows.loc[model, "p"] == pytest.approx(expected["t_p"], **EXACT)
    assert rows["p_adjusted"].to_dict() == pytest.approx(R[over]["holm"], **EXACT)


def test_wilcoxon_over_patients_is_that_of_r(theirs):
    values, asked = each(theirs)
    rows = report.tested(values, asked)
    rows = rows[(rows["test"] == "Wilcoxon signed-rank") & (rows["unit"] == "patient")]
    expected = {m: found["wilcoxon_p"] for m, found in R["patients"]["each"].items()}
    assert rows.set_index("model")["p"].to_dict() == pytest.approx(expected, **EXACT)


def test_ties_share_the_smallest_rank_and_equal_algorithms_win_nothing():
    table = pd.DataFrame({"a": [0.9, 0.8, 0.7], "b": [0.9, 0.8, 0.7], "c": [0.1, 0.2, 0.3]})
    ranks = challenge.rankings(table).pivot_table("rank", "scheme", "algorithm")
    assert ranks.loc["aggregate then rank"].to_dict() == {"a": 1, "b": 1, "c": 3}
    assert ranks.loc["test then rank"].to_dict() == {"a": 1, "b": 1, "c": 1}  # P of 3 cases: 0.09
    assert np.isnan(challenge.better(table).loc["a", "b"])


def test_the_whole_page(theirs, tmp_path, capsys):
    __main__.main([str(theirs), "--out", str(tmp_path / "out"), "--margin", "0.02"])
    assert "not shown to differ from b" in capsys.readouterr().out
    page = (tmp_path / "out/comparison.html").read_text(encoding="utf-8")
    for part in ("How many are needed", "patients", "test then rank", "The patient is the unit"):
        assert part in page
    assert {p.stem for p in (tmp_path / "out").glob("*.csv")} == {
        *("comparison", "ranking", "planning_needed", "cases", "better_p", "equivalence")
    }


def test_a_difference_alike_in_every_case_is_ranked_by_a_test_that_says_so(tmp_path):
    rows = [
        (a, c, at + k / 99) for a, at in (("a", 0.8), ("b", 0.7)) for k, c in enumerate(cases())
    ]
    pd.DataFrame(rows, columns=["model", "case", "Dice"]).to_csv(tmp_path / "t.csv", index=False)
    frame = read.tables([tmp_path / "t.csv"])
    printed = " ".join(report.make(frame, report.Asked(), tmp_path / "out"))
    page = (tmp_path / "out/comparison.html").read_text(encoding="utf-8")
    assert "a is not tested against b" in printed and "a against 1 other</h1>" in page
    assert "No other test can be made: no variation between the units." in page
    assert report.SIGNS.strip() in page and "above." not in page
    assert set(re.findall(r"Every digit: (\w+)\.csv", page)) <= {
        path.stem for path in (tmp_path / "out").glob("*.csv")
    }


def test_distances_keep_their_sign_and_what_is_left_out_is_said(tmp_path):
    rows = [(a, c, at + k * k / 9) for a, at in (("a", 2), ("b", 5)) for k, c in enumerate(cases())]
    rows = [(a, c, v + (c > "case_04") * (a == "b")) for a, c, v in rows]
    rows[3] = ("a", rows[3][1], None)
    pd.DataFrame(rows, columns=["model", "case", "HD95"]).to_csv(tmp_path / "t.csv", index=False)
    frame = read.tables([tmp_path / "t.csv"])
    first = " ".join(report.make(frame, report.Asked(), tmp_path / "out"))
    assert first.startswith("7 cases compared; left out, without a score of every algorithm: 1.")
    assert "a positive one favours a" in first and " of all" not in first
    ranks = pd.read_csv(tmp_path / "out/ranking.csv").set_index(["scheme", "algorithm"])["score"]
    both = frame.pivot_table("HD95", "case", "algorithm").dropna().mean()
    assert ranks["aggregate then rank"].to_dict() == pytest.approx(both.to_dict())
    assert (pd.read_csv(tmp_path / "out/cases.csv")["value"].dropna() > 0).all()
    page = (tmp_path / "out/comparison.html").read_text(encoding="utf-8")
    assert "difference of <strong>0.5</strong>" in page and "of <strong>0.01<" not in page


@pytest.mark.parametrize(
    ("metric", "value", "said"),
    [("HD95", -1, "is -1; it is a distance, 0 or more"), ("NSD", 97, "is 97; it lies from 0 to 1")],
)
def test_a_value_that_no_metric_has_is_refused(tmp_path, metric, value, said):
    rows = [f"c{k},{name},{value if k == 3 else 0.5}" for k in range(6) for name in "ab"]
    (tmp_path / "t.csv").write_text(f"case,algorithm,{metric}\n" + "\n".join(rows))
    with pytest.raises(StudyError, match=f"{metric} in line 8 {said}"):
        read.tables([tmp_path / "t.csv"])


def test_a_table_of_patients_that_is_none_is_one_line(theirs, tmp_path):
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    for path in (tmp_path, tmp_path / "binary.csv"):
        with pytest.raises(StudyError, match="cannot be read as a table"):
            read.tables([theirs], path)
    with pytest.raises(StudyError, match="no table is named"):
        read.tables([])


def test_no_variation_is_said_where_a_margin_is_asked_for(tmp_path):
    rows = [f"c{k},{name},{0.5 + by}" for k in range(6) for name, by in (("a", 0), ("b", 0.1))]
    (tmp_path / "t.csv").write_text("case,algorithm,Dice\n" + "\n".join(rows))
    out = tmp_path / "out"
    __main__.main([str(tmp_path / "t.csv"), "--margin", "0.05", "--out", str(out)])
    assert "no variation between the units" in (out / "comparison.html").read_text("utf-8")


def test_names_of_a_table_cannot_write_markup(theirs, tmp_path):
    frame = pd.read_csv(theirs, dtype=str)
    frame["Algorithm"] = frame["Algorithm"].replace("a", "<script>x</script>")
    frame.to_csv(theirs, index=False)
    __main__.main([str(theirs), "--out", str(tmp_path / "out")])
    assert "<script" not in (tmp_path / "out/comparison.html").read_text(encoding="utf-8")


# --- what other tools write


def cases(n=8):
    return [f"case_{k:02d}" for k in range(n)]


def nnunet(folder, shift=0):
    """A summary.json as nnU-Net v2 writes it; class 1 found to (60 + k + shift) of 100 pixels."""
    found = [
        {
            "metrics": {
                "1": {"TP": 60 + k + shift, "FP": 10, "FN": 40 - k - shift, "TN": 890, "Dice": 0.0}
            },
            "prediction_file": f"/p/{name}.nii.gz",
            "reference_file": f"/r/{name}.nii.gz",
        }
        for k, name in enumerate(cases())
    ]
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps({"metric_per_case": found, "mean": {}}))
    return folder / "summary.json"


@pytest.mark.parametrize(
    "text",
    [
        '{"metric_per_case":' + "[" * 100_000,
        '{"metric_per_case": [{"reference_file": 1, "metrics": {}}]}',
        '{"metric_per_case": [{"reference_file": "a", "metrics": []}]}',
        '{"metric_per_case": [{"metrics": {}}]}',
        '{"metric_per_case": [{"reference_file": "a", "metrics": {"1": {"TP": 1}}}]}',
        '{"metric_per_case": 1}',
        "{}",
    ],
)
def test_a_summary_that_is_none_is_one_line(tmp_path, text):
    (tmp_path / "summary.json").write_text(text)
    with pytest.raises(StudyError, match=r"summary\.json: (cannot be read|has no)"):
        read.tables([tmp_path / "summary.json"])


def test_nnunet_s_summaries_are_computed_anew_from_their_counts(tmp_path):
    paths = nnunet(tmp_path / "ours"), f"theirs={nnunet(tmp_path / 'b', 4)}"
    frame = read.tables(paths).set_index(["algorithm", "case"])
    assert frame.loc[("ours", "case_00"), "Dice"] == pytest.approx(120 / (120 + 10 + 40))
    assert set(frame.index.get_level_values(0)) == {"ours", "theirs"}
    assert set(frame["class"]) == {"1"} and set(frame["patient"]) == {""}


@pytest.mark.slow
def test_monai_s_raw_table_as_its_own_writer_writes_it(tmp_path):
    from monai.handlers.utils import write_metrics_reports

    for name, level in [("a", 0.8), ("b", 0.6)]:
        (tmp_path / name).mkdir()
        scores = level + np.arange(8)[:, None] / 100 + np.array([[0.0, 0.05]])
        images = [f"/data/{c}.nii.gz" for c in cases()]
        details = {"mean_dice": scores}
        write_metrics_reports(str(tmp_path / name), images, {}, details, ["mean"], ",")
    paths = [f"{name}={tmp_path / name / 'mean_dice_raw.csv'}" for name in "ab"]
    frame = read.tables(paths).set_index(["algorithm", "class", "case"])
    assert frame.loc[("a", "class1", "case_02"), "Dice"] == pytest.approx(0.87, abs=1e-4)
    assert set(frame.index.get_level_values(1)) == {"class0", "class1"}


def test_a_truth_value_is_no_count(tmp_path):
    path = nnunet(tmp_path / "ours")
    content = json.loads(path.read_text())
    content["metric_per_case"][2]["metrics"]["1"]["FP"] = True
    path.write_text(json.dumps(content))
    with pytest.raises(StudyError, match=r"summary\.json: TP, FP, FN, TN must be .*line 4"):
        read.tables([path])


def test_without_true_negatives_all_but_their_two_rates_are_computed(theirs):
    counts = {"TP": 60, "FP": 20, "FN": 10}
    spoiled(theirs, lambda f: f.drop(columns="DSC").assign(**counts))
    found = read.tables([theirs])
    assert found["Dice"].unique() == pytest.approx([120 / 150])
    assert found["precision"].unique() == pytest.approx([0.75])
    assert not {"TNR", "FPR"} & set(found)
    spoiled(theirs, lambda f: f.assign(TN=20))
    assert read.tables([theirs])["FPR"].unique() == pytest.approx([0.5])


# --- tables that look right and are not


def two(folder, **columns):
    """A table of two algorithms, eight cases each, with further columns."""
    frame = pd.DataFrame({"model": ["a"] * 8 + ["b"] * 8, "case": cases() * 2})
    frame.assign(**columns).to_csv(folder / "t.csv", index=False)
    return [folder / "t.csv"]


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("hd95_metric", "HD95"),
        ("HausdorffDistance", "HD"),
        ("val_hausdorff_distance", "HD"),
        ("val_asd", "ASSD"),
        ("SurfaceDistance", "ASSD"),
        ("mean_dice", "Dice"),
        ("DiceMetric", "Dice"),
        ("quality", None),
    ],
)
def test_a_metric_of_monai_is_told_by_its_file_or_refused(tmp_path, name, metric):
    """Of an unknown one nobody knows whether more is better: a distance was ranked upside down."""
    path = tmp_path / f"{name}_raw.csv"
    frame = pd.DataFrame({"filename": cases(), "class0": np.linspace(0.3, 0.9, 8)})
    frame.to_csv(path, index=False)
    if metric:
        assert read.tables([path])[metric].tolist() == frame["class0"].tolist()
    else:
        with pytest.raises(StudyError, match=r"'quality' is no metric known here"):
            read.tables([path])


@pytest.mark.parametrize(
    ("cells", "refused"),
    [
        (["1,120", "900"] * 8, True),
        (["1,12", "900.5"] * 8, True),
        (["0,812", "0,9"] * 8, False),
        (["1,12", "9,5"] * 8, False),
        (["11,205", "9,5"] * 8, False),
    ],
)
def test_a_comma_that_may_stand_between_thousands_is_refused(tmp_path, cells, refused):
    paths = two(tmp_path, HD95=cells)
    if refused:
        with pytest.raises(StudyError, match="thousands, or decimals"):
            read.tables(paths)
    else:
        assert read.tables(paths)["HD95"][0] == float(cells[0].replace(",", "."))


@pytest.mark.parametrize(
    ("name", "summary"),
    [
        *(
            (n, True)
            for n in ("Mean Dice", "Mean:", "MEAN ± SD", "mean_std", "Mean (n=12)", "avg.")
        ),
        *(
            (n, True)
            for n in ("macro avg", "50%", "CI95", "Std. dev.", "ALL", "all cases", "Gesamt")
        ),
        *(
            (n, True)
            for n in (
                "Grand mean",
                "Mean of 12 cases",
                "STDEV",
                "foreground_mean",
                "Standard deviation",
            )
        ),
        *(
            (n, False)
            for n in ("mean_12", "max01", "minna", "allen_2", "sd3", "case 50", "total knee 4")
        ),
    ],
)
def test_what_sums_up_others_is_no_case(tmp_path, name, summary):
    path = two(tmp_path, Dice=0.5)[0]
    rows = [("a", name, 0.5), ("b", name, 0.5)]
    pd.DataFrame(rows).to_csv(path, mode="a", index=False, header=False)
    if summary:
        with pytest.raises(StudyError, match="is a summary of the others"):
            read.tables([path])
    else:
        assert name in set(read.tables([path])["case"])


def test_blanks_make_no_second_patient_and_unknown_is_none(tmp_path):
    people = ["p0", "p0 ", " p1", "p1", "p2", "p2", "p3", "p3"] * 2
    assert read.tables(two(tmp_path, Dice=0.5, patient=people))["patient"].nunique() == 4
    nobody = [" ", "unknown", "-", "NA"] * 4
    assert set(read.tables(two(tmp_path, Dice=0.5, patient=nobody))["patient"]) == {""}
    whose = tmp_path / "p.csv"
    paths = two(tmp_path, Dice=0.5)
    pd.DataFrame({"case": [f"{c}.nii.gz " for c in cases()], "patient": people[:8]}).to_csv(whose)
    assert read.tables(paths, whose)["patient"].nunique() == 4


def test_patients_by_two_tables_that_differ_are_refused(tmp_path):
    whose = tmp_path / "p.csv"
    pd.DataFrame({"case": cases(), "patient": list("qrstuvwx")}).to_csv(whose, index=False)
    with pytest.raises(StudyError, match="case case_00 is of patient q, by its own table of p0"):
        read.tables(two(tmp_path, Dice=0.5, patient=["p0"] * 16), whose)
    pd.DataFrame({"case": cases(), "patient": "a", "patient_id": "b"}).to_csv(whose, index=False)
    with pytest.raises(StudyError, match="two columns name the patient"):
        read.tables(two(tmp_path, Dice=0.5), whose)


def test_metrics_beside_counts_are_kept_unless_they_contradict_them(tmp_path):
    counts = {"TP": 60, "FP": 20, "FN": 10}
    found = read.tables(two(tmp_path, **counts, Dice=0.8, HD95=3.5))
    assert found["HD95"].unique() == [3.5] and found["Dice"].unique() == pytest.approx([0.8])
    with pytest.raises(StudyError, match="Dice is not that of its counts in line 2"):
        read.tables(two(tmp_path, **counts, Dice=0.9))


def test_names_that_the_page_cannot_tell_apart_are_refused(tmp_path):
    frame = pd.DataFrame({"model": ["unet"] * 8 + ["U-Net"] * 8, "case": cases() * 2, "Dice": 0.5})
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(StudyError, match="algorithms unet and U-Net have one name"):
        each(tmp_path / "t.csv")


def test_who_failed_on_cases_that_were_left_out_is_said(tmp_path):
    dice = np.linspace(0.4, 0.9, 16)
    dice[[0, 1, 2]] = np.nan
    frame = read.tables(two(tmp_path, Dice=dice))
    said = report.make(frame, report.Asked(), tmp_path / "out")[0]
    assert "Without a score: a in 3." in said and "looks better than it is" in said


def test_blank_lines_shift_no_line_and_a_file_may_hold_a_sign_of_equality(tmp_path):
    place = tmp_path / "lr=0.1 x"
    place.mkdir()
    text = "model,case,Dice\n,,\n\na,c1,0.5\na,c2,7\n,,\n"
    (place / "t.csv").write_text(text)
    with pytest.raises(StudyError, match=r"t\.csv: Dice in line 5 is 7"):
        read.tables([place / "t.csv"])
    (place / "t.csv").write_text(text.replace("7", "0.7"))
    assert read.tables([place / "t.csv"])["case"].tolist() == ["c1", "c2"]
    assert read.tables([f"a={place / 't.csv'}"])["algorithm"].unique() == ["a"]
    with pytest.raises(StudyError, match="is called ours, and its column of algorithms says a"):
        read.tables([f"ours={place / 't.csv'}"])


@pytest.mark.parametrize("first", [0, 1])
def test_unquoted_decimal_commas_of_numbered_cases_are_refused(tmp_path, first):
    rows = "".join(f"{k},{9 + k},{k % 3}\n" for k in range(first, 9))
    (tmp_path / "t.csv").write_text("case,HD95\n" + rows)
    with pytest.raises(StudyError, match="more cells than headings"):
        read.tables([f"a={tmp_path / 't.csv'}"])


def test_an_output_that_is_a_file_is_named(tmp_path):
    frame = read.tables(two(tmp_path, Dice=np.linspace(0.4, 0.9, 16)))
    with pytest.raises(StudyError, match=r"t\.csv: .*name a folder for the page"):
        report.make(frame, report.Asked(), tmp_path / "t.csv")


def test_panoptica_s_counts_of_instances_are_never_read_as_pixels(tmp_path):
    frame = pd.DataFrame({"subject_name": cases(), "nerve-tp": 1, "nerve-sq_dsc": 0.9})
    frame["nerve-global_bin_dsc"] = np.linspace(0.5, 0.7, 8)
    frame.to_csv(tmp_path / "theirs.tsv", sep="\t", index=False)
    found = read.tables([tmp_path / "theirs.tsv"])
    assert sorted(found) == ["Dice", "algorithm", "case", "class", "patient"]
    assert found["Dice"].tolist() == frame["nerve-global_bin_dsc"].tolist()
    frame.drop(columns="nerve-global_bin_dsc").to_csv(tmp_path / "few.csv", index=False)
    with pytest.raises(StudyError, match="none is of a whole structure"):
        read.tables([tmp_path / "few.csv"])


def test_of_a_distance_less_is_better(tmp_path):
    rows = [("a", c, 2.0 + k / 9) for k, c in enumerate(cases())]
    rows += [("b", c, 5.0 + k * k / 9) for k, c in enumerate(cases())]
    frame = pd.DataFrame(rows, columns=["model", "image_id", "HD95"])
    frame.to_csv(tmp_path / "t.csv", index=False)
    values, asked = each(tmp_path / "t.csv")
    declared = report.tested(values, asked).iloc[0]
    assert (declared["verdict"], declared["unit"]) == ("better", "image")
    assert challenge.rankings(stats.wide(values, "image"))["algorithm"].iloc[0] == "a"


# --- what is refused


def spoiled(theirs, change):
    frame = pd.read_csv(theirs, dtype={"patient": str, "case": str})
    change(frame).to_csv(theirs, index=False)
    return [theirs]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="case"), "no column case .*it has Algorithm, patient, DSC"),
        (lambda f: f.drop(columns="Algorithm"), "no column algorithm .*name=file"),
        (lambda f: f.rename(columns={"DSC": "quality"}), "neither counts .* nor a metric"),
        (lambda f: pd.concat([f, f.head(1)]), "algorithm a, case i000, .*given more than once"),
        (lambda f: f.iloc[1:], "algorithm a, class all: no result for i000"),
        (lambda f: f.assign(patient=f["patient"].where(f.index != 0)), "case i000: is of patient"),
        (lambda f: f.assign(model="x"), "columns Algorithm and model both name the algorithm"),
        (lambda f: f.assign(DSC=f["DSC"].astype(object).where(f.index != 2, "good")), "no number"),
        (lambda f: f.assign(TP=1), "of the counts TP, FP, FN, TN it lacks FP, FN, TN"),
        (lambda f: f.assign(TP=1, FN=1), "of the counts TP, FP, FN, TN it lacks FP, TN"),
        (lambda f: f.assign(TP=1, FP=-1, FN=1, TN=1), "whole numbers of at least 0; .*line 2"),
        (lambda f: f.assign(TP=1, FP=-1, FN=1), "TP, FP, FN must be whole numbers .*line 2"),
    ],
)
def test_a_wrong_table_is_one_error_that_names_it(theirs, change, message):
    with pytest.raises(StudyError, match=message) as error:
        read.tables(spoiled(theirs, change))
    assert "theirs.csv" in str(error.value)


def test_an_algorithm_without_a_class_that_others_have_is_named(tmp_path):
    rows = [(m, c, k, 0.5) for m in "ab" for c in cases() for k in "xy" if (m, k) != ("b", "y")]
    frame = pd.DataFrame(rows, columns=["model", "case", "class", "Dice"])
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(StudyError, match="algorithm b, class y: no result for case_00"):
        read.tables([tmp_path / "t.csv"])


def test_patients_from_a_table_of_their_own(tmp_path):
    path, whose = nnunet(tmp_path / "ours"), tmp_path / "patients.csv"
    pd.DataFrame({"case": cases(), "patient": list("aabbccdd")}).to_csv(whose, index=False)
    assert read.tables([path], whose)["patient"].tolist() == list("aabbccdd")
    pd.DataFrame({"case": cases(7), "patient": list("aabbccd")}).to_csv(whose, index=False)
    with pytest.raises(StudyError, match="no patient for case_07"):
        read.tables([path], whose)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"headline": "z"}, "no algorithm 'z' in the table; there are a, b, c, d"),
        ({"metric": "IoU"}, "no metric 'IoU' in the table; there are Dice"),
        ({"class_name": "nerve"}, "no class 'nerve'"),
        ({"test": "anova"}, "TEST='anova' is unknown"),
    ],
)
def test_what_is_not_there_cannot_be_asked_for(theirs, asked, message):
    with pytest.raises(StudyError, match=message):
        each(theirs, **asked)


def test_a_test_by_patient_needs_patients(tmp_path):
    paths = [nnunet(tmp_path / "a"), nnunet(tmp_path / "b", 2)]
    with pytest.raises(StudyError, match="no patient is known; give PATIENTS="):
        report.values(read.tables(paths), report.Asked(test="patient_t"))


def test_an_empty_file_percentages_and_words_are_named(tmp_path):
    path = tmp_path / "a table.csv"
    path.write_text("")
    with pytest.raises(StudyError, match=r"a table.csv: cannot be read as a table"):
        read.tables([path])
    path.write_text("case,algorithm,Dice\n1,a,0.5\n1,b,85\n")
    with pytest.raises(StudyError, match=r"Dice in line 3 is 85; it lies from 0 to 1"):
        read.tables([path])
    path.write_text("case;algorithm;Dice\n1;a;0,5\n1;b;0,75\n")
    assert read.tables([path])["Dice"].tolist() == [0.5, 0.75]
    path.write_text("case;algorithm;Dice\n1;a;0,5\n1;b;good\n")
    with pytest.raises(StudyError, match=r"Dice in line 3 is no number: 'good'"):
        read.tables([path])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("", "has no row below its heading"),
        ("c1,a,3\nc1,b,inf\n", "HD95 in line 3 is infinite"),
    ],
)
def test_a_table_without_rows_or_without_an_end_is_refused(tmp_path, rows, message):
    path = tmp_path / "t.csv"
    path.write_text(f"case,algorithm,HD95\n{rows}", encoding="utf-8")
    with pytest.raises(StudyError, match=message):
        read.tables([path])


def written(tmp_path, text, name="t.csv"):
    (tmp_path / name).write_bytes(text.encode())
    return tmp_path / name


HALVES = "".join(f"c{k};{name};0,5{k}\n" for k in range(6) for name in "ab")


@pytest.mark.parametrize("start", ["sep=;\r\n", "\ufeff", '"sep=;"\n'])
def test_what_offices_write_in_front_of_a_table_is_no_heading(tmp_path, start):
    path = written(tmp_path, f"{start}case;algorithm;Dice\n{HALVES}")
    assert read.tables([path])["Dice"].tolist()[2:4] == [0.51, 0.51]
    whose = written(
        tmp_path, f"{start}case;patient\n" + "".join(f"c{k};P{k}\n" for k in range(6)), "p.csv"
    )
    assert read.tables([path], whose)["patient"].tolist()[:3] == ["P0", "P0", "P1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # of two columns of one metric none is taken in silence, such as a directed distance
        ("case,model,ASSD,ASD\n1,a,2,9\n1,b,2,9\n", "columns ASSD and ASD are both ASSD"),
        ("case,model,Dice,mean_dice\n1,a,1,0\n", "columns Dice and mean_dice are both Dice"),
        ("case,model,HD95\nc1,a,3,5\nc2,a,3,5\n", "more cells than headings, as decimal commas"),
        ("case,model,Dice\n1,a,.5\nMean,a,.5\n", "case Mean: is a summary of the others"),
        ("case,model,seed,Dice\n1,a,1,.5\n1,a,2,.6\n", "given more than once; average several"),
        ("case,model,Dice,Dice\n1,a,.5,.9\n1,b,.5,.4\n", "two columns are called Dice"),
        ("case,model,TP,FP,FN,TN\n", "has no row below its heading"),
        *(
            (f"case,model,TP,FP,FN,TN\n1,a,5,5,5,5\n1,b,{n},5,5,5\n", "not so in line 3")
            for n in ("inf", "1e308", "9" * 30, "-1", "0.5", "", "1_0")
        ),
        ("case,model,Dice\n1,a,.5\n1,b\x1b[31m,.4\n", "algorithm in line 3 holds a control"),
    ],
)
def test_a_table_that_would_be_read_wrongly_is_refused(tmp_path, text, message):
    with pytest.raises(StudyError, match=message):
        read.tables([written(tmp_path, text)])


@pytest.mark.parametrize(
    ("value", "message"),
    [("85", "line 3 is 85; it lies from 0 to 1"), ("fail", "no number: 'fail'")],
)
def test_every_tool_s_table_is_held_to_what_its_metric_can_be(tmp_path, value, message):
    tables = {
        "mean_dice_raw.csv": f"filename,class1,mean\na.nii,0.5,0\nb.nii,{value},0\n",
        "panoptica.csv": f"subject_name,nerve-global_bin_dsc\na,0.5\nb,{value}\n",
        "long.csv": f"case,model,Dice\na,x,0.5\nb,x,{value}\n",
    }
    for name, text in tables.items():
        with pytest.raises(StudyError, match=f"{name}: Dice .*{message}"):
            read.tables([written(tmp_path, text, name)])
    text = "filename,class1,mean\na.nii,3,0\nb.nii,inf,0\n"
    with pytest.raises(StudyError, match="HD in line 3 is infinite"):
        read.tables([written(tmp_path, text, "hausdorff_raw.csv")])


def test_dots_in_the_name_of_a_case_are_its_own(tmp_path):
    text = "filename,class1\n/d/p.1.nii.gz,0.5\n/d/p.2.nii.gz,0.25\n"
    frame = read.tables([written(tmp_path, text, "mean_dice_raw.csv")])
    assert frame.set_index("case")["Dice"].to_dict() == {"p.1": 0.5, "p.2": 0.25}


def test_numbers_of_rows_in_front_are_no_cells(tmp_path):
    text = "case,model,Dice\n1,c1,a,0.5\n2,c1,b,0.25\n"  # as R writes them
    assert read.tables([written(tmp_path, text)])["Dice"].tolist() == [0.5, 0.25]


@pytest.mark.parametrize(("metric", "other"), [("FNR", "recall"), ("FPR", "TNR")])
def test_error_rates_are_not_ranked_as_if_more_were_better(tmp_path, metric, other):
    rows = [
        f"c{k},{name},{60 - fn},{fp},{fn},{940 - fp}" for k in range(6) for name, fp, fn in BOTH
    ]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["case,algorithm,TP,FP,FN,TN", *rows]), encoding="utf-8")
    with pytest.raises(StudyError, match=rf"METRIC={metric} counts errors.*compare METRIC={other}"):
        each(path, metric=metric)


BOTH = [("ours", 5, 5), ("theirs", 9, 9)]


def test_a_margin_that_no_difference_reaches_is_refused(theirs):
    with pytest.raises(StudyError, match="MARGIN=2: a Dice lies from 0 to 1"):
        each(theirs, margin=2.0)


# --- what another person would have seen


@pytest.mark.parametrize(
    "heading", ["PatientID", "Patient-ID", "participant_id", "Patient No", "Proband", "patients"]
)
def test_patients_under_other_headings_are_patients(tmp_path, heading):
    path = two(tmp_path, Dice=0.5, **{heading: [f"p{k % 4}" for k in range(16)]})[0]
    assert read.tables([path])["patient"].tolist() == [f"p{k % 4}" for k in range(16)]


def test_columns_that_were_not_read_are_named(tmp_path):
    scores = np.random.default_rng(0).uniform(0.5, 0.9, 16)
    path = two(tmp_path, Dice=scores, owner=[k // 2 for k in range(8)] * 2)[0]
    report.make(read.tables([path]), report.Asked(), tmp_path / "out")
    page = (tmp_path / "out/comparison.html").read_text(encoding="utf-8")
    assert "Columns that were not read: owner (4 values in 8 cases)" in page
    assert "call it patient" in page


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.assign(FN=t["FN"] + 40 * (t["model"] == "b")), "the structure has 100 for a"),
        (lambda t: t.assign(TN=t["TN"] * (1 + (t["model"] == "b"))), "the image has 1000 for a"),
    ],
)
def test_counts_against_different_references_are_refused(tmp_path, change, said):
    path = two(tmp_path, TP=80, FP=20, FN=20, TN=880)[0]
    assert len(read.tables([path])) == 16
    change(pd.read_csv(path)).to_csv(path, index=False)
    with pytest.raises(StudyError, match=said):
        read.tables([path])


def test_drawing_nothing_where_nothing_is_is_no_failure(tmp_path):
    """One draws nothing in two empty images, the other draws something: only that is a fault."""
    counts = {"TP": [80] * 6 + [0] * 2, "FP": [20] * 6 + [0] * 2, "FN": [20] * 6 + [0] * 2}
    counts = {name: own * 2 for name, own in counts.items()}
    counts["TP"][:6], counts["FN"][:6] = [81, 82, 83, 84, 85, 79], [19, 18, 17, 16, 15, 21]
    counts["FP"][14:] = [500, 400]
    path = two(tmp_path, **counts)[0]
    report.make(read.tables([path]), report.Asked(), tmp_path / "out")
    page = (tmp_path / "out/comparison.html").read_text(encoding="utf-8")
    assert "something was drawn by a in 0 of 2, b in 2 of 2" in page
    assert "it looks better than it is" not in page


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"Dice": 0.6, "IoU": 0.75}, "IoU is above Dice for a, case"),
        ({"HD": 4.0, "HD95": 9.0}, "HD95 is above HD"),
        ({"HD": 4.0, "ASSD": 9.0}, "ASSD is above HD"),
        ({"Dice": 0.0, "HD95": 0.0}, "HD95 is 0, the best there is, where Dice is 0"),
    ],
)
def test_metrics_of_a_row_that_contradict_each_other_are_refused(tmp_path, columns, said):
    with pytest.raises(StudyError, match=said):
        read.tables(two(tmp_path, **columns))


@pytest.mark.parametrize("ending", ["_seed{}", "-rater{}", " fold {}", "_reader_{}"])
def test_one_case_several_times_is_no_several_cases(tmp_path, ending):
    names = [f"c{k // 2}{ending.format(k % 2)}" for k in range(8)] * 2
    with pytest.raises(StudyError, match="are one case several times, as all are"):
        read.tables(two(tmp_path, case=names, Dice=0.5))
    assert len(read.tables(two(tmp_path, case=[f"seed{k}" for k in range(8)] * 2, Dice=0.5))) == 16


def test_a_patient_spelt_in_two_ways_is_asked_about(tmp_path):
    spelt = ["P1", "p1", "P01", "P2", "P2", "P3", "P3", "P-3"] * 2
    with pytest.raises(StudyError, match="patients P1 and p1 and P01: is that one person"):
        read.tables(two(tmp_path, patient=spelt, Dice=0.5))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.tsv", "subject_name\tnerve-global_bin_dsc\nc1\t0.5\nc1\t0.6\n", "given twice"),
        ("p.tsv", "subject_name\tnerve-global_bin_dsc\nc1\t0.5\n\t0.6\n", "missing"),
        ("p.tsv", "subject_name\tnerve-global_bin_dsc\n", "has no row below its heading"),
        ("mean_dice_raw.csv", "filename,nerve\n", "has no row below its heading"),
        ("mean_dice_raw.csv", "filename,mean\nc1,0.5\n", "no column of a class"),
        ("mean_dice_raw.csv", "filename,nerve\nc1,0.5\n,0.6\n", "no case in line 3"),
    ],
)
def test_rows_of_other_tools_without_a_name_are_refused(tmp_path, name, text, said):
    with pytest.raises(StudyError, match=said):
        read.tables([written(tmp_path, text, name)])


def test_a_test_by_image_where_patients_are_known_says_so(tmp_path):
    scores = np.random.default_rng(0).uniform(0.5, 0.9, 16)
    people = [f"p{k // 2}" for k in range(8)] * 2
    path = two(tmp_path, Dice=scores, patient=people)[0]
    for test, said in (("image_t", True), ("patient_wilcoxon", False)):
        report.make(read.tables([path]), report.Asked(test=test), tmp_path / "out")
        page = (tmp_path / "out/comparison.html").read_text(encoding="utf-8")
        assert ("The test counts images, though patients are known" in page) == said
        assert ("The patient is the unit" in page) != said


def test_a_run_leaves_neither_an_earlier_margin_nor_its_input_changed(tmp_path):
    scores = np.random.default_rng(0).uniform(0.5, 0.9, 16)
    path, out = two(tmp_path, Dice=scores)[0], tmp_path / "out"
    report.make(read.tables([path]), report.Asked(margin=0.02), out)
    assert (out / "equivalence.csv").is_file()
    report.make(read.tables([path]), report.Asked(), out)
    assert not (out / "equivalence.csv").exists()
    before = path.rename(tmp_path / "cases.csv").read_bytes()
    with pytest.raises(StudyError, match="lies in the folder that is written to"):
        __main__.main([str(tmp_path / "cases.csv"), "--out", str(tmp_path)])
    assert (tmp_path / "cases.csv").read_bytes() == before
