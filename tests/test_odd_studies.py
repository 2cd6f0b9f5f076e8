"""Whatever passes the checks of a manifest ends in a book: every page runs on odd studies, their
book is made of what the pages show, and a part that cannot be computed says in one sentence why.
"""

import ast
import base64
import dataclasses
import functools
import re
import traceback
import unittest.mock

import matplotlib
import matplotlib.pyplot as plt
import nbformat
import pytest
from bs4 import BeautifulSoup
from conftest import REPOSITORY
from IPython.core.formatters import DisplayFormatter
from IPython.display import Markdown
from odd_run import Odd, build
from scipy import stats

from helpers import figures, pages, plan, provenance, studies
from helpers.pages import Page, more_statistics
from helpers.workflow import notebook, settings
from tools.book.build import build as build_book
from tools.book.pages import SHOWN

pytestmark = pytest.mark.slow

matplotlib.use("Agg")
#: page → parameters; page 3 trains and page 11 trains again, which no odd study needs
PAGES = {
    "01_cohort": {},
    "02_images": {"examples": 4},
    "04_segmentation": {},
    "05_comparison": {},
    "06_cases": {},
    "07_speed": {"paper_size": 32, "batches": [1], "seconds": 0.001},
    "08_cross_validation": {},
    "09_published": {},
    "10_planning": {},
    "12_trust": {},
    "13_more_statistics": {},
    "00_summary": {},  # last: it reads what the others wrote
}
ABOUT = settings.pages(REPOSITORY / "notebooks")
#: costs of networks are those of every study, so that few studies are enough
SLOW = {"07_speed"}
#: studies whose number or length of names a figure's layout must bear; in the others it is drawn
LAID_OUT = (
    "3 patients",
    "nine structures",
    "unequal patients, the numbers of another paper",
    "long names",
    "one network, no age, sex or spacing",
)
#: a quantile of Tukey's tests depends on three small numbers that most studies share
quantile = functools.cache(stats.studentized_range.ppf)
NUMBERS = ("007", "1e5", "NA", "nan", "inf", "2024-01-31", "1_000", "None", "-inf", "0x1F", "TRUE")

#: oddities that meet nowhere share a study: each still has its page, its sentence and its book
STUDIES = {
    "3 patients": Odd(patients=(1, 1, 1), images=(4,)),
    "3 test patients": Odd(patients=(3, 2, 3)),
    "one image a patient, one structure": Odd(images=(1,), patients=(8, 4, 10), classes=("nerve",)),
    "nine structures": Odd(classes=tuple(f"s{k}" for k in range(1, 10)), patients=(3, 2, 6)),
    "target in no test image": Odd(nowhere=("nerve",)),
    "target in no test image, drawn": Odd(nowhere=("nerve",), invented=0.5),
    "the target in one fold, another that nobody draws": Odd(one_fold="nerve", unseen=("vessel",)),
    "a target that nobody draws, another in one fold": Odd(unseen=("nerve",), one_fold="vessel"),
    "images rightly empty, no patients.csv": Odd(empty=0.4, invented=0.3, people=None),
    "nothing anywhere": Odd(nowhere=("nerve", "vessel"), empty=0.3),
    "unequal patients, the numbers of another paper": Odd(
        images=(1, 1, 40, 1, 1), published="phantom"
    ),
    "one test patient": Odd(patients=(4, 2, 1), images=(6,)),
    "no patients": Odd(people=None, names=("",), unit="image", test="image_t"),
    "long names": Odd(
        name="a" * 60,
        classes=("the_" + "very_" * 12 + "long_nerve", "x"),
        names=tuple(f"{'patient-' * 6}{k}" for k in range(15)),
        device="a machine of a very long name " * 4,
        title="A title that goes on " * 12,
    ),
    "one network, no age, sex or spacing": Odd(networks=Odd.networks[:1], people=(), spacing=None),
    "names and ids like numbers": Odd(
        name="2024",
        names=(*NUMBERS, "0", "00", "1.0", "1.00"),
        image_ids=(*NUMBERS, "0", "00", "1.0", "1.00", *(f"{k:03d}" for k in range(100, 140))),
        classes=("NA", "nan"),
    ),
    "networks that draw alike and right, another hospital": Odd(same=True, external=2, folds=0),
}
#: what a study's pages must say, where a number cannot be had
SAID = {
    "3 patients": {"05_comparison": "patients", "10_planning": "No plan can be made"},
    "one image a patient, one structure": {
        "04_segmentation": "one structure: there is nothing to compare it with",
        "10_planning": "cannot be told apart",
    },
    "target in no test image": {
        "00_summary": "No test image shows the nerve, so nothing can be said of how .*it\\.",
        "02_images": "Shown by no image: nerve in test",
        "05_comparison": "No image has a Dice of nerve for every network",
        "08_cross_validation": "It cannot be said of Femoral U-Net",
    },
    "target in no test image, drawn": {
        "00_summary": r"No test image shows the nerve.*; it was drawn in \d+ of them",
        "04_segmentation": "nerve.*: in no test image, so it can be neither.*; drawn in",
        "06_cases": "which is in no test image; nerve drawn in",
        "08_cross_validation": "It cannot be said of Femoral U-Net",
    },
    "images rightly empty, no patients.csv": {"01_cohort": "without any information on patients"},
    "unequal patients, the numbers of another paper": {"09_published": "Q-VUM"},
    "one test patient": {"05_comparison": "patients?", "13_more_statistics": "patients?"},
    "no patients": {"01_cohort": "nobody can say how many patients these are"},
    "one network, no age, sex or spacing": {
        "01_cohort": "has none of age, height, weight, BMI and sex",
        "06_cases": "size of a pixel is unknown",
        "10_planning": "Only Femoral U-Net has results",
    },
    "networks that draw alike and right, another hospital": {
        "06_cases": "neither too large nor too small .the same in every image",
        "08_cross_validation": "No cross-validation has been run",
        "12_trust": "nothing for doubt to find",
    },
}
assert set(SAID) | set(LAID_OUT) <= set(STUDIES)
LAST = "_shown"
#: the files of a figure that no reader looks at
DOT = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>',
    "png": base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAG7buVgAAAABJRU5ErkJggg=="
    ),
}
#: a cell that ends so shows nothing
KEPT = re.compile(r"^(page\.keep|files\.write_json|runs\.save_result)\(.*\Z", re.MULTILINE)
NONSENSE = re.compile(
    r"nan ± nan|\(nan\)|\bnan\b|[-−]?\binf(inity)?\b|Traceback|Error\b|<NA>|\bNaT\b|\bNone\b"
)


