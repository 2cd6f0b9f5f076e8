"""Sphinx settings of the book; the title and the banner of a study are given by tools.book.build.

Nothing here asks another address for anything.
"""

import html
import re

from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish

extensions = ["myst_nb"]
source_suffix = {".ipynb": "myst-nb", ".md": "myst-nb"}
root_doc = "index"
language = "en"
nb_execution_mode = "off"  # the workflow has run the notebooks
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"
html_theme = "sphinx_book_theme"
html_static_path = ["study.css", "study.js", "cases.css", "cases.js", "outline.js"]
html_css_files = ["study.css"]
html_js_files = [("study.js", {"defer": "defer"})]
html_use_index = False
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
html_show_search_summary = False  # needs fetch(), which browsers refuse to a page opened from disk
html_permalinks_icon = "#"
html_context = {"default_mode": "light"}
html_theme_options = {
    "home_page_in_toc": True,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "article_header_end": "",
    "navbar_persistent": "",
    "footer_content_items": "",
    "pygments_light_style": "a11y-high-contrast-light",
}


class Numbers(SearchEnglish):
    """English in whose search box "0.126" and "Table 2" are words; Sphinx drops numbers."""

    js_splitter_code = (
        "var splitQuery = (query) => query.match("
        r"/(?:table|figure) \d+(?:\.\d+)?|\d+\.\d+|[\p{Letter}\p{Number}_]+/giu) || [];"
    )

    def split(self, text: str) -> list[str]:
        """The words of a text (list of str), numbers beside them."""
        named = re.findall(r"(?i)(?:table|figure) \d+(?:\.\d+)?", text)
        return [*named, *re.findall(r"\d+\.\d+", text), *super().split(text)]


def in_order(app: Sphinx, page: str, template: str, context: dict, doctree: object) -> None:
    """Lead from chapter to chapter; the pages of single trainings are beside the way."""
    chapters = ["index", *app.env.toctree_includes.get("index", ())]
    if page in chapters:
        at = chapters.index(page)
        for key, place in (("prev", at - 1), ("next", at + 1)):
            there = 0 <= place < len(chapters)
            context[key] = _step(app, chapters[place], page) if there else None


def _step(app: Sphinx, name: str, page: str) -> dict:
    link = app.builder.get_relative_uri(page, name)
    return {"link": link, "title": html.escape(app.env.titles[name].astext())}


def setup(app: Sphinx) -> None:
    """Have Sphinx index numbers, and step through the chapters."""
    app.add_search_language(Numbers)
    app.connect("html-page-context", in_order)
