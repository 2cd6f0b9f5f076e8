"""Several masks of one picture: by which rule they are its parts, or why they are not.

Lesions are numbered (``a_mask.png``, ``a_mask_1.png``), structures are named, by an end or a start
of the name or by a folder (``a_nerve.png``, ``nerve/a.png``). What fits neither rule, such as the
drawings of two people, is nobody's to unite.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath

from helpers.readers import united
from helpers.studies import Class
from tools.intake.patterns import plain, stem

#: a word, a number, or letters behind digits as in '9e1f', which no one wrote and which counts as a
#: number
TOKEN = re.compile(r"[^\W_]*\d[^\W\d_][^\W_]*|[^\W\d_]+|\d+")
BREAK = re.compile(r"(?<=[^\W_])[ _.()-]+(?=[^\W_(])")
NOTHING = re.compile(r"(?!)")  # matches no word
NUMBERED = "they differ by a number"
NAMED = "each is one structure, by its name or folder"


def within(name: str, others: set[str]) -> str | None:
    """The longest other name that a name begins or ends with, such as 'p1' of 'p1_nerve', or
    None; all as ``find.core`` gives them.
    """
    breaks = list(BREAK.finditer(name))
    starts = [name[: b.start()] for b in reversed(breaks)]
    ends = [name[b.end() :] for b in breaks]
    return next(
        (part for part in sorted(starts + ends, key=len, reverse=True) if part in others), None
    )


def rest(mask: str, image: str, mask_words: re.Pattern) -> list[str]:
    """The words and numbers (list) that a mask's name has beyond its picture's."""
    left = TOKEN.findall(plain(stem(mask)))
    for token in TOKEN.findall(plain(stem(image))):
        if token in left:
            left.remove(token)
    return [t for t in left if not mask_words.fullmatch(t)]


def folders(masks: list[str]) -> dict:
    """The folders by which masks of one picture differ: mask → (words)."""
    parts = {m: [plain(p) for p in PurePosixPath(m).parts[:-1]] for m in masks}
    common = set.intersection(*map(set, parts.values())) if parts else set()
    return {m: tuple(p for p in own if p not in common) for m, own in parts.items()}


def own_folders(mask: str, image: str, mask_words: re.Pattern) -> list[str]:
    """The words of the folders of a mask that its picture does not lie in."""
    there = {plain(p) for p in PurePosixPath(image).parts[:-1]}
    parts = [plain(p) for p in PurePosixPath(mask).parts[:-1]]
    left = [p for p in parts if p not in there and not mask_words.fullmatch(p)]
    return TOKEN.findall(" ".join(left))


class Rules:
    """How the masks of a folder belong together.

    found: image → its masks; classes: those of the form, or None where the names of the files tell
    them, all together. mask_words: a pattern of what only says that a file is a mask; one_value:
    whether a mask holds a single value, as that of one structure does.
    """

    def __init__(
        self,
        found: dict[str, list[str]],
        classes: Sequence[Class] | None,
        mask_words: re.Pattern,
        one_value: Callable[[str], bool] = lambda mask: True,
    ) -> None:
        self.mask_words, self.one_value, self.known = mask_words, one_value, {}
        for c in classes[1:] if classes else ():
            labels = [label for label in (c.name, c.title, *c.labels) if not label.isdecimal()]
            self.known |= {_joined(TOKEN.findall(plain(label))): c.name for label in labels}
        #: words of folders by which masks of some picture differ, so that they tell of each
        self.telling = {
            word
            for image, masks in found.items()
            for own in folders(masks).values()
            for part in own
            if (word := _joined(self._beyond(part, image)))
        }
        seen = defaultdict(set)
        for image, masks in found.items():
            for word, _ in self._told(image, masks).values():
                seen[word].add(image)
        #: whether some picture has several masks, or a form's classes stand in the names of single
        #: ones, so that a single one may be a part too
        self.each_own = any(len(masks) > 1 for masks in found.values())
        if classes and not self.each_own:
            named = [self.structures(image, masks) for image, masks in found.items()]
            several = len({c for own in named for c in own.values()} - {None}) > 1
            self.each_own = several and all(one_value(m) for own in found.values() for m in own)
        often = {word for word, images in seen.items() if word and len(images) > 1}
        if not classes and self.each_own and len(often) > 1:
            self.known = {word: word for word in often}

    def _told(self, image: str, masks: list[str]) -> dict:
        """Mask → (the words, the words with the numbers) by which it differs."""
        told = {}
        for mask in masks:
            parts = (self._beyond(plain(p), image) for p in PurePosixPath(mask).parts[:-1])
            tokens = [t for part in parts if _joined(part) in self.telling for t in part]
            tokens = _once(tokens + rest(mask, image, self.mask_words))
            told[mask] = _joined(t for t in tokens if not _number(t)), _joined(tokens)
        return told

    def _beyond(self, folder: str, image: str) -> list[str]:
        """The words and numbers of a folder beyond its picture's name: 'nerve' of 'p1_nerve'."""
        own = TOKEN.findall(plain(stem(image)))
        tokens = [t for t in TOKEN.findall(folder) if not self.mask_words.fullmatch(t)]
        return [t for t in tokens if t not in own] if set(own) <= set(tokens) else tokens

    def structures(self, image: str, masks: list[str]) -> dict:
        """Mask → the structure that it is, or None where its name does not say it."""
        told = self._told(image, masks).items()
        found = {m: self.known.get(full) or self.known.get(word) for m, (word, full) in told}
        if len(masks) == 1 and not found[masks[0]]:
            # 'nerve/1.png' where others have 'artery/1.png', 'left/1_nerve.png' …
            folders = own_folders(masks[0], image, self.mask_words)
            both = _once(folders + rest(masks[0], image, self.mask_words))
            found = {masks[0]: self.known.get(_joined(folders)) or self.known.get(_joined(both))}
        return found

    def is_structure(self, image: str, masks: list[str]) -> bool:
        """Whether a single mask is one of several structures that have a file each."""
        told = self.each_own and bool(masks) and all(self.structures(image, masks).values())
        return told and all(map(self.one_value, masks))

    def unite(self, image: str, masks: list[str]) -> tuple[str | None, str]:
        """(cell of the manifest, rule), or (None, '') where no rule fits."""
        told, named = self._told(image, masks), self.structures(image, masks)
        different = len(set(told.values())) == len(masks)
        if all(named.values()) and different and all(map(self.one_value, masks)):
            return united.written(list(named.items())), NAMED
        if different and len({word for word, _ in told.values()}) == 1:
            return united.written([(m, None) for m in masks]), NUMBERED
        return None, ""


