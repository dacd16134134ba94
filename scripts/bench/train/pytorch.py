"""One round of PyTorch: `pytorch.py <student> <threads> <steps>` prints milliseconds a step, sorted."""
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


def mlp(*units):
    sizes = [784, *units]
    hidden = [layer for i, o in zip(sizes, sizes[1:]) for layer in (nn.Linear(i, o), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(sizes[-1], 10))


def cnn(norm):
    def stage(i, o):
        bn = [nn.BatchNorm2d(o)] if norm else []
        return [nn.Conv2d(i, o, 3, padding=1, bias=not norm), *bn, nn.ReLU(), nn.MaxPool2d(2)]

    return nn.Sequential(*stage(1, 32), *stage(32, 64), nn.Flatten(), nn.Linear(64 * 7 * 7, 10))


class Block(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
        halved = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))
        self.shortcut = nn.Identity() if stride == 1 else halved

    def forward(self, x):
        inner = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(inner + self.shortcut(x))


def resnet():
    blocks = [Block(16, 16, 1), Block(16, 16, 1), Block(16, 32, 2), Block(32, 32, 1), Block(32, 64, 2), Block(64, 64, 1)]
    stem = [nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


students = {
    "mlp:128": lambda: mlp(128),
    "mlp:800,800": lambda: mlp(800, 800),
    "cnn:32,64": lambda: cnn(norm=False),
    "cnn with batch-norm": lambda: cnn(norm=True),
    "ResNet": resnet,
}

name, threads, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
model = students[name]()
optimizer = torch.optim.Adam(model.parameters(), 1e-3)
pixels = torch.randint(0, 256, (128, 1, 28, 28), dtype=torch.uint8)
teacher = torch.randn(128, 10)
temperature, times = 4.0, []
for _ in range(steps + 3):
    start = time.perf_counter()
    soft = F.softmax(teacher / temperature, -1)
    loss = temperature**2 * F.cross_entropy(model(pixels.float() / 255) / temperature, soft)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    loss.item()
    times.append(1e3 * (time.perf_counter() - start))
print(*sorted(times[3:]), sep="\n")
