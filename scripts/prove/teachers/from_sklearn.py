"""Every classifier of scikit-learn, of 2 and of 10 classes, by skl2onnx; its options, and labels that are not 0, 1, 2."""

import numpy as np
from case import digits
from skl2onnx import to_onnx
from sklearn import ensemble, linear_model, naive_bayes, neural_network, svm, tree
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.gaussian_process.kernels import RBF
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils import all_estimators

EXPORTER = "skl2onnx"
PACKAGES = ["scikit-learn", "skl2onnx", "onnx", "onnxruntime", "numpy"]

logistic = lambda: linear_model.LogisticRegression(max_iter=300)
# What a class needs beyond its defaults, and smaller than they are where that takes long.
ARGUMENTS = {
    "AdaBoostClassifier": lambda: dict(n_estimators=20),
    "BaggingClassifier": lambda: dict(n_estimators=5),
    "CalibratedClassifierCV": lambda: dict(estimator=svm.LinearSVC(), cv=2),
    "ClassifierChain": lambda: dict(estimator=logistic()),
    "ExtraTreesClassifier": lambda: dict(n_estimators=20),
    "FixedThresholdClassifier": lambda: dict(estimator=logistic()),
    "GaussianProcessClassifier": lambda: dict(kernel=RBF(2.0), optimizer=None),
    "GradientBoostingClassifier": lambda: dict(n_estimators=10),
    "HistGradientBoostingClassifier": lambda: dict(max_iter=10),
    "LogisticRegression": lambda: dict(max_iter=300),
    "LogisticRegressionCV": lambda: dict(cv=2, Cs=3, max_iter=300),
    "MLPClassifier": lambda: dict(hidden_layer_sizes=(16,), max_iter=60),
    "MultiOutputClassifier": lambda: dict(estimator=logistic()),
    "NuSVC": lambda: dict(nu=0.2),
    "OneVsOneClassifier": lambda: dict(estimator=logistic()),
    "OneVsRestClassifier": lambda: dict(estimator=logistic()),
    "OutputCodeClassifier": lambda: dict(estimator=logistic()),
    "QuadraticDiscriminantAnalysis": lambda: dict(reg_param=0.1),
    "RadiusNeighborsClassifier": lambda: dict(radius=6.0),
    "RandomForestClassifier": lambda: dict(n_estimators=20),
    "SelfTrainingClassifier": lambda: dict(estimator=logistic()),
    "StackingClassifier": lambda: dict(estimators=[("tree", tree.DecisionTreeClassifier(max_depth=4)), ("bayes", naive_bayes.GaussianNB())], cv=2),
    "TunedThresholdClassifierCV": lambda: dict(estimator=logistic(), cv=2),
    "VotingClassifier": lambda: dict(estimators=[("lr", logistic()), ("tree", tree.DecisionTreeClassifier(max_depth=4))], voting="soft", flatten_transform=False),
}
# Several labels a row: no distribution over classes.
SEVERAL = {"ClassifierChain", "MultiOutputClassifier"}
IN_CI = {("LogisticRegression", 10), ("MLPClassifier", 2), ("RandomForestClassifier", 10)}


def seeded(estimator):
    if "random_state" in estimator.get_params(deep=False):
        estimator.set_params(random_state=0)
    return estimator


def by_name(name, cls, classes):
    def make(row):
        fitted(row, seeded(cls(**ARGUMENTS.get(name, dict)())), classes, several=name in SEVERAL)

    return make


def own_answer(model, x, scores=False):
    """The library's probabilities, else its scores with a column each class; None where it has neither. `scores`: those, whatever it has."""
    try:
        if not scores:
            return model.predict_proba(x), True
    except AttributeError:
        pass
    try:
        scores = model.decision_function(x)
    except AttributeError:
        return None, False
    return (np.stack([0 * scores, scores], 1) if scores.ndim == 1 else scores), False


def fitted(row, model, classes, *, labels=None, options=None, several=False, zipmap=False, output=1, gives=None, steps=False):
    """`labels` maps classes to what the data calls them."""
    (x, y), (asked, truth) = digits(classes)
    if labels is not None:
        y, truth = np.array(labels)[y], np.array(labels)[truth]
    if type(model).__name__ == "CategoricalNB":
        x, asked = np.round(x * 16).astype(np.int64) // 9, np.round(asked * 16).astype(np.int64) // 9
    if several:
        model.fit(x, np.stack([y, y % 2], 1) if classes > 2 else np.stack([y, 1 - y], 1))
        onnx = to_onnx(model, x[:1], options={id(model): {"zipmap": False}})
        row.save(onnx)
        return row.write(truth, features=asked, gives="nothing", output=output)
    model.fit(x, y)
    library, probable = own_answer(model, asked.astype(np.float64), gives == "scores")
    asked_options = {id(model): {"zipmap": zipmap, **(options or {})}}
    try:
        onnx = to_onnx(model, x[:1], options=asked_options)
    except (NameError, ValueError) as error:
        if "zipmap" not in str(error):
            raise
        onnx = to_onnx(model, x[:1])
    row.save(onnx)
    labels_are = None if labels is None else [c.item() if hasattr(c, "item") else c for c in model.classes_]
    row.write(
        truth,
        features=asked,
        gives=gives or ("probabilities" if probable else "scores"),
        output=output,
        classes=labels_are if labels_are else (list(range(classes)) if zipmap is True else None),
        library=library,
        steps=steps,
    )


