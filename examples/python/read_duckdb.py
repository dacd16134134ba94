"""DuckDB: which labels a dataset has, and how often, through pyarrow.  python read_duckdb.py targets"""

import sys

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds


def widened(type):
    """DuckDB has no float16: float32 has all its values."""
    if pa.types.is_fixed_size_list(type):
        return pa.list_(widened(type.value_type), type.list_size)
    return pa.float32() if pa.types.is_float16(type) else type


shards = ds.dataset(f"{sys.argv[1]}/data", format="arrow")
schema = pa.schema([(field.name, widened(field.type)) for field in shards.schema])
targets = shards.scanner().to_reader().cast(schema)
duckdb.sql("create table soft_targets as select * from targets")
print(duckdb.sql("select * from soft_targets limit 3"))
for label, rows in duckdb.sql("select label, count(*) from soft_targets group by label order by label").fetchall():
    print(f"{label},{rows}")
