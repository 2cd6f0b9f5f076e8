"""Page 5: is the headline network better than the others, by the declared test, and does the answer
depend on the test?
"""

from helpers import stats
from helpers.errors import NotComputable
from helpers.figures import model_label


def several(rows, headline):
    """The rows, or NotComputable where only one network has results."""
    if rows["model"].nunique() < 2:
        raise NotComputable(
            f"Only {model_label(headline)} has results: there is nothing to compare it with"
        )
    return rows


def enough(table, unit):
    """Units × networks, or NotComputable for fewer units than a test or a ranking needs."""
    if len(table) < stats.MIN_UNITS:
        raise NotComputable(
            f"Results of {len(table)} {unit}s; this needs at least {stats.MIN_UNITS}"
        )
    return table


def with_units(rows, table):
    """The rows, where ``table`` (of :func:`enough`) could be made of them."""
    return rows


def margin_note(margin, metric):
    """What stands under a table of equivalence."""
    return f"Margin {margin:.3g} {metric}. Interval: 90 %, as two one-sided tests at 5 % need."
