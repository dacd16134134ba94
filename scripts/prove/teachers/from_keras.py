"""Keras 3 on PyTorch, by its own export."""

import keras
import numpy as np
from case import digits

EXPORTER = "keras"
PACKAGES = ["keras", "torch"]


def dense(row, classes, activation, gives, *, outputs=None, loss="sparse_categorical_crossentropy", told=(), images=False):
    keras.utils.set_random_seed(0)
    (x, y), (asked, truth) = digits(classes)
    if images:
        x, asked = x.reshape(-1, 8, 8, 1), asked.reshape(-1, 8, 8, 1)
    inputs = keras.Input(x.shape[1:])
    hidden = keras.layers.Flatten()(keras.layers.Conv2D(8, 3, activation="relu")(inputs)) if images else keras.layers.Dense(32, activation="relu")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(outputs or classes, activation=activation)(hidden))
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=loss)
    model.fit(x, y, epochs=6, batch_size=64, verbose=0)
    model.export(str(row.model), format="onnx", verbose=False)
    p = np.asarray(model.predict(asked, verbose=0), np.float64)
    library = p if gives == "probabilities" else np.concatenate([1 - p, p], 1) if gives == "sigmoid" else None
    row.write(truth, features=asked, gives=gives, library=library, told=told)


def cases():
    case = lambda *arguments, **named: lambda row: dense(row, *arguments, **named)
    from_logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    binary_from_logits = keras.losses.BinaryCrossentropy(from_logits=True)
    yield "Dense softmax", case(10, "softmax", "probabilities"), True
    yield "Dense from_logits", case(10, None, "logits", loss=from_logits), False
    yield "Dense log_softmax", case(10, "log_softmax", "log-probabilities", loss=from_logits), False
    yield "Dense softmax of two", case(2, "softmax", "probabilities"), False
    yield "Dense sigmoid", case(2, "sigmoid", "sigmoid", outputs=1, loss="binary_crossentropy"), False
    yield "Dense hard_sigmoid", case(2, "hard_sigmoid", "sigmoid", outputs=1, loss="binary_crossentropy"), False
    yield "Dense from_logits of one", case(2, None, "logit", outputs=1, loss=binary_from_logits, told=("--logits-are", "logits")), False
    yield "convolutions softmax", case(10, "softmax", "probabilities", images=True), False
    yield "convolutions sigmoids of ten", case(10, "sigmoid", "nothing", loss="sparse_categorical_crossentropy", images=True), False
