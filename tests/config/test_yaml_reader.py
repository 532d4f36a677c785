from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import pytest

from dmdnet.config.tree import Place, describe
from dmdnet.config.yaml_reader import MAX_BYTES, MAX_DEPTH, MAX_NODES, parse_yaml, read_yaml
from dmdnet.errors import ConfigError


def value_of(text: str) -> Any:
    node = parse_yaml(f"key: {text}", "f.yml").value
    assert isinstance(node, dict)
    return node["key"].plain()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-4", 1e-4),
        ("1E4", 1e4),
        (".5e-3", 0.5e-3),
        ("5.", 5.0),
        ("-0.25", -0.25),
        ("+3", 3),
        ("0", 0),
        ("300000", 300000),
        ("0x1F", 31),
        ("0o17", 15),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("[1, 2.0, a]", (1, 2.0, "a")),
        ("[]", ()),
        ("{a: [1]}", {"a": (1,)}),
        # what YAML 1.1 reads as something else, and what is in quotes, is text
        *[(word, word) for word in ("yes", "no", "on", "off", "y", "n", "010", "00005", "1:30", "1_000", "2024-01-01")],
        *[(word, word) for word in ("1.2.3", "1e", "e5", ".", "0o9", "0xg", "--1", "TRue", "nULL", "=", "1e-4x")],
        ("'1'", "1"),
        ('"true"', "true"),
        ("'~'", "~"),
        ("# only a comment", None),
        ("C:\\data", "C:\\data"),
    ],
)
def test_what_a_word_means(text: str, expected: Any) -> None:
    value = value_of(text)
    assert value == expected
    assert type(value) is type(expected)


def test_nan_is_read() -> None:
    assert math.isnan(value_of(".nan"))


def test_every_value_knows_its_line() -> None:
    tree = parse_yaml("a:\n  b: 1\n  c:\n    - x\n    - y: 2\n", "f.yml").value
    assert isinstance(tree, dict)
    inner = tree["a"].value
    assert isinstance(inner, dict)
    assert inner["b"].place == Place("f.yml", 2)
    entries = inner["c"].value
    assert isinstance(entries, tuple)
    assert [str(entry.place) for entry in entries] == ["f.yml:4", "f.yml:5"]


BAD_TEXTS = {
    "python tag": ("a:\n  b: !!python/object/apply:os.system [echo]", "f.yml:2: a.b: the tag !!python/object/apply"),
    "plain tag": ("a: !!str 5", "f.yml:1: a: the tag !!str is not allowed"),
    "own tag": ("a: !include x.yml", "f.yml:1: a: the tag !include is not allowed"),
    "empty tag": ("a: ! x", "the tag ! is not allowed"),
    "tag on a mapping": ("!!map {a: 1}", "the tag !!map is not allowed"),
    "tag on a key": ("!!str a: 1", "the tag !!str is not allowed"),
    "verbatim tag": ("a: !<tag:yaml.org,2002:int> 5", "the tag !!int is not allowed"),
    "unknown tag handle": ("a: !x!y 1", "f.yml:1: a: not valid YAML"),
    "duplicate key": ("a: 1\nb: 2\na: 3", "f.yml:3: a: is given twice; the first is at f.yml:1"),
    "nested duplicate key": ("x:\n  a: 1\n  'a': 3", "f.yml:3: x.a: is given twice; the first is at f.yml:2"),
    "number as key": ("a: 1\n5: 2", "f.yml:2: a key must be text, got the number 5; put it in quotes"),
    "boolean as key": ("true: 2", "a key must be text, got true"),
    "null as key": ("~: 2", "a key must be text, got nothing (~)"),
    "list as key": ("? [1]\n: 2", "f.yml:1: a key must be text"),
    "deep keys": ("? " * 5000, "f.yml:1: a key must be text"),
    "merge key": ("a: &x {b: 1}\nc: {<<: *x}", "f.yml:2: c: merge keys ('<<') are not supported; use _base_"),
    "unknown alias": ("a: *x", "f.yml:1: a: the alias *x has no complete anchor"),
    "alias of itself": ("a: &x [*x]", "f.yml:1: a.0: the alias *x has no complete anchor"),
    "tab": ("a:\n\tb: 1", "f.yml:2: a: not valid YAML: found character '\\t'"),
    "second document": ("a: 1\n---\nb: 2", "f.yml:2: a second document"),
    "colon in a value": ("a: b: c", "f.yml:1: not valid YAML: mapping values are not allowed"),
    "open bracket": ("a: [1, 2", "f.yml:1: a"),
    "open quote": ("a: 'x", "not valid YAML"),
    "bad first character": ("a: %x", "put the value in quotes"),
    "control character": ("ok: 1\na: \x07", "f.yml:2: the character U+0007 is not allowed in YAML"),
    "too deep": ("[" * (MAX_DEPTH + 2), f"nested deeper than {MAX_DEPTH} levels"),
    "far too deep": ("[" * 100_000, f"nested deeper than {MAX_DEPTH} levels"),
    "too deep by aliases": (
        "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 1000)),
        f"nested deeper than {MAX_DEPTH} levels",
    ),
    "too many values by aliases": (
        "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 20)),
        f"more than {MAX_NODES} values",
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD_TEXTS.values(), ids=BAD_TEXTS)
def test_what_is_refused(text: str, message: str) -> None:
    start = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "f.yml")
    assert message in str(caught.value)
    assert str(caught.value).startswith("f.yml:")
    assert time.monotonic() - start < 5


