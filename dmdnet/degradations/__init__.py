"""What a camera, a network and a hurried upload do to a sharp face, as a list of small operations.

In an option file:

    degradation:                       # GFPGAN's ranges (spec: blur - down - noise - JPEG - back to size)
      - {type: GaussianBlur, kernel_size: 41, sigma: [0.1, 10.0], isotropic_prob: 0.5}
      - {type: Downsample, scale: [0.8, 8.0]}
      - {type: GaussianNoise, sigma: [0.0, 20.0]}
      - {type: JPEGCompression, quality: [60, 100]}
      - {type: ResizeBack}

or, the same by name (`presets.py` has the table):

    degradation:
      - {type: Preset, name: gfpgan}

Operations are made of operations by `OneOf`, `Shuffle` and `Sequential` (second order: `times: [2, 2]`):

      - type: OneOf
        weights: [0.65, 0.35]
        prob: 0.9
        ops:
          - {type: GaussianBlur, sigma: [0.3, 2.0], kernel_size: [3, 35]}
          - {type: MotionBlur, length: [3.0, 35.0]}

Every operation first draws all of its numbers (`draw`) and then applies them (`apply`), so that one draw can be
printed, repeated and applied elsewhere. A new operation is one new file in this folder.
"""

from dmdnet.degradations.base import Degradation
from dmdnet.degradations.pipeline import apply_degradation, build_degradation, degrade, draw_degradation

__all__ = ["Degradation", "apply_degradation", "build_degradation", "degrade", "draw_degradation"]
