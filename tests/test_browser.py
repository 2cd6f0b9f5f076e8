"""The book in a real browser, opened from disk: no error, no request elsewhere, keys, search,
accessibility.
"""

import functools
import http.server
import json
import re
import shutil
import threading
import zipfile

import pytest
from report_run import COHORT, FRONT, built

from helpers import files, studies
from helpers.errors import StudyError
from helpers.figures import model_label
from tools.book import readers
from tools.book.build import ASSETS, build
from tools.book.pack import BROWSERS
from tools.book.readers import PAGE

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: make env installs it"
)
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not CHROMIUM, reason="no Chromium here: apt-get install chromium runs these tests"
    ),
]
OWN = ("file:", "data:", "http://127.0.0.1:")
HARMLESS = (
    "[PST]",
    "Canvas2D: Multiple readback",
)  # the theme on its colours; these tests reading a canvas


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        yield built(tmp_path_factory.mktemp("phantom"), patch, FRONT, COHORT)


@pytest.fixture(scope="module")
def book(study):
    return studies.ROOT / "reports" / "phantom" / "book"


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium):
    """A page that collects what goes wrong on it in ``page.wrong``."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    page = context.new_page()
    page.wrong = []
    page.on(
        "console", lambda m: page.wrong.append(m.text) if not m.text.startswith(HARMLESS) else None
    )
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    # what was still on its way when the page was left is no failure
    page.on(
        "requestfailed",
        lambda r: (
            page.wrong.append(f"failed: {r.url}: {r.failure}")
            if r.failure != "net::ERR_ABORTED"
            else None
        ),
    )
    page.on(
        "request",
        lambda r: (
            page.wrong.append(f"outside: {r.url}")
            if not r.url.startswith(("file:", "data:", "http://127.0.0.1:"))
            else None
        ),
    )
    yield page
    context.close()
    assert page.wrong == []


def names(book):
    return sorted(p.name for p in book.glob("*.html"))


@pytest.mark.parametrize("width", [390, 1440])
def test_every_page_loads_and_fits(page, book, width):
    page.set_viewport_size({"width": width, "height": 900})
    for name in names(book):
        page.goto((book / name).as_uri())
        assert page.title() and page.locator("main h1").last.inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (
            f"{name} is wider than the screen"
        )
        broken = page.evaluate(
            "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
        )
        assert broken == [], name
    page.goto((book.parent.parent / "index.html").as_uri())
    page.get_by_role("link", name="synthetic phantom").click()
    assert page.url.endswith("phantom/book/index.html")


def test_a_table_too_wide_for_a_phone_is_a_card_a_row(page, book):
    """Its last columns were off the screen, and a row without its name said nothing."""
    page.set_viewport_size({"width": 390, "height": 900})
    page.goto((book / "index.html").as_uri())
    page.evaluate("""() => {
        const heads = ["split", "class", ...Array(9).fill().map((_, k) => `head ${k}`)];
        const cells = "<td>0.123 (0.1 to 0.2)</td>".repeat(9);
        const row = (c) => `<tr><td>test</td><td>${c}</td>${cells}</tr>`;
        document.querySelector(".study-scroll table").innerHTML =
            `<thead><tr>${heads.map((h) => `<th>${h}</th>`).join("")}</tr></thead>`
            + `<tbody>${row("EIT")}${row("QLM")}</tbody>`;
        window.dispatchEvent(new Event("resize"));
    }""")
    box = page.locator(".study-scroll").first
    assert "study-stacked" in box.get_attribute("class")
    assert box.evaluate("box => box.scrollWidth <= box.clientWidth + 2")
    assert box.locator("td.study-key").all_inner_texts() == ["test", "EIT", "test", "QLM"]
    last = box.locator("td").last
    assert last.evaluate("td => getComputedStyle(td, '::before').content") == '"head 8 "'
    assert box.locator("td.study-key.study-head").count() == 0
    right = last.evaluate("td => td.getBoundingClientRect().right")
    assert 0 < right <= 390
    page.evaluate("""() => {  // a number alone names nothing
        document.querySelectorAll(".study-stacked tbody tr > :first-child").forEach((td, k) => {
            td.textContent = k + 1;
        });
        window.dispatchEvent(new Event("resize"));
    }""")
    assert box.locator("td.study-key.study-head").all_inner_texts() == ["1", "2"]
    page.set_viewport_size({"width": 1440, "height": 900})
    assert "study-stacked" not in box.get_attribute("class")


def test_of_findings_about_a_paper_only_the_gravest_stand_open_on_a_phone(page, tmp_path):
    item = '<li><p>said</p><details class="study-finding"><summary>why</summary></details></li>'
    (tmp_path / "page.html").write_text(
        f"<ul id='words'><li>a list</li></ul><ul id='grave'>{item}</ul>"
        f"<ul id='others'>{item * 3}</ul>"
        f"<script src='{(ASSETS / 'study.js').as_uri()}'></script>"
    )
    for width, shown in ((390, False), (1440, True)):
        page.set_viewport_size({"width": width, "height": 844})
        page.goto((tmp_path / "page.html").as_uri())
        assert page.locator("#words").is_visible() and page.locator("#grave").is_visible()
        assert page.locator("#others").is_visible() == shown
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    page.get_by_text("3 findings").click()
    assert page.locator("#others").is_visible() and not page.wrong


def test_a_word_that_is_longer_than_a_phone_is_wide_is_broken(page, tmp_path):
    """Such as the name of a protocol with its own size, length and networks."""
    (tmp_path / "page.html").write_text(
        f"<link rel='stylesheet' href='{(ASSETS / 'study.css').as_uri()}'>"
        f"<article class='bd-article'><p>{'quick,size=32,models=qvum+' * 6}</p></article>"
    )
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto((tmp_path / "page.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_what_is_folded_is_on_paper(page, tmp_path):
    """A table of 42 rows was a line and its caption there."""
    (tmp_path / "page.html").write_text(
        "<details class='study-rows'><summary>Table of 42 rows</summary><p>one row</p></details>"
        f"<script src='{(ASSETS / 'study.js').as_uri()}'></script>"
    )
    page.goto((tmp_path / "page.html").as_uri())
    page.evaluate("""() => window.addEventListener("beforeprint", () => {
        document.title = document.querySelector("details").open;
    })""")
    page.pdf()
    assert page.title() == "true"  # while it was printed
    assert not page.get_by_text("one row").is_visible()


def test_next_leads_through_the_whole_book(page, book):
    page.goto((book / "index.html").as_uri())
    seen = ["index.html"]
    while page.locator("a.right-next").count():
        with page.expect_navigation():
            page.locator("a.right-next").click()
        seen.append(page.url.rsplit("/", 1)[1].split("#")[0])
    trained = {name for name in names(book) if name.startswith("train_")}
    assert sorted(seen) == sorted(set(names(book)) - {"search.html", PAGE} - trained)
    with page.expect_navigation():
        page.locator("a.left-prev").click()
    assert page.url.endswith(seen[-2])


def test_search_finds_a_page(page, book):
    page.goto((book / "search.html").as_uri() + "?q=studied")
    page.wait_for_selector("#search-results li a")
    assert "Who was studied" in page.locator("#search-results").inner_text()


def test_code_is_one_click_away(page, book):
    page.goto((book / "01_cohort.html").as_uri())
    code = page.locator("div.highlight").first
    assert not code.is_visible()
    assert not page.get_by_text("Show the code").first.is_visible()
    page.get_by_role("button", name="Show all code of this page").click()
    assert code.is_visible()
    page.get_by_role("button", name="Hide all code of this page").click()
    assert not code.is_visible()


@pytest.fixture
def served(book):
    """The book under http: from disk a browser shows a picture where it would save it."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=book)
    handler.func.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_downloads_are_the_files(page, book, served):
    page.goto(served + "01_cohort.html")
    links = page.locator("a[download]")
    files = [links.nth(i).get_attribute("href") for i in range(links.count())]
    assert {f.split("/")[0] for f in files} >= {"tables", "figures", "notebooks"}
    for i, file in enumerate(files):
        if links.nth(i).is_visible():
            with page.expect_download() as waiting:
                links.nth(i).click()
            assert waiting.value.path().read_bytes() == (book / file).read_bytes()


