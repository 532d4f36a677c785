"""Named components: `type: Name` plus keywords in an option file becomes an object.

A component's constructor signature is its schema. Its keywords are typed, keyword-only arguments;
what only the program can supply (a device, a parent network) is annotated `Runtime[T]` and stays
out of the schema. A component that takes other components annotates them with the registry:

    @DATASETS.register()
    class MyDataset:
        def __init__(self, *, root: str, degradations: tuple[Annotated[Component, DEGRADATIONS], ...] = ()):
            ...

A registry finds its components by itself: at the first look-up it imports every module of its
package, so that a new component is one new file and no edit elsewhere.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, create_model
from pydantic_core import PydanticCustomError, core_schema

from dmdnet.errors import ConfigError

T = TypeVar("T")


class _RuntimeMarker:
    """Marks a constructor argument that the program supplies and the option file cannot."""


RUNTIME = _RuntimeMarker()
Runtime = Annotated[T, RUNTIME]


@dataclass(frozen=True)
class Component:
    """A validated `type` with all of its options, defaults included. Immutable and printable."""

    type: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the plain mapping that an option file would hold."""
        return {"type": self.type, **{key: plain(value) for key, value in self.options.items()}}


def plain(value: Any) -> Any:
    """Return `value` with components, models and tuples turned into dicts and lists."""
    if isinstance(value, Component):
        return value.as_dict()
    if isinstance(value, BaseModel):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


class Registry:
    """The components of one kind, by name.

    Args:
        kind: what the components are called in messages, for example "network".
        package: the package whose modules register them; imported at the first look-up.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package
        self._components: dict[str, Callable[..., Any]] = {}
        self._schemas: dict[str, type[BaseModel]] = {}
        self._loaded = False

    def register(self, name: str | None = None) -> Callable[[T], T]:
        """Return a decorator that registers a class or a factory under `name` (default: its own name)."""

        def decorate(component: T) -> T:
            key = name or component.__name__  # type: ignore[attr-defined]
            if key in self._components:
                raise ValueError(f"the {self.kind} {key!r} is registered twice")
            self._components[key] = component  # type: ignore[assignment]
            return component

        return decorate

    def names(self) -> list[str]:
        """Return the registered names, sorted."""
        self._load()
        return sorted(self._components)

    def get(self, name: str) -> Callable[..., Any]:
        """Return the class or factory registered as `name`.

        Raises:
            ConfigError: there is none; the message names the nearest one.
        """
        self._load()
        if name not in self._components:
            raise ConfigError(self._unknown(name))
        return self._components[name]

    def schema(self, name: str) -> type[BaseModel]:
        """Return the pydantic model of the options of `name`, made from its constructor."""
        if name not in self._schemas:
            self._schemas[name] = _signature_model(name, self.get(name))
        return self._schemas[name]

    def component(self, name: str, /, **options: Any) -> Component:
        """Return a validated component; for code that does not start from an option file."""
        model = self.schema(name).model_validate(options)
        return Component(name, {key: getattr(model, key) for key in type(model).model_fields})

    def build(self, component: Component, /, **runtime: Any) -> Any:
        """Call the constructor of `component` with its options and the program's `runtime` arguments."""
        return self.get(component.type)(**dict(component.options), **runtime)

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        package = importlib.import_module(self.package)
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            importlib.import_module(module.name)

    def _unknown(self, name: str) -> str:
        near = difflib.get_close_matches(name, self._components, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(self._components))}"
        return f"unknown {self.kind} type {name!r}; {hint}"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Let `Annotated[Component, REGISTRY]` validate a mapping with `type` into a `Component`."""
        return core_schema.no_info_plain_validator_function(self._validate)

    def _validate(self, value: Any) -> Component:
        if isinstance(value, Component):
            return value
        if not isinstance(value, Mapping):
            raise PydanticCustomError(
                "component_type",
                "expected a mapping with 'type' and the options of a {kind}, got {value}",
                {"kind": self.kind, "value": repr(value)},
            )
        options = dict(value)
        name = options.pop("type", None)
        if not isinstance(name, str):
            raise PydanticCustomError("component_missing", "a {kind} needs 'type'", {"kind": self.kind})
        try:
            schema = self.schema(name)
        except ConfigError as error:
            raise PydanticCustomError("component_unknown", "{message}", {"message": str(error)}) from None
        model = schema.model_validate(options)
        return Component(name, {key: getattr(model, key) for key in schema.model_fields})


def _signature_model(name: str, component: Callable[..., Any]) -> type[BaseModel]:
    """Return a strict, frozen pydantic model with the typed keywords of a constructor."""
    target = component.__init__ if inspect.isclass(component) else component  # type: ignore[misc]
    hints = typing.get_type_hints(target, include_extras=True)
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(component).parameters.values():
        hint = hints[parameter.name]
        if RUNTIME in getattr(hint, "__metadata__", ()):
            continue
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[parameter.name] = (hint, Field(default))
    config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)
    return create_model(name, __config__=config, **fields)


ARCHS = Registry("network", "dmdnet.archs")
DATASETS = Registry("data set", "dmdnet.data")
DEGRADATIONS = Registry("degradation", "dmdnet.degradations")
LOSSES = Registry("loss", "dmdnet.losses")
METRICS = Registry("metric", "dmdnet.metrics")
MODELS = Registry("model", "dmdnet.models")
OPTIMIZERS = Registry("optimiser", "dmdnet.engine.optimizers")
SCHEDULERS = Registry("schedule", "dmdnet.engine.schedulers")
FACE_BACKENDS = Registry("face back end", "dmdnet.faces")
