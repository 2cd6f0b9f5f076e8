"""Rules about overlap metrics: IoU, Dice, precision, recall and rates of one structure, and
their means over classes.

For pixel counts pooled over images, one structure against the rest: Dice = 2 IoU / (1 + IoU)
and 1 / IoU = 1 / precision + 1 / recall − 1. For averages over images or classes only
inequalities hold: each average of Dice lies between that of IoU and 2 m / (1 + m) of it, m the
mean IoU (Jensen, the function is concave), and IoU exceeds neither precision nor recall.
"""

from tools.audit.finding import DEFINITION, HOLDS, IMPOSSIBLE, QUESTION, report
from tools.audit.interval import Interval, corners

ALIASES = {
    "recall": ("recall", "TPR", "sensitivity"),
    "precision": ("precision", "PPV"),
    "TNR": ("TNR", "specificity"),
    "IoU": ("IoU", "Jaccard"),
    "Dice": ("Dice", "DSC", "F1"),
    "FPR": ("FPR",),
    "FNR": ("FNR",),
}
MEANS = {"mIoU": "IoU", "IoU_mean": "IoU", "mPA": "recall", "mDice": "Dice", "Dice_mean": "Dice"}


def dice_of(iou):
    """Dice of a pooled IoU; increasing."""
    return corners(lambda i: 2 * i / (1 + i), iou)


def iou_of(precision, recall):
    """IoU from pooled precision and recall; increasing in both (both above 0)."""
    return corners(lambda p, r: 1 / (1 / max(p, 1e-12) + 1 / max(r, 1e-12) - 1), precision, recall)


def fractions(paper):
    """{(model, structure, set, n): {metric: Entry}} of the fractions of single structures."""
    found = {}
    for e in paper.entries:
        metric = next((m for m, names in ALIASES.items() if e.stem in names), None)
        if metric and e.value.bounded and e.unit in ("fraction", ""):
            found.setdefault((e.model, e.structure, e.set, e.n), {}).setdefault(metric, e)
    return found


def _one_set(entries):
    """Whether the entries surely describe the same images: one table, or the same n."""
    return len({e.table for e in entries}) == 1 or entries[0].n is not None


def _pooled(*entries):
    return all("pooled" in e.definition.lower() for e in entries)


def identities(paper):
    """IoU against Dice, and against precision and recall, of one structure."""
    for (model, structure, *_), m in fractions(paper).items():
        jobs = []
        if "IoU" in m and "Dice" in m:
            top = dice_of(m["IoU"].value)
            jobs.append(
                (
                    [m["Dice"], m["IoU"]],
                    m["Dice"].value,
                    top,
                    Interval(m["IoU"].value.low, top.high),
                )
            )
        if {"IoU", "precision", "recall"} <= m.keys():
            p, r = m["precision"].value, m["recall"].value
            limit = Interval(0.0, min(p.high, r.high))
            jobs.append(
                ([m["IoU"], m["precision"], m["recall"]], m["IoU"].value, iou_of(p, r), limit)
            )
        if {"Dice", "precision", "recall"} <= m.keys():
            p, r = m["precision"].value, m["recall"].value
            limit = Interval(0.0, (p.high + r.high) / 2)
            jobs.append(
                (
                    [m["Dice"], m["precision"], m["recall"]],
                    m["Dice"].value,
                    dice_of(iou_of(p, r)),
                    limit,
                )
            )
        for entries, value, pooled, limit in jobs:
            names = ", ".join(e.stem for e in entries)
            if value.meets(pooled):
                grade, sentence = (
                    HOLDS,
                    f"{names} of {structure or model} belong to one set of outlines.",
                )
            elif not value.meets(limit):
                grade = IMPOSSIBLE if _one_set(entries) else QUESTION
                sentence = (
                    f"No set of outlines can give the printed {names} of {structure or model}"
                    " together."
                )
            elif _pooled(*entries):
                grade = DEFINITION
                sentence = (
                    f"{names} of {structure or model} fit as averages over images, not over all"
                    " pixels."
                )
            else:
                grade, sentence = (
                    HOLDS,
                    f"{names} of {structure or model} are possible as averages over images.",
                )
            implied = f"{entries[0].stem} {pooled} (all pixels together) or {limit} (averages)"
            why = (
                "a typing error",
                "the numbers belong to different test sets or structures",
                "one is a mean, the other pooled",
                "images without the structure count in one of the averages only",
            )
            yield report(
                "overlap identities",
                grade,
                entries,
                implied,
                sentence,
                why,
                value=value,
                possible=limit,
            )


