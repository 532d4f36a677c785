"""The Fourier transform of waves by hand."""

import math

import pytest
import torch

from dmdnet.losses.base import LossInput, build_losses
from dmdnet.losses.frequency import compare_spectra, spectrum
from dmdnet.registry import LOSSES


def wave(size=16, cycles=3, shift=0.0):
    x = torch.arange(size) * (2 * math.pi * cycles / size)
    return torch.cos(x + shift).expand(1, 1, size, size)


def test_a_wave_is_two_numbers_of_its_spectrum():
    # A cosine of amplitude 1 is half in frequency 3 and half in -3: with "forward" each is 0.5, of 2 x 16 x 16 parts.
    found = spectrum(wave(), "forward")
    assert found[0, 0, 0, 3].item() == pytest.approx(0.5, abs=1e-6)
    assert found[0, 0, 0, -3].item() == pytest.approx(0.5, abs=1e-6)
    zero = torch.zeros_like(found)
    assert compare_spectra(found, zero, "complex").item() == pytest.approx(2 * 0.5 / (2 * 256), rel=1e-4)
    assert compare_spectra(found, zero, "amplitude").item() == pytest.approx(2 * 0.5 / 256, rel=1e-4)


def test_amplitude_does_not_see_a_shift_and_complex_does():
    one, other = spectrum(wave()), spectrum(wave(shift=1.0))
    assert compare_spectra(one, other, "amplitude").item() == pytest.approx(0, abs=1e-5)
    assert compare_spectra(one, other, "complex").item() > 0.01


def test_ortho_does_not_depend_on_the_size_of_noise():
    generator = torch.Generator().manual_seed(0)
    values = []
    for size in (16, 64):
        noise = torch.randn(1, 3, size, size, generator=generator)
        values.append(compare_spectra(spectrum(noise), torch.zeros(1, 3, size, size), "complex").item())
    assert values[0] == pytest.approx(values[1], rel=0.1)


def test_the_targets_spectrum_is_computed_once(loss_input, monkeypatch):
    from dmdnet.losses import frequency

    calls = []
    monkeypatch.setattr(frequency, "spectrum", lambda *args: calls.append(1) or spectrum(*args))
    inputs = loss_input()
    components = [LOSSES.component("FrequencyLoss"), LOSSES.component("FrequencyLoss", compare="amplitude")]
    for loss in build_losses(components):
        loss(inputs)
    assert len(calls) == 3


def test_black_pictures_have_a_gradient_that_is_finite():
    pred = torch.zeros(1, 3, 8, 8, requires_grad=True)
    inputs = LossInput(pred, torch.zeros(1, 3, 8, 8), torch.zeros(1, 4, 4))
    (loss,) = build_losses([LOSSES.component("FrequencyLoss", compare="amplitude")])
    loss(inputs).sum().backward()
    assert pred.grad.isfinite().all()
