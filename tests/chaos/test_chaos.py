"""Whatever is struck, a study ends as if nothing had been: one round of `make chaos`, as far as minutes allow."""

from __future__ import annotations

import pytest
from campaign import Arena
from rounds import scene_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    return Arena(tmp_path_factory.mktemp("chaos"))


@pytest.mark.parametrize("name", ["slots", "disk"])
def test_a_study_that_is_struck_ends_as_one_that_is_left_alone(arena, name):
    with scene_of(name, arena, seed=1) as campaign:
        tally = campaign.run()
    assert not tally.missed, "every strike met the study"
