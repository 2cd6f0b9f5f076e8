#!/bin/sh
# Everything of the study that asks for a GPU, in one call:
#
#     DATA=../femoral OUT=gpu MINUTES=9 sh benchmarks/gpu.sh
#
# 1. Table 4: parameters, multiply-adds, speed with percentiles, of all networks   → OUT/speed.txt, speed.json
# 2. how fast a network learns, beside the usual loops, and its share of the roof  → OUT/training.txt
# 3. the trainings of PROTOCOLS, one after the other, until MINUTES are over       → OUT/reports/<study>/results
#
# Drawn studies are drawn here; to send along are the femoral images (18 MB) and the encoder's weights (ENCODER_WEIGHTS;
# 59 MB, or 29 MB in half precision, which fits 64 MiB together). Needs no network. A part whose library is missing from
# the Python named (PYTHON) says so and is left out. Run again with the same OUT it goes on.
# On a processor everything is tried in a minute or two by: TINY=1 sh benchmarks/gpu.sh
set -eu
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3} OUT=$(realpath -m "${OUT:-gpu}") MINUTES=${MINUTES:-9} DATA=$(realpath -m "${DATA:-../femoral}")
if [ "${TINY:-}" ]; then
    PROTOCOLS=${PROTOCOLS:-"phantom:quick,size=16,epochs=1,models=qvum"}
    SPEED="--models femoral_unet --size 32 --seconds 0.1 --batches 1"
    TRAINING="--model femoral_unet --size 32 --images 16 --rounds 1"
else
    PROTOCOLS=${PROTOCOLS:-"femoral:paper femoral:best phantom:paper"}
    SPEED="--size 224 --batches 1 8 32 --precision float32 bfloat16 --seconds 1"
    TRAINING="--size 224 --batch 32 --images 512 --workers 8"
fi
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" STUDY_ROOT="$OUT" PYTHON PROTOCOLS MINUTES DATA TINY="${TINY:-}"
mkdir -p "$OUT"
[ -e "$OUT/data_manifest" ] || ln -s "$PWD/data_manifest" "$OUT/data_manifest"

part() { # name, command…: its output to OUT/name.txt; a part that fails is said and does not end the others
    name=$1
    shift
    "$@" > "$OUT/$name.txt" 2>&1 && tail -n 30 "$OUT/$name.txt" || { echo "$name failed:"; tail -n 3 "$OUT/$name.txt"; }
}

# shellcheck disable=SC2086  # options are words
part speed "$PYTHON" benchmarks/speed.py $SPEED --out "$OUT/speed.json"
# shellcheck disable=SC2086
part training "$PYTHON" benchmarks/training.py $TRAINING
part trainings "$PYTHON" - << 'END'
import os, subprocess, sys, time
from pathlib import Path

from helpers import datasets, runs, studies, training
from helpers.workflow import keep

until = time.monotonic() + 60 * float(os.environ["MINUTES"])
for asked in os.environ["PROTOCOLS"].split():
    name, protocol = asked.split(":")
    study = studies.load(name, protocol)
    data = Path(os.environ["DATA"])
    who = ["--study", name, "--protocol", protocol]
    if study.generator:
        data = study.run / "data"
        few = ["--images-per-patient", "1"] if os.environ["TINY"] else []
        if not data.is_dir():
            draw = [sys.executable, "-m", "tools.phantom", "--study", name, "--out", str(data), *few]
            subprocess.run(draw, check=True)
        if few:
            study.spec["images_per_patient"] = 1
    datasets.build(study, data)
    for model, fold, seed in study.trainings():
        out = runs.folder(study, model, fold, seed)
        about = keep.record(out)
        if about and not keep.differs(about, study):
            continue
        if time.monotonic() > until:
            sys.exit(f"time is over before {asked} {model} {fold} {seed}; run again with the same OUT")
        training.run(study, study.training(model, fold), fold, seed, out)
        keep.keep(study)
        print(f"{asked}: {model} {fold} {seed} is kept", flush=True)
END
