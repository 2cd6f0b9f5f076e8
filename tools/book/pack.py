"""What goes with a book: a list of hashes, one zip that opens anywhere, one PDF, and the page that
lists all books.
"""

import html
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup

from helpers import files, provenance, studies
from helpers.errors import StudyError
from tools.book.harden import POLICY

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MANY = 6  # columns from which on a table is set smaller on paper
#: pages that need a screen, or that the paper names only: all of it is in the book
NOT_PRINTED = ("cases", "training", "07_speed", "13_more_statistics", "card", "data", "definitions")
STAMP = (1980, 1, 1, 0, 0, 0)  # one date for every file, so that the same book gives the same zip
#: what stands in the run beside the book and is hashed too, relative to runs/<study>
INPUTS = (
    "results/*.csv",
    "results/plan.json",
    "readers/key_*.json",
    "readers/answers.csv",
    "tables/*.csv",
    "cache/*",
    "notebooks/*.ipynb",
    "notebooks/*.json",
    "train/*/*/*",
)


def input_files(study: studies.Study) -> list[Path]:
    """Every file of the manifest folder and the run that the book rests on, in order."""
    found = [p for pattern in INPUTS for p in study.run.glob(pattern)] + list(study.root.glob("*"))
    return sorted(
        p for p in found if p.is_file() and not p.name.endswith((".part", ".failed.ipynb"))
    )


def write_manifest(study: studies.Study, book: Path) -> None:
    """Write book/manifest.json: sha256 of every file of the book, and of everything it was made
    from.
    """
    pages = {
        p.relative_to(book).as_posix(): files.sha256(p)
        for p in sorted(book.rglob("*"))
        if p.is_file() and p != book / "manifest.json"
    }
    inputs = {
        Path(os.path.relpath(p, studies.ROOT)).as_posix(): files.sha256(p)
        for p in input_files(study)
    }
    content = {
        "study": study.name,
        "protocol": study.protocol,
        "made": provenance.now(),
        "code": provenance.code_version(),
        "book": pages,
        "inputs": inputs,
    }
    files.write_json(content, book / "manifest.json")


def write_zip(book: Path, path: Path) -> None:
    """The whole book as one zip with the folder name inside; the same bytes for the same book."""
    part = path.with_name(path.name + ".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(p for p in book.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(f"{book.name}/{file.relative_to(book).as_posix()}", STAMP)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, file.read_bytes())
    os.replace(part, path)


def write_seal(place: Path) -> None:
    """Write <place>/seal.sha256 over the manifest, the zip and the PDF, in the form that `sha256sum
    -c` reads.
    """
    names = [n for n in ("book/manifest.json", "book.zip", "book.pdf") if (place / n).is_file()]
    lines = "".join(f"{files.sha256(place / n)}  {n}\n" for n in names)
    part = place / "seal.sha256.part"
    part.write_text(lines, encoding="utf-8")
    os.replace(part, place / "seal.sha256")


def write_shelf() -> None:
    """Write reports/index.html, which lists every study with a book."""
    place, items = studies.ROOT / "reports", []
    for book in sorted(place.glob("*/book/index.html")):
        name = book.parent.parent.name
        content = studies.read_yaml(studies.ROOT / "data_manifest" / name / "study.yml")
        kind = "Synthetic data" if content["synthetic"] else "Real images"
        extras = [("book.zip", "the whole book as one zip"), ("book.pdf", "as PDF")]
        others = [
            f'<a href="{name}/{n}">{text}</a>' for n, text in extras if (place / name / n).is_file()
        ]
        question = html.escape(content.get("question", ""))
        items.append(
            f'<li><h2><a href="{name}/book/index.html">{html.escape(content["title"])}</a></h2>'
            f"<p>{kind}. {question}</p><p>{' · '.join(others)}</p></li>"
        )
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,'
        ' initial-scale=1"><title>Studies</title><style>'
        "body{font:1.05rem/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0"
        " 1rem;color:#222}"
        "ul{padding:0;list-style:none}li{border-top:1px solid #ccc;padding:.5rem 0}h2{margin:.5rem"
        " 0;font-size:1.25rem}"
        "a{color:#0b57a4}p{margin:.3rem 0}</style></head><body><main><h1>Studies</h1>"
        "<p>Each report opens from disk and needs no"
        f" network.</p><ul>{''.join(items)}</ul></main></body></html>\n"
    )
    part = place / "index.html.part"
    part.write_text(page, encoding="utf-8")
    os.replace(part, place / "index.html")


