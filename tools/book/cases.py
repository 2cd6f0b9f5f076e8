"""The case browser: every test image with the reference and each network's outline, as files
that a page loads lazily.

One WebP and one small script of outlines an image; the page (book/cases.js) fetches only the
case that is looked at.
"""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PIL import Image

from helpers import files, metrics, runs, studies
from helpers.figures import model_colour, model_label

if TYPE_CHECKING:  # datasets bring the readers of every image format
    from helpers.datasets import Arrays

#: told apart with every common colour-blindness, on grey (Okabe and Ito 2008)
SAFE = ("#56B4E9", "#D55E00", "#F0E442", "#CC79A7", "#009E73", "#0072B2")

SIDE = 1024  # pixels, the longer side of a picture in the book

PAGE = """---
html_theme.sidebar_secondary.remove: true
---

# Every test case

Each image that the networks were examined on, with the outline taken as true (the *reference*) and each network's own.
Drag the slider to compare two outlines; click a column to sort, for example the worst Dice first. *Dice*: 1 means the
two outlines are the same, 0 that they share nothing. *HD95*: how far apart the outlines are at their worst, leaving
out the extreme 5 %.

<noscript><p>This page needs JavaScript, which this browser has switched off. The other pages do not.</p></noscript>
<div id="cases" class="cases"></div>
<link rel="stylesheet" href="_static/cases.css">
<script src="cases/index.js"></script>
<script src="_static/outline.js"></script>
<script src="_static/cases.js"></script>
"""


#: the last sentence of the page
UNJUDGED = (
    '\nTo judge the outlines without knowing whose they are: <a href="readers.html">the blinded'
    " reading</a>. Nobody has yet.\n"
)
JUDGED = (
    '\nReaders judged the outlines without knowing whose they are: <a href="judged.html">what they'
    ' said</a>, and <a href="readers.html">the blinded reading</a> itself.\n'
)


def available(study: studies.Study) -> bool:
    """True when the run has what the browser shows: cached images, and what networks drew."""
    drawn = any(study.run.glob("train/*/main_*/predictions.npy"))
    return drawn and (study.run / "cache" / "index.csv").is_file()


def ids(study: studies.Study) -> frozenset[str]:
    """The images that the browser shows, a frozenset of image_id."""
    index = files.read_csv(study.run / "cache" / "index.csv", dtype={"image_id": str})
    return frozenset(index.loc[index["split"] == "test", "image_id"])


def picture(study: studies.Study, arrays: "Arrays", position: int, path: Path) -> tuple[int, int]:
    """Write one image as its file has it, at most SIDE pixels long, as WebP; returns its width and
    height.
    """
    from helpers.figures import fullsize  # only where there are images

    image = Image.fromarray(fullsize.image(study, arrays, position))
    image.thumbnail((SIDE, SIDE))
    image.save(path, quality=85, method=4)
    return image.size


def encode(mask: np.ndarray) -> str:
    """Class indices uint8 (H, W) as runs in reading order: a letter for the class, then its
    length; 'a120b7a3'.
    """
    flat = np.asarray(mask).ravel()
    starts = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1])
    lengths = np.diff(np.concatenate([starts, [flat.size]]))
    return "".join(
        f"{chr(97 + v)}{n}" for v, n in zip(flat[starts].tolist(), lengths.tolist(), strict=True)
    )


