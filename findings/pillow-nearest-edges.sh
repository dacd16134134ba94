#!/usr/bin/env bash
# Packages: Pillow 13.0.0 and numpy 2.4.6. Python 3.11 or later is needed.
#
# Expected: Image.resize with NEAREST takes for each pixel of the result the source pixel that its centre lies in. At 256
# to 224 the step is 8/7, so that 32 of the 224 centres lie exactly on the edge between two pixels. Both are as near, but
# one rule should hold for all of them: always the left one, or always the right one.
#
# What happens: of the 32 centres 25 take the left pixel and 7 the right one. Pillow adds up the step in float64 from pixel
# to pixel, and the rounding of the sum decides, otherwise for each pair of sizes: at 448 to 336 it is 58 to the left and
# 54 to the right.
#
# Meaning for whoever caches logits: a port of the rule, floor((i + 1/2) * from / to), to another language or into the graph
# of a teacher gives other pixels than the training had, in 25 of 224 rows and as many columns at so common a pair as 256
# and 224, and the right ones at most other sizes, where tests may have looked. A student that reads its pictures by the
# port sees other pictures than its teacher saw. The sum has to be ported, too.
#
# Output seen:
#   256 to 224: 32 centres on an edge, 25 to the left, 7 to the right; adding up in float64 gives the same: True
#   448 to 336: 112 centres on an edge, 58 to the left, 54 to the right; adding up in float64 gives the same: True
#   320 to 224: 32 centres on an edge, 20 to the left, 12 to the right; adding up in float64 gives the same: True
#   250 to 224: 0 centres on an edge, 0 to the left, 0 to the right; adding up in float64 gives the same: True
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile pillow==13.0.0 numpy==2.4.6

"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
from PIL import Image


def taken(size, to):
    """The source pixel of each pixel of a row; a level is a byte, so that a place is written as two rows: high and low."""
    places = np.arange(size)
    high, low = (
        np.asarray(Image.fromarray(part.astype(np.uint8)[None]).resize((to, 1), Image.Resampling.NEAREST))[0]
        for part in (places // 256, places % 256)
    )
    return high.astype(int) * 256 + low


def added(size, to):
    step = size / to
    at, places = step / 2, []
    for _ in range(to):
        places.append(int(at))
        at += step
    return np.array(places)


seen = []
for size, to in ((256, 224), (448, 336), (320, 224), (250, 224)):
    places = taken(size, to)
    twice = (2 * np.arange(to) + 1) * size  # the centres in units of 1 / (2 * to): whole numbers
    edges = twice % (2 * to) == 0
    right = twice // (2 * to)
    lefts, rights = int((places == right - 1)[edges].sum()), int((places == right)[edges].sum())
    same = bool((places == added(size, to)).all())
    print(
        f"{size} to {to}: {edges.sum()} centres on an edge, {lefts} to the left, {rights} to the right; "
        f"adding up in float64 gives the same: {same}"
    )
    seen.append((lefts, rights, same and bool((places == right)[~edges].all())))
if seen != [(25, 7, True), (58, 54, True), (20, 12, True), (0, 0, True)]:
    sys.exit("changed: Pillow takes other pixels at edges than described here")
PY
