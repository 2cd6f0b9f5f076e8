"""Rules about overlap metrics: IoU, Dice, precision, recall and rates of one structure, and
their means over classes.

For pixel counts pooled over images, one structure against the rest: Dice = 2 IoU / (1 + IoU)
and 1 / IoU = 1 / precision + 1 / recall − 1. For averages over images or classes only
inequalities hold: each average of Dice lies between that of IoU and 2 m / (1 + m) of it, m the
mean IoU (Jensen, the function is concave), and IoU exceeds neither precision nor recall.
"""

from collections.abc import Callable, Iterator, Sequence

from tools.audit.finding import DEFINITION, HOLDS, IMPOSSIBLE, QUESTION, Finding, report
from tools.audit.interval import Interval, corners
from tools.audit.paper import ALIASES, Entry, Paper
from tools.audit.words import images, say, why

MEANS = {"mIoU": "IoU", "IoU_mean": "IoU", "mPA": "recall", "mDice": "Dice", "Dice_mean": "Dice"}


def dice_of(iou: Interval) -> Interval:
    """Dice of a pooled IoU; increasing."""
    return corners(lambda i: 2 * i / (1 + i), iou)


def iou_of(precision: Interval, recall: Interval) -> Interval:
    """IoU from pooled precision and recall; increasing in both (both above 0)."""
    return corners(lambda p, r: 1 / (1 / max(p, 1e-12) + 1 / max(r, 1e-12) - 1), precision, recall)


def fractions(paper: Paper) -> dict:
    """{(model, structure, set, n): {metric: Entry}} of the fractions of single structures."""
    found = {}
    for e in paper.entries:
        metric = next((m for m, names in ALIASES.items() if e.stem in names), None)
        if metric and e.value.bounded and e.unit in ("fraction", "percent", ""):
            found.setdefault((e.model, e.structure, e.set, e.n), {}).setdefault(metric, e)
    return found


def _one_set(entries: Sequence[Entry]) -> bool:
    """Whether the entries surely describe the same images: one table, or the same n."""
    return len({e.table for e in entries}) == 1 or entries[0].n is not None


def _pooled(*entries: Entry) -> bool:
    return all("pooled" in e.definition.lower() for e in entries)


def identities(paper: Paper) -> Iterator[Finding]:
    """IoU against Dice, and against precision and recall, of one structure."""
    for m in fractions(paper).values():
        for entries, value, pooled, limit in _jobs(m):
            if value.meets(pooled):
                grade, key = HOLDS, "pooled"
            elif not value.meets(limit):
                grade, key = IMPOSSIBLE if _one_set(entries) else QUESTION, "fails"
            elif _pooled(*entries):
                grade, key = DEFINITION, "averages"
            else:
                grade, key = HOLDS, "holds"
            names = ", ".join(e.stem for e in entries)
            yield report(
                "overlap identities",
                grade,
                entries,
                f"{entries[0].stem} {_as(entries[0], pooled)} (all pixels together) or"
                f" {_as(entries[0], limit)} (averages)",
                say("overlap identities", key, names=names, who=entries[0].who),
                why("overlap identities"),
                value=value,
                possible=limit,
            )


def _as(entry: Entry, share: Interval) -> Interval:
    """An Interval of shares in the unit in which an entry is printed."""
    return Interval(100 * share.low, 100 * share.high) if entry.unit == "percent" else share


def _jobs(m: dict[str, Entry]) -> Iterator[tuple]:
    """(entries, the first one's value, what it is if pooled, what it can be as an average)."""
    if "IoU" in m and "Dice" in m:
        top = dice_of(m["IoU"].fraction)
        limit = Interval(m["IoU"].fraction.low, top.high)
        yield [m["Dice"], m["IoU"]], m["Dice"].fraction, top, limit
    if "precision" in m and "recall" in m:
        p, r = m["precision"].fraction, m["recall"].fraction
        both = [m["precision"], m["recall"]]
        if "IoU" in m:
            limit = Interval(0.0, min(p.high, r.high))
            yield [m["IoU"], *both], m["IoU"].fraction, iou_of(p, r), limit
        if "Dice" in m:
            limit = Interval(0.0, (p.high + r.high) / 2)
            yield [m["Dice"], *both], m["Dice"].fraction, dice_of(iou_of(p, r)), limit


def readings(m: dict[str, Entry]) -> dict[str, dict[str, Interval]]:
    """What a rate printed as FPR or FNR could be, from the other numbers of its structure:
    {rate: {reading: Interval}}.

    Shares of the union TP + FP + FN follow from IoU and recall alone: FP/union = 1 − IoU/recall
    and FN/union = IoU/recall − IoU.
    """
    out = {"FPR": {}, "FNR": {}}

    def may_be(rate: str, reading: str, function: Callable, *of: str) -> None:
        if all(name in m for name in of):
            name = say("rates", f"{rate} {reading}")
            out[rate][name] = corners(function, *(m[name].fraction for name in of))

    may_be("FPR", "textbook", lambda x: 1 - x, "TNR")
    may_be("FNR", "textbook", lambda x: 1 - x, "recall")
    may_be("FPR", "discovery", lambda x: 1 - x, "precision")
    may_be("FPR", "union", lambda i, r: 1 - i / r, "IoU", "recall")
    # increasing in IoU because 1/recall >= 1, falling in recall
    may_be("FNR", "union", lambda i, r: i / r - i, "IoU", "recall")
    return out


