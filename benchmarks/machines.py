"""What makes two processors of one kind give other numbers, and what it costs to prevent it.

    python benchmarks/machines.py

The same short training (Q-VUM, 64 px, 32 made-up images, one thread, as `make study` runs it) under
settings of the libraries below, each in a process of its own. Printed of each: a fingerprint of the
weights that came out, the training loss of its last epoch, and its processor time beside the first
setting's (median and range over epochs after the first). Two machines on which a setting has one
fingerprint learn alike to the last digit under it; here the settings stand for machines, as they
keep oneDNN, ATen and MKL from the instructions that an older processor lacks.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "AVX2"}
#: name → (whether bfloat16 is used where the processor has it, variables of the environment)
SETTINGS = {
    "as studies run": (True, {}),
    "… again": (True, {}),
    "… without AMX": (True, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}),
    "float32": (False, {}),
    "float32 without AMX": (False, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}),
    "float32 without AVX-512": (False, AVX2),
}
IMAGES, SIZE, EPOCHS = 32, 64, 4


def learned(bf16):
    """One training in this process: {fingerprint, loss, seconds: of each epoch after the first}."""
    import pandas as pd
    import torch

    from helpers import datasets, models, studies, training
    from helpers.models import inference

    torch.set_num_threads(1)
    if not bf16:
        inference.has_bf16 = lambda device: False
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (IMAGES, SIZE, SIZE), dtype=np.uint8)
    masks = (images > 200).astype(np.uint8)
    arrays = datasets.Arrays(images, masks, pd.DataFrame({"patient_id": [None] * IMAGES}))
    study = studies.load("phantom", "quick")
    spec = study.training("qvum", "main") | {"epochs": EPOCHS, "checkpoint": "last"}
    torch.manual_seed(0)
    network = models.build("qvum", spec["channels"], len(study.classes))
    every, none, weights = np.arange(IMAGES), np.arange(0), [c.weight for c in study.classes]
    seconds, clock = [], time.process_time

    def examined(*values, **more):
        seconds.append(clock())
        return whole(*values, **more)

    whole, training.loop._validate = training.loop._validate, examined  # called once an epoch
    with tempfile.TemporaryDirectory() as folder:
        history, _ = training.fit(network, arrays, every, none, spec, weights, 0, Path(folder))
    tensors = (tensor.numpy().tobytes() for tensor in network.state_dict().values())
    digest = hashlib.sha256(b"".join(tensors)).hexdigest()[:12]
    loss = history["train_loss"].iloc[-1]
    return {"fingerprint": digest, "loss": loss, "seconds": np.diff(seconds).tolist()}


def measured(name):
    """What a setting gives (dict of ``learned``), in a process of its own."""
    variables = os.environ | SETTINGS[name][1] | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--setting", name]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--setting", choices=SETTINGS, help="this one alone, as JSON")
    args = parser.parse_args()
    if args.setting:
        print(json.dumps(learned(SETTINGS[args.setting][0])))
        return
    from helpers import provenance

    print(provenance.processor())
    first = None
    for name in SETTINGS:
        own = measured(name)
        first = first or own
        ratios = np.array(own["seconds"]) / np.median(first["seconds"])
        spread = f"{np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})"
        said = f"weights {own['fingerprint']}, loss {own['loss']:.6f}"
        print(f"{name}: {said}, × {spread} of the processor time", flush=True)


if __name__ == "__main__":
    main()
