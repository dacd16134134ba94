"""Hugging Face datasets: a folder of soft targets is a dataset as it is, on the hub or here.  python read_datasets.py targets"""

import sys

from datasets import load_dataset

targets = load_dataset(sys.argv[1], split="train")
print(targets.features)
print(targets.num_rows, targets[0]["id"])
