#!/usr/bin/env bash
# Packages: Pillow 12.0.0 and Pillow 13.0.0, each with numpy 2.4.6. Python 3.11 or later is needed.
#
# Expected: Image.resize with one filter, one picture and one size gives the same bytes in both versions, or bytes that
# differ by a level of rounding: the filters are the same, and they are separable, so that in exact arithmetic the order of
# the two passes does not matter.
#
# What happens: Pillow 12 resamples across, then down. Pillow 13 resamples down first where the picture becomes lower by
# much more than it becomes narrower. Between the passes values are rounded and held to 0..255. Filters with negative lobes
# go beyond that at sharp edges, and what is cut off there depends on the order: bicubic and lanczos differ by ten levels and
# more on noise, bilinear by one, box not at all.
#
# Meaning for whoever caches logits: logits of one Pillow do not belong to pictures of the other for tall pictures that are
# stretched to a square, at least with bicubic (many vision transformers) and lanczos. Pillow's version is part of
# the preprocessing, and has to be kept beside the cache.
#
# Output seen (37 wide and 91 high becomes 91 wide and 37 high):
#   Pillow 12.0.0: BOX both, BILINEAR across first, BICUBIC across first, LANCZOS across first
#   Pillow 13.0.0: BOX both, BILINEAR down first, BICUBIC down first, LANCZOS down first
#   most levels between the orders: BOX 0, BILINEAR 1, BICUBIC 10, LANCZOS 23
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 12.0.0 13.0.0; do
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/pip" install --quiet --no-compile "pillow==$version" numpy==2.4.6
done

cat > "$folder/check.py" <<'PY'
import sys

import numpy as np
from PIL import Image, __version__

due, tell = sys.argv[1:]
picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (91, 37, 3), np.uint8))
orders, levels = {}, {}
for name in ("BOX", "BILINEAR", "BICUBIC", "LANCZOS"):

    def resize(*sizes):
        made = picture
        for size in sizes:
            made = made.resize(size, Image.Resampling[name])
        return np.asarray(made).astype(int)

    # Each of the two sizes changes one side only, which is one pass.
    across, down, own = resize((91, 91), (91, 37)), resize((37, 37), (91, 37)), resize((91, 37))
    found = [order for order, made in (("across first", across), ("down first", down)) if (made == own).all()]
    orders[name] = "both" if len(found) == 2 else "".join(found)
    levels[name] = int(np.abs(across - down).max())
print(f"Pillow {__version__}: " + ", ".join(f"{name} {order}" for name, order in orders.items()))
if tell == "levels":
    print("most levels between the orders: " + ", ".join(f"{name} {most}" for name, most in levels.items()))
rest = [orders[name] for name in ("BILINEAR", "BICUBIC", "LANCZOS")]
if orders["BOX"] != "both" or rest != [due] * 3 or levels["BICUBIC"] < 5 or levels["LANCZOS"] < 5:
    sys.exit(f"changed: Pillow {__version__} resamples in another order than described here")
PY
"$folder/12.0.0/bin/python" "$folder/check.py" "across first" ""
"$folder/13.0.0/bin/python" "$folder/check.py" "down first" levels
