"""Patterns of a form: which files are meant, and where the mask of an image lies.

A pattern is anchored at the DATA folder: ``*.png`` are the pictures at its top, ``**/*.png`` those
at any depth. ``{stem}``, ``{patient}``, ``{frame}`` and ``{class}`` stand for a part of a name and
carry it from the pattern of the images to that of the masks. Letters' case, and the two ways in
which systems store an umlaut, make no difference.
"""

import re
import unicodedata
from pathlib import PurePosixPath
from typing import Any

from helpers import readers

TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|\[[^]/]+\]|\{(\w+)\}")
NAMES = ("stem", "patient", "frame", "class")


def plain(text: object) -> str:
    """A path as it is compared: composed letters, lower case, '/' between folders."""
    return unicodedata.normalize("NFC", str(text)).replace("\\", "/").removeprefix("./").casefold()


def stem(path: str) -> str:
    """File name without its ending ('.nii.gz' and '.seg.nrrd' are one)."""
    name = PurePosixPath(path).name
    end = readers.suffix(name)
    if end == ".nrrd" and name.lower().endswith(".seg.nrrd"):
        end = ".seg.nrrd"
    return name[: len(name) - len(end)] if end else name


def compiled(pattern: str, known: Any = ()) -> re.Pattern:
    """A pattern as a regular expression on ``plain`` paths; known: parts that are already told."""
    known, parts, end, seen = dict(known), [], 0, set()
    pattern = plain(pattern)
    for token in TOKEN.finditer(pattern):
        parts.append(re.escape(pattern[end : token.start()]))
        end, name = token.end(), token[1]
        if name in known:
            parts.append(re.escape(plain(known[name])))
        elif name in seen:
            parts.append(f"(?P={name})")
        elif name in NAMES:
            parts.append(f"(?P<{name}>[^/]+?)")
            seen.add(name)
        elif name:
            parts.append(re.escape(token[0]))
        else:
            parts.append(
                {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(token[0], token[0])
            )
    return re.compile("".join(parts) + re.escape(pattern[end:]))


def matches(pattern: str, file: str) -> dict | None:
    """The named parts of a file that a pattern means (dict, as the file writes them), or None."""
    found = compiled(pattern).fullmatch(plain(file))
    if not found:
        return None
    written = unicodedata.normalize("NFC", str(file))
    whole = len(written) == len(plain(file))  # 'ß' and its like change length when folded
    return {n: written[slice(*found.span(n))] if whole else found[n] for n in found.groupdict()}


class Places:
    """Finds the files that the template of a mask means for one image."""

    def __init__(self, files: list[str]) -> None:
        self.files, self.folders = {}, {}
        for file in files:
            self.files.setdefault(plain(file), []).append(file)
            self.folders.setdefault(plain(PurePosixPath(file).parent), []).append(file)

    def found(self, template: str, image: str, told: Any = ()) -> tuple[list[str], str]:
        """(files, where) of a template for an image; where: the template as filled in, for
        messages. A part after '#' (the picture's name in a file of many) is kept on each.
        """
        path = PurePosixPath(image)
        if path.parent == PurePosixPath():
            template = template.replace("{folder}/", "")
        if len(path.parts) < 3:
            template = template.replace("{up}/", "")
        known = {
            "stem": stem(image),
            "name": path.name,
            "folder": str(path.parent),
            "up": str(path.parent.parent),
        } | dict(told)
        template, mark, part = template.partition("#")
        where = _filled(template, known)
        tail = mark + _filled(part, known)
        exact = self.files.get(plain(where), [])
        if exact:
            chosen = [f for f in exact if f == where] or exact
        elif re.search(r"[*?{]", where):
            folder = plain(PurePosixPath(where).parent)
            pool = (
                self.folders.get(folder, ())
                if not re.search(r"[*?{\[]", folder)
                else [f for files in self.files.values() for f in files]
            )
            wanted = compiled(template, known)
            chosen = [f for f in pool if wanted.fullmatch(plain(f))]
        else:
            chosen = []
        return [f + tail for f in chosen], where + tail


def _filled(template: str, known: dict[str, str]) -> str:
    text = re.sub(r"\{(\w+)\}", lambda m: str(known.get(m[1], m[0])), template)
    return str(PurePosixPath(text)) if text else ""
