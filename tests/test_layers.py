"""The drawing of a network: its convolutions in order."""

from helpers.analyses import layers


def test_the_paper_network_goes_down_and_up():
    found = layers.convolutions("qvum", 3, 4, 64)
    assert (
        found["side_px"].iloc[0] == found["side_px"].iloc[-1] == 64
        and found["channels"].iloc[-1] == 4
    )
    encoder, decoder = found[:13], found[13:]
    assert encoder["channels"].tolist() == [
        64,
        64,
        128,
        128,
        256,
        256,
        256,
        512,
        512,
        512,
        512,
        512,
        512,
    ]
    assert encoder["side_px"].is_monotonic_decreasing and decoder["side_px"].is_monotonic_increasing
