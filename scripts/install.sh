#!/usr/bin/env bash
# Makes a virtual environment with the versions of constraints.txt and this package in it.
# usage: scripts/install.sh PYTHON VENV
set -euo pipefail
python=$1 venv=$2

"$python" - <<'PY' || { echo "error: Python 3.10 or newer is needed (3.10-3.12 are tested); try: make PYTHON=python3.11 ..." >&2; exit 2; }
import sys
sys.exit(not sys.version_info >= (3, 10))
PY
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --upgrade pip
"$venv/bin/python" -m pip install --quiet -r requirements-dev.txt -c constraints.txt
"$venv/bin/python" -m pip install --quiet --no-deps -e .

# opencv-python needs libGL, which a machine without a screen may lack; the headless build is the same code without it.
if ! "$venv/bin/python" -c "import cv2" 2>/dev/null; then
    echo "opencv-python cannot load its window libraries here: taking opencv-python-headless of the same version"
    version=$(sed -n 's/^opencv-python==//p' constraints.txt)
    "$venv/bin/python" -m pip uninstall --quiet --yes opencv-python
    "$venv/bin/python" -m pip install --quiet --no-deps "opencv-python-headless==$version"
fi
"$venv/bin/python" -c "import cv2, dlib, torch, torchvision; print('installed: torch', torch.__version__, '- torchvision', torchvision.__version__, '- OpenCV', cv2.__version__)"
