"""The images and masks of a study as arrays beside an index: how they are sized, dealt into folds
and loaded. ``cache`` makes them from the files.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from PIL import Image

from helpers import files, studies
from helpers.errors import StudyError
from helpers.schemas import EXTERNAL, IMAGES


@dataclass(frozen=True)
class Arrays:
    """A cached study. images, masks: uint8 (N, H, W), memory-mapped; index: a row an image.

    index has the columns of images.csv and height_px, width_px (of the file), pixel_row_mm and
    pixel_column_mm (sides of an array pixel, NaN where the spacing is unknown), pixel_mm (the side
    of a square pixel as large) and cv_fold (0 … folds − 1, or −1 where in none). Where a protocol
    keeps the aspect of images (``aspect: keep``), frame_top, frame_left, frame_height and
    frame_width say in which part of the array an image lies; the rest is neither learned from nor
    scored.
    """

    images: np.ndarray
    masks: np.ndarray
    index: pd.DataFrame

    def rows(self, fold: str, split: str) -> np.ndarray:
        """Positions of a split: 'train', 'val', 'test', 'external', in fold 'main', 'cv1', 'cv2', …

        In cross-validation fold k is the test set, the next fold (cyclically) the validation set.
        """
        if fold == "main":
            return np.flatnonzero(self.index["split"] == split)
        assigned, number = self.index["cv_fold"].to_numpy(), int(fold.removeprefix("cv")) - 1
        test, val = assigned == number, assigned == (number + 1) % (assigned.max() + 1)
        return np.flatnonzero(
            {"test": test, "val": val, "train": ~(test | val) & (assigned >= 0)}[split]
        )

    @property
    def padded(self) -> bool:
        """Whether images fill only a part of the arrays."""
        return FRAME[0] in self.index

    def frame(self, position: int) -> tuple[slice, slice]:
        """The part of an array in which the image lies, (rows, columns) as slices."""
        if not self.padded:
            return np.s_[:, :]
        top, left, height, width = (int(self.index[c].iloc[position]) for c in FRAME)
        return np.s_[top : top + height, left : left + width]

    def at(self, positions: np.ndarray) -> "Arrays":
        """The images at some positions alone, read into memory."""
        index = self.index.iloc[positions].reset_index(drop=True)
        return Arrays(np.array(self.images[positions]), np.array(self.masks[positions]), index)

    def inside(self, positions: np.ndarray | slice = np.s_[:]) -> np.ndarray:
        """Which pixels are of the image: bool (N, H, W)."""
        found = np.zeros(self.masks[positions].shape, bool)
        for part in framed(found, self.index.iloc[positions]):
            part[:] = True
        return found

    def shown(self, positions: np.ndarray | slice = np.s_[:]) -> list[np.ndarray]:
        """The images at some positions, without what lies beside them."""
        return framed(self.images[positions], self.index.iloc[positions])


#: columns of the index that say where in its array an image lies
FRAME = ["frame_top", "frame_left", "frame_height", "frame_width"]


def framed(stack: np.ndarray, index: pd.DataFrame) -> list[np.ndarray]:
    """Of each array of a stack (N, …, H, W) the part in which the image lies, as views. index: of
    ``Arrays``, a row an array.
    """
    if FRAME[0] not in index:
        return list(stack)
    places = index[FRAME].to_numpy(int)
    return [a[..., y : y + h, x : x + w] for a, (y, x, h, w) in zip(stack, places, strict=True)]


def resize_image(pixels: np.ndarray, size: int, aspect: str = "squash") -> np.ndarray:
    """uint8 (H, W) to (size, size), bilinear, with anti-aliasing where it shrinks. aspect: "keep"
    fills as much of it as the longer side does, black around.
    """
    return _fit(pixels, size, aspect, Image.Resampling.BILINEAR)


def resize_mask(mask: np.ndarray, size: int, aspect: str = "squash") -> np.ndarray:
    """Class indices uint8 (H, W) to (size, size), nearest neighbour, so that no class is
    invented; aspect as in ``resize_image``, background around.
    """
    return _fit(mask, size, aspect, Image.Resampling.NEAREST)


def frame(shape: tuple[int, ...], size: int, aspect: str = "squash") -> tuple[int, int, int, int]:
    """Where an image of `shape` (H, W) lies in an array of size × size: top, left, height, width.
    All of it, or with aspect "keep" in the middle, the longer side filled.
    """
    if aspect != "keep":
        return 0, 0, size, size
    height, width = (max(1, round(size * n / max(shape))) for n in shape)
    return (size - height) // 2, (size - width) // 2, height, width


def _fit(pixels: np.ndarray, size: int, aspect: str, how: Image.Resampling) -> np.ndarray:
    top, left, height, width = frame(pixels.shape, size, aspect)
    out = np.zeros((size, size), np.uint8)
    resized = Image.fromarray(pixels).resize((width, height), how)
    out[top : top + height, left : left + width] = np.asarray(resized)
    return out


def units(frame: pd.DataFrame) -> pd.Series:
    """What stays together where images are divided (text for every row): a patient's images; where
    patients are unknown the frames of a cine, which are of one; else each image alone.
    """
    cine = frame["image"].str.extract(r"^(.+)#\d+$", expand=False)
    return frame["patient_id"].fillna("file " + cine).fillna("image " + frame["image_id"])


def assign_folds(frame: pd.DataFrame, folds: int, seed: int) -> np.ndarray:
    """A fold 0 … folds − 1 for every row (int array), seeded; a patient's images stay together.

    Patients are shuffled, then each goes to the fold with the fewest images so far, so that
    folds differ by at most one patient's images. Rows without patient_id: as ``units`` says.
    """
    unit = units(frame)
    sizes = unit.value_counts().sort_index()
    if len(sizes) < folds:
        raise StudyError(
            f"cross-validation into {folds} folds needs {folds} patients or images, found"
            f" {len(sizes)}"
        )
    order = np.random.default_rng(seed).permutation(len(sizes))
    totals, chosen = np.zeros(folds, int), {}
    for name, size in sizes.iloc[order].items():
        chosen[name] = int(totals.argmin())
        totals[chosen[name]] += size
    return unit.map(chosen).to_numpy()


def folds(study: studies.Study, frame: pd.DataFrame) -> np.ndarray:
    """The fold of every row of a study's images, int (N,); −1 where in none."""
    found = np.full(len(frame), -1)
    if count := study.spec.get("cross_validation", {}).get("folds"):
        inside = frame["split"].to_numpy() != EXTERNAL
        found[inside] = assign_folds(frame[inside], count, study.split.get("seed", 0))
    return found


