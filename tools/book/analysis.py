"""A study's statistics from its kept numbers alone: python -m tools.book.analysis --study NAME.

Needs reports/<study>/results/<protocol> and data_manifest/<study>; neither images nor torch. The
run is laid out and its book made below runs/analysis/, so that a run with images stays what it is.
Pages that show images are in the book too, and say what they need.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pandas as pd
from nbformat.v4 import new_markdown_cell, new_notebook

from helpers import datasets, files, pages, provenance, studies
from helpers.analyses import raters
from helpers.errors import StudyError, command
from helpers.figures import model_label
from helpers.workflow import headline, keep, notebook, settings, warm

#: pages made of numbers; the front page reads their tables and comes last
NUMBERS = (
    *("01_cohort", "04_segmentation", "05_comparison", "08_cross_validation", "09_published"),
    *("10_planning", "13_more_statistics"),
)
FRONT, TRAINING = "00_summary", "03_train"
#: what a trial may ask for, a parameter of every page that declares it
PARAMETERS = ("metric", "class_name", "test", "unit", "margin")


def lay_out(study: studies.Study, root: Path) -> dict[tuple[str, str, int], Path]:
    """Write runs/<study> below the new folder ``root`` from the study's kept numbers, as a run with
    images would have left them. Returns the kept trainings (``keep.trainings``).
    """
    kept, run = keep.trainings(study), root / "runs" / study.name
    if study.headline not in (models := {model for model, _, _ in kept}):
        raise StudyError(
            f"{keep.folder(study)}: holds no training of {study.headline}, which the study is"
            f" about, only of {', '.join(sorted(models))}"
        )
    shutil.rmtree(run, ignore_errors=True)
    rows = pd.concat([keep.counts(path) for path in kept.values()], ignore_index=True)
    _same_images(study, rows)
    files.write_csv(rows, run / "results" / "per_image.csv")
    for (model, fold, seed), path in kept.items():
        keep.restore(path, run / "train" / model / f"{fold}_{seed}")
    for name in keep.PAGES:
        if (source := keep.folder(study) / name).is_file():
            (run / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, run / name)
    if not (run / "results" / "agreement.csv").is_file():
        if studies.annotations(study) is not None:
            raise StudyError(
                f"{keep.folder(study)}: without results/agreement.csv, how far the raters of this"
                f" study agree; run `make study STUDY={study.name}` to its end and `make keep`"
            )
        files.write_csv(pd.DataFrame(columns=raters.COLUMNS), run / "results" / "agreement.csv")
    about = {"protocol": study.protocol, "from": str(keep.folder(study))}
    files.write_json(about, run / pages.KEPT)
    link = root / "data_manifest"
    if not link.is_symlink():
        link.symlink_to(studies.ROOT / "data_manifest")
    return kept


def _same_images(study: studies.Study, rows: pd.DataFrame) -> None:
    """StudyError where the kept numbers are not of the images that images.csv lists, all of them in
    their splits, and of those of a fold in each fold.
    """
    images = studies.images(study)
    folds = pd.Series(datasets.folds(study, images) + 1, images["image_id"])
    known = images.set_index("image_id")["split"]
    for (model, fold, seed), own in rows.groupby(["model", "fold", "seed"]):
        there = own.drop_duplicates("image_id").set_index("image_id")["split"]
        wanted = known
        if fold != "main":
            wanted = known[folds == int(fold.removeprefix("cv"))].map(lambda _: "test")
        odd = [i for i, split in there.items() if wanted.get(i) != split]
        odd += [i for i in wanted.index if i not in there.index]
        if odd:
            raise StudyError(
                f"{keep.folder(study)}: {len(odd)} images of {model}, {fold}, seed {seed} are"
                f" missing, or not in images.csv or that fold, or in another split there"
                f" ({', '.join(odd[:4])}); the numbers are of another list of images"
            )


def unseen(study: studies.Study, name: str, root: Path, cells: Sequence[str] = ()) -> None:
    """Write the page ``name`` of the book as one that needs images: its own opening, what is there
    without them (``cells``, Markdown), and what to do.
    """
    original = nbformat.read(provenance.REPOSITORY / f"notebooks/{name}.ipynb", as_version=4)
    opening = next(c.source for c in original.cells if c.cell_type == "markdown")
    needs = f"*{pages.NEEDS_IMAGES.format(study=study.name)}.*".replace("This part", "This page")
    out = root / "runs" / study.name / "notebooks" / f"{name}.ipynb"
    out.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(
        new_notebook(cells=[new_markdown_cell(t) for t in (opening, *cells, needs)]), out
    )
    parameters = {"study": study.name, "protocol": study.protocol}
    about = {"notebook": f"{name}.ipynb", "parameters": parameters}
    about |= {"started": provenance.now(), "finished": provenance.now()}
    about |= {"code": provenance.code_version(), "files": []}
    files.write_json(about, out.with_suffix(".json"))


def trained(kept: dict[tuple[str, str, int], Path]) -> str:
    """The kept trainings as a Markdown table: what was trained when, on what, and how long."""
    lines = [
        "| network | images | seed | epochs | on | finished | code |",
        "|---|---|---|---|---|---|---|",
    ]
    for (model, fold, seed), path in kept.items():
        about = keep.record(path)
        said = ["not recorded", "", "", ""]
        if about:
            where = about["hardware"].get("processor", about["hardware"]["machine"])
            said = [about["training"]["epochs"], f"{where}, {about['hardware']['cores']} cores"]
            said += [about["finished"], about["code"]]
        images = "the study's split" if fold == "main" else f"fold {fold.removeprefix('cv')}"
        lines.append("| " + " | ".join(map(str, [model_label(model), images, seed, *said])) + " |")
    return "\n".join(lines)


def _run(arguments: list[str], root: Path) -> str:
    """Run a module in a process of its own that finds the study below ``root``."""
    paths = filter(None, [str(provenance.REPOSITORY), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {
        "STUDY_ROOT": str(root),
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
        "STUDY_WARM": warm.place(),
    }
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=provenance.REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        start = next((k for k, line in enumerate(said) if line.startswith("error: ")), -15)
        raise StudyError("\n".join(said[start:]).removeprefix("error: "))
    return done.stdout


def run_page(
    study: studies.Study, name: str, root: Path, changed: Mapping[str, str] | None = None
) -> Path:
    """Execute one notebook on the study below ``root``; returns its path. changed: name → value of
    PARAMETERS; with any, the page and what it writes go to runs/<study>/tryout/.
    """
    path = provenance.REPOSITORY / f"notebooks/{name}.ipynb"
    given = {"study": study.name, "protocol": study.protocol, **(changed or {})}
    folder = "tryout" if changed else "notebooks"
    out = root / "runs" / study.name / folder / f"{name}.ipynb"
    options = [part for key, value in given.items() for part in ("-p", key, str(value))]
    _run(["helpers", "notebook", str(path), str(out), *options], root)
    return out


def takes(name: str, changed: Iterable[str]) -> bool:
    """Whether a page declares every one of these parameters."""
    return set(changed) <= set(
        notebook.parameters(provenance.REPOSITORY / f"notebooks/{name}.ipynb")
    )


def make(study: studies.Study, root: Path) -> Path:
    """Lay the run out, execute every page of numbers and make the book; returns its path."""
    kept = lay_out(study, root)
    printed = studies.ROOT / "data_manifest" / study.name / "published.yml"
    results = root / "runs" / study.name / "results"
    _run(["tools.audit", str(printed), "--out", str(results)], root)
    about = settings.pages(provenance.REPOSITORY / "notebooks")
    for name, said in about.items():
        if name == TRAINING:
            unseen(study, name, root, [trained(kept)])
        elif name not in (*NUMBERS, FRONT) and "run" not in said:
            unseen(study, name, root)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for out in pool.map(lambda name: run_page(study, name, root), NUMBERS):
            print(out.stem, flush=True)
    run_page(study, FRONT, root)
    _run(["tools.book", "--study", study.name, "--protocol", study.protocol], root)
    return root / "reports" / study.name / "book" / "index.html"


def main(arguments: list[str] | None = None) -> None:
    """Make the statistics of a study, and its book, from kept numbers alone."""
    parser = argparse.ArgumentParser(prog="tools.book.analysis", description=main.__doc__)
    parser.add_argument("--study", required=True)
    parser.add_argument("--protocol", default="quick")
    for name in PARAMETERS:
        parser.add_argument(
            f"--{name}", help="only pages that take it, beside the study's own, which stay"
        )
    args = parser.parse_args(arguments)
    study, root = studies.load(args.study, args.protocol), studies.ROOT / "runs" / "analysis"
    root.mkdir(parents=True, exist_ok=True)
    changed = {name: value for name in PARAMETERS if (value := getattr(args, name))}
    taking = [name for name in NUMBERS if takes(name, changed)] if changed else []
    if changed and not taking:
        raise StudyError(f"no page takes {' and '.join(changed)} together")
    make(study, root)
    for name in taking:
        print(f"a trial: {run_page(study, name, root, changed)}")
    print("\n".join(headline.lines(study.name, root)))


if __name__ == "__main__":
    command(main)
