"""Which phantoms there are, and how one image of each is drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType

import numpy as np
import pandas as pd

from helpers.errors import StudyError
from tools.phantom import anatomy_qlb, anatomy_shamrock, anatomy_tlf, cohort
from tools.phantom.acoustics import b_mode, pixel_grid
from tools.phantom.raters import annotate


@dataclass(frozen=True)
class Recipe:
    """A phantom study.

    anatomy: a module with draw(rng, person) and frame(rng, patient) -> Anatomy (with contrast, 1
    clear … 0 poor, and hand, mm by which the reference lies outside each class), probe(person),
    settings(rng, person), scene and regions(anatomy, probe, x, y), ORDER (classes from the one
    labelled first to the one over all others) and DETAIL (how large the raters' errors are against
    those in the quadratus view).
    """

    study: str
    seed: int
    anatomy: ModuleType
    view: str
    people: Callable[[int], pd.DataFrame]  # seed -> cohort.COLUMNS plus split and frames
    by_image: tuple[int, int, int] | None = (
        None  # images for train, val, test where no patient is kept together
    )


@dataclass(frozen=True)
class Picture:
    """One drawn image: pixels and masks uint8 (H, W), spacing in mm, box x0, y0, x1, y1 of the
    sector in px.
    """

    pixels: np.ndarray
    masks: dict[str, np.ndarray]
    spacing_mm: float
    box: tuple[int, int, int, int]


RECIPES = {
    r.study: r
    for r in (
        Recipe(
            "phantom",
            20240925,
            anatomy_qlb,
            "Quadratus lumborum, lateral",
            lambda seed: cohort.quadratus(seed, "curved array 3-11 MHz"),
        ),
        Recipe(
            "tlf_phantom",
            20250516,
            anatomy_tlf,
            "Thoracolumbar fascia, L3",
            lambda seed: cohort.fascia(seed, ("linear array 3-12 MHz", anatomy_tlf.SECOND_DEVICE)),
            by_image=(360, 91, 87),
        ),
        Recipe(
            "shamrock_phantom",
            20260612,
            anatomy_shamrock,
            "Shamrock view, L4",
            lambda seed: cohort.shamrock(seed, "curved array 2-5 MHz"),
        ),
    )
}


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
    """Image `frame` (1, 2, …) of one patient: depends on nothing but the recipe's seed, the patient
    and the frame.
    """
    r = recipe(study)
    rng = np.random.default_rng([r.seed, 2, person.number])
    body = r.anatomy.draw(rng, person)
    rng = np.random.default_rng([r.seed, 3, person.number, frame])
    body = r.anatomy.frame(rng, body)
    probe = r.anatomy.probe(person)
    settings = r.anatomy.settings(rng, person)
    pixels = b_mode(r.anatomy.scene(body, probe, *probe.beam_points()), probe, settings, rng)
    *_, inside = pixel_grid(probe)
    regions, _ = r.anatomy.regions(body, probe, *probe.pixel_points())
    regions = regions - np.asarray(body.hand)[:, None, None]
    masks = annotate(regions, r.anatomy.ORDER, inside, 2.0 - body.contrast, r.anatomy.DETAIL, rng)
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    box = (int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1]))
    return Picture(pixels, masks, probe.spacing_mm, box)


def images(study: str) -> list[tuple[str, cohort.Person, int, str]]:
    """(image_id, patient, frame, split) of every image, in the manifest's order.

    A recipe that splits by image deals the images of all patients with a device in common at
    random, so that most patients are in every split; patients of any other device are external, the
    second test set.
    """
    r = recipe(study)
    rows = [
        (f"{p.patient_id}_{f:02d}", p, f, p.split)
        for p in cohort.persons(people(study))
        for f in range(1, p.frames + 1)
    ]
    if r.by_image is None:
        return rows
    dealt = iter(
        np.random.default_rng([r.seed, 4])
        .permutation(np.repeat(cohort.SPLITS, r.by_image))
        .tolist()
    )
    return [
        (i, p, f, next(dealt) if p.device == rows[0][1].device else "external")
        for i, p, f, _ in rows
    ]