def test_case_browser_by_keyboard(page, book):
    page.goto((book / "cases.html").as_uri())
    page.wait_for_selector(".cases-list tbody tr")
    first = page.locator(".cases-view h2").inner_text()
    dice = [float(t) for t in page.locator("td[data-key=dice]").all_inner_texts() if t != "–"]
    assert dice == sorted(dice) and len(dice) > 5
    page.keyboard.press("ArrowRight")
    second = page.locator(".cases-view h2").inner_text()
    assert second != first
    page.keyboard.press("ArrowLeft")
    assert page.locator(".cases-view h2").inner_text() == first

    def pixels():
        return page.evaluate("""[...document.querySelectorAll('canvas')].map(c => {
            const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
            let sum = 0; for (let i = 3; i < d.length; i += 4) sum += d[i] > 0; return sum; })""")

    outlined = pixels()
    assert min(outlined) > 0
    page.keyboard.press("f")
    assert pixels()[1] > outlined[1]
    page.keyboard.press("f")
    page.keyboard.press("0")
    assert pixels()[1] == 0
    page.keyboard.press("2")
    assert page.locator("select[name=right]").input_value() == "unet"
    page.keyboard.press("e")
    assert "Missed" in page.locator(".cases-legend").inner_text()
    page.keyboard.press("c")
    assert page.locator("button[name=safe]").get_attribute("aria-pressed") == "true"
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_selector(".cases-list tbody tr")
    assert page.locator(".cases-view h2").inner_text() == first
    assert page.locator("select[name=right]").input_value() == "unet"
    assert "Missed" in page.locator(".cases-legend").inner_text()


