"""The pieces that metrics of pixels share: size checks, colour, regions of the face.

Shapes: B batch, C channels, H W pixels, 4 boxes x 4 corners.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from dmdnet.errors import DataError
from dmdnet.metrics.base import MetricInput

Color = Literal["rgb", "y"]
Region = Literal["image", "components", "left_eye", "right_eye", "mouth"]

# Rows of the boxes that make up a region; row 2, the nose, is carried along and never used.
REGION_BOXES: dict[str, tuple[int, ...]] = {
    "components": (0, 1, 3),
    "left_eye": (0,),
    "right_eye": (1,),
    "mouth": (3,),
}

NO_BOXES = "no box of the region"  # why a picture has no value there


def pair(recipe: str, inputs: MetricInput) -> tuple[Tensor, Tensor]:
    """Return prediction and target, checked by `check_pictures`.

    Raises:
        DataError: there is no target, or the two do not fit.
    """
    if inputs.target_BCHW is None:
        raise DataError(f"{recipe}: needs the ground truth, which this set does not have")
    check_pictures(recipe, inputs.pred_BCHW, inputs.target_BCHW)
    return inputs.pred_BCHW, inputs.target_BCHW


def check_pictures(recipe: str, pred_BCHW: torch.Tensor, target_BCHW: torch.Tensor) -> None:
    """Raise a DataError unless both are uint8 (B,3,H,W) of one size; a silent resize would change the number."""
    check_picture(recipe, "prediction", pred_BCHW)
    check_picture(recipe, "target", target_BCHW)
    if pred_BCHW.shape != target_BCHW.shape:
        raise DataError(
            f"{recipe}: the prediction is {_size(pred_BCHW)} and the target {_size(target_BCHW)} pixels; "
            "a metric compares pictures of one size: bring both to the size that the result is meant for"
        )


def check_picture(recipe: str, role: str, picture_BCHW: torch.Tensor) -> None:
    """Raise a DataError unless it is uint8 (B,3,H,W)."""
    if picture_BCHW.dtype != torch.uint8 or picture_BCHW.dim() != 4 or picture_BCHW.shape[1] != 3:
        raise DataError(
            f"{recipe}: the {role} is {picture_BCHW.dtype} {tuple(picture_BCHW.shape)}; "
            "metrics take uint8 RGB pictures (B, 3, height, width)"
        )


def as_color(picture_BCHW: torch.Tensor, color: Color) -> torch.Tensor:
    """Return the RGB as it is, uint8, or luma (B,1,H,W), float64 in [16, 235].

    Luma is that of ITU-R BT.601 for 8-bit video, as used throughout the restoration literature and not rounded:
    Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255.
    """
    if color == "rgb":
        return picture_BCHW
    picture = picture_BCHW.to(torch.float64)
    weights = picture.new_tensor([65.481, 128.553, 24.966]) / 255.0
    return 16.0 + (picture * weights[:, None, None]).sum(dim=1, keepdim=True)


def region_mask(
    recipe: str, region: Region, boxes_B44: torch.Tensor | None, picture_BCHW: torch.Tensor, border: int = 0
) -> torch.Tensor:
    """Return bool (B,H,W): True for the pixels that count, at least `border` pixels inside the picture.

    Boxes are cut at the picture's border; overlapping boxes of one region count their pixels once.

    Raises:
        DataError: the region needs boxes and there are none, or the border leaves nothing.
    """
    batch, _, height, width = picture_BCHW.shape
    if 2 * border >= min(height, width):
        raise DataError(
            f"{recipe}: nothing is left of a picture of {width}x{height} pixels inside a border of {border}"
        )
    ys = torch.arange(height, device=picture_BCHW.device)
    xs = torch.arange(width, device=picture_BCHW.device)
    rows = (ys >= border) & (ys < height - border)
    columns = (xs >= border) & (xs < width - border)
    inside = (rows[:, None] & columns[None, :]).expand(batch, height, width)
    if region == "image":
        return inside
    if boxes_B44 is None or boxes_B44.shape != (batch, 4, 4):
        found = None if boxes_B44 is None else tuple(boxes_B44.shape)
        raise DataError(
            f"{recipe}: needs the component boxes ({batch}, 4, 4) of the pictures, got {found}; "
            "give landmarks to the data set, or use region: image"
        )
    x0, y0, x1, y1 = boxes_B44[:, list(REGION_BOXES[region])].to(picture_BCHW.device).unbind(dim=-1)
    in_rows = (ys >= y0[..., None]) & (ys < y1[..., None])
    in_columns = (xs >= x0[..., None]) & (xs < x1[..., None])
    in_boxes = (in_rows[..., :, None] & in_columns[..., None, :]).any(dim=1)
    return inside & in_boxes


def masked_mean(values_BCHW: torch.Tensor, mask_BHW: torch.Tensor) -> torch.Tensor:
    """Return the mean over channels and the pixels of the mask, (B,); NaN where the mask is empty."""
    total = (values_BCHW * mask_BHW[:, None]).sum(dim=(1, 2, 3), dtype=torch.float64)
    count = mask_BHW.sum(dim=(1, 2)) * values_BCHW.shape[1]
    return torch.where(count > 0, total / count.clamp(min=1), torch.nan)


def recipe_name(name: str, color: Color, region: Region, *details: str) -> str:
    """Return `name@color/uint8[/detail...][/region]`."""
    place = () if region == "image" else (region,)
    return "/".join((f"{name}@{color}", "uint8", *details, *place))


def _size(picture_BCHW: torch.Tensor) -> str:
    return f"{picture_BCHW.shape[0]} x {picture_BCHW.shape[-1]}x{picture_BCHW.shape[-2]}"
