"""Which pixels a resized axis reads, and with which weights: OpenCV's rules, worked out on the host for a batch.

Shape suffixes: B pictures, O new pixels, T taps. What is returned for new pixels beyond a picture's own new length
is finite and within the old one, but has no meaning.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

AREA = "area"
_AREA_GROWING = "area_growing"
_CUBIC = -0.75  # OpenCV's parameter of the cubic

Taps = tuple[np.ndarray, np.ndarray]


def joint_mode(size: tuple[int, int], new_size: tuple[int, int], mode: str) -> str:
    """Return the mode of both axes: OpenCV averages areas only where neither axis grows."""
    grows = new_size[0] > size[0] or new_size[1] > size[1]
    return _AREA_GROWING if mode == AREA and grows else mode


def axis_taps(lengths_B: Sequence[int], new_lengths_B: Sequence[int], modes_B: Sequence[str]) -> Taps:
    """Return the places and weights of all taps: int64 and float32 (B, O, T).

    A place may occur more than once for a pixel: at an edge the last pixel stands for those beyond it.

    Args:
        modes_B: nearest, bilinear, bicubic, lanczos, area or what `joint_mode` makes of it.
    """
    lengths, new_lengths = np.array(lengths_B), np.array(new_lengths_B)
    # an axis that keeps its length is copied, whatever the mode
    modes = np.where(lengths == new_lengths, "nearest", modes_B)
    new_1O = np.arange(new_lengths.max())[None]
    taps = {
        mode: _MODES[mode](new_1O, lengths[modes == mode][:, None], new_lengths[modes == mode][:, None])
        for mode in np.unique(modes).tolist()
    }
    shape = (len(modes), new_1O.size, max(places.shape[2] for places, _ in taps.values()))
    places_BOT, weights_BOT = np.zeros(shape, np.int64), np.zeros(shape, np.float32)
    for mode, (places, weights) in taps.items():
        places_BOT[modes == mode, :, : places.shape[2]] = places
        weights_BOT[modes == mode, :, : places.shape[2]] = weights
    return np.clip(places_BOT, 0, lengths[:, None, None] - 1, out=places_BOT), weights_BOT


def _nearest(new: np.ndarray, length: np.ndarray, new_length: np.ndarray) -> Taps:
    places = _start(new, length, new_length)
    return places[..., None], np.ones_like(places)[..., None]


def _bilinear(new: np.ndarray, length: np.ndarray, new_length: np.ndarray) -> Taps:
    places, fraction = _about(new, length, new_length, 2)
    return places, np.stack([1 - fraction, fraction], axis=-1)


def _bicubic(new: np.ndarray, length: np.ndarray, new_length: np.ndarray) -> Taps:
    places, fraction = _about(new, length, new_length, 4)
    distance = np.abs(fraction[..., None] - np.arange(-1, 3))
    near = ((_CUBIC + 2) * distance - (_CUBIC + 3)) * distance**2 + 1
    far = ((_CUBIC * distance - 5 * _CUBIC) * distance + 8 * _CUBIC) * distance - 4 * _CUBIC
    return places, np.where(distance <= 1, near, far)


def _lanczos(new: np.ndarray, length: np.ndarray, new_length: np.ndarray) -> Taps:
    places, fraction = _about(new, length, new_length, 8)
    distance = fraction[..., None] - np.arange(-3, 5)
    weights = np.sinc(distance) * np.sinc(distance / 4)
    return places, weights / weights.sum(-1, keepdims=True)


def _area(new: np.ndarray, length: np.ndarray, new_length: np.ndarray) -> Taps:
    """Weigh each pixel by its share in the new pixel's area."""
    start, stop = new * length / new_length, (new + 1) * length / new_length
    first = np.floor(start).astype(np.int64)
    places = first[..., None] + np.arange(int((np.ceil(stop) - first).max()))
    shares = np.minimum(places + 1, stop[..., None]) - np.maximum(places, start[..., None])
    return places, np.maximum(shares, 0.0) * (new_length / length)[..., None]


def _area_growing(new: np.ndarray, length: np.ndarray, new_length: np.ndarray) -> Taps:
    """Take the pixel in which the new one begins, and the next one by the share that it reaches into."""
    first = _start(new, length, new_length)
    fraction = np.maximum((new + 1) - (first + 1) * (new_length / length), 0.0).astype(np.float32)
    fraction -= np.floor(fraction)
    return first[..., None] + np.arange(2), np.stack([1 - fraction, fraction], axis=-1)


def _start(new: np.ndarray, length: np.ndarray, new_length: np.ndarray) -> np.ndarray:
    """Return the pixel in which each new one begins; the factor is rounded twice, as OpenCV does."""
    start: np.ndarray = np.floor(new * (1 / (new_length / length))).astype(np.int64)
    return start


def _about(new: np.ndarray, length: np.ndarray, new_length: np.ndarray, taps: int) -> Taps:
    """Return an even number of places about each new pixel's centre, and how far it lies behind the middle one."""
    centre = (new + 0.5) * (length / new_length) - 0.5
    first = np.floor(centre).astype(np.int64)
    return first[..., None] + np.arange(1 - taps // 2, taps // 2 + 1), centre - first


_MODES = {
    "nearest": _nearest,
    "bilinear": _bilinear,
    "bicubic": _bicubic,
    "lanczos": _lanczos,
    AREA: _area,
    _AREA_GROWING: _area_growing,
}
