"""One executed notebook as one page: code one click away, vector figures, tables to download,
where it came from.
"""

import html
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from bs4 import BeautifulSoup
from nbformat.v4 import new_markdown_cell, new_output

from helpers import files, studies
from helpers.errors import StudyError
from helpers.models import catalogue
from tools.book import markup
from tools.book.filters import ANCHOR

#: a line break that does not end a block of HTML in Markdown, as an empty line would
NEWLINE = "&#10;"
#: kinds of output that a page may hold; the first that an output has is shown
SHOWN = ("text/html", "image/png", "text/markdown", "text/plain")


@dataclass(frozen=True)
class Page:
    """A page of the book. name: file name without suffix; title: as in the contents; notebook:
    what it shows.
    """

    name: str
    title: str
    notebook: nbformat.NotebookNode


def read(path: Path | str) -> tuple[Any, dict]:
    """(notebook, record) of an executed notebook; StudyError when it, or the record beside it
    (.json), is missing.
    """
    path = Path(path)
    record = path.with_suffix(".json")
    for needed in (path, record):
        if not needed.is_file():
            raise StudyError(
                f"{needed}: no such file; run `make study` to execute the notebooks first"
            )
    return nbformat.read(path, as_version=4), files.read_json(record)


def made_twice(paths: Sequence[Path]) -> list[str]:
    """One line for every file that two of the executed notebooks wrote: the later one is what
    is left.
    """
    makers = {}
    for path in paths:
        for name in read(path)[1]["files"]:
            makers.setdefault(name, []).append(path.stem)
    return [
        f"{name} is written by {' and by '.join(pages)}; give one of them another name"
        for name, pages in makers.items()
        if len(pages) > 1
    ]


def makers(paths: Sequence[Path]) -> dict[str, str]:
    """Name of a table → page of the book that makes it, from the records of the executed
    notebooks.
    """
    return {
        Path(name).stem: _page(path)
        for path in paths
        for name in read(path)[1]["files"]
        if name.endswith(".csv") and Path(name).parent.name == "tables"
    }


def make(
    path: Path,
    study: studies.Study,
    name: str,
    title: str | None = None,
    links: markup.Links = markup.NOTHING,
) -> Page:
    """The Page of an executed notebook.

    title: replaces the notebook's first heading where given; links: what sentences and tables lead
    to. StudyError for a picture without a saved figure.
    """
    notebook, record = read(path)
    heading = _first_heading(notebook, path)
    if title:
        heading.source = re.sub(
            r"^# .*$", lambda _: f"# {title}", heading.source, count=1, flags=re.MULTILINE
        )
    first = re.search(r"^# (.*)$", heading.source, re.MULTILINE)
    assert first  # it was found by it
    section = title = first[1].strip()
    about = _About(path, study, _made(notebook, record), markup.Numbers(name), links)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            section = (re.findall(r"^#+ (.*)$", cell.source, re.MULTILINE) or [section])[-1].strip()
            cell.source = links.page(links.numbered(cell.source, ANCHOR), ANCHOR)
        elif cell.cell_type == "code":
            cell.metadata["tags"] = [
                *(t for t in cell.metadata.get("tags", []) if "-" not in t),
                "remove-input" if name == "index" else "hide-input",
            ]
            cell.outputs = [
                shown for out in _joined(cell.outputs) if (shown := _output(out, section, about))
            ]
    notebook.cells = _folded(notebook.cells)
    if name == "index":  # a clinician's page: its code in one fold at the foot
        notebook.cells.append(new_markdown_cell(_code(notebook.cells), id="code"))
    notes = stand_ins(study, notebook)
    notebook.cells.append(new_markdown_cell(notes + origin(study, record, path), id="provenance"))
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python", "pygments_lexer": "python"},
        }
    )
    return Page(name, title, notebook)


def below(page: Page, headings: Sequence[str]) -> dict[str, str]:
    """What a page says in sentences below each of some headings: heading → HTML."""
    found: dict[str, str] = {}
    here = None
    for cell in page.notebook.cells:
        if cell.cell_type == "markdown" and (own := re.search(r"^## (.*)$", cell.source, re.M)):
            here = own[1] if own[1] in headings else None
        shown = [out.get("data", {}).get("text/html", "") for out in cell.get("outputs", ())]
        said = [text for text in shown if text.startswith('<div class="study-text">')]
        if here and said:
            found[here] = found.get(here, "") + "".join(said)
    return found


def labels(paths: Sequence[Path]) -> dict[str, tuple[str, str]]:
    """'tables/areas' → ('Table 6.2', its address in the book), of every numbered table and figure
    of the executed notebooks.
    """
    found = {}
    for path in paths:
        name = _page(path)
        numbers = markup.Numbers(name)
        outputs = [out for cell in read(path)[0].cells for out in cell.get("outputs", ())]
        for output in outputs:
            data = output.get("data", {})
            shown = [("Figure", f"figures/{_figure(output)}")] if _figure(output) else []
            if "text/html" in data:
                tables = BeautifulSoup(markup.clean(data["text/html"]), "html.parser")
                shown = [("Table", f"tables/{t.get('data-table')}") for t in tables("table")]
            for kind, file in shown:
                label, anchor = numbers.next(kind)
                if label:
                    found[file] = (label, f"{name}.html#{anchor}")
    return found


def _figure(output: Any) -> str | None:
    """The name under which an output was saved as a figure, or None."""
    return output.get("metadata", {}).get("study", {}).get("figure")


def _made(notebook: Any, record: dict) -> str:
    """From what and by which notebook a page's tables and figures were made, as HTML.

    What a page is made from stands in its metadata where that is not per_image.csv.
    """
    said = notebook.metadata.get("study", {})
    source = said.get("from", said.get("run", "").removeprefix("a "))
    source = html.escape(source) if source else '<a href="data.html#per-image">per_image.csv</a>'
    return f'made from {source} by <a href="#origin">{html.escape(record["notebook"])}</a>'


