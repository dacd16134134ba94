"""Exports small PyTorch classifiers whose rows are not free: in training mode, quantized as they run, and for one batch size alone.

rows-of-torch.py FOLDER   writes FOLDER/*.onnx and FOLDER/cases.json, with what PyTorch (in float64), or of quantized ones ONNX Runtime, says of each row alone
"""

import json
import logging
import sys
import warnings
from pathlib import Path

import onnxruntime
import torch
from onnxruntime.quantization import quantize_dynamic
from torch import nn

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
SIDE, CLASSES, ROWS = 8, 5, 24


class Convolutional(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8))
        self.head = nn.Linear(8 * 16, CLASSES)

    def forward(self, x):
        return self.head(torch.relu(self.body(x)).flatten(1))


class Perceptron(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE**2, 32), nn.ReLU(), nn.Linear(32, CLASSES))

    def forward(self, x):
        return self.body(x)


class Normalized(nn.Module):
    """Statistics of the batch are all that a row alone has: nothing of it is left."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE**2, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, CLASSES))

    def forward(self, x):
        return self.body(x)


class DropPath(Perceptron):
    """Stochastic depth, as timm has it: a row's branch is left out at random."""

    def forward(self, x):
        first, *rest = self.body[1:]
        h = first(self.body[0](x))
        keep = h.new_empty((h.shape[0], 1)).bernoulli_(0.8) if self.training else 1
        return nn.Sequential(*rest)(h * keep)


class ClassToken(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 2, stride=2)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.0)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x):
        h = self.patches(x).flatten(2).transpose(1, 2)
        return self.head(self.layer(torch.cat([self.token.expand(h.size(0), -1, -1), h], 1))[:, 0])


class TimeFirst(nn.Module):
    """Rows of pixels are steps: inside, the batch is the second axis."""

    def __init__(self):
        super().__init__()
        self.steps = nn.GRU(3 * SIDE, 16)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x):
        return self.head(self.steps(x.permute(2, 0, 1, 3).flatten(2))[0][-1])


class Sized(Perceptron):
    """Has the size of its example in its graph, though the exporter was told that it is open."""

    def forward(self, x):
        return self.body(x.reshape(int(x.shape[0]), 3 * SIDE**2))


def main(folder):
    torch.manual_seed(0)
    rows = torch.randn(ROWS, 3, SIDE, SIDE)
    cases = []

    def write(title, body, *, training=False, batch=None, dynamo=False, quantized=False):
        torch.manual_seed(len(cases))
        network = body().train(training)
        file = f"{len(cases)}.onnx"
        example = torch.randn(batch or 3, 3, SIDE, SIDE)
        options = {}
        if not dynamo:
            mode = torch.onnx.TrainingMode
            options |= {"training": mode.TRAINING if training else mode.EVAL, "do_constant_folding": not training}
        if batch is None or body is Sized:
            open_batch = {"dynamic_shapes": ({0: torch.export.Dim("batch")},)} if dynamo else {"dynamic_axes": {"x": {0: "batch"}}}
            options |= open_batch
        path = str(folder / file)
        torch.onnx.export(network, (example,), path, input_names=["x"], output_names=["y"], dynamo=dynamo, verbose=False, **({"external_data": False} if dynamo else {}), **options)
        if quantized:
            file = f"{len(cases)}-quantized.onnx"
            quantize_dynamic(path, str(folder / file))
            session = onnxruntime.InferenceSession(str(folder / file))
            alone = [session.run(None, {"x": row[None].numpy()})[0][0].tolist() for row in rows]
        else:
            network = network.double().train(training)
            with torch.no_grad():
                alone = [network(row[None].double())[0].tolist() if body is not Normalized else [] for row in rows]
        cases.append({"title": title, "file": file, "alone": alone})

    write("evaluation mode", Convolutional)
    write("BatchNorm2d in training mode", Convolutional, training=True)
    write("BatchNorm1d in training mode", Normalized, training=True)
    write("stochastic depth in training mode", DropPath, training=True)
    write("quantize_dynamic", Perceptron, quantized=True)
    for dynamo in (False, True):
        for batch in (1, 4):
            write(f"class token, batch of {batch}, {'dynamo' if dynamo else 'legacy'}", ClassToken, batch=batch, dynamo=dynamo)
    write("time first inside, batch of 4", TimeFirst, batch=4)
    for batch in (1, 4):
        write(f"declared open, made for {batch}", Sized, batch=batch)
    (folder / "cases.json").write_text(json.dumps({"shape": [3, SIDE, SIDE], "rows": rows.flatten().tolist(), "cases": cases}))


main(Path(sys.argv[1]))
