"""Lateral view for the quadratus lumborum block: back of the patient to the left, front to the
right.

From the probe down: fat; to the right the abdominal wall (external oblique, internal oblique,
transversus abdominis: the EIT), which tapers to the back and ends above and right of the quadratus
lumborum (QLM); to the left the erector spinae; below the QLM psoas and the vertebra, whose
transverse process reaches up to the QLM from the lower left and shadows what lies behind. Erector
spinae and psoas look like the QLM on purpose.

Labels: 1 EIT, 2 QLM, 3 bone (Wang 2024, Data Annotation; class shares: see the tests).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tools.phantom.acoustics import Probe, Settings
from tools.phantom.cohort import Person
from tools.phantom.geometry import Scene, Waves, capsule, ellipse, smoothstep, union

CLASSES = ("EIT", "QLM", "bone")


@dataclass(frozen=True)
class Anatomy:
    """One patient, or one frame of one: lengths mm, angles radians, strengths dB."""

    fat: float
    build: float  # factor on all lengths of muscle and bone
    wall: float  # thickness of the three-layered wall
    wall_tip: float  # x of its posterior end
    wall_sag: float  # how far that end dips
    layers: tuple[float, float]  # where internal oblique begins and ends, as shares of the wall
    ql: tuple[float, float, float, float, float]  # x, depth below fat, half-axes, angle
    ql_shape: float  # super-ellipse power
    es: tuple[float, float, float, float]
    psoas: tuple[float, float, float, float]
    vertebra: tuple[float, float, float, float]
    # how deep, in the shadow, outlines of the vertebra are closed: factor on its lower half
    closed: float
    process: float  # thickness of the transverse process
    deep: float  # 0 bowel … 1 kidney
    other: tuple[float, float]  # dB of psoas and erector spinae against the QLM
    contrast: float  # 1 clear, 0 the QLM does not differ from what is around it
    fascia: float  # dB of the fascia's brightness
    around: float  # dB of connective tissue and retroperitoneal fat
    blobs: tuple[
        tuple[float, float, float, float, float], ...
    ]  # dark patches that are no muscle, as ql
    hand: tuple[
        float, float, float
    ]  # mm by which the reference lies outside each class's edge in this patient
    warp: Waves
    pose: tuple[float, float, float]  # shift right, shift down, turn


def draw(rng: np.random.Generator, person: Person) -> Anatomy:
    """A patient's anatomy from sex, height, weight and chance."""
    n, u = rng.normal, rng.uniform
    build = (
        (person.height_cm / 167) ** 0.8 * (1.05 if person.sex == "male" else 0.95) * n(1.0, 0.04)
    )
    return Anatomy(
        fat=float(np.clip(9 + 1.15 * (person.bmi_kg_m2 - 21) + n(0, 1.5), 5, 32)),
        build=build,
        wall=n(11.5, 1.8) * build,
        wall_tip=n(5.0, 4.0),
        wall_sag=u(5, 10),
        layers=(u(0.24, 0.34), u(0.66, 0.76)),
        ql=(
            n(0.0, 4.0),
            n(27, 2.8),
            float(np.clip(n(17.5, 2.8), 13, 23)),
            float(np.clip(n(9.0, 1.6), 6, 12)),
            n(-0.28, 0.25),
        ),
        ql_shape=u(1.8, 2.8),
        es=(n(-36, 2), n(22, 1.5), n(27, 2), n(15, 1.2)),
        psoas=(n(13, 3), n(52, 3), n(23, 2), n(17, 1.5)),
        vertebra=(n(-30, 4.0), n(71, 3.5), n(31, 3.5), n(24, 2.5)),
        closed=u(0.55, 1.5),
        process=n(4.6, 0.5),
        deep=u(0, 1),
        other=(n(1.0, 1.5), n(2.0, 1.5)),
        contrast=float(np.clip(n(0.32, 0.3) - 0.03 * (person.bmi_kg_m2 - 24), -0.1, 1.0)),
        fascia=n(-1.5, 2.5),
        around=n(-15, 1.8),
        blobs=tuple((u(8, 45), u(22, 58), u(8, 17), u(5, 9), u(-0.6, 0.6)) for _ in range(2)),
        hand=(n(0, 0.55), n(0, 0.75), n(0, 0.7)),
        warp=Waves.draw(rng, 2.6),
        pose=(0.0, 0.0, 0.0),
    )


