"""Can every network of a study be built as its trainings will build it? In a process of its own:
torch is large, and the workflow lives as long as its last step.
"""

import torch

from helpers import models, provenance, studies
from helpers.errors import StudyError
from helpers.training import losses
from helpers.workflow import asked

#: weights of a network beyond which an option is taken for a slip
LARGEST = 2_000_000_000


def build(study: studies.Study) -> int:
    """Build every network and loss of a study without weights; how many. StudyError: the first."""
    trainings = {(model, fold) for model, fold, _ in study.trainings()}
    specs = [study.training(model, fold) for model, fold in sorted(trainings)]
    for spec in specs:
        losses.build(spec["loss"], [c.weight for c in study.classes])
    keys = ("name", "channels", "options", "encoder_weights")
    made = {provenance.digest([spec[k] for k in keys]): spec for spec in specs}
    for spec in made.values():
        _build(spec, len(study.classes))
    return len(made)


def _build(spec: dict, classes: int) -> None:
    name, options = spec["name"], spec["options"]
    # the weights themselves are not read; of a network without such an encoder build says so
    weights = "none" if models.entry(name).pretrained else spec["encoder_weights"]
    try:
        with torch.device("meta"):
            network = models.build(name, spec["channels"], classes, weights, **options)
    except StudyError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise StudyError(f"{name}: cannot be built with options {options} ({said})") from None
    sizes = [p.numel() for p in network.parameters()]
    if not all(sizes) or sum(sizes) > LARGEST:
        layer = "" if all(sizes) else ", some layers without any"
        raise StudyError(
            f"{name}: options {options} make a network of {sum(sizes):,} weights{layer}"
        )


def main(arguments: list[str] | None = None) -> None:
    """Build every network of a study, without its weights."""
    build(asked.line("networks", main.__doc__, arguments)[0])
