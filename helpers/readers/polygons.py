"""Outlines drawn by hand, in pixels: are they an area, and which pixels does it hold.

x runs right, y down; pixel (row, column) covers [column, column+1) × [row, row+1), as Labelme's and
COCO's canvases do. A pixel belongs to an area when its centre lies inside (non-zero winding rule;
an edge through a centre includes it on the left and top, excludes it on the right and bottom), so
the expected number of pixels equals the drawn area. Labelme's own export also paints the outline
and comes out about half the perimeter larger.
"""

import numpy as np

AREA_LOSS = 0.05  # a self-crossing outline that loses more than this share of its area is unclear
MOST_POINTS = 20_000  # of an outline
AT_ONCE = 256  # edges or rows, so that memory stays small


def crossings(points: np.ndarray) -> int:
    """How often an outline (n, 2) crosses itself: proper crossings of its edges, touching ones not
    counted.
    """
    ends, count = np.roll(points, -1, 0), 0

    def side(o: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return (u[..., 0] - o[..., 0]) * (v[..., 1] - o[..., 1]) - (u[..., 1] - o[..., 1]) * (
            v[..., 0] - o[..., 0]
        )

    for first in range(0, len(points), AT_ONCE):  # every edge with every other, a part at a time
        a, b = (p[first : first + AT_ONCE, None] for p in (points, ends))
        c, d = points[None], ends[None]
        proper = (side(a, b, c) * side(a, b, d) < 0) & (side(c, d, a) * side(c, d, b) < 0)
        count += int(np.triu(proper, first + 1).sum())
    return count


def fill(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Pixels whose centre an outline (n, 2) of (x, y) winds around: bool (rows, columns)."""
    inside = np.zeros(shape, bool)
    top, bottom = (np.clip(v, 0, shape[0]) for v in (points[:, 1].min(), points[:, 1].max()))
    for first in range(int(top), int(np.ceil(bottom)), AT_ONCE):
        last = min(first + AT_ONCE, int(np.ceil(bottom)))
        inside[first:last] = _fill_rows(points, first, last, shape[1])
    return inside


def _fill_rows(points: np.ndarray, first: int, last: int, columns: int) -> np.ndarray:
    x0, y0 = points.T
    x1, y1 = np.roll(points, -1, 0).T
    y = np.arange(first, last)[:, None] + 0.5
    down, up = (y0 <= y) & (y < y1), (y1 <= y) & (y < y0)
    at = np.where(down | up, x0 + (y - y0) * (x1 - x0) / np.where(y1 == y0, 1, y1 - y0), 0)
    # first pixel whose centre lies at or right of the edge
    start = np.clip(np.ceil(at - 0.5), 0, columns).astype(int)
    steps = np.zeros((last - first, columns + 1), np.int32)
    row = np.broadcast_to(np.arange(last - first)[:, None], start.shape)
    np.add.at(steps, (row, start), down.astype(np.int32) - up)
    return np.cumsum(steps, 1)[:, :columns] != 0


def ellipse(
    centre: np.ndarray, radius_x: float, radius_y: float, turn: float = 0.0, sides: int = 180
) -> np.ndarray:
    """An outline (sides, 2) of the area of the ellipse, turned by ``turn`` radians."""
    wider = 1 / np.sqrt(np.sin(2 * np.pi / sides) * sides / (2 * np.pi))
    angle = 2 * np.pi * np.arange(sides) / sides
    x, y = radius_x * wider * np.cos(angle), radius_y * wider * np.sin(angle)
    turned = [x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)]
    return np.asarray(centre) + np.stack(turned, 1)


def circle(centre: np.ndarray, edge: np.ndarray, sides: int = 180) -> np.ndarray:
    """An outline (sides, 2) of the circle through edge around centre, of the circle's area."""
    radius = np.hypot(*(np.asarray(edge) - centre))
    return ellipse(centre, radius, radius, sides=sides)


def check_outline(points: np.ndarray, shape: tuple[int, int]) -> str | None:
    """What is wrong with an outline (n, 2) in an image of shape, or None."""
    if points.ndim != 2 or points.shape[1:] != (2,) or len(points) < 3:
        return f"an outline needs at least three points, it has {len(points)}"
    if len(points) > MOST_POINTS:
        return f"an outline of {len(points):,} points, more than {MOST_POINTS:,}"
    if not np.isfinite(points).all():
        return "a point is NaN or infinite"
    if (points >= 0).all() and (points <= 1).all():
        return (
            "all its points lie between 0 and 1, as fractions of the picture do; pixels are needed"
        )
    rows, columns = shape
    slack = 1 + 0.02 * max(shape)  # drawing tools let the pen slip a little over the border
    if (
        (points < -slack).any()
        or (points[:, 0] > columns + slack).any()
        or (points[:, 1] > rows + slack).any()
    ):
        return f"points outside the image of {rows} × {columns}"
    x, y = points.T
    signed = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    if signed == 0 and not crossings(points):
        return "an empty area: its points lie on a line"
    if crossings(points) and signed < (1 - AREA_LOSS) * fill(points, shape).sum():
        return "it crosses itself so that its area is unclear"
    return None
