"""Rules about sentences: ordering claims against the tables, gaps between training and test, loss
against accuracy.
"""

import math
from collections.abc import Iterator

from helpers.errors import StudyError
from tools.audit.finding import HOLDS, IMPOSSIBLE, QUESTION, Finding, report
from tools.audit.interval import Interval
from tools.audit.paper import Entry, Paper
from tools.audit.words import images, metric, structure

KINDS = ("highest", "lowest", "greater", "equal", "at_most", "at_least")
GAP = 0.05  # a drop from training to test by more than this is worth asking about
LOSS_RATIO = 2.0  # so is a validation loss more than this many times the training loss


def claims(paper: Paper) -> Iterator[Finding]:
    """Each declared claim against the numbers; equal as printed is 'worth asking', the opposite is
    a contradiction.
    """
    for i, claim in enumerate(paper.claims):
        where = f"claims[{i}]"
        kind = next(k for k in KINDS if k in claim)
        yield (_limit if kind in ("at_most", "at_least") else _ordering)(paper, claim, kind, where)


def _ordering(paper: Paper, claim: dict, kind: str, where: str) -> Finding:
    if kind in ("greater", "equal"):
        first, *others = (paper.select(s, where) for s in claim[kind])
    else:
        first, others = (
            paper.select(claim[kind], where),
            [paper.select(s, where) for s in claim["among"]],
        )
    sign = -1 if kind == "lowest" else 1
    against = [
        o
        for o in others
        if sign * (o.fraction.low + o.fraction.high)
        > sign * (first.fraction.low + first.fraction.high)
    ]
    against = [o for o in against if not o.fraction.meets(first.fraction)]
    tied = [o for o in others if o.fraction.meets(first.fraction)]
    shown = ", ".join(f"{_who(o, first)} {o}" for o in others)
    implied = f"{_who(first, others[0])} {first} against {shown}"
    text = claim["text"]
    if kind == "equal":
        ok = len(tied) == len(others)
        grade = HOLDS if ok else IMPOSSIBLE
        sentence = f"“{text}”: " + (
            "the numbers agree." if ok else f"the paper's own numbers differ: {implied}."
        )
    elif against:
        grade = IMPOSSIBLE
        sentence = f"“{text}”: the printed numbers say otherwise: {implied}."
    elif tied:
        grade = QUESTION
        same = " and ".join(_who(o, first) for o in tied)
        sentence = (
            f"“{text}”: as printed, {same} {'has' if len(tied) == 1 else 'have'} the same value,"
            f" {first}."
        )
    else:
        grade, sentence = HOLDS, f"“{text}”: the printed numbers say so."
    why = (
        "the sentence was written for another table or an earlier result",
        "the digits that decide were rounded away",
    )
    return report("claims in the text", grade, [first, *others], implied, sentence, why)


def _who(entry: Entry, other: Entry) -> str:
    """What tells one entry from the other: its model, structure or quantity."""
    if entry.model != other.model:
        return entry.model or "all"
    if entry.structure != other.structure:
        return structure(entry.structure) or "all"
    return entry.quantity


def _limit(paper: Paper, claim: dict, kind: str, where: str) -> Finding:
    limit = claim[kind]
    entry = paper.select(limit["entry"], where)
    value = entry.value
    if limit.get("per_n"):
        if not entry.n:
            raise StudyError(f"{where}: per_n needs n in the entry {entry.place}")
        value = Interval(value.low / entry.n, value.high / entry.n)
    bound = float(limit["value"])
    ok = value.low <= bound if kind == "at_most" else value.high >= bound
    words = f"{kind.replace('_', ' ')} {bound:g}{' ' + limit['unit'] if 'unit' in limit else ''}"
    sentence = (
        f"“{claim['text']}”: the printed numbers give {value}, "
        + ("which fits" if ok else "which is not")
        + f" {words}."
    )
    return report(
        "claims in the text",
        HOLDS if ok else QUESTION,
        [entry],
        str(value),
        sentence,
        ("the authors meant something else by the word",),
        f"rounding; limit chosen by the auditor: {words}",
    )


def gaps(paper: Paper) -> Iterator[Finding]:
    """How far a score falls, or a loss rises, from the training images to those not trained on."""
    rows = [
        e
        for e in paper.entries
        if e.set and e.value.bounded and not {"q1", "q3", "median"} & set(e.stem.split("_"))
    ]
    for train in (e for e in rows if e.set == "train"):
        what = metric(train.stem)
        others = [
            e
            for e in rows
            if (e.stem, e.model, e.structure) == (train.stem, train.model, train.structure)
            and e is not train
        ]
        for other in others:
            if train.stem.startswith("loss"):
                times = other.value.low / max(train.value.high, 1e-12)
                bad, implied = times > LOSS_RATIO, f"at least {times:.1f} times"
                text, limit = (
                    f"the loss on the {images(other.set)} is {implied} that on the training set",
                    f"{LOSS_RATIO:g} times",
                )
            elif train.unit == "fraction":
                drop = train.value.low - other.value.high
                bad, implied = drop > GAP, f"drop of at least {max(drop, 0):.3f}"
                text, limit = (
                    f"{what} falls from {train} to {other} on the {images(other.set)}",
                    f"{GAP:g}",
                )
            else:
                continue
            sentence = (
                f"Part of what the network learnt does not carry over to new images: {text}."
                if bad
                else f"No large gap between training set and {images(other.set)} in {what}."
            )
            why = (
                "overfitting, usual with few images and no augmentation",
                "the sets differ in difficulty",
            )
            yield report(
                "training against test",
                QUESTION if bad else HOLDS,
                [train, other],
                implied,
                sentence,
                why,
                f"rounding; flagged above {limit}",
            )


def loss_floor(paper: Paper) -> Iterator[Finding]:
    """Mean cross-entropy is at least (1 − accuracy) ln 2: a wrong pixel gives the true class at
    most one half.
    """
    for loss in paper.entries:
        if not loss.stem.startswith("loss") or "cross-entropy" not in loss.unit:
            continue
        for acc in paper.entries:
            if acc.stem.startswith("accuracy") and (acc.model, acc.set, acc.table) == (
                loss.model,
                loss.set,
                loss.table,
            ):
                floor = (1 - acc.value.high) * math.log(2)
                ok = loss.value.high >= floor
                sentence = (
                    f"Loss and accuracy on the {images(loss.set)} can stand together."
                    if ok
                    else (
                        f"With {acc} of the pixels right the loss cannot be below {floor:.3f}, yet"
                        f" {loss} is printed."
                    )
                )
                why = (
                    "the loss was weighted or averaged differently from the accuracy",
                    "a typing error",
                )
                yield report(
                    "loss and accuracy",
                    HOLDS if ok else IMPOSSIBLE,
                    [loss, acc],
                    f"loss ≥ {floor:.3f}",
                    sentence,
                    why,
                )
