"""Printed numbers beside ours: the oracle, the right quantity for each number, and fair
verdicts.
"""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import stats_data
from scipy.stats import chi2_contingency, ttest_ind

from helpers import metrics, pages, papers, stats, studies
from helpers.errors import NotComputable, StudyError
from helpers.pages import Page, published
from helpers.papers import NOT_COMPARABLE, NOT_REPRODUCED, REPRODUCED, plots, words
from helpers.papers.ours import MODELS
from tools.audit import read, tables
from tools.audit import words as audit_words
from tools.audit.interval import printed

pytestmark = pytest.mark.slow

PHANTOM = studies.load("phantom", "quick")
FEMORAL = studies.load("femoral", "paper")
COUNTS = metrics.COUNTS
MANIFEST = studies.ROOT / "data_manifest"


def paper(name):
    """The paper of a study as page 9 has it, without the files between."""
    found = read(MANIFEST / name / "published.yml")
    checks = tables.audits([found], found.name)
    return papers.Paper(tables.printed(found), checks, tables.compared(found), tables.layout(found))


QVUM, HUANG = paper("phantom"), paper("femoral")


def oracle():
    """The confusion matrix that gives every printed Q-VUM figure, as rows of per_image.csv."""
    found = read(MANIFEST / "phantom" / "published.yml").oracle
    matrix = np.array(found["matrix"], dtype=np.int64)
    assert matrix.sum() == 637 * 224 * 224
    frame = pd.DataFrame(metrics.counts_of(matrix), columns=COUNTS)
    return frame.assign(**{"class": found["classes"], "model": "qvum", "image_id": "all"})


def rows(ids, split, class_counts, model="qvum", fold="main", patients=None):
    """per_image rows: class_counts name → (tp, fp, fn, tn), one for all images or one an image."""
    parts = []
    for name, values in class_counts.items():
        frame = pd.DataFrame(np.broadcast_to(values, (len(ids), 4)).astype(int), columns=COUNTS)
        frame = frame.assign(
            image_id=list(ids),
            patient_id=list(patients) if patients is not None else "",
            split=split,
        )
        parts.append(frame.assign(study="s", model=model, fold=fold, seed=1, **{"class": name}))
    return pd.concat(parts, ignore_index=True)


def binary(iou, size=10_000, area=2000):
    """Counts of one class and the background with these IoUs (half of the error on each side)."""
    tp = np.round(area * np.asarray(iou, float))
    fp = np.floor((area - tp) / 2)
    fn = area - tp - fp
    tn = size - tp - fp - fn
    return {"background": np.c_[tn, fn, fp, tp], "nerve_block_region": np.c_[tp, fp, fn, tn]}


def femoral_run(shift=0.0, model="femoral_unet"):
    """Results on the manifest of the femoral study whose IoUs scatter around the printed ones."""
    images = studies.images(FEMORAL)
    rng = np.random.default_rng(5)
    parts = []
    for split, centre in (("train", 0.71), ("val", 0.64), ("test", 0.638)):
        ids = images.loc[images["split"] == split, "image_id"]
        iou = np.clip(rng.normal(centre + shift, 0.1, len(ids)), 0.05, 0.98)
        parts.append(rows(ids, split, binary(iou), model))
    for k, ids in enumerate(np.array_split(images["image_id"].to_numpy(), 10)):
        iou = np.clip(rng.normal(0.65 + shift, 0.1, len(ids)), 0.05, 0.98)
        parts.append(rows(ids, "test", binary(iou), model, f"cv{k + 1}"))
    return images, pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def femoral():
    images, run = femoral_run()
    return papers.compare(FEMORAL, HUANG, run, images, draws=300), run


@pytest.fixture(scope="module")
def phantom():
    """The phantom study with results that are exactly the published ones: the oracle, for every
    image.
    """
    images, patients = studies.images(PHANTOM), studies.patients(PHANTOM)
    counts = {c: g[COUNTS].to_numpy() for c, g in oracle().groupby("class")}
    test = images[images["split"] == "test"]
    own = [
        rows(test["image_id"], "test", counts, m, patients=test["patient_id"])
        for m in ("qvum", "unet")
    ]
    run = pd.concat(own, ignore_index=True)
    run.loc[run["model"] == "unet", COUNTS] //= 2  # the same scores, other counts
    return papers.compare(PHANTOM, QVUM, run, images, patients, draws=200)


