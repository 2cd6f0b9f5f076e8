"""HTML of a page: what a cell may show, tables in their frames, figures with their files.

Everything that a notebook or a manifest says passes through here: text is escaped where it is
written, markup is cleaned by nh3 against a list of what may stay, and scripts are not on it.
"""

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nh3
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt

from helpers import files
from tools.book import filters
from tools.book.filters import ANCHOR

TALL = 40  # rows; a longer table is folded, and not printed
LONG_ON_A_PHONE = 8  # rows; a longer table is folded there (study.js)
WIDE = 400  # points; a wider figure keeps its size on a phone and scrolls
#: characters of a cell from which on words would stand one below the other
LONG, MID = 40, 16
UNKNOWN = ("nan", "None", "NaT", "<NA>")
#: attributes that pandas' tables and the pages' own sentences use
ATTRIBUTES = {
    "*": {"class", "id", "title", "lang", "role", "scope", "colspan", "rowspan"}
    | {"data-table", "data-key", "aria-label", "style"},
    "a": {"href", "download"},
    "img": {"src", "alt", "width", "height"},
    "details": {"open"},
}
STYLES = {"text-align", "width", "background-color", "color"}
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
#: the one piece of HTML that a sentence may hold: a fold, as the Markdown of a page writes it
_FOLD = re.compile(
    r"<p>&lt;details class=&quot;study-finding&quot;&gt;&lt;summary&gt;([^<>]*)&lt;/summary&gt;</p>"
)
_FOLDED = "<p>&lt;/details&gt;</p>"
_PAGE = re.compile(r"\b[Pp]age (\d{1,2})\b")
#: what a page calls a table or figure by: its file, seen from the executed notebook; its number
_NAMED = re.compile(
    r"\[(?P<said>[^\]]+)\]\(\.\./(?P<file>(?:tables|figures)/\w+)\.\w+\)"
    r"|\b(?P<number>(?:Table|Figure) \d+\.\d+)\b"
)


@dataclass(frozen=True)
class Links:
    """What the words of a page lead to. pages: names of the book's pages, as '05_comparison'; ids:
    of the images in the case browser; labels: 'tables/areas' → ('Table 6.2', its address).
    """

    pages: Sequence[str] = ()
    ids: frozenset = frozenset()
    labels: dict = field(default_factory=dict)

    def page(self, text: str, form: str) -> str:
        """The text with every "page 5" as a link to that page, where the book has it.

        form: of a link, with {text} and {link}.
        """
        names = {int(m[0]): name for name in self.pages if (m := re.match(r"\d+", name))}

        def link(match: re.Match) -> str:
            name = names.get(int(match[1]))
            return form.format(text=match[0], link=f"{name}.html") if name else match[0]

        return _PAGE.sub(link, text)

    def numbered(self, text: str, form: str) -> str:
        """The text with every table and figure that it names as a link under its number.

        A page names it by its file, ``[the table](../tables/areas.csv)``, of which the words alone
        stay where the book lacks it, or by its number, "Table 6.1".
        """
        known = dict(self.labels.values())

        def link(match: re.Match) -> str:
            number = match["number"]
            label, address = self.labels.get(match["file"], (number, known.get(number)))
            if address:
                return form.format(text=label, link=address)
            return match["said"] or match[0]

        return _NAMED.sub(link, text)


NOTHING = Links()


def escaped(value: str) -> str:
    """Any text as Markdown that shows just that text: no markup, no HTML."""
    return re.sub(r"([\\`*_{}\[\]()#+!|~$^-])", r"\\\1", html.escape(str(value), quote=False))


def clean(text: str) -> str:
    """HTML of a cell without scripts, styles, frames, handlers and addresses outside the book."""
    return nh3.clean(
        text,
        tags=nh3.ALLOWED_TAGS | {"details", "summary", "section", "figure", "figcaption"},
        attributes={k: v for k, v in ATTRIBUTES.items()},
        clean_content_tags={"script", "style"},
        url_schemes={"data"},
        filter_style_properties=STYLES,
        link_rel=None,
        attribute_filter=_inside,
    )


def _inside(tag: str, name: str, value: str) -> str | None:
    """An attribute's value, or None for an address that is not a file of the book."""
    if name not in ("href", "src"):
        return value
    if value.startswith("data:"):
        return value if name == "src" and value.startswith("data:image/") else None
    return None if value.startswith(("//", "/", "\\")) or ":" in value.split("#")[0] else value


def sentences(text: str, links: Links = NOTHING) -> str:
    """Markdown as clean HTML: raw HTML in it is shown, not obeyed; headings belong to the
    notebook; pages, tables, figures and images that it names are links (``Links``).
    """
    text = links.numbered(text, "[{text}]({link})")
    text = re.sub(r"^#+ (.*)$", r"**\1**", text, flags=re.MULTILINE)
    fold = r'<details class="study-finding"><summary>\1</summary>'
    text = _FOLD.sub(fold, _MARKDOWN.render(text)).replace(_FOLDED, "</details>")
    text = links.page(clean(text), ANCHOR)
    return f'<div class="study-text">{with_cases(text, links.ids)}</div>'


class Numbers:
    """The numbers of a page's figures and tables, in reading order: "Table 6.1", "Figure 6.1"; of
    the front page "Table 1". page: its name in the book.
    """

    def __init__(self, page: str) -> None:
        first = re.match(r"\d+", page)
        self.prefix = "" if page == "index" else f"{int(first[0])}." if first else None
        self.counts = {"Table": 0, "Figure": 0}

    def next(self, kind: str) -> tuple[str, str]:
        """The next one as (label, anchor); both empty on a page without a number."""
        if self.prefix is None:
            return "", ""
        self.counts[kind] += 1
        label = f"{kind} {self.prefix}{self.counts[kind]}"
        return label, label.lower().replace(" ", "-").replace(".", "-")