def _first_heading(notebook: Any, path: Path) -> Any:
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and re.search(r"^# ", cell.source, re.MULTILINE):
            return cell
    raise StudyError(
        f"{path}: no cell starts with a heading ('# …'), so the page would have no title; add one"
    )


def _code(cells: list) -> str:
    """The code of all cells as one fold of HTML."""
    code = "\n\n".join(cell.source for cell in cells if cell.cell_type == "code")
    return (
        "<details class='study-log'><summary>Show the code of this page</summary>\n"
        f"<pre>{html.escape(code).replace(chr(10), NEWLINE)}</pre></details>"
    )


def _folded(cells: list) -> list:
    """The cells with code cells that follow each other made one, so that a page shows one fold
    and not several.
    """
    folded = []
    for cell in cells:
        if folded and cell.cell_type == folded[-1].cell_type == "code":
            folded[-1].source += "\n\n" + cell.source
            folded[-1].outputs += cell.outputs
        else:
            folded.append(cell)
    return folded


def _joined(outputs: list) -> list:
    """The outputs with messages that follow each other made one."""
    joined = []
    for output in outputs:
        if output.output_type == "stream" and joined and joined[-1].output_type == "stream":
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


@dataclass(frozen=True)
class _About:
    """What every output of a page is shown with. made: from what and by which notebook, as HTML."""

    path: Path
    study: studies.Study
    made: str
    numbers: markup.Numbers
    links: markup.Links


def _output(output: Any, section: str, about: _About) -> Any:
    """The output as the page shows it, or None for an empty one. Scripts never pass."""
    if output.output_type == "stream":
        log = html.escape(output.text)
        return (
            _html(
                '<details class="study-log"><summary>Messages while running</summary>'
                f"<pre>{log}</pre></details>"
            )
            if output.text.strip()
            else None
        )
    if output.output_type == "error":
        raise StudyError(f"{about.path}: holds an error ({output.ename}); run `make study` again")
    kind = next((k for k in SHOWN if k in output.data), None)
    if kind is None:
        return None
    data = output.data[kind]
    if kind == "image/png":
        figure = _figure(output)
        folder = about.study.run / "figures"
        missing = [s for s in ("svg", "png") if not (folder / f"{figure}.{s}").is_file()]
        if not figure or missing:
            lost = f"{figure}.{missing[0]} is missing" if figure else "was not saved under a name"
            raise StudyError(f"{about.path}, section “{section}”: a figure {lost}; run it again")
        return _html(markup.figure(folder, figure, section, about))
    if kind == "text/html":
        return _html(markup.tables(markup.clean(data), section, about))
    if kind == "text/markdown":
        return _html(markup.sentences(data, about.links))
    return new_output("display_data", {kind: data})


def _html(text: str) -> Any:
    return new_output("display_data", {"text/html": text})


def origin(study: studies.Study, record: dict, path: Path) -> str:
    """Where a page came from, as Markdown with one HTML block: notebook, parameters, code,
    time, data, files.
    """
    parameters = ", ".join(f"{k} = {v}" for k, v in record.get("parameters", {}).items())
    rows = [
        (
            "Notebook",
            f'<a href="notebooks/{path.stem if path.stem != "03_train" else slug(path)}.ipynb"'
            " download>"
            f"{html.escape(record['notebook'])}</a> as it ran",
        ),
        ("Parameters", html.escape(parameters)),
        ("Code version", html.escape(record.get("code", "unknown"))),
        ("Started, finished", f"{record.get('started', '?')}, {record.get('finished', '?')}"),
        ("Data", f"images.csv, sha256 {files.sha256(study.root / 'images.csv')}"),
    ]
    made = "".join(f"<li>{_file(study, name)}</li>" for name in record["files"])
    body = "".join(f"<tr><th scope='row'>{k}</th><td>{v}</td></tr>" for k, v in rows)
    return (
        f'<details class="study-origin" id="origin"><summary>Where this page came'
        f" from</summary>\n<table>{body}</table>\n<p>Files made:</p><ul>{made}</ul></details>"
    )


def stand_ins(study: studies.Study, notebook: Any) -> str:
    """A note for each network that is a reconstruction and that the page shows without saying so
    under a table, as HTML.
    """
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", ())]
    shown = " ".join(out.get("data", {}).get("text/html", "") for out in outputs)
    pictures = re.findall(r'src="(figures/[\w.-]+\.svg)"', shown)
    shown += "".join((study.run / name).read_text(encoding="utf-8") for name in pictures)
    rebuilt = [e for m in study.models if (e := catalogue.entry(m["name"])).is_reconstruction]
    return "".join(
        f"<p class='study-note'>{html.escape(f'{e.label} ({e.source}): {e.note}')}</p>\n\n"
        for e in rebuilt
        if e.label in shown and f"{e.label} is a stand-in" not in shown
    )


def _page(path: Path) -> str:
    """The name of an executed notebook's page in the book."""
    if path.stem == "03_train":
        return slug(path)
    return "index" if path.stem == "00_summary" else path.stem


def slug(path: Path) -> str:
    """A training's page name: runs/x/train/unet/main_11/03_train.ipynb → 'train_unet_main_11'."""
    return f"train_{path.parent.parent.name}_{path.parent.name}"


def _file(study: studies.Study, name: str) -> str:
    place = Path(os.path.normpath(studies.ROOT / name))
    text = html.escape(name)
    if place.parent in (study.run / "tables", study.run / "figures"):
        return f'<a href="{place.parent.name}/{place.name}">{text}</a>'
    return text
