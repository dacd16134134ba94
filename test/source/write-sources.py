"""Writes the same 300 rows in every format that sources are read from, and what they hold as expected.json. Argument: folder."""

import io
import json
import struct
import sys
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq

out = Path(sys.argv[1])
rows, side = 300, 6
rng = np.random.default_rng(1)
pixels = rng.integers(0, 256, (rows, side, side, 3), dtype=np.uint8)
features = rng.standard_normal((rows, 4)).astype(np.float32)
tokens = rng.integers(0, 1000, (rows, 5)).astype(np.int64)
labels = rng.integers(0, 3, rows)
names = ['zebra', 'ant', 'bee "x", y']
texts = [f'row {i}, "quoted"\nand a line' if i % 7 == 0 else f'räw {i}' for i in range(rows)]


def png(image):
    """A PNG of uint8 [H, W, 3], by the specification: no image library needed."""
    height, width, _ = image.shape
    raw = b''.join(b'\0' + row.tobytes() for row in image)
    chunk = lambda kind, data: struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    head = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(b'IDAT', zlib.compress(raw)) + chunk(b'IEND', b'')


images = [png(image) for image in pixels]
table = pa.table({
    'key': [f'k{i}' for i in range(rows)],
    'image': pa.array([{'bytes': b, 'path': f'{i}.png'} for i, b in enumerate(images)]),
    'raw': pa.array(images, pa.binary()),
    'label': pa.array(labels, pa.int64()),
    'name': pa.array([names[l] for l in labels]),
    'a': pa.array(features[:, 0]),
    'b': pa.array(features[:, 1].astype(np.float64)),
    'vector': pa.array(list(features), pa.list_(pa.float32())),
    'fixed': pa.array(list(features), pa.list_(pa.float32(), 4)),
    'ids': pa.array(list(tokens), pa.list_(pa.int64())),
    'text': texts,
})
dictionary = table.set_column(4, 'name', table['name'].dictionary_encode())
for codec in ['none', 'snappy', 'gzip', 'brotli', 'zstd', 'lz4']:
    pq.write_table(table, out / f'{codec}.parquet', row_group_size=70, compression=codec, write_page_index=codec != 'gzip')
pq.write_table(table, out / 'v2.parquet', data_page_version='2.0', row_group_size=128, data_page_size=512, write_page_index=True)
for codec in ['uncompressed', 'lz4', 'zstd']:
    pa.feather.write_feather(dictionary, str(out / f'{codec}.feather'), compression=codec, chunksize=70)
with pa.ipc.new_stream(str(out / 'stream.arrow'), dictionary.schema) as writer:
    writer.write_table(dictionary, max_chunksize=70)
plain = table.select(['key', 'label', 'name', 'a', 'b', 'text'])
pa.csv.write_csv(plain, str(out / 'rows.csv'))
with open(out / 'rows.jsonl', 'w') as f:
    for row in table.drop(['image', 'raw']).to_pylist():
        f.write(json.dumps(row, ensure_ascii=row['label'] == 0) + '\n')

np.save(out / 'pixels.npy', pixels)
np.save(out / 'gray.npy', pixels[..., 0])
np.save(out / 'half.npy', features.astype(np.float16))
np.save(out / 'tokens.npy', tokens)
np.save(out / 'labels.npy', labels)
np.savez(out / 'stored.npz', x=pixels, y=labels, f=features)
np.savez_compressed(out / 'deflated.npz', x=pixels, y=labels, f=features)

for name, style in [('gnu', tarfile.GNU_FORMAT), ('pax', tarfile.PAX_FORMAT)]:
    with tarfile.open(out / f'{name}.tar', 'w', format=style) as tar:
        for i in range(rows):
            folder = 'a' * 120 + '/' if i == 3 else ''  # longer than a ustar name
            for ext, data in [('png', images[i]), ('cls', str(labels[i]).encode()), ('json', json.dumps({'text': texts[i]}).encode())]:
                member = tarfile.TarInfo(f'{folder}{i:05}.{ext}')
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))

try:
    import datasets
    features_ = datasets.Features({'image': datasets.Value('binary'), 'label': datasets.ClassLabel(names=['no', 'maybe', 'yes'])})
    made = datasets.Dataset.from_dict({'image': images, 'label': labels.tolist()}, features=features_)
    made.to_parquet(str(out / 'hf.parquet'))
    made.save_to_disk(str(out / 'hf'))
except ImportError:
    print('datasets is not installed', file=sys.stderr)

json.dump({
    'pixels': pixels.reshape(rows, -1).tolist(), 'features': features.astype(np.float64).tolist(),
    'half': features.astype(np.float16).astype(np.float64).tolist(), 'tokens': tokens.tolist(),
    'labels': labels.tolist(), 'names': [names[l] for l in labels], 'texts': texts,
}, open(out / 'expected.json', 'w'))