def tables(text: str, section: str, about: Any) -> str:
    """Every table of clean HTML in a frame that scrolls, with its number, a link to its CSV where
    it is one of the study's, and what its cells name as links.

    about: study, numbers, links, and from what and by what it was made (made, HTML).
    """
    soup = BeautifulSoup(text, "html.parser")
    for table in soup.find_all("table"):
        framed = _framed(table, section, about)
        table.replace_with(BeautifulSoup(framed, "html.parser"))
    return str(soup)


def grid(head: Sequence[str], rows: Iterable[Sequence[str]], label: str) -> str:
    """A table of plain texts as HTML in a frame that scrolls. head: names of the columns; label:
    what it is called for those who cannot see it.
    """
    names = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return (
        f'<div class="study-scroll" tabindex="0" role="region" aria-label="{html.escape(label)}">'
        f'<table class="study-table study-wrap"><thead><tr>{names}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def case_link(image_id: str) -> str:
    """The address of an image in the case browser."""
    return f"cases.html#case={quote(image_id)}"


def with_cases(text: str, ids: Iterable[str]) -> str:
    """Clean HTML with every image's id between its words as a link to its case.

    Only ids of a letter and a digit or more: a bare number may be anything.
    """
    known = [name for name in ids if re.search(r"[A-Za-z]", name) and re.search(r"\d", name)]
    if not known:
        return text
    found = re.compile(rf"(?<![\w.-])({'|'.join(map(re.escape, known))})(?![\w-])")
    soup = BeautifulSoup(text, "html.parser")
    for words in soup.find_all(string=found):
        if not words.find_parent(["a", "code", "pre"]):
            linked = found.sub(
                lambda m: f'<a href="{case_link(m[1])}">{m[1]}</a>', html.escape(words)
            )
            words.replace_with(BeautifulSoup(linked, "html.parser"))
    return str(soup)


def _framed(table: Any, section: str, about: Any) -> str:
    label, anchor = about.numbers.next("Table")
    links = about.links
    name = re.sub(r"[^A-Za-z0-9_.+-]", "", table.get("data-table", ""))
    file = about.study.run / "tables" / f"{name}.csv"
    file = file if name and file.is_file() else None
    if file and links.ids and name in filters.OF:
        filters.link(table, files.read_rows(file), name)
    for cell in table.find_all("td"):
        words = cell.get_text().strip()
        if not cell.find(True):
            shown = links.page(html.escape(words), ANCHOR)
            if words in links.ids and not words.isdecimal():
                shown = ANCHOR.format(link=case_link(words), text=words)
            if "<a " in shown:
                filters.fill(cell, shown)
        if words in UNKNOWN:
            cell.string = words = "–"
        kind = "long" if len(words) >= LONG else "mid" if len(words) >= MID else None
        if kind and not cell.find(True):
            cell["class"] = [*cell.get("class", []), f"study-{kind}"]
    below = ""
    if file:
        digest = files.sha256(file)[:12]
        below = (
            f'<p class="study-files"><a href="tables/{name}.csv" download>CSV of this table</a>'
            f' (sha256 <a href="data.html#{name}">{digest}…</a>) · {about.made} ·'
            ' <a href="definitions.html">definitions</a></p>'
        )
    caption = table.caption.extract() if table.caption else None
    said = caption.decode_contents() if caption else ""
    if said or label:  # below the frame, as wide as the page and not as the table
        label = f'<strong id="{anchor}">{label}.</strong> ' if label else ""
        below = f'<p class="study-caption">{label}{said}</p>{below}'
    title = html.escape(f"Table: {section}" + (f", {name.replace('_', ' ')}" if name else ""))
    frame = (
        f'<div class="study-scroll" tabindex="0" role="region" aria-label="{title}">{table}</div>'
    )
    rows = len(table.find_all("tr")) - 1
    if rows > LONG_ON_A_PHONE:
        file = f" (tables/{name}.csv)" if name else ""
        kind = 'study-rows"' if rows > TALL else 'study-rows study-short" open'
        frame = (
            f'<details class="{kind}><summary>Table of {rows} rows{file}</summary>{frame}</details>'
        )
    return frame + below


def figure(folder: Path, name: str, section: str, about: Any) -> str:
    """HTML of a saved figure: the SVG, a text for those who cannot see it, its downloads and the
    notebook. folder: runs/<study>/figures; about: numbers, and from what and by what
    it was made (made, HTML).
    """
    svg = (folder / f"{name}.svg").read_text(encoding="utf-8")
    words = [html.unescape(t).strip() for t in re.findall(r"<text\b[^>]*>([^<]*)</text>", svg)]
    titles = [w for w in dict.fromkeys(words) if len(w) > 12][:3]
    size = re.search(r'<svg\b[^>]*?\bwidth="([\d.]+)pt"', svg)
    wide = " study-wide" if size and float(size[1]) > WIDE else ""
    label, anchor = about.numbers.next("Figure")
    label = f'<strong id="{anchor}">{label}.</strong> ' if label else ""
    alt = html.escape(". ".join([section, *titles]), quote=True)
    links = " ".join(
        f'<a href="figures/{name}.{end}" download>{end.upper()}</a>' for end in ("png", "svg")
    )
    return (
        f'<figure class="study-figure{wide}"><a href="figures/{name}.svg">'
        f'<img src="figures/{name}.svg" alt="{alt}"></a>'
        f'<figcaption>{label}<span class="study-files">{links} · {about.made}</span></figcaption>'
        "</figure>"
    )
