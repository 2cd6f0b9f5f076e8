"""How fast is the phantom drawn? `python benchmarks/phantom.py [images]`

Draws that many images (default 200) of the quadratus phantom with reference, three raters, DICOM
and NIfTI bytes: in this process stage by stage, then with a process a core as `python -m
tools.phantom` does, writing to a temporary folder. The bound: 1000 images of 224 × 224 in a minute
on two cores.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pandas as pd

from helpers.studies import ROOT
from tools.phantom import acoustics, make, raters, recipes

STAGES = {
    "sound field": (acoustics, "_envelope"),
    "picture": (recipes, "b_mode"),
    "masks": (recipes, "annotate"),
}


def stages(images: list) -> pd.Series:
    """Milliseconds of processor an image of each part, in one process."""
    spent = dict.fromkeys(STAGES, 0.0)
    for name, (module, attribute) in STAGES.items():
        plain = getattr(module, attribute)

        def timed(*arguments, name=name, plain=plain):
            start = time.process_time()
            result = plain(*arguments)
            spent[name] += time.process_time() - start
            return result

        setattr(module, attribute, timed)
    make.contents("phantom", *images[0][:3])
    spent.update(dict.fromkeys(STAGES, 0.0))
    start = time.process_time()
    for image in images:
        make.contents("phantom", *image[:3])
    total = time.process_time() - start
    rest = total - spent["picture"] - spent["masks"]
    table = {
        "sound field (scatterers, point-spread function, loss)": spent["sound field"],
        "log compression and sector": spent["picture"] - spent["sound field"],
        "reference and three raters, drawn": spent["masks"],
        "anatomy, DICOM and NIfTI": rest,
        "together": total,
    }
    return pd.Series(table) / len(images) * 1000


def pool(how_many: int) -> tuple[float, float]:
    """(wall, processor) seconds to draw and write that many images with a process a core."""
    manifest = ROOT / "data_manifest" / "phantom"
    with tempfile.TemporaryDirectory() as folder:
        few = Path(folder) / "phantom"
        few.mkdir()
        images = pd.read_csv(manifest / "images.csv", dtype=str).iloc[:how_many]
        images.to_csv(few / "images.csv", index=False)
        notes = pd.read_csv(manifest / "annotations.csv", dtype=str)
        notes[notes["image_id"].isin(images["image_id"])].to_csv(
            few / "annotations.csv", index=False
        )
        before, start = os.times(), time.perf_counter()
        make.make("phantom", Path(folder) / "data", few)
        wall, after = time.perf_counter() - start, os.times()
    spent = [
        getattr(after, f) - getattr(before, f)
        for f in ("user", "system", "children_user", "children_system")
    ]
    return wall, sum(spent)


if __name__ == "__main__":
    how_many = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    wall, busy = pool(how_many)
    listed = recipes.images("phantom")
    chosen = [listed[i] for i in np.linspace(0, len(listed) - 1, min(how_many, 40)).astype(int)]
    print(stages(chosen).map("{:.1f} ms an image".format).to_string())
    print(
        f"{how_many} images on {make.cores()} cores in {wall:.1f} s with {len(raters.RATERS)}"
        f" raters and all files; {busy / how_many * 1000:.0f} ms of processor an image: 1000 images"
        f" in {busy / how_many * 1000 / 2:.0f} s of two free cores"
    )
