"""test.py from an option file to the results folder, on a small network and drawn people."""

import csv
import hashlib
import json
import math
import re

import pytest
import torch

from dmdnet.archs.dmdnet import DMDNet
from dmdnet.cli import test as command
from dmdnet.config import load_options
from dmdnet.data.demo_faces import make_demo_faces
from dmdnet.errors import ConfigError, DataError, WeightsError
from dmdnet.evaluation.run import run_test
from dmdnet.images import read_image
from dmdnet.ops.precision import set_matmul_precision

NETWORK = {"image_size": 64, "base_channels": 4, "dictionary_size": 4}
TEXT = """
name: small_test
device: cpu
model: {{type: DMDNetModel}}
network_g: {{type: DMDNet, image_size: 64, base_channels: 4, dictionary_size: 4}}
datasets:
  test:
    name: drawn
    type: ReferenceFaceDataset
    layout: {{type: CelebRefHQLayout, dataroot_gt: {root}/faces/images}}
    image_size: 64
    num_references: [2, 2]
    reference_order: given
    wrong_references: true
    degradation:
      - {{type: Downsample, scale: [4.0, 4.0], modes: [area]}}
      - {{type: ResizeBack, mode: bicubic}}
    batch_size_per_gpu: 4
path: {{pretrain_network_g: {root}/net_g.pth, results_root: {root}/results}}
val:
  metrics:
    psnr: {{type: PSNR}}
    psnr_components: {{type: PSNR, region: components}}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with drawn people, weights and an option file."""
    root = tmp_path_factory.mktemp("run")
    make_demo_faces(root / "faces", identities=3, images_per_identity=3, size=64, seed=0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = DMDNet(**NETWORK)
    torch.save({"params": net.state_dict(), "network": {"type": "DMDNet", **NETWORK}}, root / "net_g.pth")
    (root / "test.yml").write_text(TEXT.format(root=root))
    return root


def options(root, *overrides):
    return load_options(root / "test.yml", overrides)


def test_everything_is_written(root, capsys):
    assert command.main(["-opt", str(root / "test.yml"), "--launcher", "none"]) == 0
    out_dir = root / "results/small_test"
    assert {path.name for path in out_dir.iterdir()} == {
        "drawn", "drawn_pictures.csv", "drawn_identities.csv", "drawn_sheet.png", "options.yml", "summary.json",
        "journal", "table.txt", "tables.md", "tables.tex", "report.html",
    }  # fmt: skip
    records = json.loads((out_dir / "summary.json").read_text())
    assert [(r["method"], r["n"]) for r in records if r["kind"] == "mean" and r["metric"] == "psnr"] == [
        ("input", 9), ("generic", 9), ("specific", 9), ("wrong_person", 9),
    ]  # fmt: skip
    with open(out_dir / "drawn_pictures.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["references"] for row in rows if row["method"] in ("specific", "wrong_person")} == {"2"}
    assert len(list((out_dir / "drawn").rglob("*.png"))) == 4 * 9
    assert read_image(out_dir / "drawn/specific/00001/2.png").shape == (64, 64, 3)
    assert load_options(out_dir / "options.yml").name == "small_test"
    page = (out_dir / "report.html").read_text(encoding="utf-8")
    shown = re.findall(r'aria-label="Compare pictures: (0000./.)', page)
    assert len(shown) == len(set(shown)) == 6  # best, median and worst, two each
    assert page.count('alt="input: 0000') == 6
    assert (hashlib.sha256((root / "net_g.pth").read_bytes())).hexdigest() in page
    assert "SHA-256 of the files" in page
    printed = capsys.readouterr().out
    assert "drawn: 9 pictures, 3 people" in printed
    assert "specific - wrong_person" in printed
    assert "drawn_sheet.png" in printed


def test_saved_pictures_give_the_numbers_of_the_summary(root):
    out_dir = run_test(options(root, "name=again", "val.modes=[generic]"))
    psnr = []
    for path in sorted((out_dir / "drawn/generic").rglob("*.png")):
        target = read_image(root / "faces/images" / path.relative_to(out_dir / "drawn/generic")).astype(float)
        psnr.append(10 * math.log10(255**2 / ((target - read_image(path)) ** 2).mean()))
    records = json.loads((out_dir / "summary.json").read_text())
    assert records[0]["mean"] == pytest.approx(sum(psnr) / len(psnr), abs=1e-9)


def test_restored_in_full_float32_and_deterministically_where_the_options_say_so(root, monkeypatch):
    found = []
    forward = DMDNet.forward

    def looked_at(self, *args, **kwargs):
        precision = torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision
        found.append((*precision, torch.are_deterministic_algorithms_enabled()))
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(DMDNet, "forward", looked_at)
    set_matmul_precision("high")
    try:
        run_test(options(root, "name=exact", "deterministic=true"))
    finally:
        set_matmul_precision("highest")
        torch.use_deterministic_algorithms(False)
    assert set(found) == {("ieee", "ieee", True)}


def test_no_weights_named(root):
    with pytest.raises(WeightsError, match=r"path.pretrain_network_g names no weights.*--set"):
        run_test(options(root, "path.pretrain_network_g=null"))


def test_the_degraded_input_needs_no_weights(root):
    out_dir = run_test(options(root, "path.pretrain_network_g=null", "val.modes=[input]", "name=input_only"))
    assert {path.name for path in (out_dir / "drawn").iterdir()} == {"input"}


def test_missing_weights_are_one_line(root, capsys):
    arguments = ["-opt", str(root / "test.yml"), "--set", f"path.pretrain_network_g={root}/none.pth"]
    assert command.main(arguments) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert "none.pth" in message


def test_no_set_to_test_on(root):
    only_training = options(root).model_copy(update={"datasets": {"train": options(root).datasets["test"]}})
    with pytest.raises(ConfigError, match="no set to test on"):
        run_test(only_training)


def test_two_sets_of_one_name(root):
    entry = options(root).datasets["test"]
    doubled = options(root).model_copy(update={"datasets": {"test_1": entry, "test_2": entry}})
    with pytest.raises(ConfigError, match="two test sets are named 'drawn'"):
        run_test(doubled)


def test_an_unknown_mode_is_a_mistake_and_not_a_failure(root):
    with pytest.raises(ConfigError, match="specfic"):
        run_test(options(root, "val.modes=[input,specfic]", "name=mistake"))


def test_results_that_cannot_be_written(root):
    (root / "a_file").write_text("")
    with pytest.raises(DataError, match=r"path\.results_root"):
        run_test(options(root, f"path.results_root={root}/a_file"))


def test_a_mistake_keeps_the_old_summary_and_an_interrupted_run_does_not(root, monkeypatch):
    out_dir = run_test(options(root, "name=broken", "val.modes=[input]"))
    with pytest.raises(WeightsError):
        run_test(options(root, "name=broken", f"path.pretrain_network_g={root}/none.pth"))
    assert (out_dir / "summary.json").exists()

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("dmdnet.evaluation.set_run.evaluate_methods", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_test(options(root, "name=broken", "val.modes=[input]"))
    assert not (out_dir / "summary.json").exists()


def test_a_network_that_restores_nothing_is_an_error_after_the_results_are_written(root):
    content = torch.load(root / "net_g.pth", weights_only=True)
    state = {name: item * math.nan if item.is_floating_point() else item for name, item in content["params"].items()}
    torch.save(content | {"params": state}, root / "broken.pth")
    with pytest.raises(WeightsError, match="generic, specific, wrong_person restored no picture"):
        run_test(options(root, "name=broken", f"path.pretrain_network_g={root}/broken.pth", "val.save_img=false"))
    assert (root / "results/broken/summary.json").is_file()