def spacing(index: pd.DataFrame) -> np.ndarray:
    """Height and width of every array pixel in mm, float (N, 2); NaN where unknown."""
    sides = [c if c in index else "pixel_mm" for c in ("pixel_row_mm", "pixel_column_mm")]
    return index[sides].to_numpy(float)


def load(study: studies.Study) -> Arrays:
    """The cached arrays of a study; StudyError where they are missing or of another size."""
    folder = study.run / "cache"
    if not (folder / "check.json").is_file():
        raise StudyError(
            f"{folder}: no checked images yet; run `make study STUDY={study.name}` first"
        )
    known = files.read_json(folder / "check.json")["sha256"]
    for name, digest in known.items():
        if not (folder / name).is_file() or files.known_sha256(folder / name) != digest:
            raise StudyError(
                f"{folder / name}: is not what was checked; run `make study STUDY={study.name}`,"
                " which makes it again"
            )
    images, masks = (np.load(folder / name, mmap_mode="r") for name in ("images.npy", "masks.npy"))
    texts = dict.fromkeys(set(IMAGES.columns) - {"pixel_spacing_mm"}, str)  # a file may be called 7
    index = files.read_csv(folder / "index.csv", dtype=texts)
    if images.shape[1] != study.spec["image_size"]:
        raise StudyError(
            f"{folder}: images of {images.shape[1]} px, protocol {study.protocol!r} wants"
            f" {study.spec['image_size']}; name the protocol that was run (-p protocol"
            f" {study.protocol},size={images.shape[1]},…), or run `make study STUDY={study.name}"
            f" PROTOCOL={study.protocol}`"
        )
    if (study.spec["aspect"] == "keep") != (FRAME[0] in index):
        raise StudyError(
            f"{folder}: made by a protocol of another `aspect`; run `make study STUDY={study.name}"
            f" PROTOCOL={study.protocol}`"
        )
    flat = index["height_px"] != index["width_px"]
    if "pixel_row_mm" not in index and (flat & index["pixel_mm"].notna()).any():
        raise StudyError(
            f"{folder}: made by an earlier version, which did not keep the height and width of"
            f" pixels apart; run `make study STUDY={study.name}` to make it again"
        )
    return Arrays(images, masks, index)
