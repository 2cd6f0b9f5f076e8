"""Page 7 as functions of small tables: several networks, one, a busy machine, a paper's speeds."""

from types import SimpleNamespace

import pandas as pd
import pytest

from helpers import studies
from helpers.errors import NotComputable
from helpers.figures import costs as drawing
from helpers.pages import speed

pytestmark = pytest.mark.slow


def costs(*names):
    rows = [
        {"model": n, "size_px": s, "parameters": (k + 1) * 10_000_000, "GMACs": s * (3.0 - k)}
        for s in (64, 224)
        for k, n in enumerate(names)
    ]
    return pd.DataFrame(rows).assign(activations_MiB=1.0)


def study(paper="qvum2024", **more):
    return SimpleNamespace(paper=paper, headline="qvum", classes=range(4), **more)


def timed(**fps):
    """network → images a second with real images one at a time, and four at a time half as many
    more; dummy images as fast.
    """
    rows = [
        {"model": n, "data": data, "batch": batch, "fps": v * (1.5 if batch > 1 else 1)}
        for n, v in fps.items()
        for data, batch in (("real", 1), ("real", 4), ("dummy", 1))
    ]
    frame = pd.DataFrame(rows)
    ms = 1000 / frame["fps"]
    more = {"device": "cpu", "size_px": 64, "precision": "bfloat16", "compiled": False}
    more |= {"ms_q25": 0.9 * ms, "ms_q75": 1.1 * ms, "ms_p95": 1.2 * ms, "ms_p99": 1.3 * ms}
    return frame.assign(ms_median=ms, **more)


KNOWN = [("cpu", "a processor")]


def test_costs_in_words_beside_others_and_alone():
    at = speed.at_size(costs("qvum", "unet"), 224)
    assert speed.costs_in_words(at, "qvum", 224) == (
        "**Fewer parameters?** Q-VUM has 10.0 million: fewer than U-Net (20.0).\n\n**Less"
        " arithmetic?** An image of 224 × 224 pixels takes Q-VUM 672.0 billion multiply-adds: more"
        " than U-Net (448.0)."
    )
    alone = speed.costs_in_words(speed.at_size(costs("qvum"), 224), "qvum", 224)
    assert "has 10.0 million.\n" in alone and "than" not in alone
    alike = pd.DataFrame({"millions": [2.0, 2.0, 1.0], "GMACs": 1.0}, ["qvum", "unet", "vistr"])
    said = speed.costs_in_words(alike, "qvum", 64)
    assert "2.0 million: more than VisTR (1.0); as many as U-Net (2.0)." in said
    table = speed.cost_table(costs("qvum"))
    assert list(table)[:3] == ["model", "size_px", "parameters (million)"]


def test_the_paper_s_claim_is_tested_where_it_was_made(monkeypatch):
    monkeypatch.setattr(
        speed.speed, "cost", lambda *given, width: {"parameters": width * 1_000_000}
    )
    at = speed.at_size(costs("qvum", "unet"), 224)
    text = speed.claim_in_words(at, study())
    assert "For U-Net this holds." in text and "with 32.0 and 64.0 million" in text
    assert speed.claim_in_words(at, study("huang2019")) == ""
    assert speed.claim_in_words(at.drop("unet"), study()) == ""


def test_speeds_in_words_say_precision_and_size():
    text = speed.speeds_in_words(timed(qvum=20.0, unet=30.0), KNOWN, study())
    assert (
        "On a processor, in bfloat16 (the precision that the results were scored in), one" in text
    )
    assert "U-Net 30.0, Q-VUM 20.0. Q-VUM is number 2 of 2." in text
    assert "it makes 30.0 a second (4 at a time)" in text and "at most 0 %" in text
    assert "at 64 px on this device in bfloat16, that is not so" in text


def test_one_network_has_no_place_and_no_claim():
    text = speed.speeds_in_words(timed(qvum=20.0), KNOWN, study())
    assert "number" not in text.split("images a second: ")[1].split("\n")[0]
    assert "fastest" not in text


def test_a_busy_machine_is_not_believed():
    busy = timed(qvum=20.0, unet=30.0)
    busy.loc[busy["data"] == "dummy", "fps"] *= 0.5
    text = speed.speeds_in_words(busy, KNOWN, study())
    assert "differ by at most 50 %" in text and "these times are not to be trusted" in text
    assert "these times cannot say whether that is so" in text and "is not so" not in text
    assert "is number" not in text  # a place by times that are not to be trusted
    at = speed.at_size(costs("qvum", "vistr"), 224)
    with pytest.raises(NotComputable, match="they say nothing of the printed ones"):
        speed.printed_in_words(printed(qvum=20.0, vistr=10.0), at, busy, "qvum")


def test_the_table_keeps_every_column():
    table = speed.speed_table(timed(qvum=20.0))
    assert list(table)[:4] == ["model", "fps", "ms_an_image", "ms_an_image_low"]
    assert {"images_at_a_time", "device", "precision", "compiled"} <= set(table)
    assert {"ms_an_image_p95", "ms_an_image_p99"} <= set(table)


def printed(**fps):
    live = speed.live(timed(**fps))
    rows = [("Q-VUM", "qvum", 42.4), ("VisTR", "vistr", 38.1), ("Another", None, 40.0)]
    table = pd.DataFrame(rows, columns=["printed_for", "our_model", "paper"])
    table["here"] = table["our_model"].map(live["fps"])
    for where in ("paper", "here"):
        table[f"{where}_ratio"] = table[where] / table[where][0]
    return table


def test_printed_speeds_that_are_too_alike():
    at = speed.at_size(costs("qvum", "vistr"), 224)
    calm = timed(qvum=20.0, vistr=10.0)
    text = speed.printed_in_words(printed(qvum=20.0, vistr=10.0), at, calm, "qvum")
    assert text.startswith("The printed speeds lie within 11 % of each other, ours within 100 %.")
    assert "the printed order says little" in text and "here it runs at 0.50 times" in text
    with pytest.raises(NotComputable, match="Fewer than two of the printed networks"):
        speed.printed_in_words(printed(qvum=20.0), at, calm, "qvum")


def test_a_paper_without_speeds(tmp_path):
    with pytest.raises(NotComputable, match="prints no speeds"):
        speed.printed(study(root=tmp_path), speed.live(timed(qvum=20.0)))


def test_the_phantom_s_paper_prints_speeds():
    table = speed.printed(studies.load("phantom"), speed.live(timed(qvum=20.0, unet=10.0)))
    assert table["printed_for"].tolist() == ["U-Net", "U-Net++", "BPSegSys", "VisTR", "Q-VUM"]
    assert table.set_index("our_model")["here_ratio"]["unet"] == 0.5


def test_figures():
    layers = pd.DataFrame({"layer": [1, 2, 3], "channels": [8, 16, 4], "side_px": [64, 32, 64]})
    assert drawing.layers(layers, "qvum").axes
    live = speed.live(timed(qvum=20.0, unet=10.0))
    assert len(drawing.speed(live, speed.at_size(costs("qvum", "unet"), 64)["GMACs"]).axes) == 2
