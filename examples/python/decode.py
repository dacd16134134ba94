"""Every codec of a soft-target dataset as numpy arrays (src/cache/FORMAT.md): `logits` for f32, f16, q8 and hybrid, which keep all
classes, `buckets` for topk and sampled, which keep the likeliest and what the others weigh together at any temperature, and `draws` for
sampled, the weights by which its classes are targets without bias.

    python decode.py targets 4

Of targets by position, each position of each row is a row of these arrays.
"""

import glob
import json
import sys

import numpy as np
import pyarrow as pa


def read(folder):
    """The table of all shards, and the manifest."""
    with open(f"{folder}/manifest.json") as file:
        manifest = json.load(file)
    shards = sorted(glob.glob(f"{folder}/data/*.arrow"))
    return pa.concat_tables([pa.ipc.open_file(pa.memory_map(shard)).read_all() for shard in shards]), manifest


NUMBERS = ("shift", "scale", "label_logit", "mean", "std", "tail_top")  # one a target, others several


def column(table, manifest, name):
    """[targets, values of a target]; [targets] where a target has one."""
    values = table[name].combine_chunks()
    if pa.types.is_fixed_size_list(values.type):
        values = values.flatten()
    values = values.to_numpy(zero_copy_only=False)
    return values if name in NUMBERS else values.reshape(len(table) * manifest.get("positions", 1), -1)


def take(rows, at, width):
    """Of each row of bytes the numbers of `width` bits, up to 8, at the bits `at`, the lowest of a byte first."""
    rows = np.pad(rows, ((0, 0), (0, 2))).astype(np.int64)
    byte = np.broadcast_to(at >> 3, (len(rows), at.shape[1]))
    pair = np.take_along_axis(rows, byte, 1) | np.take_along_axis(rows, byte + 1, 1) << 8
    return pair >> (at & 7) & ((1 << width) - 1)


def logits(table, manifest):
    """The teacher's raw logits (T = 1), float32 [targets, classes]."""
    codec, classes = manifest["codec"].split(":")[0], manifest["classes"]
    if codec == "f32":
        return column(table, manifest, "logits")
    shift = column(table, manifest, "shift")[:, None]
    if codec == "f16":
        return column(table, manifest, "logits").astype(np.float32) + shift
    if codec == "q8":
        scale = column(table, manifest, "scale")[:, None]
        return shift - scale * (column(table, manifest, "q").astype(np.float32) / 255) ** 2
    if codec == "hybrid":
        bits, edges = column(table, manifest, "bits"), column(table, manifest, "edges").astype(np.float32)
        numbers = take(bits, np.arange(0, 3 * (8 + classes), 3)[None], 3)
        widths, bins = numbers[:, :8], numbers[:, 8:]
        own = np.take_along_axis(widths, bins, 1)
        fine = take(bits, 24 + 3 * classes + np.cumsum(own, 1) - own, own)
        starts = np.pad(edges[:, :-1], ((0, 0), (1, 0)))
        steps = (edges - starts) / (1 << widths).astype(np.float32)
        starts[:, 1:] += steps[:, 1:] / 2  # the middle of a step, but in the first bin
        return shift - (np.take_along_axis(starts, bins, 1) + fine.astype(np.float32) * np.take_along_axis(steps, bins, 1))
    raise ValueError(f"codec {codec} does not keep all classes: see buckets()")


def buckets(table, manifest, T):
    """Of a topk or sampled dataset, at temperature T: the classes kept [targets, k], their log-probabilities [targets, k], and the
    log-probability of all others together [targets]."""
    z = column(table, manifest, "logits").astype(np.float32) / T
    n = manifest["classes"] - z.shape[1]  # classes in the tail
    nodes = 16  # Chebyshev nodes of s = 1/(1 + 0.3 T) over T in [0.5, 20]
    angles = (2 * np.arange(nodes) + 1) * np.pi / (2 * nodes)
    s, low, high = (1 / (1 + 0.3 * t) for t in (T, 20, 0.5))
    x = np.clip(2 * (s - low) / (high - low) - 1, -1, 1)
    m = np.arange(1, nodes)[:, None]
    weights = (1 + 2 * (np.cos(m * np.arccos(x)) * np.cos(m * angles)).sum(0)) / nodes
    top = column(table, manifest, "tail_top")
    h = top + column(table, manifest, "tail").astype(np.float64) @ weights[1:]  # the weights' sum is 1
    tail = np.log(n) + h / T
    total = np.logaddexp.reduce(np.concatenate([z, tail[:, None]], 1), 1)
    return column(table, manifest, "index"), z - total[:, None], tail - total


def label_logits(table, manifest):
    """Of a topk or sampled dataset the teacher's raw logit of each label [targets], NaN where there is none; of targets by position the label is
    the next token (None where the dataset was made without)."""
    if "label_logit" not in table.column_names:
        return None
    return column(table, manifest, "label_logit").astype(np.float32) + column(table, manifest, "shift")


def draws(table, manifest, T=1):
    """Of a sampled dataset: what each class of `buckets` weighs as a target of cross-entropy at temperature T [targets, k], 0 where it was not drawn.
    At T = 1 count / k, which is without bias: loss = -(draws * log_softmax(student).gather(index)).sum(-1)"""
    weights = column(table, manifest, "count") * np.exp(column(table, manifest, "logits").astype(np.float64) * (1 / T - 1))
    return weights / weights.sum(1, keepdims=True)


if __name__ == "__main__":
    table, manifest = read(sys.argv[1])
    T = float(sys.argv[2])
    if manifest["codec"].startswith(("topk", "sampled")):
        index, log_p, log_tail = buckets(table, manifest, T)
        found = {"index": index.tolist(), "log_p": log_p.tolist(), "log_tail": log_tail.tolist()}
        if manifest["codec"].startswith("sampled"):
            found["draws"] = draws(table, manifest, T).tolist()
        of_label = label_logits(table, manifest)
        if of_label is not None:
            found["label_logit"] = [None if np.isnan(z) else float(z) for z in of_label]
    else:
        found = {"logits": logits(table, manifest).tolist()}
    json.dump({"ids": table["id"].to_pylist(), **found}, sys.stdout)
