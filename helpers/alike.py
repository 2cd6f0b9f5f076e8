"""Which images look alike: perceptual hashes of all, and the fine detail of pairs."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import imagehash
import numpy as np
from PIL import Image
from scipy import ndimage

#: side and bits of a hash
SIDE, BITS = 16, 256


def hashes(images: Sequence[np.ndarray]) -> np.ndarray:
    """Perceptual hash (DCT) of every image, N of uint8 (H, W) → bool (N, 256)."""
    found = np.empty((len(images), BITS), bool)
    for number, image in enumerate(images):
        picture = Image.fromarray(np.asarray(image))
        found[number] = imagehash.phash(picture, SIDE).hash.ravel()
    return found


def pairs_within(bits: np.ndarray, threshold: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every two hashes that differ in at most threshold bits, closest first: first, second and
    distance (int arrays; first < second). bits: bool (N, 256).

    Exact: all are compared, each with those after it. At 40 of 256 bits an index cannot leave out
    comparisons (41 bands of 6 bits would propose two of three pairs), while a comparison costs a
    few nanoseconds.
    """
    words = np.ascontiguousarray(np.packbits(bits, axis=1).view(np.uint64).T)

    def later(one: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        differ = [np.bitwise_count(word[one + 1 :] ^ word[one]) for word in words]
        bits = np.asarray(np.sum(differ, axis=0, dtype=np.uint16))
        near = np.flatnonzero(bits <= threshold)
        return np.full(len(near), one), one + 1 + near, bits[near].astype(int)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(later, range(words.shape[1])))
    nothing = (np.empty(0, int),) * 3
    first, second, distance = map(np.concatenate, zip(nothing, *found, strict=True))
    order = np.lexsort((second, first, distance))
    return first[order], second[order], distance[order]


def details(images: Sequence[np.ndarray]) -> np.ndarray:
    """Fine structure of every image, unit vectors float32 (N, 4096): 64 × 64 px less its blur."""
    small = (Image.fromarray(np.asarray(i)).resize((64, 64), Image.Resampling.BOX) for i in images)
    fine = np.stack([np.asarray(i, np.float32) for i in small])
    fine -= ndimage.gaussian_filter(fine, (0, 2, 2))
    fine = fine.reshape(len(fine), -1) - fine.mean((1, 2))[:, None]
    return fine / np.maximum(np.linalg.norm(fine, axis=1, keepdims=True), 1e-9)


def agreement(images: Sequence[np.ndarray], first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlation of the fine structure of pairs of images, float32; a few thousand at a time."""
    found = np.zeros(len(first), np.float32)
    order = np.lexsort((second, first))  # pairs of one image come together
    for start in range(0, len(order), 2048):
        part = order[start : start + 2048]
        used, where = np.unique(np.concatenate([first[part], second[part]]), return_inverse=True)
        fine = details([images[k] for k in used])
        one, other = np.split(where, 2)
        found[part] = (fine[one] * fine[other]).sum(1)
    return found
