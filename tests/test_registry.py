from __future__ import annotations

import copy
import inspect
import pickle
import sys
import types
import typing
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError

import dmdnet.data.layouts  # noqa: F401  registers another registry
from dmdnet.errors import ConfigError
from dmdnet.registry import ARCHS, DEGRADATIONS, LOSSES, OPTIMIZERS, Component, Registry, Runtime, plain
from dmdnet.typed import FrozenDict, _is_runtime, nearest


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setitem(sys.modules, "toy_package", types.ModuleType("toy_package"))
    return Registry("toy thing", "toy_package")


# --- registering and finding


def test_a_class_and_a_function_can_be_registered(registry: Registry) -> None:
    @registry.register()
    class Box:
        def __init__(self, *, size: int, label: str = "x", device: Runtime[str]) -> None:
            self.content = (size, label, device)

    @registry.register("pair")
    def make_pair(*, left: int, right: int = 2) -> tuple[int, int]:
        return left, right

    assert registry.names() == ["Box", "pair"]
    assert registry.build(registry.component("Box", size=3), device="cpu").content == (3, "x", "cpu")
    assert registry.build(registry.component("pair", left=1)) == (1, 2)
    assert list(registry.schema("Box").model_fields) == ["size", "label"]


def test_a_name_is_registered_once_and_has_no_dot(registry: Registry) -> None:
    @registry.register("Box")
    def one() -> None: ...

    with pytest.raises(ValueError, match="the toy thing 'Box' is registered twice"):
        registry.register("Box")(one)
    with pytest.raises(ValueError, match="a name has no dot"):
        registry.register("a.b")(one)


def test_an_unknown_name_names_the_nearest(registry: Registry) -> None:
    registry.register("GaussianBlur")(lambda: None)
    registry.register("JPEG")(lambda: None)
    for name, hint in {
        "GausianBlur": "did you mean 'GaussianBlur'?",
        "gaussianblur": "did you mean 'GaussianBlur'?",
        "jpeg": "did you mean 'JPEG'?",
        "Zoom": "known: GaussianBlur, JPEG",
        "": "known: GaussianBlur, JPEG",
    }.items():
        with pytest.raises(ConfigError) as caught:
            registry.get(name)
        assert str(caught.value) == f"unknown toy thing type {name!r}; {hint}"


def test_nearest_of_nothing() -> None:
    assert nearest("x", []) == "nothing is known here"


def test_an_argument_without_type_is_a_bug(registry: Registry) -> None:
    @registry.register()
    def careless(*, size) -> None:  # type: ignore[no-untyped-def]
        ...

    with pytest.raises(TypeError, match="careless: the argument 'size' needs a type hint"):
        registry.schema("careless")


@pytest.mark.parametrize("name", ["copy", "json", "schema", "validate", "dict", "model_name", "fields"])
def test_options_may_have_names_that_pydantic_uses(
    name: str, registry: Registry, recwarn: pytest.WarningsRecorder
) -> None:
    def make(**options: int) -> dict[str, int]:
        return options

    make.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=1, annotation=int)]
    )
    make.__annotations__ = {name: int}
    registry.register("make")(make)
    assert registry.build(registry.component("make", **{name: 5})) == {name: 5}
    assert registry.component("make").options == {name: 1}
    assert not recwarn.list


# --- validation


def toy(
    *,
    size: Annotated[int, Field(gt=0)],
    act: Literal["relu", "gelu"] = "relu",
    scale: float = 1.0,
    parts: tuple[int, ...] = (),
    table: dict[str, float] | None = None,
    device: Runtime[str | None] = None,
    other: Runtime[int] | None = None,
) -> None: ...


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"size": 0},
        {"size": "1"},
        {"size": 1.0},
        {"size": True},
        {"size": 1, "act": "tanh"},
        {"size": 1, "scale": "2"},
        {"size": 1, "scale": float("nan")},
        {"size": 1, "parts": (1.5,)},
        {"size": 1, "table": {"a": "x"}},
        {"size": 1, "device": "cpu"},
        {"size": 1, "other": 1},
        {"size": 1, "szie": 1},
    ],
)
def test_options_are_strict(options: dict[str, Any], registry: Registry) -> None:
    registry.register("toy")(toy)
    with pytest.raises(ValidationError):
        registry.component("toy", **options)


def test_defaults_are_filled_in(registry: Registry) -> None:
    registry.register("toy")(toy)
    component = registry.component("toy", size=3, scale=2, table={"a": 1})
    expected = {"size": 3, "act": "relu", "scale": 2.0, "parts": (), "table": {"a": 1.0}}
    assert component.options == expected
    assert component.as_dict() == {"type": "toy", **expected, "parts": []}


