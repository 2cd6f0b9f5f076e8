"""The declared plan of a study, sealed before its first training: what is measured, by which test,
on whom, and whether that is still so.

The seal is the SHA-256 of the plan and the time it was made. A file on one's own disk proves
nothing to a stranger; its hash, sent to a registry or in a letter before the training, does.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from helpers import files, provenance, studies
from helpers.errors import StudyError
from helpers.schemas import IMAGES, SPLITS, read_csv

#: what of study.yml is the plan
KEYS = ("question", "headline", "target", "classes", "ignored", "split", "statistics", "protocols")
NO_COLOUR = ("colour", "title", "labels")  # of a class: how it is shown and named


@dataclass(frozen=True)
class State:
    """What is known of a study's plan.

    sealed: plan.json, or None where there is none; first: when the first training began, or None;
    changes: (what, as sealed, now) of every setting that differs; why: a sentence, empty where the
    plan was declared before any result.
    """

    sealed: dict | None
    first: str | None
    changes: tuple[tuple[str, object, object], ...]
    why: str

    @property
    def before(self) -> bool:
        """True where the plan as it stands was sealed before the first training."""
        return not self.why


def path(study: studies.Study) -> Path:
    """runs/<study>/results/plan.json."""
    return study.run / "results" / "plan.json"


def declared(study: studies.Study) -> dict:
    """The plan as study.yml and images.csv have it now: a dict that JSON can hold."""
    content = studies.read_yaml(study.root / "study.yml")
    plan = {key: content[key] for key in KEYS if key in content}
    plan["classes"] = [
        {k: v for k, v in c.items() if k not in NO_COLOUR} for c in content["classes"]
    ]
    images = read_csv(study.root / "images.csv", IMAGES)[["image_id", "patient_id", "split"]]
    rows = files.csv_text(images.fillna("").sort_values("image_id"))
    counts = images["split"].value_counts()
    plan["images"] = {split: int(counts.get(split, 0)) for split in SPLITS}
    plan["images"]["assignment sha256"] = hashlib.sha256(rows.encode()).hexdigest()
    return json.loads(json.dumps(plan, default=str))


def digest(content: object) -> str:
    """SHA-256 of what JSON can hold, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def seal(study: studies.Study) -> None:
    """Write the plan with its hash and the time, unless a training has begun under an earlier one.

    A plan that is sealed again before any training keeps the hashes and times of those before it.
    """
    place, plan, known = path(study), declared(study), _sealed(study)
    begun = any((study.run / "train").glob("*/*/*"))
    if known and (begun or known["plan"] == plan):
        return
    earlier = [*known["earlier"], {k: known[k] for k in ("sha256", "time")}] if known else []
    content = {"time": provenance.now(), "trained before": begun, "earlier": earlier, "plan": plan}
    files.write_json({"sha256": digest(content)} | content, place)


def state(study: studies.Study) -> State:
    """The :class:`State` of a study; StudyError for a plan.json that is not what was sealed."""
    sealed, first = _sealed(study), _first_training(study)
    if sealed is None:
        return State(None, first, (), "no plan was sealed before the first training")
    late = sealed["trained before"] or bool(first and sealed["time"] > first)
    changes = _changes(sealed["plan"], declared(study), study)
    why = ""
    if late:
        why = f"the plan was sealed ({sealed['time']}) after the first training had begun"
    elif len(changes) > len(asked := study.protocol.split(",")[1:]):
        why = "the plan was changed after it was sealed"
    elif asked:
        why = f"this run was asked for with {', '.join(asked)}, which the sealed plan does not hold"
    return State(sealed, first, changes, why)


def _sealed(study: studies.Study) -> dict | None:
    """plan.json, or None where there is none; StudyError where it is not what was sealed."""
    place = path(study)
    if not place.is_file():
        return None
    try:
        sealed = files.read_json(place)
        content = {k: sealed[k] for k in ("time", "trained before", "earlier", "plan")}
        whole = sealed == {"sha256": digest(content)} | content
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise StudyError(
            f"{place}: is not what was sealed; put the original back, or `make clean"
            f" STUDY={study.name}` and run the study again under a new seal"
        )
    return sealed


def _first_training(study: studies.Study) -> str | None:
    records = (study.run / "train").glob("*/*/03_train.json")
    started = [files.read_json(r).get("started") for r in records]
    return min(filter(None, started), default=None)


def _changes(then: dict, now: dict, study: studies.Study) -> tuple[tuple[str, object, object], ...]:
    old, new = dict(flat(then)), dict(flat(now))
    found = [
        (name, old.get(name), new.get(name))
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]
    base, *asked = study.protocol.split(",")
    return (*found, *((f"protocols, {base}, on the command line", None, each) for each in asked))


def flat(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    """A nested plan as (name, value) pairs: 'statistics, test' → 'patient_t'."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from flat(inner, f"{name}, {key}" if name else str(key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for number, inner in enumerate(value):
            yield from flat(inner, f"{name}, {inner.get('name', number + 1)}")
    else:
        yield name, value
