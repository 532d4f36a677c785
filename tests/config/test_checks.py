"""What must fit together beyond the type of each value, on the recipes themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmdnet.config import load_options
from dmdnet.errors import ConfigError

OPTIONS = Path(__file__).parents[2] / "options"


@pytest.mark.parametrize(
    ("recipe", "override", "message"),
    [
        (
            "demo/train_dmdnet_demo.yml",
            "network_g.image_size=96",
            "datasets.train.image_size: 128 is not network_g.image_size, 96",
        ),
        (
            "train_dmdnet.yml",
            "datasets.train.datasets.1.image_size=256",
            "datasets.train.datasets.1.image_size: 256 is not network_g.image_size, 512",
        ),
    ],
    ids=["data set", "member of a mixture"],
)
def test_pictures_come_at_the_size_of_the_network(recipe: str, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match="make the two equal") as error:
        load_options(OPTIONS / recipe, [override])
    assert message in str(error.value)
