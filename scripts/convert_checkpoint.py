"""Convert the weights of a network between the published file and ours; the direction is found from the file.

    python scripts/convert_checkpoint.py DMDNet.pth weights/net_g_published.pth       published -> ours
    python scripts/convert_checkpoint.py experiments/NAME/models/net_g_5000.pth DMDNet.pth     ours -> published

Ours holds "params" and "network" (type and options), so that every command of this project can load it by itself.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from dmdnet.archs.loading import load_network, published_component, published_state, read_weights
from dmdnet.errors import DMDNetError, WeightsError
from dmdnet.files import check_writable, write_bytes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, metavar="SOURCE", help="weights file to read")
    parser.add_argument("target", type=Path, metavar="TARGET", help="weights file to write")
    parser.add_argument(
        "--key",
        choices=("params_ema", "params"),
        default="params_ema",
        help="which weights of a file of ours (default %(default)s; params where there is no average)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace TARGET if it exists")
    return parser


def convert(source: Path, target: Path, *, key: str = "params_ema", overwrite: bool = False) -> str:
    """Convert `source` into `target` and return what was done, in a line.

    Raises:
        WeightsError: the source cannot be read, or its network has no published form; the target exists or is
            the source.
        DataError: the target cannot be written.
    """
    check_writable(target)
    if target.exists() and source.exists() and target.samefile(source):
        raise WeightsError(f"{target}: is the source itself, whose other weights would be lost; choose another name")
    if target.exists() and not overwrite:
        raise WeightsError(f"{target}: exists; choose another name or pass --overwrite")
    component = published_component(published_state(read_weights(source)))
    net: Any = load_network(source, prefer_ema=key == "params_ema")
    if component is not None:
        content = {"params": net.state_dict(), "network": component.as_dict()}
        done = f"published -> ours ({component.type})"
    else:
        if not hasattr(net, "published_state_dict"):
            raise WeightsError(f"{source}: a {type(net).__name__} has no published form")
        content = net.published_state_dict()
        done = f"ours -> published ({type(net).__name__})"
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_bytes(target, buffer.getvalue())
    return f"{source} -> {target}: {done}, {sum(item.numel() for item in net.state_dict().values()):,} numbers"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0, or the error's exit code."""
    arguments = _parser().parse_args(argv)
    try:
        print(convert(arguments.source, arguments.target, key=arguments.key, overwrite=arguments.overwrite))
    except DMDNetError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
