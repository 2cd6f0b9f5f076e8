"""Rules about counting: parts and totals, percentages, shares of whole cases, order of quartiles
and ranges.
"""

import math
from collections.abc import Iterator

from helpers.errors import StudyError
from tools.audit.finding import HOLDS, IMPOSSIBLE, QUESTION, Finding, report
from tools.audit.interval import SLACK, Interval
from tools.audit.paper import SHARES, Entry, Paper
from tools.audit.words import say, why


def sums(paper: Paper) -> Iterator[Finding]:
    """Parts add up to their total: checks ``sum``, and X_train + X_val + X_test against X_total by
    name.
    """
    jobs = [
        (paper.select(c["total"], where), [paper.select(p, where) for p in c["parts"]])
        for where, c in paper.declared("sum")
    ]
    declared = {total.metric for total, _ in jobs}
    for total in paper.bounded:
        if total.metric.endswith("_total") and total.metric not in declared:
            stem = total.metric.removesuffix("_total")
            parts = [
                e
                for e in paper.bounded
                if e.stem == stem and e.set in ("train", "val", "test", "test1")
            ]
            if {e.set for e in parts} >= {"train", "val"} and len(parts) == 3:
                jobs.append((total, parts))
    for total, parts in jobs:
        implied = Interval(sum(e.value.low for e in parts), sum(e.value.high for e in parts))
        ok = implied.meets(total.value)
        values = {"what": total.quantity, "implied": implied, "printed": total}
        yield report(
            "sums",
            HOLDS if ok else IMPOSSIBLE,
            [total, *parts],
            f"sum {implied}",
            say("sums", "holds" if ok else "fails", **values),
            why("sums"),
            value=total.value,
            possible=implied,
        )


def categories(paper: Paper) -> Iterator[Finding]:
    """In each group the categories add up to its n, and over the groups each category adds up to
    its total.
    """
    for where, check in paper.declared("categories"):
        groups = [*check["groups"], check["total"]]
        found = {
            (g, m): paper.select({"class": g, "metric": m, **check.get("in", {})}, where)
            for g in groups
            for m in check["metrics"]
        }
        for g in groups:
            row = [found[g, m] for m in check["metrics"]]
            if n := row[0].n:
                what = say("categories", "row", group=row[0].who)
                yield _adds_up(row, paper.counts(row, where), n, what, f"n = {n}")
        for m in check["metrics"]:
            column, total = [found[g, m] for g in check["groups"]], found[check["total"], m]
            what = say("categories", "column", what=total.quantity)
            counted, (wanted,) = paper.counts(column, where), paper.counts([total], where)
            yield _adds_up([*column, total], counted, wanted, what, str(total))


def _adds_up(
    entries: list[Entry], counted: list[float], target: float, what: str, shown: str
) -> Finding:
    total = sum(counted)
    ok = total == target
    values = {"what": what, "What": what[0].upper() + what[1:], "printed": shown, "total": total}
    return report(
        "categories",
        HOLDS if ok else IMPOSSIBLE,
        entries,
        f"sum {total:g}",
        say("categories", "holds" if ok else "fails", **values),
        why("categories"),
        "none: counts are exact",
    )


def percentages(paper: Paper) -> Iterator[Finding]:
    """X_percent is 100 X / n of the same group, rounded."""
    for entry in paper.bounded:
        if not entry.metric.endswith("_percent") or not entry.n:
            continue
        base = entry.metric.removesuffix("_percent")
        count = [
            e
            for e in paper.bounded
            if (e.structure, e.model) == (entry.structure, entry.model)
            and e.metric in (base, f"images_{base}")
            and e.n in (None, entry.n)
        ]
        count.sort(key=lambda e: e.table != entry.table)  # those of the same table first
        if count:
            counted = (count[0].whole.low + count[0].whole.high) / 2
            implied = 100 * counted / entry.n
            cut = entry.value.high - entry.value.low + (entry.value.low + entry.value.high) / 2
            ok, cut_off = implied in entry.value, entry.value.low < implied <= cut
            if not 0 <= counted <= entry.n:
                ok = cut_off = False
            grade = HOLDS if ok else QUESTION if cut_off else IMPOSSIBLE
            values = {"count": count[0], "n": entry.n, "implied": implied, "printed": entry}
            yield report(
                "percentages",
                grade,
                [entry, count[0]],
                f"{implied:.2f} %",
                say("percentages", "holds" if ok else "fails", **values),
                why("percentages"),
                value=entry.value,
                possible=Interval(implied, implied),
            )