def frame(rng: np.random.Generator, patient: Anatomy) -> Anatomy:
    """The same patient, the probe held a little differently."""
    x, depth, a, b, angle = patient.ql
    grow = rng.normal(1.0, 0.05, 2)
    return replace(
        patient,
        ql=(x, depth, a * grow[0], b * grow[1], angle + rng.normal(0, 0.07)),
        wall=patient.wall * rng.normal(1.0, 0.05),
        fat=patient.fat * rng.normal(1.0, 0.05),
        contrast=patient.contrast * float(np.clip(rng.normal(1.0, 0.2), 0.3, 1.4)),
        warp=patient.warp + Waves.draw(rng, 1.0),
        pose=(rng.normal(0, 4.0), rng.normal(0, 2.0), rng.normal(0, 0.05)),
    )


def probe(person: Person) -> Probe:
    """Curved array of 60 mm radius, depth as the patient's settings say."""
    return Probe(radius_mm=60.0, half_angle=0.52, depth_mm=person.depth_cm * 10.0)


def settings(rng: np.random.Generator, person: Person) -> Settings:
    """One image's settings: gain of the patient, loss and haze grow with BMI, lines lost now and
    then.
    """
    heavy = (person.bmi_kg_m2 - 23.8) / 3.6
    lost = rng.random() < 0.35 + 0.08 * np.clip(heavy, -2, 3)
    drops = [
        (rng.random(), rng.uniform(0.02, 0.09), rng.uniform(5, 16))
        for _ in range(rng.integers(1, 4))
    ]
    return Settings(
        gain_db=person.gain_db + rng.normal(0, 1.2),
        compensation_db_mm=0.13,
        dynamic_range_db=rng.normal(52, 2.5),
        loss=1.0 + 0.06 * float(np.clip(heavy, -2, 3)) + rng.normal(0, 0.03),
        haze_db=-40 + 2.0 * float(np.clip(heavy, -2, 2.5)) + rng.normal(0, 2.0),
        noise_db=-60 + 0.8 * float(np.clip(heavy, -2, 3)),
        focus=rng.uniform(0.35, 0.6),
        beam=1.0 + 0.08 * float(np.clip(heavy, -1.5, 3)),
        dropouts=tuple(drops) if lost else (),
    )


