"""The whole study on a tiny phantom, through Snakemake and papermill, and what a change remakes."""

import ast
import json
import os
import re
import shutil
import types
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pandas as pd
import pytest
import yaml
from conftest import REPOSITORY, shrink, workflow

from helpers import files, provenance, studies
from helpers.errors import StudyError
from helpers.workflow import check, clean, lock, settings

pytestmark = pytest.mark.slow

STEPS = ("phantom", "check", "train", "fold", "results", "printed", "page", "book")
ABOUT = settings.pages(REPOSITORY / "notebooks")
PAGES = [page for page, said in ABOUT.items() if "run" not in said]


def planned(root):
    """Rule → number of steps that would run now (a dry run changes nothing)."""
    done = workflow(root, "--dry-run")
    assert done.returncode == 0, done.stderr
    words = [line.split() for line in (done.stdout + done.stderr).splitlines()]
    return {w[0]: int(w[1]) for w in words if len(w) == 2 and w[0] in STEPS}


def test_the_study_runs_from_images_to_a_report(tiny):
    run = tiny / "runs/phantom"
    assert (tiny / "reports/phantom/book/index.html").is_file()
    table = pd.read_csv(run / "results/per_image.csv")
    assert set(table.model) == {"femoral_unet", "tlf_unet"} and set(table.fold) == {
        "main",
        "cv1",
        "cv2",
        "cv3",
    }
    assert not table.duplicated(["model", "fold", "seed", "image_id", "class"]).any()
    assert table[["tp", "fp", "fn", "tn"]].sum(axis=1).eq(32 * 32).all()
    for page in PAGES:
        record = json.loads((run / "notebooks" / f"{page}.json").read_text())
        assert record["files"], page
        assert all((tiny / name).is_file() for name in record["files"]), page
    assert (run / "tables/table2.csv").is_file() and (run / "figures/fig5_cases.svg").is_file()


def test_folds_wait_for_the_trainings_that_everything_is_said_of(tiny):
    """They are many and short, and fill what the long ones leave of the cores."""
    begun = {
        path.parent.name: json.loads(path.read_text())["started"]
        for path in (tiny / "runs/phantom/train").glob("femoral_unet/*/03_train.json")
    }
    main = begun.pop("main_1")
    assert len(begun) == 3 and main <= min(begun.values())


def test_every_file_that_a_step_left_stands_in_a_record(tiny):
    """What stands in none could change and nobody would see it."""
    run = tiny / "runs/phantom"
    records = [r for pattern in settings.RECORDS for r in run.glob(pattern)]
    known = {name for r in records for name in json.loads(r.read_text())["files"]}
    places = ("data", "cache", "results", "tables", "figures", "train", "notebooks")
    left = {p for place in places for p in (run / place).rglob("*") if p.is_file()}
    left -= {*records, run / "results/plan.json"}  # the plan is sealed by itself
    assert sorted(str(p) for p in left if str(p.relative_to(tiny)) not in known) == []


def test_running_again_does_nothing(tiny):
    assert planned(tiny) == {}


def test_a_lost_table_remakes_only_its_page_and_what_hangs_on_it(tiny):
    notebooks = tiny / "runs/phantom/notebooks"
    record = json.loads((notebooks / "10_planning.json").read_text())
    path = next(tiny / name for name in record["files"] if name.endswith(".csv"))
    text, before = path.read_bytes(), {p: os.stat(p).st_mtime_ns for p in notebooks.glob("*.json")}
    path.unlink()
    said = workflow(tiny, "--dry-run")  # writes nothing, so it can only say it
    assert f"{path.name} is not as it was made" in said.stdout + said.stderr
    done = workflow(tiny)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == text
    again = {p.stem for p, then in before.items() if os.stat(p).st_mtime_ns != then}
    readers = {p for p in PAGES if "10_planning" in ABOUT[p].get("reads", ())}
    assert again == {"10_planning"} | readers
    assert planned(tiny) == {}


