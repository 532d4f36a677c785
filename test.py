"""python test.py -opt options/test_dmdnet.yml"""

import sys

from dmdnet.cli.test import main

if __name__ == "__main__":
    sys.exit(main())
