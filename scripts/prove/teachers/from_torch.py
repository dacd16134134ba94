"""PyTorch, by both of its exporters: heads as people write them, bodies of several kinds, half precision, training mode, fixed batches."""

import copy

import numpy as np
import onnxruntime
import torch
from case import MEANINGS, digits
from torch import nn

EXPORTER = "torch"
PACKAGES = ["torch", "onnxscript"]

torch.set_num_threads(1)


def mlp(outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, outputs))


class Convolutional(nn.Module):
    def __init__(self, outputs, dropout=0.0):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.drop, self.head = nn.Dropout(dropout), nn.Linear(256, outputs)

    def forward(self, x):
        return self.head(self.drop(self.body(x).flatten(1)))


class ClassToken(nn.Module):
    """A vision transformer whose token is repeated for the batch."""

    def __init__(self, outputs):
        super().__init__()
        self.patches = nn.Conv2d(1, 16, 2, stride=2)
        self.token, self.places = nn.Parameter(torch.randn(1, 1, 16)), nn.Parameter(torch.randn(1, 17, 16) * 0.1)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.0)
        self.head = nn.Linear(16, outputs)

    def forward(self, x):
        h = self.patches(x).flatten(2).transpose(1, 2)
        h = torch.cat([self.token.expand(h.size(0), -1, -1), h], 1) + self.places
        return self.head(self.layer(h)[:, 0])


class BatchSecond(nn.Module):
    """A transformer that has time first inside."""

    def __init__(self, outputs):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0)
        self.head = nn.Linear(8, outputs)

    def forward(self, x):
        h = self.layer(x.flatten(1).view(-1, 8, 8).transpose(0, 1))
        return self.head(h.mean(0))


