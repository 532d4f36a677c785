"""The stream of batches: the same for any number of workers and ranks, and from any place."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from made_faces import celebref_set, write_celebref, write_face

from dmdnet.config.options import DatasetOptions
from dmdnet.data.batch import FaceBatch
from dmdnet.data.loading import FaceLoader, _handed_over, build_dataset, build_loader
from dmdnet.data.sampling import Draw
from dmdnet.data.storage import DiskStorage, write_lmdb
from dmdnet.errors import BoxError, ConfigError, DataError

PEOPLE = {"00001": 4, "00002": 3, "00003": 1, "00004": 2}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_celebref(tmp_path_factory.mktemp("celebref"), PEOPLE, size=64)


def set_options(root: Path, **changes: object) -> dict:
    options = {
        "degradation": ({"type": "Preset", "name": "codeformer"},),
        "num_references": (1, 3),
        "no_reference_prob": 0.2,
        "wrong_person_prob": 0.1,
        "use_hflip": True,
        "color_jitter": 0.3,
        "landmark_noise": (2.0, 4.0),
        "box_jitter": 0.08,
        **changes,
    }
    return celebref_set(root, **options)


def options(root: Path, batch: int = 2, workers: int = 0, **changes: object) -> DatasetOptions:
    loading = {"name": "made", "batch_size_per_gpu": batch, "num_worker_per_gpu": workers}
    return DatasetOptions.model_validate({**loading, **set_options(root, **changes)})


def batches(opt: DatasetOptions, count: int, *, phase: str = "train", seed: int = 3, **loading: object) -> list:
    dataset = build_dataset(opt, seed=seed, phase=phase)
    return list(islice(build_loader(dataset, opt, phase=phase, **loading), count))


def digests(loaded: Iterable[FaceBatch]) -> list[str]:
    """One hash a sample, over everything in it but the padding."""
    found = []
    for batch in loaded:
        for row, name in enumerate(batch.names):
            digest = hashlib.sha256(name.encode())
            refs = batch.references
            kept = [batch.lq_BCHW[row], batch.lq_boxes_B44[row], batch.gt_BCHW[row], batch.gt_boxes_B44[row]]
            if refs is not None:
                mask = refs.mask_BR[row]
                kept += [refs.images_BRCHW[row][mask], refs.boxes_BR44[row][mask]]
            for tensor in kept:
                digest.update(tensor.contiguous().numpy().tobytes())
            found.append(digest.hexdigest())
    return found


@pytest.mark.filterwarnings(
    "ignore:This DataLoader will create:UserWarning"
)  # more workers than this machine has cores
class TestStream:
    @pytest.fixture(scope="class")
    def stream(self, root: Path) -> list[str]:
        """24 samples: more than two epochs of the ten pictures."""
        return digests(batches(options(root), 12))

    @pytest.mark.parametrize("workers", [1, 4])
    def test_any_number_of_workers(self, root: Path, stream: list[str], workers: int) -> None:
        assert digests(batches(options(root, workers=workers), 12)) == stream

    def test_spawned_workers(self, stream: list[str], lmdb: Path) -> None:
        loaded = batches(options(lmdb, workers=1), 2, multiprocessing_context="spawn")
        assert digests(loaded) == stream[:4]

    @pytest.mark.parametrize("workers", [0, 1, 4])
    def test_from_an_lmdb(self, stream: list[str], lmdb: Path, workers: int) -> None:
        assert digests(batches(options(lmdb, workers=workers), 12)) == stream

    def test_an_lmdb_that_was_read_before_its_workers_were_forked(self, stream: list[str], lmdb: Path) -> None:
        opt = options(lmdb, workers=2)
        dataset = build_dataset(opt, seed=3, phase="train")
        before = dataset.face(0).image.copy()
        loaded = islice(build_loader(dataset, opt, phase="train", multiprocessing_context="fork"), 4)
        assert digests(loaded) == stream[:8]
        np.testing.assert_array_equal(dataset.face(0).image, before)

    def test_any_batch_size(self, root: Path, stream: list[str]) -> None:
        assert digests(batches(options(root, batch=3), 8)) == stream

    def test_two_ranks_share_it(self, root: Path, stream: list[str]) -> None:
        ranks = [digests(batches(options(root, batch=1), 12, rank=rank, world_size=2)) for rank in (0, 1)]
        assert [sample for pair in zip(*ranks, strict=True) for sample in pair] == stream

    @pytest.mark.parametrize("start", [2, 10, 14])
    def test_a_later_start_is_its_tail(self, root: Path, stream: list[str], start: int) -> None:
        assert digests(batches(options(root), 5, start_draw=start)) == stream[start : start + 10]

    def test_epochs_differ_in_order_and_in_every_sample(self, stream: list[str]) -> None:
        assert not set(stream[:10]) & set(stream[10:20])

    def test_seeds_differ(self, root: Path, stream: list[str]) -> None:
        assert not set(digests(batches(options(root), 5, seed=4))) & set(stream)

    def test_torch_generator_is_left_alone(self, root: Path) -> None:
        before = torch.get_rng_state()
        batches(options(root, workers=1), 2)
        assert torch.equal(torch.get_rng_state(), before)

    @pytest.fixture(scope="class")
    def lmdb(self, root: Path) -> Path:
        """The same pictures, beside the same landmarks."""
        return write_lmdb(DiskStorage(root), root.parent / "images.lmdb", workers=1).root


class TestTesting:
    def test_every_picture_once_over_ranks(self, root: Path) -> None:
        opt = options(root, batch=2, no_reference_prob=0.0, wrong_person_prob=0.0)
        shards = [batches(opt, 99, phase="test", rank=rank, world_size=3) for rank in range(3)]
        names = [[name for batch in shard for name in batch.names] for shard in shards]
        assert sorted(name for shard in names for name in shard) == sorted(
            f"{p}/{k}.png" for p, n in PEOPLE.items() for k in range(1, n + 1)
        )
        assert [len(shard) for shard in names] == [4, 4, 2]  # whole batches

    def test_has_a_length(self, root: Path) -> None:
        opt = options(root, batch=4)
        assert len(build_loader(build_dataset(opt, seed=0, phase="test"), opt, phase="test")) == 3

    def test_repeats(self, root: Path) -> None:
        first, second = (digests(batches(options(root, batch=n), 99, phase="test")) for n in (1, 4))
        assert first == second


class TestErrors:
    @pytest.mark.parametrize("workers", [0, 1])
    def test_keep_their_type_and_message(self, tmp_path: Path, workers: int) -> None:
        root = write_celebref(tmp_path, {"00001": 2}, size=64)
        os.truncate(root / "00001" / "1.png", 400)
        with pytest.raises(DataError, match="cut short") as caught:
            batches(options(root, workers=workers, wrong_person_prob=0.0), 4)
        assert "Traceback" not in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_box_errors_stay_box_errors(self, tmp_path: Path) -> None:
        root = write_celebref(tmp_path, {"00001": 1}, size=64)
        points = tmp_path / "landmarks" / "00001" / "1.png.txt"
        lines = points.read_text().splitlines()
        for index in (*range(17, 22), *range(36, 42)):
            lines[index] = "22 30"
        points.write_text("\n".join(lines))
        with pytest.raises(BoxError, match="eye"):
            batches(options(root, workers=1, wrong_person_prob=0.0), 1)

    def test_a_missing_folder_is_one_error_at_the_start(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="does not exist"):
            build_dataset(options(tmp_path / "nowhere"), seed=0, phase="train")


class TestMixed:
    @pytest.fixture(scope="class")
    def mixed(self, root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
        ffhq = tmp_path_factory.mktemp("ffhq")
        for number in range(6):
            name = f"{number:05d}.png"
            write_face(ffhq / "images1024x1024" / name, ffhq / "landmarks" / f"{name}.txt", number, 64)
        layout = {"type": "FFHQLayout", "dataroot_gt": str(ffhq / "images1024x1024")}
        generic = set_options(root, layout=layout, num_references=(0, 0), wrong_person_prob=0.0)
        return {
            "name": "mixed",
            "type": "MixedDataset",
            "datasets": (generic, set_options(root)),
            "shares": (0.25, 0.75),
            "batch_size_per_gpu": 4,
        }

    def build(self, mixed: dict, *, phase: str = "train", **changes: object) -> tuple:
        opt = DatasetOptions.model_validate({**mixed, **changes})
        return build_dataset(opt, seed=1, phase=phase), opt

    def test_shares(self, mixed: dict) -> None:
        dataset, _ = self.build(mixed)
        from_ffhq = [dataset._chance(draw)[0] == 0 for draw in range(2000)]
        assert sum(from_ffhq) / 2000 == pytest.approx(0.25, abs=0.04)

    def test_no_record_twice_in_an_epoch_of_a_member(self, mixed: dict) -> None:
        dataset, _ = self.build(mixed)
        for epoch in range(20):
            places = [dataset._chance(draw) for draw in range(10 * epoch, 10 * epoch + 10)]
            of_second = [place for member, place in places if member == 1]
            assert len(set(of_second)) == len(of_second)

    def test_members_without_references_are_masked(self, mixed: dict) -> None:
        dataset, opt = self.build(mixed)
        for batch in islice(build_loader(dataset, opt, phase="train"), 6):
            for row, name in enumerate(batch.names):
                if "/" not in name and batch.references is not None:
                    assert not batch.references.mask_BR[row].any()

    def test_the_same_stream_with_workers_and_from_later(self, mixed: dict) -> None:
        def stream(workers: int, start: int) -> list[str]:
            dataset, opt = self.build(mixed, num_worker_per_gpu=workers)
            return digests(islice(build_loader(dataset, opt, phase="train", start_draw=start), 4))

        assert stream(0, 0) == stream(2, 0)
        assert stream(0, 8)[:8] == stream(0, 0)[8:16]

    def test_testing_goes_through_all(self, mixed: dict) -> None:
        dataset, opt = self.build(mixed, phase="test")
        names = [name for batch in build_loader(dataset, opt, phase="test") for name in batch.names]
        assert len(dataset) == len(names) == len(set(names)) == 16
        assert [identity.split("/")[0] for identity in dataset.identities] == ["0"] * 6 + ["1"] * 10
        assert dataset.face(6).name == dataset[Draw(6, 6)].name == "00001/1.png"
        with pytest.raises(IndexError):
            dataset[16]

    def test_refuses_shares_that_do_not_fit(self, mixed: dict) -> None:
        with pytest.raises(ConfigError, match="3 shares for 2 datasets"):
            self.build(mixed, shares=(1.0, 1.0, 1.0))

    def test_refuses_different_sizes(self, mixed: dict) -> None:
        other = {**mixed["datasets"][1], "image_size": 128}
        with pytest.raises(ConfigError, match="image_size"):
            self.build(mixed, datasets=(mixed["datasets"][0], other))


def test_a_worker_that_is_killed_while_it_hands_over_is_said_to_be() -> None:
    class Broken:
        num_workers = 1

        def __iter__(self) -> Iterator[str]:
            yield from ()
            raise ConnectionResetError(104, "Connection reset by peer")

    with pytest.raises(DataError, match=r"worker was killed .* \(\[Errno 104\] Connection reset by peer\); .*lower"):
        next(iter(FaceLoader(Broken())))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ConnectionResetError("gone"), DataError),
        (RuntimeError("Pin memory thread exited unexpectedly"), DataError),
        (RuntimeError("something else"), RuntimeError),
    ],
)
def test_a_worker_that_is_killed_while_it_hands_over_is_named(error: Exception, told: type[Exception]) -> None:
    def batches() -> Iterator[int]:
        yield 1
        raise error

    found = _handed_over(batches())  # type: ignore[arg-type]
    assert next(found) == 1
    with pytest.raises(told, match="worker was killed" if told is DataError else "something else"):
        next(found)
