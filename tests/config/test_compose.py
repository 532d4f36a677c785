from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dmdnet.config.compose import apply_override, compose
from dmdnet.config.yaml_reader import parse_yaml
from dmdnet.errors import ConfigError


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.yml").write_text(text)


def overridden(text: str, *overrides: str) -> Any:
    tree = parse_yaml(text, "f.yml")
    for override in overrides:
        tree = apply_override(tree, override)
    return tree.plain()


def test_mappings_merge_and_all_else_is_replaced(tmp_path: Path) -> None:
    write(tmp_path, base="a: {b: 1, c: [1, 2], d: {e: 1}}\nx: 1", top="_base_: base.yml\na: {c: [3], d: {f: 2}}")
    assert compose(tmp_path / "top.yml").plain() == {"a": {"b": 1, "c": (3,), "d": {"e": 1, "f": 2}}, "x": 1}


def test_of_several_bases_the_later_wins(tmp_path: Path) -> None:
    write(tmp_path, one="a: 1\nb: 1\nc: 1", two="b: 2\nc: 2", top="_base_: [one.yml, two.yml]\nc: 3")
    assert compose(tmp_path / "top.yml").plain() == {"a": 1, "b": 2, "c": 3}


def test_bases_are_found_beside_the_file_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    write(tmp_path, root="a: 1")
    write(tmp_path / "deep", middle="_base_: ../root.yml\nb: 2", top="_base_: middle.yml\nc: 3")
    tree = compose(tmp_path / "deep" / "top.yml")
    assert tree.plain() == {"a": 1, "b": 2, "c": 3}
    assert isinstance(tree.value, dict)
    assert str(tree.value["a"].place) == f"{tmp_path / 'root.yml'}:1"


def test_one_file_may_be_a_base_twice(tmp_path: Path) -> None:
    write(
        tmp_path,
        root="a: 1",
        one="_base_: root.yml\nb: 1",
        two="_base_: root.yml\nc: 1",
        top="_base_: [one.yml, two.yml]",
    )
    assert compose(tmp_path / "top.yml").plain() == {"a": 1, "b": 1, "c": 1}


BAD_BASES = {
    "missing": ("x: 1\n_base_: bse.yml", "top.yml:2: _base_: {}/bse.yml: does not exist; did you mean '{}/base.yml'?"),
    "itself": ("_base_: top.yml", "top.yml:1: _base_: top.yml is based on this file; that is a circle"),
    "circle": ("_base_: circle.yml", "circle.yml:1: _base_: top.yml is based on this file; that is a circle"),
    "number": ("_base_: 5", "top.yml:1: _base_: wants the name of a file or a list of names, got the number 5"),
    "nothing": ("_base_:", "_base_: wants the name of a file or a list of names, got nothing"),
    "mapping in list": ("_base_:\n- base.yml\n- {a: 1}", "top.yml:3: _base_: wants the name of a file"),
    "bad yaml": ("_base_: bad.yml", "bad.yml:1: a: the tag !x is not allowed"),
    "folder": ("_base_: .", "is a folder"),
}


@pytest.mark.parametrize(("text", "message"), BAD_BASES.values(), ids=BAD_BASES)
def test_bad_bases(text: str, message: str, tmp_path: Path) -> None:
    write(tmp_path, base="a: 1", circle="_base_: top.yml", bad="a: !x 1", top=text)
    with pytest.raises(ConfigError) as caught:
        compose(tmp_path / "top.yml")
    assert message.format(tmp_path, tmp_path) in str(caught.value)


def test_a_type_that_changes_marks_the_old_options_as_carried() -> None:
    tree = apply_override(parse_yaml("net: {type: A, x: 1, y: {z: 2}}", "f.yml"), "net.type=B")
    assert isinstance(tree.value, dict)
    net = tree.value["net"].value
    assert isinstance(net, dict)
    assert net["x"].carried
    assert net["y"].carried
    assert not net["type"].carried
    same = apply_override(parse_yaml("net: {type: A, x: 1}", "f.yml"), "net.type=A")
    assert isinstance(same.value, dict)
    assert not same.value["net"].value["x"].carried  # type: ignore[call-overload, index]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("a.b=2", {"a": {"b": 2}, "l": ({"x": 1}, {"x": 2})}),
        ("a:b=2", {"a": {"b": 2}, "l": ({"x": 1}, {"x": 2})}),
        ("a.c.d=[1, 2]", {"a": {"b": 1, "c": {"d": (1, 2)}}, "l": ({"x": 1}, {"x": 2})}),
        ("l.1.x=1e-4", {"a": {"b": 1}, "l": ({"x": 1}, {"x": 1e-4})}),
        ("l:0:y={z: 1}", {"a": {"b": 1}, "l": ({"x": 1, "y": {"z": 1}}, {"x": 2})}),
        ("l=[]", {"a": {"b": 1}, "l": ()}),
        ("a={c: yes}", {"a": {"b": 1, "c": "yes"}, "l": ({"x": 1}, {"x": 2})}),
        ("a.b=", {"a": {"b": None}, "l": ({"x": 1}, {"x": 2})}),
        ("a.b==x=y", {"a": {"b": "=x=y"}, "l": ({"x": 1}, {"x": 2})}),
        (" a . b = 3", {"a": {"b": 3}, "l": ({"x": 1}, {"x": 2})}),
        ("model_type=M", {"a": {"b": 1}, "l": ({"x": 1}, {"x": 2}), "model": {"type": "M"}}),
    ],
)
def test_overrides(override: str, expected: Any) -> None:
    assert overridden("a: {b: 1}\nl: [{x: 1}, {x: 2}]", override) == expected


def test_later_overrides_win_and_build_on_earlier_ones() -> None:
    assert overridden("a: 1", "n=~", "n.x=1", "n.y=2", "a=5", "a=6") == {"a": 6, "n": {"x": 1, "y": 2}}


BAD_OVERRIDES = {
    "no equals sign": ("a.b", "expected key.path=value, for example"),
    "no key": ("=5", "expected key.path=value"),
    "empty part": ("a..b=1", "expected key.path=value"),
    "base": ("_base_=x.yml", "_base_ belongs at the top of a file"),
    "past the end": ("l.2.x=1", "l is a list of 2; its entries are numbered 0 to 1, not '2'"),
    "negative": ("l.-1.x=1", "not '-1'"),
    "name in a list": ("l.x=1", "l is a list of 2; its entries are numbered 0 to 1, not 'x'"),
    "into text": ("name.x=1", "name is text 'run', not a mapping; it has no 'x'"),
    "tag": ("a.b=!!python/name:os.system", "the tag !!python/name:os.system is not allowed"),
    "bad yaml": ("a.b=[1", "not valid YAML"),
    "two documents": ("a.b=1\n---\n2", "a second document"),
}


@pytest.mark.parametrize(("override", "message"), BAD_OVERRIDES.values(), ids=BAD_OVERRIDES)
def test_bad_overrides(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        overridden("name: run\na: {b: 1}\nl: [{x: 1}, {x: 2}]", override)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"override '{override}': ")


def test_model_type_is_the_short_form_of_model(tmp_path: Path) -> None:
    write(tmp_path, base="model_type: A", top="_base_: base.yml\nmodel: {type: B}")
    write(tmp_path, both="model: {type: A}\nmodel_type: B")
    assert compose(tmp_path / "base.yml").plain() == {"model": {"type": "A"}}
    assert compose(tmp_path / "top.yml").plain() == {"model": {"type": "B"}}
    with pytest.raises(ConfigError, match=r"both.yml:2: model_type: is the short form of model.type; model is given"):
        compose(tmp_path / "both.yml")
