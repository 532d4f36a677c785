"""Identity and landmarks through a whole run: the numbers of the files, coverage, and what cannot be computed."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from made_onnx import small_recogniser

from dmdnet.cli import test as command
from dmdnet.data.demo_faces import make_demo_faces
from dmdnet.faces.backend import Face, get_backend
from dmdnet.faces.dlib_backend import DlibBackend
from dmdnet.faces.template import template_face_box
from dmdnet.images import read_image
from dmdnet.weights import WEIGHTS

SIZE = 128
TEXT = """
name: faces
device: cpu
model: {{type: DMDNetModel}}
network_g: {{type: DMDNet, image_size: {size}}}
datasets:
  test:
    name: drawn
    type: ReferenceFaceDataset
    layout: {{type: CelebRefHQLayout, dataroot_gt: {root}/images}}
    image_size: {size}
    num_references: all
    degradation:
      - {{type: Downsample, scale: [4.0, 4.0], modes: [area]}}
      - {{type: ResizeBack, mode: bicubic}}
    batch_size_per_gpu: 2
methods:
  input: {{type: InputMethod}}
path: {{results_root: {root}/results}}
val:
  save_img: true
  metrics:
    idd: {{type: DlibIdentityDistance}}
    idd_ref: {{type: DlibIdentityDistance, against: references}}
    idd_found: {{type: DlibIdentityDistance, landmarks: found}}
    lmd: {{type: LandmarkDistance}}
    ids: {{type: IdentitySimilarity}}
    ids_ref: {{type: IdentitySimilarity, against: references}}
    deg: {{type: LegacyDeg}}
"""


@pytest.fixture
def out_dir(tmp_path, monkeypatch):
    """The results of a run on two drawn people with two pictures each; on one restored picture no face is found."""
    make_demo_faces(tmp_path, identities=2, images_per_identity=2, size=SIZE)
    (tmp_path / "test.yml").write_text(TEXT.format(root=tmp_path, size=SIZE))
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "w600k_r50.onnx").write_bytes(small_recogniser()[0])
    monkeypatch.setenv("DMDNET_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setitem(WEIGHTS, "arcface_w600k_r50", replace(WEIGHTS["arcface_w600k_r50"], sha256=None))
    pictures = []

    def all_but_the_first(self, rgb):
        pictures.append(rgb)
        box = template_face_box(SIZE)
        return [] if len(pictures) == 1 else [Face(box, self.landmarks_in(rgb, box), 1.0)]

    monkeypatch.setattr(DlibBackend, "detect", all_but_the_first)
    assert command.main(["-opt", str(tmp_path / "test.yml"), "--launcher", "none"]) == 0
    return tmp_path / "results/faces"


def test_a_run_with_every_face_metric(out_dir):
    root = out_dir.parent.parent
    with open(out_dir / "drawn_pictures.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    backend = get_backend()
    for row in rows:
        # the number of the files on disk, by the back end alone
        stem = row["name"].split("/")[-1].removesuffix(".png")
        (path,) = (out_dir / "drawn/input" / row["identity"]).glob(f"{stem}.png")
        place = np.loadtxt(next((root / "landmarks" / row["identity"]).glob(f"{stem}.*txt")))
        target = read_image(root / "images" / row["identity"] / f"{stem}.png")
        expected = np.linalg.norm(backend.embed(read_image(path), place) - backend.embed(target, place))
        assert float(row["idd"]) == pytest.approx(expected, abs=1e-4)
        assert float(row["idd_ref"]) > 0
        assert -1 <= float(row["ids_ref"]) < float(row["ids"]) < 1
        assert 0 < float(row["lmd"]) < SIZE / 10
    assert sum(row["idd_found"] in ("", "nan") for row in rows) == 1
    records = {record["metric"]: record for record in json.loads((out_dir / "summary.json").read_text())
               if record["kind"] == "mean"}  # fmt: skip
    assert records["idd"]["n"] == 4
    assert records["idd_found"]["n"] == 3
    assert records["ids"]["recipe"] == "ids@w600k_r50/5pt/target-landmarks"
    assert records["deg"]["mean"] is None


def test_the_files_that_metrics_look_through_have_checksums(out_dir):
    sha256 = hashlib.sha256((out_dir.parent.parent / "weights" / "w600k_r50.onnx").read_bytes()).hexdigest()
    found = {r["metric"]: r["weights"] for r in json.loads((out_dir / "summary.json").read_text())}
    assert found["ids"]["ids/w600k_r50.onnx"] == sha256
    assert found["ids_ref"]["ids_ref/w600k_r50.onnx"] == sha256  # the network is shared, the record is its own
    assert any("shape_predictor" in file for file in found["lmd"])
    page = (out_dir / "report.html").read_text()
    assert sha256 in page
    assert "used by" in page
