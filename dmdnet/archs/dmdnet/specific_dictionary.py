"""What is remembered of people: made by `DMDNet.enrol`, batched, joined, moved, saved.

Shape suffixes: B people, R reference slots (padded), 3 components in the order of MEMORY_COMPONENTS.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor
from torch.nn import functional as F

from dmdnet.archs.dmdnet.layout import MEMORY_COMPONENTS, NetworkSize
from dmdnet.errors import NetworkInputError, WeightsError
from dmdnet.files import write_bytes

_FORMAT = "dmdnet.specific_dictionary"
_VERSION = "1"
_VALID = "valid"


@dataclass(frozen=True, eq=False)
class SpecificDictionary:
    """Key and value patches of the references of B people, padded to R slots each.

    Attributes:
        keys: by site name, (B, R, C / 4, s, s).
        values: by site name, (B, R, C, s, s).
        valid_B3R: bool, True where a slot holds a component of a reference; False for padding, and where the
            reference's box of that component was empty.
        image_size, base_channels: of the network that enrolled; only such a network can read it.
    """

    keys: dict[str, Tensor]
    values: dict[str, Tensor]
    valid_B3R: Tensor
    image_size: int
    base_channels: int

    def __len__(self) -> int:
        """Return the number of people."""
        return self.valid_B3R.shape[0]

    @property
    def num_slots(self) -> int:
        """Slots per person, padding included."""
        return self.valid_B3R.shape[2]

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.valid_B3R.device

    def to(self, device: torch.device | str, non_blocking: bool = False) -> SpecificDictionary:
        """Return the same on `device`."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def detach(self) -> SpecificDictionary:
        """Return the same without a graph."""
        return self._map(torch.Tensor.detach)

    def __getitem__(self, people: slice) -> SpecificDictionary:
        """Return some of the people, as `dictionary[2:5]`."""
        return self._map(lambda tensor: tensor[people])

    def join(self, other: SpecificDictionary) -> SpecificDictionary:
        """Return the slots of both for the same people, in the same order; `other` may have more or fewer references.

        Raises:
            NetworkInputError: another number of people, or of another network size.
        """
        self._check_same_network(other)
        if len(self) != len(other):
            raise NetworkInputError(f"join needs the same people in both: {len(self)} here, {len(other)} there")
        return self._combine([self, other], lambda tensors: torch.cat(tensors, dim=1), slot_dim_of_valid=2)

    @classmethod
    def batch(cls, dictionaries: Sequence[SpecificDictionary]) -> SpecificDictionary:
        """Return one dictionary of all the people, one after the other, padded to the most slots.

        Raises:
            NetworkInputError: nothing to batch, or dictionaries of different network sizes.
        """
        if not dictionaries:
            raise NetworkInputError("batch needs at least one dictionary")
        for other in dictionaries[1:]:
            dictionaries[0]._check_same_network(other)
        slots = max(dictionary.num_slots for dictionary in dictionaries)
        padded = [dictionary._padded(slots) for dictionary in dictionaries]
        return cls._combine(padded, lambda tensors: torch.cat(tensors, dim=0), slot_dim_of_valid=0)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a safetensors file, atomically; dtype and padding are kept.

        Raises:
            DataError: the file cannot be written.
        """
        tensors = {_VALID: self.valid_B3R.cpu().contiguous()}
        for name in self.keys:
            tensors[f"key.{name}"] = self.keys[name].detach().cpu().contiguous()
            tensors[f"value.{name}"] = self.values[name].detach().cpu().contiguous()
        metadata = {
            "format": _FORMAT,
            "version": _VERSION,
            "image_size": str(self.image_size),
            "base_channels": str(self.base_channels),
        }
        return write_bytes(path, safetensors.torch.save(tensors, metadata))

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: torch.device | str = "cpu") -> SpecificDictionary:
        """Read a file that `save` wrote.

        Raises:
            WeightsError: the file is missing, damaged, not a specific dictionary, or of another format version.
        """
        try:
            with safetensors.safe_open(path, framework="pt", device=str(device)) as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no iteration)
        except FileNotFoundError as error:
            raise WeightsError(f"{path}: there is no such file; enrol the person first") from error
        except (safetensors.SafetensorError, OSError) as error:
            raise WeightsError(
                f"{path}: cannot be read as a safetensors file ({error}); enrol the person again"
            ) from error
        size = _size_from_metadata(metadata, path)
        dictionary = cls(
            keys={name.removeprefix("key."): item for name, item in tensors.items() if name.startswith("key.")},
            values={name.removeprefix("value."): item for name, item in tensors.items() if name.startswith("value.")},
            valid_B3R=tensors.get(_VALID, torch.empty(0)),
            image_size=size.image_size,
            base_channels=size.base_channels,
        )
        defect = dictionary.defect(size)
        if defect:
            raise WeightsError(f"{path}: {defect}; enrol the person again")
        return dictionary

    def defect(self, size: NetworkSize) -> str | None:
        """Return why a network of this size cannot read the dictionary, or None. Reads shapes only."""
        if (self.image_size, self.base_channels) != (size.image_size, size.base_channels):
            return (
                f"the specific dictionary is of a network with image_size={self.image_size} "
                f"base_channels={self.base_channels}, this one has {size.image_size} and {size.base_channels}"
            )
        valid = self.valid_B3R
        if valid.dtype != torch.bool or valid.dim() != 3 or valid.shape[1] != len(MEMORY_COMPONENTS):
            return f"'{_VALID}' must be bool (B, 3, R), not {valid.dtype} {tuple(valid.shape)}"
        people, _, slots = valid.shape
        for site in size.sites():
            for kind, tensors, channels in (
                ("key", self.keys, site.key_channels),
                ("value", self.values, site.channels),
            ):
                wanted = (people, slots, channels, site.size, site.size)
                found = tuple(tensors[site.name].shape) if site.name in tensors else None
                if found != wanted:
                    return f"the {kind} of {site.name} must be {wanted}, not {found or 'missing'}"
        return None

    def _check_same_network(self, other: SpecificDictionary) -> None:
        mine, theirs = (self.image_size, self.base_channels), (other.image_size, other.base_channels)
        if mine != theirs:
            raise NetworkInputError(
                f"dictionaries of different networks: image_size, base_channels {mine} and {theirs}"
            )

    def _padded(self, slots: int) -> SpecificDictionary:
        missing = slots - self.num_slots
        if not missing:
            return self
        return SpecificDictionary(
            {name: F.pad(item, (0, 0, 0, 0, 0, 0, 0, missing)) for name, item in self.keys.items()},
            {name: F.pad(item, (0, 0, 0, 0, 0, 0, 0, missing)) for name, item in self.values.items()},
            F.pad(self.valid_B3R, (0, missing)),
            self.image_size,
            self.base_channels,
        )

    def _map(self, function: Callable[[Tensor], Tensor]) -> SpecificDictionary:
        return SpecificDictionary(
            {name: function(item) for name, item in self.keys.items()},
            {name: function(item) for name, item in self.values.items()},
            function(self.valid_B3R),
            self.image_size,
            self.base_channels,
        )

    @staticmethod
    def _combine(
        parts: Sequence[SpecificDictionary], cat: Callable[[list[Tensor]], Tensor], *, slot_dim_of_valid: int
    ) -> SpecificDictionary:
        first = parts[0]
        return SpecificDictionary(
            {name: cat([part.keys[name] for part in parts]) for name in first.keys},
            {name: cat([part.values[name] for part in parts]) for name in first.values},
            torch.cat([part.valid_B3R for part in parts], dim=slot_dim_of_valid),
            first.image_size,
            first.base_channels,
        )


def _size_from_metadata(metadata: dict[str, str], path: str | os.PathLike[str]) -> NetworkSize:
    if metadata.get("format") != _FORMAT:
        raise WeightsError(
            f"{path}: is not a specific dictionary (format {metadata.get('format')!r}); enrol the person"
        )
    if metadata.get("version") != _VERSION:
        raise WeightsError(
            f"{path}: has format version {metadata.get('version')!r}, this program reads {_VERSION!r}; "
            "enrol the person again"
        )
    try:
        return NetworkSize(int(metadata["image_size"]), int(metadata["base_channels"]))
    except (KeyError, ValueError) as error:
        raise WeightsError(
            f"{path}: its metadata lack a valid network size ({error}); enrol the person again"
        ) from error
