"""python test.py -opt options/benchmarks/ffhq_ref.yml"""

import sys

from dmdnet.cli.test import main

if __name__ == "__main__":
    sys.exit(main())
