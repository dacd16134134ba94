"""Trains a PyTorch student from a soft-target dataset that holds its inputs (codec f16 or f32), with pyarrow alone.

    decant export images --teacher teacher.onnx --store-inputs --out targets
    python train.py targets 4
"""

import glob
import sys

import pyarrow as pa
import torch
import torch.nn.functional as F

folder, T = sys.argv[1], float(sys.argv[2])
shards = sorted(glob.glob(f"{folder}/data/*.arrow"))
table = pa.concat_tables([pa.ipc.open_file(pa.memory_map(shard)).read_all() for shard in shards]).combine_chunks()


def column(name):  # [rows, values of a row]
    values = table[name].chunk(0)
    flat = values.flatten() if pa.types.is_fixed_size_list(values.type) else values
    return torch.tensor(flat.to_numpy()).reshape(len(table), -1)


x = column("input") / 255  # uint8 pixels
z = column("logits").float() + (column("shift") if "shift" in table.column_names else 0)  # the teacher's raw logits
student = torch.nn.Sequential(torch.nn.Linear(x.shape[1], 128), torch.nn.ReLU(), torch.nn.Linear(128, z.shape[1]))
optimizer = torch.optim.Adam(student.parameters())
for epoch in range(10):
    total = 0.0
    for rows in torch.randperm(len(x)).split(128):
        soft_targets, found = F.log_softmax(z[rows] / T, -1), F.log_softmax(student(x[rows]) / T, -1)
        loss = T * T * F.kl_div(found, soft_targets, reduction="batchmean", log_target=True)  # Hinton et al. 2015
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(rows)
    print(f"epoch {epoch + 1}: loss {total / len(x):.4f}")
agreement = (student(x).argmax(-1) == z.argmax(-1)).float().mean().item()
print(f"agrees with the teacher on {agreement:.1%} of the rows")
