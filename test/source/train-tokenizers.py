"""Trains tokenizers of all kinds on the texts of corpus.json, and says what ids Python's `tokenizers` gives them.

Called with a folder: reads corpus.json ({"train": texts, "texts": texts}), writes <name>.json and ids.json.
"""

import json
import sys
import tempfile
from pathlib import Path

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

folder = Path(sys.argv[1])
corpus = json.loads((folder / "corpus.json").read_text())
SIZE = 1500
quiet = {"show_progress": False}


def charsmap() -> bytes:
    """The normalization of T5 and XLM-R, which SentencePiece writes into each model that it trains."""
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "text").write_text("\n".join(corpus["train"]))
        sentencepiece.SentencePieceTrainer.train(
            input=f"{place}/text", model_prefix=f"{place}/m", vocab_size=1000, hard_vocab_limit=False, minloglevel=2
        )
        model = Path(f"{place}/m.model").read_bytes()
    # ModelProto.normalizer_spec (3) .precompiled_charsmap (2), in protobuf's wire format
    return field(field(model, 3), 2)


def field(message: bytes, wanted: int) -> bytes:
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = varint()
        if key & 7 == 2:
            size = varint()
            content, at = message[at : at + size], at + size
            if key >> 3 == wanted:
                return content
        elif key & 7 == 0:
            varint()
        else:
            at += 8 if key & 7 == 1 else 4
    raise ValueError(f"no field {wanted}")


def make(model, trainer, *, normalizer=None, pre=None, post=None, decoder=None, added=()):
    tokenizer = Tokenizer(model)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre is not None:
        tokenizer.pre_tokenizer = pre
    tokenizer.train_from_iterator(corpus["train"], trainer)
    tokenizer.add_tokens(list(added))
    if post is not None:
        tokenizer.post_processor = around(tokenizer, *post)
    if decoder is not None:
        tokenizer.decoder = decoder
    return tokenizer


def around(tokenizer, before, behind):
    tokens = [(token, tokenizer.token_to_id(token)) for token in {*before, *behind}]
    return processors.TemplateProcessing(single=[*before, "$A", *behind], special_tokens=tokens)


def bpe(special=(), **options):
    return trainers.BpeTrainer(vocab_size=SIZE, special_tokens=list(special), **quiet, **options)


def words(special):
    return trainers.WordLevelTrainer(vocab_size=SIZE, special_tokens=special, **quiet)


def pieces(special):
    return trainers.WordPieceTrainer(vocab_size=SIZE, special_tokens=special, **quiet)


def unigram(special):
    return trainers.UnigramTrainer(vocab_size=SIZE, special_tokens=special, unk_token="<unk>", **quiet)


bytes_alphabet = {"initial_alphabet": pre_tokenizers.ByteLevel.alphabet()}
byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
bert = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
split = lambda pattern, behavior, **options: pre_tokenizers.Split(Regex(pattern), behavior, **options)  # noqa: E731
llama3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
odd_tokens = [
    AddedToken("sind", single_word=True, normalized=False),
    AddedToken("ein", single_word=True, normalized=True),
    AddedToken("人", single_word=True),
    AddedToken("<mask>", lstrip=True, rstrip=True, special=True),
    AddedToken("ΜΟΥ", normalized=True),
    AddedToken("\U0001f3f3"),
    AddedToken("()"),
]

