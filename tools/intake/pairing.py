"""Which masks belong to which picture: by a form, by their names, or by what they refer to."""

import functools
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from helpers import readers
from helpers.errors import StudyError
from helpers.readers import united
from tools.intake import find, layouts, segmentations, several
from tools.intake.form import Form
from tools.intake.patterns import Places, matches, plain, stem
from tools.intake.split_words import split_of
from tools.intake.tables import natural, some

STACKS = (*find.VOLUMES, ".tif", ".tiff")
MOST_WORDS = 12  # structures of a set
FLAT = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")


@dataclass(frozen=True)
class Pair:
    """An image and its mask, relative to DATA with '/'; raters: name → mask of everyone who drew
    it; told: what the form's pattern read from the image's name; rule: by which several masks were
    united.
    """

    image_id: str
    image: str
    mask: str
    raters: dict
    told: dict = field(default_factory=dict, compare=False)
    rule: str = field(default="", compare=False)


def _near(image: str, mask: str) -> tuple[int, bool]:
    """How many folders, and words of them, a picture and a mask share; whether they lie together in
    a folder that is called as one of masks and holds pictures ('GT_01', a patient).
    """
    place, other = (file.rpartition("/")[0] for file in (image, mask))
    together = place == other and bool(find.MASK_FOLDER.match(place.rpartition("/")[2]))
    return len(find.said(place) & find.said(other)), together


def _not_of_others(ways: dict[str, list[str]]) -> dict[str, list[str]]:
    """image → masks called as it is, without those of other pictures by their folders:
    'masks/P2/1.png' is not of 'images/P1/1.png'. So it is where several pictures are called alike,
    and where P2 has pictures, or where the others share more of their folders with their masks.
    """
    said = {
        file: find.said(file.rpartition("/")[0]) for i, own in ways.items() for file in (i, *own)
    }
    told = set().union(*(said[image] for image in ways))
    alike = Counter(find.core(image) for image in ways)
    shared = Counter(max(len(said[i] & said[m]) for m in own) for i, own in ways.items() if own)
    usual = shared.most_common(1)[0][0] if shared else 0

    def another(image: str, mask: str) -> bool:
        one, other = said[image] - said[mask], said[mask] - said[image]
        fewer = len(said[image] & said[mask]) < usual
        return bool(alike[find.core(image)] > 1 and one and other and (fewer or other & told))

    return {image: [m for m in own if not another(image, m)] for image, own in ways.items()}


def pair(
    files: list[str], chosen: list[str], form: Form, data: Path | None = None
) -> tuple[list[Pair], list[find.Refused]]:
    """(pairs, refused): every image with its mask or masks, by the form's patterns or by their
    names; several are united by rule (``several``). A mask that would serve several images serves
    none.
    """
    told = {i: _told(i, form) for i in chosen}
    ids, places = find.identifiers(chosen), Places(files)
    shared = layouts.Shared(files, data) if data is not None else layouts.Shared((), None)
    where = _by_form(chosen, form, places, told) if form.masks else {}
    found = where or _by_name(files, chosen, shared, data)
    serving, refused = defaultdict(set), {}
    for image, drawn in found.items():
        for masks, _ in drawn.values():
            for mask in masks:
                serving[shared.linked(mask, image)].add(image)
    rules = _rules(found, form, data)
    pairs = []
    for image, drawn in found.items():
        cells, rule = {}, ""
        for rater, (masks, tried) in drawn.items():
            linked = [shared.linked(m, image) for m in masks]
            others = [i for m in linked for i in serving[m] if i != image]
            why, cell = _refusal(image, linked, tried, others, form, shared), None
            if sum("#" in mask for mask in linked) > 1:  # in two files of many pictures each
                why = why or _several(image, linked)
            elif not why and (len(linked) > 1 or rules[rater].is_structure(image, linked)):
                cell, rule = rules[rater].unite(image, linked)
                why = "" if cell else _several(image, linked)
            if rater == form.reference and why:
                refused[image] = find.Refused(image, why, tuple(linked))
            elif why and (masks or rater is None):
                refused.setdefault(image, find.Refused(image, why, tuple(linked)))
            elif linked:
                cells[rater] = cell or linked[0]
        if image not in refused:
            reference = cells.pop(form.reference)
            pairs.append(Pair(ids[image], image, reference, cells, told[image], rule))
    for rater in form.masks if isinstance(form.masks, dict) and pairs else ():
        if rater != form.reference and not any(rater in p.raters for p in pairs):
            tried = found[pairs[0].image][rater][1]
            raise StudyError(
                f"masks: no mask of rater {rater!r} was found, at {tried} or for any other picture;"
                " correct the template, or take the rater out of the form"
            )
    used = {m.partition("#")[0] for d in found.values() for masks, _ in d.values() for m in masks}
    return (
        [p for p in pairs if p.image not in used],  # of another picture: a mask and no picture
        [r for r in refused.values() if r.file not in used],
    )


