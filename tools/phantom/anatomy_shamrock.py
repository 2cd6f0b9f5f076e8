"""Shamrock view for the lumbar plexus block: transverse at L4, the transverse process as the
stem of three leaves.

Erector spinae behind (left), quadratus lumborum at the tip of the process, psoas in front
(right and deep), the vertebra below; the lumbar plexus lies in the back third of the psoas,
near the bone, a bright honeycomb in a thin sheath (Wang 2026, abstract). The picture is built
on the quadratus view, turned so that the process points up.

Labels: 1 psoas, 2 muscle (erector spinae and quadratus lumborum), 3 nerve, 4 bone.
"""

from dataclasses import dataclass, replace

import numpy as np

from tools.phantom import anatomy_qlb as lateral
from tools.phantom.acoustics import Probe, Settings
from tools.phantom.cohort import Person
from tools.phantom.geometry import Scene, ellipse

CLASSES = ("psoas", "muscle", "nerve", "bone")
ORDER = (2, 1, 3, 4)
DETAIL = 0.6


@dataclass(frozen=True)
class Anatomy:
    """A lateral view (same body) with the plexus: x, y from the psoas's centre and half-axes
    (mm), angle, dB.
    """

    body: lateral.Anatomy
    plexus: tuple[float, float, float, float, float]
    sheath: float
    hand: tuple[float, float, float, float]

    @property
    def contrast(self) -> float:
        """1 clear … 0 the structures do not differ from what is around them."""
        return self.body.contrast


def draw(rng: np.random.Generator, person: Person) -> Anatomy:
    """A patient's anatomy; muscles are larger and nearer to each other than in the lateral
    view.
    """
    n = rng.normal
    body = lateral.draw(rng, person)
    body = replace(
        body,
        ql=(n(2, 2), n(24, 2), n(17, 1.6), n(8.5, 1.0), n(0.1, 0.15)),
        es=(n(-34, 2), n(25, 1.5), n(27, 2), n(17, 1.5)),
        psoas=(n(20, 2.5), n(51, 2.5), n(23, 1.8), n(18, 1.5)),
        vertebra=(n(-22, 2.5), n(76, 3), n(27, 2.5), n(24, 2.5)),
        contrast=float(np.clip(body.contrast + 0.3, 0.1, 1.1)),
        deep=0.9,
    )
    plexus = (n(-10.5, 1.5), n(-1, 2.0), n(7.6, 0.8), n(4.6, 0.5), n(0.5, 0.3))
    return Anatomy(body, plexus, n(-4, 2.0), (n(0, 0.4), n(0, 0.4), n(0, 0.25), n(0, 0.8)))


def frame(rng: np.random.Generator, patient: Anatomy) -> Anatomy:
    """The same patient, the probe held a little differently."""
    x, y, a, b, angle = patient.plexus
    moved = (x + rng.normal(0, 0.8), y + rng.normal(0, 0.8), a * rng.normal(1, 0.08), b, angle)
    return replace(patient, body=lateral.frame(rng, patient.body), plexus=moved)


def probe(person: Person) -> Probe:
    """The curved array of the lateral view."""
    return lateral.probe(person)


def settings(rng: np.random.Generator, person: Person) -> Settings:
    """The settings of the lateral view."""
    return lateral.settings(rng, person)


def _plexus(a: Anatomy, q: dict) -> np.ndarray:
    px, py, *_ = a.body.psoas
    x, y, half, other, angle = a.plexus
    g = a.body.build
    return ellipse(
        q["u"], q["v"], (px + x) * g, a.body.fat + (py + y) * g, half * g, other * g, angle
    )


def regions(a: Anatomy, p: Probe, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, dict]:
    """(4, ...) distances (mm) to psoas, other muscle, nerve and bone, and the other parts by
    name.
    """
    (wall, ql, bone), q = lateral.regions(a.body, p, x, y)
    nerve = np.maximum(_plexus(a, q), np.maximum(q["psoas"] + 0.6, 0.6 - bone))
    qx, _, half, _, angle = a.body.ql
    tip = (
        qx - 0.93 * half * np.cos(angle)
    ) * a.body.build  # the erector spinae ends at the transverse process
    erector = np.maximum(q["es"], np.maximum(0.5 - wall, q["u"] - tip))
    return np.stack([q["psoas"], np.minimum(ql, erector), nerve, bone]), q


def scene(a: Anatomy, p: Probe, x: np.ndarray, y: np.ndarray) -> Scene:
    """Everything the sound meets at points x, y (mm)."""
    base = lateral.scene(a.body, p, x, y)
    distances, q = regions(a, p, x, y)
    nerve = distances[2]
    comb = np.sin(2 * np.pi * q["u"] / 2.6) * np.sin(2 * np.pi * q["v"] / 2.2)
    echo = np.where(nerve < 0, -13.0 + 4.0 * comb, base.echo_db)
    edges = (
        *base.edges,
        (np.where(nerve < 2, nerve, 9.0), a.sheath - (1 - a.contrast) * 5.0, 0.45),
    )
    return Scene(distances, ORDER, echo, base.attenuation, base.fibre, edges)
