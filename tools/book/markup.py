"""HTML of a page: what a cell may show, tables in their frames, figures with their files.

Everything that a notebook or a manifest says passes through here: text is escaped where it is
written, markup is cleaned by nh3 against a list of what may stay, and scripts are not on it.
"""

import html
import re

import nh3
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt

TALL = 30  # rows; a longer table is folded
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
_PAGE = re.compile(r"\bpage (\d{1,2})\b")


def escaped(value):
    """Any text as Markdown that shows just that text: no markup, no HTML."""
    return re.sub(r"([\\`*_{}\[\]()#+!|~$^-])", r"\\\1", html.escape(str(value)))


def clean(text):
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


def _inside(tag, name, value):
    """An attribute's value, or None for an address that is not a file of the book."""
    if name not in ("href", "src"):
        return value
    if value.startswith("data:"):
        return value if name == "src" and value.startswith("data:image/") else None
    return None if value.startswith(("//", "/", "\\")) or ":" in value.split("#")[0] else value


def sentences(text, pages=()):
    """Markdown as clean HTML: raw HTML in it is shown, not obeyed; headings belong to the
    notebook; "page 5" leads there where the book has it.

    pages: names of the book's pages, as '05_comparison'.
    """
    text = re.sub(r"^#+ (.*)$", r"**\1**", text, flags=re.MULTILINE)
    text = linked(clean(_MARKDOWN.render(text)), pages, '<a href="{name}.html">{text}</a>')
    return f'<div class="study-text">{text}</div>'


def linked(text, pages, form):
    """The text with every "page 5" as a link to that page, where the book has it.

    form: of a link, with {text} and {name}.
    """
    names = {int(m[0]): name for name in pages if (m := re.match(r"\d+", name))}

    def link(match):
        name = names.get(int(match[1]))
        return form.format(text=match[0], name=name) if name else match[0]

    return _PAGE.sub(link, text)


def tables(text, study, section, notebook):
    """Every table of clean HTML in a frame that scrolls, with a link to its CSV where it is one
    of the study's.
    """
    soup = BeautifulSoup(text, "html.parser")
    for table in soup.find_all("table"):
        table.replace_with(BeautifulSoup(_framed(table, study, section, notebook), "html.parser"))
    return str(soup)


def grid(head, rows, label):
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


def _framed(table, study, section, notebook):
    for cell in table.find_all("td"):
        words = cell.get_text().strip()
        if words in UNKNOWN:
            cell.string = words = "–"
        kind = "long" if len(words) >= LONG else "mid" if len(words) >= MID else None
        if kind and not cell.find(True):
            cell["class"] = [*cell.get("class", []), f"study-{kind}"]
    name = re.sub(r"[^A-Za-z0-9_.+-]", "", table.get("data-table", ""))
    links = ""
    if name and (study.run / "tables" / f"{name}.csv").is_file():
        links = (
            f'<p class="study-files"><a href="tables/{name}.csv" download>CSV of this table</a> ·'
            f' made by <a href="#origin">{html.escape(notebook)}</a></p>'
        )
    caption = table.caption.extract() if table.caption else None
    if caption:  # below the frame, as wide as the page and not as the table
        links = f'<p class="study-caption">{caption.decode_contents()}</p>{links}'
    label = html.escape(f"Table: {section}" + (f", {name.replace('_', ' ')}" if name else ""))
    frame = (
        f'<div class="study-scroll" tabindex="0" role="region" aria-label="{label}">{table}</div>'
    )
    rows = len(table.find_all("tr")) - 1
    if rows > TALL:
        file = f" (tables/{name}.csv)" if name else ""
        frame = (
            f'<details class="study-rows"><summary>Table of {rows} rows{file}</summary>'
            f"{frame}</details>"
        )
    return frame + links


def figure(folder, name, section, notebook):
    """HTML of a saved figure: the SVG, a text for those who cannot see it, its downloads and the
    notebook. folder: runs/<study>/figures.
    """
    svg = (folder / f"{name}.svg").read_text(encoding="utf-8")
    words = [html.unescape(t).strip() for t in re.findall(r"<text\b[^>]*>([^<]*)</text>", svg)]
    titles = [w for w in dict.fromkeys(words) if len(w) > 12][:3]
    size = re.search(r'<svg\b[^>]*?\bwidth="([\d.]+)pt"', svg)
    wide = " study-wide" if size and float(size[1]) > WIDE else ""
    alt = html.escape(". ".join([section, *titles]), quote=True)
    return (
        f'<figure class="study-figure{wide}"><a href="figures/{name}.svg">'
        f'<img src="figures/{name}.svg" alt="{alt}"></a>'
        f'<figcaption class="study-files"><a href="figures/{name}.png" download>PNG</a> '
        f'<a href="figures/{name}.svg" download>SVG</a> · '
        f'made by <a href="#origin">{html.escape(notebook)}</a></figcaption></figure>'
    )
