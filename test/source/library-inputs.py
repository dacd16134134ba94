"""Images, and what libraries feed their models of them, for preprocess.interop.test.ts: one float32 array for each file of docs/preprocess.

    python library-inputs.py <folder>: writes images/*.png, and <file>-<image>.raw
"""

import math
import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"
import cv2
import keras
import numpy as np
import torch
from PIL import Image

IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
CLIP = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])


def transforms(short, size, how, mean, std):
    """torchvision's Resize, CenterCrop, ToTensor, Normalize of an image of Pillow; timm's and CLIP's are made of the same."""

    def run(rgb):
        height, width = rgb.shape[:2]
        if width <= height:
            new = (short, int(short * height / width))
        else:
            new = (int(short * width / height), short)
        x = np.asarray(Image.fromarray(rgb).resize(new, how))
        top, left = int(round((new[1] - size) / 2.0)), int(round((new[0] - size) / 2.0))
        x = x[top : top + size, left : left + size].astype(np.float32) / np.float32(255)
        return ((x - np.float32(mean)) / np.float32(std)).transpose(2, 0, 1)

    return run


def load_img(mode):
    def run(rgb):
        x = np.asarray(Image.fromarray(rgb).resize((224, 224), Image.NEAREST), np.float32)
        return keras.applications.imagenet_utils.preprocess_input(x, mode=mode, data_format="channels_last")

    return run


def directory(rgb):
    x = keras.ops.image.resize(rgb[None].astype(np.float32), (256, 256), interpolation="bilinear", antialias=False, data_format="channels_last")
    return keras.ops.convert_to_numpy(x)[0]


def inception(rgb):
    """tf.image.central_crop and tf.image.resize (half-pixel centres), by their formulas."""
    height, width = rgb.shape[:2]
    top, left = int((height - height * 0.875) / 2), int((width - width * 0.875) / 2)
    x = torch.from_numpy(rgb[top : height - top, left : width - left].astype(np.float32)).permute(2, 0, 1)[None]
    x = torch.nn.functional.interpolate(x, size=(299, 299), mode="bilinear", align_corners=False)[0]
    return x.permute(1, 2, 0).numpy() / 127.5 - 1


def paddleocr(rgb):
    """resize_norm_img of predict_cls.py, by its formula: it gets what cv2.imread gives."""
    height, width = rgb.shape[:2]
    new = min(192, math.ceil(48 * width / height))
    x = cv2.resize(rgb[..., ::-1], (new, 48)).astype(np.float32).transpose(2, 0, 1) / 255
    padded = np.zeros((3, 48, 192), np.float32)
    padded[:, :, :new] = (x - 0.5) / 0.5
    return padded


def blob(rgb):
    return cv2.dnn.blobFromImage(np.ascontiguousarray(rgb[..., ::-1]), 1, (224, 224), (104, 117, 123))[0]


def letterbox(rgb):
    """LetterBox of ultralytics' data/augment.py, by its formula."""
    height, width = rgb.shape[:2]
    ratio = min(640 / height, 640 / width)
    new = round(width * ratio), round(height * ratio)
    dw, dh = (640 - new[0]) / 2, (640 - new[1]) / 2
    x = cv2.resize(rgb, new, interpolation=cv2.INTER_LINEAR) if new != (width, height) else rgb
    edges = round(dh - 0.1), round(dh + 0.1), round(dw - 0.1), round(dw + 0.1)
    x = cv2.copyMakeBorder(x, *edges, cv2.BORDER_CONSTANT, value=(114, 114, 114))
    return x.transpose(2, 0, 1).astype(np.float32) / 255


LIBRARIES = {
    "torchvision": transforms(256, 224, Image.BILINEAR, *IMAGENET),
    "timm": transforms(math.floor(224 / 0.9), 224, Image.BICUBIC, [0.5] * 3, [0.5] * 3),
    "clip": transforms(224, 224, Image.BICUBIC, *CLIP),
    "keras": load_img("tf"),
    "keras-caffe": load_img("caffe"),
    "keras-directory": directory,
    "tensorflow-inception": inception,
    "paddleocr": paddleocr,
    "opencv": blob,
    "letterbox": letterbox,
}
# width, height: of whole multiples of 48 lines for PaddleOCR, which rounds up
SIZES = [(640, 480), (375, 500), (192, 96), (100, 100), (1024, 768)]

folder = Path(sys.argv[1])
(folder / "images").mkdir()
rng = np.random.default_rng(0)
for image, (width, height) in enumerate(SIZES):
    y, x = np.mgrid[0:height, 0:width].astype(float)
    waves = np.stack([128 + 90 * np.sin(x / (9 + c) + c) * np.cos(y / (13 - c)) for c in range(3)], axis=-1)
    rgb = (waves + rng.normal(0, 12, waves.shape)).clip(0, 255).astype(np.uint8)
    Image.fromarray(rgb).save(folder / "images" / f"{image}.png")
    for name, run in LIBRARIES.items():
        np.ascontiguousarray(run(rgb), np.float32).tofile(folder / f"{name}-{image}.raw")
