"""Runs that go on past bad pictures: the stream stays a function of the seed and the draw."""

from __future__ import annotations

import hashlib
import os
from itertools import islice
from pathlib import Path

import pytest
from made_faces import celebref_options, write_celebref

from dmdnet.config.options import DatasetOptions
from dmdnet.data.batch import FaceBatch
from dmdnet.data.loading import build_dataset, build_loader
from dmdnet.errors import DataError


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven pictures, two of them bad: one cut short, one with a page of text in it."""
    root = write_celebref(tmp_path_factory.mktemp("celebref"), {"00001": 4, "00002": 4, "00003": 3}, size=64)
    os.truncate(root / "00001" / "2.png", 500)
    (root / "00002" / "3.png").write_text("<html>not found</html>")
    return root


def entry(root: Path, batch: int = 2, workers: int = 0, **changes: object) -> DatasetOptions:
    options = {
        "degradation": ({"type": "Preset", "name": "gfpgan"},),
        "num_references": (1, 3),
        "wrong_person_prob": 0.2,
        "use_hflip": True,
        "bad_pictures": "skip",
        **changes,
    }
    return celebref_options(root, batch, workers, **options)


def stream(options: DatasetOptions, count: int, **loading: object) -> list[FaceBatch]:
    dataset = build_dataset(options, seed=3, phase="train")
    return list(islice(build_loader(dataset, options, phase="train", **loading), count))


def digests(batches: list[FaceBatch]) -> list[str]:
    """One hash a batch, over its pictures, references and skips; padding is the same for one size of batch."""
    found = []
    for batch in batches:
        digest = hashlib.sha256(repr((batch.names, batch.skipped)).encode())
        for tensor in (batch.lq_BCHW, batch.gt_BCHW, batch.references.images_BRCHW, batch.references.mask_BR):
            digest.update(tensor.numpy().tobytes())
        found.append(digest.hexdigest())
    return found


def test_a_resumed_stream_is_the_tail_of_the_whole_one(root: Path) -> None:
    whole = stream(entry(root), 22)
    assert any(batch.skipped for batch in whole)
    assert not {"00001/2.png", "00002/3.png"} & {name for batch in whole for name in batch.names}
    for start in (2, 11, 30):
        batches = digests(stream(entry(root), 5, start_draw=start - start % 2))
        assert batches == digests(whole)[start // 2 : start // 2 + 5]


def test_workers_and_ranks_skip_alike(root: Path) -> None:
    whole = digests(stream(entry(root), 12))
    assert digests(stream(entry(root, workers=2), 12)) == whole
    single = digests(stream(entry(root, batch=1), 12))
    ranks = [digests(stream(entry(root, batch=1), 6, rank=rank, world_size=2)) for rank in (0, 1)]
    assert [batch for pair in zip(*ranks, strict=True) for batch in pair] == single


def test_messages_name_the_picture_and_say_why(root: Path) -> None:
    messages = {message for batch in stream(entry(root), 22) for message in batch.skipped}
    reasons = {message.split(": ", 1)[0]: message for message in messages}
    assert set(reasons) == {"00001/2.png", "00002/3.png"}
    assert "cut short" in reasons["00001/2.png"]


def test_what_is_good_is_as_it_would_be_without_the_bad(root: Path, tmp_path: Path) -> None:
    whole = write_celebref(tmp_path, {"00001": 4, "00002": 4, "00003": 3}, size=64)
    good, some = (stream(entry(place, batch=1), 44) for place in (whole, root))
    same = [one for one, two in zip(digests(good), digests(some), strict=True) if one == two]
    touched = [batch for batch in some if batch.skipped]
    assert len(same) + len(touched) == 44


def test_the_default_stops(root: Path) -> None:
    with pytest.raises(DataError, match=r"00002.3\.png: is a web page|cut short"):
        stream(entry(root, bad_pictures="error"), 22)