def test_case_list_sorts_and_finds(page, book):
    page.goto((book / "cases.html").as_uri())
    page.get_by_role("button", name="BMI").click()
    bmi = [float(t) for t in page.locator("td[data-key=bmi]").all_inner_texts()]
    assert bmi == sorted(bmi)
    page.get_by_role("button", name="BMI").click()
    bmi = [float(t) for t in page.locator("td[data-key=bmi]").all_inner_texts()]
    assert bmi == sorted(bmi, reverse=True)
    patient = page.locator("td[data-key=patient]").first.inner_text()
    page.locator("input[name=find]").fill(patient)
    assert set(page.locator("td[data-key=patient]").all_inner_texts()) == {patient}


def test_cases_are_filtered_and_stepped_through_within_the_filter(page, book):
    page.goto((book / "cases.html").as_uri())
    page.select_option("select[name=sex]", "female")
    assert set(page.locator("td[data-key=sex]").all_inner_texts()) == {"female"}
    page.select_option("select[name=failed]", "not failed")
    dice = [float(t) for t in page.locator("td[data-key=dice]").all_inner_texts()]
    assert dice and min(dice) >= 0.5
    for _ in dice:
        page.get_by_role("button", name="Next").first.click()
        assert "female" in page.locator(".cases-view p").first.inner_text()
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    assert page.locator("td[data-key=dice]").count() == len(dice)
    page.get_by_role("button", name="Show all").click()
    patient = page.locator(".cases-strip button").last
    name = patient.inner_text().split()[0]
    patient.click()
    assert set(page.locator("td[data-key=patient]").all_inner_texts()) == {name}


def test_a_subgroup_s_link_shows_just_its_images(page, book, study):
    people = studies.patients(study).set_index("patient_id")["age_years"]
    page.goto((book / "cases.html").as_uri() + "#where=age,52,")
    page.wait_for_selector(".cases-list tbody tr")
    assert "Only Age 52 or more" in page.locator("#cases").inner_text()
    shown = page.locator(".cases-list td[data-key=patient]").all_inner_texts()
    assert shown and (people[sorted(set(shown))] >= 52).all()
    tested = set(studies.images(study).query("split == 'test'")["patient_id"])
    assert set(shown) == {name for name in tested if people[name] >= 52}
    page.get_by_role("button", name="Show all").click()
    assert page.locator(".cases-list tbody tr").count() > len(shown)


def test_nothing_serious_for_those_who_cannot_see(page, book):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
    )
    for name in names(book):
        page.goto((book / name).as_uri())
        page.wait_for_load_state()
        found = axe.Axe().run(page).response["violations"]
        serious = {
            v["id"]: [n["html"][:120] for n in v["nodes"]][:3]
            for v in found
            if v["impact"] in ("serious", "critical")
        }
        assert serious == {}, name
    page.wrong.clear()  # axe itself asks for the style sheets once more, which the policy refuses


def test_policy_stops_a_script_that_slipped_in(chromium, book, tmp_path):
    bad = book / "bad.html"
    text = (book / "index.html").read_text(encoding="utf-8")
    bad.write_text(
        re.sub("</body>", "<script>document.title = 'owned'</script></body>", text),
        encoding="utf-8",
    )
    page = chromium.new_page()
    page.goto(bad.as_uri())
    title = page.title()
    page.close()
    bad.unlink()
    assert title != "owned"