def readings(m):
    """What a rate printed as FPR or FNR could be, from the other numbers of its structure:
    {rate: {reading: Interval}}.

    Shares of the union TP + FP + FN follow from IoU and recall alone: FP/union = 1 − IoU/recall
    and FN/union = IoU/recall − IoU.
    """
    out = {"FPR": {}, "FNR": {}}
    if "TNR" in m:
        out["FPR"]["FP / (FP + TN), the textbook rate"] = corners(lambda x: 1 - x, m["TNR"].value)
    if "recall" in m:
        out["FNR"]["FN / (TP + FN), the textbook rate"] = corners(
            lambda x: 1 - x, m["recall"].value
        )
    if "precision" in m:
        out["FPR"]["FP / (TP + FP), the false discovery rate"] = corners(
            lambda x: 1 - x, m["precision"].value
        )
    if "IoU" in m and "recall" in m:
        iou, recall = m["IoU"].value, m["recall"].value
        out["FPR"]["FP / (TP + FP + FN), the share of the union"] = corners(
            lambda i, r: 1 - i / r, iou, recall
        )
        # increasing in IoU because 1/recall >= 1, falling in recall
        out["FNR"]["FN / (TP + FP + FN), the share of the union"] = corners(
            lambda i, r: i / r - i, iou, recall
        )
    return out


_TOTALS = {
    "FPR": (
        "Of all pixels outside {s}, the share left alone ({kept}) and the share wrongly marked"
        " ({lost})"
    ),
    "FNR": "Of all pixels of {s}, the share found ({kept}) and the share missed ({lost})",
}


def rates(paper):
    """FPR = 1 − TNR and FNR = 1 − TPR; where that fails, the definitions that would fit."""
    for (_, structure, *_), m in fractions(paper).items():
        options = readings(m)
        for rate, partner in (("FPR", "TNR"), ("FNR", "recall")):
            if rate not in m or partner not in m:
                continue
            value = m[rate].value
            fits = [name for name, implied in options[rate].items() if implied.meets(value)]
            textbook = next(iter(options[rate].values()))
            total = _TOTALS[rate].format(s=structure, kept=m[partner], lost=m[rate])
            if textbook.meets(value):
                grade, sentence = HOLDS, f"{total} add up to 1, as they must."
            elif fits:
                grade = DEFINITION
                sentence = (
                    f"{total} must add up to 1 and do not. The printed {rate} fits as"
                    f" {' or as '.join(fits)}; the usual rate would be {textbook}."
                )
            else:
                grade = IMPOSSIBLE if _one_set([m[rate], m[partner]]) else QUESTION
                sentence = (
                    f"{total} must add up to 1 and do not, and no other common definition gives"
                    f" {m[rate]}."
                )
            implied = "; ".join(f"{name}: {i}" for name, i in options[rate].items())
            why = (
                "the rate was divided by another area than usual, which the paper does not say",
                "a typing error",
            )
            pair = [m[rate], m[partner]]
            yield report(
                "rates", grade, pair, implied, sentence, why, value=value, possible=textbook
            )


