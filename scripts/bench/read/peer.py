"""The peer of scripts/bench/read: pyarrow reads the same shards into the same float32 logits. One line of a request, one of an answer.

Request: {"files": [...], "codec": "f32" | "f16", "map": bool}; answer: {"seconds": s, "rows": n}.
"""

import json
import sys
import time

import numpy as np
import pyarrow as pa

for line in sys.stdin:
    request = json.loads(line)
    rows = 0
    started = time.perf_counter()
    for path in request["files"]:
        source = pa.memory_map(path) if request["map"] else pa.OSFile(path)
        reader = pa.ipc.open_file(source)
        for i in range(reader.num_record_batches):
            batch = reader.get_batch(i)
            logits = batch.column("logits").flatten().to_numpy(zero_copy_only=True)
            if request["codec"] == "f16":
                shift = batch.column("shift").to_numpy(zero_copy_only=True)
                logits = logits.reshape(batch.num_rows, -1).astype(np.float32)
                logits += shift[:, None]
            elif request["map"]:
                logits = logits.copy()  # mapped pages are not yet read
            rows += batch.num_rows
    print(json.dumps({"seconds": time.perf_counter() - started, "rows": rows}), flush=True)
