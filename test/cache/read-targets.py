"""Reads a folder of soft targets without decant, three ways, and prints what it found as JSON: python read-targets.py DIR"""

import glob
import json
import os
import sys
import tempfile

folder = sys.argv[1]
home = tempfile.TemporaryDirectory()  # gone when the script ends
os.environ["HF_HOME"] = home.name
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"

import pyarrow as pa
from datasets import disable_progress_bars, load_dataset

disable_progress_bars()
files = sorted(glob.glob(os.path.join(folder, "data", "*.arrow")))


def values(rows):
    """Raw logits as float32 hexadecimal: equal means equal bits."""
    raw = []
    for row in rows:
        z = pa.array(row["logits"], pa.float32()).to_numpy()
        if "shift" in row:
            z = z + pa.array([row["shift"]], pa.float32()).to_numpy()
        raw.append(z.astype("<f4").tobytes().hex())
    return {"ids": [row["id"] for row in rows], "labels": [row["label"] for row in rows], "logits": raw}


def from_file(path):
    table = pa.ipc.open_file(path).read_all()
    table.validate(full=True)
    return table.to_pylist()


def from_stream(path):
    """The stream inside the file, behind its eight bytes of magic."""
    with open(path, "rb") as file:
        file.seek(8)
        return pa.ipc.open_stream(file).read_all().to_pylist()


loaded = load_dataset("arrow", data_files=files, split="train")
card = load_dataset(folder, split="train")  # by the card's `configs`, as from the hub
print(
    json.dumps(
        {
            "schema": str(pa.ipc.open_file(files[0]).schema.remove_metadata()),
            "file": values([row for path in files for row in from_file(path)]),
            "stream": values([row for path in files for row in from_stream(path)]),
            "datasets": values(loaded.to_list()),
            "card": values(card.to_list()),
        }
    )
)
