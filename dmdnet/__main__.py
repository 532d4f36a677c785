"""`python -m dmdnet COMMAND`."""

import sys

from dmdnet.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
