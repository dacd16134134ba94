"""Classifiers of scikit-learn, LightGBM, XGBoost and CatBoost as ONNX files, with rows that they were not fitted to.

Writes <name>.onnx and <name>.csv (columns x0 to x5, label) for each, and cases.json: the library's own classes_, and how often its predict is right.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import make_classification
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

warnings.filterwarnings("ignore")
FEATURES = 6
out = Path(sys.argv[1])


def rows_of(labels):
    """Features and labels to fit to, and to try."""
    x, y = make_classification(
        1200, FEATURES, n_informative=5, n_redundant=0, n_classes=len(labels), n_clusters_per_class=1, random_state=1
    )
    x, y = x.astype(np.float32), np.array(labels)[y]
    return x[:400], y[:400], x[400:], y[400:]


def of_sklearn(model, path):
    path.write_bytes(to_onnx(model, np.zeros((1, FEATURES), np.float32)).SerializeToString())


def of_onnxmltools(model, path):
    import onnxmltools
    from onnxmltools.convert.common.data_types import FloatTensorType

    kind = "lightgbm" if "LGBM" in type(model).__name__ else "xgboost"
    convert = getattr(onnxmltools, f"convert_{kind}")
    path.write_bytes(convert(model, initial_types=[("x", FloatTensorType([None, FEATURES]))]).SerializeToString())


def of_catboost(model, path):
    model.save_model(str(path), format="onnx")


def boosted(library):
    """A model of a library, and what writes it; none where it is not installed."""
    try:
        if library == "catboost":
            from catboost import CatBoostClassifier

            return CatBoostClassifier(iterations=20, verbose=False, allow_writing_files=False), of_catboost
        import onnxmltools  # noqa: F401

        if library == "lightgbm":
            from lightgbm import LGBMClassifier

            return LGBMClassifier(n_estimators=20, verbose=-1), of_onnxmltools
        from xgboost import XGBClassifier

        return XGBClassifier(n_estimators=20), of_onnxmltools
    except ImportError:
        return None


sklearn = {
    "logistic": lambda: LogisticRegression(),
    "forest": lambda: RandomForestClassifier(20, random_state=0),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=20, random_state=0),
    "bayes": lambda: GaussianNB(),
    "neighbours": lambda: KNeighborsClassifier(),
    "network": lambda: MLPClassifier(random_state=0, max_iter=50),
    "svc": lambda: SVC(),
}
labels_of = {
    "123": [1, 2, 3],
    "-11": [-1, 1],
    "102030": [10, 20, 30],
    "texts": ["iris", "rosa", "viola"],
    "two": ["no", "yes"],
    "digits": ["1", "10", "2"],
    "01": [0, 1],
    "012": [0, 1, 2],
    "bool": [False, True],
    "floats": [1.0, 2.0, 3.0],
}
wanted = [
    *[(name, labels) for name in sklearn for labels in ("-11", "texts")],
    *[("logistic", labels) for labels in ("123", "102030", "two", "digits", "bool", "floats")],
    *[("svc", labels) for labels in ("123", "two")],
    *[("lightgbm", labels) for labels in ("-11", "102030", "texts")],
    *[("xgboost", labels) for labels in ("01", "012")],
    *[("catboost", labels) for labels in ("-11", "102030", "texts", "two")],
]

cases = []
for name, labels in wanted:
    made = (sklearn[name](), of_sklearn) if name in sklearn else boosted(name)
    if made is None:
        print(f"SKIPPED: {name} is not installed", file=sys.stderr)
        continue
    model, write = made
    x, y, tried, true = rows_of(labels_of[labels])
    model.fit(x, y)
    path = out / f"{name}-{labels}.onnx"
    write(model, path)
    with open(path.with_suffix(".csv"), "w") as file:
        print(",".join([*(f"x{i}" for i in range(FEATURES)), "label"]), file=file)
        for row, label in zip(tried, true):
            print(",".join([*(repr(float(v)) for v in row), str(label)]), file=file)
    right = np.asarray(model.predict(tried)).reshape(-1).astype(str) == true.astype(str)
    classes = [c.item() if hasattr(c, "item") else c for c in model.classes_]
    cases.append({"name": path.stem, "classes": classes, "accuracy": right.mean()})
json.dump(cases, open(out / "cases.json", "w"))