def _by_form(chosen: list[str], form: Form, places: Places, told: dict[str, dict]) -> dict:
    """image → {rater: (masks, where they were looked for)}; rater None where one drew."""
    raters = form.masks if isinstance(form.masks, dict) else {None: form.masks}
    found = {}
    for image in chosen:
        found[image] = {}
        for rater, templates in raters.items():
            templates = (templates,) if isinstance(templates, str) else templates
            asked = [places.found(t, image, told[image]) for t in templates]
            masks = list(dict.fromkeys(m for masks, _ in asked for m in masks if m != image))
            tried = ", ".join(dict.fromkeys(where for _, where in asked))
            found[image][rater] = (sorted(masks, key=natural), tried)
    return found


def _by_name(
    files: list[str], chosen: list[str], shared: layouts.Shared, data: Path | None
) -> dict:
    """As ``_by_form``, by what the files are called and where they lie."""
    images, by_core, longer = set(chosen), defaultdict(list), defaultdict(list)
    masks = [f for f in files if readers.suffix(f) in find.MASKS and f not in images]
    names = {plain(stem(image)) for image in chosen}
    top = find.shared_levels(files)
    masks = [f for f in masks if not shared.is_one(f) and not find.derived(f, names, top)]
    texts = (".txt", ".xml", ".csv")  # label descriptions and tables lie beside masks too
    masks = [f for f in masks if readers.suffix(f) not in texts or shared.known.get(f)]
    cores = {find.core(i) for i in chosen}
    for mask in masks:
        by_core[find.core(mask)].append(mask)
        if find.core(mask) not in cores and (part := several.within(find.core(mask), cores)):
            longer[part].append(mask)
    found: dict[str, list[str]] = {}
    partly = set()  # of whose masks the name is more than its own
    ways = [
        _not_of_others({image: ask(image) for image in chosen})
        for ask in (
            lambda image: _named_alike(image, by_core),
            shared.of,
            lambda image: _named_alike(image, longer),
        )
    ]
    for image in chosen:
        own = next((way[image] for way in ways if way[image]), [])
        found[image] = [m for m in own if shared.readable(m)] or own
        partly |= {image} if own and own == ways[-1][image] else set()
    if len(partly) < sum(map(bool, found.values())) / 2:
        # 'P3_visit2.png' is not of 'P3.png' where 'P1.png' and 'P2.png' have masks called so
        found |= {image: [] for image in partly}
    _leave_to_the_nearest(found)
    found, sure = segmentations.first(found, [f for f in files if f not in images], data)
    for ask in (_in_folders, _beside, _numbered_alike):
        taken = sure.union(*found.values())
        more = ask(chosen, [m for m in masks if m not in taken])
        found |= {image: own for image, own in more.items() if not found[image]}
    return {image: {None: (own, "")} for image, own in found.items()}