def cases():
    for name, cls in all_estimators("classifier"):
        for classes in (2, 10):
            yield f"{name}, {classes} classes", by_name(name, cls, classes), (name, classes) in IN_CI
    case = lambda make, *arguments, **named: lambda row: fitted(row, make(), *arguments, **named)
    forest = lambda: ensemble.RandomForestClassifier(20, random_state=0)
    for classes in (2, 10):
        of = f", {classes} classes"
        yield f"SGDClassifier log_loss{of}", case(lambda: linear_model.SGDClassifier(loss="log_loss", random_state=0), classes), False
        yield f"SGDClassifier modified_huber{of}", case(lambda: linear_model.SGDClassifier(loss="modified_huber", random_state=0), classes), False
        yield f"SVC linear{of}", case(lambda: svm.SVC(kernel="linear"), classes), False
        yield f"SVC one against one{of}", case(lambda: svm.SVC(decision_function_shape="ovo"), classes), False
        yield f"SVC with probabilities{of}", case(lambda: svm.SVC(probability=True, random_state=0), classes), False
        yield f"NuSVC with probabilities{of}", case(lambda: svm.NuSVC(nu=0.2, probability=True, random_state=0), classes), False
        yield f"VotingClassifier hard{of}", case(hard_voting, classes, gives="probabilities"), False
        yield f"CalibratedClassifierCV isotonic{of}", case(lambda: CalibratedClassifierCV(forest(), method="isotonic", cv=2), classes, steps=True), False
        yield f"CalibratedClassifierCV temperature{of}", case(lambda: CalibratedClassifierCV(logistic(), method="temperature", cv=2), classes), False
        yield f"KNeighborsClassifier by distance{of}", case(lambda: knn_by_distance(), classes), False
        yield f"MLPClassifier scaled{of}", case(lambda: make_pipeline(StandardScaler(), neural_network.MLPClassifier((16,), max_iter=60, random_state=0)), classes), False
        yield f"LogisticRegression behind a ColumnTransformer{of}", case(by_columns, classes), False
        yield f"LogisticRegression raw_scores{of}", case(logistic, classes, options={"raw_scores": True}, gives="scores"), False
        yield f"MLPClassifier raw_scores{of}", case(lambda: neural_network.MLPClassifier((16,), max_iter=60, random_state=0), classes, options={"raw_scores": True}, gives="probabilities"), False
        yield f"GradientBoostingClassifier raw_scores{of}", case(lambda: ensemble.GradientBoostingClassifier(n_estimators=10, random_state=0), classes, options={"raw_scores": True}, gives="scores"), False
        yield f"LinearSVC in OneVsRest{of}", case(lambda: one_vs_rest(svm.LinearSVC()), classes), False
        yield f"RandomForestClassifier decision_path{of}", case(forest, classes, options={"decision_path": True}), False
        yield f"RandomForestClassifier ZipMap{of}", case(forest, classes, zipmap=True), False
        columns = [f"i{k}" for k in range(classes)]
        yield f"RandomForestClassifier a column each class{of}", case(forest, classes, zipmap="columns", output=columns), False
    for title, labels in {"1 to 3": [1, 2, 3], "10, 20, 30": [10, 20, 30], "-1 and 1": [-1, 1], "names": ["zebra", "ape", "mole"], "1 and 0 by name": ["yes", "no"]}.items():
        yield f"LogisticRegression labels {title}", case(logistic, len(labels), labels=labels), title == "1 to 3"
        yield f"RandomForestClassifier ZipMap labels {title}", case(forest, len(labels), labels=labels, zipmap=True), False
        yield f"SVC labels {title}", case(svm.SVC, len(labels), labels=labels), title == "-1 and 1"


def hard_voting():
    members = [("lr", logistic()), ("tree", tree.DecisionTreeClassifier(max_depth=4)), ("bayes", naive_bayes.GaussianNB())]
    return ensemble.VotingClassifier(members, voting="hard", flatten_transform=False)


def knn_by_distance():
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(weights="distance")


def one_vs_rest(model):
    from sklearn.multiclass import OneVsRestClassifier

    return OneVsRestClassifier(model)


def by_columns():
    halves = ColumnTransformer([("first", StandardScaler(), list(range(32))), ("second", MinMaxScaler(), list(range(32, 64)))])
    return make_pipeline(halves, logistic())
