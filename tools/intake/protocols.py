"""Protocols that fit a set: the default one ends within an hour on two CPU cores.

Costs are seconds to learn from one image of 96 × 96 pixels once, on two cores with native bfloat16;
they grow with the number of pixels. They give the 29 minutes that the femoral study took (450
images, 20 epochs); the budget leaves room for a slower machine.
"""

import os
from pathlib import Path

from helpers import schemas

DRAFT = Path(__file__).parent / "draft.yml"
SECONDS = {"qvum": 0.060, "unet": 0.075, "femoral_unet": 0.012}  # at 96 px, one image, one epoch
BUDGET = (
    35 * 60
)  # seconds for the trainings; the pages and the cross-validation's start take the rest
#: seconds for the pages, the book and the start of every step: a set of 24 small pictures took 293
#: from folder to report, 26 of them for learning
PAGES = 5 * 60
SIZES = (128, 96, 64)
MOST_EPOCHS, FEWEST_EPOCHS = 20, 5
FOLDS = 5


def seconds(images: int, size: int, epochs: int, folds: int) -> float:
    """Time to train the drafted networks, and the small one again in each fold, on two cores."""
    once = sum(SECONDS.values()) + folds * SECONDS["femoral_unet"]
    return images * epochs * once * (size / 96) ** 2


def fitted(images: int, smallest_side: int, cores: int | None = None) -> dict[str, int]:
    """{image_size, epochs, images}: the largest that ends in time, size before epochs before a
    share of the images.

    images: to learn from; smallest_side: pixels, no picture is enlarged beyond the next size.
    """
    cores = cores or os.cpu_count() or 1
    budget = BUDGET * min(cores, 2) / 2  # more cores only make it sooner
    sizes = [s for s in SIZES if s <= max(smallest_side, min(SIZES))]
    for fewest in (MOST_EPOCHS // 2, FEWEST_EPOCHS):
        for size in sizes:
            epochs = int(budget / seconds(images, size, 1, FOLDS))
            if epochs >= fewest:
                return {"image_size": size, "epochs": min(epochs, MOST_EPOCHS), "images": images}
    share = budget / seconds(images, min(sizes), FEWEST_EPOCHS, FOLDS)
    return {"image_size": min(sizes), "epochs": FEWEST_EPOCHS, "images": int(images * share)}


def drafted(
    images: int, patients: int, smallest_side: int, folds: int, cores: int | None = None
) -> tuple[dict, list[str]]:
    """(synthetic, headline and protocols of study.yml; sentences on what was chosen).

    images, patients: all that are used (patients 0 where unknown); folds: of the split.
    """
    content = schemas.read_yaml(DRAFT)
    learning = max(1, round(images * (folds - 2) / folds))
    fit = fitted(learning, smallest_side, cores)
    quick, paper = content["protocols"]["quick"], content["protocols"]["paper"]
    quick |= {
        "image_size": fit["image_size"],
        "epochs": fit["epochs"],
        "batch": max(2, min(10, learning // 8)),
    }
    notes = []
    if fit["images"] < learning and patients:
        quick["images_per_patient"] = max(1, fit["images"] * images // learning // patients)
        notes.append(
            f"It looks at {quick['images_per_patient']} images of each patient, because"
            f" {images} take longer than an hour; the protocol paper uses all."
        )
    units = patients or images
    for protocol in (quick, paper):
        protocol["cross_validation"]["folds"] = max(3, min(FOLDS, units))
    if not encoder_at_hand():
        quick["models"] = [{"name": m["name"]} | _without_encoder(m) for m in quick["models"]]
        notes.append(
            "No ImageNet weights are at hand (ENCODER_WEIGHTS names none): the first study trains"
            " every network from scratch."
        )
    return content, notes


def told(quick: dict, images: int, patients: int, folds: int) -> str:
    """A sentence on the size, length and time of the protocol quick of a study.yml."""
    looked_at = min(images, quick.get("images_per_patient", images) * (patients or images))
    learning = max(1, round(looked_at * (folds - 2) / folds))
    again = quick.get("cross_validation", {})
    trained = [(m, 1) for m in quick["models"]]
    trained += [
        (m, again["folds"]) for m in quick["models"] if m["name"] in again.get("models", ())
    ]
    cost = sum(
        SECONDS.get(m["name"], SECONDS["unet"]) * m.get("epochs", quick["epochs"]) * times
        for m, times in trained
    ) * len(quick.get("seeds", [1]))
    spent = learning * cost * (quick["image_size"] / 96) ** 2 + PAGES
    minutes = max(1, round(spent / 60))
    return (
        f"The first study learns at {quick['image_size']} × {quick['image_size']} pixels for"
        f" {quick['epochs']} epochs, in about {minutes} minute{'s' * (minutes > 1)} on two free"
        " cores. Change it with SIZE= and EPOCHS= after make study, or under protocols in"
        " study.yml."
    )


def _without_encoder(model: dict) -> dict:
    return {k: v for k, v in model.items() if k not in ("name", "encoder_weights", "normalise")}


def encoder_at_hand() -> bool:
    """Whether a pretrained encoder is on this machine, so that nothing has to be downloaded."""
    path = os.environ.get("ENCODER_WEIGHTS", "")
    return bool(path) and Path(path).is_file()
