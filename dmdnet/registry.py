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

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar
from weakref import WeakValueDictionary

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from dmdnet.errors import ConfigError
from dmdnet.typed import RUNTIME, FrozenDict, Runtime, Strict, frozen, nearest, signature_model

__all__ = ["RUNTIME", "Component", "Registry", "Runtime", "plain"]

T = TypeVar("T")
COMPONENT_WANTED = "component_wanted"  # the error for a value that is no mapping; its context has the kind
JSON_PLACEHOLDER = "x-registry"  # config.json_schema turns it into a reference to all components of the kind


@dataclass(frozen=True)
class Component:
    """A validated `type` with all of its options, defaults included. Immutable and printable."""

    type: str
    options: Mapping[str, Any] = field(default_factory=FrozenDict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", frozen(self.options))

    def as_dict(self) -> dict[str, Any]:
        """Return the plain mapping that an option file would hold."""
        return {"type": self.type, **{key: plain(value) for key, value in self.options.items()}}


def plain(value: Any) -> Any:
    """Return `value` with components, models and tuples turned into dicts and lists."""
    if isinstance(value, Component):
        return value.as_dict()
    if isinstance(value, BaseModel):
        as_dict = getattr(value, "as_dict", None)
        return as_dict() if as_dict else {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


class Registry:
    """The components of one kind, by name.

    Args:
        kind: what the components are called in messages, for example "network".
        package: the package (or module) whose modules register them; imported at the first look-up.
        foreign: prefixes of names that live elsewhere, each with the module that finds them. The module is imported
            when such a name is looked up; its `find(name_without_prefix)` returns a constructor or raises ConfigError.
        tried: constructors are quick and need nothing from the program: each is called once when options are read, so
            that the ConfigError of options that do not fit each other has its place in the file, as all others have.
    """

    _by_kind: ClassVar[WeakValueDictionary[str, Registry]] = WeakValueDictionary()

    def __init__(
        self, kind: str, package: str, foreign: Mapping[str, str] | None = None, *, tried: bool = False
    ) -> None:
        self.kind = kind
        self.package = package
        self.foreign = FrozenDict(foreign or {})
        self.tried = tried
        self._components: dict[str, Callable[..., Any]] = {}
        self._schemas: dict[str, type[Strict]] = {}
        self._loaded = False
        self._by_kind.setdefault(kind, self)

    @classmethod
    def of_kind(cls, kind: str) -> Registry:
        """Return the registry (the first, if there are several) of this kind."""
        return cls._by_kind[kind]

    def register(self, name: str | None = None) -> Callable[[T], T]:
        """Return a decorator that registers a class or a factory under `name` (default: its own name).

        Raises:
            ValueError: the name is taken, or has a dot (those belong to foreign components).
        """

        def decorate(component: T) -> T:
            key = name or component.__name__  # type: ignore[attr-defined]
            if key in self._components:
                raise ValueError(f"the {self.kind} {key!r} is registered twice")
            if "." in key:
                raise ValueError(f"the {self.kind} {key!r}: a name has no dot")
            self._components[key] = component  # type: ignore[assignment]
            return component

        return decorate

    def names(self) -> list[str]:
        """Return the registered names, sorted."""
        self._load()
        return sorted(self._components)

    def get(self, name: str) -> Callable[..., Any]:
        """Return the class or factory called `name`.

        Raises:
            ConfigError: there is none; the message names the nearest one.
        """
        for prefix, module in self.foreign.items():
            if name.startswith(prefix):
                found: Callable[..., Any] = importlib.import_module(module).find(name.removeprefix(prefix))
                return found
        self._load()
        if name not in self._components:
            raise ConfigError(f"unknown {self.kind} type {name!r}; {nearest(name, self._components)}")
        return self._components[name]

    def schema(self, name: str) -> type[Strict]:
        """Return the pydantic model of the options of `name`, made from its constructor."""
        if name not in self._schemas:
            self._schemas[name] = signature_model(name, self.get(name))
        return self._schemas[name]

    def component(self, name: str, /, **options: Any) -> Component:
        """Return a validated component; for code that does not start from an option file."""
        return Component(name, _values(self.schema(name).model_validate(options)))

    def build(self, component: Component, /, **runtime: Any) -> Any:
        """Call the constructor of `component` with its options and the program's `runtime` arguments."""
        return self.get(component.type)(**component.options, **runtime)

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        package = importlib.import_module(self.package)
        for module in pkgutil.walk_packages(getattr(package, "__path__", ()), package.__name__ + "."):
            importlib.import_module(module.name)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Let `Annotated[Component, REGISTRY]` validate a mapping with `type` into a `Component`."""
        return core_schema.no_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Leave a placeholder: components may hold components of their own kind, so the kinds need named schemas."""
        return {JSON_PLACEHOLDER: self.kind}

    def _validate(self, value: Any) -> Component:
        if isinstance(value, Component):
            return value
        if not isinstance(value, Mapping):
            raise PydanticCustomError(COMPONENT_WANTED, "wants a {kind}: a mapping with 'type'", {"kind": self.kind})
        options = dict(value)
        name = options.pop("type", None)
        if name is None:
            raise PydanticCustomError("component_type", "needs 'type', the name of a {kind}", {"kind": self.kind})
        if not isinstance(name, str):
            raise _type_error(name, f"wants the name of a {self.kind}, got {name!r}")
        try:
            schema = self.schema(name)
        except ConfigError as error:
            raise _type_error(name, str(error)) from error
        component = Component(name, _values(schema.model_validate(options)))
        if self.tried:
            try:
                self.build(component)
            except ConfigError as error:
                raise PydanticCustomError("component_options", "{text}", {"text": str(error)}) from error
        return component


def _values(model: Strict) -> dict[str, Any]:
    return {**{key: getattr(model, key) for key in type(model).model_fields}, **(model.model_extra or {})}


def _type_error(name: Any, text: str) -> ValidationError:
    reason = PydanticCustomError("component_type", "{text}", {"text": text})
    return ValidationError.from_exception_data("type", [InitErrorDetails(type=reason, loc=("type",), input=name)])


_BASICSR = "basicsr."
ARCHS = Registry("network", "dmdnet.archs", foreign={_BASICSR: "dmdnet.archs.basicsr_arch"})
DATASETS = Registry("data set", "dmdnet.data")
DEGRADATIONS = Registry("degradation", "dmdnet.degradations", tried=True)
LOSSES = Registry("loss", "dmdnet.losses", foreign={_BASICSR: "dmdnet.losses.basicsr_loss"})
METRICS = Registry("metric", "dmdnet.metrics")
METHODS = Registry("method", "dmdnet.evaluation.methods")
MODELS = Registry("model", "dmdnet.models")
OPTIMIZERS = Registry("optimiser", "dmdnet.engine.optimizers")
SCHEDULERS = Registry("schedule", "dmdnet.engine.schedulers")
TRACKERS = Registry("tracker", "dmdnet.engine.trackers")
FACE_BACKENDS = Registry("face back end", "dmdnet.faces")
