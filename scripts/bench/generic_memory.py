"""Peak memory of a generic forward: our dictionary read beside the published scheme.

    python scripts/bench/generic_memory.py --batch 8 --json memory.json

The published scheme weighs a copy of the value dictionary for each sample of the batch, values (B, S, C, s, s) times
weights, and sums over the slots. It is emulated inside the same network, one such tensor at a time, which flatters
it. Each scheme runs in a process of its own on the CPU; the figure is the process's peak resident memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from dmdnet.archs.dmdnet import DMDNet
from dmdnet.archs.dmdnet.dictionary import GenericDictionary
from dmdnet.ops.masked_read import DictionaryRead

SCHEMES = ("ours", "published")
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


def measure(scheme: str, batch: int, image_size: int) -> dict[str, object]:
    """Run one generic forward in this process and return its record."""
    torch.manual_seed(0)
    net = DMDNet(image_size=image_size).eval()
    if scheme == "published":
        net.generic.__class__ = CopyingDictionary
    lq = torch.rand(batch, 3, image_size, image_size) * 2 - 1
    boxes = (torch.tensor(_FACE) * image_size // 512).expand(batch, 4, 4)
    before = _peak_bytes()
    start = time.perf_counter()
    with torch.inference_mode():
        picture = net(lq, boxes, outputs=("generic",)).generic
    assert picture is not None
    return {
        "scheme": scheme,
        "batch": batch,
        "image_size": image_size,
        "peak_gib": round(_peak_bytes() / _GIB, 3),
        "before_forward_gib": round(before / _GIB, 3),
        "seconds": round(time.perf_counter() - start, 2),
        "threads": torch.get_num_threads(),
        "checksum": round(picture.double().abs().mean().item(), 6),
    }


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8, help="faces in the batch (default %(default)s)")
    parser.add_argument("--image-size", type=int, default=512, help="side in pixels (default %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the records")
    parser.add_argument("--scheme", choices=SCHEMES, help="measure this one in this process and print its record")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0, or the exit code of a scheme that failed."""
    arguments = _parser().parse_args(argv)
    if arguments.scheme:
        print(json.dumps(measure(arguments.scheme, arguments.batch, arguments.image_size)))
        return 0
    records = []
    for scheme in SCHEMES:
        options = ["--scheme", scheme, "--batch", str(arguments.batch), "--image-size", str(arguments.image_size)]
        child = subprocess.run([sys.executable, __file__, *options], stdout=subprocess.PIPE, text=True)  # noqa: S603
        if child.returncode:
            print(f"error: the {scheme} scheme ended with {child.returncode} (out of memory?)", file=sys.stderr)
            return 1
        records.append(json.loads(child.stdout))
    print(f"generic forward of {arguments.batch} faces at {arguments.image_size} px on the CPU, float32")
    print(f"{'scheme':<10} {'peak GiB':>9} {'of which before':>16} {'seconds':>8} {'checksum':>9}")
    for record in records:
        columns = (record["scheme"], record["peak_gib"], record["before_forward_gib"], record["seconds"])
        print("{:<10} {:>9} {:>16} {:>8} {:>9}".format(*columns, record["checksum"]))
    if arguments.json:
        arguments.json.write_text(json.dumps(records, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
