"""One teacher of the proof, as its exporter wrote it, with rows, labels and what Python's ONNX Runtime says of each row.

A case is a folder: teacher.onnx, the rows as a user has them (features.npy, an IDX file, or rows.jsonl), case.json, and float64, row-major:
expected.f64, and library.f64 where the library has an answer of its own.
"""

import json
import struct
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from sklearn.datasets import load_digits

onnxruntime.set_default_logger_severity(4)

# Rows of the digits that teachers are fitted to; the next ones are what they are asked about.
FITTED, ASKED = 600, 240


def digits(classes=10):
    """Features float32 [n, 64] in 0..1 and labels int64 [n] of scikit-learn's digits, shuffled: (fitted, asked) pairs.

    Two classes are the digits below 5 and the others, three are the digits by threes: hard enough that probabilities are soft.
    """
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))[: FITTED + ASKED]
    x = (data.data[order] / 16).astype(np.float32)
    y = data.target[order].astype(np.int64)
    if classes == 2:
        y = (y >= 5).astype(np.int64)
    if classes == 3:
        y = np.minimum(y // 3, 2)
    return (x[:FITTED], y[:FITTED]), (x[FITTED:], y[FITTED:])


def softmax(z):
    """float64, over the last axis."""
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


# What an output means, by `gives`: float64 [..., C] of probabilities. Of scores their differences are compared. What gives "nothing" must be
# refused: several labels a row, chance, a part of a distribution.
MEANINGS = {
    "probabilities": lambda v: v,
    "sigmoid": lambda v: np.concatenate([1 - two(v), two(v)], -1),
    "logits": softmax,
    "logit": lambda v: softmax(np.concatenate([0 * two(v), two(v)], -1)),
    "log-probabilities": np.exp,
    "scores": lambda v: np.concatenate([0 * v, v], -1) if v.shape[-1] == 1 else v,
}


def two(v):
    """[N] or [N, 1] as [N, 1]."""
    return v.reshape(len(v), 1)


class Row:
    """Writes one case into `folder`; `write_case` of the exporters' files is given one."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.model = self.folder / "teacher.onnx"

    def save(self, model):
        if isinstance(model, onnx.ModelProto):
            onnx.save(model, self.model)
        else:
            self.model.write_bytes(model)

    def write(
        self,
        truth,
        *,
        features=None,
        pictures=None,
        tokens=None,
        gives="probabilities",
        output=0,
        classes=None,
        library=None,
        tolerance=1e-4,
        steps=False,
        args=(),
        told=(),
    ):
        """`truth`: labels as the user's data has them, [N]. `classes`: what the library calls each column, where it is not 0..C-1.

        `output`: index or name of the output, or names of C outputs [N]. `library`: the library's own probabilities [N, C], or its scores.
        `steps`: the teacher jumps where a sum crosses a bound; rows that jump when ONNX Runtime itself adds in another order, as of rows together, are left out.
        `args`: further arguments of decant export; `told`: those that a user adds once decant has refused.
        """
        if gives == "nothing":
            expected = np.zeros((0, 0))
        else:
            session = onnxruntime.InferenceSession(self.model, providers=["CPUExecutionProvider"])
            raw = run(session, output, classes, features=features, pictures=pictures, tokens=tokens)
            expected = MEANINGS[gives](raw.astype(np.float64))
            if steps:
                [feed] = session.get_inputs()
                together = MEANINGS[gives](fetch(session, output, classes, {feed.name: features}).astype(np.float64))
                expected[np.abs(together - expected).max(-1) > tolerance] = np.nan
        names = list(range(expected.shape[-1])) if classes is None else np.asarray(classes).tolist()
        truth = np.asarray(truth)
        expected.tofile(self.folder / "expected.f64")
        if library is not None:
            np.asarray(library, np.float64).tofile(self.folder / "library.f64")
        source = self.write_rows(truth, features, pictures, tokens)
        facts = {
            "gives": gives,
            "shape": expected.shape,
            "names": names,
            "truth": [names.index(label) if label in names else -1 for label in truth.tolist()],
            "agreement": None if gives == "nothing" else agreement(session, output, names, expected, features),
            "tolerance": tolerance,
            "args": [*source, *args],
            "told": list(told),
            "tail": tail(self.model),
        }
        (self.folder / "case.json").write_text(json.dumps(facts))

    def write_rows(self, truth, features, pictures, tokens):
        """As a user has them: arguments of decant export, files relative to the folder."""
        if features is not None and truth.dtype.kind in "iu":
            np.save(self.folder / "features.npy", features)
            np.save(self.folder / "labels.npy", truth)
            return ["features.npy", "--labels", "labels.npy"]
        if pictures is not None:
            write_idx(self.folder / "train-images-idx3-ubyte", pictures)
            write_idx(self.folder / "train-labels-idx1-ubyte", truth.astype(np.uint8))
            return ["train-images-idx3-ubyte"]
        rows = (features.reshape(len(features), -1) if tokens is None else tokens)
        with open(self.folder / "rows.jsonl", "w") as file:
            for row, label in zip(rows, truth.tolist()):
                file.write(json.dumps({"x": [v.item() if hasattr(v, "item") else v for v in row], "label": label}) + "\n")
        if tokens is None:
            return ["rows.jsonl", "--input", "x", "--label", "label"]
        length = max(map(len, tokens))
        (self.folder / "text.json").write_text(json.dumps({"version": 1, "text": {"length": length}}))
        return ["rows.jsonl", "--input", "x", "--label", "label", "--preprocess", "text.json"]


def write_idx(path, values):
    path.write_bytes(struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.astype(np.uint8).tobytes())


def run(session, output, classes, *, features, pictures, tokens):
    """The output's values, float [N, ...]. Rows run alone, texts at their own length without padding, fixed batches filled up."""
    if tokens is not None:
        return ragged([fetch(session, output, classes, text_feeds(session, row)) for row in tokens])
    rows = features if features is not None else pictures[:, None].astype(np.float32) / 255
    [taken] = session.get_inputs()
    dtype = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64, "tensor(int64)": np.int64}
    rows = rows.astype(dtype[taken.type])
    step = taken.shape[0] if isinstance(taken.shape[0], int) else 1
    parts = []
    for at in range(0, len(rows), step):
        part = rows[at : at + step]
        full = np.concatenate([part, np.repeat(part[-1:], step - len(part), 0)])
        parts.append(fetch(session, output, classes, {taken.name: full})[: len(part)])
    return np.concatenate(parts)


