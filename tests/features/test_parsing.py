"""facexlib's ParseNet: which weights it takes, and what becomes of sizes and classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from dmdnet.errors import WeightsError
from dmdnet.features.parsing import CLASSES, FaceParser, load_parser
from dmdnet.weights import WEIGHTS

parsenet = pytest.importorskip("facexlib.parsing.parsenet")


class Seen(nn.Module):
    """Takes what is bright for skin; keeps the size that it was shown."""

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, None]:
        self.size = tuple(image.shape[2:])
        logits = torch.zeros(len(image), len(CLASSES), *self.size)
        logits[:, 1] = image.mean(dim=1)
        return logits, None


def test_the_network_sees_512_pixels_and_the_classes_come_back_at_the_pictures_size() -> None:
    network = Seen()
    parser = FaceParser(network)
    for size in (256, 512, 700):
        picture = torch.full((1, 3, size, size), -0.9)
        picture[..., : size // 2] = 0.9
        classes = parser(picture)
        assert network.size == (512, 512)
        assert classes.shape == (1, size, size)
        mask = parser.face_mask(picture)[0]
        assert mask[:, : size // 2 - 2].all()
        assert not mask[:, size // 2 + 2 :].any()


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, dict[str, torch.Tensor]]:
    """A file with zeros for ParseNet's weights."""
    monkeypatch.setitem(WEIGHTS, "parsenet", replace(WEIGHTS["parsenet"], sha256=None))
    with torch.device("meta"):
        shapes = parsenet.ParseNet(in_size=512, out_size=512, parsing_ch=19).state_dict()
    state = {key: torch.zeros(value.shape, dtype=torch.float16) for key, value in shapes.items()}
    path = tmp_path / "parsing_parsenet.pth"
    torch.save({f"module.{key}": value for key, value in state.items()}, path)
    return path, state


def test_the_published_shape_is_taken_and_shared(weights: tuple[Path, dict[str, torch.Tensor]]) -> None:
    path, state = weights
    parser = load_parser(str(path.parent))
    assert load_parser(str(path.parent)) is parser
    assert not any(parameter.requires_grad or parameter.dtype != torch.float32 for parameter in parser.parameters())
    # the size of the published file is that of these weights and 51 KB of names
    assert sum(value.numel() for value in state.values()) * 4 == pytest.approx(85_331_193, rel=1e-3)


def test_other_weights_are_refused(weights: tuple[Path, dict[str, torch.Tensor]]) -> None:
    torch.save({"encoder.0.conv2d.weight": torch.zeros(1)}, weights[0])
    with pytest.raises(WeightsError, match=r"parsing_parsenet\.pth: these are not weights of ParseNet"):
        load_parser(str(weights[0].parent))


@pytest.mark.slow
def test_the_published_network_with_drawn_weights(weights: tuple[Path, dict[str, torch.Tensor]]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = parsenet.ParseNet(in_size=512, out_size=512, parsing_ch=19).eval()
    torch.save(network.state_dict(), weights[0])
    picture = torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        expected = network(picture)[0].argmax(dim=1)
    assert torch.equal(load_parser(str(weights[0].parent))(picture), expected)