def _number(token: str) -> bool:
    return any(letter.isdigit() for letter in token)


def _once(tokens: list[str]) -> list[str]:
    """Without a word that stands there already: 'nerve/1_nerve.png' is of a nerve."""
    return [t for k, t in enumerate(tokens) if _number(t) or t not in tokens[:k]]


def _joined(tokens: Iterable[str]) -> str:
    return "_".join(tokens)


def advice(image: str, masks: list[str]) -> str:
    """The lines of a form for masks that would serve several pictures or are several, as text."""
    parts = PurePosixPath(image).parts
    own = next((m for m in masks for p in parts[:-1] if p in PurePosixPath(m).parts[:-1]), None)
    shared = [p for p in parts[:-1] if own and p in PurePosixPath(own).parts[:-1]]
    if own and shared and plain(stem(own)) == plain(stem(image)):
        return f'images: ["{_pattern(image, shared[-1])}"] and masks: "{_pattern(own, shared[-1])}"'
    path = PurePosixPath(image)
    return (
        f'images: ["{path.parent}/*{path.suffix}"] if no other folder holds pictures, else images:'
        ' ["images/{patient}/{frame}.png"] and masks: "masks/{patient}/{frame}.png", with the'
        " folders as they are called here"
    )


def _pattern(file: str, patient: str) -> str:
    path = PurePosixPath(file)
    folders = ["{patient}" if part == patient else part for part in path.parts[:-1]]
    return "/".join([*folders, "{stem}" + path.name[len(stem(file)) :]])
