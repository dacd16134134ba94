"""Writes classifiers with heads as real exporters write them, rows of numbers for them, and what the libraries themselves say of each row.

usage: export-heads.py <folder>. There: rows.npy float32 [N, 12], <case>.onnx, and cases.json: for each case its file, `probabilities` [N][C]
(float64, of scikit-learn's predict_proba or PyTorch in float64; of a quantized model what ONNX Runtime's own run of it gives, of one column
1 - p and p), and how far apart they may be.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from skl2onnx import to_onnx
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

warnings.filterwarnings("ignore")
folder = Path(sys.argv[1])
generator = np.random.default_rng(0)
rows = generator.normal(size=(300, 12)).astype(np.float32)
np.save(folder / "rows.npy", rows)
cases = []


def case(name, probabilities, kind, tolerance=1e-5):
    file = f"{name}.onnx"
    cases.append({"name": name, "file": file, "kind": kind, "tolerance": tolerance, "probabilities": np.asarray(probabilities, float).tolist()})
    return folder / file


def labels(classes):
    scores = rows @ generator.normal(size=(12, classes)) + 2 * generator.normal(size=(300, classes))
    return scores.argmax(1)


for classes in 2, 5:
    target = labels(classes)
    of_two = "sigmoid removed" if classes == 2 else None
    models = {
        "logistic regression": (LogisticRegression(), of_two or "softmax removed"),
        "StandardScaler and MLPClassifier": (make_pipeline(StandardScaler(), MLPClassifier(max_iter=60)), of_two or "softmax removed"),
        "SGDClassifier": (SGDClassifier(loss="log_loss"), of_two or "log of probabilities"),
        "one against the rest": (OneVsRestClassifier(LogisticRegression()), of_two or "log of probabilities"),
        "calibrated": (CalibratedClassifierCV(LinearSVC()), "log of probabilities"),
        "GaussianNB": (GaussianNB(), "softmax removed"),
        "a bagging of one": (BaggingClassifier(LogisticRegression(), n_estimators=1), of_two or "softmax removed"),
    }
    for name, (model, kind) in models.items():
        model.set_params(**{key: 0 for key in model.get_params() if key.endswith("random_state")})
        model.fit(rows, target)
        path = case(f"{name}, {classes} classes", model.predict_proba(rows), kind)
        path.write_bytes(to_onnx(model, rows[:1]).SerializeToString())

torch.manual_seed(0)
sigmoid = torch.sigmoid
heads = {
    "torch.cat([1 - p, p], 1)": (1, lambda z: torch.cat([1 - sigmoid(z), sigmoid(z)], 1), "sigmoid removed"),
    "one sigmoid": (1, sigmoid, "sigmoid removed"),
    "softmax": (5, lambda z: z.softmax(-1), "softmax removed"),
    "softmax in float16": (5, lambda z: z.half().softmax(-1).float(), "softmax removed"),
    "a mean of one softmax": (5, lambda z: torch.stack([z.softmax(-1)]).mean(0), "softmax removed"),
    "a mean of two softmaxes": (5, lambda z: (z.softmax(-1) + (z / 2).softmax(-1)) / 2, "log of probabilities"),
    "rounded": (5, lambda z: torch.round(z.softmax(-1) * 1000) / 1000, "softmax removed"),
}


class Network(torch.nn.Module):
    def __init__(self, width, head):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Linear(12, 32), torch.nn.ReLU(), torch.nn.Linear(32, width))
        self.head = head

    def forward(self, x):
        return self.head(3 * self.body(x))


def both(p):
    return p if p.shape[1] > 1 else np.concatenate([1 - p, p], 1)


for name, (width, head, kind) in heads.items():
    model = Network(width, head).eval()
    with torch.no_grad():
        p = both(model.double()(torch.from_numpy(rows).double()).numpy())
    # float16 keeps 11 bits of a probability, and of a logit; three digits are three digits
    path = case(name, p, kind, 3e-3 if "float16" in name else 6e-4 if name == "rounded" else 1e-5)
    dynamic = ({0: torch.export.Dim("batch")},)
    torch.onnx.export(model.float(), (torch.zeros(2, 12),), path, input_names=["x"], output_names=["y"], dynamic_shapes=dynamic, external_data=False, verbose=False)

try:
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
except ImportError:
    heads = {}


class Batches(CalibrationDataReader):
    def __init__(self):
        self.left = [{"x": rows[i : i + 50]} for i in range(0, 300, 50)]

    def get_next(self):
        return self.left.pop() if self.left else None


for name in [name for name in ("torch.cat([1 - p, p], 1)", "one sigmoid", "softmax") if name in heads]:
    for form in QuantFormat.QDQ, QuantFormat.QOperator:
        path = folder / f"{name}, {form.name}.onnx"
        quantize_static(folder / f"{name}.onnx", path, Batches(), quant_format=form)
        p = onnxruntime.InferenceSession(path).run(None, {"x": rows})[0]
        case(f"{name}, {form.name}", both(p), heads[name][2], 2e-2)

(folder / "cases.json").write_text(json.dumps(cases))
