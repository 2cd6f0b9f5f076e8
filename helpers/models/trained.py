"""A trained network ready for images: loaded, checked against its record, run at their own size."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file

from helpers import datasets, files, models, provenance, studies
from helpers.errors import StudyError
from helpers.models import inference

#: what the record of a trained network must say for it to be used
NEEDED = {"training", "classes", "titles", "colours", "normalisation", "sha256", "study"}


@dataclass(frozen=True)
class Predictor:
    """A trained network ready for images. classes: study.Class, background first; size: side in
    pixels it was trained at; norm: mean and SD per channel; record: weights.json.
    """

    network: torch.nn.Module
    classes: tuple
    size: int
    norm: dict
    record: dict

    @property
    def foreground(self) -> tuple[studies.Class, ...]:
        """The classes without background."""
        return self.classes[1:]


def load(
    folder: Path | str, device: torch.device | str | None = None, as_scored: bool = True
) -> Predictor:
    """The trained network in ``folder`` (weights.safetensors and weights.json) as a Predictor, in
    eval mode; of a study's name the network that comes with it, reports/<study>/model.

    as_scored: weights in the precision that it was scored in (``inference.as_scored``), else all in
    float32.

    StudyError when a file is missing, was changed since training (sha256), or does not fit the
    network.
    """
    shipped = studies.ROOT / "reports" / str(folder) / "model"
    folder = shipped if not Path(folder).exists() and shipped.is_dir() else Path(folder)
    path = folder / "weights.safetensors"
    if not path.is_file() or not path.with_suffix(".json").is_file():
        below = sorted(str(p.parent) for p in folder.glob("**/weights.safetensors"))
        along = sorted(p.parts[-3] for p in studies.ROOT.glob("reports/*/model/weights.json"))
        hint = (
            f"; below it are {', '.join(below)}"
            if below
            else "; a finished training has them, see `make study`, and networks come along for"
            f" {', '.join(along) or 'no study'}"
        )
        raise StudyError(f"{folder}: no weights.safetensors with weights.json{hint}")
    record = files.read_json(path.with_suffix(".json"))
    if missing := sorted(NEEDED - set(record if isinstance(record, dict) else ())):
        raise StudyError(f"{path.with_suffix('.json')}: lacks {', '.join(missing)}; train again")
    digest = record.pop("digest", None)  # records of earlier versions have none
    if digest not in (None, provenance.digest(record)) or not _sound(record):
        raise StudyError(
            f"{path.with_suffix('.json')}: is not as a training leaves it; put the original back,"
            " or train again"
        )
    if files.sha256(path) != record["sha256"]:
        raise StudyError(
            f"{path}: is not the file that weights.json describes (sha256 differs); train again"
        )
    spec, device = record["training"], torch.device(device) if device else inference.best_device()
    try:
        tensors, size = load_file(path), spec["image_size"]
        about = spec["name"], spec["channels"], len(record["classes"])
        with torch.device("meta"):  # no memory is taken for a network that they do not fit
            models.build(*about, **spec["options"]).load_state_dict(tensors, assign=True)
        network = models.build(*about, **spec["options"])
        network.load_state_dict(tensors)
    except StudyError:
        raise
    except (RuntimeError, SafetensorError, LookupError, TypeError) as error:
        said = " ".join(str(error).split())[:200]
        raise StudyError(f"{path}: does not fit its record: {said}") from None
    network = network.to(device).to(memory_format=torch.channels_last).eval()
    if as_scored:
        network = inference.as_scored(network)
    return Predictor(network, _classes(record), size, record["normalisation"], record)


def _sound(record: dict) -> bool:
    """Whether a record says what images become before the network sees them, and what its classes
    are called, in values that a training can have.
    """
    names = [record[key] for key in ("classes", "titles", "colours")]
    spec, norm = record["training"], record["normalisation"]
    try:
        size, channels = spec["image_size"], spec["channels"]
        numbers = [*norm["mean"], *norm["std"]]
        return (
            all(isinstance(name, str) for some in names for name in some)
            and len({len(some) for some in names}) == 1
            and all(re.fullmatch("#[0-9a-fA-F]{6}", colour) for colour in names[2])
            and (type(size), type(channels), type(spec["name"])) == (int, int, str)
            and 16 <= size <= 2048
            and len(norm["mean"]) == len(norm["std"]) == channels
            and bool(np.isfinite(numbers).all())
            and min(norm["std"]) > 0
            and spec.get("aspect", "squash") in ("squash", "keep")
        )
    except (LookupError, TypeError, ValueError):
        return False


def _classes(record: dict) -> tuple[studies.Class, ...]:
    """The classes as they were at training, whatever became of the study's manifest since."""
    named = zip(record["classes"], record["titles"], record["colours"], strict=True)
    return tuple(studies.Class(i, *said, weight=1.0) for i, said in enumerate(named))


def segment(predictor: Predictor, frames: np.ndarray) -> np.ndarray:
    """Class of every pixel at the frames' own size: uint8 (frames, rows, columns) to the same.

    Each frame is resized to the training size; the logits are enlarged bilinearly before the
    largest is taken, so that outlines are smooth at the original size. A frame of the training size
    gets the outlines that the study scored.
    """
    aspect = (studies.DEFAULTS | predictor.record["training"])["aspect"]
    small = np.stack([datasets.resize_image(f, predictor.size, aspect) for f in frames])
    top, left, height, width = datasets.frame(frames.shape[1:], predictor.size, aspect)
    order = inference.clips(
        np.arange(len(small)), ["one"] * len(small), models.clip_length(predictor.network)
    )
    found = inference.logits(predictor.network, torch.from_numpy(small[order]), predictor.norm)
    result = []
    for one in (one for some in found for one in some):  # one at a time: large ones fill the memory
        own = one[None, :, top : top + height, left : left + width]
        large = F.interpolate(own.float(), frames.shape[1:], mode="bilinear", align_corners=False)
        # ten times as fast on a processor where a pixel's classes lie side by side
        large = large.contiguous(memory_format=torch.channels_last)
        result.append(large.argmax(1)[0].to(torch.uint8).cpu().numpy())
    return np.stack(result)[np.unique(order, return_index=True)[1]]
