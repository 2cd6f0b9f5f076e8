"""Which saved figure a picture in a notebook is, and how the page shows it: the vector file, with
its downloads.
"""

import base64
import html
import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 48  # pixels a side of the thumbnails that are compared
WIDE = 400  # points; a wider figure keeps its size on a phone and scrolls
ALIKE = 6.0  # mean grey-level difference up to which two thumbnails are one figure


def thumbnail(file):
    """A picture as float32 (SIDE, SIDE) grey levels on white, and its width over height."""
    with Image.open(file) as image:
        ratio = image.width / image.height
        rgba = image.convert("RGBA")
        paper = Image.new("RGBA", rgba.size, "white")
        grey = Image.alpha_composite(paper, rgba).convert("L")
        return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32), ratio


@dataclass(frozen=True)
class Figures:
    """The figures that a notebook saved: name → (thumbnail, ratio), and the folder with their SVG
    and PNG files.
    """

    folder: Path
    thumbnails: dict

    @classmethod
    def of(cls, study, files):
        """From the files of a notebook's record."""
        folder = study.run / "figures"
        names = [Path(f).stem for f in files if f.endswith(".svg")]
        return cls(
            folder,
            {n: thumbnail(folder / f"{n}.png") for n in names if (folder / f"{n}.png").is_file()},
        )

    def match(self, data):
        """Name of the saved figure that a notebook's PNG (base64) shows, or None."""
        picture, ratio = thumbnail(io.BytesIO(base64.b64decode(data)))
        best, name = ALIKE, None
        for candidate, (saved, its_ratio) in self.thumbnails.items():
            difference = float(np.abs(saved - picture).mean())
            if abs(its_ratio / ratio - 1) < 0.05 and difference < best:
                best, name = difference, candidate
        return name

    def figure(self, name, section, notebook):
        """HTML of a figure: the SVG, a text for those who cannot see it, downloads and the
        notebook.
        """
        svg = (self.folder / f"{name}.svg").read_text(encoding="utf-8")
        words = [html.unescape(t).strip() for t in re.findall(r"<text\b[^>]*>([^<]*)</text>", svg)]
        titles = [w for w in dict.fromkeys(words) if len(w) > 12][:3]
        size = re.search(r'<svg\b[^>]*?\bwidth="([\d.]+)pt"', svg)
        wide = " study-wide" if size and float(size[1]) > WIDE else ""
        alt = html.escape(". ".join([section, *titles]), quote=True)
        return (
            f'<figure class="study-figure{wide}"><a href="figures/{name}.svg">'
            f'<img src="figures/{name}.svg" alt="{alt}"></a>'
            f'<figcaption class="study-files"><a href="figures/{name}.png" download>PNG</a> '
            f'<a href="figures/{name}.svg" download>SVG</a> · '
            f'made by <a href="#origin">{html.escape(notebook)}</a></figcaption></figure>'
        )
