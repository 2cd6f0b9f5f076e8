"""The reporting checklist CLAIM 2024 and a model card, filled in from the run; what is not there
says MISSING. The items and what meets them stand in claim.yml.
"""

import html
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from helpers import files, runs, studies
from helpers.figures import model_label
from helpers.figures.tables import setting
from tools.book.markup import escaped

ITEMS = studies.read_yaml(Path(__file__).with_name("claim.yml"))


def evidence(study: studies.Study, pages: Collection[str]) -> dict:
    """Item number → (text, link) for every item that the run meets; the others are missing.

    pages: names of the pages of the book (without suffix).
    """
    images, patients, split = studies.images(study), studies.patients(study), study.split
    tables = {f"table {p.stem}" for p in (study.run / "tables").glob("*.csv")}
    holds = tables | {
        name
        for name, true in {
            "question": bool(study.question),
            "synthetic": study.synthetic,
            "exclusions": patients is not None and "excluded" in patients,
            "devices": images["device"].notna().any(),
        }.items()
        if true
    }
    starts = {f"{model_label(m['name'])}: {setting(m['encoder_weights'])}" for m in study.models}
    words = {
        "test": setting(study.statistics["test"]),
        "source": "drawn by a program" if study.synthetic else study.citation or "the owners",
        "assigned": split.get("reason", split["policy"]),
        "unit": split.get("unit", split["policy"]),
        "starts": ", ".join(sorted(starts)),
        "epochs": study.spec["epochs"],
        "checkpoint": setting(study.spec["checkpoint"]),
    }
    found = {}
    for number, item in ITEMS.items():
        name, _, anchor = item.get("page", "").partition("#")
        if name in pages and item.get("when") in (None, *holds):
            link = f"{name}.html" + (f"#{anchor}" if anchor else "")
            found[number] = (item["met"].format(**words), link)
    return found


def checklist(study: studies.Study, pages: Collection[str]) -> str:
    """The checklist as Markdown."""
    found = evidence(study, pages)
    rows = []
    for number, item in ITEMS.items():
        where = '<strong class="study-missing">MISSING</strong>'
        if number in found:
            text, link = found[number]
            where = f'<a href="{link}">{html.escape(text)}</a>'
        rows.append(
            f"<tr><td>{number}</td><td>{item['part']}</td><td>{html.escape(item['item'])}</td>"
            f"<td>{where}</td></tr>"
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
        f" study-wrap study-cards'><thead>{head}</thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>\n"
    )


def _rows(record: Any, prefix: str = "") -> Iterator[tuple[str, object]]:
    """A nested record as (name, value) rows."""
    for key, value in record.items():
        if isinstance(value, dict) and value:
            yield from _rows(value, f"{prefix}{key}: ")
        else:
            yield (
                f"{prefix}{key}".replace("_", " "),
                ", ".join(map(str, value)) if isinstance(value, list) else value,
            )


def card(study: studies.Study, front: dict[str, str]) -> str:
    """The model card as Markdown: use, data, what the front page says, each network's record and
    the hash of its weights.

    front: heading → what the front page says below it, as HTML.
    """
    kind = "Synthetic images." if study.synthetic else "Real images."
    asked, note, citation = map(
        escaped, (study.question or study.title, study.note, study.citation or "none")
    )
    text = (
        "# Model card\n\nWhat a person needs to know before using one of these networks.\n\n##"
        f" Use\n\nMade to answer: {asked} For research and teaching. **Not"
        " a medical device**: nobody has examined whether a block guided by these outlines is"
        " safer. Not for images of other devices, views or patients than those described under"
        ' <a href="index.html#who-was-studied">Who was studied</a>.'
        f"\n\n## Data\n\n{kind} {note}\n\nCitation:"
        f' {citation}\n\nThe protocol of this run: <a href="manifest/study.yml"'
        " download>study.yml</a>.\n"
    )
    for heading, said in front.items():
        text += f"\n## {heading}\n\n{said}\n"
    text += "\n## The networks and the records of their training\n"
    for model, fold, seed in study.trainings():
        folder = runs.folder(study, model, fold, seed)
        if fold == "main" and (folder / "weights.json").is_file():
            record = files.read_json(folder / "weights.json")
            weights = folder / "weights.safetensors"
            known = files.sha256(weights) if weights.is_file() else "not here: numbers alone"
            rows = [*_rows(record), ("weights.safetensors sha256", known)]
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
