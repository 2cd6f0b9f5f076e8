"""What a page may show: nothing that a cell or a manifest says can run, load or leave the book."""

import html
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup

from helpers.errors import StudyError
from tools.book import filters, harden, markup

pytestmark = pytest.mark.slow

HOSTILE = [
    "<script>alert(1)</script>",
    "<scr<script></script>ipt>alert(1)</scr<script></script>ipt>",
    '<img src=x onerror="alert(1)">',
    "<svg><script>alert(1)</script></svg>",
    '<a href="javascript:alert(1)">x</a>',
    '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
    "<math><mtext></p><style><img src=x onerror=alert(1)></style>",
    '<form action="https://a.b"><button>x</button></form>',
    '<img src="https://a.b/c.png"><link rel="stylesheet" href="//a.b/c.css">',
    "<details ontoggle=alert(1) open>x</details>",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("shown", [markup.clean, markup.sentences])
def test_nothing_that_runs_or_loads_passes(text, shown):
    made = shown(f"before {text} after")
    tags = [part.split(">")[0].lower() for part in made.split("<")[1:]]
    assert not any(tag.split(" ")[0] in ("script", "iframe", "svg", "form", "link") for tag in tags)
    assert not any(" on" in tag or "javascript:" in tag or "//" in tag for tag in tags)
    assert "before" in made and ("after" in made or "<style>" in text)  # an open style eats it


def test_what_a_page_needs_passes_unchanged():
    kept = (
        '<table class="study-table" data-table="a">'
        '<tbody><tr><td class="x">1</td></tr></tbody></table>'
    )
    assert markup.clean(kept) == kept
    assert markup.clean('<a href="05_comparison.html#x">p</a>') == (
        '<a href="05_comparison.html#x">p</a>'
    )
    assert markup.clean('<img src="data:image/png;base64,AA==" alt="a">').startswith("<img src=")


def test_markdown_of_a_cell_shows_raw_html_and_links_pages():
    links = markup.Links(("05_comparison", "10_planning"))
    assert markup.sentences("**a** <b>b</b>, page 5, page 7. Page 10", links) == (
        '<div class="study-text"><p><strong>a</strong> &lt;b&gt;b&lt;/b&gt;, '
        '<a href="05_comparison.html">page 5</a>, page 7. <a href="10_planning.html">Page 10</a>'
        "</p>\n</div>"
    )
    assert markup.sentences("# A heading") == (
        '<div class="study-text"><p><strong>A heading</strong></p>\n</div>'
    )


def test_tables_and_figures_are_named_by_their_number_and_lead_there():
    labels = {"tables/areas": ("Table 6.2", "06_cases.html#table-6-2")}
    links = markup.Links(labels=labels)
    there = '<a href="06_cases.html#table-6-2">Table 6.2</a>'
    said = "[a table](../tables/areas.csv), Table 6.2; [lost](../figures/no.svg), Table 9.9"
    assert markup.sentences(said, links) == (
        f'<div class="study-text"><p>{there}, {there}; lost, Table 9.9</p>\n</div>'
    )


def test_rows_that_are_a_choice_of_images_lead_to_just_these():
    rows = [
        {"variable": "age_years", "group": "≥ 52.5"},
        {"variable": "age_years", "group": "< 52.5"},
        {"variable": "bmi_kg_m2", "group": "25 to 30"},
        {"variable": "scanner", "group": "of no filter"},
        {"variable": "sex", "group": "female"},
        {"variable": "device", "group": "A & B"},
    ]
    rows = [row | {"model": "unet", "class": "QLM"} for row in rows]
    cells = "".join(
        f"<tr><td>{r['variable']}</td><td>{html.escape(r['group'])}</td></tr>" for r in rows
    )
    text = f"<table><tr><th>variable</th><th>group</th></tr>{cells}</table>"
    table = BeautifulSoup(text, "html.parser").table
    filters.link(table, rows, "subgroups")
    assert [a["href"] for a in table("a")] == [
        "cases.html#net=unet&class=QLM&where=age,52.5,",
        "cases.html#net=unet&class=QLM&where=age,,52.5",
        "cases.html#net=unet&class=QLM&where=bmi,25,30",
        "cases.html#net=unet&class=QLM&sex=female",
        "cases.html#net=unet&class=QLM&device=A%20%26%20B",
    ]
    assert [a.text for a in table("a")] == ["≥ 52.5", "< 52.5", "25 to 30", "female", "A & B"]
    failed = filters.OF["failed_images"][1]
    row = {"model": "qvum", "class": "EIT", "below": "6"}
    assert failed(row) == "net=qvum&class=EIT&failed=failed"
    assert failed(row | {"below": "0"}) is None


def test_quotes_of_a_study_are_shown_as_quotes_in_the_book():
    assert markup.escaped('the paper\'s "A" & <b>') == 'the paper\'s "A" &amp; &lt;b&gt;'


@pytest.mark.parametrize("text", [*HOSTILE, "*a* [b](c) `d` # e ![f](g) {toctree} | 1_2"])
def test_escaped_text_is_shown_as_it_is(text):
    import html
    import re

    shown = markup._MARKDOWN.renderInline(markup.escaped(text))
    assert not re.search("<[^/]", shown) and html.unescape(shown) == text


def test_only_the_themes_scripts_become_files_wherever_another_stands(tmp_path):
    (tmp_path / "_static").mkdir()
    page = tmp_path / "index.html"
    theme = "DOCUMENTATION_OPTIONS.pagename = 'index';"
    page.write_text(f"<head></head><script>{theme}</script><article>x</article>")
    harden.harden(tmp_path)
    assert theme not in page.read_text() and len(list((tmp_path / "_static").iterdir())) == 1
    for bad in ("bad()", f"{theme} bad()", "DOCUMENTATION_OPTIONS.x = 'a'+bad()+'b';"):
        for form in ("<article>{}</article>", "<p class='sidebar'>{}</p>", "{}"):
            page.write_text(f"<head></head>{form.format(f'<script>{bad}</script>')}")
            with pytest.raises(StudyError, match=r"index.html: holds a script of its own: "):
                harden.harden(tmp_path)
    page.write_text("<head></head><article>x<script src='cases/index.js'></script></article>")
    harden.harden(tmp_path)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_study_s_title_and_note_run_nowhere_in_a_book(tmp_path, text):
    from tools.book import build

    (tmp_path / "source").mkdir()
    study = SimpleNamespace(name="x", title=f"A {text}", note=f"B {text}", synthetic=True)
    study.question = text
    index, page = (tmp_path / "source" / f"{name}.md" for name in ("index", "a"))
    page.write_text("# A page\n\nWords.\n", encoding="utf-8")
    # without a front page of its own a book opens with the study's title, which every page links
    build.write_index(study, ["a"], None, index.parent)
    build.run_sphinx(study, tmp_path / "source", tmp_path / "out", tmp_path / "trees")
    harden.harden(tmp_path / "out")
    for name in ("index.html", "a.html"):
        page = BeautifulSoup((tmp_path / "out" / name).read_text(encoding="utf-8"), "html.parser")
        assert not page.select("iframe, math, [onerror], [ontoggle], a[href^=javascript]")
        assert all(script.get("src") for script in page.select("script"))


def test_a_fold_of_a_sentence_folds():
    lines = ("- **a**", '  <details class="study-finding"><summary>Why</summary>', "  *b*")
    shown = markup.sentences("\n\n".join([*lines, "  </details>"]))
    assert '<details class="study-finding"><summary>Why</summary>' in shown
    assert "&lt;" not in shown and shown.count("</details>") == 1
