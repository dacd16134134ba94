#!/usr/bin/env bash
# Packages: onnxruntime 1.32.0, with onnx 1.23.2 and numpy 2.4.6. Python 3.11 or later is needed.
#
# Expected: the first output of a TreeEnsembleClassifier (ai.onnx.ml) is the label of the class with the largest score,
# taken from classlabels_int64s: so the operator is specified, and so onnx's own reference evaluator has it.
#
# What happens: where the leaves of a model of two classes carry a weight for each class, the label is 1 where the second
# score is above zero and 0 elsewhere. The list of labels is not looked at, and neither is the first score. Labels 3 and 7
# come out as 0 and 1, and scores 0.9 and 0.1 as the second class. With a weight for one class only, the labels are right.
# CatBoost 1.2.10 saves its classifiers of two classes in the first form, with scores -d and d, and keeps the user's labels.
#
# Meaning for whoever caches logits: the label output of such a teacher is no witness for its scores. A check of the
# cached columns against it has to allow for 0 and 1, and accuracy that is counted on it is wrong for labels such as -1 and 1.
#
# Output seen:
#   leaves of -1 and 1 for two classes, labels 3 and 7: onnxruntime says [0, 1], the reference [3, 7]
#   leaves of -1 and 1 for two classes, labels -1 and 1: onnxruntime says [0, 1], the reference [-1, 1]
#   leaves of 0.9 and 0.1, 0.2 and 0.8, labels 0 and 1: onnxruntime says [1, 1], the reference [0, 1]
#   leaves for the second class only, labels 3 and 7: onnxruntime says [3, 7]
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0

"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper
from onnx.reference import ReferenceEvaluator

ROWS = np.array([[-1], [1]], np.float32)


def tree(labels, leaves):
    """One split at 0 of the only feature: a leaf for what is not above it, and one for the rest, as {class: weight}."""
    weights = [(node, label, weight) for node, leaf in zip((1, 2), leaves) for label, weight in leaf.items()]
    node = helper.make_node(
        "TreeEnsembleClassifier",
        ["x"],
        ["label", "scores"],
        domain="ai.onnx.ml",
        nodes_treeids=[0, 0, 0],
        nodes_nodeids=[0, 1, 2],
        nodes_featureids=[0, 0, 0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_values=[0.0, 0.0, 0.0],
        nodes_truenodeids=[1, 0, 0],
        nodes_falsenodeids=[2, 0, 0],
        class_treeids=[0] * len(weights),
        class_nodeids=[node for node, _, _ in weights],
        class_ids=[label for _, label, _ in weights],
        class_weights=[weight for _, _, weight in weights],
        classlabels_int64s=labels,
        post_transform="NONE",
    )
    graph = helper.make_graph(
        [node],
        "tree",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, ["N"]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 2]),
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    checker.check_model(model)
    return model


def run(model):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["label"], {"x": ROWS})[0].tolist()


def reference(model):
    return ReferenceEvaluator(model).run(["label"], {"x": ROWS})[0].tolist()


signed = [{0: 1.0, 1: -1.0}, {0: -1.0, 1: 1.0}]
shares = [{0: 0.9, 1: 0.1}, {0: 0.2, 1: 0.8}]
cases = [
    ("leaves of -1 and 1 for two classes, labels 3 and 7", tree([3, 7], signed), [0, 1], [3, 7]),
    ("leaves of -1 and 1 for two classes, labels -1 and 1", tree([-1, 1], signed), [0, 1], [-1, 1]),
    ("leaves of 0.9 and 0.1, 0.2 and 0.8, labels 0 and 1", tree([0, 1], shares), [1, 1], [0, 1]),
]
same = True
for title, model, wrong, right in cases:
    own, due = run(model), reference(model)
    print(f"{title}: onnxruntime says {own}, the reference {due}")
    same = same and own == wrong and due == right
one = run(tree([3, 7], [{1: -1.0}, {1: 1.0}]))
print(f"leaves for the second class only, labels 3 and 7: onnxruntime says {one}")
if not same or one != [3, 7]:
    sys.exit("changed: onnxruntime labels two classes of trees otherwise than described here")
PY
