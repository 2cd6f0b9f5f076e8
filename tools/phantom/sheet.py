"""A contact sheet: patients from the leanest to the heaviest, each as scanned and with its
structures outlined.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion

from helpers import studies
from tools.phantom.cohort import Person, persons
from tools.phantom.recipes import draw, people
from tools.phantom.write import save

TILE, COLUMNS, ROWS, CAPTION = 168, 5, 2, 18
TINT = 0.25


def outlined(
    pixels: np.ndarray, mask: np.ndarray, colours: Sequence[tuple[int, ...]]
) -> np.ndarray:
    """RGB (H, W, 3) uint8 of a picture with the rim of every class k ≥ 1 in colours[k] over a light
    tint.
    """
    rgb = np.repeat(pixels[:, :, None], 3, axis=2).astype(float)
    for number in range(1, len(colours)):
        inside = mask == number
        rim = inside & ~binary_erosion(inside, iterations=2)
        rgb[inside] = (1 - TINT) * rgb[inside] + TINT * np.array(colours[number])
        rgb[rim] = colours[number]
    return rgb.astype(np.uint8)


def palette(colours: Sequence[tuple[int, ...]]) -> Image.Image:
    """Greys, and every class's colour pure and as a tint of them: few colours, so that the file
    stays small.
    """
    greys = np.linspace(0, 255, 36)[:, None].repeat(3, axis=1)
    tints = [(1 - TINT) * greys[::2] + TINT * np.array(c) for c in colours[1:]]
    entries = np.concatenate([greys, *tints, np.array(colours[1:])]).round().astype(int)
    out = Image.new("P", (1, 1))
    out.putpalette(entries.ravel().tolist())
    return out


def chosen(everyone: tuple[Person, ...], how_many: int) -> list[Person]:
    """Patients evenly spread over the body mass index, in its order."""
    ordered = sorted(everyone, key=lambda p: (p.bmi_kg_m2, p.patient_id))
    return [ordered[i] for i in np.linspace(0, len(ordered) - 1, how_many).round().astype(int)]


def contact_sheet(study: str, path: Path) -> None:
    """Write a palette PNG: ROWS × COLUMNS patients, the picture above, its outlined copy below."""
    colours = [ImageColor.getrgb(c.colour) for c in studies.load(study).classes]
    height = 2 * TILE + CAPTION
    sheet = Image.new("RGB", (COLUMNS * TILE, ROWS * height))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for number, person in enumerate(chosen(persons(people(study)), ROWS * COLUMNS)):
        picture = draw(study, person, 1)
        x, y = number % COLUMNS * TILE, number // COLUMNS * height
        plain = Image.fromarray(picture.pixels).resize((TILE, TILE), Image.Resampling.LANCZOS)
        marked = Image.fromarray(outlined(picture.pixels, picture.masks["consensus"], colours))
        sheet.paste(plain.convert("RGB"), (x, y + CAPTION))
        sheet.paste(marked.resize((TILE, TILE), Image.Resampling.LANCZOS), (x, y + CAPTION + TILE))
        words = f"{person.sex}, {person.age_years:.0f} y, BMI {person.bmi_kg_m2:.1f}"
        pen.text((x + 6, y + 3), words, fill=(225, 225, 225), font=font)
    buffer = io.BytesIO()
    few = sheet.quantize(palette=palette(colours), dither=Image.Dither.NONE)
    few.save(buffer, "PNG", optimize=True)
    save(path, buffer.getvalue())
