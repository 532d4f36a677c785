"""What must fit together in the options, beyond the type of each value."""

from __future__ import annotations

from collections.abc import Iterator

from dmdnet.config.options import Options
from dmdnet.registry import LOSSES, MODELS, Component
from dmdnet.typed import nearest

Finding = tuple[tuple[str | int, ...], str]


def findings(options: Options) -> Iterator[Finding]:
    """Yield the path and the message of everything that does not fit together."""
    yield from _dataset_entries(options)
    yield from _picture_sizes(options)
    if options.train is not None:
        yield from _adversarial_losses(options)
        if "train" not in options.datasets:
            yield ("train",), "needs a data set to train on: add datasets.train, or take the train section out"
    yield from _modes(options)
    if options.val.val_freq is not None and not any(key.startswith("val") for key in options.datasets):
        yield ("val", "val_freq"), "needs a data set to validate on: add datasets.val, or set val.val_freq to ~"


def _dataset_entries(options: Options) -> Iterator[Finding]:
    if not options.datasets:
        yield ("datasets",), "names no data set; add datasets.train, datasets.val or datasets.test"
    seen: dict[str, str] = {}
    for key, entry in options.datasets.items():
        if entry.name in seen:
            other = f"datasets.{seen[entry.name]}"
            yield ("datasets", key, "name"), f"{entry.name!r} is the name of {other} too; results go by name"
        seen.setdefault(entry.name, key)


def _picture_sizes(options: Options) -> Iterator[Finding]:
    """Pictures come at the size that the network takes, wherever both name one as `image_size`."""
    wanted = options.network_g.options.get("image_size")
    for key, entry in options.datasets.items():
        for path, component in _with_members(("datasets", key), entry.dataset):
            size = component.options.get("image_size", wanted)
            if wanted is not None and size != wanted:
                yield (*path, "image_size"), f"{size} is not network_g.image_size, {wanted}; make the two equal"


def _with_members(
    path: tuple[str | int, ...], component: Component
) -> Iterator[tuple[tuple[str | int, ...], Component]]:
    """Yield a data set and those that it is made of."""
    yield path, component
    for index, member in enumerate(component.options.get("datasets", ())):
        yield from _with_members((*path, "datasets", index), member)


def _modes(options: Options) -> Iterator[Finding]:
    """Models may name their outputs in a class attribute `modes`."""
    known = getattr(MODELS.get(options.model.type), "modes", None)
    for index, mode in enumerate(options.val.modes):
        if known is not None and mode not in known:
            yield ("val", "modes", index), f"{options.model.type} has no output {mode!r}; {nearest(mode, known)}"
        if mode in options.val.modes[:index]:
            yield ("val", "modes", index), f"{mode!r} is listed twice"


def _adversarial_losses(options: Options) -> Iterator[Finding]:
    assert options.train is not None, "called for training runs"
    needing = [
        index
        for index, loss in enumerate(options.train.losses)
        if getattr(LOSSES.get(loss.type), "needs_discriminator", False)
    ]
    if not needing:
        return
    path = ("train", "losses", needing[0])
    name = options.train.losses[needing[0]].type
    if options.network_d is None:
        yield path, f"{name} needs a discriminator: add network_d, or take the loss out"
    if options.train.optim_d is None:
        yield path, f"{name} needs an optimiser for the discriminator: add train.optim_d, or take the loss out"
