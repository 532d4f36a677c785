"""python train.py -opt options/train_dmdnet.yml"""

import sys

from dmdnet.cli.train import main

if __name__ == "__main__":
    sys.exit(main())
