"""Optimisers and learning-rate schedules, by the names that study.yml uses."""

import math

import torch
from torch import nn
from torch.optim import swa_utils

from helpers import models

OPTIMISERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
}


def learning_rate(schedule: dict, lr: float, epoch: float, epochs: int) -> float:
    """The learning rate at a (fractional) epoch of a schedule, as a float.

    constant: lr. one_cycle: cosine from lr/25 up to lr over the first 30 %, cosine down to
    lr/10,000. warmup_cosine (networks.md 1.5): whole epochs; quadratic from lr_start over
    warmup_epochs, cosine to lr_min, the last tail_epochs at lr_min.
    """
    name = schedule["name"]
    if name == "constant":
        return lr
    if name == "one_cycle":
        t, peak = epoch / epochs, 0.3
        low, high, share = (
            (lr / 25, lr, t / peak) if t < peak else (lr / 1e4, lr, (1 - t) / (1 - peak))
        )
        return low + (high - low) * (1 - math.cos(math.pi * share)) / 2
    first, lowest = schedule.get("lr_start", lr / 10), schedule.get("lr_min", lr / 100)
    warm, tail, now = (
        schedule.get("warmup_epochs", 3),
        schedule.get("tail_epochs", 5),
        math.floor(epoch),
    )
    if now < warm:
        return first + (lr - first) * (now / warm) ** 2
    if now >= epochs - tail:
        return lowest
    return (
        lowest + (lr - lowest) * (1 + math.cos(math.pi * (now - warm) / (epochs - warm - tail))) / 2
    )


def optimiser(spec: dict, network: nn.Module) -> torch.optim.Optimizer:
    """The optimiser of a ``optimiser:`` entry over a network's parameters: name, lr, its own
    options, and encoder_lr, the share of lr by which a pretrained encoder learns (Carion 2020 and
    Wang 2021: 0.1), kept as ``share`` of each parameter group.
    """
    options = {k: v for k, v in spec.items() if k not in ("name", "lr", "encoder_lr")}
    encoder = {id(p) for p in models.encoder_parameters(network)} if "encoder_lr" in spec else set()
    groups = [{"params": [], "share": 1.0}, {"params": [], "share": spec.get("encoder_lr", 1.0)}]
    for parameter in network.parameters():
        groups[id(parameter) in encoder]["params"].append(parameter)
    if spec["name"] != "rmsprop":  # one kernel a step instead of one a parameter
        options["fused"] = True
    return OPTIMISERS[spec["name"]]([g for g in groups if g["params"]], lr=spec["lr"], **options)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group its share of the learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["share"]


def average(network: nn.Module, decay: float) -> swa_utils.AveragedModel | None:
    """The running mean of a network over its steps, running means of its layers included: each step
    moves it by 1 − ``decay`` towards the network (EMA). None for decay 0.
    """
    if not decay:
        return None
    moving = swa_utils.get_ema_multi_avg_fn(decay)
    return swa_utils.AveragedModel(network, multi_avg_fn=moving, use_buffers=True)
