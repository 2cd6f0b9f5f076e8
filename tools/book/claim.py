"""The reporting checklist CLAIM 2024 and a model card, filled in from the run; what is not there
says MISSING.

CLAIM: Tejani AS, Klontzas ME, Gatti AA, et al. Checklist for Artificial Intelligence in Medical
Imaging (CLAIM): 2024 update. Radiology: Artificial Intelligence 6(4):e240300. The items stand here
in this project's own short words.
"""

import csv
import html
import json
from dataclasses import dataclass

from helpers import files, runs, studies
from helpers.figures import model_label
from helpers.workflow.headline import numbers

#: number → (part, item)
ITEMS = dict(
    enumerate(
        [
            ("Title", "says that this is artificial intelligence, and of which kind"),
            ("Abstract", "summary of design, methods, results and conclusion"),
            ("Introduction", "scientific and clinical background; intended use and role in care"),
            ("Introduction", "aims, objectives and hypotheses"),
            ("Study design", "prospective or retrospective"),
            ("Study design", "goal of the study"),
            ("Data", "where the data come from"),
            ("Data", "who was included and excluded"),
            ("Data", "preprocessing of the images"),
            ("Data", "selection of parts of the data"),
            ("Data", "how persons were made unrecognisable"),
            ("Data", "how missing data were handled"),
            ("Data", "how the images were acquired"),
            ("Reference standard", "how the reference was obtained"),
            ("Reference standard", "why this reference was chosen"),
            (
                "Reference standard",
                "where the outlines come from: who drew them, with which qualification",
            ),
            ("Reference standard", "how the test images were outlined"),
            ("Reference standard", "agreement between and within those who drew"),
            ("Data partitions", "how images were assigned to training, tuning and test"),
            ("Data partitions", "at which level the partitions are disjoint"),
            ("Testing data", "intended sample size"),
            ("Model", "detailed description of the network"),
            ("Model", "software and libraries"),
            ("Model", "what the weights start from"),
            ("Training", "details of training"),
            ("Training", "how the final weights were chosen"),
            ("Training", "ensembles of networks"),
            ("Evaluation", "measures of performance"),
            ("Evaluation", "measures of significance and uncertainty"),
            ("Evaluation", "robustness or sensitivity analysis"),
            ("Evaluation", "methods of explaining what the network looks at"),
            ("Evaluation", "evaluation on internal data"),
            ("Evaluation", "testing on external data"),
            ("Evaluation", "registration as a clinical trial"),
            ("Results: data", "numbers of patients or images included and excluded"),
            ("Results: data", "demographic and clinical characteristics in each partition"),
            ("Results: performance", "performance measures with their uncertainty"),
            ("Results: performance", "estimates of diagnostic performance and their precision"),
            ("Results: performance", "analysis of failures"),
            ("Discussion", "limitations"),
            ("Discussion", "what it means for practice: intended use, clinical role"),
            ("Other", "where the full protocol and technical details are"),
            ("Other", "availability of software, weights and data"),
            ("Other", "funding and the role of funders"),
        ],
        start=1,
    )
)


@dataclass(frozen=True)
class Evidence:
    """Where an item is met. text: what is there; link: a page of the book (with anchor), or '' for
    none.
    """

    text: str
    link: str = ""


def evidence(study, pages):
    """Item number → Evidence for every item that the run meets; the others are missing.

    pages: names of the pages of the book (without suffix).
    """
    images, patients = studies.images(study), studies.patients(study)
    tables = {p.stem for p in (study.run / "tables").glob("*.csv")}
    found = {}

    def met(number, text, page, when=True):
        if when and page.split("#")[0] in pages:
            name, _, anchor = page.partition("#")
            found[number] = Evidence(text, f"{name}.html" + (f"#{anchor}" if anchor else ""))

    split, spec = study.split, study.spec
    met(1, "the question names a network", "index#the-question", bool(study.question))
    met(2, "front page", "index#the-answer")
    met(
        4,
        f"question; declared test: {study.statistics['test'].replace('_', ' ')}",
        "index#the-question",
    )
    met(
        5,
        "neither: the images are drawn by a program",
        "index#what-it-does-not-show",
        study.synthetic,
    )
    met(6, "the question", "index#the-question", bool(study.question))
    met(7, study.citation if not study.synthetic else "drawn by a program", "02_images")
    met(8, "flow chart with reasons", "01_cohort", patients is not None and "excluded" in patients)
    met(9, "table of the procedure", "training")
    met(10, "images per patient under the protocol, in the flow chart", "01_cohort")
    met(11, "no person is in the images", "index#what-it-does-not-show", study.synthetic)
    met(12, "table of missing values", "01_cohort", "missing" in tables)
    met(13, "devices", "01_cohort", images["device"].notna().any())
    for number, text in [
        (14, "the shapes that the program drew"),
        (15, "exact by construction"),
        (16, "the program"),
        (17, "as all other images"),
    ]:
        met(number, text, "02_images", study.synthetic)
    met(18, "agreement between raters", "02_images", "rater_agreement" in tables)
    met(19, split.get("reason", split["policy"]), "01_cohort")
    met(20, f"{split.get('unit', split['policy'])}; checked", "02_images", "gates" in tables)
    met(21, "planning", "10_planning")
    met(22, "layers and parameters", "card")
    met(23, "versions", "card")
    met(
        24,
        ", ".join(
            sorted({f"{model_label(m['name'])}: {m['encoder_weights']}" for m in study.models})
        ),
        "training",
    )
    met(25, f"{spec['epochs']} epochs; table of the procedure", "training")
    met(26, f"weights kept: {spec['checkpoint']}", "training")
    met(27, "none; every network stands alone", "training")
    met(28, "definitions with the numbers", "index#the-numbers")
    met(29, "intervals and tests", "05_comparison")
    met(30, "noise, gain and depth", "12_trust", "robustness" in tables)
    met(32, "each structure, and other divisions of the same images", "04_segmentation")
    met(33, "images from elsewhere", "08_cross_validation", "external" in tables)
    met(35, "flow chart", "01_cohort")
    met(36, "Table 1", "01_cohort", "table1" in tables)
    met(37, "headline numbers with intervals", "index#the-numbers", "headline" in tables)
    met(38, "each structure with its interval", "04_segmentation")
    met(39, "every test image, the worst shown", "06_cases")
    met(40, "what it does not show", "index#what-it-does-not-show")
    met(41, "use: research and teaching, not a medical device", "card#use")
    met(42, "study.yml of this run, and every notebook as it ran", "card")
    met(43, "code version, hashes of weights and data", "card")
    return found


