"""Weights and training states on disk: safetensors and JSON, never pickle, never half a file."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from helpers import files, provenance

#: whose code a state depends on
LOOP = Path(__file__).with_name("loop.py")


def key(
    network: nn.Module,
    arrays: Any,
    train: np.ndarray,
    val: np.ndarray,
    spec: dict,
    class_weights: list[float],
    seed: int,
) -> str:
    """Digest of everything a training depends on: settings, weights it starts from, the pixels and
    outlines it learns and chooses from, and the code. A state of another key is not gone on from.
    """
    shown, start = hashlib.sha256(), hashlib.sha256()
    for positions in (train, val):
        for array in (arrays.images, arrays.masks):
            shown.update(f"{len(positions)}".encode() + np.asarray(array)[positions].tobytes())
    for tensor in network.state_dict().values():
        start.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    code = provenance.code_digest(LOOP)
    return provenance.digest(
        [spec, class_weights, seed, shown.hexdigest(), start.hexdigest(), code]
    )


def save_tensors(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Write named tensors under a temporary name, then move them into place."""
    part = path.with_name(path.name + ".part")
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, part)
    os.replace(part, path)


def save_state(
    folder: Path,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    state: dict,
    best: dict[str, torch.Tensor] | None = None,
    average: nn.Module | None = None,
) -> None:
    """The whole training state without pickle: tensors in safetensors, numbers in JSON, written
    last with the digests of all. best: tensors of the lowest validation loss, where they are new;
    average: the mean of the network over its steps, where the training keeps one.
    """
    tensors = {f"network.{k}": v for k, v in network.state_dict().items()}
    if average is not None:
        tensors |= {f"average.{k}": v for k, v in average.state_dict().items()}
    for number, values in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{k}": torch.as_tensor(v) for k, v in values.items()}
    new = {"state": tensors, "best": best} if best else {"state": tensors}
    written = dict(state.get("files", {}))
    for name, values in new.items():
        path = folder / f"{name}{state['epoch']}.safetensors"
        save_tensors(values, path)
        written[name] = [path.name, files.sha256(path)]
    state["files"] = written
    digest = provenance.digest(state)
    files.write_json(state | {"digest": digest}, folder / "state.json")
    for old in folder.glob("*.safetensors"):
        if old.name not in [name for name, _ in written.values()]:
            old.unlink()


def load_state(
    folder: Path,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    key: str,
    device: torch.device,
    average: nn.Module | None = None,
) -> dict | None:
    """The state of an interrupted training with the same key, restored; None where there is none.

    One of another key, or of which a byte has changed, is named in a line and not used.
    """
    path = folder / "state.json"
    if not path.is_file():
        return None
    try:
        state = files.read_json(path)
        if state["key"] != key:
            raise ValueError("of other images, settings or code")
        digest, kept = state.pop("digest"), state["files"].values()
        known = all(files.sha256(folder / name) == found for name, found in kept)
        if not known or digest != provenance.digest(state):
            raise ValueError("damaged")
        tensors = load_file(folder / state["files"]["state"][0], device=str(device))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        print(f"{path}: not gone on from, training starts again ({error})", flush=True)
        return None
    for name, module in (("network.", network), ("average.", average)):
        if module is not None:
            own = {k.removeprefix(name): v for k, v in tensors.items() if k.startswith(name)}
            module.load_state_dict(own)
    moments = {}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, number, field = name.split(".")
            moments.setdefault(int(number), {})[field] = value.cpu() if field == "step" else value
    optimiser.load_state_dict(
        {"state": moments, "param_groups": optimiser.state_dict()["param_groups"]}
    )
    # a fused step walks through memory: moments must lie as their parameter does (channels last)
    for parameter, values in optimiser.state.items():
        for field, value in values.items():
            if value.shape == parameter.shape:
                values[field] = torch.empty_like(parameter).copy_(value)
    return state


def save_weights(network: nn.Module, path: Path, record: dict) -> None:
    """weights.safetensors, and weights.json that says what they are."""
    save_tensors(network.state_dict(), path)
    about = json.loads(json.dumps(record | {"sha256": files.sha256(path)}, default=str))
    files.write_json(about | {"digest": provenance.digest(about)}, path.with_suffix(".json"))
