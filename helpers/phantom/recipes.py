"""Which phantoms there are, and how one image of each is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import ModuleType

import numpy as np
import pandas as pd

from helpers.errors import StudyError

from . import anatomy_qlb, cohort
from .acoustics import b_mode
from .raters import annotate


@dataclass(frozen=True)
class Recipe:
    """A phantom study. anatomy: a module with draw, frame, probe, settings, scene, regions, ORDER."""

    study: str
    seed: int
    anatomy: ModuleType
    view: str
    people: object  # seed -> DataFrame of cohort.COLUMNS plus split and frames


@dataclass(frozen=True)
class Picture:
    """One drawn image: pixels and masks uint8 (H, W), spacing in mm, box x0, y0, x1, y1 of the sector in px."""

    pixels: np.ndarray
    masks: dict[str, np.ndarray]
    spacing_mm: float
    box: tuple[int, int, int, int]


RECIPES = {
    r.study: r
    for r in (
        Recipe("phantom", 20240925, anatomy_qlb, "Quadratus lumborum, lateral",
               lambda seed: cohort.quadratus(seed, "curved array 3-11 MHz")),
    )
}  # fmt: skip


def recipe(study: str) -> Recipe:
    """The recipe of this name; StudyError lists those there are."""
    if study not in RECIPES:
        raise StudyError(f"no phantom is drawn for study {study!r}; there are {', '.join(RECIPES)}")
    return RECIPES[study]


@cache
def people(study: str) -> pd.DataFrame:
    """Everyone approached, one row each."""
    r = recipe(study)
    return r.people(r.seed)


def draw(study: str, person: cohort.Person, frame: int) -> Picture:
    """Image `frame` (1, 2, …) of one patient: depends on nothing but the recipe's seed, the patient and the frame."""
    r = recipe(study)
    rng = np.random.default_rng([r.seed, 2, person.number])
    body = r.anatomy.draw(rng, person)
    rng = np.random.default_rng([r.seed, 3, person.number, frame])
    body = r.anatomy.frame(rng, body)
    probe = r.anatomy.probe(person)
    settings = r.anatomy.settings(rng, person)
    pixels = b_mode(r.anatomy.scene(body, probe, *probe.beam_points()), probe, settings, rng)
    x, y = probe.pixel_points()
    *_, inside = probe.grid(x, y)
    regions, _ = r.anatomy.regions(body, probe, x, y)
    masks = annotate(regions, r.anatomy.ORDER, inside, 2.0 - body.contrast, r.anatomy.DETAIL, rng)
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    return Picture(pixels, masks, probe.spacing_mm, (columns[0], rows[0], columns[-1], rows[-1]))
