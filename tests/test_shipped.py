"""The network that comes along: what its card says is what its files hold."""

import pytest
from conftest import REPOSITORY

from helpers import studies
from helpers.models import trained
from helpers.workflow import keep

pytestmark = pytest.mark.slow

PLACE = REPOSITORY / "reports/femoral/model"


def test_a_study_s_name_gives_the_network_that_its_card_describes():
    predictor = trained.load("femoral")
    card = (PLACE / "README.md").read_text(encoding="utf-8")
    count = sum(p.numel() for p in predictor.network.parameters())
    assert f"{count:,} parameters" in card and f"{predictor.size} × {predictor.size}" in card
    assert [c.name for c in predictor.classes] == ["background", "nerve_block_region"]
    record = predictor.record
    assert f": {record['seed']}, after epoch {record['kept_epoch']}" in card


def test_its_numbers_are_those_of_a_kept_training_and_it_is_small():
    kept = keep.trainings(studies.load("femoral", "paper"))["femoral_unet", "main", 44]
    assert keep.record(kept)["sha256"] == trained.load("femoral").record["sha256"]
    assert (PLACE / "weights.safetensors").stat().st_size < 3e6
