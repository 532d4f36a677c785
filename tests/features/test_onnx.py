"""Files made by the package onnx give the numbers of torch's own modules; what is damaged or unknown is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from made_onnx import model, node, small_recogniser
from onnx import TensorProto, helper
from torch import nn
from torch.nn import functional as F

from dmdnet.errors import ConfigError, WeightsError
from dmdnet.features import onnx_network
from dmdnet.features.onnx_network import NotOnnx, OnnxNetwork
from dmdnet.features.recognisers import _w600k_r50


def network(tmp_path: Path, data: bytes) -> OnnxNetwork:
    path = tmp_path / "network.onnx"
    path.write_bytes(data)
    return OnnxNetwork(path).eval()


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
    usual = {"pads": same, "strides": (1, 1), "dilations": (1, 1), "group": 1, "auto_pad": "NOTSET"}
    nodes = [
        node("BatchNormalization", ("x", *norm), ("1",), epsilon=2e-5),
        node("Conv", ("1", "conv.weight", "conv.bias"), ("2",), **usual),
        node("PRelu", ("2", "prelu.weight"), ("3",)),
        node("Identity", ("3",), ("4",)),
        node("Conv", ("4", "down.weight", "down.bias"), ("5",), pads=same, strides=half, group=2),
        node("Conv", ("x", "skip.weight"), ("6",), strides=half),
        node("Add", ("5", "6"), ("7",)),
        node("Flatten", ("7",), ("8",), axis=1),
        node("Gemm", ("8", "fc.weight", "fc.bias"), ("y",), transB=1),
    ]
    found = network(tmp_path, model(nodes, state))
    x = drawn(3, 6, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(found(x), block(x))
        assert found.to(torch.float64)(x.double()).dtype == torch.float64


def test_attributes_that_exporters_seldom_write(tmp_path: Path) -> None:
    nodes = [
        node("Conv", ("x", "w"), ("1",), pads=(0, 1, 2, 3), dilations=(2, 1)),
        node("Flatten", ("1",), ("2",), axis=2),
        node("Gemm", ("m", "2", "c"), ("y",), alpha=0.5, beta=3.0, transA=1),
    ]
    tensors = {"w": drawn(2, 2, 3, 3).numpy(), "m": drawn(4, 5).numpy(), "c": np.array([2.0], np.float16)}
    x = drawn(2, 2, 6, 6)
    y = F.conv2d(F.pad(x, (1, 3, 0, 2)), torch.from_numpy(tensors["w"]), dilation=(2, 1))
    expected = 0.5 * torch.from_numpy(tensors["m"]).t() @ y.reshape(4, -1) + 6
    torch.testing.assert_close(network(tmp_path, model(nodes, tensors))(x), expected)


def test_constants_among_the_inputs_are_none(tmp_path: Path) -> None:
    data = model([node("Add", ("x", "c"), ("y",))], {"c": np.ones(1, np.float32)}, inputs=("x", "c"))
    assert network(tmp_path, data)(torch.zeros(2)).tolist() == [1.0, 1.0]


def numbers(**fields: object) -> TensorProto:
    return TensorProto(name="c", data_type=TensorProto.FLOAT, **fields)


def outside(tensor: TensorProto) -> TensorProto:
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="network.onnx")
    return tensor


ADD = [node("Add", ("x", "c"), ("y",))]
SPARSE = helper.make_sparse_tensor(
    numbers(dims=[1], float_data=[1]), TensorProto(name="i", data_type=7, dims=[1], int64_data=[0]), [3]
)
GOOD = small_recogniser()[0]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "ir_version"),
        (b"<html>not found</html>", "damaged or no ONNX file"),
        (GOOD[:-20], "damaged or no ONNX file"),
        (model([node("Mul", ("x", "x"), ("y",))], {}), "operations Mul are not known"),
        (model([node("Add", ("x", "nobody"), ("y",))], {}), "nobody"),
        (model([node("Constant", (), ("c",), sparse_value=SPARSE), *ADD], {}), "operations Constant are not known"),
        (model([node("Conv", ("x", "x"), ("y",), auto_pad="SAME_UPPER")], {}), "auto_pad"),
        (model([node("Identity", ("x",), ("z",))], {}), "'y'|output"),
        (model([node("Identity", ("x",), ("y",))], {}, inputs=("x", "z")), "2 inputs and 1 outputs"),
        (model(ADD, {"c": np.ones(1, np.float32)}, opset=7), "operation set 7"),
        (model(ADD, {"c": np.ones(1, np.int64)}), "'c' is of type 7, not of floating-point numbers"),
        (model(ADD, [numbers(dims=[7], raw_data=b"1234")]), "reshape|size|7"),
        (model(ADD, [numbers(dims=[1 << 40], raw_data=b"1234")]), "reshape|size|1099511627776"),
        (model(ADD, [outside(numbers(dims=[1]))]), "'c' has its values outside the file"),
    ],
)
def test_what_is_damaged_or_unknown_is_refused(tmp_path: Path, data: bytes, why: str) -> None:
    with pytest.raises(NotOnnx, match=why):
        network(tmp_path, data)


def test_a_file_of_another_size_than_any_recogniser_is_not_read(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(onnx_network, "MOST_BYTES", 1000)
    with pytest.raises(NotOnnx, match="more than 1000 are not read"):
        network(tmp_path, GOOD)


def test_without_the_package_the_remedy_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigError, match="pip install onnx"):
        network(tmp_path, GOOD)


def test_no_damage_gives_any_other_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    head = len(GOOD) - 400  # the graph's end: nodes come first, names and shapes around the numbers
    path, refused = tmp_path / "w600k_r50.onnx", []
    for _ in range(300):
        data = bytearray(GOOD)
        place = int(rng.integers(0, 400)) if rng.random() < 0.7 else int(rng.integers(head, len(GOOD)))
        data[place] = int(rng.integers(0, 256))
        path.write_bytes(data)
        try:
            _w600k_r50(path)
        except WeightsError as error:
            refused.append(str(error))
    assert len(refused) > 30
    assert not any("\n" in message for message in refused)


def test_a_network_for_other_pictures_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w600k_r50.onnx"
    path.write_bytes(model([node("Conv", ("x", "w"), ("y",))], {"w": np.ones((1, 1, 3, 3), np.float32)}))
    with pytest.raises(WeightsError, match="takes no picture of 112 pixels"):
        _w600k_r50(path)
    path.write_bytes(model([node("Identity", ("x",), ("y",))], {}))
    with pytest.raises(WeightsError, match="gives no vector for a picture"):
        _w600k_r50(path)
