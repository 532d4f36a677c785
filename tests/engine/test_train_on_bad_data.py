"""A run on data with a damaged picture, and on an LMDB in place of the folder."""

import os
import shutil

import pytest
import torch

from dmdnet.data.storage import DiskStorage, write_lmdb
from dmdnet.engine.checkpoint import CheckpointFolder
from dmdnet.engine.train import train
from dmdnet.errors import DataError

BAD = "00002/2.png"


@pytest.fixture
def data(faces, tmp_path):
    """The drawn faces, one of them cut short."""
    shutil.copytree(faces, tmp_path / "data")
    os.truncate(tmp_path / "data" / "images" / BAD, 600)
    return tmp_path / "data"


@pytest.fixture
def run(tiny, tmp_path):
    """Train with changed data options and return the run's folder."""

    def train_it(name, total_iter=5, root=None, **changes):
        entry = {**tiny().datasets["train"].as_dict(), **changes}
        if root is not None:
            entry["layout"] = {**entry["layout"], "dataroot_gt": str(root)}
        train(tiny(name=name, train={"total_iter": total_iter}, datasets={"train": entry}))
        return tmp_path / "experiments" / name

    return train_it


def weights(folder, iteration):
    loaded, _ = CheckpointFolder(folder).load(iteration)
    return [tensor for net in loaded.values() for tensor in net["params"].values()]


def test_a_damaged_picture_is_passed_over_and_listed_and_resuming_stays_exact(run, data):
    whole = run("whole", root=data / "images", bad_pictures="skip")
    listed = (whole / "skipped_pictures.txt").read_text()
    assert listed.startswith(f"{BAD}: ")
    assert listed.count("\n") == 1
    run("parts", 2, root=data / "images", bad_pictures="skip")
    parts = run("parts", 5, root=data / "images", bad_pictures="skip")
    assert (parts / "skipped_pictures.txt").read_text() == listed
    assert all(map(torch.equal, weights(whole, 5), weights(parts, 5)))


def test_validation_goes_on_without_a_damaged_picture_and_names_it(tiny, data, caplog):
    layout = {"type": "CelebRefHQLayout", "dataroot_gt": str(data / "images")}
    training = tiny().datasets["train"].as_dict()
    judged = {"name": "judged", "type": "ReferenceFaceDataset", "layout": layout, "image_size": 64}
    sets = {
        "train": {**training, "layout": layout, "exclude_identities": ["00002"]},
        "val": {**judged, "identities_file": str(data / "judged.txt"), "num_references": 0},
    }
    (data / "judged.txt").write_text("00002\n")
    val = {"val_freq": 1, "modes": ["input", "generic"], "metrics": {"psnr": {"type": "PSNR"}}}
    with caplog.at_level("INFO"):
        train(tiny(name="validated", train={"total_iter": 1}, val=val, datasets=sets))
    assert f"validation on judged goes without {BAD}" in caplog.text
    assert "validation after iteration 1 on judged (2 pictures)" in caplog.text


def test_by_default_it_stops_the_run(run, data):
    with pytest.raises(DataError, match=rf"{BAD}.*cut short"):
        run("stops", 50, root=data / "images")


def test_two_are_too_many(run, data):
    os.truncate(data / "images" / "00001" / "1.png", 0)
    with pytest.raises(DataError, match=r"2 of 9 pictures cannot be used, 1 may.*skipped_pictures\.txt"):
        run("too_many", 50, root=data / "images", bad_pictures="skip")


def test_an_lmdb_trains_to_the_same_bits(run, faces, tmp_path):
    images = write_lmdb(DiskStorage(faces / "images"), tmp_path / "images.lmdb", workers=1).root
    one, other = run("folder", 3), run("lmdb", 3, root=images)
    assert all(map(torch.equal, weights(one, 3), weights(other, 3)))
    assert not (one / "skipped_pictures.txt").exists()
