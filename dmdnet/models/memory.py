"""What is said when a device has no memory left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from dmdnet.config.options import TrainOptions
from dmdnet.data.batch import FaceBatch
from dmdnet.errors import DeviceMemoryError

_GIB = 2**30
# What torch says in errors of other kinds: of the CPU's allocator, of CUDA itself and of its libraries
_TEXTS = ("DefaultCPUAllocator", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


@contextmanager
def explained_shortage(batch: FaceBatch, iteration: int, device: torch.device, recipe: TrainOptions) -> Iterator[None]:
    """Turn torch's error for want of memory into one that names the batch, the peak, and what to lower.

    Raises:
        DeviceMemoryError: torch found no memory.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise _shortage(batch, iteration, device, recipe) from error
    except RuntimeError as error:
        if not any(text in str(error) for text in _TEXTS):
            raise
        raise _shortage(batch, iteration, device, recipe) from error


def _shortage(batch: FaceBatch, iteration: int, device: torch.device, recipe: TrainOptions) -> DeviceMemoryError:
    size = batch.gt_BCHW.shape[-1] if batch.gt_BCHW is not None else batch.lq_BCHW.shape[-1]
    slots = 0 if batch.references is None else batch.references.mask_BR.shape[1]
    faces = -(-len(batch) // recipe.accumulate)
    peak = ""
    if device.type == "cuda":
        most = torch.cuda.max_memory_allocated(device) / _GIB
        whole = torch.cuda.get_device_properties(device).total_memory / _GIB
        peak = f" (peak {most:.1f} of {whole:.1f} GiB)"
    remedies = [f"lower datasets.train.batch_size_per_gpu and raise train.accumulate (now {recipe.accumulate})"]
    if slots > 1:
        remedies.append("lower num_references")
    if recipe.amp == "none":
        remedies.append("set train.amp: bf16")
    if not recipe.activation_checkpointing:
        remedies.append("set train.activation_checkpointing: true")
    return DeviceMemoryError(
        f"iteration {iteration}: {device} has no memory left{peak} for {faces} faces of {size} x {size} pixels with "
        f"{slots} references each; {', or '.join(remedies)}. The last checkpoint is intact"
    )