tokenizers = {
    "BPE of bytes (GPT-2)": make(
        models.BPE(), bpe(["<|endoftext|>"], **bytes_alphabet), pre=pre_tokenizers.ByteLevel(add_prefix_space=False),
        decoder=decoders.ByteLevel(), added=odd_tokens,
    ),
    "BPE of bytes behind a Split (Llama 3)": make(
        models.BPE(ignore_merges=True), bpe(["<bos>"], **bytes_alphabet), post=(["<bos>"], []), decoder=decoders.ByteLevel(),
        pre=pre_tokenizers.Sequence([split(llama3, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
    ),
    "BPE of bytes, NFC (Qwen)": make(
        models.BPE(), bpe(["<|end|>"], **bytes_alphabet), normalizer=normalizers.NFC(), decoder=decoders.ByteLevel(),
        pre=pre_tokenizers.Sequence([split(llama3.replace("{1,3}", ""), "isolated"), pre_tokenizers.ByteLevel(use_regex=False)]),
    ),
    "BPE with byte fallback (Llama 2)": make(
        models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"), bpe(["<unk>", "<s>", *byte_tokens]), post=(["<s>"], []),
        normalizer=normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]),
        decoder=decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]),
        added=odd_tokens,
    ),
    "BPE with byte fallback behind a Split (Gemma)": make(
        models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"), bpe(["<unk>", "<bos>", "<eos>", *byte_tokens]),
        normalizer=normalizers.Replace(" ", "▁"), pre=pre_tokenizers.Split(" ", "merged_with_previous"), post=(["<bos>"], ["<eos>"]),
    ),
    "BPE of words' ends (CLIP)": make(
        models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"), bpe(["<unk>", "<s>"], end_of_word_suffix="</w>"),
        normalizer=normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]),
        pre=split(r"'s|'t|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", "removed", invert=True), post=(["<s>"], ["<s>"]),
    ),
    "Unigram with a charsmap (T5, XLM-R)": make(
        models.Unigram(), unigram(["<pad>", "</s>", "<unk>"]), pre=pre_tokenizers.Metaspace(), post=([], ["</s>"]),
        normalizer=normalizers.Sequence([normalizers.Precompiled(charsmap()), normalizers.Replace(Regex(" {2,}"), " ")]),
        decoder=decoders.Metaspace(), added=odd_tokens,
    ),
    "Unigram, NFKC, white space and Metaspace (ALBERT)": make(
        models.Unigram(), unigram(["<unk>", "[CLS]", "[SEP]"]), post=(["[CLS]"], ["[SEP]"]),
        normalizer=normalizers.Sequence([normalizers.Nmt(), normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]),
        pre=pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="first")]),
    ),
    "WordPiece, uncased (BERT)": make(
        models.WordPiece(unk_token="[UNK]"), pieces(bert), normalizer=normalizers.BertNormalizer(),
        pre=pre_tokenizers.BertPreTokenizer(), post=(["[CLS]"], ["[SEP]"]), decoder=decoders.WordPiece(), added=odd_tokens,
    ),
    "WordPiece, cased (BERT)": make(
        models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=20), pieces(bert),
        normalizer=normalizers.BertNormalizer(lowercase=False, strip_accents=False), pre=pre_tokenizers.BertPreTokenizer(),
    ),
    "WordLevel of Whitespace": make(
        models.WordLevel(unk_token="?"), words(["?"]), normalizer=normalizers.Lowercase(), pre=pre_tokenizers.Whitespace(),
        added=odd_tokens,
    ),
    "WordLevel of Punctuation and Digits": make(
        models.WordLevel(unk_token="?"), words(["?"]),
        pre=pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation(), pre_tokenizers.Digits(individual_digits=True)]
        ),
    ),
    "WordLevel of Punctuation by runs and Digits by numbers": make(
        models.WordLevel(unk_token="?"), words(["?"]), normalizer=normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()]),
        pre=pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.Digits()]
        ),
    ),
    "WordLevel of scripts": make(
        models.WordLevel(unk_token="?"), words(["?"]), normalizer=normalizers.Strip(),
        pre=pre_tokenizers.Sequence([pre_tokenizers.UnicodeScripts(), pre_tokenizers.CharDelimiterSplit(" ")]),
    ),
}
for behavior in ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]:
    tokenizers[f"WordLevel of a Split, {behavior}"] = make(
        models.WordLevel(unk_token="?"), words(["?"]), pre=split(r"[\s\p{P}]", behavior)
    )


def ids_of(tokenizer, **options):
    return [encoding.ids for encoding in tokenizer.encode_batch(corpus["texts"], **options)]


answers = []
for number, (name, tokenizer) in enumerate(tokenizers.items()):
    file = f"tokenizer-{number}.json"
    tokenizer.save(str(folder / file))
    ids = ids_of(tokenizer)
    decoded = [tokenizer.decode(one, skip_special_tokens=True) for one in ids]
    bare = ids_of(tokenizer, add_special_tokens=False)
    truncated = {}
    for side in ["left", "right"]:
        tokenizer.enable_truncation(8, direction=side)
        truncated[side] = ids_of(tokenizer)
    answers.append({"name": name, "file": file, "ids": ids, "bare": bare, "truncated": truncated, "decoded": decoded})
(folder / "ids.json").write_text(json.dumps(answers))