def test_oracle_gives_every_published_qvum_figure():
    frame = oracle()
    classes = metrics.pooled(frame, ["class"]).set_index("class")
    means = metrics.overall(frame).iloc[0]
    names = {
        "Dice_mean": "Dice",
        "accuracy_pixel": "accuracy",
        "FPR": "FPR_union",
        "FNR": "FNR_union",
    }
    table = QVUM.numbers
    table = table[
        (table["model"] == "Q-VUM") & (table["unit"] == "fraction") & (table["origin"] == "printed")
    ]
    seen = set()
    for row in table.to_dict("records"):
        metric = names.get(row["metric"], row["metric"].removesuffix("_as_text"))
        value = means[metric] if row["class"] == "all4" else classes.loc[row["class"], metric]
        assert row["low"] <= value <= row["high"], row
        seen.add((row["class"], {"TPR": "recall"}.get(metric, metric)))
    assert len(seen) == 22
    assert classes[["IoU", "FPR_union", "FNR_union"]].sum(axis=1).to_numpy() == pytest.approx(
        np.ones(4)
    )
    textbook = classes.loc[["EIT", "QLM", "bone"], ["FPR", "FNR"]].round(
        3
    )  # and these are not what was printed
    assert textbook.to_numpy().ravel() == pytest.approx([0.006, 0.212, 0.004, 0.187, 0.010, 0.265])


def test_load_keeps_the_printed_digits():
    table = QVUM.numbers
    unet = table[(table["model"] == "U-Net") & (table["metric"] == "mIoU")].iloc[0]
    assert (unet["printed"], unet["n"]) == ("0.720", 637) and unet["value"] == pytest.approx(0.72)
    height = table[
        (table["metric"] == "height_p") & (table["class"] == "training vs validation")
    ].iloc[0]
    assert height["printed"] == "0.633" and "0.653" in height["note"]
    limit = table[table["metric"] == "TPR_anova_p"].iloc[0]
    assert np.isnan(limit["value"]) and limit["high"] == 0.001
    assert set(table["origin"]) == {"printed", "derived"}


@pytest.mark.parametrize("name", ["phantom", "femoral", "tlf_phantom", "shamrock_phantom", "ubpd"])
def test_every_manifest_loads(name):
    table = paper(name).numbers
    assert len(table) >= 2 and len(set(table["study"])) == 1
    assert (table.loc[table["unit"] == "fraction", "high"].dropna() <= 1.0005).all()


def test_every_printed_number_has_one_row(phantom):
    table = QVUM.numbers
    assert len(phantom) == (table["origin"] != "derived").sum()
    assert list(phantom.columns) == papers.COLUMNS
    assert (phantom["why"].str.len() > 5).all()


def test_synthetic_results_are_never_reproduced_even_when_equal(phantom):
    assert set(phantom["verdict"]) == {NOT_COMPARABLE}
    qvum = phantom[
        (phantom["model"] == "Q-VUM")
        & phantom["metric"].isin(["mIoU", "FPR", "FNR", "Dice", "TPR"])
    ]
    assert len(qvum) > 8
    assert ((qvum["ours"] >= qvum["printed_low"]) & (qvum["ours"] <= qvum["printed_high"])).all()
    assert qvum["why"].str.startswith("synthetic").all()


def test_networks_that_did_not_run_have_no_number(phantom):
    missing = phantom[
        phantom["model"].isin(["VisTR", "U-Net++", "BPSegSys"]) & (phantom["metric"] == "mIoU")
    ]
    assert len(missing) == 3 and missing["ours"].isna().all()
    assert missing["why"].str.startswith("this run has no").all()