def _coordinates(
    a: Anatomy, p: Probe, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    dx, dy, turn = a.pose
    pivot = 0.45 * p.depth_mm
    c, s = np.cos(turn), np.sin(turn)
    u, v = x * c - (y - pivot) * s - dx, x * s + (y - pivot) * c + pivot
    radial = np.hypot(u, v + p.radius_mm) - p.radius_mm
    v = v + (radial - v) * np.exp(
        -np.maximum(radial, 0) / 30.0
    )  # the probe presses the skin into its own curve
    skin = v
    u, v = a.warp(u, v - dy * smoothstep(v / 15.0))
    return u, v, skin


def _wall(a: Anatomy, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(distance to the wall, position across it from 0 at its surface to 1 at its depth)."""
    along = u - a.wall_tip
    centre = a.fat + 2.0 + a.wall / 2 + a.wall_sag * np.exp(-np.maximum(along, -20) / 13.0)
    half = a.wall / 2 * (1 - np.exp(-np.maximum(along, 0) / 9.0))
    return (
        np.maximum(np.abs(v - centre) - half, -along),
        (v - centre) / (2 * np.maximum(half, 0.3)) + 0.5,
    )


def regions(a: Anatomy, p: Probe, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, dict]:
    """(3, ...) distances (mm) to EIT, QLM and bone, and the other parts by name."""
    u, v, skin = _coordinates(a, p, x, y)
    f, g = a.fat, a.build
    qx, qy, qa, qb, turn = a.ql
    wall, across = _wall(a, u, v)
    ql = ellipse(u, v, qx * g, f + qy * g, qa * g, qb * g, turn, a.ql_shape)
    tip = (qx * g - 0.93 * qa * g * np.cos(turn), f + qy * g - 0.93 * qa * g * np.sin(turn) + 4.5)
    vx, vy, va, vb = a.vertebra
    middle = f + vy * g
    lower = np.where(v > middle, middle + (v - middle) / a.closed, v)
    body = ellipse(u, lower, vx * g, middle, va * g, vb * g, 0.25, 2.3)
    process = capsule(u, v, (vx * g, f + vy * g), tip, 9.0 * g, a.process * g)
    bone = union(body, process, 9.0)
    ql = np.maximum(ql, -bone + 0.6)
    wall = np.maximum(wall, 0.8 - ql)
    ex, ey, ea, eb = a.es
    px, py, pa, pb = a.psoas
    psoas = np.maximum(ellipse(u, v, px * g, f + py * g, pa * g, pb * g, -0.2, 2.4), 1.0 - ql)
    parts = {
        "u": u,
        "v": v,
        "skin": skin,
        "across": across,
        "es": np.maximum(ellipse(u, v, ex * g, f + ey * g, ea * g, eb * g, 0.2, 2.8), 1.0 - ql),
        "psoas": psoas,
        "broad": np.maximum(np.abs(v - f - 3.0 - 0.02 * u) - 0.09 * np.clip(8 - u, 0, 28), u - 8),
        "deep": np.maximum(ellipse(u, v, 50, f + 62, 30, 36, 0.1), 2.0 - psoas),
    }
    return np.stack([wall, ql, bone]), parts


ORDER = (1, 2, 3)
DETAIL = 1.0


def scene(a: Anatomy, p: Probe, x: np.ndarray, y: np.ndarray) -> Scene:
    """Everything the sound meets at points x, y (mm)."""
    distances, q = regions(a, p, x, y)
    wall, ql, bone = distances
    u, v, es, psoas, deep, broad = q["u"], q["v"], q["es"], q["psoas"], q["deep"], q["broad"]
    echo = np.full(x.shape, a.around)
    loss = np.full(x.shape, 0.085)
    fibre = np.full(x.shape, 0.3)

    def fill(inside: np.ndarray, db: Any, attenuation: float, striated: float) -> None:
        echo[inside] = db if np.ndim(db) == 0 else db[inside]
        loss[inside] = attenuation
        fibre[inside] = striated

    muscle = -23.0
    organ = -23 + 12 * np.exp(-0.5 * ((deep + 19) / 6) ** 2) if a.deep > 0.45 else -15.0
    fill(
        deep < 0, organ, 0.07 if a.deep > 0.45 else 0.22, 0.2
    )  # kidney, or bowel with its dirty shadow
    taken = np.minimum(np.minimum(ql, psoas), np.minimum(wall, np.minimum(es, bone)))
    blobs = np.minimum(
        *(
            np.maximum(ellipse(u, v, bx, a.fat + by, *rest), 1.5 - taken)
            for bx, by, *rest in a.blobs
        )
    )
    fill(blobs < 0, muscle + 1.5, 0.09, 0.5)
    fill(psoas < 0, muscle + a.other[0], 0.095, 0.8)
    fill(es < 0, muscle + a.other[1], 0.095, 1.0)
    fill(ql < 0, muscle + (1 - a.contrast) * 8.0, 0.095, 0.9)
    fill(wall < 0, muscle + 1.0, 0.095, 0.7)
    fill(broad < 0, muscle + 2.0, 0.095, 0.8)
    septa = np.sin(2 * np.pi * v / 6.5 + 1.4 * np.sin(u / 9.0) + 0.9 * np.sin(u / 4.1)) ** 8
    fill((v < a.fat) & (wall > 0), -20.0 + 7.0 * septa, 0.06, 0.2)
    fill(q["skin"] < 2.0, -9.0, 0.09, 0.1)
    fill(bone < 0, -60.0, 1.3, 0.0)

    lift = a.fascia - 3.5
    edges = [
        (v - a.fat, 2.5 + lift, 0.45),
        (np.where(wall < 1.0, wall, 9.0), 0.5 + lift, 0.5),
        (np.where(ql < 2.0, ql, 9.0), 1.0 + lift - (1 - a.contrast) * 9.0, 0.55),
        (es, -2.5 + lift, 0.5),
        (psoas, -3.5 + lift, 0.6),
        (np.where(u < 8, broad, 9.0), -1.5 + lift, 0.45),
        (blobs, -4.0 + lift, 0.5),
        (deep, -9.0 if a.deep > 0.45 else 1.0, 0.6),
        (bone - 0.2, 11.0, 0.5),
    ]
    inner = np.where(wall < 0, 1.0, 40.0)
    edges += [((q["across"] - at) * a.wall * inner, 0.0 + lift, 0.45) for at in a.layers]
    peritoneum = (q["across"] - 1) * a.wall - 4.5 - 1.5 * np.sin(u / 11.0)
    edges.append((np.where(u > a.wall_tip + 10, peritoneum, 9.0), 0.0 + lift, 0.45))
    return Scene(distances, ORDER, echo, loss, fibre, tuple(edges))