def fetch(session, output, classes, feeds):
    names = [o.name for o in session.get_outputs()]
    if isinstance(output, list):
        return np.stack([v.reshape(-1) for v in session.run(output, feeds)], -1)
    [value] = session.run([output if isinstance(output, str) else names[output]], feeds)
    if isinstance(value, list):  # ZipMap: a dictionary a row
        return np.array([[row[c] for c in classes or row] for row in value])
    return value


def agreement(session, output, names, expected, features):
    """Share of rows whose label output, where the file has one, is the class of the greatest probability or score, or of one as great. Labels
    that are no class say nothing: ONNX Runtime has 0 for -1 in trees of two classes."""
    first = session.get_outputs()[0]
    if features is None or output == 0 or first.type not in ("tensor(int64)", "tensor(string)") or len(first.shape) > 1:
        return None
    feed = session.get_inputs()[0]
    rows = features.astype(np.int64 if feed.type == "tensor(int64)" else np.float32)
    [labels] = session.run([first.name], {feed.name: rows})
    classes = [str(name) for name in names]
    said = [row[classes.index(str(label))] >= row.max() - 1e-6 for label, row in zip(labels.tolist(), expected) if str(label) in classes and not np.isnan(row).any()]
    return float(np.mean(said)) if said else None


def text_feeds(session, row):
    n = len(row)
    every = {
        "input_ids": np.array([row], np.int64),
        "attention_mask": np.ones((1, n), np.int64),
        "token_type_ids": np.zeros((1, n), np.int64),
        "position_ids": np.arange(n, dtype=np.int64)[None],
    }
    return {i.name: every[i.name] for i in session.get_inputs()}


def ragged(parts):
    """[N, C], or [N, L, C] with NaN behind a text's last token."""
    if parts[0].ndim == 2:
        return np.concatenate(parts)
    length = max(p.shape[1] for p in parts)
    return np.concatenate([np.pad(p.astype(np.float64), ((0, 0), (0, length - p.shape[1]), (0, 0)), constant_values=np.nan) for p in parts])


def tail(path):
    """The graph's last operators, for people."""
    graph = onnx.load(path, load_external_data=False).graph
    return " ".join(node.op_type for node in graph.node[-8:])