def test_table_1_shows_our_patients(phantom):
    patients, images = studies.patients(PHANTOM), studies.images(PHANTOM)
    used = patients[patients["patient_id"].isin(images["patient_id"])]
    table = phantom[phantom["table"] == "Table 1"].set_index(["metric", "class"])
    assert table.loc[("age", "total"), "ours"] == pytest.approx(used["age_years"].mean())
    train = images.loc[images["split"] == "train", "patient_id"]
    males = used.loc[used["patient_id"].isin(train), "sex"].eq("male")
    assert table.loc[("male", "training"), "ours"] == males.sum()
    assert table.loc[("male_percent", "training"), "ours"] == pytest.approx(100 * males.mean())
    assert (
        table.loc[("patients_test", ""), "ours"]
        == images.loc[images["split"] == "test", "patient_id"].nunique()
    )


def test_the_tests_of_table_1_are_those_of_page_1(phantom):
    """They stood as "not measured here" beside a page that prints them."""
    table = phantom[phantom["table"] == "Table 1"].set_index(["metric", "class"])
    people = stats.by_split(studies.patients(PHANTOM), studies.images(PHANTOM))
    train, test, val = (people[people["split"] == s] for s in ("train", "test", "val"))
    ages = ttest_ind(train["age_years"], test["age_years"]).pvalue
    assert table.loc[("age_p", "training vs test"), "ours"] == pytest.approx(ages)
    sexes = [[(part["sex"] == s).sum() for s in ("female", "male")] for part in (train, val)]
    found = table.loc[("sex_p", "training vs validation")]
    assert found["ours"] == pytest.approx(chi2_contingency(sexes, correction=False).pvalue)
    assert found["verdict"] == NOT_COMPARABLE and found["why"] == "a test of other patients"
    left_out = phantom[phantom["metric"] == "patients_excluded"].iloc[0]
    assert left_out["ours"] == studies.patients(PHANTOM)["excluded"].notna().sum() > 0


def test_groups_that_share_patients_have_no_test():
    images, patients = studies.images(PHANTOM), studies.patients(PHANTOM)
    images.loc[images["split"] == "test", "patient_id"] = images["patient_id"].iloc[0]
    run = stats_data.per_image(models={"qvum": 0.0}, patients=6, mean_images=3)
    table = papers.compare(PHANTOM, QVUM, run, images, patients, draws=50)
    rows = table[table["metric"].isin(["age_p", "sex_p"])]
    assert len(rows) == 4 and rows["ours"].isna().all()
    assert set(rows["why"]) == {"groups that share patients cannot be tested"}


def test_settings_are_shown_not_judged(phantom):
    row = phantom[phantom["metric"] == "input_size"].iloc[0]
    assert row["ours"] == PHANTOM.spec["image_size"] and "setting" in row["why"]


def test_paired_tests_are_shown_as_the_paper_made_them():
    run = stats_data.per_image(models={"qvum": 0.0, "unet": 0.3}, patients=8, mean_images=7)
    images = run.drop_duplicates("image_id")[["image_id", "patient_id", "split"]].assign(device="")
    table = papers.compare(PHANTOM, QVUM, run, images, draws=100).set_index(["model", "metric"])
    expected = stats.table3(run, "qvum").set_index(["model", "metric"])
    for metric, ours in (("mIoU", "mIoU"), ("Dice_mean", "Dice"), ("accuracy_pixel", "Acc")):
        assert table.loc[("U-Net", f"{metric}_t_vs_QVUM"), "ours"] == pytest.approx(
            expected.loc[("unet", ours), "t"]
        )
        assert table.loc[("U-Net", f"{metric}_p_vs_QVUM"), "ours"] == pytest.approx(
            expected.loc[("unet", ours), "p"]
        )
    assert table.loc[("Q-VUM", "FPR_anova_p"), "ours"] < 1


