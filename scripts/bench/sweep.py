"""Trains students one after another: `sweep.py <folder> <threads> <epochs> <students>` prints the seconds, without import and loading."""
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

folder, threads, epochs, students = sys.argv[1], *map(int, sys.argv[2:5])
torch.set_num_threads(threads)
read = lambda name, dtype: torch.from_numpy(np.fromfile(f"{folder}/{name}", dtype))
labels = read("labels", np.int32).long()
rows, batch, temperature, alpha = len(labels), 128, 4.0, 0.9
pixels = read("pixels", np.uint8).reshape(rows, -1)
logits = read("logits", np.float32).reshape(rows, -1)

start = time.perf_counter()
for seed in range(1, students + 1):
    torch.manual_seed(seed)
    orders = read(f"orders-{seed}", np.int32).reshape(epochs, rows).long()
    model = nn.Sequential(nn.Linear(pixels.shape[1], 128), nn.ReLU(), nn.Linear(128, logits.shape[1]))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for order in orders:
        total = 0.0
        for some in order.split(batch):
            z, t = model(pixels[some].float() / 255), logits[some]
            p, log_q = F.softmax(t / temperature, -1), F.log_softmax(z / temperature, -1)
            soft = F.kl_div(log_q, p, reduction="batchmean") * temperature**2
            loss = alpha * soft + (1 - alpha) * F.cross_entropy(z, labels[some])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(some)
    print(f"seed {seed}: loss {total / rows:.4f}", file=sys.stderr)
print(time.perf_counter() - start)
