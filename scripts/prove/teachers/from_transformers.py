"""Hugging Face's transformers, small and of random weights: sequences, tokens and pictures, by PyTorch's exporters and by optimum's."""

import warnings

import numpy as np
import torch
import transformers
from torch import nn

EXPORTER = "transformers"
PACKAGES = ["transformers", "optimum-onnx", "torch"]

warnings.filterwarnings("ignore")
VOCABULARY, CLASSES, TEXTS, LONGEST = 60, 4, 60, 12
SMALL = dict(vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=37, max_position_embeddings=40, num_labels=CLASSES)
# A padding id that is not 0, as GPT-2, Llama and Qwen have it.
PAD = 59

BERT = lambda **more: transformers.BertConfig(**SMALL, **more)
ENCODERS = {
    "BERT": ("BertForSequenceClassification", BERT),
    "BERT, two classes": ("BertForSequenceClassification", lambda: transformers.BertConfig(**{**SMALL, "num_labels": 2})),
    "DistilBERT": ("DistilBertForSequenceClassification", lambda: transformers.DistilBertConfig(vocab_size=VOCABULARY, dim=32, n_layers=2, n_heads=4, hidden_dim=37, max_position_embeddings=40, num_labels=CLASSES)),
    "RoBERTa": ("RobertaForSequenceClassification", lambda: transformers.RobertaConfig(**SMALL)),
    "ELECTRA": ("ElectraForSequenceClassification", lambda: transformers.ElectraConfig(**SMALL, embedding_size=16)),
    "ALBERT": ("AlbertForSequenceClassification", lambda: transformers.AlbertConfig(**SMALL, embedding_size=16)),
    "GPT-2": ("GPT2ForSequenceClassification", lambda: transformers.GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=40, num_labels=CLASSES, pad_token_id=PAD)),
    "Llama": ("LlamaForSequenceClassification", lambda: transformers.LlamaConfig(**SMALL, num_key_value_heads=2, pad_token_id=PAD)),
    "Qwen2": ("Qwen2ForSequenceClassification", lambda: transformers.Qwen2Config(**SMALL, num_key_value_heads=2, pad_token_id=PAD)),
    "Mistral": ("MistralForSequenceClassification", lambda: transformers.MistralConfig(**SMALL, num_key_value_heads=2, pad_token_id=PAD)),
}
BY_TOKEN = {
    "BERT tokens": ("BertForTokenClassification", BERT),
    "GPT-2 next tokens": ("GPT2LMHeadModel", lambda: transformers.GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=40, use_cache=False)),
}
PICTURES = {
    "ViT": ("ViTForImageClassification", lambda: transformers.ViTConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=37, image_size=8, patch_size=2, num_channels=1, num_labels=CLASSES)),
    "ResNet": ("ResNetForImageClassification", lambda: transformers.ResNetConfig(num_channels=1, embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=CLASSES)),
    "ConvNeXt": ("ConvNextForImageClassification", lambda: transformers.ConvNextConfig(num_channels=1, hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, patch_size=2, image_size=8, num_labels=CLASSES)),
}


def build(name, config):
    torch.manual_seed(0)
    settings = config()
    settings._attn_implementation = "eager"
    model = getattr(transformers, name)(settings).eval()
    with torch.no_grad():  # so that logits differ by more than rounding
        for module in model.modules():
            if isinstance(module, nn.Linear):
                module.weight *= 6
    return model


def texts():
    """Token ids without the padding ids 0 and PAD, of lengths 2 to LONGEST."""
    random = np.random.default_rng(0)
    return [random.integers(1, PAD, random.integers(2, LONGEST + 1)).tolist() for _ in range(TEXTS)]


class Only(nn.Module):
    """The logits alone, of what the exporters feed by position."""

    def __init__(self, model, head):
        super().__init__()
        self.model, self.head = model, head

    def forward(self, input_ids, attention_mask):
        return self.head(self.model(input_ids=input_ids, attention_mask=attention_mask).logits)


def logits_of(model, row):
    with torch.no_grad():
        return model(input_ids=torch.tensor([row]), attention_mask=torch.ones(1, len(row), dtype=torch.long)).logits


def by_torch(row, name, config, *, dynamo, head=None, gives="logits", by_token=False, fixed=False):
    model, rows = build(name, config), texts()
    example = (torch.randint(1, PAD, (2, LONGEST)), torch.ones(2, LONGEST, dtype=torch.long))
    names = ["input_ids", "attention_mask"]
    named = dict(input_names=names, output_names=["logits"], dynamo=dynamo)
    if dynamo:
        shape = {0: torch.export.Dim("batch"), 1: torch.export.Dim("sequence")}
        named |= dict(dynamic_shapes=(shape, shape), external_data=False, verbose=False)
    else:
        named |= dict(dynamic_axes={n: {0: "batch", 1: "sequence"} for n in names} | {"logits": {0: "batch", **({1: "sequence"} if by_token else {})}})
    torch.onnx.export(Only(model, head or nn.Identity()).eval(), example, str(row.model), **named)
    write(row, model, rows, gives, by_token)


