"""How one network learns: a loop that reads from top to bottom and can be killed at any time.

The images stay on the device as uint8. Every random draw of an epoch comes from (seed, epoch)
alone, so that a resumed training takes the same steps as one that was never interrupted.
"""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from torch import nn

from helpers import models
from helpers.errors import StudyError
from helpers.models import inference
from helpers.training import augment, checkpoint, losses, schedule

#: what is noted of every epoch (counted from 1)
HISTORY = ("epoch", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds")


def fit(
    network: nn.Module,
    arrays: Any,
    train: np.ndarray,
    val: np.ndarray,
    spec: dict,
    class_weights: list[float],
    seed: int,
    folder: Path,
    label: str = "",
    checkpoint_seconds: float = 60.0,
) -> tuple[pd.DataFrame, dict]:
    """Train; (history, normalisation). The network holds the kept weights afterwards.

    arrays: datasets.Arrays; train, val: positions in it; spec: of ``study.training``; folder: for
    the state of an unfinished training. history: as ``HISTORY``; accuracy is the share of pixels
    given the right class, of the training images as augmented and while the network still changes,
    as Keras prints it (Bonaldi 2025, Fig. 3). The weights of the lowest validation loss are kept
    (``checkpoint: last`` keeps the last epoch's).
    """
    device, clip = next(network.parameters()).device, models.clip_length(network)
    epochs, batch = spec["epochs"], max(1, spec["batch"] // clip) * clip  # whole clips
    network.to(memory_format=inference.learning_layout(device))
    norm = inference.normalisation(spec, arrays.shown(train))
    patients = arrays.index["patient_id"]
    train, val = (inference.clips(p, patients.iloc[p], clip) for p in (train, val))
    examine = _examiner(device, arrays, norm, spec, class_weights)
    optimiser = schedule.optimiser(spec["optimiser"], network)
    average = schedule.average(network, spec["ema"])
    judged = network if average is None else average.module  # what is validated and kept
    key = checkpoint.key(network, arrays, train, val, spec, class_weights, seed)
    folder.mkdir(parents=True, exist_ok=True)
    state = checkpoint.load_state(folder, network, optimiser, key, device, average)
    if state:
        print(f"{label}: going on after epoch {state['epoch']} of {epochs}", flush=True)
    state = state or {"key": key, "epoch": 0, "best": math.inf, "history": []}
    first, best = state["epoch"], None  # best: weights, where this run has met them
    began = saved = time.monotonic()

    for epoch in range(first, epochs):
        started = time.monotonic()
        draw = torch.Generator().manual_seed(seed * 100_003 + epoch)
        torch.manual_seed(seed * 100_003 + epoch)  # dropout
        models.freeze_encoder(network, epoch < spec["freeze_epochs"])
        network.train()
        seen, parts = [], _batches(len(train), batch, clip, draw)
        for step, part in enumerate(parts):
            now = epoch + step / len(parts)
            rate = schedule.learning_rate(spec["schedule"], spec["optimiser"]["lr"], now, epochs)
            schedule.set_rate(optimiser, rate)
            optimiser.zero_grad(set_to_none=True)
            loss, accuracy = examine(network, train[part.numpy()], draw)
            loss.backward()
            optimiser.step()
            if average is not None:
                average.update_parameters(network)
            seen.append(torch.stack([loss.detach(), accuracy]))
        train_loss, train_accuracy = torch.stack(seen).double().mean(0).tolist()
        if not math.isfinite(train_loss):
            raise _diverged(label, f"the loss is not finite in epoch {epoch + 1}")
        val_loss, val_accuracy = _validate(judged, examine, val, batch)
        seconds = time.monotonic() - started
        noted = (epoch + 1, rate, train_loss, train_accuracy, val_loss, val_accuracy, seconds)
        state["history"].append(dict(zip(HISTORY, noted, strict=True)))
        state["epoch"] = epoch + 1
        if spec["checkpoint"] == "best" and val_loss < state["best"]:  # never one that is no number
            state["best"] = val_loss
            best = {name: tensor.clone() for name, tensor in judged.state_dict().items()}
        left = (time.monotonic() - began) / (epoch + 1 - first) * (epochs - epoch - 1)
        print(
            f"{label}: epoch {epoch + 1}/{epochs}, loss {train_loss:.4f}, validation"
            f" {val_loss:.4f}, {seconds:.1f} s, {left / 60:.1f} min left",
            flush=True,
        )
        if time.monotonic() - saved >= checkpoint_seconds and epoch + 1 < epochs:
            checkpoint.save_state(folder, network, optimiser, state, best, average)
            saved = time.monotonic()

    if spec["checkpoint"] == "best":
        if not math.isfinite(state["best"]):
            raise _diverged(label, "the validation loss was not a number in any epoch")
        if best is None:  # the weights were met before the training was interrupted
            best = load_file(folder / state["files"]["best"][0], device=str(device))
        network.load_state_dict(best)
    elif average is not None:
        network.load_state_dict(judged.state_dict())
    if not all(bool(t.isfinite().all()) for t in network.state_dict().values()):
        raise _diverged(label, "the kept weights are not finite")
    return pd.DataFrame(state["history"]), norm


def _batches(
    count: int, batch: int, clip: int, generator: torch.Generator
) -> tuple[torch.Tensor, ...]:
    """Shuffled positions in batches, whole clips in order. A short last one is left out where there
    is a full one, as in the public code (a single sample would break batch normalisation).
    """
    starts = torch.randperm(math.ceil(count / clip), generator=generator) * clip
    order = (starts[:, None] + torch.arange(clip)).flatten().clamp(max=count - 1)
    parts = order.split(batch)
    return parts[:-1] if len(parts) > 1 and len(parts[-1]) < len(parts[0]) else parts


def _examiner(
    device: torch.device, arrays: Any, norm: dict, spec: dict, class_weights: list[float]
) -> Callable:
    """A function that gives a network's loss and accuracy of the images at some positions (int
    array), as tensors: a number would wait for the device. draw: the generator of their
    augmentation, or None.
    """
    bf16, layout = inference.has_bf16(device), inference.learning_layout(device)
    images, masks = (
        torch.from_numpy(np.array(a)).to(device) for a in (arrays.images, arrays.masks)
    )
    criterion = losses.build(spec["loss"], class_weights if spec["class_weights"] else None)
    outside, beside = None, 0  # pixels beside an image that keeps its shape: not learned from
    if arrays.padded:
        outside = torch.from_numpy(~arrays.inside()).to(device)
        beside = losses.IGNORED
    right = []  # accuracy of each output of the latest batch; the last is the network's own

    def watched(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        hits = logits.detach().argmax(1) == target
        right.append(hits.sum() / (target != losses.IGNORED).sum())
        return criterion(logits, target)

    def examine(
        network: nn.Module, positions: np.ndarray, draw: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        at = torch.from_numpy(positions).to(device)
        x, y = images[at][:, None], masks[at].long()
        if outside is not None:
            y = y.masked_fill(outside[at], beside)
        if draw is not None and spec["augmentation"]:
            x, y = augment.augment(x.float() / 255, y, spec["augmentation"], draw, beside)
        right.clear()
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            loss = models.training_loss(network, inference.prepare(x, norm, layout), y, watched)
        return loss, right[-1]

    return examine


def _validate(
    network: nn.Module, examine: Callable, val: np.ndarray, batch: int
) -> Sequence[float]:
    """Mean loss and accuracy of the validation images, not augmented; NaN where there are none."""
    if not len(val):
        return math.nan, math.nan
    network.eval()
    parts = [val[i : i + batch] for i in range(0, len(val), batch)]
    with torch.no_grad():
        found = torch.stack([torch.stack(examine(network, part)) * len(part) for part in parts])
    return (found.double().sum(0) / len(val)).tolist()


def _diverged(label: str, what: str) -> StudyError:
    return StudyError(f"{label}: {what}; lower optimiser.lr in study.yml, or look at the images")
