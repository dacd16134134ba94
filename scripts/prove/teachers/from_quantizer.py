"""ONNX Runtime's quantizers over networks of PyTorch and scikit-learn: static with QDQ and with QOperator, dynamic."""

import torch
from case import digits
from from_torch import Convolutional, Head, binary_loss, export, mlp, pair, train
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

EXPORTER = "onnxruntime.quantization"
PACKAGES = ["onnxruntime", "torch"]


class Rows(CalibrationDataReader):
    def __init__(self, name, rows):
        self.left = iter([{name: rows[i : i + 50]} for i in range(0, len(rows), 50)])

    def get_next(self):
        return next(self.left, None)


HEADS = {
    "logits": (10, nn.Identity(), "logits", None),
    "Softmax": (10, nn.Softmax(1), "probabilities", None),
    "LogSoftmax": (10, nn.LogSoftmax(1), "log-probabilities", None),
    "Sigmoid": (1, nn.Sigmoid(), "sigmoid", binary_loss),
    "1 - p and p": (1, pair, "probabilities", binary_loss),
    "sigmoids of ten": (10, nn.Sigmoid(), "nothing", None),
}
BODIES = {"MLP": mlp, "convolutions": Convolutional}
IN_CI = {("MLP", "Softmax", "QDQ"), ("MLP", "Softmax", "dynamic")}


def make_case(body, head, way):
    outputs, function, gives, loss = HEADS[head]

    def make(row):
        classes = max(outputs, 2)
        model, asked, truth = train(BODIES[body](outputs), classes, loss)
        head_module = function if isinstance(function, nn.Module) else Head(function)
        plain, prepared = row.folder / "plain.onnx", row.folder / "prepared.onnx"
        export(nn.Sequential(model, head_module).eval(), plain, dynamo=False, opset=17)
        quant_pre_process(str(plain), str(prepared))
        if way == "dynamic":
            quantize_dynamic(prepared, row.model)
        else:
            (x, _), _ = digits(classes)
            form = QuantFormat.QOperator if way == "QOperator" else QuantFormat.QDQ
            types = {"activation_type": QuantType.QInt8 if way == "QDQ int8" else QuantType.QUInt8, "weight_type": QuantType.QInt8}
            quantize_static(prepared, row.model, Rows("x", x.reshape(-1, 1, 8, 8)), quant_format=form, per_channel=True, **types)
        plain.unlink(), prepared.unlink()
        with torch.no_grad():
            z = model(torch.tensor(asked)).double()
        library = None if gives == "nothing" else torch.softmax(z, 1) if outputs > 1 else torch.sigmoid(torch.cat([-z, z], 1))
        row.write(truth, features=asked, gives=gives, library=library, tolerance=2e-2)

    return make


def cases():
    for way in ("QDQ", "QDQ int8", "QOperator", "dynamic"):
        for body, heads in {"MLP": HEADS, "convolutions": ["logits", "Softmax"]}.items():
            for head in heads:
                yield f"{body}, {head}, {way}", make_case(body, head, way), (body, head, way) in IN_CI
