"""Cut a box out of every feature map of a batch and resize it to a fixed square; write a patch back.

The boxes are data: each sample has its own, of any integer size. Python slicing would read them on the host, one
sample after the other. Here both directions are one separable linear map per sample: two interpolation matrices,
made on the device from the boxes, applied by matrix products. The result is that of slicing and
`F.interpolate(mode="bilinear", align_corners=False)`, and the backward pass is matrix products again, hence
deterministic. `crop_components_by_slicing` and `paste_components_by_slicing` are the plain twins.

Shape suffixes: B batch, C channels, H W pixels, S side of the square patch, 4 box corners x0 y0 x1 y1.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dmdnet.ops.precision import at_least_float32, full_float32_products


def crop_components(features_BCHW: Tensor, boxes_B4: Tensor, size: int) -> Tensor:
    """Return `features[..., y0:y1, x0:x1]` of each sample, resized bilinearly to `size` x `size`.

    Args:
        features_BCHW: floating point, any memory format. Not finite values anywhere spoil the sample's crop.
        boxes_B4: integer x0 y0 x1 y1 in pixels of the feature map; what lies outside the map is cut off.
        size: side of the result in pixels.

    Returns:
        (B, C, size, size) in float32 (float64 for float64 features), also under autocast. The crop of an empty
        box is zero.
    """
    height, width = features_BCHW.shape[-2:]
    x0, y0, x1, y1 = boxes_B4.unbind(-1)
    with full_float32_products(features_BCHW.device):
        features_BCHW = at_least_float32(features_BCHW)
        rows_BSH = _crop_matrix(y0, y1, height, size, features_BCHW)
        columns_BSW = _crop_matrix(x0, x1, width, size, features_BCHW)
        return _resample(features_BCHW, rows_BSH, columns_BSW)


def paste_components(features_BCHW: Tensor, patch_BCSS: Tensor, boxes_B4: Tensor) -> Tensor:
    """Return the features with the patch, resized bilinearly to the box, written over the box of each sample.

    Args:
        features_BCHW: floating point; gives the type of the result.
        patch_BCSS: square patch of each sample.
        boxes_B4: integer x0 y0 x1 y1 in pixels of the feature map; what lies outside the map is cut off and an
            empty box writes nothing.

    Returns:
        (B, C, H, W), a new tensor.
    """
    height, width = features_BCHW.shape[-2:]
    size = patch_BCSS.shape[-1]
    x0, y0, x1, y1 = boxes_B4.unbind(-1)
    with full_float32_products(features_BCHW.device):
        patch_BCSS = at_least_float32(patch_BCSS)
        rows_BHS, inside_BH = _paste_matrix(y0, y1, height, size, patch_BCSS)
        columns_BWS, inside_BW = _paste_matrix(x0, x1, width, size, patch_BCSS)
        resized_BCHW = _resample(patch_BCSS, rows_BHS, columns_BWS).to(features_BCHW.dtype)
    inside_B1HW = inside_BH[:, None, :, None] & inside_BW[:, None, None, :]
    return torch.where(inside_B1HW, resized_BCHW, features_BCHW)


def _resample(maps_BCHW: Tensor, rows_BOH: Tensor, columns_BPW: Tensor) -> Tensor:
    """Apply one matrix to the rows and one to the columns of every map: (B, C, O, P), in the maps' memory format.

    The first product reads the maps where they lie: by columns, or by rows when the channels are innermost.
    """
    if maps_BCHW.is_contiguous():
        across_BCHP = torch.bmm(maps_BCHW.flatten(1, 2), columns_BPW.mT).unflatten(1, maps_BCHW.shape[1:3])
        return rows_BOH[:, None] @ across_BCHP
    maps_BHWC = maps_BCHW.permute(0, 2, 3, 1)
    down_BOWC = torch.bmm(rows_BOH, maps_BHWC.flatten(2)).unflatten(2, maps_BHWC.shape[2:])
    return (columns_BPW[:, None] @ down_BOWC).permute(0, 3, 1, 2)


def _crop_matrix(start_B: Tensor, stop_B: Tensor, extent: int, size: int, like: Tensor) -> Tensor:
    """Return (B, size, extent): row o holds the weights with which position o of the patch reads the axis."""
    start_B, stop_B = start_B.clamp(0, extent), stop_B.clamp(0, extent)
    length_B11 = (stop_B - start_B)[:, None, None]
    position = torch.arange(size, device=like.device)[:, None]
    source_BS1 = _source_position(position, length_B11, torch.full_like(length_B11, size), like.dtype)
    # Pixels are counted from the start of the box, in integers: the fraction keeps all of its bits.
    pixel_B1P = torch.arange(extent, device=like.device) - start_B[:, None, None]
    return _tent(pixel_B1P - source_BS1) * (length_B11 > 0)


def _paste_matrix(start_B: Tensor, stop_B: Tensor, extent: int, size: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return (B, extent, size) weights that resize a patch to the box, and (B, extent) True inside the box."""
    start_B, stop_B = start_B.clamp(0, extent), stop_B.clamp(0, extent)
    length_B1 = (stop_B - start_B)[:, None]
    pixel_BP = torch.arange(extent, device=like.device) - start_B[:, None]
    inside_BP = (pixel_BP >= 0) & (pixel_BP < length_B1)
    source_BP = _source_position(pixel_BP, torch.full_like(length_B1, size), length_B1.clamp(min=1), like.dtype)
    slot = torch.arange(size, device=like.device)
    return _tent(source_BP[:, :, None] - slot), inside_BP