def test_a_blinded_reader_judges_two_images_and_the_file_is_evaluated(page, book, study, capsys):
    loaded = []
    page.on("request", lambda r: loaded.append(r.url))
    page.goto((book / "readers.html").as_uri())
    letters = page.locator("section.card h3").all_inner_texts()
    assert letters == ["A", "B", "C"]
    said = {"found": "1", "safe": "0", "acceptable": "3"}
    for image in (1, 2):
        page.wait_for_selector("section:last-child canvas[data-drawn]")
        drawn = page.evaluate("""[...document.querySelectorAll('canvas')].map(c =>
            new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size)""")
        assert min(drawn) > 1
        assert page.locator("h2").inner_text().startswith(f"Image {image} of")
        for place, letter in enumerate(letters, 1):
            for question, value in said.items():
                page.check(f"input[name='{letter} {question}'][value='{value}']")
            page.select_option(f"select[name='{letter} rank']", str(place))
        page.get_by_role("button", name="Next image").click()
    assert page.locator("[role=status]").inner_text().startswith("6 of ")
    page.reload()  # nothing is lost
    assert page.locator("h2").inner_text().startswith("Image 3 of")
    page.fill("input[name=reader]", "R 1")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save my answers").click()
    assert waiting.value.suggested_filename == "answers_R_1.json"
    saved = book.parent / "answers.json"
    waiting.value.save_as(saved)

    table = readers.read(study, [saved])
    assert len(table) == 6 and table["image_id"].nunique() == 2
    assert (table[["found", "safe", "acceptable"]] == [1, 0, 3]).all(axis=None)
    key = json.loads(next(readers.folder(study).glob("key_*.json")).read_text(encoding="utf-8"))
    for case in ("c0001", "c0002"):
        of = table[table["image_id"] == key["cases"][case]["image_id"]].set_index("outline")["rank"]
        assert of.to_dict() == {
            name: "ABC".index(letter) + 1 for letter, name in key["cases"][case]["letters"].items()
        }
    readers.main(["--study", "phantom", str(saved)])
    out = capsys.readouterr().out
    assert "One reader alone has no other" in out and "Q-VUM" in out
    assert (readers.folder(study) / "acceptability.csv").is_file()

    seen = [p for p in (book / "readers").iterdir() if p.suffix != ".webp"] + [book / PAGE]
    assert {u.rsplit("/", 1)[1] for u in loaded if u.endswith((".js", ".css", ".html"))} <= {
        p.name for p in seen
    }
    names = [n for m in study.models for n in (m["name"], model_label(m["name"]))]
    for path in seen:
        text = path.read_text(encoding="utf-8").lower()
        assert not [n for n in names if n.lower() in text], path


def test_answers_on_other_outlines_are_refused(study, tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"set": "0", "reader": "R", "cases": {}}', encoding="utf-8")
    with pytest.raises(StudyError, match="has no key"):
        readers.read(study, [path])
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(StudyError, match=r"a\.json: is no file that the reading page saved"):
        readers.read(study, [path])


def test_the_page_alone_is_packed_for_readers(study, book):
    with zipfile.ZipFile(readers.packed(study)) as archive:
        names = archive.namelist()
    assert "readers/readers.html" in names and "readers/readers/index.js" in names
    assert not [n for n in names if "key" in n or "cases" in n]


def test_what_readers_said_is_a_page_of_the_book_and_names_none_of_them(page, book, study):
    assert "Nobody has yet" in (book / "cases.html").read_text(encoding="utf-8")
    assert not (book / "judged.html").exists()
    (path,) = readers.folder(study).glob("key_*.json")
    key = json.loads(path.read_text(encoding="utf-8"))
    grades = {"reference": 4, "qvum": 3, "unet": 1}
    paths = []
    for reader, worse in (("Dr Anna Able", 0), ("Dr Ben Best", 1)):
        said = {
            case: {
                letter: {"found": 1, "safe": 1, "rank": 5 - grades[name]}
                | {"acceptable": max(1, grades[name] - worse)}
                for letter, name in known["letters"].items()
            }
            for case, known in key["cases"].items()
        }
        for letters in said.values():  # places 1, 2, 3
            order = sorted(letters, key=lambda letter: letters[letter]["rank"])
            for place, letter in enumerate(order, 1):
                letters[letter]["rank"] = place
        paths.append(book.parent / f"answers_{reader[-1]}.json")
        content = {"set": key["set"], "reader": reader, "cases": said}
        paths[-1].write_text(json.dumps(content), encoding="utf-8")
    readers.main(["--study", "phantom", *map(str, paths)])
    build(study)
    page.goto((book / "cases.html").as_uri())
    page.get_by_role("link", name="what they said").click()
    text = page.locator("main").inner_text()
    # one of two readers takes the network's outlines, both take the reference's
    assert "Acceptable outlines: Q-VUM: 50 %" in text and "reference: 100 %" in text
    assert "reader 1 – reader 2" in text and "Able" not in text
    table = files.read_csv(book / "judged" / "acceptability.csv").set_index("outline")
    assert table["acceptable"].to_dict() == {"reference": 1.0, "qvum": 0.5, "unet": 0.0}
    assert files.read_csv(book / "judged" / "concordance.csv")["W"].tolist() == [1.0]
    assert "Able" not in (book / "judged" / "answers.csv").read_text(encoding="utf-8")
    with zipfile.ZipFile(readers.packed(study)) as archive:
        assert not [name for name in archive.namelist() if "judged" in name]
    table = files.read_csv(readers.folder(study) / "answers.csv")
    files.write_csv(table.assign(set="of an earlier run"), readers.folder(study) / "answers.csv")
    build(study)
    assert not (book / "judged.html").exists()
