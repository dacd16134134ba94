#!/usr/bin/env bash
# Packages: onnxmltools 1.16.0 with lightgbm 4.7.0, run by onnxruntime 1.32.0; scikit-learn 1.9.1, onnx 1.23.2, protobuf
# 6.33.6 and numpy 2.4.6. Python 3.11 or later is needed.
#
# Expected: convert_lightgbm of an LGBMClassifier with boosting_type="rf" either refuses it or gives the probabilities of
# predict_proba, as it does for the other boosting types. LightGBM averages the trees of a forest, then takes the softmax
# (of two classes: the sigmoid).
#
# What happens: the trees are summed, the softmax or sigmoid follows, and the probability of the second class is then
# divided by 100, whatever the number of trees; the first column becomes 1 less that. No row has more than 0.01 for the
# second class, the label is always the first class, and of three classes there are two columns. Nothing warns of it.
#
# Meaning for whoever caches logits: such a file looks healthy, since its rows are probabilities that sum to 1. Its
# logarithms are those of a teacher that always says the first class. Compare the file with predict_proba before it is used.
#
# Output seen:
#   2 classes: predict_proba has (300, 2), up to 0.89 for the second class; the file has (300, 2), up to 0.010
#   2 classes: the file's second column is sigmoid(sum of the trees) / 100 to within 9e-10
#   2 classes: labels of the file: [0], of LightGBM: [0, 1]
#   3 classes: predict_proba has (300, 3), up to 0.74 for the second class; the file has (300, 2), up to 0.010
#   3 classes: labels of the file: [0], of LightGBM: [0, 1, 2]
#   2 classes, boosted instead: off by 6e-08
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 lightgbm==4.7.0 onnx==1.23.2 \
  protobuf==6.33.6 skl2onnx==1.20.0 onnxmltools==1.16.0 onnxruntime==1.32.0

"$folder/venv/bin/python" -W ignore - <<'PY'
import sys

import lightgbm
import numpy as np
import onnxmltools
import onnxruntime
from onnxmltools.convert.common.data_types import FloatTensorType

onnxruntime.set_default_logger_severity(3)
random = np.random.default_rng(0)
x = random.normal(size=(300, 4)).astype(np.float32)


def compare(classes, boosting):
    y = np.digitize(x[:, 0] + 0.5 * random.normal(size=len(x)), np.linspace(-0.5, 0.5, classes - 1))
    model = lightgbm.LGBMClassifier(
        boosting_type=boosting, n_estimators=5, num_leaves=4, bagging_freq=1, bagging_fraction=0.6, random_state=0, n_jobs=1, verbose=-1
    ).fit(x, y)
    file = onnxmltools.convert_lightgbm(model, initial_types=[("x", FloatTensorType([None, 4]))], zipmap=False)
    session = onnxruntime.InferenceSession(file.SerializeToString(), providers=["CPUExecutionProvider"])
    labels, found = session.run(None, {"x": x})
    return model, labels, found, model.predict_proba(x)


same = True
for classes in (2, 3):
    model, labels, found, due = compare(classes, "rf")
    print(
        f"{classes} classes: predict_proba has {due.shape}, up to {due[:, 1].max():.2f} for the second class; "
        f"the file has {found.shape}, up to {found[:, 1].max():.3f}"
    )
    same = same and found.shape == (300, 2) and found[:, 1].max() < 0.0101 and due[:, 1].max() > 0.5
    if classes == 2:
        summed = 1 / (1 + np.exp(-model.predict(x, raw_score=True)))
        off = np.abs(found[:, 1] - summed / 100).max()
        print(f"{classes} classes: the file's second column is sigmoid(sum of the trees) / 100 to within {off:.0e}")
        same = same and off < 1e-5
    own = sorted(set(model.predict(x).tolist()))
    print(f"{classes} classes: labels of the file: {sorted(set(labels.tolist()))}, of LightGBM: {own}")
    same = same and set(labels.tolist()) == {0} and len(own) == classes
_, _, found, due = compare(2, "gbdt")
print(f"2 classes, boosted instead: off by {np.abs(found - due).max():.0e}")
if not same or np.abs(found - due).max() > 1e-5:
    sys.exit("changed: onnxmltools converts a LightGBM forest otherwise than described here")
PY
