from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from dmdnet import basicsr_bridge
from dmdnet.errors import ConfigError
from dmdnet.losses.base import LossInput
from dmdnet.registry import ARCHS, LOSSES

ROOT = Path(__file__).parents[1]
needs_basicsr = pytest.mark.skipif(importlib.util.find_spec("basicsr") is None, reason="basicsr is not installed")


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_imports_basicsr_unasked() -> None:
    code = """
import sys
import dmdnet, dmdnet.config, dmdnet.basicsr_bridge
from dmdnet.registry import Registry
for kind in ("network", "loss", "data set", "degradation", "metric", "model"):
    Registry.of_kind(kind).names()
print([name for name in sys.modules if name.split(".")[0] == "basicsr"])
"""
    assert run_python(code).strip() == "[]"


@needs_basicsr
class TestNetworks:
    def test_a_network_is_built_and_runs(self) -> None:
        component = ARCHS.component(
            "basicsr.RRDBNet", num_in_ch=3, num_out_ch=3, num_feat=8, num_block=1, num_grow_ch=4
        )
        assert component.options["scale"] == 4  # its own default
        network = ARCHS.build(component)
        assert network(torch.zeros(2, 3, 8, 8)).shape == (2, 3, 32, 32)

    def test_the_stand_in_does_not_stay(self) -> None:
        ARCHS.get("basicsr.RRDBNet")
        assert basicsr_bridge._REMOVED_MODULE not in sys.modules

    def test_names_of_options_are_checked(self) -> None:
        with pytest.raises(ValidationError, match=r"unknown option 'num_feats'; did you mean 'num_feat'"):
            ARCHS.component("basicsr.RRDBNet", num_in_ch=3, num_out_ch=3, num_feats=8)

    def test_missing_options_are_named(self) -> None:
        with pytest.raises(ValidationError, match=r"num_out_ch\n  Field required"):
            ARCHS.component("basicsr.RRDBNet", num_in_ch=3)

    def test_lists_arrive_as_lists(self) -> None:
        component = ARCHS.component(
            "basicsr.EDSR", num_in_ch=3, num_out_ch=3, num_feat=4, num_block=1, rgb_mean=[0, 0, 0]
        )
        assert component.options["rgb_mean"] == (0, 0, 0)
        assert ARCHS.build(component)(torch.zeros(1, 3, 4, 4)).shape == (1, 3, 16, 16)

    def test_an_unknown_name_names_the_nearest(self) -> None:
        with pytest.raises(ConfigError, match=r"unknown network type 'basicsr.RRDNet'; did you mean 'basicsr.RRDBNet'"):
            ARCHS.get("basicsr.RRDNet")

    @pytest.mark.parametrize("name", ["SRVGGNetCompact", "SRVGGNetCompact_basicsr"])
    def test_both_spellings_of_a_suffixed_name(self, name: str) -> None:
        assert ARCHS.component(f"basicsr.{name}", upscale=2).options["upscale"] == 2

    def test_every_network_has_a_printable_schema(self) -> None:
        for name in basicsr_bridge.components("network", "ARCH_REGISTRY", "basicsr.archs"):
            for field in ARCHS.schema(f"basicsr.{name}").model_fields.values():
                assert isinstance(field.default, str | int | float | bool | tuple | list | None) or field.is_required()


@needs_basicsr
class TestLosses:
    @pytest.mark.parametrize(
        ("name", "expected"), [("L1Loss", [1.0, 2.0]), ("MSELoss", [1.0, 4.0]), ("CharbonnierLoss", [1.0, 2.0])]
    )
    def test_a_loss_gives_a_value_per_sample(self, name: str, expected: list[float]) -> None:
        loss = LOSSES.build(LOSSES.component(f"basicsr.{name}", loss_weight=10, start_iter=5))
        pred = torch.stack([torch.ones(3, 4, 4), torch.full((3, 4, 4), 2.0)])
        value = loss(LossInput(pred, torch.zeros_like(pred), torch.zeros(2, 4, 4, dtype=torch.int32)))
        torch.testing.assert_close(value, torch.tensor(expected))
        assert (loss.loss_weight, loss.start_iter) == (10.0, 5)
        assert loss.name == name.removesuffix("Loss").lower()

    def test_the_weight_is_typed_and_the_reduction_is_ours(self) -> None:
        for options in ({"loss_weight": "1"}, {"start_iter": -1}, {"reduction": "sum"}, {"epss": 1}):
            with pytest.raises(ValidationError):
                LOSSES.component("basicsr.CharbonnierLoss", **options)
        assert LOSSES.component("basicsr.CharbonnierLoss", eps=1e-6).options["eps"] == 1e-6

    @pytest.mark.parametrize("name", ["GANLoss", "PerceptualLoss", "WeightedTVLoss"])
    def test_losses_of_another_form_are_refused(self, name: str) -> None:
        with pytest.raises(ConfigError, match=r"gives no value per pixel.*usable: basicsr.CharbonnierLoss"):
            LOSSES.get(f"basicsr.{name}")

    def test_an_unknown_name_names_the_nearest(self) -> None:
        with pytest.raises(ConfigError, match=r"unknown loss type 'basicsr.L1Los'; did you mean 'basicsr.L1Loss'"):
            LOSSES.get("basicsr.L1Los")


def test_without_basicsr_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"basicsr is not installed: pip install basicsr==1\.4\.2"):
        ARCHS.get("basicsr.RRDBNet")


def test_a_broken_basicsr_is_one_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "basicsr").mkdir()
    (tmp_path / "basicsr" / "__init__.py").write_text("import a_module_that_is_gone\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "basicsr"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ConfigError, match=r"the installed basicsr cannot be imported .*a_module_that_is_gone"):
        ARCHS.get("basicsr.RRDBNet")


def test_other_prefixes_are_not_modules_to_import() -> None:
    for name in ("os.system", "dmdnet.archs.dmdnet.DMDNet", "basicsrRRDBNet"):
        with pytest.raises(ConfigError, match=r"unknown network type"):
            ARCHS.get(name)
