"""One verdict and one interval: the front page, pages 5, 11 and 13, the plan's, the card's and the
terminal's line say the same of every comparison, whatever test is declared and however little is
known.
"""

import dataclasses
import html

import pytest
import stats_data

from helpers import figures, schemas, stats, studies
from helpers.analyses import ablation as trainings
from helpers.errors import NotComputable
from helpers.figures import model_label
from helpers.figures.tables import number
from helpers.pages import ablation, comparison, summary
from helpers.workflow import headline
from tools.book import plan

pytestmark = pytest.mark.slow

TESTS = schemas.STUDY["properties"]["statistics"]["properties"]["test"]["enum"]
MANY = {"qvum": 0.0, "unet": 0.5, "unetpp": 0.02, "bpsegsys_r": -0.4, "vistr": 3.0}
KINDS = {
    "many rivals": {"patients": 12, "mean_images": 4, "models": MANY},
    "one rival": {"patients": 12, "mean_images": 4, "models": {"qvum": 0.0, "unet": 0.5}},
    "few patients": {"patients": 3, "mean_images": 5, "models": MANY},
    "unknown patients": {"patients": 12, "mean_images": 4, "models": MANY, "known": False},
}


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    (tmp_path / "data_manifest").symlink_to(studies.ROOT / "data_manifest")
    monkeypatch.setattr(studies, "ROOT", tmp_path)


def study_with(test):
    study = studies.load("phantom", "quick")
    changed = study.statistics | {"test": test, "draws": 200}
    return dataclasses.replace(study, statistics=changed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("test", TESTS)
def test_every_page_says_the_same_of_a_comparison(test, kind):
    study, rows = study_with(test), stats_data.per_image(seed=5, **KINDS[kind])
    if kind == "unknown patients" and test != "image_t":
        with pytest.raises(NotComputable, match="is over patients, and they are not known here"):
            stats.declared(rows, "qvum", study.statistics)
        return
    tests = stats.declared(rows, "qvum", study.statistics)
    table = summary.headline(study, rows, tests)
    front, page5 = summary.rivals(tests, table), comparison.answer(tests, study.statistics)
    pairs = [trainings.Pair(m, "qvum", m) for m in tests["model"]]
    effects = trainings.effects(study, rows, pairs).set_index("choice")
    page11 = ablation.answer(effects.reset_index(), [11]).splitlines()
    figures.save_table(comparison.table(tests), study, "comparison_declared")
    outcome = html.unescape(plan._outcome(study)).replace("\\", "").splitlines()
    unit = stats.default_unit(rows)
    each = stats.values(rows, study.statistics["metric"], study.statistics["class"])
    page13 = stats.equivalence(each, "qvum", 0.02, unit).set_index("model")["verdict"]
    seen = set()
    for row in tests.to_dict("records"):
        name, verdict = model_label(row["model"]), row["verdict"]
        seen.add(verdict)
        said = comparison.SAID[verdict]
        assert name in front.split(said)[1].split(";")[0], (said, front)
        assert f"Q-VUM is {said} {name}**" in page5
        line = next(t for t in page11 if t.startswith(f"- *{row['model'].replace('_', ' ')}*"))
        assert ablation.SAID[verdict] in line
        planned = next(t for t in outcome if f"{said} {name}**" in t)
        assert comparison.size(row, comparison.tested(tests)) in planned
        if test == ("patient_t" if unit == "patient" else "image_t"):  # page 13's own test
            differs = ("better", "worse", "cannot be tested")
            other = page13[row["model"]].partition(",")[0]
            assert (other if other in differs else "") == {
                "not shown to differ": "",
                "not tested": "cannot be tested",
            }.get(verdict, verdict)
        cells = table[table["what"].str.endswith(f"minus {name}")].iloc[0]
        assert cells["how"].startswith(f"{verdict}, ")
        terminal = headline.numbers(
            {k: "" if v != v else str(v) for k, v in cells.to_dict().items()}
        )
        if row["low"] == row["low"]:
            assert (cells["low"], cells["high"]) == (row["low"], row["high"])
            both = f"{comparison.signed(row['low'])} to {comparison.signed(row['high'])}"
            size = comparison.size(row, 1)
            assert "95 % interval" in size and size in front and size in page5
            assert f"({row['low']:.3f} to {row['high']:.3f})" in terminal
            assert f"({both}" in line
        else:
            assert "(" not in terminal.split(",")[0]
        p = comparison.p_value(row, len(tests))
        assert (p or "no test") in cells["how"]
        own = next(t for t in front.splitlines() if t.startswith(f"- {name}: "))
        assert p.partition(",")[0] in own and ("P adjusted for" in front) == ("adjusted" in p)
    if kind == "few patients" and test != "image_t":
        assert seen == {"not tested"} and "too few" in front and "too few" in page5
    elif kind == "many rivals":
        assert {"better", "worse"} <= seen


@pytest.mark.parametrize("test", ["patient_wilcoxon", "sign_flip"])
def test_a_test_without_an_interval_still_tells_a_huge_difference(test):
    study, rows = study_with(test), stats_data.per_image(seed=5, **KINDS["many rivals"])
    tests = stats.declared(rows, "qvum", study.statistics).set_index("model")
    assert tests.loc["vistr", "verdict"] == "better" and tests.loc["vistr", "low"] > 0.1


def test_the_adjusted_p_decides_where_the_interval_alone_would_not_agree():
    even = dict.fromkeys(("qvum", "unet", "unetpp", "bpsegsys_r", "vistr"), 0.06)
    study = study_with("patient_t")
    rows = stats_data.per_image(12, 4, models=even, effect=0.25, seed=8)
    tests = stats.declared(rows, "qvum", study.statistics)
    odd = tests[tests["differ"] != ""]
    row = odd.iloc[0]
    front = summary.rivals(tests, summary.headline(study, rows, tests))
    assert row["verdict"] == "not shown to differ" and (row["low"] > 0 or row["high"] < 0)
    assert front.count("the adjusted P value decides") == len(odd)
    assert "the adjusted P value decides" in comparison.answer(tests, study.statistics)


def test_one_network_alone_is_compared_with_nothing():
    study, rows = study_with("patient_t"), stats_data.per_image(8, 3, models={"qvum": 0.0})
    with pytest.raises(NotComputable, match="no other to compare"):
        stats.declared(rows, "qvum", study.statistics)
    table = summary.headline(study, rows, NotComputable("none"))
    assert not table["what"].str.contains("minus").any()


def test_numbers_of_the_terminal_and_the_card():
    row = {"what": "Dice", "value": "0.73412", "low": "0.7", "high": "0.76", "unit": "", "how": "x"}
    assert headline.numbers(row) == "0.734 (0.700 to 0.760), x"
    assert headline.numbers(row | {"value": "", "low": ""}) == "no number, x"
    assert number(-0.0001, 3) == "0.000" and comparison.signed(-0.02) == "−0.020"