NESTED = Registry("toy part", "dmdnet.errors")
NESTED.register()(toy)


@NESTED.register()
def outer(*, inner: tuple[Annotated[Component, NESTED], ...] = ()) -> None: ...


def test_components_hold_components() -> None:
    component = NESTED.component("outer", inner=({"type": "toy", "size": 1}, {"type": "outer"}))
    assert component.options["inner"][0] == NESTED.component("toy", size=1)
    assert plain(component)["inner"][1] == {"type": "outer", "inner": []}
    with pytest.raises(ValidationError) as caught:
        NESTED.component("outer", inner=({"type": "outer", "inner": ({"type": "toy", "size": "x"},)}, {"type": "to"}))
    assert [item["loc"] for item in caught.value.errors()] == [("inner", 0, "inner", 0, "size"), ("inner", 1, "type")]


# --- components are values


def test_components_are_frozen_hashable_and_picklable() -> None:
    one = Component("A", {"x": [1, {"y": [2]}], "z": {"a": 1}})
    assert one == Component("A", {"z": {"a": 1}, "x": (1, {"y": (2,)})})
    assert hash(one) == hash(Component("A", {"z": {"a": 1}, "x": (1, {"y": (2,)})}))
    assert one != Component("B", one.options)
    assert pickle.loads(pickle.dumps(one)) == one
    assert copy.deepcopy(one) == one
    attempts: list[Any] = [
        lambda: one.options.__setitem__("x", 1),  # type: ignore[attr-defined]
        lambda: one.options["z"].pop("a"),
        lambda: one.options["x"][1].clear(),
        lambda: setattr(one, "type", "B"),
    ]
    for attempt in attempts:
        with pytest.raises((TypeError, AttributeError)):
            attempt()


def test_a_frozen_dict_is_a_dict() -> None:
    value = FrozenDict({"a": 1})
    assert isinstance(value, dict)
    assert {**value, "b": 2} == {"a": 1, "b": 2}
    assert value | {"b": 2} == {"a": 1, "b": 2}
    assert isinstance(pickle.loads(pickle.dumps(value)), FrozenDict)


def test_changing_what_a_component_was_made_of_changes_nothing() -> None:
    options = {"x": [1, 2]}
    component = Component("A", options)
    options["x"].append(3)
    assert component.options["x"] == (1, 2)


# --- every registered component of the project


def components_of_all_kinds() -> list[tuple[Registry, str]]:
    kinds = sorted(kind for kind in Registry._by_kind if not kind.startswith("toy"))
    return [(Registry.of_kind(kind), name) for kind in kinds for name in Registry.of_kind(kind).names()]


@pytest.mark.parametrize(
    ("registry", "name"), components_of_all_kinds(), ids=lambda value: getattr(value, "kind", value)
)
def test_every_signature_is_a_schema(registry: Registry, name: str) -> None:
    constructor = registry.get(name)
    fields = registry.schema(name).model_fields
    target = constructor.__init__ if inspect.isclass(constructor) else constructor  # type: ignore[misc]
    hints = typing.get_type_hints(target, include_extras=True)
    for parameter in inspect.signature(constructor).parameters.values():
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY, f"{name}: {parameter.name} must be a keyword"
        if parameter.default is inspect.Parameter.empty or _is_runtime(hints[parameter.name]):
            continue
        default = parameter.default
        TypeAdapter(Annotated[hints[parameter.name], fields[parameter.name]]).validate_python(
            default, strict=True
        )  # a default that the option file could not spell would not load back
    assert constructor.__doc__, f"{name} needs a docstring; editors show it"


def test_the_kinds_that_the_recipes_need_are_there() -> None:
    assert "DMDNet" in ARCHS.names()
    assert "L1Loss" in LOSSES.names()
    assert "Adam" in OPTIMIZERS.names()
    assert DEGRADATIONS.names()


def test_options_that_do_not_fit_each_other_have_their_place() -> None:
    degradations = TypeAdapter(tuple[Annotated[Component, DEGRADATIONS], ...])
    jpeg = {"type": "JPEGCompression", "quality": (90, 30)}
    with pytest.raises(ValidationError) as caught:
        degradations.validate_python(
            ({"type": "Grayscale"}, {"type": "Shuffle", "ops": (jpeg,)}, {"type": "GaussianBlur", "sigma": (2, 1)})
        )
    found = {line["loc"]: line["msg"].partition(" is not")[0] for line in caught.value.errors()}
    assert found[(1, "ops", 0)] == "JPEGCompression: quality: [90, 30]"
    assert found[(2,)] == "GaussianBlur: sigma: [2, 1]"
