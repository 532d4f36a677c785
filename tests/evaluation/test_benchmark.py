"""Several methods on several sets in one run: columns, numbers of references, folders of results, what does not fit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from made_benchmark import COLUMNS, make_benchmark, options, write_weights

from dmdnet.errors import ConfigError, DataError, WeightsError
from dmdnet.evaluation.methods.building import build_methods
from dmdnet.evaluation.methods.folder import pair
from dmdnet.evaluation.methods.network import Columns, with_references
from dmdnet.evaluation.run import run_test
from dmdnet.files import locked
from dmdnet.images import read_image, write_image
from dmdnet.metrics.psnr import IDENTICAL_DB


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("benchmark")
    make_benchmark(root)
    return root


@pytest.fixture(scope="module")
def results(root: Path) -> Path:
    return run_test(options(root))


def means(out_dir: Path, set_name: str, metric: str = "psnr") -> dict[str, dict]:
    """Return column -> record of a set."""
    records = json.loads((out_dir / "summary.json").read_text())
    return {
        r["method"]: r for r in records
        if (r["kind"], r["set"], r["metric"], r.get("group", "")) == ("mean", set_name, metric, "")
    }  # fmt: skip


def test_every_method_on_every_set(results: Path) -> None:
    x4, x8 = means(results, "x4"), means(results, "x8")
    assert tuple(x4) == COLUMNS
    assert tuple(x8) == COLUMNS[:-1]  # the other tool has results of one set
    assert x4["other"]["mean"] == IDENTICAL_DB
    assert x4["input"]["mean"] > x8["input"]["mean"]
    assert {record["n"] for record in x4.values()} == {9}
    for column in COLUMNS:
        assert len(list((results / "x4" / column).rglob("*.png"))) == 9


def test_numbers_of_references_are_columns(results: Path) -> None:
    one, two = (read_image(results / "x4" / f"ours_specific@{count}" / "00001" / "1.png") for count in (1, 2))
    assert (one != two).any()
    lines = (results / "x4_pictures.csv").read_text().splitlines()
    names = lines[0].split(",")
    rows = [dict(zip(names, line.split(","), strict=True)) for line in lines[1:]]
    given = {(row["method"], row["references"]) for row in rows}
    assert given >= {("ours_specific@1", "1"), ("ours_specific@2", "2"), ("ours_wrong_person@1", "1"), ("input", "0")}


def test_outputs_of_one_network_are_asked_for_together() -> None:
    calls = []

    def restore(batch, modes):
        calls.append((batch.references.mask_BR.shape[1], modes))
        return {mode: torch.zeros(batch.lq_BCHW.shape) for mode in modes}

    from fake_sets import batch_of, picture

    by_name = {"generic": ("generic", None), "s1": ("specific", 1), "s2": ("specific", 2), "w2": ("wrong_person", 2)}
    answers = Columns(restore, by_name).restore(batch_of([picture(0)]), list(by_name))
    assert list(answers) == list(by_name)
    assert [(count, set(modes)) for count, modes in calls] == [
        (1, {"specific", "generic"}), (2, {"specific", "wrong_person"}),
    ]  # fmt: skip
    assert answers["s1"].references == (1,)
    assert with_references(batch_of([picture(0)]), None).references.mask_BR.shape[1] == 2


def test_the_outputs_of_val_modes_are_the_same_pictures(root: Path, results: Path) -> None:
    alone = run_test(
        options(root, "methods=~", "name=alone", f"path.pretrain_network_g={root}/net_g.pth", "datasets.test_2=~")
    )
    assert means(alone, "x4")["specific"]["mean"] == means(results, "x4")["ours_specific@2"]["mean"]


def test_a_folder_of_our_own_results_is_a_method(root: Path, results: Path) -> None:
    folder = f"{{type: FolderMethod, dataroot: '{results}/{{set}}/ours_generic'}}"
    again = run_test(options(root, "methods=~", f"methods.old={folder}", "name=old"))
    for name in ("x4", "x8"):
        assert means(again, name)["old"]["mean"] == means(results, name)["ours_generic"]["mean"]


def test_failures_of_a_folder(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    picture = read_image(root / "faces/images/00001/1.png")
    for name, content in (("00001/1", picture), ("00001/2", picture[:32]), ("00009/1", picture)):
        path = tmp_path / f"{name}_out.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, content)
    (tmp_path / "00001" / "3_out.png").write_bytes(b"")
    folder = f"{{type: FolderMethod, dataroot: '{tmp_path}', suffix: _out, sets: [x4]}}"
    methods = ("methods=~", "methods.input.type=InputMethod", f"methods.tool={folder}")
    out_dir = run_test(options(root, *methods, "name=failures"))
    record = means(out_dir, "x4")["tool"]
    assert (record["n"], record["n_failed"], record["coverage"]) == (9, 8, pytest.approx(1 / 9))
    assert record["failures"] == {"missing": 6, "wrong_size": 1, "unreadable": 1}
    listed = (out_dir / "x4_mismatches.txt").read_text()
    assert "00009/1_out.png belongs to no picture" in listed
    assert listed.count("no result for") == 6
    assert "more are listed in" in caplog.text
    assert (
        len(list((out_dir / "x4" / "tool").rglob("*.png"))) == 1
    )  # what failed is not written: it would pass for good
    dropped = run_test(options(root, *methods, "name=dropped", "benchmark.failed=drop"))
    assert means(dropped, "x4")["tool"]["n"] == 1
    assert means(dropped, "x4")["tool"]["mean"] == IDENTICAL_DB
    assert means(dropped, "x4")["tool"]["scored_as"] == "drop"


@pytest.mark.parametrize(
    ("override", "error", "words"),
    [
        ("methods.ours.weights=nowhere.pth", WeightsError, "nowhere.pth"),
        ("methods.ours.weights=~", WeightsError, r"methods\.ours: names no weights"),
        ("methods.ours.modes=[specfic]", ConfigError, "did you mean 'specific'"),
        ("methods.ours.modes=[input]", ConfigError, "InputMethod"),
        ("methods.ours.modes=[generic]", ConfigError, "uses references"),
        ("methods.ours.references=[1, 1]", ConfigError, "twice"),
        ("methods.ours.references=[3]", ConfigError, r"'x4' gives at most 2; raise its num_references"),
        ("methods.other.sets=[x5]", ConfigError, "did you mean 'x4'|known"),
        (("methods.other.sets=~", "methods.other.dataroot=a"), ConfigError, "results of 2 sets"),
        ("methods.other.dataroot=nowhere", DataError, "nowhere: there is no such folder"),
        (("methods.input=~", "methods.ours=~"), ConfigError, "none of them has anything for the set 'x8'"),
        ("methods.OTHER={type: InputMethod}", ConfigError, "two of them give a column 'other'"),
    ],
)
def test_mistakes_are_named_before_any_work(
    root: Path, override: str | tuple[str, ...], error: type, words: str
) -> None:
    overrides = (override,) if isinstance(override, str) else override
    with pytest.raises(error, match=words):
        run_test(options(root, *overrides, "name=mistakes"))
    assert not (root / "results/mistakes/x4").exists()


def test_weights_that_do_not_say_whose_they_are_need_a_network(root: Path, tmp_path: Path) -> None:
    content = torch.load(write_weights(tmp_path / "net.pth"), weights_only=True)
    torch.save({"params": content["params"]}, tmp_path / "net.pth")
    bare = ("methods=~", f"methods.bare={{type: NetworkMethod, weights: '{tmp_path}/net.pth'}}")
    with pytest.raises(WeightsError, match="no 'network' entry"):
        build_methods(options(root, *bare), torch.device("cpu"))
    network = "methods.bare.network={type: DMDNet, image_size: 64, base_channels: 4, dictionary_size: 4}"
    (method,) = build_methods(options(root, *bare, network), torch.device("cpu"))
    assert [info.name for info in method.columns] == ["bare_generic", "bare_specific"]
    assert method.columns[0].sha256 == method.columns[1].sha256 != ""


def test_options_of_a_network_decide_its_columns(root: Path, tmp_path: Path) -> None:
    content = torch.load(write_weights(tmp_path / "net.pth"), weights_only=True)
    torch.save({"params": content["params"]}, tmp_path / "net.pth")
    found = []
    for size in (4, 6):  # what does not fit the file stays as it was drawn
        path = (f"path.pretrain_network_g={tmp_path}/net.pth", "path.strict_load_g=false")
        given = (*path, f"network_g.dictionary_size={size}", "methods=~", "methods.bare.type=NetworkMethod")
        (method,) = build_methods(options(root, *given), torch.device("cpu"))
        found.append(method.settings("bare_generic"))
    assert found[0]["weights"] == found[1]["weights"]
    assert found[0] != found[1]


def test_what_failed_this_time_leaves_no_picture_of_another_time(root: Path, tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    shutil.copytree(root / "faces/images", tool)
    only = ("methods=~", f"methods.tool={{type: FolderMethod, dataroot: '{tool}', sets: [x4]}}", "datasets.test_2=~")
    out_dir = run_test(options(root, *only, "name=again"))
    assert (out_dir / "x4/tool/00001/1.png").is_file()
    (tool / "00001/1.png").write_bytes(b"")
    run_test(options(root, *only, "name=again"))
    assert not (out_dir / "x4/tool/00001/1.png").exists()
    assert len(list((out_dir / "x4/tool").rglob("*.png"))) == 8


def test_results_that_would_replace_each_other_are_refused(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "faces", tmp_path / "faces")
    images, landmarks = tmp_path / "faces/images/00001", tmp_path / "faces/landmarks/00001"
    write_image(images / "1.jpg", read_image(images / "1.png"))
    shutil.copy(landmarks / "1.png.txt", landmarks / "1.jpg.txt")
    layout = (f"datasets.test_1.layout.dataroot_{what}={tmp_path}/faces/{where}" for what, where in
              (("gt", "images"), ("landmarks", "landmarks")))  # fmt: skip
    only = (*layout, "methods=~", "methods.input.type=InputMethod", "datasets.test_2=~", "name=both")
    with pytest.raises(DataError, match=r"00001/1\.jpg and 00001/1\.png would both be 00001/1\.png"):
        run_test(options(root, *only))
    record = means(run_test(options(root, *only, "val.save_img=false")), "x4")["input"]
    assert record["n"] == 10


def test_two_files_of_one_name_are_a_mistake_where_they_belong_to_a_picture(tmp_path: Path) -> None:
    for name in ("a/1.png", "compared/1.png", "compared/1.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert pair(tmp_path, [("a", "a/1.png")]).extra == ("compared/1.jpg", "compared/1.png")
    (tmp_path / "a/1.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"a/1\.jpg and a/1\.png are both results of a/1; remove one"):
        pair(tmp_path, [("a", "a/1.png")])


def rank_of_two(rank: int, folder: str, root: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    run_test(options(Path(root), "name=two_ranks"))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_ranks_write_what_one_does(root: Path, results: Path, tmp_path: Path) -> None:
    torch.multiprocessing.spawn(rank_of_two, (str(tmp_path), str(root)), nprocs=2)
    both = root / "results/two_ranks"
    for name in ("summary.json", "x4_pictures.csv", "x8_pictures.csv", "tables.md"):
        assert (both / name).read_bytes() == (results / name).read_bytes()
    pictures = [path.relative_to(results) for path in results.glob("x*/**/*.png")]
    assert len(pictures) == 9 * (len(COLUMNS) * 2 - 1)
    assert all((both / path).read_bytes() == (results / path).read_bytes() for path in pictures)


def test_a_second_run_is_kept_out_of_the_results(root: Path, results: Path) -> None:
    with locked(results / "journal/lock"), pytest.raises(DataError, match="another process is filling these results"):
        run_test(options(root))
