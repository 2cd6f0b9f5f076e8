"""From a number to where it came from: every table as a file with its columns and its hash, the
table that all others are made from, and the definitions.
"""

import html
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from helpers import files, provenance
from helpers.figures.tables import words
from helpers.studies import Study
from tools.book.filters import ANCHOR
from tools.book.markup import Links, grid

#: what stands in a column of results/per_image.csv
PER_IMAGE = {
    "study": "name of the study",
    "model": "network",
    "fold": "main: the study's own split; cv1, cv2 …: a fold of the cross-validation",
    "seed": "of the training",
    "split": "what the image was to this training: train, val, test or external",
    "patient_id": "patient, empty where unknown",
    "image_id": "image",
    "class": "structure, one against the rest",
    "tp": "pixels in both outlines",
    "fp": "pixels in the network's outline alone",
    "fn": "pixels in the reference alone",
    "tn": "pixels in neither",
    "hd95_px": "95th percentile of the outlines' distance, pixels of the evaluated image",
    "assd_px": "mean distance between the outlines, pixels of the evaluated image",
    "hd95_mm": "the same as hd95_px in mm, empty where the scale is unknown",
    "assd_mm": "the same as assd_px in mm, empty where the scale is unknown",
}


def definitions(links: Links) -> str:
    """The page of definitions: CORRECTNESS.md under a short title, its pages as links."""
    text = (provenance.REPOSITORY / "CORRECTNESS.md").read_text(encoding="utf-8")
    text = links.page(text, ANCHOR)
    title, _, rest = text.partition("\n")
    return f"# Definitions\n\n**{title.removeprefix('# ')}**\n{rest}"


def data(study: Study, makers: dict[str, str]) -> str:
    """The page that lists every table with its columns, its hash and the page that shows it.

    makers: name of a table → name of the page of the book that makes it.
    """
    results = study.run / "results" / "per_image.csv"
    text = (
        "# Every number as a file\n\nScores, comparisons and intervals are computed from one"
        " table, a row for each network, image and structure; people, pictures and speeds have"
        " tables of their own. To check one: compute it again from its file, or run `make verify`."
        " What the words mean: [definitions](definitions.md).\n\n"
        "## The table that scores are made from\n\n"
    )
    if results.is_file():
        columns = files.read_csv(results, nrows=0).columns
        rows = [(f"{name}", PER_IMAGE.get(name, words(name))) for name in columns]
        text += (
            '<p id="per-image"><a href="results/per_image.csv" download>per_image.csv</a>,'
            f" sha256 <code>{files.sha256(results)}</code></p>\n\n"
            + grid(("Column", "Meaning"), rows, "Columns of per_image.csv")
        )
    text += "\n\n## The tables of the pages\n\n"
    for path in sorted((study.run / "tables").glob("*.csv")):
        page = makers.get(path.stem)
        shown = f' · <a href="{page}.html">{_called(page)}</a>' if page else ""
        columns = "; ".join(_column(name) for name in _columns(path))
        text += (
            f'<div class="study-entry" id="{html.escape(path.stem)}">'
            f'<a href="tables/{path.name}" download>{path.name}</a>{shown}'
            f" <details class='study-finding'><summary>columns and sha256</summary>"
            f"{html.escape(columns)}<br><code>{files.sha256(path)}</code></details></div>\n"
        )
    return text


def _columns(path: Path) -> Sequence[str]:
    try:
        return files.read_csv(path, nrows=0).columns
    except pd.errors.EmptyDataError:
        return []


def _called(page: str) -> str:
    """A page of the book in words, '04_segmentation' → 'page 4'."""
    number = page.partition("_")[0]
    return f"page {int(number)}" if number.isdigit() else page.replace("index", "front page")


def _column(name: str) -> str:
    said = words(name)
    return name if said == name else f"{name} ({said})"