def test_a_changed_setting_remakes_what_uses_it(tiny):
    path = tiny / "data_manifest/phantom/study.yml"
    text = path.read_text()
    try:
        path.write_text(text.replace("title: Quadratus", "title: A Quadratus"))
        assert planned(tiny) == {"page": len(PAGES), "book": 1}
        assert "lr: 0.0005" in text
        path.write_text(text.replace("lr: 0.0005", "lr: 0.0006"))
        plan = planned(tiny)
        assert (plan["train"], plan["fold"]) == (2, 3) and "check" not in plan
    finally:
        path.write_text(text)


def test_another_image_trains_everything_again(tiny):
    path = tiny / "data_manifest/phantom/images.csv"
    text = path.read_text()
    digest = pd.read_csv(tiny / "runs/phantom/cache/index.csv", dtype=str)["sha256_image"].iloc[
        0
    ]  # one of those used
    try:
        path.write_text(text.replace(digest, "0" * 64))
        plan = planned(tiny)
        assert (plan["check"], plan["train"], plan["fold"]) == (1, 2, 3)
    finally:
        path.write_text(text)


def test_a_changed_module_remakes_only_what_imports_it():
    def pages(module):
        found = [
            p.stem
            for p in (REPOSITORY / "notebooks").glob("*.ipynb")
            if any(s.endswith(module) for s in provenance.sources(p))
        ]
        return set(found)

    assert "03_train" in pages("helpers/training/losses.py") and "05_comparison" not in pages(
        "helpers/training/losses.py"
    )
    assert "05_comparison" in pages("helpers/metrics.py")


IMPORTS = (ast.Import, ast.ImportFrom)


def test_statistics_and_figures_need_no_torch():
    for page in (
        "01_cohort",
        "04_segmentation",
        "05_comparison",
        "08_cross_validation",
        "09_published",
    ):
        for source in provenance.sources(REPOSITORY / "notebooks" / f"{page}.ipynb"):
            if source.endswith(".py"):
                tree = ast.parse((REPOSITORY / source).read_text(encoding="utf-8"))
                said = [ast.unparse(n) for n in provenance.executed(tree) if isinstance(n, IMPORTS)]
                wrong = [s for s in said if re.match(r"(import|from) torch\b", s)]
                assert not wrong, f"{page} needs torch through {source}"


def test_another_declared_test_remakes_only_the_pages_that_use_it(tiny):
    path = tiny / "data_manifest/phantom/study.yml"
    text = path.read_text()
    apart = [
        p for p in PAGES if {"statistics", "statistics.test"} & set(ABOUT[p].get("without", ()))
    ]
    assert apart
    test = yaml.safe_load(text)["statistics"]["test"]
    other = "patient_wilcoxon" if test != "patient_wilcoxon" else "sign_flip"
    try:
        assert f"test: {test}" in text
        path.write_text(text.replace(f"test: {test}", f"test: {other}"))
        assert planned(tiny) == {"page": len(PAGES) - len(apart), "book": 1}
    finally:
        path.write_text(text)


@pytest.mark.parametrize(
    "pattern", ["tables/table2.csv", "figures/fig5_cases.svg", "train/*/*/weights.safetensors"]
)
def test_one_changed_byte_is_noticed(tiny, pattern):
    run = tiny / "runs/phantom"
    path = next(run.glob(pattern))
    text = path.read_bytes()
    owner = next(
        r
        for r in [*run.glob("notebooks/*.json"), *run.glob("train/*/*/03_train.json")]
        if str(path.relative_to(tiny)) in json.loads(r.read_text())["files"]
    )
    record = owner.read_bytes()
    times = os.stat(path)
    size = json.loads((run / "cache/check.json").read_text())["size"]
    study = types.SimpleNamespace(run=run, spec={"image_size": size, "aspect": "squash"})
    try:
        path.write_bytes(text[:-1] + bytes([text[-1] ^ 1]))
        with mock.patch.object(settings.studies, "ROOT", tiny):
            said = settings.forget_changed(study)
        assert [path.name in line for line in said] == [True] and not owner.exists()
    finally:
        path.write_bytes(text)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        times = os.stat(path)
        owner.write_bytes(record)
        os.utime(owner, ns=(times.st_mtime_ns + 10**9, times.st_mtime_ns + 10**9))


@pytest.fixture
def copy(tiny, tmp_path):
    """A copy of the finished tiny study that a test may spoil."""
    root = tmp_path / "copy"
    shutil.copytree(tiny, root, symlinks=True, copy_function=shutil.copy2)
    return root


