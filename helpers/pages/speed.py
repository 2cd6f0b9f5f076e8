"""Page 7, how fast is it and what does it cost: sentences and tables as functions of frames."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from helpers import datasets, figures, studies
from helpers.analyses import speed
from helpers.errors import NotComputable
from helpers.papers import MODELS

#: width of U-Net++'s first level, of which the papers do not say which they took
WIDTHS = (32, 64)
TRUSTED = 0.25  # real and random images are computed alike: a larger difference in speed is no fact
#: column of the measurements → as the table has it; the others follow as they are
SHOWN = {
    "model": "model",
    "fps": "fps",
    "ms_median": "ms_an_image",
    "ms_q25": "ms_an_image_low",
    "ms_q75": "ms_an_image_high",
    "ms_p95": "ms_an_image_p95",
    "ms_p99": "ms_an_image_p99",
    "data": "data",
    "batch": "images_at_a_time",
}
PRINTED = "Paper, here: images a second. Ratio: to {label}; 1 is as fast."


def label(name: str) -> str:
    """How a network is written."""
    return figures.model_label(name)


def cost_table(costs: pd.DataFrame) -> pd.DataFrame:
    """The costs with parameters in millions. costs: of ``speed.costs``."""
    table = costs.copy()
    table.insert(2, "parameters (million)", table.pop("parameters") / 1e6)
    return table


def at_size(costs: pd.DataFrame, size: int) -> pd.DataFrame:
    """The costs at one side by network: columns millions, GMACs."""
    own = costs[costs["size_px"] == size].set_index("model")
    return own.assign(millions=own["parameters"] / 1e6)[["millions", "GMACs"]]


def costs_in_words(at: pd.DataFrame, head: str, size: int) -> str:
    """Parameters and arithmetic of the headline network beside the others'; at: ``at_size``."""
    return (
        f"**Fewer parameters?** {label(head)} has {at['millions'][head]:.1f} million"
        f"{_against(at['millions'], head)}.\n\n"
        f"**Less arithmetic?** An image of {size} × {size} pixels takes {label(head)}"
        f" {at['GMACs'][head]:.1f} billion multiply-adds{_against(at['GMACs'], head)}."
    )


def _against(values: pd.Series, head: str) -> str:
    """': fewer than A (2.0); more than B (1.0)', '' where there is one network."""
    others, own = values.drop(head), values[head]
    groups = {"fewer than": others[others > own], "more than": others[others < own]}
    groups["as many as"] = others[others == own]
    parts = [
        f"{word} " + ", ".join(f"{label(n)} ({v:.1f})" for n, v in group.items())
        for word, group in groups.items()
        if len(group)
    ]
    return f": {'; '.join(parts)}" if parts else ""


def claim_in_words(at: pd.DataFrame, study: studies.Study) -> str:
    """What becomes of the Q-VUM paper's claim about parameters, Markdown ('' for other papers)."""
    if study.paper != "qvum2024" or not {"unet", "qvum"} <= set(at.index):
        return ""
    plain, wide = (
        speed.cost("unetpp", 3, len(study.classes), 64, width=w)["parameters"] / 1e6 for w in WIDTHS
    )
    holds = "holds" if at["millions"]["qvum"] < at["millions"]["unet"] else "does not hold"
    return (
        f'The paper claims fewer parameters than U-Net and "Detailed-UNet". For U-Net this {holds}.'
        f" U-Net++ is in use in two widths, with {plain:.1f} and {wide:.1f} million; the paper does"
        " not say which one it took."
    )


def real_images(arrays: datasets.Arrays, size: int) -> list[np.ndarray]:
    """The first images of the study at one side, list of uint8 (size, size)."""
    return [datasets.resize_image(np.asarray(image), size) for image in arrays.images[:8]]


def speed_table(timed: pd.DataFrame) -> pd.DataFrame:
    """The measurements as they are shown and kept. timed: of ``speed.compare``."""
    names = SHOWN | {c: c for c in timed if c not in SHOWN}
    return timed[list(names)].rename(columns=names)


def speed_note(known: list[tuple[str, str]]) -> str:
    """What was timed, on what. known: of ``speed.devices``."""
    return f"{speed.TIMED} Devices: {'; '.join(f'{name} is {words}' for name, words in known)}."


def live(timed: pd.DataFrame, device: str | None = None) -> pd.DataFrame:
    """One real image at a time on one device (None: the first): a row a network, by network."""
    device = device or timed["device"].iloc[0]
    own = timed[(timed["device"] == device) & (timed["data"] == "real") & ~timed["compiled"]]
    return own[own["batch"] == 1].set_index("model")