def _leave_to_the_nearest(found: dict[str, list[str]]) -> None:
    """Of the pictures whose names one mask fits only those keep it that lie nearest to it: the
    pictures of 'test/' have none where 'train/1_mask.png' is beside 'train/1.png'.
    """
    nearest: dict[str, tuple[int, bool]] = defaultdict(lambda: (0, False))
    for image, own in found.items():
        for mask in own:
            nearest[mask] = max(nearest[mask], _near(image, mask))
    for image, own in found.items():
        found[image] = [m for m in own if _near(image, m) == nearest[m]]


def _in_folders(chosen: list[str], masks: list[str]) -> dict[str, list[str]]:
    """image → the masks that lie in a folder called as it is: 'masks/p1/2.png' of 'p1.dcm'."""

    def apart(file: str, name: str) -> frozenset:
        """The folders of a file that are not called so."""
        called = {plain(p) for p in PurePosixPath(file).parts[:-1] if find.core(p) == name}
        return frozenset(find.folders(file) - called)

    inside = defaultdict(list)
    for mask in masks:
        for name in {find.core(part) for part in PurePosixPath(mask).parts[:-1]}:
            inside[name, apart(mask, name)].append(mask)
    return {i: inside[find.core(i), apart(i, find.core(i))] for i in chosen}


def _numbered_alike(chosen: list[str], masks: list[str]) -> dict[str, list[str]]:
    """image → the one mask of the same folders that has its numbers and words, zeros in front of
    a number and words for pictures or masks left out: 'mask_001.png' of '1.png'. So are words of
    every picture where masks have none such, and of every mask where pictures have none:
    'mask_001.png' of 'bus_001.png', but 'right_1.png' is not of 'left_1.png'.
    """

    def tokens(file: str) -> list[str]:
        words = (t.lstrip("0") or "0" for t in several.TOKEN.findall(plain(stem(file))))
        only = (w for w in words if not re.fullmatch(find.MASK_WORD, w))
        return [w for w in only if not find.IMAGE_WORD.fullmatch(w)]

    sides = [{f: tokens(f) for f in files} for files in (chosen, masks)]
    everywhere = [
        {w for w in set.intersection(*map(set, side.values())) if w.isalpha()} if side else set()
        for side in sides
    ]
    extra = everywhere[0] ^ everywhere[1]
    if extra <= everywhere[0] or extra <= everywhere[1]:
        sides = [{f: [w for w in t if w not in extra] for f, t in s.items()} for s in sides]
    pictures, drawn = defaultdict(list), defaultdict(list)
    for side, by_key in zip(sides, (pictures, drawn), strict=True):
        for file, words in side.items():
            by_key[frozenset(find.folders(file)), tuple(words)].append(file)
    return {own[0]: drawn[k] for k, own in pictures.items() if len(own) == len(drawn[k]) == 1}


def _beside(chosen: list[str], masks: list[str]) -> dict[str, list[str]]:
    """image → the masks of its folder, where it is the only picture there: 'x/images/1.png' and all
    of 'x/masks'.
    """

    def home(file: str) -> tuple[str, ...]:
        parts = PurePosixPath(file).parts[:-1]
        return tuple(
            p for p in parts if not (find.IMAGE_FOLDER.match(p) or find.MASK_FOLDER.match(p))
        )

    pictures, drawn = defaultdict(list), defaultdict(list)
    for image in chosen:
        pictures[home(image)].append(image)
    for mask in masks:
        if readers.suffix(mask) in find.RASTERS:
            drawn[home(mask)].append(mask)
    alone = {own[0]: folder for folder, own in pictures.items() if folder and len(own) == 1}
    return {image: sorted(drawn[folder], key=natural) for image, folder in alone.items()}


def _rules(found: dict, form: Form, data: Path | None) -> dict[str | None, several.Rules]:
    """rater → ``several.Rules`` of its masks."""
    raters = list(next(iter(found.values()), {}))
    by_rater = {r: {i: drawn[r][0] for i, drawn in found.items()} for r in raters}
    words = re.compile(find.MASK_WORD)

    @functools.cache
    def one_value(mask: str) -> bool:
        return data is None or find.one_value(data / mask)

    return {r: several.Rules(m, form.classes, words, one_value) for r, m in by_rater.items()}


