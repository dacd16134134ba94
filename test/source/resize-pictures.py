"""Pictures and what Pillow, OpenCV and torch make of them, as bytes [height, width, 3], for resample.interop.test.ts.

    python resize-pictures.py <folder>: writes them, and pictures.json, which says what they are.
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

# width, height, new width, new height: up, down, both, little, much
SIZES = [
    (200, 200, 224, 224), (500, 375, 341, 256), (28, 28, 224, 224), (640, 480, 224, 224), (97, 61, 96, 62),
    (1000, 700, 37, 26), (33, 47, 132, 188), (120, 90, 121, 91), (64, 64, 16, 16), (300, 300, 299, 299),
    (256, 256, 384, 384), (37, 91, 91, 37), (91, 37, 37, 91), (5, 7, 70, 50), (400, 100, 100, 400),
    (255, 257, 128, 64), (1, 1, 9, 5), (2, 3, 64, 48), (1500, 1200, 320, 256), (73, 59, 59, 73),
]
PILLOW = {"lanczos3": Image.LANCZOS, "bicubic": Image.BICUBIC, "bilinear": Image.BILINEAR, "box": Image.BOX, "nearest": Image.NEAREST}
OPENCV = {"bicubic": cv2.INTER_CUBIC, "bilinear": cv2.INTER_LINEAR, "nearest": cv2.INTER_NEAREST}


def noise(rng, width, height):
    return rng.integers(0, 256, (height, width, 3), np.uint8)


def photograph(rng, width, height):
    """Waves over some octaves, an edge, and the grain of a sensor."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    picture = np.full((height, width, 3), 128.0)
    for octave in range(1, 6):
        for channel in range(3):
            turn = rng.uniform(0, 6.3, 2)
            picture[..., channel] += 70 / octave * np.sin(octave * x / 19 + turn[0]) * np.cos(octave * y / 23 + turn[1])
    picture[:, width // 2 :] -= 50
    return (picture + rng.normal(0, 5, picture.shape)).clip(0, 255).astype(np.uint8)


def interpolate(picture, width, height, mode):
    """torch in float32, as Keras, too, has it: rounded here, at the end."""
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    options = {} if mode == "nearest" else {"align_corners": False, "antialias": False}
    y = torch.nn.functional.interpolate(x, size=(height, width), mode=mode, **options)
    return y.round().clamp(0, 255).byte()[0].permute(1, 2, 0).numpy()


folder = Path(sys.argv[1])
rng = np.random.default_rng(0)
pictures = []
for kind in (noise, photograph):
    for width, height, to_width, to_height in SIZES:
        number = len(pictures)
        picture = kind(rng, width, height)
        made = {f"pillow-{name}": np.asarray(Image.fromarray(picture).resize((to_width, to_height), how)) for name, how in PILLOW.items()}
        for name, how in OPENCV.items():
            made[f"opencv-{name}"] = cv2.resize(picture, (to_width, to_height), interpolation=how)
            made[f"torch-{name}"] = interpolate(picture, to_width, to_height, name)
        picture.tofile(folder / f"{number}.raw")
        for name, pixels in made.items():
            pixels.tofile(folder / f"{number}-{name}.raw")
        pictures.append({"kind": kind.__name__, "from": [width, height], "to": [to_width, to_height]})
(folder / "pictures.json").write_text(json.dumps(pictures))

# Random resized crops, as torchvision makes them of an image of Pillow: x, y, width, height of an image of 64x48
CROPS = [(5, 7, 20, 30), (63, 47, 1, 1), (0, 0, 64, 48), (31, 31, 33, 17), (0, 0, 5, 48), (1, 2, 63, 3), (8, 8, 32, 24)]
picture = noise(rng, 64, 48)
picture.tofile(folder / "crops.raw")
for x, y, width, height in CROPS:
    part = Image.fromarray(picture).crop((x, y, x + width, y + height)).resize((64, 48), Image.BILINEAR)
    np.asarray(part).tofile(folder / f"crop-{x}-{y}-{width}-{height}.raw")
(folder / "crops.json").write_text(json.dumps(CROPS))
