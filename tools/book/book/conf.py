"""Sphinx settings of the book; the title and the banner of a study are given by tools.book.build.

Nothing here asks another address for anything.
"""

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