def shares(paper: Paper) -> Iterator[Finding]:
    """A share of whole images or patients must be k / n for some whole k (the entry's definition
    starts 'share of').
    """
    for e in paper.bounded:
        if (
            not e.definition.lower().startswith(
                ("share of images", "share of patients", "share of cases")
            )
            or not e.n
        ):
            continue
        scale = 100 if e.unit == "percent" else 1
        low, high = e.value.low / scale * e.n, e.value.high / scale * e.n
        k = math.ceil(low - SLACK)
        if k <= high + SLACK and 0 <= k <= e.n:
            sentence = say("shares", "holds", printed=e, k=k, n=e.n)
            yield report("shares", HOLDS, [e], f"{k}/{e.n}", sentence)
        else:
            near = f"{k - 1}/{e.n} = {scale * (k - 1) / e.n:.4g}, {k}/{e.n} = {scale * k / e.n:.4g}"
            sentence = say("shares", "fails", printed=e, n=e.n, near=near)
            cut_off = k < high + (high - low) / 2 + SLACK  # digits left off instead of rounded
            cut_off = cut_off and 0 <= k <= e.n
            grade = QUESTION if cut_off else IMPOSSIBLE
            yield report("shares", grade, [e], near, sentence, why("shares"))


def limits(paper: Paper) -> Iterator[Finding]:
    """What no number of its kind can be: a share or a P value outside 0 to 1, a count below 0."""
    for e in paper.entries:
        share = e.unit in ("fraction", "percent") and e.stem in SHARES
        chance = e.metric.rpartition("_")[2] in ("p", "P") or e.metric in ("p_value", "P_value")
        counted = e.unit in ("count", "patients", "images")
        own = e.fraction if share else e.value
        if not (share or chance or counted):
            continue
        if own.high < -SLACK or (not counted and own.low > 1 + SLACK):
            kind = "counted" if counted else "chance" if chance else "share"
            sentence = say("limits", kind, printed=e, what=e.quantity)
            yield report("limits", IMPOSSIBLE, [e], "from 0", sentence, why("limits"))


def order(paper: Paper) -> Iterator[Finding]:
    """Lower quartile ≤ median ≤ upper quartile, minimum ≤ mean ≤ maximum; found by the parts of the
    metric names.
    """
    for low, middle, high in (("q1", "median", "q3"), ("min", "mean", "max")):
        for e in paper.bounded:
            if middle not in e.metric.split("_"):
                continue
            names = [
                "_".join(part if p == middle else p for p in e.metric.split("_"))
                for part in (low, high)
            ]
            first, last = (_beside(paper, e, name) for name in names)
            if first and last:
                least, own, most = first.fraction, e.fraction, last.fraction
                ok = least.low <= own.high and own.low <= most.high
                parts = {"low": low, "middle": middle, "high": high}
                values: dict = {k: say("order", part) for k, part in parts.items()}
                values |= {"printed": e, "from_": first, "to": last}
                yield report(
                    "order",
                    HOLDS if ok else IMPOSSIBLE,
                    [e, first, last],
                    f"between {first} and {last}",
                    say("order", "holds" if ok else "fails", **values),
                    why("order"),
                )


def _beside(paper: Paper, entry: Entry, metric: str) -> Entry | None:
    """Another metric of the same thing, of the same table first, else of the same n; or None."""
    found = [
        x
        for x in paper.bounded
        if (x.metric, x.model, x.structure) == (metric, entry.model, entry.structure)
        and (x.table == entry.table or (entry.n and x.n == entry.n))
    ]
    return min(found, key=lambda x: x.table != entry.table, default=None)