def by_optimum(row, name, config, task):
    from optimum.exporters.onnx import onnx_export_from_model

    model = build(name, config)
    onnx_export_from_model(model, row.folder / "optimum", task=task, do_validation=False, no_post_process=True)
    (row.folder / "optimum" / "model.onnx").rename(row.model)
    if task == "image-classification":
        return write_pictures(row, model)
    write(row, model, texts(), "logits", task == "token-classification")


def write(row, model, rows, gives, by_token):
    if by_token:
        return row.write([-1] * len(rows), tokens=rows, gives=gives)
    z = torch.cat([logits_of(model, r) for r in rows]).double()
    row.write(z.argmax(1).numpy(), tokens=rows, gives=gives, library=torch.softmax(z, 1))


def pictures_by_torch(row, name, config, dynamo):
    model = build(name, config)
    named = dict(input_names=["pixel_values"], output_names=["logits"], dynamo=dynamo)
    if dynamo:
        named |= dict(dynamic_shapes=({0: torch.export.Dim("batch")},), external_data=False, verbose=False)
    else:
        named |= dict(dynamic_axes={"pixel_values": {0: "batch"}, "logits": {0: "batch"}})

    class Pixels(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, pixel_values):
            return self.model(pixel_values=pixel_values).logits

    torch.onnx.export(Pixels().eval(), (torch.rand(2, 1, 8, 8),), str(row.model), **named)
    write_pictures(row, model)


def write_pictures(row, model):
    from case import digits

    _, (asked, _) = digits()
    asked = asked.reshape(-1, 1, 8, 8)
    with torch.no_grad():
        z = model(pixel_values=torch.tensor(asked)).logits.double()
    row.write(z.argmax(1).numpy(), features=asked, gives="logits", library=torch.softmax(z, 1))


def quantized(row, name, config):
    from onnxruntime.quantization import quantize_dynamic

    plain = row.folder / "plain.onnx"
    by_torch_to(build(name, config), plain)
    quantize_dynamic(plain, row.model)
    model = build(name, config)
    z = torch.cat([logits_of(model, r) for r in texts()]).double()
    row.write(z.argmax(1).numpy(), tokens=texts(), gives="logits", library=torch.softmax(z, 1), tolerance=2e-2)


def by_torch_to(model, path):
    names = ["input_ids", "attention_mask"]
    torch.onnx.export(Only(model, nn.Identity()).eval(), (torch.randint(1, PAD, (2, LONGEST)), torch.ones(2, LONGEST, dtype=torch.long)), str(path),
                      input_names=names, output_names=["logits"], dynamo=False, dynamic_axes={n: {0: "batch", 1: "sequence"} for n in names} | {"logits": {0: "batch"}})


def cases():
    case = lambda make, *arguments, **named: lambda row: make(row, *arguments, **named)
    for title, (name, config) in ENCODERS.items():
        for dynamo in (True, False):
            yield f"{title}, {'dynamo' if dynamo else 'legacy'}", case(by_torch, name, config, dynamo=dynamo), False
        yield f"{title}, optimum", case(by_optimum, name, config, "text-classification"), False
    yield "BERT with Softmax, legacy", case(by_torch, "BertForSequenceClassification", BERT, dynamo=False, head=nn.Softmax(-1), gives="probabilities"), False
    yield "GPT-2 with Softmax, legacy", case(by_torch, *ENCODERS["GPT-2"], dynamo=False, head=nn.Softmax(-1), gives="probabilities"), False
    for title, (name, config) in BY_TOKEN.items():
        yield f"{title}, legacy", case(by_torch, name, config, dynamo=False, by_token=True), False
        yield f"{title}, dynamo", case(by_torch, name, config, dynamo=True, by_token=True), False
    yield "BERT tokens with Softmax, legacy", case(by_torch, "BertForTokenClassification", BERT, dynamo=False, by_token=True, head=nn.Softmax(-1), gives="probabilities"), False
    yield "BERT tokens, optimum", case(by_optimum, "BertForTokenClassification", BERT, "token-classification"), False
    for title, (name, config) in PICTURES.items():
        yield f"{title}, dynamo", case(pictures_by_torch, name, config, True), False
        yield f"{title}, legacy", case(pictures_by_torch, name, config, False), False
        yield f"{title}, optimum", case(by_optimum, name, config, "image-classification"), False
    yield "BERT quantized, dynamic", case(quantized, "BertForSequenceClassification", BERT), False
    yield "DistilBERT quantized, dynamic", case(quantized, *ENCODERS["DistilBERT"]), False