def _refusal(
    image: str, masks: list[str], tried: str, others: list[str], form: Form, shared: layouts.Shared
) -> str:
    """Why the masks found for an image cannot be its own, or ''."""
    if not masks and tried:
        whose = f"of the reference {form.reference!r} " if form.reference else ""
        return f"no mask {whose}found at {tried}; correct the key masks of the form"
    if told := shared.unread(masks):
        return told
    if not masks and readers.suffix(image) in find.VIDEOS:
        return (
            "a video without masks: outline its frames in a stack of as many slices (NIfTI, TIFF),"
            " or save the outlined frames as pictures"
        )
    if not masks:
        return (
            f"no mask found: no other file is called {stem(image)} or {stem(image)}_mask, and"
            " no COCO or VIA file names it; outline it, or write in the form where its mask"
            ' lies, such as masks: "masks/{stem}.png"'
        )
    if others and readers.suffix(masks[0]) in segmentations.ENDINGS:
        return (
            f"its segmentation {masks[0]} is of {len(set(others))} other pictures too; export one"
            " for each picture"
        )
    if others:
        return (
            f"its mask {masks[0]} would serve {len(set(others))} other pictures too"
            f" ({some(sorted(set(others), key=natural))}); say in the form which is whose, such as"
            f" {several.advice(image, masks)}"
        )
    if lossy := [m for m in masks if "#" not in m and readers.suffix(m) in (".jpg", ".jpeg")]:
        return (
            f"its mask {lossy[0]} is JPEG, whose losses smear the labels; export PNG. Of one"
            " structure they can be made black and white again: magick mask.jpg -threshold 50%"
            " mask.png"
        )
    return ""


def _told(image: str, form: Form) -> dict:
    return next((t for p in form.images if (t := matches(p, image)) is not None), {})


def _named_alike(image: str, by_core: dict) -> list[str]:
    """The masks whose names say that they belong to an image: those of the same folders first."""
    found = by_core.get(find.core(image), [])
    if not found and re.search(r"_0000$", find.core(image)):  # nnU-Net's first channel
        found = by_core.get(find.core(image).removesuffix("_0000"), [])
    if find.MASK_ENDING.search(stem(image)) or find.MASK_START.search(stem(image)):
        # 'Ann_1' and 'Seg_1' are people's, and no more than '1' without these words
        found = [f for f in found if plain(stem(f)) == plain(stem(image))] or found
    best = max((_near(image, f) for f in found), default=(0, False))
    return sorted((f for f in found if _near(image, f) == best), key=natural)


def _several(image: str, found: list[str]) -> str:
    listed = ", ".join(found[:6]) + (", …" if len(found) > 6 else "")
    one, other = (_template(image, mask) for mask in found[:2])
    return (
        f"{len(found)} masks could be its own: {listed}; they are neither numbered nor named after"
        f' the classes. Write in the form which counts, such as masks: "{one}", or, if several'
        f' people drew them, masks: {{anna: "{one}", ben: "{other}"}} and reference: anna'
    )


def _template(image: str, mask: str) -> str:
    """Where a mask of an image lies, as a form says it for all images."""
    file, mark, part = mask.partition("#")
    path = PurePosixPath(part if mark else file)
    name = path.name.replace(stem(image), "{stem}") if stem(image) in path.name else path.name
    text = str(path.with_name(name))
    return f"{file}#{text}" if mark else text