def test_femoral_numbers_are_the_right_quantities(femoral):
    table, run = femoral
    ours = table.set_index("metric")["ours"]
    test = run[
        (run["fold"] == "main") & (run["split"] == "test") & (run["class"] == "nerve_block_region")
    ]
    iou = (test["tp"] / (test["tp"] + test["fp"] + test["fn"])).to_numpy()
    assert ours["IoU_sum_test"] == pytest.approx(
        test["tp"].sum() / (test["tp"] + test["fp"] + test["fn"]).sum()
    )
    assert ours["IoU_image_median_test"] == pytest.approx(np.median(iou))
    assert ours["IoU_image_q3_test"] == pytest.approx(np.quantile(iou, 0.75))
    assert ours["accuracy_test"] == pytest.approx((iou > 0.5).mean())
    folds = stats.huang(run[run["fold"] != "main"], "nerve_block_region")
    assert ours["IoU_sum_cv_median"] == pytest.approx(folds["pooled_IoU"].median())
    assert ours["accuracy_cv_q1"] == pytest.approx(folds["accuracy"].quantile(0.25))
    assert (ours["images_train"], ours["images_test"]) == (450, 62)


def test_intervals_hold_their_estimates(femoral):
    table = femoral[0].dropna(subset="ours_low")
    assert len(table) == 19
    assert (table["ours_low"] <= table["ours"] + 1e-9).all() and (
        table["ours"] <= table["ours_high"] + 1e-9
    ).all()
    assert (table["ours_high"] - table["ours_low"] < 0.25).all()


def test_real_results_near_the_printed_ones_are_reproduced(femoral):
    table = femoral[0].set_index("metric")
    for metric in ("IoU_sum_test", "IoU_image_median_test", "accuracy_test", "IoU_sum_cv_median"):
        assert table.loc[metric, "verdict"] == REPRODUCED, metric
    assert table.loc["images_total", "why"] == "a count, not a result"
    assert table.loc["IoU_sum_cv_fold3", "verdict"] == NOT_COMPARABLE


def test_real_results_far_from_the_printed_ones_are_not():
    images, run = femoral_run(0.2)
    table = papers.compare(FEMORAL, HUANG, run, images, draws=200).set_index("metric")
    assert (
        table.loc[["IoU_sum_test", "IoU_image_median_test", "IoU_sum_cv_q3"], "verdict"]
        == NOT_REPRODUCED
    ).all()
    assert table.loc["IoU_sum_test", "why"] == "printed number below our interval"


def test_another_network_or_protocol_is_named_not_judged():
    images, run = femoral_run(model="qvum")
    study = dataclasses.replace(FEMORAL, headline="qvum")
    table = papers.compare(study, HUANG, run, images, draws=100).set_index("metric")
    row = table.loc["IoU_sum_test"]
    assert (row["our_model"], row["verdict"]) == ("qvum", NOT_COMPARABLE) and row["why"].startswith(
        "another network"
    )
    images, run = femoral_run()
    quick = dataclasses.replace(FEMORAL, protocol="quick")
    row = (
        papers.compare(quick, HUANG, run, images, draws=100).set_index("metric").loc["IoU_sum_test"]
    )
    assert row["why"].startswith("another training") and not np.isnan(row["ours"])


def test_sets_of_another_device_are_kept_apart():
    study = dataclasses.replace(
        PHANTOM, name="tlf_phantom", headline="tlf_unet", classes=PHANTOM.classes[:3]
    )
    ids = [f"i{k}" for k in range(30)]
    images = pd.DataFrame({"image_id": ids, "patient_id": ids})
    images["split"] = ["train"] * 10 + ["test"] * 10 + ["external"] * 10
    good, poor = [(90, 5, 5, 900)], [(50, 25, 25, 900)]
    names = [c.name for c in study.classes]
    near, far = ids[10:20], ids[20:]
    run = pd.concat(
        [
            rows(near, "test", dict.fromkeys(names, good), "tlf_unet", patients=near),
            rows(far, "external", dict.fromkeys(names, poor), "tlf_unet", patients=far),
        ]
    )
    table = papers.compare(study, paper("tlf_phantom"), run, images, draws=50).set_index("metric")
    assert table.loc["IoU_mean_test1", "ours"] == pytest.approx(0.9)
    assert table.loc["IoU_mean_test2", "ours"] == pytest.approx(0.5)
    assert (table.loc["images_test1", "ours"], table.loc["images_test2", "ours"]) == (10, 10)


