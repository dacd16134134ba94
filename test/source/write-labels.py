"""Writes tables with labels and arrays of all kinds by pandas, pyarrow, polars and webdataset, and what these read back of them as expected.json. Argument: folder."""

import io
import json
import sys
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather as feather
import pyarrow.parquet as pq
import webdataset as wds

out = Path(sys.argv[1])
rows = 300
rng = np.random.default_rng(3)
x = np.arange(rows, dtype=np.float32)
labels, arrays = {}, {}


def numbers(series):
    """Class numbers as they are read back; -1 where there is none."""
    return [-1 if v is None or v != v else int(v) for v in series.to_list()]


# Integers of 12 classes with gaps, which pandas holds as floats.
holes = pd.Series(np.where(rng.random(rows) < 0.1, np.nan, rng.integers(0, 12, rows)))
frame = pd.DataFrame({'x': x, 'y': holes})
frame.to_csv(out / 'numbers.csv', index=False)
frame.to_parquet(out / 'numbers.parquet')
frame.to_feather(out / 'numbers.feather')
frame.to_json(out / 'numbers.jsonl', orient='records', lines=True)
frame.astype({'y': 'Int64'}).to_parquet(out / 'nullable.parquet')
frame.assign(y=holes.map(lambda v: '' if v != v else f'{v:.1f}')).astype({'y': 'category'}).to_csv(out / 'text.csv', index=False)
labels['numbers.csv'] = numbers(pd.read_csv(out / 'numbers.csv').y)
labels['text.csv'] = numbers(pd.read_csv(out / 'text.csv').y)
labels['numbers.parquet'] = numbers(pd.read_parquet(out / 'numbers.parquet').y)
labels['numbers.feather'] = numbers(pd.read_feather(out / 'numbers.feather').y)
labels['numbers.jsonl'] = numbers(pd.read_json(out / 'numbers.jsonl', lines=True).y)
labels['nullable.parquet'] = numbers(pq.read_table(out / 'nullable.parquet')['y'].to_pandas())
polars = pl.DataFrame({'x': x, 'y': [None if v != v else v for v in holes]})
polars.write_csv(out / 'polars.csv')
polars.write_ndjson(out / 'polars.jsonl')
labels['polars.csv'] = numbers(pl.read_csv(out / 'polars.csv')['y'])
labels['polars.jsonl'] = numbers(pl.read_ndjson(out / 'polars.jsonl')['y'])

# Categories: 'none' is no row's, and their order is neither that of the text nor of appearance.
order = ['low', 'mid', 'high', 'none']
text = [[None, *order[:3]][i] for i in rng.integers(0, 4, rows)]
text[:2] = ['mid', 'high']
frame = pd.DataFrame({
    'x': x,
    'ordered': pd.Categorical(text, categories=order, ordered=True),
    'explicit': pd.Categorical(text, categories=order),
    'automatic': pd.Series(text).astype('category'),
})
files = {
    'pandas.feather': lambda f: frame.to_feather(f),
    'pandas.parquet': lambda f: frame.to_parquet(f),
    'groups.parquet': lambda f: frame.to_parquet(f, row_group_size=70, compression='zstd'),
    'plain.parquet': lambda f: frame.to_parquet(f, compression='none', data_page_version='2.0', write_page_index=True),
}
for name, write in files.items():
    write(out / name)
    back = pd.read_feather(out / name) if name.endswith('feather') else pd.read_parquet(out / name)
    for column in ['ordered', 'explicit', 'automatic']:
        labels[f'{name}:{column}'] = back[column].cat.codes.tolist()
        labels[f'{name}:{column}:names'] = back[column].cat.categories.to_list()
with pa.ipc.new_stream(str(out / 'pandas.arrows'), pa.Schema.from_pandas(frame)) as writer:
    writer.write_table(pa.Table.from_pandas(frame), max_chunksize=70)
back = pa.ipc.open_stream(str(out / 'pandas.arrows')).read_pandas()
for column in ['ordered', 'explicit', 'automatic']:
    labels[f'pandas.arrows:{column}'] = back[column].cat.codes.tolist()
    labels[f'pandas.arrows:{column}:names'] = back[column].cat.categories.to_list()
# ordered, but the order is not in the file
frame.to_parquet(out / 'lost.parquet', use_dictionary=False)

