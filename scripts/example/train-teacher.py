"""Train the example's teacher on all 60,000 Fashion-MNIST training images and export it with torch.onnx.

    python scripts/example/train-teacher.py --source /usr/share/datasets/fashion-mnist --out data/teacher.onnx

Needs torch==2.13.0, onnx and onnxscript. About 25 minutes on 2 cores; the accuracy is printed and written into the
model's metadata. A small pre-activation-free ResNet, SGD with Nesterov momentum and one cosine cycle; crop, flip and
erasing as augmentation, no label smoothing (it flattens exactly what distillation passes on: Müller et al. 2019).
"""

import argparse
import gzip
import pathlib
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

MEAN, STD = 0.2860, 0.3530


def idx(path: pathlib.Path) -> np.ndarray:
    raw = gzip.decompress(path.read_bytes())
    rank = raw[3]
    shape = np.frombuffer(raw, ">u4", rank, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape).copy()


class Block(nn.Module):
    def __init__(self, cin: int, cout: int, stride: int):
        super().__init__()
        self.a = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.b = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.na, self.nb = nn.BatchNorm2d(cout), nn.BatchNorm2d(cout)
        self.skip = (
            nn.Identity()
            if stride == 1 and cin == cout
            else nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))
        )

    def forward(self, x):
        h = F.relu(self.na(self.a(x)))
        return F.relu(self.nb(self.b(h)) + self.skip(x))


class Teacher(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        self.stages = nn.Sequential(Block(32, 64, 2), Block(64, 64, 1), Block(64, 128, 2), Block(128, 128, 1), Block(128, 192, 2))
        self.head = nn.Linear(192, 10)

    def forward(self, image):
        return self.head(self.stages(self.stem(image)).mean((2, 3)))


def augment(x: torch.Tensor, g: torch.Generator) -> torch.Tensor:
    """x: [B, 1, 28, 28] normalised. Per sample: shift by up to 2, mirror, erase an 8x8 square."""
    n = len(x)
    x = F.pad(x, (2, 2, 2, 2), value=-MEAN / STD)
    dy, dx = (torch.randint(0, 5, (n, 1, 1), generator=g) for _ in range(2))
    rows, cols = torch.arange(28).view(1, 28, 1) + dy, torch.arange(28).view(1, 1, 28) + dx
    flip = torch.rand(n, 1, 1, generator=g) < 0.5
    cols = torch.where(flip, dx + dx + 27 - cols, cols)
    x = x[torch.arange(n).view(n, 1, 1), 0, rows, cols].unsqueeze(1)
    cy, cx = (torch.randint(0, 28, (n, 1, 1), generator=g) for _ in range(2))
    grid = torch.arange(28)
    hole = ((grid.view(1, 28, 1) - cy).abs() < 4) & ((grid.view(1, 1, 28) - cx).abs() < 4)
    return x.masked_fill(hole.unsqueeze(1), 0.0)


def accuracy(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    model.eval()
    with torch.no_grad():
        return sum((model(x[i : i + 500]).argmax(1) == y[i : i + 500]).sum().item() for i in range(0, len(x), 500)) / len(x)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--source", type=pathlib.Path, required=True)
    ap.add_argument("--out", type=pathlib.Path, required=True)
    ap.add_argument("--epochs", type=int, default=18)
    ap.add_argument("--seed", type=int, default=0)
    args = ap.parse_args()
    torch.manual_seed(args.seed)
    g = torch.Generator().manual_seed(args.seed)

    data = {}
    for part, prefix in (("train", "train"), ("test", "t10k")):
        x = torch.from_numpy(idx(args.source / f"{prefix}-images-idx3-ubyte.gz")).float().div(255).sub(MEAN).div(STD)
        y = torch.from_numpy(idx(args.source / f"{prefix}-labels-idx1-ubyte.gz")).long()
        data[part] = x.unsqueeze(1), y
    x, y = data["train"]

    model = Teacher().to(memory_format=torch.channels_last)
    decay = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    opt = torch.optim.SGD([{"params": decay, "weight_decay": 5e-4}, {"params": plain, "weight_decay": 0}], lr=0.1, momentum=0.9, nesterov=True)
    batch, steps = 128, args.epochs * (len(x) // 128)
    plan = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=0.2, total_steps=steps, pct_start=0.2)
    for epoch in range(args.epochs):
        model.train()
        started, total = time.time(), 0.0
        order = torch.randperm(len(x), generator=g)
        for i in range(len(x) // batch):
            take = order[i * batch : (i + 1) * batch]
            images = augment(x[take], g).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                loss = F.cross_entropy(model(images).float(), y[take])
            opt.zero_grad()
            loss.backward()
            opt.step()
            plan.step()
            total += loss.item()
        print(f"epoch {epoch + 1}/{args.epochs} loss {total / (i + 1):.4f} test {accuracy(model, *data['test']):.4f} {time.time() - started:.0f} s", flush=True)

    measured = accuracy(model, *data["test"])
    model = model.to(memory_format=torch.contiguous_format).eval()
    batch_axis = torch.export.Dim("batch", min=1)
    program = torch.onnx.export(
        model, (torch.zeros(2, 1, 28, 28),), input_names=["image"], output_names=["logits"],
        dynamic_shapes={"image": {0: batch_axis}}, opset_version=18, dynamo=True, external_data=False,
    )
    program.model.metadata_props["test_accuracy"] = f"{measured:.4f}"
    program.save(args.out, external_data=False)
    print(f"{args.out}: test accuracy {measured:.4f}, {args.out.stat().st_size / 1e6:.2f} MB, {sum(p.numel() for p in model.parameters())} parameters")


if __name__ == "__main__":
    main()
