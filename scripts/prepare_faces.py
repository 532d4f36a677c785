"""Make a training set out of a folder of photographs: python scripts/prepare_faces.py INPUT OUTPUT [options]

The same as `python -m dmdnet prepare`; --help shows the options.
"""

from __future__ import annotations

import sys

from dmdnet.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["prepare", *sys.argv[1:]]))
