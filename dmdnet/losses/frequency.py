"""The difference of two pictures' Fourier transforms.

Source: the frequency reconstruction loss of MIMO-UNet (Cho et al., ICCV 2021, eq. 10): the mean absolute difference of
the real and of the imaginary parts. (The focal frequency loss of Jiang et al., ICCV 2021, is another: it squares.)
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from dmdnet.losses.base import Loss, LossInput, float32, per_sample_mean
from dmdnet.ops.precision import without_autocast
from dmdnet.registry import LOSSES

FourierPart = Literal["complex", "amplitude"]
FourierNorm = Literal["ortho", "forward", "backward"]


def spectrum(image_BCHW: Tensor, norm: FourierNorm = "ortho") -> Tensor:
    """Return the 2-D Fourier transform of each channel, complex64 (B, C, H, W), also under autocast."""
    with without_autocast(image_BCHW.device):
        (image,) = float32(image_BCHW)
        return torch.fft.fft2(image.contiguous(), norm=norm)


def compare_spectra(pred_BCHW: Tensor, target_BCHW: Tensor, compare: FourierPart) -> Tensor:
    """Return the mean absolute difference of two spectra for each sample, (B,) float32."""
    if compare == "amplitude":
        return per_sample_mean((pred_BCHW.abs() - target_BCHW.abs()).abs())
    return per_sample_mean(torch.view_as_real(pred_BCHW - target_BCHW).abs())


@LOSSES.register()
class FrequencyLoss(Loss):
    """Mean absolute difference of the Fourier transforms of both pictures in [-1, 1].

    Args:
        compare: "complex" compares real and imaginary parts, so that places count as well; "amplitude" only how much
            there is of each frequency.
        norm: how `torch.fft.fft2` scales. With "ortho" the value does not depend on the picture's size and is near
            that of L1; "backward", unscaled, is that of MIMO-UNet's code, which weighs it by 0.1.
    """

    def __init__(
        self,
        *,
        compare: FourierPart = "complex",
        norm: FourierNorm = "ortho",
        loss_weight: float = 1.0,
        start_iter: int = 0,
    ) -> None:
        super().__init__(loss_weight=loss_weight, start_iter=start_iter)
        self.compare: FourierPart = compare
        self.norm: FourierNorm = norm

    def forward(self, inputs: LossInput) -> Tensor:
        """Return the term of each sample, (B,)."""
        memo, key = inputs.target_memo, ("spectrum", self.norm)
        if key not in memo:
            with torch.no_grad():
                memo[key] = spectrum(inputs.target_BCHW, self.norm)
        return compare_spectra(spectrum(inputs.pred_BCHW, self.norm), memo[key], self.compare)