def class_means(paper):
    """A mean over classes against the classes: checks ``class_mean`` with mean, of and, if
    named, background.

    Where Dice of a class is not printed but its pooled IoU is, Dice is taken from it.
    """
    for where, check in paper.declared("class_mean"):
        mean, of = paper.select(check["mean"], where), [paper.select(s, where) for s in check["of"]]
        convert = dice_of if MEANS.get(mean.stem) == "Dice" else (lambda v: v)
        parts = [convert(e.value) if e.stem in ALIASES["IoU"] else e.value for e in of]
        k = len(parts)
        low, high = sum(p.low for p in parts), sum(p.high for p in parts)
        plain = Interval(low / k, high / k)
        extra = Interval((k + 1) * mean.value.low - high, (k + 1) * mean.value.high - low)
        implied = (
            f"mean of the {k} printed classes {plain}; with one more class, that class {extra}"
        )
        name = check.get("background", "background")
        if plain.meets(mean.value):
            grade, sentence = HOLDS, f"{mean.metric} is the mean of the {k} printed structures."
        elif extra.meets(Interval(0.0, 1.0)):
            grade = DEFINITION
            sentence = (
                f"{mean.metric} {mean} is not the mean of the {k} structures, which is {plain}; it"
                f" fits when {name} counts as a structure of its own with {extra}. Background is"
                " easy, which lifts the average."
            )
        else:
            grade = IMPOSSIBLE
            sentence = (
                f"{mean.metric} {mean} is not the mean of the {k} structures ({plain}), nor with"
                f" {name} added."
            )
        why = (
            f"{name} was included in the mean",
            "classes were weighted by their size",
            "a typing error",
        )
        yield report(
            "means over classes",
            grade,
            [mean, *of],
            implied,
            sentence,
            why,
            value=mean.value,
            possible=plain,
        )


def jensen(paper):
    """Mean Dice between mean IoU m and 2 m / (1 + m): by checks ``jensen`` (iou, dice) and by
    name.
    """
    jobs = [
        (paper.select(c["iou"], w), paper.select(c["dice"], w), c.get("classes"))
        for w, c in paper.declared("jensen")
    ]
    dices = [e for e in paper.entries if e.stem in ("Dice_mean", "mDice") and e.value.bounded]
    for d in dices:
        same = [
            e
            for e in paper.entries
            if e.stem in ("mIoU", "IoU_mean")
            and (e.model, e.structure, e.set, e.table) == (d.model, d.structure, d.set, d.table)
        ]
        if same and all(d is not x for _, x, _ in jobs):
            jobs.append((same[0], d, None))
    for iou, dice, classes in jobs:
        limit = Interval(iou.value.low, dice_of(iou.value).high)
        ok = dice.value.meets(limit)
        place = f"{dice.model} {dice.set}".strip()
        if ok:
            # f'' = -4 / (1 + x)^3 is at most -1/2 on [0, 1]: the gap to the bound is at least a
            # quarter of the variance
            spread = (4 * max(limit.high - dice.value.low, 0)) ** 0.5
            implied = f"Dice {limit}; the values behind the mean have an SD of at most {spread:.2f}"
            sentence = f"Mean IoU and mean Dice of {place} can stand together."
        else:
            implied = f"Dice {limit}"
            low = dice.value.high < limit.low
            sentence = (
                f"The Dice score of {place} ({dice}) is {'below' if low else 'above'} what an IoU"
                f" of {iou} allows: on the same outlines Dice is never lower than IoU and here at"
                f" most {limit.high:.3f}."
            )
        why = ["the two were averaged over different structures or images"]
        if not ok and classes:
            one = corners(lambda d: d / (2 - d), dice.value)
            rest = Interval(
                (classes * iou.value.low - one.high) / (classes - 1),
                (classes * iou.value.high - one.low) / (classes - 1),
            )
            if rest.meets(Interval(0.0, 1.0)):
                one_only = (
                    f"the Dice score is that of one of the {classes} structures: its IoU is then"
                    f" {one}"
                )
                why.insert(0, f"{one_only}, the others' {rest}")
        why.append("a typing error")
        grade = HOLDS if ok else IMPOSSIBLE
        yield report(
            "IoU and Dice means",
            grade,
            [dice, iou],
            implied,
            sentence,
            why,
            value=dice.value,
            possible=limit,
        )
