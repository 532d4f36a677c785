"""test.py --dry-run: everything that the benchmark builds is built, and all that is wrong is said at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_benchmark import COLUMNS, make_benchmark, options

from dmdnet.engine.benchmark_dry_run import dry_run_benchmark
from dmdnet.errors import ConfigError

METRICS = "val.metrics={psnr: {type: PSNR}, ms: {type: MSSSIM}, fid: {type: FID}}"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("benchmark")
    make_benchmark(root)
    return root


def test_the_plan_of_a_benchmark(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(root.rglob("*"))
    dry_run_benchmark(options(root, METRICS))
    said = capsys.readouterr().out
    assert f"ours_specific@2: NetworkMethod, {root}/net_g.pth, sha256 " in said
    assert "  net_g: DMDNet, " in said
    assert "psnr: psnr@rgb/uint8\n" in said
    assert "fid: fid@clean/gt is not computed: " in said
    assert "ms: not computed on this set: it needs pictures of 176 pixels or more" in said
    assert "9 pictures of 3 people, 64 px\nlq_BCHW: (4, 3, 64, 64) uint8\n" in said
    assert f"x4: 9 pictures x 7 columns ({', '.join(COLUMNS)})\nx8: 9 pictures x 6 columns" in said
    assert sorted(root.rglob("*")) == before  # nothing is written


def test_a_metric_of_whole_sets_cannot_say_how_difficult_a_picture_is(root: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"benchmark\.difficulty: no metric 'fid' in val\.metrics scores pictures one"
    ):
        dry_run_benchmark(options(root, METRICS, "benchmark.difficulty=fid"))


def test_all_that_is_wrong_is_named_at_once(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = [
        "methods.gone.type=NetworkMethod",
        "methods.gone.weights=nowhere.pth",
        "methods.lost.type=FolderMethod",
        "methods.lost.dataroot=nothing/{set}",
        "datasets.test_2.layout.dataroot_gt=no_faces",
    ]
    with pytest.raises(ConfigError, match="3 problems") as caught:
        dry_run_benchmark(options(root, *wrong))
    for text in ("methods.gone: nowhere.pth: there is no such", "methods.lost.dataroot: nothing/x4", "no_faces"):
        assert text in str(caught.value)
    said = capsys.readouterr().out
    assert "x4: 9 pictures x 8 columns" in said  # what can be planned is
    assert said.index("# problems") > said.index("# plan")
