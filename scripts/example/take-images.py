"""Write the example's data: the first 12,000 training images of Fashion-MNIST and its 10,000 test images, gzip IDX.

    python scripts/example/take-images.py --source /usr/share/datasets/fashion-mnist --out data

The source is Debian's package dataset-fashion-mnist, which has the original files. The test files are copied as they
are; of the training files the first rows are kept, under a header that counts them. The output is always the same bytes.
"""

import argparse
import gzip
import pathlib
import shutil
import struct

ROWS = 12_000


def first_rows(raw: bytes) -> bytes:
    rank = raw[3]
    shape = struct.unpack(f">{rank}I", raw[4 : 4 + 4 * rank])
    row = 1
    for size in shape[1:]:
        row *= size
    header = raw[:4] + struct.pack(f">{rank}I", ROWS, *shape[1:])
    body = raw[4 + 4 * rank : 4 + 4 * rank + ROWS * row]
    assert len(body) == ROWS * row
    return header + body


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--source", type=pathlib.Path, required=True)
    ap.add_argument("--out", type=pathlib.Path, required=True)
    args = ap.parse_args()
    for kind in ("images-idx3", "labels-idx1"):
        kept = first_rows(gzip.decompress((args.source / f"train-{kind}-ubyte.gz").read_bytes()))
        with (args.out / f"train-{kind}-ubyte.gz").open("wb") as file:
            file.write(gzip.compress(kept, 9, mtime=0))
        shutil.copyfile(args.source / f"t10k-{kind}-ubyte.gz", args.out / f"t10k-{kind}-ubyte.gz")


if __name__ == "__main__":
    main()
