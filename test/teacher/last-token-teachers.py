"""Exports small sequence classifiers of transformers, with random weights, that find padding by its id, and says what they make of texts.

Called with a folder: writes <name>.onnx and expected.json.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import (
    GPT2Config,
    GPT2ForSequenceClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
    Qwen2Config,
    Qwen2ForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

folder = Path(sys.argv[1])
VOCABULARY, LENGTH = 50, 9
small = {
    "vocab_size": VOCABULARY,
    "num_labels": 3,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "attn_implementation": "eager",
}
rope = {**small, "intermediate_size": 48, "num_key_value_heads": 2, "max_position_embeddings": 64}


class Scores(torch.nn.Module):
    """The logits alone, of inputs in a given order."""

    def __init__(self, model, names):
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs):
        return self.model(**dict(zip(self.names, inputs))).logits


masked = ["input_ids", "attention_mask"]
gpt2 = {**small, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
cases = {
    "GPT-2": (GPT2ForSequenceClassification, GPT2Config(**gpt2, pad_token_id=49), masked),
    "GPT-2 with position_ids": (GPT2ForSequenceClassification, GPT2Config(**gpt2, pad_token_id=49), [*masked, "position_ids"]),
    "Llama": (LlamaForSequenceClassification, LlamaConfig(**rope, pad_token_id=48), masked),
    "Qwen2": (Qwen2ForSequenceClassification, Qwen2Config(**rope, pad_token_id=47), masked),
    "RoBERTa": (
        RobertaForSequenceClassification,
        RobertaConfig(**small, intermediate_size=48, max_position_embeddings=64, pad_token_id=1, type_vocab_size=1),
        masked,
    ),
}

generator = torch.Generator().manual_seed(0)
lengths = [1, LENGTH, 4, 6, 2, 8]
# ids 2 to 46: none is one that pads
texts = [torch.randint(2, 47, (n,), generator=generator).tolist() for n in lengths]


def batch(pad, side):
    rows, masks, positions = [], [], []
    for ids in texts:
        n = LENGTH - len(ids)
        left, right = (n, 0) if side == "left" else (0, n)
        rows.append([pad] * left + ids + [pad] * right)
        masks.append([0] * left + [1] * len(ids) + [0] * right)
        positions.append([0] * left + list(range(len(ids) + right)))
    return {"input_ids": rows, "attention_mask": masks, "position_ids": positions}


expected = []
for name, (model_of, config, inputs) in cases.items():
    torch.manual_seed(1)
    model = model_of(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3)
    pad = config.pad_token_id
    file = f"teacher-{len(expected)}.onnx"
    scores = Scores(model, inputs)
    feeds = {side: tuple(torch.tensor(batch(pad, side)[one]) for one in inputs) for side in ["right", "left"]}
    N, L = torch.export.Dim("N"), torch.export.Dim("L", max=64)
    torch.onnx.export(
        scores, feeds["right"], str(folder / file), input_names=inputs, output_names=["logits"],
        dynamic_shapes=(tuple({0: N, 1: L} for _ in inputs),), external_data=False, dynamo=True, verbose=False,
    )
    with torch.no_grad():
        logits = {side: scores(*feeds[side]).tolist() for side in feeds}
        # without padding there is nothing to be found
        alone = [
            scores(*[torch.tensor([{"input_ids": ids, "attention_mask": [1] * len(ids), "position_ids": list(range(len(ids)))}[one]]) for one in inputs])[0].tolist()
            for ids in texts
        ]
    expected.append({"name": name, "file": file, "pad": pad, "logits": logits, "alone": alone, "positions": "position_ids" in inputs})

(folder / "expected.json").write_text(json.dumps({"texts": texts, "length": LENGTH, "cases": expected}))
