"""Exports small PyTorch classifiers by both of torch's exporters, with what each says of random pixels in float64.

torch-teachers.py FOLDER   writes FOLDER/*.onnx and FOLDER/cases.json
"""

import json
import sys
import warnings
from pathlib import Path

import torch
from torch import nn

warnings.filterwarnings("ignore")
SIDE, CLASSES, ROWS = 8, 5, 4


class Convolutional(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        h = torch.relu(self.norm(self.first(x)))
        h = nn.functional.adaptive_avg_pool2d(h + torch.relu(self.second(h)), 1)
        return self.head(h.view(h.size(0), -1))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 2, stride=2)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.0)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x):
        h = self.patches(x).flatten(2).transpose(1, 2)
        h = torch.cat([self.token.expand(h.size(0), -1, -1), h], 1)
        return self.head(self.layer(h)[:, 0])


class With(nn.Module):
    def __init__(self, body, head):
        super().__init__()
        self.body, self.head = body, head

    def forward(self, x):
        return self.head(self.body(x))


HEADS = {
    "logits": nn.Identity(),
    "softmax": nn.Softmax(1),
    "log-softmax": nn.LogSoftmax(-1),
    "sigmoid": nn.Sigmoid(),
}


def export(folder, pixels, cases, body, *, head, dynamo, fixed, half=False, external=False, opset=None):
    torch.manual_seed(len(cases))
    network = With(body(), HEADS[head]).eval()
    x = (pixels.double() / 255 - 0.5) / 0.25
    with torch.no_grad():
        z = network.double().body(x.permute(0, 3, 1, 2))
    expected = nn.functional.logsigmoid(z) if head == "sigmoid" else z
    network = network.half() if half else network.float()
    sample = torch.randn(1 if fixed else 2, 3, SIDE, SIDE, dtype=torch.half if half else torch.float)
    name = f"{len(cases)}.onnx"
    dynamic = {}
    if not fixed and dynamo:
        dynamic["dynamic_shapes"] = ({0: torch.export.Dim("batch")},)
    elif not fixed:
        dynamic["dynamic_axes"] = {"x": {0: "batch"}}
    torch.onnx.export(
        network,
        (sample,),
        str(folder / name),
        input_names=["x"],
        output_names=["y"],
        dynamo=dynamo,
        external_data=external,
        verbose=False,
        **({"opset_version": opset} if opset else {}),
        **dynamic,
    )
    title = " ".join(
        [body.__name__, head, "dynamo" if dynamo else "legacy", "batch of 1" if fixed else "any batch"]
        + ["float16"] * half
        + ["external data"] * external
        + ([f"opset {opset}"] if opset else [])
    )
    cases.append({"title": title, "file": name, "head": head, "half": half, "kept": fixed and body is Transformer, "expected": expected.flatten().tolist()})


def main(folder):
    torch.manual_seed(0)
    pixels = torch.randint(0, 256, (ROWS, SIDE, SIDE, 3), dtype=torch.uint8)
    cases = []
    for dynamo in (True, False):
        for head in HEADS:
            export(folder, pixels, cases, Convolutional, head=head, dynamo=dynamo, fixed=False)
        for body in (Convolutional, Transformer):
            export(folder, pixels, cases, body, head="softmax", dynamo=dynamo, fixed=True)
        export(folder, pixels, cases, Transformer, head="logits", dynamo=dynamo, fixed=False)
        export(folder, pixels, cases, Convolutional, head="softmax", dynamo=dynamo, fixed=False, half=True)
    export(folder, pixels, cases, Convolutional, head="softmax", dynamo=True, fixed=False, external=True)
    for opset in (9, 11, 13, 17):
        export(folder, pixels, cases, Convolutional, head="softmax", dynamo=False, fixed=False, opset=opset)
    result = {"pixels": pixels.flatten().tolist(), "shape": [ROWS, SIDE, SIDE, 3], "classes": CLASSES, "cases": cases}
    (folder / "cases.json").write_text(json.dumps(result))


main(Path(sys.argv[1]))
