"""The losses of fifty steps of each family of recipes, against those that are kept.

They may differ by rounding (another processor, another torch), not by more. Who changes them on purpose writes them
anew (`golden_losses.py` says how) and says in the commit why.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from golden_losses import GOLDEN, RECIPES, STEPS, golden_file, make_faces, series

TOLERANCE, NEAR_ZERO = 1e-4, 1e-5  # relative, absolute; other instruction sets and two threads came to a fifth of it


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn faces."""
    root = tmp_path_factory.mktemp("faces")
    make_faces(root)
    return root


@pytest.mark.parametrize("recipe", RECIPES)
def test_fifty_steps_give_the_losses_that_are_kept(recipe: str, faces: Path) -> None:
    expected = json.loads(golden_file(recipe).read_text(encoding="utf-8"))
    found = series(recipe, faces)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert [value is None for value in found[name]] == [value is None for value in values], name
        for step, (mine, kept) in enumerate(zip(found[name], values, strict=True), start=1):
            assert kept is None or mine == pytest.approx(kept, rel=TOLERANCE, abs=NEAR_ZERO), f"{name}, step {step}"


def test_every_file_belongs_to_a_recipe_and_has_fifty_steps() -> None:
    files = sorted(GOLDEN.glob("losses_*.json"))
    assert files == sorted(golden_file(recipe) for recipe in RECIPES)
    for path in files:
        rows = json.loads(path.read_text(encoding="utf-8"))
        assert {len(values) for values in rows.values()} == {STEPS}


def test_the_families_are_there() -> None:
    rows = {recipe: json.loads(golden_file(recipe).read_text(encoding="utf-8")) for recipe in RECIPES}
    assert not any(name.startswith("l_d") for name in rows["train_dmdnet_stage1.yml"])
    assert rows["train_dmdnet.yml"]["l_d_real"][:11] == [None] * 10 + [rows["train_dmdnet.yml"]["l_d_real"][10]]
    assert {"l_g_gan_picture_generic", "l_g_gan_components_generic"} <= rows["train_dmdnet_stage2.yml"].keys()
    assert sum(value is not None for value in rows["finetune_dmdnet.yml"]["l_d_r1"]) == STEPS // 4