def called_apart(pairs: list[Pair]) -> list[str]:
    """The sentence, as a list, on single masks that are named after different things and were read
    as one: nobody would see that a nerve and an artery are the same structure here.
    """
    single = {p.image: p.mask for p in pairs if not p.raters and not set(p.mask) & set("{#")}
    images = {word for image in single for word in find.words(image.rpartition("/")[0])}
    mask_words, found = re.compile(find.MASK_WORD), defaultdict(list)
    for image, mask in single.items():
        own = sorted(find.words(mask.rpartition("/")[0]) - images)
        more = (t for t in several.rest(mask, image, mask_words) if t.isalpha())
        found[" ".join([*own, *more])].append(mask)
    # as many words as pictures are people's
    if len(single) < len(pairs) or not 1 < len(found) <= min(MOST_WORDS, len(pairs) / 2):
        return []
    listed = ", ".join(f"{word or 'nothing'} in {len(own)}" for word, own in found.items())
    return [
        f"The masks are named after different things ({listed}; {next(iter(found.values()))[0]},"
        f" …), and were read as if those did not matter. If they are structures, name those under"
        " classes in the form, such as classes: [{name: nerve}, {name: artery}]; if people drew"
        " them, keep one person's."
    ]


def folders_apart(pairs: list[Pair]) -> list[str]:
    """The sentence, as a list, on folders of pictures that have each a folder of masks called as it
    is ('apo_img' and 'apo_mask', 'fasc_img' and 'fasc_mask'): they may hold different structures.
    """
    found = defaultdict(list)
    for pair in pairs:
        places = [file.rpartition("/")[0].rpartition("/")[2] for file in (pair.image, pair.mask)]
        own, other = map(find.words, places)
        both = [len(find.WORDS.split(place)) > 1 for place in places]
        if own != other or not own or not all(both) or any(map(split_of, places)):
            return []
        found[" and ".join(places)].append(pair.image)
    if not 1 < len(found) <= MOST_WORDS or min(map(len, found.values())) < 2:
        return []
    first = next(iter(found.values()))[0].rpartition("/")[0]
    return [
        f"Pictures and masks lie in folders of their own ({'; '.join(found)}), and all masks were"
        " read as of the same structures. If each folder is of another structure, make a study of"
        f' each, with images: ["{first}/*"] in its form.'
    ]


def is_called_otherwise(pair: Pair) -> bool:
    """Whether nothing in the name of a single mask file is its picture's whole name."""
    image, mask = find.core(pair.image), find.core(pair.mask)
    within = several.within(mask, {image}) or several.within(image, {mask})
    return not (image == mask or within or set(pair.mask) & set("{#")) and (
        readers.suffix(pair.mask) in find.RASTERS
    )


def frames(
    pairs: list[Pair], data: Path, first: int | None = None
) -> tuple[list[Pair], list[find.Refused]]:
    """(pairs, refused): every cine replaced by its outlined frames, 'cine.dcm#7': those of a stack
    of as many slices, or those whose numbers its masks have in their names. Each file is on its
    own. first: the number of the first frame in names, or None where nobody says it.
    """
    result, refused = [], []
    cines = {pair.image: _by_frame(pair, data) for pair in pairs}
    numbers = [(n, count) for by_number, count in cines.values() for n in by_number]
    if first is None and numbers:
        lowest, past = min(numbers)[0] == 0, any(n == count for n, count in numbers)
        first = None if lowest == past else int(past)
    for pair in pairs:
        try:
            result += _frames(pair, data, *cines[pair.image], first)
        except find.ODD as error:
            refused.append(find.refusal(pair.image, error, data))
    return result, refused


def _frames(
    pair: Pair, data: Path, by_number: dict[int, str], count: int, first: int | None
) -> list[Pair]:
    if by_number and first is None:
        raise StudyError(
            f"{pair.image}: its masks name frames ({', '.join(map(str, sorted(by_number)))} of"
            f" {count}), but not whether they are counted from 0 or from 1; write in the form"
            " frames_from: 0, or 1"
        )
    if (
        by_number
        and not 0 <= min(by_number) - (first or 0) <= max(by_number) - (first or 0) < count
    ):
        raise StudyError(
            f"{pair.image}: its masks name the frames {', '.join(map(str, sorted(by_number)))}; it"
            f" holds {count}, counted from {first}"
        )
    cells = {n - (first or 0): cell for n, cell in by_number.items()}
    if not cells:
        cells = {k: f"{pair.mask}#{k}" for k, drawn in enumerate(stack(pair, data)) if drawn}
    if not cells and _is_colour(data / pair.image):
        return [replace(pair, image=f"{pair.image}#0")]
    rule = pair.rule if pair.rule != several.NUMBERED else ""
    return [
        Pair(f"{pair.image_id}_{k:03d}", f"{pair.image}#{k}", cell, {}, pair.told, rule)
        for k, cell in sorted(cells.items())
    ] or [pair]


