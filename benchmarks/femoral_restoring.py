"""A self-supervised start: before it sees an outline, an encoder restores training images of which
squares were blanked (in-painting, Zhou 2021, Models Genesis; doi:10.1016/j.media.2020.101840).

Used by femoral_search.py; nothing but pixels of training images is read.
"""

import torch
from safetensors.torch import save_file

from helpers import models
from helpers.models import inference
from helpers.training import augment, schedule

SQUARES, SHARE = 8, 0.4  # squares along a side, and how many of them are blanked
EPOCHS = 12


def blanked(n, side, draw):
    """Which pixels of n square images are blanked: bool (n, 1, side, side)."""
    squares = torch.rand(n, 1, SQUARES, SQUARES, generator=draw) < SHARE
    return torch.nn.functional.interpolate(squares.float(), side).bool()


def encoder(images, spec, seed, path, start="imagenet", epochs=EPOCHS):
    """Let Q-VUM restore images (uint8 (N, side, side)) and save its encoder to ``path``; the mean
    squared error of the blanked pixels in each epoch (list), in units of the normalised image.

    spec: optimiser, schedule, batch, augmentation, normalise and channels as a training's settings;
    start: the weights that the encoder begins with.
    """
    torch.manual_seed(seed)
    device = inference.best_device()
    network = models.build(spec["name"], spec["channels"], 1, encoder_weights=start).to(device)
    network = network.to(memory_format=torch.channels_last).train()
    optimiser = schedule.optimiser(spec["optimiser"], network)
    norm = inference.normalisation(spec, images)
    shown, noted = torch.from_numpy(images).to(device), []
    for epoch in range(epochs):
        draw, lost = torch.Generator().manual_seed(seed * 100_003 + epoch), []
        parts = torch.randperm(len(shown), generator=draw).split(spec["batch"])
        for step, part in enumerate(parts):
            now = epoch + step / len(parts)
            rate = schedule.learning_rate(spec["schedule"], spec["optimiser"]["lr"], now, epochs)
            schedule.set_rate(optimiser, rate)
            whole = shown[part.to(device)][:, None].float() / 255
            unused = torch.zeros_like(whole[:, 0], dtype=torch.long)
            whole, _ = augment.augment(whole, unused, spec["augmentation"], draw)
            hidden = blanked(len(whole), whole.shape[-1], draw).to(device)
            wanted = inference.prepare(whole, norm)[:, :1]
            seen = inference.prepare(whole.masked_fill(hidden, 0), norm)
            with torch.autocast(device.type, torch.bfloat16, enabled=inference.has_bf16(device)):
                restored = network(seen)
            loss = (restored.float() - wanted)[hidden].square().mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            lost.append(loss.detach())
        noted.append(torch.stack(lost).mean().item())
        print(f"restoring: epoch {epoch + 1}/{epochs}, loss {noted[-1]:.4f}", flush=True)
    tensors = network.encoder.state_dict()
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return noted