def test_a_changed_mask_is_an_error_that_names_the_row_and_keeps_the_results(copy):
    data = copy / "elsewhere"
    shutil.copytree(copy / "runs/phantom/data", data)
    images = pd.read_csv(copy / "data_manifest/phantom/images.csv", dtype=str)
    mask = data / images["mask"].iloc[3]
    mask.write_bytes(mask.read_bytes() + b"\0")
    before = files.sha256(copy / "runs/phantom/results/per_image.csv")
    done = workflow(copy, data=str(data))
    assert done.returncode != 0
    assert (
        f"image_id {images.image_id.iloc[3]}: mask {mask} has changed" in done.stderr + done.stdout
    )
    assert files.sha256(copy / "runs/phantom/results/per_image.csv") == before


def test_a_lost_phantom_image_is_drawn_again_and_gives_the_same_results(copy):
    images = pd.read_csv(copy / "data_manifest/phantom/images.csv", dtype=str)
    results = copy / "runs/phantom/results/per_image.csv"
    before = files.sha256(results)
    (copy / "runs/phantom/data" / images["image"].iloc[0]).unlink()
    said = workflow(copy, "--dry-run")
    assert "is not as it was made; data is made again" in said.stdout + said.stderr
    done = workflow(copy, "runs/phantom/data.json", "runs/phantom/results.json")
    assert done.returncode == 0, done.stderr
    assert files.sha256(results) == before
    assert not {"phantom", "check", "train", "fold", "results"} & set(planned(copy))


@pytest.mark.parametrize(
    ("name", "protocol", "data", "message"),
    [
        (
            "femoral",
            "quick",
            "",
            r"error: DATA=runs/femoral/data: no such folder.*`make data STUDY=femoral` downloads",
        ),
        (
            "femoral",
            "quick",
            "/no/where",
            r"error: DATA=/no/where: no such folder.*make study STUDY=femoral DATA=",
        ),
        (
            "femur",
            "quick",
            "",
            r"error: .*femur.study.yml: no such file. Studies here: femoral, phantom",
        ),
        ("phantom", "slow", "", r"error: .*no protocol 'slow'; it has quick, paper"),
        ("qlb", "quick", "/", r"error: .*qlb.images.csv: has a header but no rows"),
    ],
)
def test_a_wrong_request_ends_in_one_line(name, protocol, data, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # where no study has been run
    with pytest.raises(SystemExit, match=message) as stop:
        settings.begin(name, protocol, data)
    assert "\n" not in str(stop.value)


def test_folder_state_sees_every_file(tmp_path, monkeypatch):
    """A frame of a cine and files that are united as well, and the raters' outlines."""
    cells = {"image": ["a", "cine#3"], "mask": ["b", "{c.png|d.png}"]}
    raters = pd.DataFrame({"mask": ["e"]})
    monkeypatch.setattr(settings.studies, "images", lambda _: pd.DataFrame(cells))
    monkeypatch.setattr(settings.studies, "annotations", lambda _: raters)
    names = ["a", "b", "cine", "c.png", "d.png", "e"]
    for name in names:
        (tmp_path / name).write_text(name)
    found = [settings.folder_state(SimpleNamespace(), tmp_path)]
    for number, name in enumerate(names):
        os.utime(tmp_path / name, (1, number))
        found.append(settings.folder_state(SimpleNamespace(), tmp_path))
        (tmp_path / name).unlink()
        found.append(settings.folder_state(SimpleNamespace(), tmp_path))
    assert len(set(found)) == 1 + 2 * len(names)


def test_a_folder_is_a_name_whatever_it_holds(tiny, tmp_path):
    """Blank, umlaut, quote and a command in DATA: planned as they stand, nothing is run."""
    odd = tmp_path / "Bilder von 'Jürgen' $(touch x) ;touch x"
    odd.mkdir()
    done = workflow(tiny, "--dry-run", "--printshellcmds", data=str(odd))
    assert done.returncode == 0, done.stderr
    assert not (tiny / "x").exists() and not (REPOSITORY / "x").exists()


@pytest.mark.parametrize("name", ["$(touch x)", "a;b", "../phantom", "a b", "Ü"])
def test_a_name_that_a_shell_would_read_is_refused(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="error: "):
        settings.begin(name, "quick", "")
    assert not (tmp_path / "x").exists()


def test_another_size_length_and_choice_of_networks_are_a_protocol_of_their_own(tiny, monkeypatch):
    monkeypatch.setattr(studies, "ROOT", tiny)
    study = studies.load("phantom", "quick,size=48,epochs=3,models=femoral_unet")
    assert study.protocol == "quick,size=48,epochs=3,models=femoral_unet"
    assert (study.spec["image_size"], study.spec["epochs"]) == (48, 3)
    assert [m["name"] for m in study.models] == ["femoral_unet"]
    plain = studies.load("phantom", "quick")
    assert settings.settings(study) != settings.settings(plain)
    assert settings.cache_settings(study) != settings.cache_settings(plain)


@pytest.mark.parametrize("line", ["title: twice", "target: .nan"])
def test_a_key_said_twice_or_no_number_is_refused(tiny, tmp_path, monkeypatch, line):
    shutil.copytree(tiny / "data_manifest", tmp_path / "data_manifest")
    path = tmp_path / "data_manifest/phantom/study.yml"
    text = path.read_text()
    if line.endswith(".nan"):
        text = re.sub(r"lr: [\d.]+", "lr: .nan", text)
        assert ".nan" in text
    else:
        text += line + "\n"
    path.write_text(text)
    monkeypatch.setattr(studies, "ROOT", tmp_path)
    with pytest.raises(StudyError, match=r"study\.yml"):
        studies.load("phantom")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "*"])