def checklist(study, pages):
    """The checklist as Markdown."""
    found = evidence(study, pages)
    rows = []
    for number, (part, item) in ITEMS.items():
        if number in found:
            text = html.escape(found[number].text)
            where = f'<a href="{found[number].link}">{text}</a>' if found[number].link else text
        else:
            where = '<strong class="study-missing">MISSING</strong>'
        rows.append(
            f"<tr><td>{number}</td><td>{part}</td><td>{html.escape(item)}</td><td>{where}</td></tr>"
        )
    head = (
        "<tr>"
        + "".join(f'<th scope="col">{h}</th>' for h in ("No.", "Part", "Item", "Where it is met"))
        + "</tr>"
    )
    return (
        "# Reporting checklist (CLAIM 2024)\n\nThe checklist that radiology journals ask for,"
        " filled in from this run: each item leads to the page that meets it. MISSING means that"
        " nothing in the study meets it, often because nobody can but the people who collected the"
        f" data. **{len(found)} of {len(ITEMS)} items are met.** The items are in short words of"
        " our own; the checklist is Tejani et al., Radiology: Artificial Intelligence 2024,"
        ' 6(4):e240300.\n\n<div class="study-scroll" tabindex="0" role="region"'
        ' aria-label="Checklist"><table class=\'study-table'
        f" study-wrap'><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table></div>\n"
    )


def _rows(record, prefix=""):
    """A nested record as (name, value) rows."""
    for key, value in record.items():
        if isinstance(value, dict) and value:
            yield from _rows(value, f"{prefix}{key}: ")
        else:
            yield (
                f"{prefix}{key}".replace("_", " "),
                ", ".join(map(str, value)) if isinstance(value, list) else value,
            )


def card(study):
    """The model card as Markdown: use, data, each network's record and the hash of its weights."""
    kind = "Synthetic images." if study.synthetic else "Real images."
    text = (
        "# Model card\n\nWhat a person needs to know before using one of these networks.\n\n##"
        f" Use\n\nMade to answer: {study.question or study.title} For research and teaching. **Not"
        " a medical device**: nobody has examined whether a block guided by these outlines is"
        " safer. Not for images of other devices, views or patients than those described under"
        f" *Who was studied*.\n\n## Data\n\n{kind} {study.note}\n\nCitation:"
        f' {study.citation}\n\nThe protocol of this run: <a href="manifest/study.yml"'
        " download>study.yml</a>.\n"
    )
    headline = study.run / "tables" / "headline.csv"
    if headline.is_file():
        with open(headline, newline="", encoding="utf-8") as file:
            lines = "".join(f"- {row['what']}: {numbers(row)}\n" for row in csv.DictReader(file))
        text += f"\n## How well it does\n\n{lines}"
    text += "\n## Networks\n"
    for model, fold, seed in study.trainings():
        folder = runs.folder(study, model, fold, seed)
        if fold == "main" and (folder / "weights.json").is_file():
            record = json.loads((folder / "weights.json").read_text(encoding="utf-8"))
            rows = [
                *_rows(record),
                ("weights.safetensors sha256", files.sha256(folder / "weights.safetensors")),
            ]
            body = "".join(
                f'<tr><th scope="row">{html.escape(str(k))}</th><td>{html.escape(str(v))}</td></tr>'
                for k, v in rows
            )
            label = f"{model_label(model)}, seed {seed}"
            text += (
                f"\n### {label}\n\n<details class='study-log'><summary>The record of its"
                " training</summary>"
            )
            text += f"<div class='study-scroll' tabindex='0' role='region' aria-label='{label}'>"
            text += (
                "<table class='study-table"
                f" study-record'><tbody>{body}</tbody></table></div></details>\n"
            )
    return text
