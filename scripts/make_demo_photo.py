"""Write the degraded photograph that the demonstration restores: python scripts/make_demo_photo.py OUT.png"""

from __future__ import annotations

import argparse
import sys

from dmdnet.errors import DMDNetError
from dmdnet.restore.demo_photo import write_demo_photograph


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", metavar="OUT", help="the picture to write, for example photo.png")
    try:
        print(write_demo_photograph(parser.parse_args().out))
    except DMDNetError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
