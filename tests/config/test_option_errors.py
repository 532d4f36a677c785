"""Every kind of mistake in an option file: the message has the file, the line, the path and what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmdnet.config import load_options
from dmdnet.errors import ConfigError

# what to replace in the toy recipe, with what, and the message after "<file>:"
MISTAKES = {
    "misspelt key at the top": (
        "name: toy",
        "name: toy\ndevcie: cpu",
        "2: devcie: unknown option 'devcie'; did you mean 'device'?",
    ),
    "misspelt key in a section": (
        "total_iter: 1000",
        "total_iter: 1000\n  warmup_iters: 5",
        "17: train.warmup_iters: unknown option 'warmup_iters'; did you mean 'warmup_iter'?",
    ),
    "misspelt option of a component": (
        "channels: 16",
        "chanels: 16",
        "5: network_g.chanels: unknown option 'chanels'; did you mean 'channels'?",
    ),
    "misspelt option of a data set": (
        "root: data/faces",
        "root: data/faces\n    shar: 0.5",
        "11: datasets.train.shar: unknown option 'shar'; did you mean 'share'?",
    ),
    "misspelt loading option": (
        "batch_size_per_gpu",
        "batch_size_per_gup",
        "11: datasets.train.batch_size_per_gup: unknown option 'batch_size_per_gup'; did you mean",
    ),
    "misspelt option in a nested list": (
        "sigma: [0.2, 1.0]",
        "simga: [0.2, 1.0]",
        "14: datasets.train.degradations.0.simga: unknown option 'simga'; did you mean 'sigma'?",
    ),
    "the program's own argument": (
        "root: data/faces",
        "root: data/faces\n    seed: 3",
        "11: datasets.train.seed: unknown option 'seed'; known: batch_size_per_gpu, ",
    ),
    "the program's own name": (
        "root: data/faces",
        "root: data/faces\n    dataset: {type: ToyDataset}",
        "11: datasets.train.dataset: unknown option 'dataset'; known: batch_size_per_gpu, ",
    ),
    "unknown type": (
        "type: ToyNet",
        "type: ToyNett",
        "4: network_g.type: unknown network type 'ToyNett'; did you mean 'ToyNet'?",
    ),
    "unknown type in a list": (
        "type: ToyLoss",
        "type: ToyLos",
        "19: train.losses.0.type: unknown loss type 'ToyLos'; did you mean 'ToyLoss'?",
    ),
    "unknown data set": (
        "type: ToyDataset",
        "type: ToyDatset",
        "9: datasets.train.type: unknown data set type 'ToyDatset'; did you mean 'ToyDataset'?",
    ),
    "type of another kind": (
        "type: ToyLoss",
        "type: ToyMetric",
        "19: train.losses.0.type: unknown loss type 'ToyMetric'; ",
    ),
    "type in lower case": (
        "type: ToyModel",
        "type: toymodel",
        "2: model.type: unknown model type 'toymodel'; did you mean 'ToyModel'?",
    ),
    "type is a number": ("type: ToyNet", "type: 5", "4: network_g.type: wants the name of a network, got 5"),
    "type is missing": ("type: ToyDataset\n    ", "", "7: datasets.train: needs 'type', the name of a data set"),
    "name for a component": (
        "model: {type: ToyModel}",
        "model: ToyModel",
        "2: model: wants a model: a mapping with 'type' and its options, got text 'ToyModel'; write {type: ToyModel}",
    ),
    "misspelt entry of datasets": (
        "  train:\n    name",
        "  tarin:\n    name",
        "7: datasets.tarin: unknown entry 'tarin'; did you mean 'train'?",
    ),
    "text for a whole number": (
        "total_iter: 1000",
        "total_iter: many",
        "16: train.total_iter: wants a whole number, got text 'many'",
    ),
    "quoted number": (
        "total_iter: 1000",
        "total_iter: '1000'",
        "16: train.total_iter: wants a whole number, got text '1000'; write 1000 (no leading zeros",
    ),
    "number with underscores": (
        "total_iter: 1000",
        "total_iter: 300_000",
        "16: train.total_iter: wants a whole number, got text '300_000'; write 300000",
    ),
    "octal": ("total_iter: 1000", "total_iter: 010", "got text '010'; write 10 (no leading zeros"),
    "float for a whole number": (
        "total_iter: 1000",
        "total_iter: 1e5",
        "16: train.total_iter: wants a whole number, got the number 100000.0; write 100000",
    ),
    "fraction for a whole number": (
        "total_iter: 1000",
        "total_iter: 1.5",
        "16: train.total_iter: wants a whole number, got the number 1.5",
    ),
    "boolean for a number": (
        "total_iter: 1000",
        "total_iter: true",
        "wants a whole number, got true",
    ),
    "nothing for a number": (
        "total_iter: 1000",
        "total_iter:",
        "wants a whole number, got nothing (~)",
    ),
    "list for a number": ("lr: 2e-4", "lr: [2e-4]", "17: train.optim_g.lr: wants a number, got a list of 1"),
    "infinite": ("lr: 2e-4", "lr: .inf", "17: train.optim_g.lr: wants a finite number, got the number inf"),
    "not a number": ("lr: 2e-4", "lr: .nan", "17: train.optim_g.lr: wants a finite number, got the number nan"),
    "yes for true": (
        "root: data/faces",
        "root: data/faces\n    flip: yes",
        "11: datasets.train.flip: wants true or false, got text 'yes'; write true",
    ),
    "number for text": (
        "root: data/faces",
        "root: data/faces\n    ids: [a, 5]",
        "11: datasets.train.ids.1: wants text, got the number 5; put it in quotes",
    ),
    "mapping for text": ("root: data/faces", "root: {a: 1}", "10: datasets.train.root: wants text, got a mapping (a)"),
    "scalar for a list": (
        "sigma: [0.2, 1.0]",
        "sigma: 1",
        "14: datasets.train.degradations.0.sigma: wants a list",
    ),
    "short list": ("sigma: [0.2, 1.0]", "sigma: [0.2]", "14: datasets.train.degradations.0.sigma.1: is missing"),
    "long list": (
        "sigma: [0.2, 1.0]",
        "sigma: [0.2, 1.0, 3]",
        "14: datasets.train.degradations.0.sigma: wants a list of 2 at most, got a list of 3",
    ),
    "text in a list": (
        "sigma: [0.2, 1.0]",
        "sigma:\n          - 0.2\n          - much",
        "16: datasets.train.degradations.0.sigma.1: wants a number, got text 'much'",
    ),
    "one of two types": (
        "root: data/faces",
        "root: data/faces\n    count: some",
        "11: datasets.train.count: wants a whole number or a list, got text 'some'",
    ),
    "part of one of two types": (
        "root: data/faces",
        "root: data/faces\n    count: [1, x]",
        "11: datasets.train.count.1: wants a whole number, got text 'x'",
    ),
    "section is a list": ("train:\n  total", "train:\n- total", "15: train: wants a mapping, got a list"),
    "too small": ("total_iter: 1000", "total_iter: 0", "16: train.total_iter: wants more than 0, got the number 0"),
    "too large": (
        "root: data/faces",
        "root: data/faces\n    share: 1.5",
        "11: datasets.train.share: wants 1 or less, got the number 1.5",
    ),
    "not among the choices": (
        "channels: 16",
        "act: relo",
        "5: network_g.act: wants 'relu' or 'gelu', got text 'relo'; did you mean 'relu'?",
    ),
    "missing option": ("total_iter: 1000\n  ", "", "15: train.total_iter: is missing"),
    "missing section": ("network_g:\n  type: ToyNet\n  channels: 16\n", "", "1: network_g: is missing"),
    "missing option of a component": (", lr: 2e-4", "", "17: train.optim_g.lr: is missing"),
    "missing option of a data set": ("    root: data/faces\n", "", "7: datasets.train.root: is missing"),
    "BasicSR's num_gpu": (
        "name: toy",
        "name: toy\nnum_gpu: 1",
        "2: num_gpu: unknown option 'num_gpu'; processes",
    ),
    "BasicSR's pixel_opt": (
        "total_iter: 1000",
        "total_iter: 1000\n  pixel_opt: {type: L1Loss}",
        "17: train.pixel_opt: unknown option 'pixel_opt'; it is an entry of train.losses",
    ),
    "no folder name": ("name: toy", "name: runs/toy", "1: name: 'runs/toy' has one of"),
    "name above": ("name: toy", "name: ..", "1: name: '..' is empty, starts with a dot"),
    "no name": ("name: toy", "name: ''", "1: name: '' is empty"),
    "base inside": ("channels: 16", "_base_: x.yml", "5: network_g._base_: unknown option '_base_'"),
    "duplicate key": ("channels: 16", "channels: 16\n  channels: 8", "6: network_g.channels: is given twice"),
    "tag": ("channels: 16", "channels: !!python/none", "5: network_g.channels: the tag !!python/none is not allowed"),
    "adversarial loss without discriminator": (
        "type: ToyLoss",
        "type: ToyGANLoss",
        "19: train.losses.0: ToyGANLoss needs a discriminator: add network_d",
    ),
    "adversarial loss without optimiser": (
        "type: ToyLoss",
        "type: ToyGANLoss",
        "19: train.losses.0: ToyGANLoss needs an optimiser for the discriminator: add train.optim_d",
    ),
    "nothing to train on": ("  train:\n    name", "  test:\n    name", "15: train: needs a data set to train on"),
    "nothing to validate on": (
        "train:\n  total",
        "val: {val_freq: 5}\ntrain:\n  total",
        "15: val.val_freq: needs a data set to validate on: add datasets.val",
    ),
    "no losses": (
        "    - type: ToyLoss\n      loss_weight: 10",
        "    []",
        "18: train.losses: wants a list of 1 at least, got a list of 0",
    ),
    "an output that the model does not have": (
        "train:\n  total",
        "val: {modes: [generic, specifc]}\ntrain:\n  total",
        "15: val.modes.1: ToyModel has no output 'specifc'; did you mean 'specific'?",
    ),
    "an output twice": (
        "train:\n  total",
        "val: {modes: [generic, generic]}\ntrain:\n  total",
        "15: val.modes.1: 'generic' is listed twice",
    ),
    "two data sets of one name": (
        "  train:\n    name",
        "  test: {name: faces, type: ToyDataset, root: x}\n  train:\n    name",
        "9: datasets.train.name: 'faces' is the name of datasets.test too",
    ),
}


def mistaken(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, "the table replaces exactly one place"
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(old: str, new: str, message: str, train_yml: Path) -> None:
    mistaken(train_yml, old, new)
    with pytest.raises(ConfigError) as caught:
        load_options(train_yml)
    where = f"{train_yml}:" if message[0].isdigit() else ""
    assert where + message in str(caught.value)


def test_all_mistakes_are_listed_in_the_order_of_the_file(train_yml: Path) -> None:
    mistaken(train_yml, "channels: 16", "chanels: 16")
    mistaken(train_yml, "total_iter: 1000", "total_iter: -1")
    mistaken(train_yml, "type: ToyLoss", "type: ToyLos")
    with pytest.raises(ConfigError) as caught:
        load_options(train_yml)
    first, *lines = str(caught.value).splitlines()
    assert first == "3 problems in the options"
    assert [line.split(": ")[1] for line in lines] == ["network_g.chanels", "train.total_iter", "train.losses.0.type"]


def test_a_mistake_in_an_override_names_the_override(train_yml: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_options(train_yml, ["train.losses.0.loss_weigth=3"])
    assert str(caught.value) == (
        "override 'train.losses.0.loss_weigth=3': train.losses.0.loss_weigth: "
        "unknown option 'loss_weigth'; did you mean 'loss_weight'?"
    )


def test_a_mistake_in_a_base_names_the_base(train_yml: Path) -> None:
    mistaken(train_yml, "channels: 16", "chanels: 16")
    top = train_yml.with_name("top.yml")
    top.write_text("_base_: train.yml\nname: other\nmanual_sed: 1\n")
    with pytest.raises(ConfigError) as caught:
        load_options(top)
    assert f"{train_yml}:5: network_g.chanels" in str(caught.value)
    assert f"{top}:3: manual_sed: unknown option 'manual_sed'; did you mean 'manual_seed'?" in str(caught.value)


def test_very_many_mistakes_are_cut_short(train_yml: Path) -> None:
    train_yml.write_text(train_yml.read_text() + "".join(f"wrong_{index}: 1\n" for index in range(50)))
    with pytest.raises(ConfigError) as caught:
        load_options(train_yml)
    assert len(str(caught.value).splitlines()) == 22
    assert "... and 30 more" in str(caught.value)