def test_speed_comes_from_its_table():
    run = stats_data.per_image(models={"qvum": 0.0}, patients=6, mean_images=4)
    images = run.drop_duplicates("image_id")[["image_id", "patient_id", "split"]].assign(device="")
    speed = pd.DataFrame({"model": ["qvum"], "fps": [12.5]})
    table = papers.compare(PHANTOM, QVUM, run, images, speed=speed, draws=50)
    table = table[table["metric"] == "speed"].set_index("model")["ours"]
    assert table["Q-VUM"] == 12.5 and np.isnan(table["VisTR"])


def test_reconstructions_are_never_the_published_network(femoral):
    study = dataclasses.replace(FEMORAL, name="ubpd", headline="dmrnet_r")
    images, run = femoral_run(model="dmrnet_r")
    table = papers.compare(study, paper("ubpd"), run, images, draws=50)
    assert set(table["verdict"]) == {NOT_COMPARABLE}
    assert MODELS["DMRNet"].endswith("_r") and MODELS["BPSegSys"].endswith("_r")


def test_summary_counts_every_number(femoral, phantom):
    counts = papers.summary(pd.concat([femoral[0], phantom]))
    assert counts["numbers"].sum() == len(femoral[0]) + len(phantom)
    assert list(counts.columns) == ["paper", "verdict", "why", "numbers"]


def test_words(femoral, phantom):
    shown = words.readable(phantom)
    assert list(shown.columns) == ["table", "what", "printed", "ours", "verdict", "why"]
    assert len(shown) == phantom["ours"].notna().sum()
    of_images = shown["what"].str.contains(r"· P of") & (shown["table"] != "Table 1")
    assert set(shown["ours"][of_images]) <= {"< 0.001"}
    assert "Q-VUM · all 4 classes · mIoU" in set(shown["what"])
    assert shown.set_index("what")["ours"]["input size"] == str(PHANTOM.spec["image_size"])
    text = words.findings(QVUM)
    assert text.count("study-finding") == (QVUM.own["grade"] != "holds").sum()
    assert "### Cannot be true as printed (6)" in text
    odd = dataclasses.replace(QVUM, checks=QVUM.checks.head(1).assign(sentence="<b>A</b> is <0.05"))
    assert "- &lt;b&gt;A&lt;/b&gt; is &lt;0.05\n" in words.findings(odd)
    held = dataclasses.replace(QVUM, checks=QVUM.checks[QVUM.checks["grade"] == "holds"])
    assert words.findings(held) == "*No finding: every check holds.*"


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("mIoU_t_vs_QVUM", "t of mIoU against QVUM"),
        ("TPR_anova_p", "P of TPR"),
        ("male_percent", "male %"),
        ("Dice_mean", "mean Dice"),
        ("images_total", "images in all"),
        ("IoU_image_q1", "1st quartile of IoU of an image"),
        ("IoU_sum_cv_median", "median pooled IoU in cross-validation"),
    ],
)
def test_no_key_of_a_file_is_left_in_words(key, said):
    assert audit_words.metric(key) == said


def test_sets_classes_and_rates_in_words():
    assert audit_words.quantity("Dice", "test1") == "Dice (test set 1)"
    assert audit_words.quantity("FPR", "", "FP/(TP+FP+FN)") == "FPR (share of the union)"
    assert audit_words.structure("all4") == "all 4 classes" and audit_words.structure("") == ""
    said = QVUM.checks[["sentence", "where", "printed", "implied"]].agg(" ".join, axis=1)
    assert not said.str.contains(r"all4|_|QVUM\b").any()


