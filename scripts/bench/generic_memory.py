"""Peak memory of a generic forward: our dictionary read beside the published scheme.

    python scripts/bench/generic_memory.py --batch 8 --json memory.json

The published scheme weighs a copy of the value dictionary for each sample of the batch, values (B, S, C, s, s) times
weights, and sums over the slots. It is emulated inside the same network with one such tensor at a time, which
flatters it. Each measurement is a process of its own on the CPU; the figure is its peak resident memory, "before" is
what torch and the weights need. Two parts: the whole forward, whose decoder has a peak of its own at full
resolution, and the dictionary read alone.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from dmdnet.archs.dmdnet import DMDNet
from dmdnet.archs.dmdnet.dictionary import GenericDictionary
from dmdnet.ops.masked_read import DictionaryRead

SCHEMES = ("ours", "published")
PARTS = ("forward", "read")
_GIB = 2**30
_FACE = ((150, 200, 230, 280), (280, 200, 360, 280), (210, 250, 300, 340), (190, 330, 320, 460))


class CopyingDictionary(GenericDictionary):
    """The published scheme's read: as many copies of the values as the batch has samples."""

    def read(self, queries: dict[str, Tensor]) -> dict[str, DictionaryRead]:
        """Return what `GenericDictionary.read` returns."""
        reads = {}
        for site in self.sites:
            query_BD, keys_SD = queries[site.name].flatten(1), self.key_patches[site.name].flatten(1)
            weights_BS = torch.softmax(query_BD @ keys_SD.T / len(keys_SD) ** 0.5, dim=-1)
            values_BSCHW = self.value_patches[site.name][None].expand(len(query_BD), -1, -1, -1, -1)
            weighed_BSCHW = values_BSCHW * weights_BS[:, :, None, None, None]
            reads[site.name] = DictionaryRead(weighed_BSCHW.sum(1), weights_BS)
        return reads


def measure(scheme: str, part: str, batch: int, image_size: int) -> dict[str, object]:
    """Run one generic forward, or its dictionary read alone, in this process and return the record."""
    torch.manual_seed(0)
    net = DMDNet(image_size=image_size).eval()
    if scheme == "published":
        net.generic.__class__ = CopyingDictionary
    run = _forward(net, batch) if part == "forward" else _read(net, batch)
    before = _peak_bytes()
    start = time.perf_counter()
    with torch.inference_mode():
        result = run()
    return {
        "scheme": scheme,
        "part": part,
        "batch": batch,
        "image_size": image_size,
        "peak_gib": round(_peak_bytes() / _GIB, 3),
        "before_gib": round(before / _GIB, 3),
        "seconds": round(time.perf_counter() - start, 2),
        "threads": torch.get_num_threads(),
        "checksum": round(result.double().abs().mean().item(), 6),
    }


def _forward(net: DMDNet, batch: int) -> Callable[[], Tensor]:
    size = net.size.image_size
    lq = torch.rand(batch, 3, size, size) * 2 - 1
    boxes = (torch.tensor(_FACE) * size // 512).expand(batch, 4, 4)
    return lambda: cast(Tensor, net(lq, boxes, outputs=("generic",)).generic)


def _read(net: DMDNet, batch: int) -> Callable[[], Tensor]:
    queries = {site.name: 0.1 * torch.randn(batch, site.key_channels, site.size, site.size) for site in net.sites}
    return lambda: torch.stack([read.values.abs().mean() for read in net.generic.read(queries).values()])


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8, help="faces in the batch (default %(default)s)")
    parser.add_argument("--image-size", type=int, default=512, help="side in pixels (default %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the records")
    parser.add_argument("--one", nargs=2, metavar=("SCHEME", "PART"), help="measure in this process, print its record")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0, or 1 when a measurement failed."""
    arguments = _parser().parse_args(argv)
    if arguments.one:
        scheme, part = arguments.one
        print(json.dumps(measure(scheme, part, arguments.batch, arguments.image_size)))
        return 0
    records = []
    size = ["--batch", str(arguments.batch), "--image-size", str(arguments.image_size)]
    print(f"{arguments.batch} faces at {arguments.image_size} px on the CPU, float32, generic output only")
    print(f"{'part':<8} {'scheme':<10} {'peak GiB':>9} {'before GiB':>11} {'seconds':>8} {'checksum':>9}")
    for part, scheme in product(PARTS, SCHEMES):
        command = [sys.executable, __file__, "--one", scheme, part, *size]
        child = subprocess.run(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
        if child.returncode:
            print(f"error: {scheme} {part} ended with {child.returncode} (out of memory?)", file=sys.stderr)
            return 1
        record = json.loads(child.stdout)
        records.append(record)
        columns = (record["peak_gib"], record["before_gib"], record["seconds"], record["checksum"])
        print("{:<8} {:<10} {:>9} {:>11} {:>8} {:>9}".format(part, scheme, *columns))
    if arguments.json:
        arguments.json.write_text(json.dumps(records, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