def test_clean_removes_one_named_study_only(name):
    with pytest.raises(StudyError, match="name one study"):
        clean.clean(name)


def test_clean_says_that_no_study_is_called_so():
    with pytest.raises(
        StudyError, match=r"STUDY=phanton: no study is called so; there are .*phant"
    ):
        clean.clean("phanton")


def test_a_misspelt_network_is_named_before_any_image_is_read(tmp_path):
    asked = ["--study", "phantom", "--protocol", "quick,models=qvum+unett", "--data", str(tmp_path)]
    with pytest.raises(StudyError, match="no network 'unett'; there are qvum, unet,"):
        check.main(asked)


def test_a_second_run_of_a_study_ends_in_one_line_that_names_the_first(tmp_path):
    study = SimpleNamespace(run=tmp_path / "runs" / "x")
    held = settings.only_one(study)
    with pytest.raises(SystemExit, match=rf"process {os.getpid()}\) is at work here"):
        settings.only_one(study)
    held.close()
    settings.only_one(study).close()


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="no folder closed to root here")
def test_a_lock_that_may_not_be_written_is_one_line(tmp_path):
    """As that of another user: whoever ran the study here before."""
    lock = shrink(tmp_path) / "runs/phantom/.lock"
    lock.parent.mkdir(parents=True)
    lock.symlink_to("/sys/kernel/lock")
    done = workflow(tmp_path)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert f"error: {lock}: Permission denied; free it" in done.stderr


def test_nobody_verifies_beside_a_run_and_any_number_beside_each_other(tmp_path):
    run = tmp_path / "runs" / "x"
    assert lock.look(run, "`make verify`") is None  # nothing is there to look at
    study = SimpleNamespace(run=run)
    with settings.only_one(study), pytest.raises(SystemExit, match="another `make study`"):
        lock.look(run, "`make verify`")
    one, other = (lock.look(run, "`make verify`") for _ in range(2))
    with pytest.raises(SystemExit, match=rf"`make verify` \(process {os.getpid()}\) is at work"):
        settings.only_one(study)
    one.close()
    other.close()
    settings.only_one(study).close()


def test_pages_that_share_a_job_wait_for_none_that_waits_for_them():
    group = {page: settings.group(page, ABOUT[page]) for page in PAGES}
    measuring = [p for p in PAGES if ABOUT[p].get("threads") == "all"]
    assert measuring and all(list(group.values()).count(group[p]) == 1 for p in measuring)
    before = {(group[r], group[p]) for p in PAGES for r in ABOUT[p].get("reads", ())}
    assert {first for first, second in before if first != second}.isdisjoint({"reading"})
    assert {second for _, second in before} <= {"reading"}
