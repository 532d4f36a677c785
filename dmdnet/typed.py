"""Typed, frozen values: strict pydantic models, made by hand or from a constructor's signature.

This is what the registry and the options share. An unknown key is reported with the names that are known at its
place, so that a message can say which one was meant.
"""

from __future__ import annotations

import difflib
import inspect
import types
import typing
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, NoReturn, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_core.core_schema import ErrorType

T = TypeVar("T")
UNKNOWN_OPTION = "unknown_option"
_PYDANTIC_ERRORS = frozenset(typing.get_args(ErrorType))


class _RuntimeMarker:
    """Marks a constructor argument that the program supplies and the option file cannot."""

    def __repr__(self) -> str:
        return "RUNTIME"


RUNTIME = _RuntimeMarker()
Runtime = Annotated[T, RUNTIME]


class FrozenDict(dict[str, Any]):
    """A dict that cannot be changed: hashable if its values are, picklable, equal to a dict of the same items."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("options are frozen: build new ones instead of changing them")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse


def frozen(value: Any) -> Any:
    """Return `value` with its dicts frozen and its lists turned into tuples, all the way down."""
    if isinstance(value, Mapping):
        return FrozenDict({key: frozen(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(frozen(item) for item in value)
    return value


Named = Annotated[dict[str, T], AfterValidator(FrozenDict)]  # a mapping of the user's own names to T


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the hint for an unknown name: the nearest known one, or all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name.lower(), [item.lower() for item in names], n=1)
    if close:
        return f"did you mean {next(item for item in names if item.lower() == close[0])!r}?"
    return f"known: {', '.join(names)}" if names else "nothing is known here"


class Strict(BaseModel):
    """Base of everything read from option files: frozen, no unknown keys, no conversion of types."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
        protected_namespaces=(),
    )

    @model_validator(mode="wrap")
    @classmethod
    def _name_what_is_known(cls, value: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            raise with_known_names(error, cls.model_fields, cls.moved_names()) from None

    @classmethod
    def moved_names(cls) -> Mapping[str, str]:
        """Return hints for keys that people bring from elsewhere and that are called otherwise here."""
        return {}


def with_known_names(
    error: ValidationError, known: Iterable[str], moved: Mapping[str, str] | None = None, below: str | None = None
) -> ValidationError:
    """Return `error` with the unknown keys of this level reported by us, with a hint.

    Args:
        known: the keys that this level has.
        moved: hints for keys that are called otherwise here.
        below: a key of the model that is no key of the file: what lies below it counts as this level.
    """
    lines: list[InitErrorDetails] = []
    for line in error.errors(include_url=False):
        kind: str | PydanticCustomError = line["type"]
        context = dict(line.get("ctx", {}))
        loc = line["loc"][1:] if below is not None and line["loc"][:1] == (below,) else line["loc"]
        if kind in ("extra_forbidden", UNKNOWN_OPTION) and len(loc) == 1:
            kind = unknown_option(str(loc[0]), known, moved)
        elif kind not in _PYDANTIC_ERRORS:
            kind = PydanticCustomError(kind, "{text}", {**context, "text": line["msg"]})  # type: ignore[arg-type]
        lines.append(InitErrorDetails(type=kind, loc=loc, input=line["input"], ctx=context))
    return ValidationError.from_exception_data(error.title, lines)


def unknown_option(key: str, known: Iterable[str], moved: Mapping[str, str] | None = None) -> PydanticCustomError:
    """Return the error for a key that does not exist."""
    hint = (moved or {}).get(key) or nearest(key, known)
    return PydanticCustomError(UNKNOWN_OPTION, "{text}", {"text": f"unknown option {key!r}; {hint}"})


def signature_model(name: str, component: Callable[..., Any]) -> type[Strict]:
    """Return the strict model of a constructor's typed keywords, without those that are `Runtime`.

    A `**keywords` of the constructor means that any other key is let through.

    Raises:
        TypeError: an argument has no type hint (a mistake in the component, not in the options).
    """
    target = component.__init__ if inspect.isclass(component) else component
    hints = typing.get_type_hints(target, include_extras=True)
    fields: dict[str, Any] = {}
    extra: typing.Literal["allow", "forbid"] = "forbid"
    for parameter in inspect.signature(component).parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            extra = "allow"
        elif parameter.kind is not inspect.Parameter.VAR_POSITIONAL:
            if parameter.name not in hints:
                raise TypeError(f"{name}: the argument {parameter.name!r} needs a type hint; it is the option's schema")
            hint = hints[parameter.name]
            if not _is_runtime(hint):
                default = ... if parameter.default is inspect.Parameter.empty else parameter.default
                fields[parameter.name] = (hint, Field(default))
    base = type("Options", (Strict,), {"model_config": ConfigDict(extra=extra), "__doc__": None})
    with warnings.catch_warnings():  # an option may be called `copy` or `json`: BaseModel's methods are not used here
        warnings.filterwarnings("ignore", message="Field name .* shadows an attribute", category=UserWarning)
        return create_model(name, __base__=base, **fields)


def _is_runtime(hint: Any) -> bool:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(_is_runtime(part) for part in typing.get_args(hint))
    return RUNTIME in getattr(hint, "__metadata__", ())
