"""One look for every figure and table, and one place where they are written.

A colour means the same class or network everywhere; every figure is saved as SVG and PNG, every
table as CSV, with the parameters it came from.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.core.pylabtools import print_figure
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from pandas.io.formats.style import Styler

from helpers.figures import tables
from helpers.figures.tables import network as model_label  # noqa: F401, for the pages
from helpers.figures.tables import p_text as p_text
from helpers.files import whole, write_csv
from helpers.provenance import made
from helpers.studies import Study

STYLE = Path(__file__).parent / "study.mplstyle"
#: journal column widths in inches (85 and 174 mm)
COLUMN, PAGE = 85 / 25.4, 174 / 25.4
PHONE = 4.4  # inches: what is no wider can be read on a phone without swiping
#: network → colour; Okabe–Ito colours for the networks that are compared, told apart with colour-
#: blindness too
COLOURS = {
    "qvum": "#0072B2",
    "unet": "#D55E00",
    "unetpp": "#009E73",
    "bpsegsys_r": "#CC79A7",
    "vistr": "#E69F00",
    "femoral_unet": "#56B4E9",
    "tlf_unet": "#56B4E9",
    "dmrnet_r": "#7F5AA2",
    "dilated_unet_r": "#8C6D31",
    "unet_bilinear": "#F0A070",
    "unet_valid": "#A04000",
    "keras_starter": "#7F7F7F",
}


def use_style() -> None:
    """The study's matplotlib style from here on (one call at the top of a notebook)."""
    plt.style.use(STYLE)
    matplotlib.rcParams["svg.hashsalt"] = "study"  # the same figure gives the same file


def model_colour(name: str) -> str:
    """The colour of a network, '#rrggbb'; grey for one without a colour of its own."""
    return COLOURS.get(name, "#5B5B5B")


def class_colours(study: Study) -> dict[str, str]:
    """Class name → colour of the study's foreground classes, as study.yml declares them."""
    return {c.name: c.colour for c in study.foreground}


def two_people(study: Study) -> str:
    """Who the raters of a study are: of a synthetic one they are no people."""
    return "two simulated raters" if study.synthetic else "two people"


def overlay(image: np.ndarray, mask: np.ndarray, study: Any, contour: bool = False) -> np.ndarray:
    """The grey image with classes drawn over it in their colours; float RGB (H, W, 3) in 0…1.

    image: uint8 (H, W); mask: uint8 (H, W); contour: outlines only.
    """
    rgb = np.repeat(np.asarray(image, float)[..., None] / 255, 3, axis=2)
    for c in study.foreground:
        area = mask == c.index
        if contour:
            inner = area.copy()
            inner[1:-1, 1:-1] &= area[:-2, 1:-1] & area[2:, 1:-1] & area[1:-1, :-2] & area[1:-1, 2:]
            rgb[area & ~inner] = to_rgb(c.colour)
        else:
            rgb[area] = 0.55 * rgb[area] + 0.45 * np.array(to_rgb(c.colour))
    return rgb


def class_legend(axes: Axes | Figure, study: Study, **options: Any) -> Legend:
    """A legend of the study's foreground classes."""
    patches = [
        matplotlib.patches.Patch(color=c.colour, label=c.name.replace("_", " "))
        for c in study.foreground
    ]
    return axes.legend(handles=patches, **options)


@dataclass(frozen=True)
class Saved:
    """A figure that was written under a name. A notebook shows it as a PNG and keeps the name in
    the output's metadata, {"study": {"figure": name}}, so that a book finds its files.
    """

    figure: Figure
    name: str

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict, dict]:
        picture = print_figure(self.figure, "png", base64=True)
        return {"image/png": picture, "text/plain": f"<Figure {self.name}>"}, {
            "study": {"figure": self.name}
        }


def save(fig: Figure, study: Study, name: str) -> Saved:
    """Write runs/<study>/figures/<name>.svg and .png; what a notebook shows of it."""
    kinds: dict[str, dict] = {"svg": {"metadata": {"Date": None}}, "png": {"dpi": 200}}
    for end, options in kinds.items():
        path = study.run / "figures" / f"{name}.{end}"
        with whole(path) as part:
            fig.savefig(part, **options)
        made(path)
    plt.close(fig)
    return Saved(fig, name)


def save_table(
    frame: pd.DataFrame,
    study: Study,
    name: str,
    note: str = "",
    digits: int = 3,
    columns: Sequence[str] | None = None,
    only: pd.Series | None = None,
    shown: pd.DataFrame | None = None,
) -> Styler:
    """Write runs/<study>/tables/<name>.csv with every digit; its reading form (``tables``).

    note: printed under the table (definitions, policy, assumptions), before what all rows share and
    a footnote for each network that is a reconstruction; sentences on intervals fall away where
    there are none. Bounds stand in one column; P values as journals print them. columns: those to
    show, in order (None: all); only: which rows, boolean (None: all); shown: what is shown in place
    of all that; the file has every row and column.
    """
    path = study.run / "tables" / f"{name}.csv"
    write_csv(frame, path)
    made(path)
    if shown is None:
        frame = frame if only is None else frame[only]
        shown = frame = (frame if columns is None else frame[columns]).rename(columns=str)
    text, shared = tables.readable(shown.reset_index(drop=True), digits, note)
    styler = (
        text.style.format(escape="html")
        .hide(axis="index")
        .set_table_attributes(f'class="study-table" data-table="{name}"')
    )
    note = tables.kept_promises(note and note.rstrip(".") + ".", frame)
    caption = " ".join(filter(None, [note, shared, *tables.stand_ins(frame)]))
    return styler.set_caption(html.escape(caption, quote=False)) if caption else styler


def interval_text(value: float, low: float, high: float, digits: int = 3) -> str:
    """'0.734 (0.701 to 0.760)', or the value alone where no interval could be made."""
    shown, least, most = (tables.number(x, digits) for x in (value, low, high))
    return shown if "–" in (shown, least) else f"{shown} ({least} to {most})"