frame = pl.DataFrame({'x': x, 'enum': pl.Series(text, dtype=pl.Enum(order)), 'categorical': pl.Series(text, dtype=pl.Categorical)})
frame.write_ipc(out / 'polars.arrow')
frame.write_ipc(out / 'zstd.arrow', compression='zstd', compat_level=pl.CompatLevel.oldest())
frame.write_parquet(out / 'polars.parquet', row_group_size=70)
frame.lazy().sink_parquet(out / 'sunk.parquet')
for name in ['polars.arrow', 'zstd.arrow', 'polars.parquet', 'sunk.parquet']:
    back = pl.read_ipc(out / name) if name.endswith('arrow') else pl.read_parquet(out / name)
    labels[f'{name}:enum'] = [-1 if v is None else v for v in back['enum'].to_physical().to_list()]
    labels[f'{name}:enum:names'] = back['enum'].dtype.categories.to_list()
    sort = sorted(set(v for v in back['categorical'].to_list() if v is not None))
    labels[f'{name}:categorical'] = [-1 if v is None else sort.index(v) for v in back['categorical'].to_list()]
    labels[f'{name}:categorical:names'] = sort

# A dictionary that is only an encoding, in the order of appearance.
dictionary = pa.table({'x': x, 'name': pa.array(text).dictionary_encode()})
feather.write_feather(dictionary, str(out / 'encoded.feather'))
pq.write_table(dictionary, out / 'encoded.parquet')
sort = sorted(set(text) - {None})
for name in ['encoded.feather', 'encoded.parquet']:
    labels[f'{name}:name'] = [-1 if v is None else sort.index(v) for v in text]
    labels[f'{name}:name:names'] = sort

# Arrays.
cube = rng.standard_normal((rows, 3, 2, 2)).astype(np.float32)
pixels = rng.integers(0, 256, (rows, 4, 2, 3), dtype=np.uint8)
nested = lambda a: pa.array(a.reshape(-1)) if a.ndim == 1 else pa.FixedSizeListArray.from_arrays(nested(a.reshape(-1, *a.shape[2:])), a.shape[1])
tensor = pa.FixedShapeTensorArray.from_numpy_ndarray
table = pa.table({
    'tensor': tensor(cube), 'half': tensor(cube.astype(np.float16)), 'nested': nested(cube),
    'picture': tensor(pixels), 'nested_picture': nested(pixels), 'long': tensor(pixels.astype(np.int64)),
    'large': pa.array(list(cube.reshape(rows, -1)), pa.large_list(pa.float32())),
    'view': pa.array(text, pa.string_view()), 'large_text': pa.array(text, pa.large_string()),
})
feather.write_feather(table, str(out / 'arrays.feather'), chunksize=70)
pq.write_table(table, out / 'arrays.parquet', row_group_size=70)
back = pq.read_table(out / 'arrays.parquet')
for column in ['tensor', 'half', 'picture', 'long']:
    values = back[column].combine_chunks().to_numpy_ndarray()
    arrays[column] = {'shape': list(values.shape[1:]), 'values': values.reshape(rows, -1).astype(float).tolist()}
for column, shape in [('nested', cube.shape), ('nested_picture', pixels.shape), ('large', (rows, 12))]:
    values = np.array(back[column].to_pylist())
    assert values.shape == shape
    arrays[column] = {'shape': list(shape[1:]), 'values': values.reshape(rows, -1).astype(float).tolist()}

refused = {
    'transposed': tensor(np.ascontiguousarray(cube.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)),
    'runs': pc.run_end_encode(pa.array(np.arange(rows) // 10)),
    'views': pa.array(list(cube.reshape(rows, -1)), pa.list_view(pa.float32())),
}
for name, column in refused.items():
    table = pa.table({'x': column})
    with pa.ipc.new_file(str(out / f'{name}.arrow'), table.schema) as writer:
        writer.write_table(table)
pq.write_table(pa.table({'x': refused['views']}), out / 'views.parquet')

# WebDataset, by its own writer and by tarfile with GNU and POSIX headers.
with wds.TarWriter(str(out / 'wds.tar')) as sink:
    for i in range(20):
        sink.write({'__key__': f'{i:06}', 'x.npy': cube[i], 'cls': i % 12, 'json': {'name': order[i % 3]}, 'txt': text[i] or ''})
back = list(wds.WebDataset(str(out / 'wds.tar'), shardshuffle=False).decode())
labels['wds.tar'] = [sample['cls'] for sample in back]
arrays['wds.tar'] = {'shape': [3, 2, 2], 'values': np.stack([sample['x.npy'] for sample in back]).reshape(20, -1).astype(float).tolist()}
for name, style in [('gnu', tarfile.GNU_FORMAT), ('pax', tarfile.PAX_FORMAT), ('ustar', tarfile.USTAR_FORMAT)]:
    with tarfile.open(out / f'{name}.tar', 'w', format=style) as tar:
        for i in range(6):
            for extension, data in [('TXT', str(i).encode()), ('cls', order[i % 3].encode())]:
                member = tarfile.TarInfo(f'{i}.{extension}')
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))

json.dump({'labels': labels, 'arrays': arrays}, open(out / 'expected.json', 'w'))
