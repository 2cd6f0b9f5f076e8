"""One executed notebook as one page: code one click away, vector figures, tables to download,
where it came from.
"""

import html
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat.v4 import new_markdown_cell, new_output

from helpers import files, studies
from helpers.errors import StudyError
from helpers.models import catalogue
from tools.book import pictures

TALL = 30  # rows; a longer table is folded
#: kinds of output that a page may hold, the first that an output has is shown; scripts are none
#: of
#: them
SHOWN = ("text/html", "image/svg+xml", "image/png", "image/jpeg", "text/markdown", "text/plain")


@dataclass(frozen=True)
class Page:
    """A page of the book. name: file name without suffix; title: as in the contents; notebook:
    what it shows.
    """

    name: str
    title: str
    notebook: nbformat.NotebookNode


def read(path):
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
    return nbformat.read(path, as_version=4), json.loads(record.read_text(encoding="utf-8"))


def made_twice(paths):
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


def make(path, study, name, title=None):
    """The Page of an executed notebook. title: replaces the notebook's first heading where
    given.
    """
    notebook, record = read(path)
    heading = _first_heading(notebook, path)
    if title:
        heading.source = re.sub(
            r"^# .*$", lambda _: f"# {title}", heading.source, count=1, flags=re.MULTILINE
        )
    title = re.search(r"^# (.*)$", heading.source, re.MULTILINE)[1].strip()
    figures = pictures.Figures.of(study, record["files"])
    section = title
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            section = (re.findall(r"^#+ (.*)$", cell.source, re.MULTILINE) or [section])[-1].strip()
        elif cell.cell_type == "code":
            cell.metadata["tags"] = [
                *(t for t in cell.metadata.get("tags", []) if "-" not in t),
                "hide-input",
            ]
            cell.outputs = [
                shown
                for out in _joined(cell.outputs)
                if (shown := _output(out, study, figures, section, record))
            ]
    notebook.cells = _folded(notebook.cells)
    notebook.cells.append(new_markdown_cell(origin(study, record, path), id="provenance"))
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python", "pygments_lexer": "python"},
        }
    )
    return Page(name, title, notebook)


def _first_heading(notebook, path):
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and re.search(r"^# ", cell.source, re.MULTILINE):
            return cell
    raise StudyError(
        f"{path}: no cell starts with a heading ('# …'), so the page would have no title; add one"
    )


def _folded(cells):
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


def _joined(outputs):
    """The outputs with messages that follow each other made one."""
    joined = []
    for output in outputs:
        if output.output_type == "stream" and joined and joined[-1].output_type == "stream":
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def _output(output, study, figures, section, record):
    """The output as the page shows it, or None for an empty one. Scripts never pass."""
    if output.output_type == "stream":
        return (
            _html(
                '<details class="study-log"><summary>Messages while running</summary>'
                f"<pre>{html.escape(output.text)}</pre></details>"
            )
            if output.text.strip()
            else None
        )
    if output.output_type == "error":
        raise StudyError(
            f"{record['notebook']}: holds an error ({output.ename}); run `make study` again"
        )
    kind = next((k for k in SHOWN if k in output.data), None)
    if kind is None:
        return None
    data = output.data[kind]
    if kind == "image/png" and (found := figures.match(data)):
        return _html(figures.figure(found, section, record["notebook"]))
    if kind == "text/html":
        data = _tables(clean(data), study, section, record["notebook"])
    elif kind == "image/svg+xml":
        return _html(clean(data))
    elif kind in ("image/png", "image/jpeg"):
        return _html(
            f'<img class="study-picture" alt="{html.escape(section)}"'
            f' src="data:{kind};base64,{data.strip()}">'
        )
    elif kind == "text/markdown":
        data = re.sub(
            r"^#+ (.*)$", r"**\1**", data, flags=re.MULTILINE
        )  # headings belong to the notebook's own cells
    return new_output("display_data", {kind: data})


def _html(text):
    return new_output("display_data", {"text/html": text})


def clean(text):
    """HTML from a cell without scripts, frames, event handlers and addresses outside the book."""
    text = re.sub(
        r"<(script|iframe|object|embed)\b.*?(</\1\s*>|/>|$)",
        "",
        text,
        flags=re.IGNORECASE | re.DOTALL,
    )
    text = re.sub(r"""\son\w+\s*=\s*("[^"]*"|'[^']*'|[^\s>]+)""", "", text, flags=re.IGNORECASE)
    return re.sub(
        r"""(src|href|xlink:href)\s*=\s*(["']?)\s*(javascript|https?|//)[^"'>\s]*\2""",
        "",
        text,
        flags=re.IGNORECASE,
    )


def _tables(text, study, section, notebook):
    """Every table in a frame that scrolls, with a link to its CSV where it is one of the
    study's.
    """

    def framed(match):
        table = re.sub(r">\s*(nan|None|NaT|&lt;NA&gt;)\s*</td>", ">–</td>", match[0])
        for kind, size in (
            ("long", "40,"),
            ("mid", "16,39"),
        ):  # so that words do not stand one below the other
            cell = r'<td([^>]*?)class="([^"]*)"([^>]*)>([^<]{' + size + "})</td>"
            table = re.sub(cell, rf'<td\1class="\2 study-{kind}"\3>\4</td>', table)
        name = re.search(r'data-table="([A-Za-z0-9_.+-]+)"', table)
        links = ""
        if name and (study.run / "tables" / f"{name[1]}.csv").is_file():
            links = (
                f'<p class="study-files"><a href="tables/{name[1]}.csv" download>CSV of this'
                f' table</a> · made by <a href="#origin">{html.escape(notebook)}</a></p>'
            )
        label = html.escape(
            f"Table: {section}" + (f", {name[1].replace('_', ' ')}" if name else "")
        )
        frame = (
            '<div class="study-scroll" tabindex="0" role="region"'
            f' aria-label="{label}">{table}</div>'
        )
        caption = re.search(r"<caption>(.*?)</caption>", table, re.DOTALL)
        if caption:  # below the frame, as wide as the page and not as the table
            frame = frame.replace(caption[0], "")
            links = f'<p class="study-caption">{caption[1]}</p>{links}'
        rows = table.count("<tr") - 1
        if rows > TALL:
            file = f" (tables/{name[1]}.csv)" if name else ""
            frame = (
                f'<details class="study-rows"><summary>Table of {rows}'
                f" rows{file}</summary>{frame}</details>"
            )
        return frame + links

    return re.sub(r"<table\b.*?</table>", framed, text, flags=re.DOTALL)


def origin(study, record, path):
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
    rebuilt = [m["name"] for m in study.models if catalogue.entry(m["name"]).is_reconstruction]
    notes = "".join(
        f"<p class='study-note'>{html.escape(catalogue.footnote(name))}</p>" for name in rebuilt
    )
    return (
        f'{notes}<details class="study-origin" id="origin"><summary>Where this page came'
        f" from</summary>\n<table>{body}</table>\n<p>Files made:</p><ul>{made}</ul></details>"
    )


def slug(path):
    """A training's page name: runs/x/train/unet/main_11/03_train.ipynb → 'train_unet_main_11'."""
    return f"train_{path.parent.parent.name}_{path.parent.name}"


def _file(study, name):
    place = Path(os.path.normpath(studies.ROOT / name))
    text = html.escape(name)
    if place.parent in (study.run / "tables", study.run / "figures"):
        return f'<a href="{place.parent.name}/{place.name}">{text}</a>'
    return text
