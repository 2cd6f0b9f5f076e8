"""The patients: who was approached, who was left out and why, who is in which split, how many
frames each.

The quadratus lumborum cohort follows Wang 2024, Methods (Patients) and Table 1. The printed
means of all 112 patients (51.4 years, 167.6 cm, 68.2 kg) lie above what its three cohorts can
give (50.6, 166.3, 65.8), so only one of the two can be followed: here each cohort has its
printed mean and SD, and the total is what follows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

#: split: (men, women, images, then mean and SD of age in years, height in cm, weight in kg),
#: Wang
#: 2024 Table 1
TABLE_1 = {
    "train": (38, 30, 1893, (49.5, 9.5), (166.0, 8.7), (66.2, 12.5)),
    "val": (13, 9, 632, (52.0, 9.6), (167.1, 9.6), (65.4, 12.4)),
    "test": (11, 11, 637, (52.6, 8.6), (166.2, 9.0), (64.7, 11.7)),
}
SPLITS = ("train", "val", "test")
#: the seven criteria of Wang 2024 with made-up numbers of patients; the paper prints only their
#: sum, 39
EXCLUDED = {
    "quadratus lumborum changed on computed tomography": 8,
    "could not be positioned or cooperate": 6,
    "known disorder of the nerves to be examined": 3,
    "earlier surgery in the area": 9,
    "wound or infection of the skin": 2,
    "allergic to the coupling gel": 1,
    "declined": 10,
}
COLUMNS = [
    "patient_id",
    "age_years",
    "sex",
    "height_cm",
    "weight_kg",
    "bmi_kg_m2",
    "device",
    "depth_cm",
    "gain_db",
    "excluded",
]


@dataclass(frozen=True)
class Person:
    """One included patient as the drawing needs it; `frames` images are made of it."""

    patient_id: str
    number: int
    split: str
    frames: int
    age_years: float
    sex: str
    height_cm: float
    weight_kg: float
    bmi_kg_m2: float
    device: str
    depth_cm: float
    gain_db: float


def match(
    rng: np.random.Generator,
    draw: Callable,
    mean: float,
    sd: float,
    step: float,
    low: float,
    high: float,
) -> np.ndarray:
    """Values from draw() moved to this mean and SD, in multiples of step, within low..high.

    Drawn again until mean and SD, after rounding the values, print as asked to one decimal.
    """
    for _ in range(20000):
        raw = draw(rng)
        values = np.round((mean + sd * (raw - raw.mean()) / raw.std(ddof=1)) / step) * step
        fits = abs(values.mean() - mean) < 0.045 and abs(values.std(ddof=1) - sd) < 0.045
        if fits and values.min() >= low and values.max() <= high:
            return values
    raise AssertionError(f"no draw gives mean {mean} and SD {sd} within {low}..{high}")


def share_out(rng: np.random.Generator, total: int, people: int) -> np.ndarray:
    """Numbers of frames, one a patient, of this exact total: between about half and one and a
    half the mean.
    """
    weight = rng.uniform(0.5, 1.5, people)
    frames = np.floor(weight / weight.sum() * total).astype(int)
    frames[: total - frames.sum()] += 1
    return frames


def quadratus(seed: int, device: str) -> pd.DataFrame:
    """All 151 approached patients, columns COLUMNS plus split and frames; deterministic in
    seed.
    """
    rng = np.random.default_rng([seed, 1])
    parts = []
    for split, (men, women, images, age, height, weight) in TABLE_1.items():
        n = men + women
        sex = np.array(["male"] * men + ["female"] * women)
        male = sex == "male"
        cm = match(
            rng,
            lambda r, m=male: np.where(m, 171.0, 160.0) + r.normal(0, 6.6, m.size),
            *height,
            1,
            145,
            195,
        )
        slope = 0.75 * (cm - cm.mean())
        kg = match(rng, lambda r, s=slope: s + r.gamma(6.0, 4.3, s.size), *weight, 0.5, 42, 115)
        years = match(rng, lambda r, k=n: r.beta(1.7, 0.95, k), *age, 1, 18, 65)
        parts.append(
            pd.DataFrame(
                {
                    "split": split,
                    "frames": share_out(rng, images, n),
                    "age_years": years,
                    "sex": sex,
                    "height_cm": cm,
                    "weight_kg": kg,
                    "excluded": "",
                }
            )
        )
    n = sum(EXCLUDED.values())
    sex = np.where(rng.random(n) < 0.5, "male", "female")
    cm = np.round(np.where(sex == "male", 171.0, 160.0) + rng.normal(0, 6.6, n))
    kg = np.round(2 * (66 + 0.75 * (cm - 166) + rng.normal(0, 9, n))) / 2
    years = np.round(18 + 47 * rng.beta(1.7, 0.95, n))
    reason = np.repeat(list(EXCLUDED), list(EXCLUDED.values()))
    unmeasured = reason == "declined"
    parts.append(
        pd.DataFrame(
            {
                "split": "",
                "frames": 0,
                "age_years": years,
                "sex": sex,
                "height_cm": np.where(unmeasured, np.nan, cm),
                "weight_kg": np.where(unmeasured, np.nan, kg),
                "excluded": reason,
            }
        )
    )
    everyone = pd.concat(parts, ignore_index=True)
    everyone = everyone.iloc[rng.permutation(len(everyone))].reset_index(drop=True)
    everyone.insert(0, "patient_id", [f"P{i + 1:03d}" for i in range(len(everyone))])
    return with_settings(rng, everyone, device, depth_cm=10.6, deeper=0.25)


def with_settings(
    rng: np.random.Generator, people: pd.DataFrame, device: str, depth_cm: float, deeper: float
) -> pd.DataFrame:
    """Add body mass index and the scanner's settings: heavier patients are scanned deeper (cm
    per kg/m²).
    """
    people["age_years"] = people["age_years"].astype(int)
    people["bmi_kg_m2"] = (people["weight_kg"] / (people["height_cm"] / 100) ** 2).round(1)
    n = len(people)
    wanted = depth_cm + deeper * (people["bmi_kg_m2"].fillna(24) - 24) + rng.normal(0, 0.5, n)
    included = people["excluded"] == ""
    people["depth_cm"] = (2 * wanted).round().div(2).where(included)
    people["gain_db"] = pd.Series(rng.normal(0, 2.0, n)).round(1).where(included)
    people["device"] = np.where(included, device, "")
    return people


def persons(people: pd.DataFrame) -> tuple[Person, ...]:
    """The included patients in order of their ids; `number` is the row, part of every frame's
    seed.
    """
    fields = [f for f in Person.__dataclass_fields__ if f != "number"]
    return tuple(
        Person(
            number=int(i),
            **{f: row[f].item() if hasattr(row[f], "item") else row[f] for f in fields},
        )
        for i, row in people.iterrows()
        if not row["excluded"]
    )


def _invented(
    rng: np.random.Generator,
    ids: Sequence[str],
    women: int,
    years: np.ndarray,
    bmi: tuple[float, float],
    frames: np.ndarray | int,
) -> pd.DataFrame:
    """Patients without a printed table: heights by sex, body mass index normal with this mean
    and SD.
    """
    n = len(ids)
    sex = rng.permutation(np.array(["female"] * women + ["male"] * (n - women)))
    cm = np.round(np.where(sex == "male", 176.0, 163.0) + rng.normal(0, 6.5, n))
    kg = np.round(2 * np.clip(rng.normal(*bmi, n), 17.5, 38) * (cm / 100) ** 2) / 2
    return pd.DataFrame(
        {
            "patient_id": ids,
            "split": "",
            "frames": frames,
            "age_years": years,
            "sex": sex,
            "height_cm": cm,
            "weight_kg": kg,
            "excluded": "",
        }
    )


def fascia(seed: int, devices: tuple[str, str]) -> pd.DataFrame:
    """46 patients with low back pain (28 women, mean 58.5 years, 25 to 70) and 538 images, then
    six volunteers of 18 to 30 years (5 women) on a second device, one image each. Bonaldi 2025,
    Dataset collection.
    """
    rng = np.random.default_rng([seed, 1])
    years = match(rng, lambda r: np.append(r.beta(2.4, 1.0, 45), 0.0), 58.5, 10.0, 1, 25, 70)
    first = _invented(
        rng, [f"L{i + 1:02d}" for i in range(46)], 28, years, (27.0, 4.0), share_out(rng, 538, 46)
    )
    young = np.round(rng.uniform(18, 30, 6))
    second = _invented(rng, [f"V{i + 1:02d}" for i in range(6)], 5, young, (22.0, 2.0), 1)
    both = pd.concat([first, second], ignore_index=True)
    both = with_settings(rng, both, devices[0], depth_cm=4.0, deeper=0.0)
    both["depth_cm"] = both["depth_cm"].clip(3.5)  # the picture is cropped to 32 mm
    both.loc[both.index[46:], "device"] = devices[1]
    return both


def shamrock(seed: int, device: str) -> pd.DataFrame:
    """60 patients and 600 images, 36/12/12 patients: numbers of our own, the paper's text is
    not public.
    """
    rng = np.random.default_rng([seed, 1])
    years = np.round(rng.normal(66, 11, 60).clip(30, 90))
    all_ = _invented(
        rng, [f"S{i + 1:02d}" for i in range(60)], 33, years, (24.5, 3.6), share_out(rng, 600, 60)
    )
    all_["split"] = rng.permutation(np.repeat(["train", "val", "test"], [36, 12, 12]))
    return with_settings(rng, all_, device, depth_cm=10.8, deeper=0.25)