def test_the_paper_stands_beside_ours_line_by_line(phantom):
    table = words.beside(QVUM, phantom)
    assert list(table.columns) == words.BESIDE
    assert list(dict.fromkeys(table["item"])) == [
        *(f"Table {k}" for k in range(1, 5)),
        *(f"Figure {k}" for k in range(1, 7)),
    ]
    line = table[(table["item"] == "Table 2") & (table["row"] == "Q-VUM · QLM")].iloc[0]
    assert "FPR (share of the union) 0.126" in line["printed"] and line["page"] == "page 4"
    assert line["ours"] == line["printed"]  # this run is the oracle
    tests = table[table["row"] == "U-Net · all 4 classes against Q-VUM"].iloc[0]
    assert "t of mIoU 29.35" in tests["printed"] and tests["item"] == "Table 3"
    flow = table[table["item"] == "Figure 1"].iloc[0]
    assert (flow["verdict"], flow["page"]) == ("to be looked at", "page 1")
    numbers = phantom["table"].map(words.items_of).map(len).gt(0).sum()
    shown = table["printed"].str.count(", ").add(1)[table["printed"] != "a picture"].sum()
    assert numbers == shown  # no printed number of a table or figure is left out
    with pytest.raises(NotComputable):
        words.beside(paper("ubpd"), phantom)


def test_synthetic_images_give_no_comparison_to_look_at(phantom):
    phantom = phantom.assign(ours_low=phantom["ours"], ours_high=phantom["ours"])
    for show in (plots.beside, words.comparable):
        with pytest.raises(NotComputable, match="synthetic images"):
            show(phantom)


def test_only_what_can_be_compared_is_shown_as_compared(femoral):
    table = words.comparable(femoral[0])
    assert set(table["verdict"]) <= {REPRODUCED, NOT_REPRODUCED} and len(table) > 10


# --- the tables between the audit and the page ---


def study_of(tmp_path, name, monkeypatch):
    """A study below tmp_path whose tables the audit has written; name: whose printed numbers."""
    monkeypatch.setattr(studies, "ROOT", tmp_path)
    study = dataclasses.replace(PHANTOM, name=name)
    tables.write(MANIFEST / name / "published.yml", study.run / "results")
    return study


def test_the_tables_hold_what_the_audit_found(tmp_path, monkeypatch):
    found = papers.paper(study_of(tmp_path, "phantom", monkeypatch))
    pd.testing.assert_frame_equal(found.numbers, QVUM.numbers)
    pd.testing.assert_frame_equal(found.items, QVUM.items)
    own = QVUM.own.reset_index(drop=True)
    pd.testing.assert_frame_equal(found.own.reset_index(drop=True), own)
    assert found.title == "Q-VUM (Wang 2024)" and not found.numbers["same_images"].any()
    titles = list(dict.fromkeys(found.checks["title"]))
    assert titles[0] == found.title and len(titles) == len(set(titles)) == 4
    assert found.numbers.loc[found.numbers["metric"] == "mIoU", "printed"].iloc[1] == "0.720"


@pytest.mark.parametrize("content", [None, "", "paper: x\nentries: []\n", "entries:\n"])
def test_a_study_without_a_paper_says_one_sentence(content, tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "ROOT", tmp_path)
    path = tmp_path / "data_manifest" / "own" / "published.yml"
    path.parent.mkdir(parents=True)
    (path.parent / "study.yml").write_bytes((MANIFEST / "phantom" / "study.yml").read_bytes())
    if content is not None:
        path.write_text(content, encoding="utf-8")
    assert tables.write(path, tmp_path / "runs" / "own" / "results") is None
    shown = []
    monkeypatch.setattr(pages, "display", shown.append)
    page = Page("own", "quick")
    page.say(published.opening, page.study)
    found = page.ask(published.paper, page.study)
    table = page.ask(papers.compare, page.study, found, pd.DataFrame(), pd.DataFrame())
    page.say(published.verdict, found)
    page.say(words.findings, found)
    page.figure("audit_checks", plots.checks, found)
    page.table("paper_beside_ours", words.beside, found, table)
    page.table("published_scatter", papers.spreads, found, pd.DataFrame())
    assert len(shown) == 1 and shown[0].data.startswith("*This study reproduces no paper")
    assert not (page.study.run / "tables").exists()


