"""How one network learns on one fold: a loop that reads from top to bottom and can be killed at any
time.

The images stay on the device as uint8. Every random draw of an epoch comes from (seed, epoch)
alone, so that a resumed training takes the same steps as one that was never interrupted.
"""

import hashlib
import math
import os
import shutil
import time

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file

from helpers import datasets, files, metrics, models, provenance
from helpers.errors import StudyError
from helpers.models import inference
from helpers.training import augment, checkpoint, losses, schedule


def _batches(count, batch, clip, generator):
    """Shuffled positions in batches (list of int64 tensors); whole clips stay in order; the short
    last one is left out where there is a full one, as in the public code (a single sample would
    break batch normalisation).
    """
    starts = torch.randperm(math.ceil(count / clip), generator=generator) * clip
    order = (starts[:, None] + torch.arange(clip)).flatten().clamp(max=count - 1)
    parts = order.split(max(1, batch // clip) * clip)
    return parts[:-1] if len(parts) > 1 and len(parts[-1]) < len(parts[0]) else parts


def fit(
    network,
    arrays,
    train,
    val,
    spec,
    class_weights,
    seed,
    folder,
    label="",
    checkpoint_seconds=60.0,
):
    """Train and return (history DataFrame, normalisation dict); the network holds the kept weights
    afterwards.

    arrays: datasets.Arrays; train, val: positions (int arrays); spec: a resolved training;
    class_weights: list of float; folder: where the state of an unfinished training lies. history:
    epoch, lr, train_loss, train_accuracy, val_loss, val_accuracy, seconds; accuracy is the share of
    pixels given the right class, of the training images as augmented and while the network still
    changes, as Keras prints it (Bonaldi 2025, Fig. 3). The weights of the lowest validation loss
    are kept (``checkpoint: last`` keeps the last epoch's).
    """
    device = next(network.parameters()).device
    bf16, clip, epochs = inference.has_bf16(device), models.clip_length(network), spec["epochs"]
    norm = inference.normalisation(spec, arrays.images[train])
    train, val = (
        inference.clips(p, arrays.index["patient_id"].iloc[p], clip) for p in (train, val)
    )
    images, masks = (
        torch.from_numpy(np.array(a)).to(device) for a in (arrays.images, arrays.masks)
    )
    outside, ignored = None, losses.resolve(spec["loss"])["ignore_index"]
    if arrays.padded:
        every = np.arange(len(arrays.index))
        outside = torch.from_numpy(~arrays.inside(every)).to(device)
    criterion = losses.build(spec["loss"], class_weights if spec["class_weights"] else None)
    optimiser = schedule.optimiser(spec["optimiser"], network)
    key = _key(network, arrays, train, val, spec, class_weights, seed)
    folder.mkdir(parents=True, exist_ok=True)
    state = checkpoint.load_state(folder, network, optimiser, key, device)
    if state:
        print(f"{label}: going on after epoch {state['epoch']} of {epochs}", flush=True)
    state = state or {"key": key, "epoch": 0, "best": math.inf, "history": []}
    saved, began, first = time.monotonic(), time.monotonic(), state["epoch"]

    best = None  # weights of the lowest validation loss, where this run has met them
    right = []  # accuracy of each output of the latest step; the last output is the network's own

    def watched(logits, y):
        hits = logits.detach().argmax(1) == y
        right.append((hits if outside is None else hits[y != ignored]).float().mean())
        return criterion(logits, y)

    def step_on(positions, draw=None):
        """Loss and accuracy of a batch, as tensors: a number would wait for the device."""
        x, y = images[positions][:, None], masks[positions].long()
        if outside is not None:
            y = y.masked_fill(outside[positions], ignored)
        if draw is not None and spec["augmentation"]:
            x, y = augment.augment(x.float() / 255, y, spec["augmentation"], draw)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            loss = models.training_loss(network, inference.prepare(x, norm), y, watched)
        accuracy = right[-1]
        right.clear()
        return loss, accuracy

    for epoch in range(state["epoch"], epochs):
        draw = torch.Generator().manual_seed(seed * 100_003 + epoch)
        torch.manual_seed(seed * 100_003 + epoch)  # dropout
        models.freeze_encoder(network, epoch < spec["freeze_epochs"])
        network.train()
        started, seen = time.monotonic(), []
        parts = _batches(len(train), spec["batch"], clip, draw)
        for step, part in enumerate(parts):
            rate = schedule.learning_rate(
                spec["schedule"], spec["optimiser"]["lr"], epoch + step / len(parts), epochs
            )
            schedule.set_rate(optimiser, rate)
            optimiser.zero_grad(set_to_none=True)
            loss, accuracy = step_on(torch.from_numpy(train[part.numpy()]).to(device), draw)
            loss.backward()
            optimiser.step()
            seen.append(torch.stack([loss.detach(), accuracy]))
        train_loss, train_accuracy = torch.stack(seen).double().mean(0).tolist()
        if not math.isfinite(train_loss):
            raise StudyError(
                f"{label}: the loss is not finite in epoch {epoch + 1}; lower optimiser.lr in"
                " study.yml"
            )
        val_loss, val_accuracy = (
            _validate(network, step_on, val, spec["batch"], clip) if len(val) else (math.nan,) * 2
        )
        seconds = time.monotonic() - started
        state["history"].append(
            {
                "epoch": epoch + 1,
                "lr": rate,
                "train_loss": train_loss,
                "train_accuracy": train_accuracy,
                "val_loss": val_loss,
                "val_accuracy": val_accuracy,
                "seconds": seconds,
            }
        )
        state["epoch"] = epoch + 1
        if spec["checkpoint"] == "best" and val_loss < state["best"]:  # never one that is no number
            state["best"] = val_loss
            best = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        left = (time.monotonic() - began) / (epoch + 1 - first) * (epochs - epoch - 1)
        print(
            f"{label}: epoch {epoch + 1}/{epochs}, loss {train_loss:.4f}, validation"
            f" {val_loss:.4f}, {seconds:.1f} s, {left / 60:.1f} min left",
            flush=True,
        )
        if time.monotonic() - saved >= checkpoint_seconds and epoch + 1 < epochs:
            if best:
                checkpoint.save_tensors(best, folder / "best.safetensors")
            checkpoint.save_state(folder, network, optimiser, state)
            saved = time.monotonic()
    if spec["checkpoint"] == "best":
        if not math.isfinite(state["best"]):
            raise StudyError(
                f"{label}: the validation loss was not a number in any epoch; lower optimiser.lr in"
                " study.yml, and look at the validation images"
            )
        kept = best or load_file(folder / "best.safetensors", device=str(device))
        network.load_state_dict(kept)
    if not all(bool(t.isfinite().all()) for t in network.state_dict().values()):
        raise StudyError(
            f"{label}: the kept weights are not finite; lower optimiser.lr in study.yml"
        )
    return pd.DataFrame(state["history"]), norm


def _key(network, arrays, train, val, spec, class_weights, seed):
    """Digest of everything a training depends on: settings, weights it starts from, the pixels and
    outlines it learns and chooses from, and the code. A state of another key is not gone on from.
    """
    shown = hashlib.sha256()
    for positions in (train, val):
        for array in (arrays.images, arrays.masks):
            shown.update(f"{len(positions)}".encode() + np.asarray(array)[positions].tobytes())
    start = hashlib.sha256()
    for tensor in network.state_dict().values():
        start.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    code = [files.sha256(provenance.REPOSITORY / f) for f in provenance.sources(__file__)]
    return provenance.digest(
        [spec, class_weights, seed, shown.hexdigest(), start.hexdigest(), code]
    )


def _kept(history, spec):
    """The epoch (1-based) whose weights were kept."""
    row = history["val_loss"].idxmin() if spec["checkpoint"] == "best" else history.index[-1]
    return int(history.loc[row, "epoch"])


def _validate(network, step_on, val, batch, clip):
    """Mean loss and accuracy (floats) of the validation images, not augmented, weighted by the size
    of each batch.
    """
    network.eval()
    size = max(1, batch // clip) * clip
    with torch.no_grad():
        parts = [val[i : i + size] for i in range(0, len(val), size)]
        found = torch.stack([torch.stack(step_on(torch.from_numpy(p))) * len(p) for p in parts])
    return (found.double().sum(0) / len(val)).tolist()


def run(study, spec, fold, seed, out, arrays=None, device=None, checkpoint_seconds=60.0):
    """Train one network on one fold and write everything about it to ``out``; returns its counts
    (DataFrame).

    spec: ``study.training(name, fold)``; fold: 'main' or 'cv1', 'cv2', …. Writes
    weights.safetensors, weights.json, history.csv, predictions.npy (uint8, the rows of
    predictions.csv) and counts.csv, which has the rows of per_image.csv: every image in fold
    'main', the test images in the others.
    """
    arrays = arrays or datasets.load(study)
    device = torch.device(device) if device else inference.best_device()
    train, val, test = (arrays.rows(fold, split) for split in ("train", "val", "test"))
    if (
        spec["checkpoint"] == "last" and fold != "main"
    ):  # nobody looks at the validation images: learn from them
        train, val = np.sort(np.concatenate([train, val])), val[:0]
    for split, positions in (("train", train), ("test", test)):
        if not len(positions):
            raise StudyError(
                f"{study.name}, fold {fold}: no image in {split}; see the split column of"
                " images.csv"
            )
    torch.manual_seed(seed)
    network = models.build(
        spec["name"],
        spec["channels"],
        len(study.classes),
        encoder_weights=spec["encoder_weights"],
        **spec["options"],
    ).to(device, memory_format=torch.channels_last)
    label = f"{spec['name']} {fold} seed {seed}"
    weights = [c.weight for c in study.classes]
    started = provenance.now()
    history, norm = fit(
        network,
        arrays,
        train,
        val,
        spec,
        weights,
        seed,
        out / "unfinished",
        label,
        checkpoint_seconds,
    )
    kept = np.arange(len(arrays.index)) if fold == "main" else test
    order = inference.clips(
        kept, arrays.index["patient_id"].iloc[kept], models.clip_length(network)
    )
    predictions = inference.predict(
        network,
        torch.from_numpy(np.array(arrays.images[order])),
        norm,
        2 * spec["batch"],
        inference.has_bf16(device),
    )
    predictions = predictions[
        np.unique(order, return_index=True)[1]
    ]  # without the repeats, in the order of ``kept``
    if arrays.padded:
        predictions[~arrays.inside(kept)] = 0  # nothing is drawn beside the image
    counts = count(study, arrays, kept, predictions, spec["name"], fold, seed)
    record = provenance.record(
        study,
        model=spec["name"],
        fold=fold,
        seed=seed,
        training=spec,
        classes=[c.name for c in study.classes],
        class_weights=weights if spec["class_weights"] else None,
        titles=[c.title for c in study.classes],
        colours=[c.colour for c in study.classes],
        normalisation=norm,
        encoder=models.provenance(network),
        parameters=sum(p.numel() for p in network.parameters()),
        images={"train": len(train), "val": len(val), "test": len(test)},
        device=str(device),
        bf16=inference.has_bf16(device),
        threads=torch.get_num_threads(),
        started=started,
        finished=provenance.now(),
        kept_epoch=_kept(history, spec),
    )
    out.mkdir(parents=True, exist_ok=True)
    np.save(out / "predictions.part.npy", predictions)
    os.replace(out / "predictions.part.npy", out / "predictions.npy")
    files.write_csv(history, out / "history.csv")
    checkpoint.save_weights(network, out / "weights.safetensors", record)
    files.write_csv(counts, out / "counts.csv")
    for name in (
        "weights.safetensors",
        "weights.json",
        "predictions.npy",
        "counts.csv",
        "history.csv",
    ):
        provenance.made((out / name).resolve())
    shutil.rmtree(out / "unfinished")
    return counts


def count(study, arrays, positions, predictions, model, fold, seed):
    """The per-image rows of predictions (uint8 (N, H, W), one for each position): the columns of
    per_image.csv.
    """
    tables = []
    sides = datasets.spacing(arrays.index)
    for position, prediction in zip(positions, predictions, strict=True):
        image = arrays.index.iloc[position]
        part, reference = arrays.frame(position), arrays.masks[position]
        table = metrics.rows(prediction[part], reference[part], study.classes, sides[position])
        split = image["split"] if fold == "main" else "test"
        first = {
            "study": study.name,
            "model": model,
            "fold": fold,
            "seed": seed,
            "split": split,
            "patient_id": image["patient_id"],
            "image_id": image["image_id"],
        }
        tables.append(pd.DataFrame({**first, **table}))
    return pd.concat(tables, ignore_index=True)