def proportions(paper: Paper) -> Iterator[Finding]:
    """Split sizes match a stated ratio to within two percentage points: checks ``proportion``."""
    for where, check in paper.declared("proportion"):
        parts = [paper.select(p, where) for p in check["parts"]]
        if len(parts) != len(check["ratio"]):
            raise StudyError(f"{where}.ratio: needs one number for each of the {len(parts)} parts")
        counted = paper.counts(parts, where)
        if not (total := sum(counted)):
            raise StudyError(f"{where}: its parts are all 0; correct them, or leave this check out")
        got = [100 * count / total for count in counted]
        wanted = [100 * r / sum(check["ratio"]) for r in check["ratio"]]
        ok = max(abs(g - w) for g, w in zip(got, wanted, strict=True)) <= 2
        shown, ratio = (
            " : ".join(f"{g:.1f}" for g in got),
            ":".join(f"{r:g}" for r in check["ratio"]),
        )
        yield report(
            "proportions",
            HOLDS if ok else QUESTION,
            parts,
            f"{shown} %",
            say("proportions", "holds" if ok else "fails", shown=shown, ratio=ratio),
            why("proportions"),
            "2 percentage points",
        )


def repeats(paper: Paper) -> Iterator[Finding]:
    """The same quantity printed in two places: by checks ``same``, and wherever names, class and n
    are the same.

    Two places with the same names may mean two things, so without a declaration a difference is
    only worth asking.
    """
    jobs = [
        (IMPOSSIBLE, [paper.select(s, where) for s in c["entries"]])
        for where, c in paper.declared("same")
    ]
    seen = {}
    for e in paper.bounded:
        seen.setdefault((e.model, e.structure, e.metric, e.n, e.unit), []).append(e)
    for grade, entries in [*jobs, *((QUESTION, v) for v in seen.values() if len(v) > 1)]:
        sds = [e.sd for e in entries if e.sd]
        ok = all(a.fraction.meets(b.fraction) for a in entries for b in entries) and all(
            a.meets(b) for a in sds for b in sds
        )
        shown = " and ".join(str(e) for e in entries)
        sentence = say("repeats", "holds" if ok else "fails", places=len(entries), shown=shown)
        implied = "the same number" if ok else f"one number, not {shown}"
        yield report("repeats", HOLDS if ok else grade, entries, implied, sentence, why("repeats"))


def split_unit(paper: Paper) -> Iterator[Finding]:
    """Images divided at random although each patient gave several: checks ``split_unit`` (train,
    test, patients).

    With equally many images a patient, a test image has no other image of its patient in training
    with probability C(N − m, k) / C(N − 1, k), N images of which k train, m a patient; the sentence
    gives the share that has one.
    """
    for where, check in paper.declared("split_unit"):
        total, train, patients = (
            paper.select(check[k], where) for k in ("images", "train", "patients")
        )
        n, k, people = map(int, paper.counts((total, train, patients), where))
        if not 0 < people <= n:
            raise StudyError(
                f"{where}: {people} patients gave {n} images; correct one, or leave this check out"
            )
        m = n / people
        alone = (
            math.exp(_log_choose(n - m, k) - _log_choose(n - 1, k))
            if m > 1 and n - m >= k
            else float(m <= 1)
        )
        ok, share = m <= 1, "practically all" if alone < 0.001 else f"about {1 - alone:.1%}"
        values = {"images": n, "patients": people, "share": share}
        yield report(
            "split by image",
            HOLDS if ok else QUESTION,
            [total, train, patients],
            f"{m:.1f} images a patient",
            say("split by image", "holds" if ok else "fails", **values),
            why("split by image"),
            "equally many images a patient",
        )


def _log_choose(n: float, k: float) -> float:
    """ln of the binomial coefficient, n not necessarily whole."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
