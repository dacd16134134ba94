"""Boosted trees: LightGBM and XGBoost by onnxmltools, CatBoost by itself."""

import numpy as np
from case import digits
from onnxmltools.convert.common.data_types import FloatTensorType

EXPORTER = "onnxmltools"
PACKAGES = ["lightgbm", "xgboost-cpu", "catboost", "onnxmltools"]

TYPES = [("x", FloatTensorType([None, 64]))]


def lightgbm(row, classes, labels=None, zipmap=False, **parameters):
    from lightgbm import LGBMClassifier
    from onnxmltools import convert_lightgbm

    (x, y), (asked, truth) = digits(classes)
    if labels:
        y, truth = np.array(labels)[y], np.array(labels)[truth]
    model = LGBMClassifier(n_estimators=10, num_leaves=8, n_jobs=1, verbose=-1, random_state=0, **parameters).fit(x, y)
    row.save(convert_lightgbm(model, initial_types=TYPES, zipmap=zipmap, target_opset=15))
    names = model.classes_.tolist() if labels or zipmap else None
    row.write(truth, features=asked, output=1, classes=names, library=model.predict_proba(asked))


def xgboost(row, classes, **parameters):
    from onnxmltools import convert_xgboost
    from xgboost import XGBClassifier

    (x, y), (asked, truth) = digits(classes)
    model = XGBClassifier(n_estimators=10, max_depth=4, n_jobs=1, random_state=0, **parameters).fit(x, y)
    row.save(convert_xgboost(model, initial_types=TYPES, target_opset=15))
    row.write(truth, features=asked, output=1, library=model.predict_proba(asked))


def xgboost_random_forest(row, classes):
    from onnxmltools import convert_xgboost
    from xgboost import XGBRFClassifier

    (x, y), (asked, truth) = digits(classes)
    model = XGBRFClassifier(n_estimators=10, max_depth=4, n_jobs=1, random_state=0).fit(x, y)
    row.save(convert_xgboost(model, initial_types=TYPES, target_opset=15))
    row.write(truth, features=asked, output=1, library=model.predict_proba(asked))


def catboost(row, classes, labels=None, **parameters):
    from catboost import CatBoostClassifier

    (x, y), (asked, truth) = digits(classes)
    if labels:
        y, truth = np.array(labels)[y], np.array(labels)[truth]
    model = CatBoostClassifier(iterations=20, depth=4, thread_count=1, random_seed=0, verbose=False, allow_writing_files=False, **parameters).fit(x, y)
    model.save_model(str(row.model), format="onnx")
    row.write(truth, features=asked, output=1, classes=np.asarray(model.classes_).tolist(), library=model.predict_proba(asked))


def cases():
    case = lambda make, *arguments, **named: lambda row: make(row, *arguments, **named)
    for classes in (2, 10):
        of = f", {classes} classes"
        yield f"LGBMClassifier{of}", case(lightgbm, classes), classes == 10
        yield f"LGBMClassifier ZipMap{of}", case(lightgbm, classes, zipmap=True), False
        yield f"LGBMClassifier random forest{of}", case(lightgbm, classes, boosting_type="rf", bagging_freq=1, bagging_fraction=0.7), False
        yield f"LGBMClassifier dart{of}", case(lightgbm, classes, boosting_type="dart"), False
        yield f"XGBClassifier{of}", case(xgboost, classes), classes == 2
        yield f"XGBClassifier base_score 0.3{of}", case(xgboost, classes, base_score=0.3), False
        yield f"XGBClassifier dart{of}", case(xgboost, classes, booster="dart"), False
        yield f"XGBRFClassifier{of}", case(xgboost_random_forest, classes), False
        yield f"CatBoostClassifier{of}", case(catboost, classes), False
    yield "LGBMClassifier one against all, 10 classes", case(lightgbm, 10, objective="multiclassova"), False
    yield "LGBMClassifier cross_entropy, 2 classes", case(lightgbm, 2, objective="cross_entropy"), False
    yield "XGBClassifier linear booster, 2 classes", case(xgboost, 2, booster="gblinear"), False
    yield "XGBClassifier logitraw, 2 classes", case(xgboost, 2, objective="binary:logitraw"), False
    yield "XGBClassifier hinge, 2 classes", case(xgboost, 2, objective="binary:hinge"), False
    yield "CatBoostClassifier one against all, 10 classes", case(catboost, 10, loss_function="MultiClassOneVsAll"), False
    yield "CatBoostClassifier cross entropy, 2 classes", case(catboost, 2, loss_function="CrossEntropy"), False
    for title, labels in {"1 to 3": [1, 2, 3], "10, 20, 30": [10, 20, 30], "-1 and 1": [-1, 1], "names": ["zebra", "ape", "mole"]}.items():
        yield f"LGBMClassifier labels {title}", case(lightgbm, len(labels), labels=labels), False
        yield f"CatBoostClassifier labels {title}", case(catboost, len(labels), labels=labels), False