def rates(paper: Paper) -> Iterator[Finding]:
    """FPR = 1 − TNR and FNR = 1 − TPR; where that fails, the definitions that would fit."""
    for m in fractions(paper).values():
        options = readings(m)
        for rate, partner in (("FPR", "TNR"), ("FNR", "recall")):
            if rate not in m or partner not in m:
                continue
            value = m[rate].fraction
            fits = [name for name, implied in options[rate].items() if implied.meets(value)]
            textbook = next(iter(options[rate].values()))
            if textbook.meets(value):
                grade, key = HOLDS, "holds"
            elif fits:
                grade, key = DEFINITION, "reading"
            else:
                grade, key = IMPOSSIBLE if _one_set([m[rate], m[partner]]) else QUESTION, "fails"
            sentence = say(
                "rates",
                key,
                total=say("rates", rate, who=m[rate].who, kept=m[partner], lost=m[rate]),
                rate=rate,
                readings=" or as ".join(fits),
                textbook=textbook,
                printed=m[rate],
            )
            yield report(
                "rates",
                grade,
                [m[rate], m[partner]],
                "; ".join(f"{name}: {i}" for name, i in options[rate].items()),
                sentence,
                why("rates"),
                value=value,
                possible=textbook,
            )


def class_means(paper: Paper) -> Iterator[Finding]:
    """A mean over classes against the classes: checks ``class_mean`` with mean, of and, if
    named, background.

    Where Dice of a class is not printed but its pooled IoU is, Dice is taken from it.
    """
    for where, check in paper.declared("class_mean"):
        mean, of = paper.select(check["mean"], where), [paper.select(s, where) for s in check["of"]]
        convert = dice_of if MEANS.get(mean.stem) == "Dice" else (lambda v: v)
        parts = [convert(e.fraction) if e.stem in ALIASES["IoU"] else e.fraction for e in of]
        k = len(parts)
        low, high = sum(p.low for p in parts), sum(p.high for p in parts)
        plain = Interval(low / k, high / k)
        extra = Interval((k + 1) * mean.fraction.low - high, (k + 1) * mean.fraction.high - low)
        values = {
            "what": mean.quantity,
            "printed": mean,
            "k": k,
            "plain": plain,
            "extra": extra,
            "name": check.get("background", "background"),
        }
        if plain.meets(mean.fraction):
            grade, key = HOLDS, "holds"
        elif extra.meets(Interval(0.0, 1.0)):
            grade, key = DEFINITION, "reading"
        else:
            grade, key = IMPOSSIBLE, "fails"
        yield report(
            "means over classes",
            grade,
            [mean, *of],
            say("means over classes", "implied", **values),
            say("means over classes", key, **values),
            (say("means over classes", "included", **values), *why("means over classes")),
            value=mean.fraction,
            possible=plain,
        )


def jensen(paper: Paper) -> Iterator[Finding]:
    """Mean Dice between mean IoU m and 2 m / (1 + m): by checks ``jensen`` (iou, dice) and by
    name.
    """
    rule = "IoU and Dice means"
    for iou, dice, classes in _mean_pairs(paper):
        limit = Interval(iou.fraction.low, dice_of(iou.fraction).high)
        ok = dice.fraction.meets(limit)
        values = {
            "place": " ".join(filter(None, [dice.model, dice.set and f"({images(dice.set)})"])),
            "dice": dice,
            "iou": iou,
            "side": "below" if dice.fraction.high < limit.low else "above",
            "most": limit.high,
            "limit": limit,
            # f'' = -4 / (1 + x)^3 is at most -1/2 on [0, 1]: the gap to the bound is at least a
            # quarter of the variance
            "spread": (4 * max(limit.high - dice.fraction.low, 0)) ** 0.5,
        }
        reasons = list(why(rule))
        if not ok and classes:
            one = corners(lambda d: d / (2 - d), dice.fraction)
            rest = Interval(
                (classes * iou.fraction.low - one.high) / (classes - 1),
                (classes * iou.fraction.high - one.low) / (classes - 1),
            )
            if rest.meets(Interval(0.0, 1.0)):
                reasons.insert(0, say(rule, "one", classes=classes, one=one, rest=rest))
        yield report(
            rule,
            HOLDS if ok else IMPOSSIBLE,
            [dice, iou],
            say(rule, "spread", **values) if ok else f"Dice {limit}",
            say(rule, "holds" if ok else "fails", **values),
            reasons,
            value=dice.fraction,
            possible=limit,
        )


def _mean_pairs(paper: Paper) -> list[tuple[Entry, Entry, int | None]]:
    """(mean IoU, mean Dice, number of classes or None): declared ones, then those that one table,
    or one n, puts together.
    """
    jobs = [
        (paper.select(c["iou"], w), paper.select(c["dice"], w), c.get("classes"))
        for w, c in paper.declared("jensen")
    ]
    for d in paper.entries:
        if d.stem not in ("Dice_mean", "mDice") or not d.value.bounded:
            continue
        same = [
            e
            for e in paper.entries
            if e.stem in ("mIoU", "IoU_mean")
            and (e.model, e.structure, e.set) == (d.model, d.structure, d.set)
            and (e.table == d.table or (d.n and e.n == d.n))
        ]
        if same and all(d is not x for _, x, _ in jobs):
            jobs.append((next((e for e in same if e.table == d.table), same[0]), d, None))
    return jobs
