"""What the ``checks`` and ``claims`` of a file may say; everything wrong with them is reported with
its key.
"""

SELECTOR = {"study", "table", "model", "class", "metric"}
KINDS = ("highest", "lowest", "greater", "equal", "at_most", "at_least")


def _selector(value):
    good = isinstance(value, dict) and value and value.keys() <= SELECTOR
    return (
        "" if good else f"must be a selector such as {{metric: IoU, class: bone}}, found {value!r}"
    )


def _selectors(value):
    if not isinstance(value, list) or not value:
        return f"must be a list of selectors such as {{metric: IoU}}, found {value!r}"
    return next((problem for v in value if (problem := _selector(v))), "")


def _names(value):
    good = isinstance(value, list) and len(value) > 1 and all(isinstance(v, str) for v in value)
    return "" if good else f"must be a list of at least two names, found {value!r}"


def _numbers(value):
    good = isinstance(value, list) and value and all(_is_number(v) and v > 0 for v in value)
    return "" if good else f"must be a list of positive numbers, found {value!r}"


def _is_number(value):
    return (
        not isinstance(value, bool) and not isinstance(value, str) and hasattr(value, "__float__")
    )


def _name(value):
    return "" if isinstance(value, str) and value else f"must be text, found {value!r}"


def _whole(value):
    good = isinstance(value, int) and not isinstance(value, bool) and value > 1
    return "" if good else f"must be a whole number of at least 2, found {value!r}"


def _limit(value):
    if not isinstance(value, dict) or not {"entry", "value"} <= value.keys() <= {
        "entry",
        "value",
        "unit",
        "per_n",
    }:
        return f"must hold entry and value, and may hold unit and per_n, found {value!r}"
    number = "" if _is_number(value["value"]) else f"value: {value['value']!r} is no number"
    return _selector(value["entry"]) or number


#: rule → (required keys, optional keys), each with the function that says what is wrong with its
#: value
CHECKS = {
    "sum": ({"total": _selector, "parts": _selectors}, {}),
    "categories": ({"metrics": _names, "groups": _names, "total": _name}, {"in": _selector}),
    "proportion": ({"parts": _selectors, "ratio": _numbers}, {}),
    "split_unit": ({"images": _selector, "train": _selector, "patients": _selector}, {}),
    "same": ({"entries": _selectors}, {}),
    "two_by_two": ({"p": _selector, "rows": _names, "columns": _names}, {"in": _selector}),
    "class_mean": ({"mean": _selector, "of": _selectors}, {"background": _name}),
    "jensen": ({"iou": _selector, "dice": _selector}, {"classes": _whole}),
}
_ORDER = ({"text": _name}, {"where": _name})
CLAIMS = {
    **{
        k: (_ORDER[0] | {k: _selector, "among": _selectors}, _ORDER[1])
        for k in ("highest", "lowest")
    },
    **{k: (_ORDER[0] | {k: _selectors}, _ORDER[1]) for k in ("greater", "equal")},
    **{k: (_ORDER[0] | {k: _limit}, _ORDER[1]) for k in ("at_most", "at_least")},
}


def problems(checks, claims):
    """One line for every problem of the two lists, each beginning with its key."""
    for i, check in enumerate(checks):
        rule = check.get("rule")
        if rule not in CHECKS:
            yield f"checks[{i}].rule: {rule!r} is unknown; known are {', '.join(CHECKS)}"
        else:
            yield from _of(
                f"checks[{i}] ({rule})",
                {k: v for k, v in check.items() if k != "rule"},
                *CHECKS[rule],
            )
    for i, claim in enumerate(claims):
        kinds = [k for k in CLAIMS if k in claim]
        if len(kinds) != 1:
            found = ", ".join(map(str, claim)) or "nothing"
            yield f"claims[{i}]: needs exactly one of {', '.join(CLAIMS)}; found {found}"
        else:
            yield from _of(f"claims[{i}]", claim, *CLAIMS[kinds[0]])


def _of(where, item, required, optional):
    known = required | optional
    yield from (f"{where}.{key}: missing" for key in required if key not in item)
    for key, value in item.items():
        if key not in known:
            yield f"{where}.{key}: unknown key; known are {', '.join(known)}"
        elif problem := known[key](value):
            yield f"{where}.{key}: {problem}"
