#!/usr/bin/env bash
# Packages: onnxmltools 1.16.0 with xgboost-cpu 3.2.0, run by onnxruntime 1.32.0; scikit-learn 1.9.1, onnx 1.23.2,
# protobuf 6.33.6 and numpy 2.4.6. Python 3.11 or later is needed.
#
# Expected: convert_xgboost of a classifier of several classes gives the probabilities of predict_proba, or refuses what it
# does not know. XGBRFClassifier is among the models that it takes without a word.
#
# What happens: where a round has several trees a class (XGBRFClassifier, or num_parallel_tree of XGBClassifier), XGBoost
# writes all trees of the first class, then all of the second. The converter takes them for turns: tree i goes to class
# i modulo the number of classes. With ten classes and four trees a class the file agrees with its model little more often
# than by chance. Renaming the classes of the trees in the file gives predict_proba to the last digits, so that nothing
# else is wrong with it. Of two classes, and with one tree a class, the file is right.
#
# Meaning for whoever caches logits: every number of such a file is plausible, and its labels agree with its scores, since
# both are of the same wrong trees. Only predict_proba, or labels of the data, show it.
#
# Output seen:
#   10 classes, 4 trees each: off by 0.8, same class in 12 % of the rows; with renamed classes off by 2e-07, 100 %
#   3 classes, 2 rounds of 4 trees each: off by 0.2, same class in 78 % of the rows; with renamed classes off by 6e-08, 100 %
#   3 classes, 1 tree each: off by 1e-07, same class in 100 % of the rows; with renamed classes off by 1e-07, 100 %
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 xgboost-cpu==3.2.0 onnx==1.23.2 \
  protobuf==6.33.6 skl2onnx==1.20.0 onnxmltools==1.16.0 onnxruntime==1.32.0

"$folder/venv/bin/python" -W ignore - <<'PY'
import sys

import numpy as np
import onnxmltools
import onnxruntime
import xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

onnxruntime.set_default_logger_severity(3)
random = np.random.default_rng(0)


def run(file, x):
    session = onnxruntime.InferenceSession(file.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[1]


def rename(file, classes, parallel):
    """The same file, where the trees of a round are those of class 0, then those of class 1, and so on."""
    [node] = [node for node in file.graph.node if node.op_type == "TreeEnsembleClassifier"]
    attributes = {attribute.name: attribute for attribute in node.attribute}
    trees = attributes["class_treeids"].ints
    attributes["class_ids"].ints[:] = [tree // parallel % classes for tree in trees]


def compare(title, model, classes, parallel):
    y = np.arange(400) % classes
    x = random.normal(size=(400, 4)).astype(np.float32)
    x[:, 0] += y
    model.set_params(max_depth=3, random_state=0, n_jobs=1).fit(x, y)
    due = model.predict_proba(x)
    file = onnxmltools.convert_xgboost(model, initial_types=[("x", FloatTensorType([None, 4]))])
    said = []
    for _ in range(2):
        found = run(file, x)
        said.append((np.abs(found - due).max(), (found.argmax(1) == due.argmax(1)).mean()))
        rename(file, classes, parallel)
    (off, agree), (off_renamed, agree_renamed) = said
    print(
        f"{title}: off by {off:.1g}, same class in {100 * agree:.0f} % of the rows; "
        f"with renamed classes off by {off_renamed:.0e}, {100 * agree_renamed:.0f} %"
    )
    return off, off_renamed


forest = compare("10 classes, 4 trees each", xgboost.XGBRFClassifier(n_estimators=4), 10, 4)
rounds = compare(
    "3 classes, 2 rounds of 4 trees each", xgboost.XGBClassifier(n_estimators=2, num_parallel_tree=4, subsample=0.5), 3, 4
)
single = compare("3 classes, 1 tree each", xgboost.XGBRFClassifier(n_estimators=1), 3, 1)
if min(forest[0], rounds[0]) < 0.05 or max(forest[1], rounds[1], *single) > 1e-5:
    sys.exit("changed: onnxmltools converts parallel trees of XGBoost otherwise than described here")
PY
