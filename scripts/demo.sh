#!/usr/bin/env bash
# The whole job on drawn faces: make data, train, evaluate, restore one real photograph, print the table.
# usage: scripts/demo.sh PYTHON OUTPUT_FOLDER
set -euo pipefail
python=$1 out=$2
start=$SECONDS
mkdir -p "$out"

step() { printf '\n== %s (%d s)\n' "$1" $((SECONDS - start)); }

step "1/4 drawing the demo faces"
"$python" scripts/make_demo_faces.py datasets/demo_faces --identities 120 --images 6 --size 128 --seed 0 \
    --workers 2 --sheet "$out/faces.png"

step "2/4 training: python train.py -opt options/demo/train_dmdnet_demo.yml"
"$python" train.py -opt options/demo/train_dmdnet_demo.yml

step "3/4 evaluating: python test.py -opt options/demo/test_dmdnet_demo.yml"
"$python" test.py -opt options/demo/test_dmdnet_demo.yml | tee "$out/table.txt"

step "4/4 restoring a real photograph (scikit-image's astronaut, degraded)"
"$python" scripts/make_demo_photo.py "$out/photo.png"
"$python" -m dmdnet restore "$out/photo.png" --weights experiments/train_dmdnet_demo/models/net_g_latest.pth \
    -o "$out/photo_restored.png"

step "done"
cat "$out/table.txt"
cat <<TEXT

pictures  results/test_dmdnet_demo/demo_faces_sheet.png   (degraded, generic, specific, wrong person, target)
          $out/photo_restored.png   (from $out/photo.png; a network trained for minutes on drawn faces: the way, not the quality)
summary   results/test_dmdnet_demo/summary.json
report    results/test_dmdnet_demo/report.html   (open it in a browser: tables, curves, pictures under sliders; no network needed)
TEXT
