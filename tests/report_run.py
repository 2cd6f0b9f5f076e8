"""A finished run of a study, fabricated in a second: cohort of the manifest, drawn ellipses,
shifted predictions.
"""

import base64
import json
import os
import shutil

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers import datasets, figures, files, metrics, plan, provenance, runs, studies
from tools.book.build import build

SIDE = 48


def root_of(base, name):
    """A STUDY_ROOT with the manifest of a study; its protocol 'quick' is cut to 48 px, 8 patients a
    split.
    """
    shutil.copytree(provenance.REPOSITORY / "data_manifest" / name, base / "data_manifest" / name)
    path = base / "data_manifest" / name / "study.yml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    quick = content["protocols"]["quick"] | {"image_size": SIDE}
    quick.pop("cross_validation", None)
    if (path.parent / "patients.csv").is_file():
        quick |= {"images_per_patient": 2, "max_patients": 8}
    quick["models"] = quick["models"][:2]
    content["protocols"] = {"quick": quick}
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return base


def fabricate(base, name, monkeypatch):
    """Cache, trainings, per_image.csv of a study below ``base``; returns the Study."""
    monkeypatch.setattr(studies, "ROOT", root_of(base, name))
    study = studies.load(name, "quick")
    index = studies.images(study).assign(height_px=SIDE, width_px=SIDE, pixel_mm=np.nan, cv_fold=-1)
    if name != "phantom":
        index = index.iloc[np.r_[0:5, -70:0]].reset_index(drop=True)
    rng, (rows, columns) = np.random.default_rng(5), np.mgrid[:SIDE, :SIDE]
    masks = np.zeros((len(index), SIDE, SIDE), np.uint8)
    for mask in masks:
        for c in study.foreground:
            y, x, a, b = *rng.integers(8, SIDE - 8, 2), *rng.integers(4, 9, 2)
            mask[((rows - y) / a) ** 2 + ((columns - x) / b) ** 2 < 1] = c.index
    images = (40 * masks + rng.integers(0, 90, masks.shape)).astype(np.uint8)
    cache = study.run / "cache"
    cache.mkdir(parents=True)
    np.save(cache / "images.npy", images)
    np.save(cache / "masks.npy", masks)
    files.write_csv(index, cache / "index.csv")
    known = {p.name: files.sha256(p) for p in sorted(cache.iterdir())}
    check = {"images": len(index), "passed": True, "data": f"runs/{name}/data", "sha256": known}
    files.write_json(check, cache / "check.json")
    arrays = datasets.Arrays(images, masks, index)
    tables = [_training(study, arrays, *training, rng) for training in study.trainings()]
    files.write_csv(pd.concat(tables), study.run / "results" / "per_image.csv")
    return study


def _training(study, arrays, model, fold, seed, rng):
    folder = runs.folder(study, model, fold, seed)
    folder.mkdir(parents=True)
    shifts = rng.integers(0, 3, (len(arrays.masks), 2))
    predictions = np.stack(
        [np.roll(m, s, (0, 1)) for m, s in zip(arrays.masks, shifts, strict=True)]
    )
    np.save(folder / "predictions.npy", predictions)
    files.write_csv(arrays.index[["image_id"]], folder / "predictions.csv")
    tables = []
    for image, mask, prediction in zip(
        arrays.index.itertuples(), arrays.masks, predictions, strict=True
    ):
        first = {
            "study": study.name,
            "model": model,
            "fold": fold,
            "seed": seed,
            "split": image.split,
            "patient_id": image.patient_id,
            "image_id": image.image_id,
        }
        tables.append(pd.DataFrame({**first, **metrics.rows(prediction, mask, study.classes)}))
    counts = pd.concat(tables, ignore_index=True)
    files.write_csv(counts, folder / "counts.csv")
    history = {
        "epoch": [1, 2],
        "lr": [1e-3, 1e-4],
        "train_loss": [0.5, 0.4],
        "val_loss": [0.6, 0.5],
        "seconds": [1, 1],
    }
    files.write_csv(pd.DataFrame(history), folder / "history.csv")
    (folder / "weights.safetensors").write_bytes(bytes(range(200)))
    record = provenance.record(
        study,
        model=model,
        fold=fold,
        seed=seed,
        training=study.training(model, fold),
        normalisation={"kind": "none", "mean": [0.0] * 3, "std": [1.0] * 3},
    )
    files.write_json(record, folder / "weights.json")
    notebook(study, folder / "03_train.ipynb", "How a network learns", f"learning_{model}")
    return counts


#: pages of a fabricated book: notebook, title, name of its figure
FRONT = ("00_summary", "What the study found", "front")
COHORT = ("01_cohort", "1 · Who was studied", "cohort")


def built(base, monkeypatch, *pages):
    """A fabricated phantom study below ``base`` whose book of these pages is made."""
    study = fabricate(base, "phantom", monkeypatch)
    for name, title, figure in pages:
        notebook(study, study.run / "notebooks" / f"{name}.ipynb", title, figure)
    plan.seal(study)  # its page shows a long hash
    build(study)
    return study


def notebook(study, path, title, figure):
    """An executed notebook with a figure, a table, a message and its record."""
    figures.use_style()
    fig, axes = plt.subplots(figsize=(3, 2))
    axes.plot(np.random.default_rng(len(figure)).normal(size=9))
    axes.set_title(f"The figure {figure}")
    figures.save(fig, study, figure)
    table = figures.save_table(
        pd.DataFrame({"class_name": ["QLM"], "Dice": [1 / 3]}), study, f"t_{figure}", note="n"
    )
    png = base64.b64encode((study.run / "figures" / f"{figure}.png").read_bytes()).decode()
    outputs = [
        new_output(
            "display_data",
            {"image/png": png, "text/plain": "<Figure>"},
            metadata={"study": {"figure": figure}},
        ),
        new_output(
            "display_data",
            {"text/html": "<script>alert(1)</script>" + table.to_html(), "text/plain": "table"},
        ),
        new_output("stream", name="stdout", text="epoch 1/1\n"),
        new_output("stream", name="stderr", text="done\n"),
        new_output("display_data", {"text/markdown": "## Dice **0.33** of <b>what</b>"}),
        new_output("display_data", {"application/javascript": "alert(2)"}),
    ]
    cells = [
        new_markdown_cell(f"# {title}\n\nA question.\n\n## A section", id="a"),
        new_code_cell('study = "phantom"', metadata={"tags": ["parameters"]}, id="b"),
        new_code_cell("figures.save(fig, s, name)", outputs=outputs, execution_count=1, id="c"),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells), path)
    made = [
        path,
        study.run / f"figures/{figure}.svg",
        study.run / f"figures/{figure}.png",
        study.run / f"tables/t_{figure}.csv",
    ]
    record = {
        "notebook": path.name,
        "parameters": {"study": study.name, "protocol": "quick"},
        "started": "2026-01-01 00:00:00 UTC",
        "finished": "2026-01-01 00:00:05 UTC",
        "code": "abc",
        "files": [os.path.relpath(p, studies.ROOT) for p in made],
    }
    path.with_suffix(".json").write_text(json.dumps(record), encoding="utf-8")


def execute(study, page):
    """Run the code of one of the study's notebooks here, without a kernel; returns its names."""
    path = provenance.REPOSITORY / "notebooks" / f"{page}.ipynb"
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    names = {}
    for cell in cells:
        exec(compile(cell.source, f"{page}.ipynb", "exec"), names)
        if "parameters" in cell.metadata.get("tags", []):
            names |= {"study": study.name, "protocol": study.protocol}
    return names
