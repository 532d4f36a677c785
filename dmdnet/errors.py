"""Errors that a user can cause. Each message names the value, the place and the remedy.

The command line prints them in one line and ends with `exit_code`; anything that is not a
`DMDNetError` is a bug and keeps its traceback.
"""

from __future__ import annotations


class DMDNetError(Exception):
    """Base of every error that the command line reports without a traceback."""

    exit_code = 2


class ConfigError(DMDNetError, ValueError):
    """An option file, an override or a component's options are wrong."""


class DataError(DMDNetError, ValueError):
    """A data set, a picture or a landmark file is missing or unusable."""


class MissingFileError(DataError):
    """A file that a table or an option names is not there."""


class NoLandmarksError(DataError):
    """A face has no landmarks, and none could be made."""


class BoxError(DataError):
    """A component box is empty, outside the image or of the wrong shape."""


class FaceError(DMDNetError, ValueError):
    """No face, too many faces, or a face that cannot be aligned."""


class WeightsError(DMDNetError, ValueError):
    """A weights file is missing, damaged, or does not fit the network."""


class CheckpointError(DMDNetError, ValueError):
    """A training state is missing, damaged, or belongs to another run."""


class RunLockedError(DMDNetError, RuntimeError):
    """Another process is training the run."""

    exit_code = 4


class NonFiniteLossError(DMDNetError, ArithmeticError):
    """A loss became NaN or infinite; no update was applied."""

    exit_code = 3


class DeviceMemoryError(DMDNetError, MemoryError):
    """A device has no memory left for a training step."""

    exit_code = 6


class NetworkInputError(DMDNetError, ValueError):
    """A tensor given to a network has the wrong shape or type."""
