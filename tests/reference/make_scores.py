"""Writes scores.csv, the input of make_reference.R: four networks, 12 patients with 3 to 9 images
each.
"""

import numpy as np
import pandas as pd

rng = np.random.default_rng(2024)
owner = np.repeat(np.arange(12), rng.integers(3, 10, 12))
level = 0.7 + rng.normal(0, 0.06, 12)[owner] + rng.normal(0, 0.05, len(owner))
frames = []
for model, gain in {"a": 0.0, "b": -0.02, "c": -0.05, "d": 0.01}.items():
    value = level + gain + rng.normal(0, 0.03, 12)[owner] + rng.normal(0, 0.04, len(owner))
    patients, images = [f"p{p:02d}" for p in owner], [f"i{i:03d}" for i in range(len(owner))]
    frames.append(
        pd.DataFrame(
            {"model": model, "patient_id": patients, "image_id": images, "value": value.round(6)}
        )
    )
pd.concat(frames).to_csv("scores.csv", index=False)
