"""Files written by hand give the numbers of torch's own modules; what is damaged or unknown is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from made_onnx import field, model, node, small_recogniser, tensor
from torch import nn
from torch.nn import functional as F

from dmdnet.features.onnx_file import NotOnnx, read_onnx
from dmdnet.features.onnx_network import OnnxNetwork


def network(tmp_path: Path, data: bytes) -> OnnxNetwork:
    path = tmp_path / "network.onnx"
    path.write_bytes(data)
    return OnnxNetwork(read_onnx(path)).eval()


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


class Residual(nn.Module):
    """A block as ArcFace's, with everything that an exporter writes for it."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(6, eps=2e-5)
        self.conv = nn.Conv2d(6, 6, 3, padding=1)
        self.prelu = nn.PReLU(6)
        self.down = nn.Conv2d(6, 8, 3, stride=2, padding=1, groups=2)
        self.skip = nn.Conv2d(6, 8, 1, stride=2, bias=False)
        self.fc = nn.Linear(8 * 16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.down(self.prelu(self.conv(self.norm(x)))) + self.skip(x)
        return self.fc(y.flatten(1))


def test_a_residual_block_is_torchs(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        block = Residual().eval()
        block.norm.running_mean.normal_()
        block.norm.running_var.uniform_(0.5, 2)
        block.prelu.weight.data.uniform_(-0.5, 0.5)
    state = {name: value.numpy() for name, value in block.state_dict().items() if value.is_floating_point()}
    state["prelu.weight"] = state["prelu.weight"].reshape(6, 1, 1)
    norm = [f"norm.{name}" for name in ("weight", "bias", "running_mean", "running_var")]
    same, half = (1, 1, 1, 1), (2, 2)
    nodes = [
        node("BatchNormalization", ("x", *norm), "1", epsilon=2e-5),
        node(
            "Conv",
            ("1", "conv.weight", "conv.bias"),
            "2",
            pads=same,
            strides=(1, 1),
            dilations=(1, 1),
            group=1,
            auto_pad="NOTSET",
        ),
        node("PRelu", ("2", "prelu.weight"), "3"),
        node("Identity", ("3",), "4"),
        node("Conv", ("4", "down.weight", "down.bias"), "5", pads=same, strides=half, group=2),
        node("Conv", ("x", "skip.weight"), "6", strides=half),
        node("Add", ("5", "6"), "7"),
        node("Flatten", ("7",), "8", axis=1),
        node("Gemm", ("8", "fc.weight", "fc.bias"), "y", transB=1),
    ]
    found = network(tmp_path, model(nodes, state))
    x = drawn(3, 6, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(found(x), block(x))
        assert found.to(torch.float64)(x.double()).dtype == torch.float64


def test_every_other_operation(tmp_path: Path) -> None:
    constants = {"two": np.array([2.0], np.float16), "minus": np.array([-1.5], np.float64)}
    nodes = [
        node("Constant", (), "three", value=tensor("", np.array([3.0], np.float32), raw=False)),
        node("Mul", ("x", "two"), "1"),
        node("Sub", ("1", "minus"), "2"),
        node("Add", ("2", "three"), "3"),
        node("Dropout", ("3",), "4"),
        node("Relu", ("4",), "5"),
        node("Conv", ("5", "w"), "6", pads=(0, 1, 2, 3), dilations=(2, 1)),
        node("Flatten", ("6",), "7", axis=2),
        node("Gemm", ("m", "7"), "y", alpha=0.5, transA=1),
    ]
    tensors = {**constants, "w": drawn(2, 2, 3, 3).numpy(), "m": drawn(4, 5).numpy()}
    x = drawn(2, 2, 6, 6)
    y = F.conv2d(F.pad((2 * x + 1.5 + 3).relu(), (1, 3, 0, 2)), torch.from_numpy(tensors["w"]), dilation=(2, 1))
    expected = 0.5 * torch.from_numpy(tensors["m"]).t() @ y.reshape(4, -1)
    torch.testing.assert_close(network(tmp_path, model(nodes, tensors))(x), expected)


def test_numbers_come_raw_or_as_lists(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    values = {
        "f": np.array([[1.5, -2.0, 3.0]], np.float32),
        "d": np.array([0.1], np.float64),
        "i": np.array([3, -1], np.int64),
    }
    for raw in (True, False):
        parts = [field(5, tensor(name, value, raw=raw)) for name, value in values.items()]
        path.write_bytes(field(7, b"".join(parts)))
        graph = read_onnx(path)
        for name, value in values.items():
            np.testing.assert_array_equal(graph.tensors[name], value)


def test_constants_among_the_inputs_are_none(tmp_path: Path) -> None:
    data = model([node("Add", ("x", "c"), "y")], {"c": np.ones(1, np.float32)}, inputs=("x", "c"))
    assert network(tmp_path, data)(torch.zeros(2)).tolist() == [1.0, 1.0]


GOOD = small_recogniser()[0]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no graph"),
        (b"<html>not found</html>", "cut off|damaged|no graph"),
        (GOOD[:-20], "cut off"),
        (field(7, b"") + b"\xff" * 12, "damaged"),
        (model([node("Loop", ("x",), "y")], {}), "operations Loop are not known"),
        (model([node("Add", ("x", "nobody"), "y")], {}), "takes what nothing gives .*nobody"),
        (model([node("Conv", ("x", "x"), "y", auto_pad="SAME_UPPER")], {}), "auto_pad"),
        (model([node("Relu", ("x",), "z")], {}), "nothing gives its output 'y'"),
        (model([node("Relu", ("x",), "y")], {}, inputs=("x", "z")), "2 inputs and 1 outputs"),
        (field(7, field(5, field(1, 7) + field(2, 1) + field(9, b"1234"))), r"4 bytes for the shape \[7\]"),
        (field(7, field(5, field(1, 1 << 40) + field(2, 1))), "would have the shape"),
        (field(7, field(5, field(1, -1) + field(2, 1))), "would have the shape"),
        (field(7, field(5, field(2, 8) + field(8, "words"))), "'words' is of type 8"),
        (field(7, field(5, field(2, 1) + field(13, "elsewhere"))), "outside the file"),
    ],
)
def test_what_is_damaged_or_unknown_is_refused(tmp_path: Path, data: bytes, why: str) -> None:
    with pytest.raises(NotOnnx, match=why):
        network(tmp_path, data)


def test_no_damage_gives_any_other_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    head = len(GOOD) - 400  # the graph's end: nodes come first, names and shapes around the numbers
    refused = 0
    for _ in range(300):
        data = bytearray(GOOD)
        place = int(rng.integers(0, 400)) if rng.random() < 0.7 else int(rng.integers(head, len(GOOD)))
        data[place] = int(rng.integers(0, 256))
        try:
            network(tmp_path, bytes(data))
        except NotOnnx:
            refused += 1
    assert refused > 30
