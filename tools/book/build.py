"""Put the pages of a study together, have Sphinx make the book in a temporary folder, and move it
into place.
"""

import contextlib
import html
import io
import os
import re
import shutil
import tempfile
from pathlib import Path

import nbformat
from nbformat.v4 import new_markdown_cell

from helpers import runs, studies
from helpers.errors import StudyError
from helpers.figures import model_label
from helpers.workflow import results
from tools.book import cases, claim, crate, judged, markup, pack, pages, plan, readers, trail
from tools.book.harden import harden
from tools.book.markup import escaped

ASSETS = Path(__file__).parent / "book"
SUMMARY = "00_summary"
#: parts of the front page that the model card repeats
CARD = (
    "The answer",
    "What should worry you",
    "Is it better than the others?",
    "What it does not show",
)
BESIDE = ("book.zip", "book.pdf", "seal.sha256")


def folder(study: studies.Study) -> Path:
    """reports/<study>, where the book and its zip lie."""
    return studies.ROOT / "reports" / study.name


def build(study: studies.Study, pdf: bool = False) -> Path:
    """Make reports/<study>/book from the executed notebooks of a study; returns the path of
    index.html.

    Needs every runs/<study>/notebooks/*.ipynb and train/*/*/03_train.ipynb with its record; nothing
    is executed. The book that stands there is replaced only when all of the new one is made.
    """
    place = folder(study)
    place.mkdir(parents=True, exist_ok=True)
    for left in place.glob(".book*"):  # of a run that was killed
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(dir=place, prefix=".book") as temporary:
        out = Path(temporary) / "book"
        names = make(study, out)
        pack.write_manifest(study, out)
        pack.write_zip(out, Path(temporary) / "book.zip")
        if pdf:
            printed = [name for name in names if name not in pack.NOT_PRINTED]
            pack.write_pdf(out, printed, Path(temporary) / "book.pdf")
        pack.write_seal(Path(temporary))
        _swap(Path(temporary), place)
    results.made(study.run / "book.json", place / "book", *_beside(place))
    pack.write_shelf()
    return place / "book" / "index.html"


def _beside(place: Path) -> list[Path]:
    """What stands beside a book: its zip, its PDF and its seal, those that are there (list)."""
    return [path for name in BESIDE if (path := place / name).exists()]


def make(study: studies.Study, out: Path) -> list[str]:
    """Write the whole book to the new folder ``out``; returns the names of its pages in reading
    order.

    Any warning of Sphinx, a figure without its files, and any address outside the book in a page,
    is a StudyError.
    """
    notebooks = sorted((study.run / "notebooks").glob("*.ipynb"))
    notebooks = [p for p in notebooks if not p.name.endswith(".failed.ipynb")]
    if not notebooks:
        raise StudyError(
            f"{study.run / 'notebooks'}: no executed notebook; run `make study STUDY={study.name}`"
        )
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "source"
        source.mkdir()
        names = write_source(study, notebooks, source)
        run_sphinx(study, source, out, Path(temporary) / "doctrees")
    (out / ".buildinfo").unlink()  # of Sphinx: another each time
    for name in ("tables", "figures"):
        if (study.run / name).is_dir():
            shutil.copytree(study.run / name, out / name, dirs_exist_ok=True)
    copy_notebooks(notebooks, trainings(study), out / "notebooks")
    if cases.available(study):
        cases.write(study, out)
        readers.write(study, out, ASSETS)
        if (said := judged.answers(study)) is not None:
            judged.write(study, said, out)
    (out / "manifest").mkdir()
    shutil.copy(study.root / "study.yml", out / "manifest" / "study.yml")
    if (study.run / "results").is_dir():
        shutil.copytree(study.run / "results", out / "results")
    harden(out)
    crate.write(study, notebooks, trainings(study), out)
    return names


def trainings(study: studies.Study) -> list[Path]:
    """The executed training notebooks of the study's protocol, in its order."""
    paths = [runs.folder(study, *training) / "03_train.ipynb" for training in study.trainings()]
    return [path for path in paths if path.is_file()]