class Recurrent(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.lstm, self.head = nn.LSTM(8, 16, batch_first=True), nn.Linear(16, outputs)

    def forward(self, x):
        return self.head(self.lstm(x.flatten(1).view(-1, 8, 8))[0][:, -1])


class LessTheirMean(nn.Module):
    """Logits less their mean over the batch."""

    def forward(self, z):
        return z - z.mean(0, keepdim=True)


class Head(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, z):
        return self.function(z)


class Ensemble(nn.Module):
    def __init__(self, members, combine):
        super().__init__()
        self.members, self.combine = nn.ModuleList(members), combine

    def forward(self, x):
        return self.combine([m(x) for m in self.members])


def train(model, classes, loss=None):
    """Enough that most rows are right and probabilities are soft."""
    torch.manual_seed(0)
    for layer in model.modules():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    (x, y), (asked, truth) = digits(classes)
    x, y = torch.tensor(x).view(-1, 1, 8, 8), torch.tensor(y)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(40):
        optimizer.zero_grad()
        (loss or nn.functional.cross_entropy)(model(x), y).backward()
        optimizer.step()
    return model.eval(), asked.reshape(-1, 1, 8, 8), truth


def binary_loss(z, y):
    return nn.functional.binary_cross_entropy_with_logits(z.squeeze(1), y.float())


def several_loss(z, y):
    return nn.functional.binary_cross_entropy_with_logits(z, nn.functional.one_hot(y, z.shape[1]).float())


def export(model, path, *, dynamo, batch=None, training=False, dtype=torch.float32, opset=None):
    """`batch`: fixed to that; None: open."""
    example = torch.zeros(batch or 2, 1, 8, 8, dtype=dtype)
    named = dict(input_names=["x"], output_names=["y"], dynamo=dynamo, **({"opset_version": opset} if opset else {}))
    if dynamo:
        if batch is None:
            named["dynamic_shapes"] = ({0: torch.export.Dim("batch")},)
        torch.onnx.export(model, (example,), str(path), external_data=False, verbose=False, **named)
    else:
        if batch is None:
            named["dynamic_axes"] = {"x": {0: "batch"}, "y": {0: "batch"}}
        if training:
            named |= dict(training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False)
        torch.onnx.export(model, (example,), str(path), **named)


def plain(row, body, classes, head, gives, *, outputs=None, loss=None, dtype=torch.float32, pictures=False, told=(), tolerance=1e-4, **how):
    model, asked, truth = train(body(outputs or classes), classes, loss)
    whole = nn.Sequential(copy.deepcopy(model), Head(head) if callable(head) and not isinstance(head, nn.Module) else head).eval()
    export(copy.deepcopy(whole).to(dtype), row.model, dtype=dtype, **how)
    library = None
    if gives != "nothing" and not pictures:
        with torch.no_grad():
            library = MEANINGS[gives](whole(torch.tensor(asked)).double().numpy())
    rows = {"pictures": np.round(asked[:, 0] * 16).astype(np.uint8) * 15} if pictures else {"features": asked}
    row.write(truth, gives=gives, library=library, told=told, tolerance=tolerance, **rows)


def sparsemax(z):
    s = z.sort(-1, descending=True).values
    k = torch.arange(1, z.shape[-1] + 1, dtype=z.dtype)
    total = s.cumsum(-1)
    support = (1 + k * s > total).to(z.dtype)
    size = support.sum(-1, keepdim=True)
    return torch.relu(z - ((s * support).sum(-1, keepdim=True) - 1) / size)


def pair(z):
    p = torch.sigmoid(z)
    return torch.cat([1 - p, p], 1)


TEN = {
    "logits": (nn.Identity(), "logits"),
    "Softmax": (nn.Softmax(1), "probabilities"),
    "LogSoftmax": (nn.LogSoftmax(-1), "log-probabilities"),
    "log of Softmax": (lambda z: torch.log(torch.softmax(z, 1) + 1e-9), "log-probabilities"),
    "Softmax at temperature 2": (lambda z: torch.softmax(z / 2, 1), "probabilities"),
    "Softmax, clamped": (lambda z: torch.softmax(z, 1).clamp(1e-7, 1 - 1e-7), "probabilities"),
    "Softmax, rounded to 3 digits": (lambda z: torch.round(torch.softmax(z, 1) * 1000) / 1000, "probabilities", 6e-4),
    "Softmax by hand": (lambda z: z.exp() / z.exp().sum(1, keepdim=True), "probabilities"),
    "Softmax plus epsilon, by the sum": (lambda z: (torch.softmax(z, 1) + 1e-6) / (torch.softmax(z, 1) + 1e-6).sum(1, keepdim=True), "probabilities"),
    "Softmax of float16 inside": (lambda z: torch.softmax(z.half(), 1).float(), "probabilities", 2e-3),
    "Softmax smoothed": (lambda z: 0.9 * torch.softmax(z, 1) + 0.01, "probabilities"),
    "sigmoids by their sum": (lambda z: torch.sigmoid(z) / torch.sigmoid(z).sum(1, keepdim=True), "probabilities"),
    "softplus by its sum": (lambda z: nn.functional.normalize(nn.functional.softplus(z), p=1, dim=1), "probabilities"),
    "squares by their sum": (lambda z: z**2 / (z**2).sum(1, keepdim=True), "probabilities"),
    "sparsemax": (sparsemax, "probabilities"),
    "Dirichlet of evidence": (lambda z: (torch.relu(z) + 1) / (torch.relu(z) + 1).sum(1, keepdim=True), "probabilities"),
    "negative log probabilities": (lambda z: -torch.log_softmax(z, 1), "nothing"),
    "percent": (lambda z: 100 * torch.softmax(z, 1), "nothing"),
    "Softmax without its last class": (lambda z: torch.softmax(z, 1)[:, :9], "nothing"),
    "cosines": (lambda z: nn.functional.normalize(z, dim=1), "scores"),
    "cosines by 16": (lambda z: 16 * nn.functional.normalize(z, dim=1), "logits"),
    "tanh": (torch.tanh, "scores"),
    "sigmoids": (torch.sigmoid, "nothing"),
    "hard sigmoids": (nn.Hardsigmoid(), "nothing"),
    "a one-hot argmax": (lambda z: nn.functional.one_hot(z.argmax(1), 10).float(), "probabilities"),
}
TWO = {
    "logits of two": (2, nn.Identity(), "logits"),
    "Softmax of two": (2, nn.Softmax(1), "probabilities"),
    "1 - p and p": (1, pair, "probabilities"),
    "p and 1 - p stacked": (1, lambda z: torch.stack([1 - torch.sigmoid(z[:, 0]), torch.sigmoid(z[:, 0])], -1), "probabilities"),
    "1 - p and p by exp": (1, lambda z: torch.cat([1 - 1 / (1 + torch.exp(-z)), 1 / (1 + torch.exp(-z))], 1), "probabilities"),
    "Sigmoid of one": (1, nn.Sigmoid(), "sigmoid"),
    "Sigmoid of one, [N]": (1, lambda z: torch.sigmoid(z)[:, 0], "sigmoid"),
    "Sigmoid of one, clamped": (1, lambda z: torch.sigmoid(z).clamp(0.01, 0.99), "sigmoid"),
    "a logit": (1, nn.Identity(), "logit"),
    "sigmoids of two": (2, torch.sigmoid, "nothing"),
    "minus z and z": (1, lambda z: torch.cat([-z, z], 1), "logits"),
}
IN_CI = {("1 - p and p", True), ("Softmax, rounded to 3 digits", True)}


def cases():
    case = lambda *arguments, **named: lambda row: plain(row, *arguments, **named)
    for title, (head, gives, *tolerance) in TEN.items():
        both = title in ("logits", "Softmax", "LogSoftmax", "Softmax by hand", "sigmoids")
        for dynamo in (True, False) if both else (True,):
            yield f"{title}, {by(dynamo)}", case(mlp, 10, head, gives, dynamo=dynamo, tolerance=(tolerance or [1e-4])[0]), (title, dynamo) in IN_CI
    for title, (outputs, head, gives) in TWO.items():
        loss = binary_loss if outputs == 1 else several_loss if title.startswith("sigmoids") else None
        told = ("--logits-are", "logits") if gives == "logit" else ()
        for dynamo in (True, False) if outputs == 1 else (True,):
            yield f"{title}, {by(dynamo)}", case(mlp, 2, head, gives, outputs=outputs, loss=loss, told=told, dynamo=dynamo), (title, dynamo) in IN_CI
    for dynamo in (True, False):
        yield f"convolutions of pictures, {by(dynamo)}", case(Convolutional, 10, nn.Identity(), "logits", pictures=True, dynamo=dynamo), False
        yield f"convolutions of numbers, {by(dynamo)}", case(Convolutional, 10, nn.Softmax(1), "probabilities", dynamo=dynamo), False
        yield f"convolutions, batch 1, {by(dynamo)}", case(Convolutional, 10, nn.Softmax(1), "probabilities", dynamo=dynamo, batch=1), False
        yield f"class token, {by(dynamo)}", case(ClassToken, 10, nn.Identity(), "logits", dynamo=dynamo), False
        yield f"class token, batch 1, {by(dynamo)}", case(ClassToken, 10, nn.Identity(), "logits", dynamo=dynamo, batch=1), False
        yield f"class token, batch 16, {by(dynamo)}", case(ClassToken, 10, nn.Identity(), "logits", dynamo=dynamo, batch=16), False
        yield f"time first inside, batch 1, {by(dynamo)}", case(BatchSecond, 10, nn.Identity(), "logits", dynamo=dynamo, batch=1), False
        yield f"float16, {by(dynamo)}", case(mlp, 10, nn.Softmax(1), "probabilities", dynamo=dynamo, dtype=torch.float16, tolerance=2e-2), False
        yield f"less the batch's mean, {by(dynamo)}", case(mlp, 10, LessTheirMean(), "scores", dynamo=dynamo), False
    yield "bfloat16, dynamo", case(mlp, 10, nn.Softmax(1), "probabilities", dynamo=True, dtype=torch.bfloat16, tolerance=2e-2), False
    yield "float64, dynamo", case(mlp, 10, nn.Softmax(1), "probabilities", dynamo=True, dtype=torch.float64), False
    yield "an LSTM, dynamo", case(Recurrent, 10, nn.Identity(), "logits", dynamo=True), False
    yield "an LSTM, legacy", case(Recurrent, 10, nn.Identity(), "logits", dynamo=False), False
    for opset in (9, 11, 12, 13, 17):
        yield f"Softmax of opset {opset}, legacy", case(mlp, 10, nn.Softmax(1), "probabilities", dynamo=False, opset=opset), False
    yield "training mode, legacy", training(0.0), False
    yield "training mode with dropout, legacy", training(0.5), False
    yield "the mean of five Softmax, dynamo", several(lambda all: torch.stack([torch.softmax(z, 1) for z in all]).mean(0), "probabilities"), False
    yield "the mean of five logits, dynamo", several(lambda all: torch.stack(all).mean(0), "logits"), False
    yield "votes of five, dynamo", several(lambda all: torch.stack([nn.functional.one_hot(z.argmax(1), 10) for z in all]).float().mean(0), "probabilities"), False
    yield "logits and probabilities, dynamo", two_outputs, False


def by(dynamo):
    return "dynamo" if dynamo else "legacy"


def training(dropout):
    def make(row):
        model, asked, truth = train(Convolutional(10, dropout), 10)
        export(model.train(), row.model, dynamo=False, training=True)
        row.write(truth, features=asked, gives="nothing" if differs(row.model, asked) else "logits")

    return make


def differs(model, asked):
    """Does ONNX Runtime say two things of the same row? Its optimizer takes some Dropouts out that are on."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    [first, second] = [session.run(None, {"x": asked[:1]})[0] for _ in range(2)]
    return np.abs(first - second).max() > 1e-3


def several(combine, gives):
    def make(row):
        members = []
        for _ in range(5):
            model, asked, truth = train(mlp(10), 10)
            members.append(copy.deepcopy(model))
            with torch.no_grad():
                members[-1][1].weight += 0.1 * torch.randn(32, 64)
        export(Ensemble(members, combine).eval(), row.model, dynamo=True)
        row.write(truth, features=asked, gives=gives)

    return make


class Both(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        z = self.model(x)
        return z, torch.softmax(z, 1)


def two_outputs(row):
    model, asked, truth = train(mlp(10), 10)
    torch.onnx.export(Both(model).eval(), (torch.zeros(2, 1, 8, 8),), str(row.model), input_names=["x"], output_names=["z", "p"],
                      dynamic_shapes=({0: torch.export.Dim("batch")},), external_data=False, dynamo=True, verbose=False)
    row.write(truth, features=asked, gives="probabilities", output="p")
