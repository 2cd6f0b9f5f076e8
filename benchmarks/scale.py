"""Does it grow? 100,000 images and 10,000 trainings, timed: python benchmarks/scale.py [IMAGES]."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
#: what the workflow names as input, as a clone holds it
ROOMS = ("helpers", "tools", "notebooks", "CORRECTNESS.md", "CITATION.cff", "requirements.lock")
sys.path.insert(0, str(ROOT))
from helpers import alike, cache, files, leakage, studies  # noqa: E402
from helpers.workflow import settings  # noqa: E402


def timed(name, function, *given):
    """Print what a call costs, and return (its value, seconds)."""
    begun = time.monotonic()
    value = function(*given)
    seconds = time.monotonic() - begun
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{name}: {seconds:.1f} s, at most {largest:.2f} GB so far", flush=True)
    return value, seconds


def manifest(root, count, seeds, data=None):
    """Write a study of ``count`` images below ``root``; files of them where there is a folder."""
    folder = root / "data_manifest" / "large"
    folder.mkdir(parents=True)
    content = yaml.safe_load((ROOT / "data_manifest/femoral/study.yml").read_text("utf-8"))
    content["split"] = {"policy": "given", "unit": "patient"}
    quick = content["protocols"]["quick"]
    quick |= {"image_size": 64, "seeds": list(range(seeds)), "models": [{"name": "qvum"}]}
    quick.pop("cross_validation", None)
    content["protocols"] = {"quick": quick}
    (folder / "study.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    rng, rows = np.random.default_rng(0), []
    for k in range(count):
        split = ("train", "val", "test")[k // 10 % 3]
        row = [f"i{k}", f"p{k // 10}", f"i{k}.png", f"m{k}.png", split, f"{k:064x}", f"{k:064x}"]
        if data:
            for name in row[2:4]:
                top = 256 if name[0] == "i" else 2
                Image.fromarray(rng.integers(0, top, (64, 64), dtype=np.uint8)).save(data / name)
            row[5:] = [files.sha256(data / name) for name in row[2:4]]
        rows.append(row)
    columns = ["image_id", "patient_id", "image", "mask", "split", "sha256_image", "sha256_mask"]
    table = pd.DataFrame(rows, columns=columns).assign(device="", pixel_spacing_mm="")
    files.write_csv(table, folder / "images.csv")


def study(root):
    """The study below ``root``, with everything that looks for one sent there."""
    studies.ROOT = root
    return studies.load("large")


def pairs(count):
    """Near-duplicates among random hashes."""
    bits = np.random.default_rng(0).integers(0, 2, (count, 256), dtype=np.uint8).astype(bool)
    return alike.pairs_within(bits, leakage.THRESHOLD)


def plan(root):
    """What would run, as `make plan` asks; prints its own memory."""
    asked = {"STUDY": "large", "DATA": str(root), "STUDY_ROOT": str(root), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--dry-run"]
    command += ["--profile", ROOT / "profiles/local", "--directory", root]
    subprocess.run(command, env=os.environ | asked, check=True, capture_output=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"  by itself: {used.ru_utime + used.ru_stime:.1f} s of a core,"
        f" {used.ru_maxrss / 1e6:.2f} GB"
    )


def main(count=100_000, checked=10_000, trainings=10_000):
    """Time every part that grows with images or trainings."""
    with tempfile.TemporaryDirectory() as temporary:
        one, two, three = (Path(temporary) / name for name in "abc")
        three.mkdir()
        manifest(three, 300, trainings, three)
        for room in ROOMS:
            (three / room).symlink_to(ROOT / room)
        timed(f"plan of {trainings:,} trainings", plan, three)
        manifest(one, count, 1)
        timed(f"manifest of {count:,} images read", studies.images, study(one))
        timed(f"near-duplicates among {count:,} hashes", pairs, count)
        data = two / "data"
        data.mkdir(parents=True)
        manifest(two, checked, 1, data)
        large = study(two)
        _, first = timed(f"{checked:,} images checked", cache.build, large, data)
        _, again = timed("unchanged, looked at again", settings.folder_state, large, data)
        print(f"  {again / first:.1%} of the first check")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