def write_source(study: studies.Study, notebooks: list[Path], source: Path) -> list[str]:
    """Write every page of the book and its contents to the folder ``source``; returns their names
    in reading order.
    """
    names = [p.stem for p in notebooks]
    ids = cases.ids(study) if cases.available(study) else frozenset()
    links = markup.Links(names, ids, pages.labels(notebooks))
    made = [
        pages.make(p, study, "index" if p.stem == SUMMARY else p.stem, links=links)
        for p in notebooks
    ]
    learned = [
        pages.make(p, study, pages.slug(p), _training_title(p), links) for p in trainings(study)
    ]
    for page in [p for p in made if p.name != "index"] + learned:
        nbformat.write(page.notebook, source / f"{page.name}.ipynb")
    for line in pages.made_twice(notebooks):
        print(f"warning: {line}", flush=True)
    names = [p.name for p in made if p.name != "index"]
    if learned:
        entries = "\n".join(f"{p.title} <{p.name}>" for p in learned)
        text = (
            "# 3 · Training\n\nOne page for each training.\n\n```{toctree}\n:maxdepth:"
            f" 1\n\n{entries}\n```\n"
        )
        (source / "training.md").write_text(text, encoding="utf-8")
        names = [n for n in names if n < "03"] + ["training"] + [n for n in names if n > "03"]
    if cases.available(study):
        said = judged.answers(study)
        told = cases.UNJUDGED if said is None else cases.JUDGED
        (source / "cases.md").write_text(cases.PAGE + told, encoding="utf-8")
        names.append("cases")
        if said is not None:
            (source / f"{judged.NAME}.md").write_text(judged.page(study, said), encoding="utf-8")
            names.append(judged.NAME)
    front = next((p for p in made if p.name == "index"), None)
    names += ["plan", "claim", "card", "data", "definitions"]
    (source / "data.md").write_text(
        trail.data(study, pages.makers([*notebooks, *trainings(study)])), encoding="utf-8"
    )
    (source / "definitions.md").write_text(trail.definitions(links), encoding="utf-8")
    (source / "plan.md").write_text(plan.page(study), encoding="utf-8")
    (source / "claim.md").write_text(claim.checklist(study, {"index", *names}), encoding="utf-8")
    (source / "card.md").write_text(
        claim.card(study, pages.below(front, CARD) if front else {}), encoding="utf-8"
    )
    write_index(study, names, front, source)
    return ["index", *names]


def write_index(
    study: studies.Study, names: list[str], front: pages.Page | None, source: Path
) -> None:
    """Write the page that a book opens with: ``front``, or the study's title without one."""
    contents = "```{toctree}\n:hidden:\n:maxdepth: 1\n\n" + "\n".join(names) + "\n```"
    if front is None:
        words = f"# {escaped(titled(study))}\n\n{escaped(study.question)}\n\n{contents}\n"
        (source / "index.md").write_text(words, encoding="utf-8")
    else:
        front.notebook.cells.append(new_markdown_cell(contents, id="contents"))
        nbformat.write(front.notebook, source / "index.ipynb")


def _training_title(path: Path) -> str:
    fold, seed = path.parent.name.rsplit("_", 1)
    where = (
        "the study's split"
        if fold == "main"
        else f"fold {fold.removeprefix('cv')} of the cross-validation"
    )
    return f"{model_label(path.parent.parent.name)}, {where}, seed {seed}"


def titled(study: studies.Study) -> str:
    """A study's title without markup: the theme writes it raw in one place, escaped in another."""
    return study.title.replace("<", "‹").replace(">", "›")


def run_sphinx(study: studies.Study, source: Path, out: Path, doctrees: Path) -> None:
    """Build the HTML; StudyError with Sphinx's own lines when it warns or fails."""
    from sphinx.application import Sphinx  # slow to import
    from sphinx.util.docutils import docutils_namespace

    title = titled(study)
    options = {"project": title, "html_title": title}
    if study.synthetic:
        options["html_theme_options.announcement"] = (
            f"<strong>Synthetic data.</strong> {html.escape(study.note)}"
        )
    elif study.note:
        options["html_theme_options.announcement"] = html.escape(study.note)
    warnings = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), docutils_namespace():
        app = Sphinx(
            source,
            ASSETS,
            out,
            doctrees,
            "html",
            confoverrides=options,
            status=None,
            warning=warnings,
            freshenv=True,
        )
        app.build(force_all=True)
    lines = [
        re.sub(r"\x1b\[[0-9;]*m", "", line)
        for line in warnings.getvalue().splitlines()
        if line.strip()
    ]
    if lines or app.statuscode:
        shown = "\n".join(f"  - {line.replace(str(source) + os.sep, '')}" for line in lines[:20])
        raise StudyError(
            f"the book of {study.name} was not made: {len(lines)} warning(s) of Sphinx\n{shown}"
        )


def copy_notebooks(notebooks: list[Path], learned: list[Path], place: Path) -> None:
    """Copy the executed notebooks, which the pages link to."""
    place.mkdir(parents=True)
    for path in notebooks:
        shutil.copy(path, place / path.name)
    for path in learned:
        shutil.copy(path, place / f"{pages.slug(path)}.ipynb")


def _swap(new: Path, place: Path) -> None:
    """Put everything in the folder ``new`` where its namesake in ``place`` is."""
    aside = new / "replaced"
    aside.mkdir()
    for name in ("book", *BESIDE):
        if (place / name).exists():
            os.replace(place / name, aside / name)
        if (new / name).exists():
            os.replace(new / name, place / name)