def browser() -> str:
    """Path of an installed Chromium or Chrome; StudyError says what to install."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        raise StudyError(
            "no Chromium found, which prints the PDF: install it (Debian and Ubuntu: apt-get"
            " install chromium; macOS: brew install chromium), or leave out PDF=1"
        )
    return found


def on_paper(article: str, names: Sequence[str]) -> str:
    """A page's article as it is printed: nothing closed, links that lead to the printed page.

    What the book alone has room for (code, messages, tables of many rows) is named, not printed.
    """
    soup = BeautifulSoup(article, "html.parser")
    for gone in soup.select("details.hide, details.study-log, details.study-origin, .study-hint"):
        gone.decompose()
    for gone in soup.select(".study-files"):
        number = gone.find("strong")
        gone.replace_with(number) if number else gone.decompose()
    long: Any
    for long in soup.select("details.study-rows:not([open])"):
        note = soup.new_tag("p", attrs={"class": "study-caption"})
        note.string = f"{long.summary.get_text()}: in the book, not printed."
        long.replace_with(note)
    for box in soup.find_all("details"):
        box["open"] = ""
    for table in soup.select(".study-scroll"):
        cells = table.find_all("tr")[0].find_all(["th", "td"])
        if len(cells) > MANY:
            table["class"] = " ".join([*table["class"], "study-many"])
    for tag in soup.find_all(True):
        for name in ("id", "aria-labelledby"):
            tag.attrs.pop(name, None)
    for link in soup.find_all("a", href=True):
        page = str(link["href"]).partition("#")[0].removesuffix(".html")
        if page in names:
            link["href"] = f"#{page}"
    return str(soup)


def write_pdf(book: Path, names: Sequence[str], path: Path) -> None:
    """Print the pages ``names`` of a book, in order, into one PDF with headless Chromium: title,
    contents, numbered pages.
    """
    program = browser()
    articles, titles = [], []
    for name in names:
        text = (book / f"{name}.html").read_text(encoding="utf-8")
        found = re.search(r'<article class="bd-article"[^>]*>(.*?)</article>', text, re.DOTALL)
        article = on_paper(found[1], names) if found else ""
        heading = BeautifulSoup(article, "html.parser").h1
        titles.append(heading.get_text().rstrip("#") if heading else name)
        articles.append(f'<section id="{name}">{article}</section>')
    styles = "".join(
        f'<link rel="stylesheet" href="{s}">'
        for s in re.findall(
            r'<link[^>]*href="([^"?]*\.css)[^"]*"',
            (book / f"{names[0]}.html").read_text(encoding="utf-8"),
        )
    )
    named = re.search(r"<title>(.*?)</title>", text, re.DOTALL)
    assert named  # every page has one
    title = html.unescape(named[1])
    title = html.escape(title.rpartition("—")[2].strip())
    banner = re.search(r'<div class="bd-header-announcement__content">(.*?)</div>', text, re.DOTALL)
    head = f'<div class="bd-header-announcement">{banner[1]}</div>' if banner else ""
    contents = "".join(
        f'<li><a href="#{name}">{html.escape(said)}</a></li>'
        for name, said in zip(names, titles, strict=True)
    )
    page = book / "printed.html"
    page.write_text(
        '<!DOCTYPE html><html lang="en" data-theme="light"><head><meta charset="utf-8">'
        f"<title>{title}</title>{styles}</head>"
        f'<body class="study-print">{head}<h1>{title}</h1><ul class="study-contents">{contents}'
        f"</ul>{''.join(articles)}</body></html>",
        encoding="utf-8",
    )
    part = path.with_name("part.pdf")
    command = [
        program,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-pdf-header-footer",
        f"--print-to-pdf={part}",
        page.resolve().as_uri(),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    finally:
        page.unlink()
    if done.returncode or not part.is_file():
        raise StudyError(f"{program} did not print the PDF: {done.stderr.strip()[-300:]}")
    os.replace(part, path)
