"""polars: which labels a dataset has, and how often.  python read_polars.py targets"""

import sys

import polars as pl

targets = pl.scan_ipc(f"{sys.argv[1]}/data/*.arrow")
print(targets.collect_schema())
print(targets.group_by("label").agg(pl.len()).sort("label").collect().write_csv(), end="")