class Read(dict):
    """Settings that note which of them are read, from themselves or from what is made of them."""

    def __init__(self, given, noted):
        super().__init__(given)
        self.noted = noted

    def __getitem__(self, key):
        self.noted.add(key)
        return super().__getitem__(key)

    def get(self, key, default=None):
        self.noted.add(key)
        return super().get(key, default)

    def __or__(self, other):
        return Read(super().__or__(other), self.noted)


def shown_by(page, study, parameters):
    """(the notebook of a page executed without a kernel, its parameters replaced; what its cells
    show, in order: what its functions display, and the value of a cell's last expression; None for
    one that shows nothing).
    """
    given, shown, space = {"study": study.name, "protocol": study.protocol} | parameters, [], {}
    notebook = nbformat.read(REPOSITORY / "notebooks" / f"{page}.ipynb", as_version=4)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        first = len(shown)
        tree = ast.parse(cell.source)
        if isinstance(tree.body[-1], ast.Expr) and not KEPT.search(cell.source):
            last = tree.body.pop().value
            tree.body.append(ast.Assign([ast.Name(LAST, ast.Store())], last))
        displayed = []
        with unittest.mock.patch.object(pages, "display", displayed.append):
            exec(compile(ast.fix_missing_locations(tree), f"{page}:{cell.id}", "exec"), space)
        if "parameters" in cell.metadata.get("tags", []):
            space |= given
        elif LAST in space:
            last = space.pop(LAST)
            shown += displayed if displayed and last is None else [*displayed, last]
        cell.outputs = [output for value in shown[first:] if (output := output_of(value))]
    return notebook, shown


def output_of(value):
    """The output of a notebook that shows a value; None for what shows nothing."""
    if value is None:
        return None
    data, metadata = DisplayFormatter(active_types=list(SHOWN)).format(value)
    return nbformat.v4.new_output("display_data", data, metadata=metadata)


def executed(page, study, parameters):
    """What a page shows; it is written, with its record, as ``workflow.notebook.run`` does."""
    output = study.run / "notebooks" / f"{page}.ipynb"
    part, log = output.with_suffix(".part"), output.with_suffix(".made")
    output.parent.mkdir(exist_ok=True)
    with unittest.mock.patch.dict("os.environ", STUDY_MADE=str(log)):
        run, shown = shown_by(page, study, parameters)
    nbformat.write(run, part)
    record = {"notebook": output.name, "parameters": parameters, "started": provenance.now()}
    notebook._finish(part, output, log, record)
    return shown


