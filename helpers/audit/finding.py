"""What a rule reports: one row of the audit."""

from dataclasses import dataclass

HOLDS = "holds"
IMPOSSIBLE = "cannot be true as printed"
DEFINITION = "true only under another reading"
QUESTION = "worth asking"
GRADES = (IMPOSSIBLE, DEFINITION, QUESTION)  # the three grades of a finding, gravest first


@dataclass(frozen=True)
class Finding:
    """One check of one or more printed numbers.

    grade: "holds" or one of GRADES. where, printed: the numbers checked. implied: what the others imply.
    tolerance: the room that rounding (or a stated threshold) leaves. sentence: for a clinician.
    explanations: innocent reasons that would explain it, likeliest first.
    """

    rule: str
    grade: str
    where: str
    printed: str
    implied: str
    tolerance: str
    sentence: str
    explanations: tuple[str, ...] = ()


ROUNDING = "rounding of every printed digit"


def report(rule, grade, entries, implied, sentence, explanations=(), tolerance=ROUNDING):
    """A Finding about entries; explanations are kept only where there is something to explain."""
    where = "; ".join(dict.fromkeys(e.place for e in entries))
    shown = "; ".join(dict.fromkeys(f"{e.metric} {e}" for e in entries))
    return Finding(
        rule, grade, where, shown, implied, tolerance, sentence, () if grade == HOLDS else tuple(explanations)
    )
