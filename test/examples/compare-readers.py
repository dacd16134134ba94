"""Reads all columns of a folder of soft targets with polars, Hugging Face datasets and DuckDB, and prints as JSON whether each value is the one that
pyarrow reads: python compare-readers.py DIR"""

import glob
import json
import math
import sys

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
from datasets import disable_progress_bars, load_dataset

disable_progress_bars()
folder = sys.argv[1]
shards = sorted(glob.glob(f"{folder}/data/*.arrow"))
expected = pa.concat_tables([pa.ipc.open_file(shard).read_all() for shard in shards]).to_pylist()


def same(a, b):
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def widened(type):
    """DuckDB has no float16: float32 has all its values."""
    if pa.types.is_fixed_size_list(type):
        return pa.list_(widened(type.value_type), type.list_size)
    return pa.float32() if pa.types.is_float16(type) else type


data = ds.dataset(f"{folder}/data", format="arrow")
targets = data.scanner().to_reader().cast(pa.schema([(field.name, widened(field.type)) for field in data.schema]))
names = [field.name for field in data.schema]
found = {
    "polars": pl.scan_ipc(f"{folder}/data/*.arrow").collect().to_dicts(),
    "datasets": load_dataset(folder, split="train").to_list(),
    "duckdb": [dict(zip(names, row)) for row in duckdb.sql("select * from targets").fetchall()],
}
print(json.dumps({"rows": len(expected), **{name: same(expected, rows) for name, rows in found.items()}}))
