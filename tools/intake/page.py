"""The intake page: what was found, refused and why, and the pictures a person should look at
first.
"""

import base64
import html
import io
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from helpers.studies import Class
from tools.intake.check import Record
from tools.intake.find import Refused

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.2rem }
table { border-collapse: collapse; margin: .6rem 0 } th, td { text-align: left; padding: .25rem .9rem .25rem 0;
border-bottom: 1px solid #ddd; vertical-align: top } .number { text-align: right }
.sheet { display: flex; flex-wrap: wrap; gap: .8rem } .pair { display: flex; gap: .3rem }
figure { margin: 0; width: 11.5rem; font-size: .8rem }
figure img { width: 100%; image-rendering: auto; background: #000 }
.key span { display: inline-block; margin-right: 1rem }
.key i { display: inline-block; width: .9em; height: .9em; margin-right: .35em; vertical-align: -.1em }
.note { background: #fff7e0; border-left: 4px solid #e69f00; padding: .5rem .9rem }
"""


def outlined(picture: np.ndarray, drawn: np.ndarray, classes: Sequence[Class]) -> np.ndarray:
    """The grey thumbnail with every structure's outline in its colour: uint8 (H, W, 3)."""
    rgb = np.repeat(picture[..., None], 3, 2)
    for c in classes[1:]:
        area = np.pad(drawn == c.index, 1)
        inner = area[:-2, 1:-1] & area[2:, 1:-1] & area[1:-1, :-2] & area[1:-1, 2:]
        rgb[area[1:-1, 1:-1] & ~inner] = list(bytes.fromhex(c.colour[1:]))
    return rgb


def embedded(rgb: np.ndarray) -> str:
    """An array as a data address (JPEG), so that the page needs no other file."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def figure(record: Record, classes: Sequence[Class], caption: str) -> str:
    source = embedded(outlined(record.picture, record.drawn, classes))
    text = html.escape(caption)
    return f'<figure><img src="{source}" alt="{text}"><figcaption>{text}</figcaption></figure>'


def table(rows: Iterable[Sequence], head: list[str]) -> str:
    """An HTML table; rows of text and numbers."""
    cells = ["<tr>" + "".join(f"<th>{html.escape(h)}</th>" for h in head) + "</tr>"]
    for row in rows:
        kinds = [' class="number"' if isinstance(v, int | float) else "" for v in row]
        cells.append(
            "<tr>"
            + "".join(f"<td{k}>{html.escape(str(v))}</td>" for k, v in zip(kinds, row, strict=True))
            + "</tr>"
        )
    return "<table>" + "".join(cells) + "</table>"


def listed(sentences: list[str]) -> str:
    return "<ul>" + "".join(f"<li>{html.escape(one)}</li>" for one in sentences) + "</ul>"


def key(classes: Sequence[Class]) -> str:
    return (
        '<p class="key">'
        + "".join(
            f'<span><i style="background:{c.colour}"></i>{html.escape(c.title)}</span>'
            for c in classes[1:]
        )
        + "</p>"
    )


def render(
    name: str,
    summary: Sequence[tuple],
    doubts: list[str],
    assumed: list[str],
    refused: list[Refused],
    suspects: Sequence[tuple],
    excluded: dict,
    sheet: list[Record],
    splits: Sequence[tuple],
    classes: Sequence[Class],
    next_step: str,
    rest: Sequence[tuple] = (),
) -> str:
    """The whole page as text. summary: [(what, number)]; doubts, assumed: sentences; refused:
    [Refused]; suspects: [(Record, Record or None, reason)]; excluded: image_id → reason; sheet:
    [Record]; splits: [(split, patients, images)]; rest: [(what, why, files, an example)] of files
    that were not used.
    """
    parts = [
        f"<h1>Intake of {html.escape(name)}</h1>",
        f'<p class="note">{html.escape(next_step)}</p>',
    ]
    parts.append(f"<h2>Look at these first ({len(doubts) + len(suspects)})</h2>")
    parts.append(listed(doubts) if doubts else "")
    parts.append(
        key(classes) + '<div class="sheet">' if suspects else "<p>No picture stood out.</p>"
    )
    for record, other, reason in suspects[:60]:
        both = figure(record, classes, f"{record.pair.image_id}: {reason}")
        if other is not None:
            both += figure(other, classes, f"{other.pair.image_id}, for comparison")
        parts.append(f'<div class="pair">{both}</div>')
    parts.append("</div>" if suspects else "")
    if len(suspects) > 60:
        more = [(r.pair.image_id, reason) for r, _, reason in suspects[60:]]
        parts.append(table(more, ["image", "why"]))
    parts += ["<h2>What was found</h2>", table(summary, ["", "number"])]
    if assumed:
        parts += ["<h2>What was assumed</h2>", listed(assumed)]
    parts.append(f"<h2>Refused ({len(refused)})</h2>")
    parts.append(
        table([(r.file, r.reason) for r in refused], ["file", "why, and what to do"])
        if refused
        else "<p>No file.</p>"
    )
    if rest:
        parts += ["<h2>Other files</h2>", table(rest, ["what", "why", "files", "for example"])]
    parts.append(f"<h2>Excluded ({len(excluded)})</h2>")
    parts.append(
        table(sorted(excluded.items()), ["image", "reason"]) if excluded else "<p>No image.</p>"
    )
    if splits:
        parts += ["<h2>Splits</h2>", table(splits, ["split", "patients", "images"])]
    parts.append("<h2>Contact sheet</h2>" + key(classes) + '<div class="sheet">')
    parts += [figure(r, classes, f"{r.pair.image_id} · {r.size[1]}×{r.size[0]}") for r in sheet]
    parts.append("</div>")
    body = "\n".join(parts)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Intake of'
        f" {html.escape(name)}</title><style>{STYLE}</style></head><body>{body}</body></html>\n"
    )