def _is_colour(image: Path) -> bool:
    """Whether a volume holds one picture three times, as colour channels do (PSFHS)."""
    if readers.suffix(image) not in find.VOLUMES or readers.frame_count(image) != 3:
        return False
    frames = readers.read_frames(image)[0]
    return bool((frames == frames[0]).all())


def _by_frame(pair: Pair, data: Path) -> tuple[dict[int, str], int]:
    """({number: cell}, frames) of the masks of a cine that have each the number of a frame in their
    names beside its own; the dict is empty where they do not.
    """
    parts = united.parts(pair.mask) or [(Path(pair.mask), None)]
    image = data / pair.image
    flat = all(
        readers.suffix(file) in (*FLAT, ".json") and "#" not in str(file) for file, _ in parts
    )
    if pair.raters or not flat or readers.suffix(image) in FLAT:
        return {}, 0
    try:
        count = readers.frame_count(image)
    except find.ODD:
        return {}, 0  # which is said when it is read
    found: dict[int, list] = defaultdict(list)
    own = find.core(pair.image)
    for file, name in parts if count > 1 else ():
        called = find.core(str(file))
        told = called == own or several.within(called, {own})
        if not told and own not in {find.core(folder) for folder in file.parts[:-1]}:
            return {}, count
        rest = several.rest(str(file), pair.image if told else "", several.NOTHING)
        numbers = [t for t in rest if t.isdecimal()]
        if len(numbers) != 1:
            return {}, count
        found[int(numbers[0])].append((file.as_posix(), name))
    cells = {}
    for number, drawn in found.items():
        cell = united.written(drawn) if drawn[0][1] else drawn[0][0]
        if cell is None or (len(drawn) > 1 and not drawn[0][1]):
            return {}, count
        cells[number] = cell
    return cells, count


def all_changed(pairs: list[Pair], changes: Sequence[str]) -> tuple[list[Pair], list[find.Refused]]:
    """(pairs, refused): every mask changed on reading; each is on its own."""
    result, refused = [], []
    for pair in pairs:
        try:
            result.append(changed(pair, changes))
        except StudyError as error:
            refused.append(find.Refused(pair.image, str(error)))
    return result, refused


def changed(pair: Pair, changes: Sequence[str]) -> Pair:
    """A pair whose masks are changed on reading (``united.CHANGES``)."""
    if not changes:
        return pair
    raters = {rater: united.changed(mask, changes) for rater, mask in pair.raters.items()}
    return replace(pair, mask=united.changed(pair.mask, changes), raters=raters)


def stack(pair: Pair, data: Path | str) -> list[bool]:
    """Whether something is outlined on each frame of a cine whose mask is a stack of as many
    slices: list of bool; empty for every other pair.
    """
    image, mask = Path(data) / pair.image, Path(data) / pair.mask
    if pair.raters or readers.suffix(pair.mask) not in STACKS or readers.suffix(image) in FLAT:
        return []
    drawn = readers.marked(mask) if mask.is_file() else []
    count = readers.frame_count(image) if len(drawn) > 1 else 1
    if 1 < count != len(drawn):
        raise StudyError(
            f"{pair.image}: holds {count} frames, its mask {pair.mask} {len(drawn)} slices; outline"
            " a stack of as many slices as frames"
        )
    return drawn if count > 1 else []
