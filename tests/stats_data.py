"""Results of a known kind: consistent pixel counts of several networks on images of patients,
without any network.
"""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from helpers import metrics

MODELS = {
    "qvum": 0.0,
    "unet": 0.35,
    "unetpp": 0.25,
    "bpsegsys_r": 0.1,
    "vistr": 0.05,
}  # added error, logit scale
SHARES = {"EIT": 0.03, "QLM": 0.05, "bone": 0.11}  # of the image


def per_image(
    patients=22,
    mean_images=29,
    models=MODELS,
    shares=SHARES,
    seed=0,
    size=64,
    known=True,
    effect=0.15,
    empty=0.0,
) -> pd.DataFrame:
    """A per_image.csv as a frame: fold main, seed 0, split test; `effect`: SD of patient by
    network, logit scale; `empty`: share of images from which a structure is absent; `known`:
    patient ids are given.
    """
    rng = np.random.default_rng(seed)
    owner = np.repeat(
        np.arange(patients), rng.integers(max(mean_images - 6, 1), mean_images + 7, patients)
    )
    n, k = len(owner), len(shares)
    area = (
        size**2 * np.array(list(shares.values())) * np.exp(rng.normal(0, 0.3, (patients, k)))[owner]
    )
    area = (area * np.exp(rng.normal(0, 0.2, (n, k)))).astype(int)
    if empty:
        area[rng.random((n, k)) < empty] = 0
    level = -1.6 + rng.normal(0, 0.3, patients)[owner][:, None] + rng.normal(0, 0.3, (n, 1))
    parts = []
    for model, worse in models.items():
        own = worse + rng.normal(0, effect, (patients, k))[owner] + rng.normal(0, 0.3, (n, k))
        rate = 1 / (1 + np.exp(-(level + own)))
        fn = rng.binomial(area, rate)
        fp = np.minimum(rng.poisson(area * rate), size**2 // 10)
        counts = np.zeros((n, k + 1, 4), int)
        counts[:, 1:, 0], counts[:, 1:, 1], counts[:, 1:, 2] = area - fn, fp, fn
        counts[:, 0, 0] = size**2 - area.sum(1) - fp.sum(1)
        counts[:, 0, 1], counts[:, 0, 2] = fn.sum(1), fp.sum(1)
        counts[..., 3] = size**2 - counts[..., :3].sum(-1)
        frame = pd.DataFrame(counts.reshape(-1, 4), columns=["tp", "fp", "fn", "tn"])
        frame["class"] = ["background", *shares] * n
        frame["image_id"] = np.repeat([f"i{i:04d}" for i in range(n)], k + 1)
        frame["patient_id"] = np.repeat([f"p{p:02d}" if known else "" for p in owner], k + 1)
        parts.append(frame.assign(model=model))
    out = pd.concat(parts, ignore_index=True).assign(
        study="simulated", fold="main", seed=0, split="test"
    )
    for column in ["hd95_px", "assd_px", "hd95_mm", "assd_mm"]:
        out[column] = np.nan
    return out[
        [
            "study",
            "model",
            "fold",
            "seed",
            "split",
            "patient_id",
            "image_id",
            "class",
            "tp",
            "fp",
            "fn",
            "tn",
            "hd95_px",
            "assd_px",
            "hd95_mm",
            "assd_mm",
        ]
    ]


def drawn_at_random(
    seed, patients=6, images=3, structures=2, models=("a", "b"), absent=0.3, alike=0.0, side=4
) -> pd.DataFrame:
    """Counts of small random masks: odd, incomplete and degenerate results, but possible ones.

    images: of each patient, 1 to so many; absent: how often a structure is in neither image nor
    outline, in one, or in all of a study; alike: share of patients whose images are all copies of
    the first patient's.
    """
    rng = np.random.default_rng(seed)
    named = ["background", *"xyz"[:structures]]
    classes = [SimpleNamespace(name=n, index=k) for k, n in enumerate(named)]
    never = rng.random(structures) < absent / 3
    kept, rows = {}, []
    for p in range(patients):
        copied = p > 0 and rng.random() < alike
        for i in range(1 if copied else rng.integers(1, images + 1)):
            there = np.append(True, (rng.random(structures) > absent) & ~never)
            reference = rng.choice(structures + 1, (side, side), p=there / there.sum())
            for model in models:
                right = rng.random((side, side)) < rng.random()
                other = rng.integers(0, structures + 1, (side, side))
                made = metrics.rows(np.where(right, reference, other), reference, classes)
                table = kept[model] if copied else made
                kept.setdefault(model, made)
                ids = {"model": model, "patient_id": f"p{p}", "image_id": f"p{p}i{i}"}
                rows.append(table.assign(**ids))
    out = pd.concat(rows, ignore_index=True)
    return out.assign(study="random", fold="main", seed=0, split="test")
