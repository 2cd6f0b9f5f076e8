"""The page on what readers judged without knowing whose outline it was, where any have."""

import html
from pathlib import Path

import pandas as pd

from helpers import files
from helpers.errors import NotComputable
from helpers.figures.tables import number, p_text, readable
from helpers.studies import Study
from tools.book import readers
from tools.book.markup import grid

NAME = "judged"
INTRO = (
    "Readers saw each test image under letters: one outline is the reference, the others were drawn"
    " by networks, and nobody but the key knows which is which. Of each they said whether the"
    " structure is *found* where it is, whether a needle guided by it would be *safe*, and whether"
    " it is *acceptable* (as it is, or after small changes); then they gave places. Intervals are"
    " 95 %, from resampled patients."
)
NOTES = {
    "acceptability": "Shares of answers. Acceptable: as it is, or after small changes.",
    "against_reference": (
        "Share of acceptable outlines, network minus reference, same reader and image. P: paired"
        " t-test over patients; adjusted over the networks by Holm."
    ),
    "agreement_of_readers": (
        "κ (kappa): agreement of the grades beyond chance, large disagreements weighted more"
        " (quadratic weights); 1 is full, 0 none."
    ),
    "places": "1 is the best; the mean over readers and images.",
    "concordance": (
        "W (Kendall): 1 where all readers order the outlines of an image alike, 0 where they do"
        " not; the mean over images that two readers or more ordered in full."
    ),
    "by_patient": (
        "Share of answers that found the outline acceptable, a row a patient (an image where"
        " patients are unknown), the lowest first."
    ),
}


def answers(study: Study) -> pd.DataFrame | None:
    """The kept answers on the outlines of this run, readers under numbers; None where there are
    none.
    """
    path = readers.folder(study) / "answers.csv"
    if not path.is_file():
        return None
    table = files.read_csv(path, dtype={"image_id": str, "unit": str, "set": str, "reader": str})
    table = table[table["set"] == readers.current(study)]
    if table.empty:
        return None
    number_of = {name: f"reader {k}" for k, name in enumerate(sorted(set(table["reader"])), 1)}
    return table.assign(reader=table["reader"].map(number_of))


def page(study: Study, table: pd.DataFrame) -> str:
    """The page as Markdown. table: of :func:`answers`."""
    found = readers.judged(study, table)
    readers_, images = table["reader"].nunique(), table["image_id"].nunique()
    parts = [
        "# What readers judged, blinded",
        INTRO,
        f"{len(table)} outlines of {images} images were judged, by {readers_} reader(s).",
        _first(study, found),
    ]
    for name, title in readers.TITLES.items():
        parts.append(f"## {title}")
        if isinstance(found[name], NotComputable):
            parts.append(f"*{str(found[name]).rstrip('.')}.*")
            continue
        parts.append(_shown(name, found[name]))
    return "\n\n".join([*parts, ""])


def _first(study: Study, found: dict) -> str:
    """The finding in a sentence: how often the examined network was accepted, and the reference."""
    table = found["acceptability"].set_index("outline")
    said = []
    for name in (study.headline, readers.REFERENCE):
        if name in table.index:
            row = table.loc[name]
            share = " to ".join(
                number(100 * row[f"acceptable_{end}"], 0) for end in ("low", "high")
            )
            said.append(
                f"{readers.label(name)}: {number(100 * row['acceptable'], 0)} % ({share} %)"
            )
    text = f"**Acceptable outlines: {'; '.join(said)}.**"
    against = found["against_reference"]
    if not isinstance(against, NotComputable) and study.headline in set(against["outline"]):
        row = against.set_index("outline").loc[study.headline]
        text += f" Against the reference: P {_equals(row['p_adjusted'])}, adjusted."
    return text


def _equals(p: float) -> str:
    said = p_text(p)
    return said if said.startswith(("<", "–")) else f"= {said}"


def _shown(name: str, table: pd.DataFrame) -> str:
    """A table with what it means, and its file."""
    if "outline" in table:
        table = table.assign(outline=table["outline"].map(readers.label))
    shown, same = readable(table.rename(columns=readers.label), note=NOTES[name])
    rows = shown.astype(str).to_numpy().tolist()
    return (
        f"{grid(shown.columns, rows, readers.TITLES[name])}\n\n"
        f'<p class="study-caption">{html.escape(NOTES[name])} {html.escape(same)}</p>'
        f'<p class="study-files"><a href="{NAME}/{name}.csv" download>CSV of this table</a> ·'
        f' made from <a href="{NAME}/answers.csv" download>answers.csv</a></p>'
    )


def write(study: Study, table: pd.DataFrame, out: Path) -> None:
    """Write the answers and every table to the folder ``out``/judged."""
    place = out / NAME
    place.mkdir()
    files.write_csv(table.drop(columns="set"), place / "answers.csv")
    for name, found in readers.judged(study, table).items():
        if isinstance(found, pd.DataFrame):
            files.write_csv(found, place / f"{name}.csv")