def _source_position(position: Tensor, length: Tensor, new_length: Tensor, dtype: torch.dtype) -> Tensor:
    """Return where output positions read an input of `length` pixels: centres aligned, from first to last pixel.

    torch's kernel rounds `length / new_length` and then `(position + 0.5) * scale - 0.5` once each (the latter is a
    fused multiply-add); float64, rounded at those two points, gives the same bits on every device. Rounding the
    product as well would be off by 1e-5 of a pixel at the end of a long box.
    """
    scale = (length.double() / new_length).to(dtype)
    source = ((position.double() + 0.5) * scale - 0.5).to(dtype).clamp(min=0)
    return torch.minimum(source, (length - 1).to(dtype))


def _tent(distance: Tensor) -> Tensor:
    """Return the weight of bilinear interpolation at a distance in pixels."""
    return (1 - distance.abs()).clamp(min=0)


def crop_components_by_slicing(features_BCHW: Tensor, boxes_B4: Tensor, size: int) -> Tensor:
    """Twin of `crop_components` in plain torch: a host transfer and a slice per sample."""
    height, width = features_BCHW.shape[-2:]
    crops = []
    for features_CHW, box in zip(features_BCHW, boxes_B4.tolist(), strict=True):
        x0, y0, x1, y1 = _cut_to_map(box, height, width)
        if x1 <= x0 or y1 <= y0:
            crops.append(features_CHW[:, :1, :1].expand(-1, size, size) * 0)
            continue
        region = features_CHW[None, :, y0:y1, x0:x1]
        crops.append(F.interpolate(region, size=(size, size), mode="bilinear", align_corners=False)[0])
    return torch.stack(crops)


def paste_components_by_slicing(features_BCHW: Tensor, patch_BCSS: Tensor, boxes_B4: Tensor) -> Tensor:
    """Twin of `paste_components` in plain torch: a host transfer and a slice per sample."""
    height, width = features_BCHW.shape[-2:]
    result = features_BCHW.clone()
    for index, box in enumerate(boxes_B4.tolist()):
        x0, y0, x1, y1 = _cut_to_map(box, height, width)
        if x1 > x0 and y1 > y0:
            region = patch_BCSS[index : index + 1]
            region = F.interpolate(region, size=(y1 - y0, x1 - x0), mode="bilinear", align_corners=False)
            result[index : index + 1, :, y0:y1, x0:x1] = region
    return result


def _cut_to_map(box: list[int], height: int, width: int) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = box
    return min(max(x0, 0), width), min(max(y0, 0), height), min(max(x1, 0), width), min(max(y1, 0), height)
