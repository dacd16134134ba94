#!/usr/bin/env bash
# Packages: onnxruntime 1.32.0, with onnx 1.23.2 and numpy 2.4.6. Python 3.11 or later is needed.
#
# Expected: to read a value of a model in one more place, or to declare another output, changes nothing in that value. The
# model is quantized in QDQ form: a Gemm between DequantizeLinear and QuantizeLinear, as onnxruntime's own quantize_static
# writes it. onnxruntime replaces such a group by QGemm, which works on integers.
#
# What happens: onnxruntime gives each reader of a DequantizeLinear a copy of its own, and the group then ends in a
# QuantizeLinear with two readers, which the replacement does not take. With a second reader of the last
# DequantizeLinear the Gemm stays in float32. Where a result lies midway between two steps, integers and floats round to
# other steps, so that the output that was there before has other values. One operator in between, which changes no
# value (Max of one input), gives both readers the result of QGemm.
#
# Meaning for whoever caches logits: a graph that is extended behind the logits of a quantized teacher, to take their
# largest values or a sum of their exponentials, no longer computes the teacher's logits to the bit, and is slower. Put an
# operator without effect between the last DequantizeLinear and what is added.
#
# Output seen (how many values differ depends on the processor; which operators are left does not):
#   one reader: QuantizeLinear, QGemm, DequantizeLinear
#   two readers: DequantizeLinear, DequantizeLinear, QuantizeLinear, DequantizeLinear, Gemm, QuantizeLinear, DequantizeLinear, ReduceMax, DequantizeLinear
#   two readers: 94 of 640 values differ from those of one reader, by up to 0.020
#   two readers behind Max: QuantizeLinear, QGemm, DequantizeLinear, Max, ReduceMax
#   two readers behind Max: 0 of 640 values differ from those of one reader, by up to 0.000
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0

"$folder/venv/bin/python" - "$folder" <<'PY'
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, checker, helper, numpy_helper

FEATURES, CLASSES, ROWS = 16, 10, 64
random = np.random.default_rng(0)
weights = random.integers(-31, 32, (FEATURES, CLASSES)).astype(np.int8)
rows = (random.integers(-20, 21, (ROWS, FEATURES)) * np.float32(0.01)).astype(np.float32)


def build(more):
    """The quantized product y; `more` nodes read it behind its DequantizeLinear, whose output is then `z`."""
    constants = {
        "step": np.float32(0.1),
        "bias_step": np.float32(0.01),
        "result_step": np.float32(0.02),
        "zero": np.int8(0),
        "bias_zero": np.int32(0),
        "weights": weights,
        "bias": np.zeros(CLASSES, np.int32),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "step", "zero"], ["x_stored"]),
        helper.make_node("DequantizeLinear", ["x_stored", "step", "zero"], ["x_read"]),
        helper.make_node("DequantizeLinear", ["weights", "step", "zero"], ["weights_read"]),
        helper.make_node("DequantizeLinear", ["bias", "bias_step", "bias_zero"], ["bias_read"]),
        helper.make_node("Gemm", ["x_read", "weights_read", "bias_read"], ["product"]),
        helper.make_node("QuantizeLinear", ["product", "result_step", "zero"], ["stored"]),
        helper.make_node("DequantizeLinear", ["stored", "result_step", "zero"], ["z" if more == "behind Max" else "y"]),
    ]
    if more == "behind Max":
        nodes.append(helper.make_node("Max", ["z"], ["y"]))
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", CLASSES])]
    if more:
        nodes.append(helper.make_node("ReduceMax", ["y"], ["top"], keepdims=1))
        outputs.append(helper.make_tensor_value_info("top", TensorProto.FLOAT, ["N", 1]))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", FEATURES])]
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "quantized", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    return model


def run(model):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = f"{sys.argv[1]}/optimized.onnx"
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    values = session.run(["y"], {"x": rows})[0]
    return [node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node], values


plain, base = run(build(None))
print(f"one reader: {', '.join(plain)}")
left = {}
for more, title in (("at once", "two readers"), ("behind Max", "two readers behind Max")):
    left[more], values = run(build(more))
    print(f"{title}: {', '.join(left[more])}")
    print(
        f"{title}: {(values != base).sum()} of {base.size} values differ from those of one reader, "
        f"by up to {np.abs(values - base).max():.3f}"
    )
integers = ["QGemm" in operators and "Gemm" not in operators for operators in (plain, left["at once"], left["behind Max"])]
if integers != [True, False, True] or (values != base).any():
    sys.exit("changed: onnxruntime quantizes with two readers otherwise than described here")
PY
