"""Page 9: does the paper reproduce, and can it be true as printed? Its sentences and tables."""

import pandas as pd

from helpers import figures, papers
from helpers.errors import NotComputable
from helpers.papers import DEFINITION, HOLDS, IMPOSSIBLE, QUESTION
from helpers.studies import Study

KINDS = {
    IMPOSSIBLE: "cannot be true as printed",
    DEFINITION: "hold only under another reading",
    QUESTION: "are worth a question",
}
ALL = "Every printed number, ours or not, stands with every digit in published_all.csv."
VERDICTS = "All printed numbers, counted by what can be said of ours beside them."
SCATTER = (
    "SD of the image-by-image difference between two networks: implied by the printed t, and in"
    " this run. Congruence: how alike the two networks' scores are from image to image in this run"
    " (their correlation), beside what the audit assumes where a paper prints no t."
)


def paper(study: Study) -> papers.Paper:
    """The paper (``papers.paper``), or a NotComputable without words: ``opening`` says why."""
    try:
        return papers.paper(study)
    except NotComputable:
        raise NotComputable("") from None


def opening(study: Study) -> str:
    """What the paper prints; or the one sentence of a study that reproduces no paper."""
    try:
        numbers = papers.load(study)
    except NotComputable as reason:
        raise NotComputable(f"{reason}, so the rest of this page is empty") from None
    count = (numbers["origin"] != "derived").sum()
    return (
        f"**{numbers['title'].iloc[0]}** prints {count} numbers that can be followed. Whether they"
        " can be true needs only the paper and arithmetic; whether they reproduce needs this run."
    )


def answer(table: pd.DataFrame, synthetic: bool, timed: bool = True) -> str:
    """How many printed numbers this run has, and how many it reproduces.

    table: of ``papers.compare``; synthetic: whether the images are drawn by a program; timed:
    whether page 7 has measured speeds.
    """
    verdicts = table["verdict"].value_counts()
    text = f"This run has its own number for {table['ours'].notna().sum()} of {len(table)}. "
    if synthetic:
        text += (
            "The images of this study are drawn by a program, so **none of its numbers can confirm"
            " or refute the paper**."
        )
    else:
        done, failed, other = (
            verdicts.get(verdict, 0)
            for verdict in (papers.REPRODUCED, papers.NOT_REPRODUCED, papers.NOT_COMPARABLE)
        )
        text += f"**{done} are reproduced, {failed} are not**, {other} cannot be compared."
        reasons = table.loc[table["verdict"] == papers.NOT_COMPARABLE, "why"]
        text += f" Most often because of this: {reasons.mode()[0]}." if other else ""
    if not timed and (table["metric"] == "speed").any():
        text += " Printed speeds stand without ours: page 7 has measured none."
    return text


def verdict(paper: papers.Paper) -> str:
    """How many checks of its arithmetic the paper passes, in one or two sentences."""
    grades = paper.own["grade"].value_counts()
    text = (
        f"**Read on its own**, the paper passes {grades.get(HOLDS, 0)} of {grades.sum()} checks of"
        " its arithmetic."
    )
    said = "; ".join(f"{grades[grade]} {kind}" for grade, kind in KINDS.items() if grade in grades)
    if said:
        text += (
            f" Of the others, {said}. A contradiction is not an accusation: simple explanations"
            " stand beside each."
        )
    return text


def keep(study: Study, paper: papers.Paper, table: pd.DataFrame) -> None:
    """Write the long tables that the page does not show: every check, findings, every number."""
    figures.save_table(paper.findings, study, "audit")
    figures.save_table(paper.checks, study, "audit_all_papers")
    figures.save_table(table, study, "published_all")
