"""The statistics pages run from top to bottom on every kind of study, also where little or
nothing can be said.
"""

import ast
import re
import shutil

import matplotlib
import nbformat
import pandas as pd
import pytest
import stats_data
from conftest import REPOSITORY

from helpers import studies
from helpers.pages import KEPT

pytestmark = pytest.mark.slow

matplotlib.use("Agg")
#: page → kinds of study it is executed on; what it says of the others is tested with its sentences
EXECUTED = [
    ("01_cohort", "five networks"),
    ("01_cohort", "no patients"),
    ("05_comparison", "one network"),
    ("05_comparison", "three patients"),
    ("05_comparison", "no patients"),
    ("08_cross_validation", "five networks"),
    ("08_cross_validation", "no patients"),
    ("10_planning", "one network"),
    ("10_planning", "no patients"),
    ("13_more_statistics", "five networks"),
    ("13_more_statistics", "one network"),
    ("13_more_statistics", "three patients"),
    ("13_more_statistics", "no patients"),
    ("05_comparison", "one image a patient"),
    ("10_planning", "one image a patient"),
    ("13_more_statistics", "one image a patient"),
    ("05_comparison", "target nowhere"),
    ("10_planning", "target nowhere"),
    ("13_more_statistics", "target nowhere"),
]
#: pages that have no table where there is nothing to compare
EMPTY = {("05_comparison", "one network"), ("05_comparison", "target nowhere")}
PROGRAM = {"FunctionDef", "Lambda", "If", "IfExp", "For", "While", "Try"}
FEMORAL = {"nerve_block_region": 0.1}


def with_folds(rows, model, folds, **options):
    parts = [rows]
    for k in range(1, folds + 1):
        fold = stats_data.per_image(seed=k, models={model: 0.1}, **options).assign(fold=f"cv{k}")
        parts.append(
            fold.assign(
                image_id=fold["image_id"] + f"_{k}", patient_id=fold["patient_id"] + f"_{k}"
            )
        )
    out = pd.concat(parts, ignore_index=True)
    return out.assign(patient_id=out["patient_id"].where(out["patient_id"].str.startswith("p"), ""))


def results(kind):
    """Simulated results of one kind of study."""
    pair = {"qvum": 0.0, "unet": 0.3}
    if kind == "five networks":
        return "phantom", with_folds(
            stats_data.per_image(patients=12, mean_images=6, empty=0.1),
            "unet",
            3,
            patients=6,
            mean_images=4,
        )
    if kind == "one network":
        return "phantom", stats_data.per_image(patients=6, mean_images=2, models={"qvum": 0.0})
    if kind == "three patients":
        return "phantom", stats_data.per_image(patients=3, mean_images=5, models=pair)
    if kind == "one image a patient":
        rows = stats_data.per_image(patients=12, mean_images=3, models=pair)
        first = rows.drop_duplicates("patient_id")["image_id"]
        return "phantom", rows[rows["image_id"].isin(first)]
    if kind == "target nowhere":
        rows = stats_data.per_image(patients=8, mean_images=3, models=pair)
        return "phantom", stats_data.without(rows, "QLM")
    rows = stats_data.per_image(
        patients=30, mean_images=1, models=pair, shares=FEMORAL, known=False
    )
    return "femoral", with_folds(
        rows, "unet", 10, patients=8, mean_images=2, shares=FEMORAL, known=False
    )


def as_in(manifest, rows):
    """Simulated patients renamed to the manifest's test patients, so that ages and sexes are
    known.
    """
    names = (
        pd.read_csv(manifest / "images.csv", dtype=str)
        .query("split == 'test'")["patient_id"]
        .unique()
    )
    ids = {f"p{i:02d}": name for i, name in enumerate(names)}
    return rows.assign(patient_id=rows["patient_id"].map(lambda p: ids.get(p, p)))


@pytest.fixture
def root(tmp_path, monkeypatch):
    shutil.copytree(REPOSITORY / "data_manifest", tmp_path / "data_manifest")
    for path in tmp_path.glob("data_manifest/*/study.yml"):
        few = re.sub(r"draws: \d+", "draws: 300", path.read_text(encoding="utf-8"))
        path.write_text(few, encoding="utf-8")
    monkeypatch.setattr(studies, "ROOT", tmp_path)
    with matplotlib.rc_context():  # a page sets the study's style
        yield tmp_path


def run(page, parameters):
    """Execute a page's code cells in order, its parameters replaced; returns what was
    displayed.
    """
    shown = []
    space = {"display": shown.append, "__name__": "page"}
    notebook = nbformat.read(REPOSITORY / "notebooks" / f"{page}.ipynb", as_version=4)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        exec(compile(cell.source, f"{page}:{cell.id}", "exec"), space)
        if "parameters" in cell.metadata.get("tags", []):
            space.update(parameters)
    return space, shown


@pytest.mark.parametrize(("page", "kind"), EXECUTED)
def test_page(page, kind, root):
    study, rows = results(kind)
    target = root / "runs" / study / "results"
    target.mkdir(parents=True)
    rows = as_in(root / "data_manifest" / study, rows) if study == "phantom" else rows
    rows.assign(study=study).to_csv(target / "per_image.csv", index=False)
    (root / "runs" / study / KEPT).write_text("{}", encoding="utf-8")  # numbers, no images
    extra = {"simulations": 100} if page == "13_more_statistics" else {}
    run(page, {"study": study} | extra)
    made = sorted((root / "runs" / study).rglob("tables/*.csv"))
    assert made or (page, kind) in EMPTY, "nothing to compare"
    for path in made:
        assert len(pd.read_csv(path).columns) > 1, path.name
        assert ("tryout" in path.parts) == bool(extra), path


def test_no_notebook_hides_a_program():
    for page in sorted((REPOSITORY / "notebooks").glob("*.ipynb")):
        for cell in nbformat.read(page, as_version=4).cells:
            if cell.cell_type == "code":
                found = [type(n).__name__ for n in ast.walk(ast.parse(cell.source))]
                assert not PROGRAM & set(found), (page.stem, cell.id)
                assert "plt" not in cell.source, (page.stem, cell.id)
