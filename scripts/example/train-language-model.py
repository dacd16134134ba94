"""Trains a small causal language model on text and exports it as a teacher, as transformers would: input_ids and
attention_mask [batch, length] to logits [batch, length, vocabulary], all but the vocabulary dynamic.

    train-language-model.py FOLDER TEXT... [--steps N]

Writes FOLDER/model.onnx, tokenizer.json (whole words and marks, lower case), lines.jsonl (a line of text each), and expected.json:
what PyTorch says in float64 of a few padded sequences, its TOP largest logits and log-sum-exp by position. Needs torch, onnx, onnxscript.
"""

import argparse
import collections
import json
import re
import warnings
from pathlib import Path

import torch
from torch import nn

warnings.filterwarnings("ignore")
LENGTH, WIDTH, HEADS, LAYERS, VOCABULARY, TOP = 32, 64, 4, 2, 1000, 16
UNKNOWN = "[UNK]"


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.before, self.between = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, h, allowed):
        batch, length, _ = h.shape
        q, k, v = self.qkv(self.before(h)).view(batch, length, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        scores = (q @ k.transpose(-1, -2)) * (WIDTH // HEADS) ** -0.5
        # not -inf: a position before the first token may attend to nothing
        weights = scores.masked_fill(~allowed, -1e4).softmax(-1)
        h = h + self.out((weights @ v).transpose(1, 2).reshape(batch, length, WIDTH))
        return h + self.down(nn.functional.gelu(self.up(self.between(h))))


class LanguageModel(nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, vocabulary, bias=False)

    def forward(self, input_ids, attention_mask):
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        causal = places[None, :] <= places[:, None]
        allowed = causal[None, None] & (attention_mask[:, None, None, :] > 0)
        h = self.tokens(input_ids) + self.places(places)
        for layer in self.layers:
            h = layer(h, allowed)
        return self.head(self.norm(h))


def words_of(text):
    return re.findall(r"\w+|[^\w\s]", text.lower())


def tokenizer_of(vocabulary):
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
        "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
        "model": {"type": "WordPiece", "unk_token": UNKNOWN, "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocabulary},
    }  # fmt: skip


def train(model, ids, steps):
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    mask = torch.ones(32, LENGTH, dtype=torch.int64)
    for step in range(steps):
        starts = torch.randint(len(ids) - LENGTH - 1, (32,))
        rows = torch.stack([ids[s : s + LENGTH + 1] for s in starts])
        loss = nn.functional.cross_entropy(model(rows[:, :-1], mask).flatten(0, 1), rows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def expected_of(model, ids):
    """Sequences with 0 to LENGTH - 1 places of padding behind them, and what the model says, in float64."""
    exact = LanguageModel(model.head.out_features).double()
    exact.load_state_dict(model.state_dict())
    rows = []
    for i, length in enumerate([LENGTH, 1, 7, LENGTH - 1, 20, LENGTH]):
        tokens = ids[i * 50 : i * 50 + length][None]
        with torch.no_grad():
            logits = exact(tokens, torch.ones_like(tokens))[0]
        values, indices = logits.topk(TOP, -1)
        rows.append({
            "tokens": tokens[0].tolist() + [-1] * (LENGTH - length), "indices": indices.tolist(), "values": values.tolist(),
            **{f"lse{T}": (logits / T).logsumexp(-1).tolist() for T in (1, 4)},
        })  # fmt: skip
    return {"length": LENGTH, "top": TOP, "classes": model.head.out_features, "rows": rows}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("texts", type=Path, nargs="+")
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    torch.set_num_threads(1)  # the matrices are small
    torch.manual_seed(0)
    text = "\n".join(path.read_text() for path in options.texts)
    words = words_of(text)
    common = [word for word, _ in collections.Counter(words).most_common(VOCABULARY - 1)]
    vocabulary = {word: i for i, word in enumerate([UNKNOWN, *sorted(common)])}
    ids = torch.tensor([vocabulary.get(word, 0) for word in words])
    model = LanguageModel(len(vocabulary))
    loss = train(model, ids, options.steps)
    print(f"{len(words)} words, {len(vocabulary)} kinds, cross-entropy {loss:.3f} after {options.steps} steps")

    model.eval()
    example = (ids[: 2 * LENGTH].view(2, LENGTH), torch.ones(2, LENGTH, dtype=torch.int64))
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length", min=2, max=LENGTH)
    axes = {"input_ids": {0: batch, 1: length}, "attention_mask": {0: batch, 1: length}}
    program = torch.onnx.export(
        model, example, input_names=list(axes), output_names=["logits"], dynamic_shapes=axes, dynamo=True, verbose=False
    )
    options.folder.mkdir(parents=True, exist_ok=True)
    program.save(options.folder / "model.onnx")
    (options.folder / "tokenizer.json").write_text(json.dumps(tokenizer_of(vocabulary)))
    lines = [line.strip() for line in text.splitlines() if len(words_of(line)) > 3]
    (options.folder / "lines.jsonl").write_text("".join(json.dumps({"text": line}) + "\n" for line in lines))
    (options.folder / "expected.json").write_text(json.dumps(expected_of(model, ids)))


main()