def text_of(value):
    """What a reader sees of a shown value, plain text."""
    if isinstance(value, Markdown):
        return value.data
    if hasattr(value, "to_html"):
        return BeautifulSoup(value.to_html(), "html.parser").get_text(" ", strip=True)
    return "" if value is None else f"figure {value}"


@dataclasses.dataclass
class Dot:
    """What is shown of a figure that was drawn and kept as one pixel."""

    name: str

    def _repr_mimebundle_(self, include=None, exclude=None):
        picture = base64.b64encode(DOT["png"]).decode()
        return {"image/png": picture, "text/plain": self.name}, {"study": {"figure": self.name}}


@pytest.fixture
def root(request, tmp_path, monkeypatch):
    """A STUDY_ROOT; figures are drawn once, small, and simulations are few."""
    kind = request.node.callspec.params["kind"] if hasattr(request.node, "callspec") else ""

    def save(fig, study, name):
        if kind not in LAID_OUT:
            fig.set_layout_engine("none")
        fig.set_dpi(20)
        fig.canvas.draw()
        plt.close(fig)
        for end, content in DOT.items():
            path = study.run / "figures" / f"{name}.{end}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            provenance.made(path)
        return Dot(name)

    monkeypatch.setattr(studies, "ROOT", tmp_path)
    monkeypatch.setattr(figures, "save", save)
    monkeypatch.setattr(more_statistics, "SIMULATIONS", 10)
    monkeypatch.setattr(stats.studentized_range, "ppf", quantile)
    with matplotlib.rc_context():
        yield tmp_path


@pytest.fixture
def noted(monkeypatch):
    """The keys of study.yml's statistics that pages have read so far (set of str)."""
    found, load = set(), studies.load

    def noting(*given):
        study = load(*given)
        return dataclasses.replace(study, statistics=Read(study.statistics, found))

    monkeypatch.setattr(studies, "load", noting)
    return found


def problems(page, study, parameters):
    """(what is wrong with a page of a study, what it says): lists of str."""
    try:
        shown = executed(page, study, parameters)
    except Exception as error:
        lines = traceback.extract_tb(error.__traceback__)[:1:-1][:5]
        where = " < ".join(f"{line.filename.split('/')[-1]}:{line.lineno}" for line in lines)
        return [f"{page}: {type(error).__name__}: {str(error)[:300]} [{where}]"], []
    texts = [text_of(value) for value in shown]
    reasons = [text for text in texts if re.fullmatch(r"\*\w+ .*\w\.\*", text, re.DOTALL)]
    left_out = any(value is None for value in shown)  # what was said of another part already
    found = [f"{page}: not said why there is nothing"] if left_out and not reasons else []
    if "NA" not in [c.name for c in study.classes]:  # there "nan" is a name
        for text in texts:
            if match := NONSENSE.search(text):
                around = text[max(0, match.start() - 80) : match.end() + 80]
                found.append(f"{page}: {match[0]!r} in … {around} …")
    return found, texts


def hidden(page, noted):
    """Keys that a page has read although its metadata says that it does without them: a change of
    theirs would not make it again.
    """
    without = ABOUT[page].get("without", ())
    return sorted(key for key in noted if {"statistics", f"statistics.{key}"} & set(without))


@pytest.mark.slow
@pytest.mark.parametrize("kind", STUDIES)
def test_every_page_of_an_odd_study(kind, root, noted):
    study, found, said = build(STUDIES[kind], root), [], {}
    for page, parameters in PAGES.items():
        if page not in SLOW or kind in ("nine structures", "one network, no age, sex or spacing"):
            noted.clear()
            wrong, said[page] = problems(page, study, parameters)
            found += wrong
            found += [
                f"{page}: reads {key}, which it is declared without" for key in hidden(page, noted)
            ]
    assert not found, "\n".join([kind, *found])
    plan.seal(study)
    build_book(study)
    for page, sentence in SAID.get(kind, {}).items():
        assert any(re.search(sentence, text) for text in said[page]), (page, sentence)


def test_what_a_page_reads_is_noted(noted, root):
    build(Odd(), root)
    page = Page("odd", "quick")
    noted.clear()
    assert page.settings["test"] == "patient_t" and noted == {"test"}
    assert hidden("10_planning", noted) == hidden("06_cases", noted) == ["test"]
    assert hidden("05_comparison", noted) == []