def test_anchors_stand_for_their_values() -> None:
    assert parse_yaml("a: &x {b: [1, 2]}\nc: *x\nd: [*x, *x]", "f.yml").plain() == {
        "a": {"b": (1, 2)},
        "c": {"b": (1, 2)},
        "d": ({"b": (1, 2)}, {"b": (1, 2)}),
    }


def test_a_very_long_number_is_text() -> None:
    assert value_of("9" * 5000) == "9" * 5000


BAD_FILES = {
    "empty": (b"", "is empty"),
    "only comments": (b"# nothing\n\n", "is empty"),
    "a list": (b"\n- a\n- b\n", ":2: expected a mapping of options such as 'name: my_run', got a list of 2"),
    "a word": (b"hello", ":1: expected a mapping of options such as 'name: my_run', got text 'hello'"),
    "NUL": (b"a: 1\nb: \0", ":2: holds a NUL character"),
    "Latin-1": ("a: 1\nb: grün".encode("latin-1"), ":2: is not UTF-8 text (byte 0xfc)"),
    "UTF-16": ("a: 1".encode("utf-16"), ":1: is not UTF-8 text"),
    "too long": (b"# " + b"x" * MAX_BYTES, f"is longer than {MAX_BYTES} bytes"),
}


@pytest.mark.parametrize(("data", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_files_that_are_no_options(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "f.yml"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_missing_files_name_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "train_dmdnet.yml").write_text("a: 1")
    near = {
        tmp_path / "train_dmdent.yml": "did you mean",
        tmp_path / "train_dmdnet": "did you mean",
        tmp_path / "zzz": "zzz: does not exist",
        tmp_path / "no" / "x.yml": "and neither does its folder",
        tmp_path: "is a folder",
        Path("/dev/null"): "is not a regular file",
        tmp_path / ("x" * 5000): "File name too long",
    }
    for path, message in near.items():
        with pytest.raises(ConfigError) as caught:
            read_yaml(path)
        assert message in str(caught.value)
        assert ("train_dmdnet.yml" in str(caught.value)) is (message == "did you mean")


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    path = tmp_path / "f.yml"
    path.write_bytes(b"\xef\xbb\xbfname: x\r\nother: 1\r\n")
    assert read_yaml(path).plain() == {"name": "x", "other": 1}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "nothing (~)"),
        (True, "true"),
        (3, "the number 3"),
        ("a", "text 'a'"),
        ((1, 2), "a list of 2"),
        ({"a": 1}, "a mapping (a)"),
        (dict.fromkeys("abcdef", 1), "a mapping (a, b, c, d, ...)"),
    ],
)
def test_describe(value: Any, words: str) -> None:
    assert describe(value) == words
