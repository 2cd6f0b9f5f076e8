"""Splits: whole patients, alike in size, structures and devices; seeded, and never drawn again
silently.
"""

import numpy as np
import pandas as pd

from helpers.datasets import units
from helpers.errors import StudyError
from helpers.schemas import EXTERNAL
from tools.intake.patterns import matches
from tools.intake.split_words import FOLDERS
from tools.intake.tables import sample


def folds(
    units: pd.Series | np.ndarray,
    features: np.ndarray,
    count: int,
    seed: int,
    fixed: dict | None = None,
) -> np.ndarray:
    """A fold 0 … count − 1 for every row (int array), all rows of a unit together.

    units: (N,) names, patients or images; features: (N, F) non-negative, what every fold should
    have its share of (a column of ones, areas of the classes, one column a device). Units come
    largest first, in seeded order within equal size, and each goes where the folds' shares stay
    closest to even. fixed: unit → the folds allowed.
    """
    units = pd.Series(np.asarray(units, object))
    table = pd.DataFrame(np.asarray(features, float)).groupby(units).sum().sort_index()
    totals = table.sum().to_numpy()
    load = table.to_numpy() / np.where(totals > 0, totals, 1) * count
    if len(table) < count:
        found = ", ".join(map(str, table.index[:5]))
        raise StudyError(
            f"a split into {count} needs at least {count} patients, cines or images, found"
            f" {len(table)}: {found}; if those are no people, say in the form whose pictures these"
            " are (patient)"
        )
    place = {name: k for k, name in enumerate(table.index)}
    sums, chosen, everywhere = np.zeros((count, load.shape[1])), {}, list(range(count))
    shuffled = np.random.default_rng(seed).permutation(len(table))
    order = [table.index[k] for k in shuffled[np.argsort(-load[shuffled, 0], kind="stable")]]
    fixed = fixed or {}
    for unit in sorted(order, key=lambda u: u not in fixed):  # decided ones first
        after = sums + load[place[unit]]
        allowed = fixed.get(unit, everywhere)
        growth = (after**2).sum(1) - (sums**2).sum(1)
        chosen[unit] = allowed[int(np.argmin(growth[allowed]))]
        sums[chosen[unit]] = after[chosen[unit]]
    return units.map(chosen).to_numpy(int)


def names(fold: np.ndarray) -> np.ndarray:
    """Fold numbers as splits: fold 0 is the test set, fold 1 the validation set, the others
    train.
    """
    return np.array(["test", "val", "train"], object)[np.minimum(fold, 2)]


def _chosen(
    images: list[str], matching: dict[str, list[str]], rules: dict[str, dict], seed: int
) -> np.ndarray:
    """Splits by pattern: every image in exactly one. A rule that chooses takes its images
    before one that does not.
    """
    taken = {}
    for name, rule in sorted(rules.items(), key=lambda item: "choose" not in item[1]):
        free = [i for i in matching[name] if i not in taken]
        if "choose" in rule:
            if rule["choose"] > len(free):
                raise StudyError(
                    f"split {name}: {rule['choose']} images of {rule['of']!r} wanted, there are"
                    f" {len(free)}"
                )
            free = list(sample(free, rule["choose"], seed))
        elif clash := [i for i in matching[name] if i in taken and "choose" not in rules[taken[i]]]:
            raise StudyError(
                f"split: {clash[0]} is in {taken[clash[0]]} and in {name}; change the patterns"
            )
        taken |= dict.fromkeys(free, name)
    if missing := [i for i in images if i not in taken]:
        raise StudyError(
            f"split: {len(missing)} images are in none, among them {missing[0]}; add a pattern for"
            " them"
        )
    return np.array([taken[i] for i in images], object)


def _one_split_each(units: pd.Series, own: pd.Series) -> None:
    """StudyError where a patient lies in two of the authors' folders."""
    each = own.groupby(units).unique()
    if len(both := each[each.map(len) > 1]):
        raise StudyError(
            f"split: patient {both.index[0]} has pictures for {' and '.join(both.iloc[0])}, by the"
            " authors' folders, lists or tables; if that is one person, write in the form split:"
            " {policy: patient k-fold} to draw it by patient instead; if they were numbered anew in"
            " each folder, let the patient hold it (patient: {pattern:"
            " '((?:train|val|test)/[^/]+)/'}, with your folders)"
        )


def _allowed(kept: dict[str, str], count: int) -> dict[str, list[int]]:
    """unit → the folds allowed, so that it stays in its split; a split that nobody has is drawn
    from what was to learn from.
    """
    have = set(kept.values())
    learn = [k for k in range(count) if k > 1 or (k == 0 and "test" not in have)]
    learn += [1] if "val" not in have else []
    allowed = {"test": [0], "val": [1], "train": sorted(learn)}
    return {unit: allowed[split] for unit, split in kept.items()}


def draw(
    frame: pd.DataFrame,
    areas: np.ndarray,
    rule: dict,
    previous: pd.DataFrame | None = None,
    authors: dict[str, str] | None = None,
) -> np.ndarray:
    """The split of every row (object array of train, val, test, external).

    Where patients are unknown the frames of a cine stay together.
    frame: image_id, patient_id, image, device; areas: (N, classes − 1) share of each structure;
    rule: policy, folds, seed, given of the form. previous: image_id, patient_id, split of an
    earlier manifest; what it says stays. authors: image → split of the authors' folders; what they
    kept apart stays apart, what they did not is drawn from what they learned from.
    """
    if rule.get("policy") == "given":
        matching = {
            n: [i for i in frame["image"] if matches(r["of"], i) is not None]
            for n, r in rule["given"].items()
        }
        return _chosen(frame["image"].tolist(), matching, rule["given"], rule.get("seed", 42))
    by_patient = frame["patient_id"].notna().any() and rule.get("policy") != "image k-fold"
    if by_patient and frame["patient_id"].isna().any():
        first = frame.loc[frame["patient_id"].isna(), "image"].iloc[0]
        raise StudyError(
            f"split by patient: {first} has none; say in the form how to read it, or split by image"
        )
    if rule.get("policy") == "patient k-fold" and not by_patient:
        raise StudyError(
            "split by patient: no image has a patient; say in the form how to read it from the path"
        )

    def together(frame: pd.DataFrame) -> pd.Series:
        if rule.get("policy") == "image k-fold":
            return frame["image_id"]
        return units(frame if by_patient else frame.assign(patient_id=None))

    unit, own = together(frame), frame["image"].map(authors or {})
    kept: dict[str, str] = {}
    if previous is not None:
        before = previous[previous["split"].isin(FOLDERS)]
        found = before.groupby(together(before))["split"].first()
        kept = found[found.index.isin(unit)].to_dict()  # of those who are still there
    if authors:
        _one_split_each(unit, own)
    if (outside := ((own == EXTERNAL) | (unit.map(kept) == EXTERNAL)).to_numpy()).any():
        drawn = np.full(len(frame), EXTERNAL, object)
        rest = frame[~outside].reset_index(drop=True)
        drawn[~outside] = draw(rest, areas[~outside], rule, previous, authors)
        return drawn
    count = rule.get("folds") or min(5, max(3, unit.nunique()))
    devices = pd.get_dummies(frame["device"].fillna("unknown")).to_numpy(float)
    features = np.column_stack([np.ones(len(frame)), areas, devices])
    fixed = _allowed(dict(zip(unit, own, strict=True)), count) if authors else {}
    fixed |= _allowed({u: split for u, split in kept.items() if split != EXTERNAL}, count)
    return names(folds(unit, features, count, rule.get("seed", 42), fixed))
