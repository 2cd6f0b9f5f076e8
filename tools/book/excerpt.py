"""Some pages of a study as one file that opens anywhere, its pictures inside and made small:
python -m tools.book.excerpt --study NAME [--protocol NAME] --pages 00 06 [--licence FILE].

For a repository that may hold pictures of real patients because their licence says so.
"""

import argparse
import base64
import html
import io
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup
from markdown_it import MarkdownIt
from PIL import Image

from helpers import studies
from helpers.errors import StudyError, command
from helpers.studies import Study
from tools.book import markup, pages
from tools.book.build import ASSETS

WIDE = 1100  # pixels, the widest picture
MOST = 3_000_000  # bytes of the page
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
STYLE = (
    "body{font:1.05rem/1.55 system-ui,sans-serif;max-width:52rem;margin:1rem auto;padding:0 1rem;"
    "color:#222}h1{margin-top:2.5rem}a{color:#0b57a4}img{max-width:100%;height:auto}"
    "figure{margin:.5rem 0}.note{background:#f4f4f4;padding:.6rem 1rem}"
)
GONE = ".study-log, .study-origin, .study-hint"
_MARKDOWN = MarkdownIt("commonmark", {"html": True})


def write(study: Study, numbers: Sequence[str], licence: Path | None = None) -> Path:
    """Write reports/<study>/excerpt/index.html of the executed notebooks with these numbers, and
    the licence beside it; returns the path of the page.

    StudyError for a page that has not run, for real images without a licence, and for a page of
    more than MOST bytes.
    """
    if licence is None and not study.synthetic:
        raise StudyError(
            f"{study.name}: its images are real; name the licence under which they may be shown"
            " (--licence FILE)"
        )
    chosen = [_notebook(study, number) for number in numbers]
    links = markup.Links([p.stem for p in chosen], frozenset(), pages.labels(chosen))
    articles = [_article(study, path, links) for path in chosen]
    said = [f"<p>{html.escape(study.citation or '')}</p>", f"<p>{html.escape(study.note)}</p>"]
    if licence:
        owner = next(
            (
                line
                for line in licence.read_text(encoding="utf-8").splitlines()
                if "opyright" in line
            ),
            "",
        )
        said.append(
            f'<p>Images: {html.escape(owner)}; the licence: <a href="LICENSE">LICENSE</a>.</p>'
        )
    title = html.escape(study.title)
    text = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{(ASSETS / 'study.css').read_text(encoding='utf-8')}{STYLE}"
        f'</style></head><body><main><div class="note"><strong>{title}</strong>: pages of its'
        f" report.{''.join(said)}</div>{''.join(articles)}</main></body></html>\n"
    )
    if len(text.encode()) > MOST:
        raise StudyError(f"{study.name}: {len(text) / 1e6:.1f} MB; choose fewer pages (--pages)")
    place = studies.ROOT / "reports" / study.name / "excerpt"
    place.mkdir(parents=True, exist_ok=True)
    if licence:
        shutil.copy(licence, place / "LICENSE")
    (place / "index.html").write_text(text, encoding="utf-8")
    return place / "index.html"


def _notebook(study: Study, number: str) -> Path:
    found = sorted((study.run / "notebooks").glob(f"{number}_*.ipynb"))
    found = [path for path in found if not path.name.endswith(".failed.ipynb")]
    if not found:
        raise StudyError(f"{study.run / 'notebooks'}: page {number} has not run; run `make study`")
    return found[0]


def _article(study: Study, path: Path, links: markup.Links) -> str:
    """A page as the book has it, code and downloads left out, every picture inside it."""
    name = "index" if path.stem == "00_summary" else path.stem
    parts = []
    for cell in pages.make(path, study, name, links=links).notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(_MARKDOWN.render(cell.source))
        parts += [out["data"].get("text/html", "") for out in cell.get("outputs", ())]
    soup: Any = BeautifulSoup("\n".join(parts), "html.parser")
    for gone in soup.select(GONE):
        gone.decompose()
    for picture in soup("img"):
        picture["src"] = _small(study.run / picture["src"].replace(".svg", ".png"))
    here = {tag["id"] for tag in soup.find_all(id=True)}
    for link in soup("a"):
        page, _, anchor = link.get("href", "").partition("#")
        if anchor in here or page.removesuffix(".html") in links.pages or page == "index.html":
            link["href"] = f"#{anchor or page.removesuffix('.html')}"
        else:  # leads to a file that the book has and this page has not
            link.unwrap()
    for files in soup.select(".study-files"):
        if number := files.find("strong"):
            files.replace_with(number.wrap(soup.new_tag("p")))
        else:
            files.decompose()
    return f'<article id="{path.stem}">{soup}</article>'


def _small(path: Path) -> str:
    """A picture as a data address: WebP, at most WIDE pixels wide."""
    image = Image.open(path).convert("RGB")
    image.thumbnail((WIDE, 10 * WIDE))
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=80, method=6)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def main(arguments: Sequence[str] | None = None) -> None:
    """Write some pages of a study as one file and print its path."""
    parser = argparse.ArgumentParser(prog="tools.book.excerpt", description=main.__doc__)
    parser.add_argument("--study", required=True)
    parser.add_argument("--protocol", default="quick")
    parser.add_argument("--pages", nargs="+", default=["00", "06"], help="numbers of pages")
    parser.add_argument("--licence", type=Path, help="under which the images may be shown")
    args = parser.parse_args(arguments)
    study = studies.load(args.study, args.protocol)
    path = write(study, args.pages, args.licence)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    command(main)