def speeds_in_words(timed: pd.DataFrame, known: list[tuple[str, str]], study: studies.Study) -> str:
    """Who is fastest on each device, and whether the timing can be trusted, Markdown.

    timed: of ``speed.compare``; known: of ``speed.devices``.
    """
    return "\n\n".join(
        text for device, words in known for text in _device_in_words(timed, device, words, study)
    )


def _device_in_words(
    timed: pd.DataFrame, device: str, words: str, study: studies.Study
) -> Iterator[str]:
    own = timed[(timed["device"] == device) & ~timed["compiled"]]
    fps = live(timed, device)["fps"].sort_values(ascending=False)
    if fps.empty:
        return
    size, precision = own["size_px"].iloc[0], own["precision"].iloc[0]
    head = study.headline
    listed = ", ".join(f"{label(n)} {fps[n]:.1f}" for n in fps.index)
    text = (
        f"**How fast?** On {words}, in {precision} (the precision that the results were scored"
        f" in), one image of {size} × {size} pixels at a time, images a second: {listed}."
    )
    gap = _gap(timed, device)
    if len(fps) > 1 and not gap > TRUSTED:
        text += f" {label(head)} is number {fps.index.get_loc(head) + 1} of {len(fps)}."
    yield text
    mine = own[(own["model"] == head) & (own["data"] == "real")]
    most = mine.loc[mine["fps"].idxmax()]
    text = (
        f"With the best number of images at a time it makes {most['fps']:.1f} a second"
        f" ({most['batch']} at a time)."
    )
    if pd.notna(gap):
        text += f" Real and random images differ by at most {100 * gap:.0f} % in speed."
    if gap > TRUSTED:
        text += (
            " **That is more than the images can explain: something else used this machine, and"
            " these times are not to be trusted.**"
        )
    yield text
    if study.paper == "qvum2024" and len(fps) > 1 and "qvum" in fps:
        verdict = "is so" if fps.idxmax() == "qvum" else "is not so"
        said = (
            f"at {size} px on this device in {precision}, that {verdict}. Other sizes and devices"
            " may have another order."
        )
        said = "these times cannot say whether that is so." if gap > TRUSTED else said
        yield f'The paper says "the fastest of the five": {said}'


def _gap(timed: pd.DataFrame, device: str | None = None) -> float:
    """By what share real and random images differ in speed at most; NaN where one is not timed."""
    real = live(timed, device)
    own = timed[timed["device"].isin(real["device"]) & ~timed["compiled"]]
    dummy = own[(own["batch"] == 1) & (own["data"] == "dummy")].set_index("model")
    return (dummy["fps"] / real["fps"] - 1).abs().max()


def printed(study: studies.Study, live: pd.DataFrame) -> pd.DataFrame:
    """The paper's printed speeds and ours, as they are and as ratios; NotComputable for none."""
    path = study.root / "published.yml"
    entries = studies.read_yaml(path)["entries"] if path.is_file() else []
    rows = [(e["model"], float(e["value"])) for e in entries if e["metric"] == "speed"]
    if not rows:
        raise NotComputable("This study's paper prints no speeds")
    table = pd.DataFrame(rows, columns=["printed_for", "paper"])
    table.insert(1, "our_model", table["printed_for"].map(MODELS))
    table["here"] = table["our_model"].map(live["fps"])
    for where in ("paper", "here"):
        own = table.loc[table["our_model"] == study.headline, where].max()
        table[f"{where}_ratio"] = table[where] / own
    return table


def printed_in_words(table: pd.DataFrame, at: pd.DataFrame, timed: pd.DataFrame, head: str) -> str:
    """What the printed speeds can mean. table: of :func:`printed`; at: of :func:`at_size`; timed:
    of ``speed.compare``.
    """
    if _gap(timed) > TRUSTED:
        raise NotComputable(
            "The times measured here are not to be trusted, so they say nothing of the printed ones"
        )
    both = table.dropna(subset="here").set_index("our_model")
    if len(both) < 2:
        raise NotComputable("Fewer than two of the printed networks were timed here")
    spread, own = (
        both[f"{who}_ratio"].max() / both[f"{who}_ratio"].min() - 1 for who in ("paper", "here")
    )
    text = (
        f"The printed speeds lie within {100 * spread:.0f} % of each other, ours within"
        f" {100 * own:.0f} %."
    )
    if spread < 0.25 < own:
        text += (
            " Networks whose arithmetic differs several times over cannot be this close in speed"
            " unless something outside them (reading, resizing, drawing) took most of the time: the"
            " printed order says little."
        )
    if "vistr" in both.index:
        text += (
            f" VisTR is printed at {both['paper_ratio']['vistr']:.2f} times the speed of"
            f" {label(head)}; timed here it runs at {both['here_ratio']['vistr']:.2f} times. It has"
            f" {at['millions']['vistr']:.1f} million parameters and {at['GMACs']['vistr']:.1f}"
            " billion multiply-adds at the printed size."
        )
    return text