def test_a_broken_file_of_printed_numbers_is_no_study_without_a_paper(tmp_path):
    (tmp_path / "published.yml").write_text("entries: [{metric: IoU}]", encoding="utf-8")
    with pytest.raises(StudyError, match=r"entries\[0\] \(IoU\).value: missing"):
        tables.write(tmp_path / "published.yml", tmp_path / "out")


def test_tables_that_are_not_there_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "ROOT", tmp_path)
    with pytest.raises(StudyError, match=r"printed\.csv: no such file.*python -m tools\.audit"):
        papers.load(PHANTOM)


# --- sentences ---


def test_answer_of_real_and_synthetic_images(femoral, phantom):
    done = (femoral[0]["verdict"] == REPRODUCED).sum()
    text = published.answer(femoral[0], synthetic=False)
    assert f"**{done} are reproduced, " in text and "Most often because of this: " in text
    text = published.answer(phantom, synthetic=True, timed=False)
    assert "none of its numbers can confirm or refute" in text and "reproduced" not in text
    assert text.endswith("Printed speeds stand without ours: page 7 has measured none.")
    assert f"for {phantom['ours'].notna().sum()} of {len(phantom)}" in text


def test_verdict_on_the_paper_itself():
    text = published.verdict(QVUM)
    assert "passes 92 of 120 checks" in text and "6 cannot be true as printed" in text
    assert "not an accusation" in text
    held = dataclasses.replace(QVUM, checks=QVUM.checks[QVUM.checks["grade"] == "holds"])
    assert published.verdict(held) == (
        "**Read on its own**, the paper passes 92 of 92 checks of its arithmetic."
    )


def test_a_line_of_several_reasons_says_each(phantom):
    beside = words.beside(QVUM, phantom).set_index(["item", "row"])["verdict"]
    assert "not comparable" not in set(beside), "a verdict without its reason"
    line = phantom[:2].assign(verdict="not comparable", why=["one reason", "another"])
    assert words._verdict(line) == "not comparable: one reason; another"


def test_speeds_that_were_not_measured(phantom):
    rows = phantom[phantom["metric"] == "speed"]
    assert rows["ours"].isna().all()
    assert set(rows["why"]) == {"no speed was measured in this run"}


def test_scatter_and_congruence_are_those_of_the_images():
    run = stats_data.per_image(models={"qvum": 0.0, "unet": 0.3}, patients=8, mean_images=7)
    table = papers.spreads(QVUM, run).set_index("metric")
    each = stats.values(run, "IoU", stats.ALL).pivot_table(
        index="image_id", columns="model", values="value"
    )
    assert table.loc["mIoU", "ours"] == pytest.approx((each["qvum"] - each["unet"]).std())
    assert table.loc["mIoU", "congruence"] == pytest.approx(each.corr().iloc[0, 1])
    assert table.loc["mIoU", "implied_high"] == pytest.approx(0.0129, abs=1e-4)
    with pytest.raises(NotComputable, match="no t value"):
        papers.spreads(HUANG, run)


def test_library_has_each_paper_once():
    names = [p.name for p in tables.library(MANIFEST)]
    assert len(names) == len(set(names))
    assert {"qvum2024", "huang2019", "bonaldi2025", "dmrnet2026"} <= set(names)


def test_figures(femoral):
    figures = [plots.beside(femoral[0]), plots.checks(QVUM), plots.contradictions(QVUM)]
    labels = [t.get_text() for t in figures[2].axes[0].texts]
    assert {"printed 51.4", "printed 9.25"} <= set(labels)
    assert any(t.startswith("possible 50.5") for t in labels)
    with pytest.raises(NotComputable, match="No printed number lies outside"):
        plots.contradictions(HUANG)
    with pytest.raises(NotComputable, match="measures none"):
        plots.beside(femoral[0].iloc[:0])
    for figure in figures:
        figure.canvas.draw()
        plt.close(figure)


def test_interval_of_a_printed_number_is_what_the_verdict_uses():
    found = printed("0.638")
    assert (found.low, found.high) == pytest.approx((0.6375, 0.6385))
