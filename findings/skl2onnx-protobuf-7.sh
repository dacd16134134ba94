#!/usr/bin/env bash
# Packages: skl2onnx 1.20.0 with scikit-learn 1.9.1, onnx 1.23.2 and numpy 2.4.6, under protobuf 7.36.2 and under protobuf
# 6.33.6. Python 3.11 or later is needed.
#
# Expected: pip takes protobuf 7 beside these packages, whose requirements allow it, so the converters should work with
# it. Most do, those of forests and of the older boosted trees among them.
#
# What happens: HistGradientBoostingClassifier and HistGradientBoostingRegressor are not converted. skl2onnx says "Unable to
# create node" and prints all attributes of the trees; the cause stands above, in the chained error: "Expected an int, got
# a boolean". skl2onnx puts False among the integers of nodes_missing_value_tracks_true, which protobuf 6 took as 0.
#
# Meaning for whoever caches logits: of teachers fitted by one script some are exported and others are not, after an
# upgrade of a package that nobody named. Install a protobuf below 7 beside skl2onnx.
#
# Output seen:
#   protobuf 7.36.2: RandomForestClassifier is converted
#   protobuf 7.36.2: HistGradientBoostingClassifier is not: Field onnx.AttributeProto.ints: Expected an int, got a boolean.
#   protobuf 6.33.6: RandomForestClassifier is converted
#   protobuf 6.33.6: HistGradientBoostingClassifier is converted
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 onnx==1.23.2 \
  protobuf==7.36.2 skl2onnx==1.20.0

cat > "$folder/check.py" <<'PY'
import sys

import google.protobuf
import numpy as np
from skl2onnx import to_onnx
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

x = np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32)
seen = []
for model in (RandomForestClassifier(3, random_state=0), HistGradientBoostingClassifier(max_iter=3)):
    model.fit(x, x[:, 0] > 0)
    said = f"protobuf {google.protobuf.__version__}: {type(model).__name__}"
    try:
        to_onnx(model, x[:1], options={"zipmap": False})
        print(f"{said} is converted")
        seen.append("converted")
    except ValueError as error:
        cause = error
        while cause.__cause__ or cause.__context__:
            cause = cause.__cause__ or cause.__context__
        print(f"{said} is not: {cause}")
        seen.append("got a boolean" if "got a boolean" in str(cause) else str(cause))
if seen != ["converted", sys.argv[1]]:
    sys.exit("changed: skl2onnx converts with this protobuf otherwise than described here")
PY
"$folder/venv/bin/python" -W ignore "$folder/check.py" "got a boolean"
"$folder/venv/bin/pip" install --quiet --no-compile protobuf==6.33.6
"$folder/venv/bin/python" -W ignore "$folder/check.py" converted