def write(study: studies.Study, out: Path) -> None:
    """Write out/cases: <image_id>.webp and .js for every test image, and index.js with facts
    and scores.
    """
    from helpers import datasets  # only where there are images
    from helpers.figures import fullsize

    folder = out / "cases"
    folder.mkdir(parents=True)
    arrays, drawn = datasets.load(study), runs.drawn(study)
    positions, sizes = arrays.rows("main", "test"), []
    for position in positions:
        name = arrays.index["image_id"].iloc[position]
        sizes.append(picture(study, arrays, position, folder / f"{name}.webp"))
        layers = {"reference": encode(shown(arrays, arrays.masks, position))}
        layers |= {model: encode(shown(arrays, masks, position)) for model, masks in drawn.items()}
        text = f"caseLoaded({json.dumps(name)}, {json.dumps(layers)});\n"
        (folder / f"{name}.js").write_text(text, encoding="utf-8")
    index = arrays.index.iloc[positions]
    content: dict = {
        "size": [int(arrays.images.shape[1]), int(arrays.images.shape[2])],
        "classes": [
            {
                "name": c.name,
                "title": c.title,
                "index": c.index,
                "colour": c.colour,
                "safe": SAFE[(c.index - 1) % len(SAFE)],
            }
            for c in study.foreground
        ],
        "models": [{"name": m, "label": model_label(m), "colour": model_colour(m)} for m in drawn],
        "headline": study.headline if study.headline in drawn else next(iter(drawn)),
        "target": study.target,
        "unit": "mm" if index["pixel_mm"].notna().all() else "px",
        "synthetic": study.synthetic,
    }
    content["cases"] = _facts(study, index, _scores(study, content["unit"], list(drawn)))
    rows = zip(content["cases"], index.to_dict("records"), sizes, positions, strict=True)
    for case, row, size, position in rows:
        case["shape"] = [size[1], size[0]]
        if fullsize.scale_known(row):
            sides = arrays.masks[position][arrays.frame(position)].shape
            wide = fullsize.extent(pd.Series(row), sides, case["shape"])[1]
            case["mm"] = round(float(wide), 2)
    (folder / "index.js").write_text(
        f"window.STUDY_CASES = {json.dumps(content)};\n", encoding="utf-8"
    )


def shown(arrays: "Arrays", masks: np.ndarray, position: int) -> np.ndarray:
    """What lies over the picture of one image: its part of the square, stretched to the square."""
    part = masks[position][arrays.frame(position)]
    if part.shape == masks.shape[1:]:
        return part
    return np.asarray(Image.fromarray(part).resize(masks.shape[:0:-1], Image.Resampling.NEAREST))


def _scores(study: studies.Study, unit: str, models: list[str]) -> dict:
    """image_id → network → class → [Dice, HD95], None where undefined; first seed, the study's
    own split.
    """
    rows = runs.counts(study.run / "results" / "per_image.csv")
    rows = rows[
        (rows["fold"] == "main")
        & (rows["split"] == "test")
        & (rows["seed"] == study.spec["seeds"][0])
    ]
    rows = metrics.scores(rows[rows["model"].isin(models) & (rows["class"] != "background")])
    found = {}
    for image, model, class_, dice, hd95 in zip(
        rows["image_id"],
        rows["model"],
        rows["class"],
        rows["Dice"],
        rows[f"hd95_{unit}"],
        strict=True,
    ):
        found.setdefault(image, {}).setdefault(model, {})[class_] = [
            _number(dice, 4),
            _number(hd95, 2),
        ]
    return found


def _number(value: float, digits: int) -> float | None:
    return None if value is None or math.isnan(value) else round(value, digits)


def _facts(study: studies.Study, index: pd.DataFrame, scores: dict) -> list[dict]:
    """One dict a test image: id, patient, sex, age, bmi, device (absent where unknown) and its
    scores.
    """
    patients = studies.patients(study)
    known = {} if patients is None else patients.set_index("patient_id").to_dict("index")
    facts = []
    for row in index.to_dict("records"):
        person = known.get(row["patient_id"], {})
        height, weight = person.get("height_cm"), person.get("weight_kg")
        bmi = weight / (height / 100) ** 2 if height and weight else math.nan
        fact = {
            "id": row["image_id"],
            "patient": row["patient_id"],
            "sex": person.get("sex"),
            "age": person.get("age_years"),
            "bmi": bmi,  # whole, so that a cut takes the same people as the tables do
            "device": row["device"],
            "depth": person.get("depth_cm"),
        }
        facts.append(
            {k: v for k, v in fact.items() if not pd.isna(v)} | {"scores": scores[row["image_id"]]}
        )
    return facts
