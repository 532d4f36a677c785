from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from dmdnet.config import Options, load_options, to_yaml
from dmdnet.errors import ConfigError
from dmdnet.registry import Component, plain


def test_the_toy_recipe(train_yml: Path) -> None:
    options = load_options(train_yml)
    assert options.network_g == Component("ToyNet", {"channels": 16, "size": 64, "act": "relu"})
    assert options.datasets["train"].batch_size_per_gpu == 2
    assert options.datasets["train"].dataset.options["degradations"][0].options["sigma"] == (0.2, 1.0)
    assert options.train is not None
    assert options.train.optim_g.options["lr"] == 2e-4
    assert options.train.losses[0].options["loss_weight"] == 10.0


def test_what_is_printed_loads_back_to_the_same(train_yml: Path, tmp_path: Path) -> None:
    awkward = [
        "yes",
        "1e4",
        "010",
        "~",
        "true",
        "a: b",
        "# x",
        " padded ",
        "",
        "ünï",
        "<<",
        "x\ny",
        "-",
        "1:30",
        "0x10",
    ]
    overrides = [
        f"datasets.train.ids={json.dumps(awkward)}",
        "train.optim_g.lr=1e-12",
        "val.metrics.toy={type: ToyMetric}",
    ]
    options = load_options(train_yml, overrides)
    assert options.datasets["train"].dataset.options["ids"] == tuple(awkward)
    again = tmp_path / "again.yml"
    again.write_text(to_yaml(options), encoding="utf-8")
    assert load_options(again) == options
    assert to_yaml(load_options(again)) == to_yaml(options)
    assert "dataset:" not in to_yaml(options)


def test_nothing_mutates_options(train_yml: Path) -> None:
    options = load_options(train_yml)
    dataset: Any = options.datasets["train"].dataset
    attempts = [
        lambda: setattr(options, "name", "x"),
        lambda: setattr(options.train, "total_iter", 1),
        lambda: setattr(dataset, "type", "x"),
        lambda: dataset.options.update(root="x"),
        lambda: dataset.options.__setitem__("root", "x"),
        lambda: options.datasets.__setitem__("test", None),  # type: ignore[call-overload]
        lambda: options.datasets.clear(),
        lambda: options.val.metrics.setdefault("x", None),  # type: ignore[arg-type]
        lambda: dataset.options.__ior__({"root": "x"}),
    ]
    before = plain(options)
    for attempt in attempts:
        with pytest.raises((ValidationError, AttributeError, TypeError)):
            attempt()
    assert plain(options) == before


def test_options_are_values(train_yml: Path) -> None:
    one, two = load_options(train_yml), load_options(train_yml)
    assert one is not two
    assert one == two
    assert hash(one) == hash(two)
    assert pickle.loads(pickle.dumps(one)) == one
    assert load_options(train_yml, ["manual_seed=1"]) != one


def test_debug_is_a_short_run_under_its_own_name(train_yml: Path) -> None:
    overrides = ["datasets.val={name: v, type: ToyDataset, root: x}", "val.val_freq=500"]
    options = load_options(train_yml, overrides, debug=True)
    assert options.train is not None
    assert (options.name, options.logger.print_freq, options.logger.save_checkpoint_freq) == ("debug_toy", 1, 8)
    assert (options.val.val_freq, options.train.total_iter) == (8, 16)
    assert load_options(train_yml, debug=True).val.val_freq is None
    short = load_options(train_yml, ["train.total_iter=3"], debug=True).train
    assert short is not None
    assert short.total_iter == 3


def test_a_new_type_keeps_the_options_it_shares(train_yml: Path) -> None:
    options = load_options(train_yml, ["network_g.size=32", "network_g.act=gelu", "network_g.type=OtherNet"])
    assert options.network_g == Component("OtherNet", {"channels": 16, "depth": 2, "act": "silu"})
    top = train_yml.with_name("top.yml")
    top.write_text("_base_: train.yml\nnetwork_g: {type: OtherNet, depth: 5}\ntrain: {optim_g: {type: ToySGD}}\n")
    options = load_options(top)
    assert options.network_g.options == {"channels": 16, "depth": 5, "act": "silu"}
    assert options.train is not None
    assert options.train.optim_g == Component("ToySGD", {"lr": 2e-4, "momentum": 0.0})


def test_options_given_with_the_new_type_are_checked(train_yml: Path) -> None:
    top = train_yml.with_name("top.yml")
    top.write_text("_base_: train.yml\nnetwork_g: {type: OtherNet, size: 5}\n")
    with pytest.raises(ConfigError, match=r"top.yml:2: network_g.size: unknown option 'size'"):
        load_options(top)


@pytest.mark.parametrize(
    ("text", "overrides"),
    [
        ("datasets: {test: ~}\nval: ~", []),
        ("name: toy", ["datasets.test=~", "val=~"]),
        ("name: toy", ["datasets.test=", "val.metrics=", "val.save_img=~", "val.val_freq=~"]),
    ],
)
def test_null_takes_away_what_was_inherited(text: str, overrides: list[str], train_yml: Path) -> None:
    plain_options = load_options(train_yml)
    middle = train_yml.with_name("middle.yml")
    middle.write_text(
        "_base_: train.yml\n"
        "datasets: {val: {name: v, type: ToyDataset, root: x}, test: {name: t, type: ToyDataset, root: x}}\n"
        "val: {save_img: false, val_freq: 5, metrics: {m: {type: ToyMetric}}}\n"
    )
    top = train_yml.with_name("top.yml")
    top.write_text(f"_base_: middle.yml\n{text}\n")
    options = load_options(top, overrides)
    assert list(options.datasets) == ["train", "val"]
    assert options.val == plain_options.val


def test_null_is_kept_where_it_is_a_value(train_yml: Path) -> None:
    overrides = ["train.grad_clip_norm=1", "train.grad_clip_norm=~"]
    train = load_options(train_yml, overrides).train
    assert train is not None
    assert train.grad_clip_norm is None


def test_null_cannot_take_away_what_is_needed(train_yml: Path) -> None:
    with pytest.raises(ConfigError, match=r"train.optim_g.lr: is missing"):
        load_options(train_yml, ["train.optim_g.lr=~"])


def test_options_can_be_built_in_code(train_yml: Path) -> None:
    options = load_options(train_yml)
    values = {name: getattr(options, name) for name in Options.model_fields}
    assert Options(**values) == options
