"""`python -m dmdnet bench metrics`: both ways give the same numbers, and the figures are written."""

import json

import pytest

from dmdnet.cli.main import main

pytest.importorskip("lpips")


def test_the_loop_and_ours_agree(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("DMDNET_WEIGHTS", str(tmp_path))
    out, figures = tmp_path / "table.md", tmp_path / "figures.json"
    command = ["bench", "metrics", "--pictures", "24", "--size", "64", "--rounds", "1", "--threads", "1"]
    assert main([*command, "-o", str(out), "--json", str(figures)]) == 0
    result = json.loads(figures.read_text())
    assert result["pictures"] == 24
    assert result["largest_difference"]["psnr"] < 1e-9
    assert result["largest_difference"]["ssim"] < 1e-6
    assert result["largest_difference"]["lpips"] < 1e-5
    for times in (result["one_method"], result["several_methods"]):
        assert times["ratio"] == pytest.approx(times["loop_ms"] / times["ours_ms"], rel=0.01)
    text = out.read_text()
    assert text == capsys.readouterr().out
    assert "weights are drawn" in text
    assert result["trunk"] == "drawn"
