"""Tokenizers of every family, made by code: what a user may bring."""

import json

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from gristmill.tokenizer.patterns import CL100K, GPT2, O200K, QWEN2

TEXTS = [
    "The quick brown fox jumps over the lazy dog, and the dog sleeps on.",
    "def add(a, b):\n    return a + b  # a sum\n\n\n",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "我们在这里测试分词器。\u3000中文没有空格。",
    "Straße, naïve café — “quotes” … x² ½ ﬁ\t\u00a0\u200b🙂👩‍👩‍👧",
]
SPECIALS = ["<unk>", "<s>", "</s>", "<pad>", "<|user|>", "<|model|>"]


def byte_level(ignore_merges=False):
    """GPT-2's and Llama-3's family; with a token for runs of spaces that the file does not mark as special."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=SPECIALS[1:], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    tokenizer.add_tokens([AddedToken("    ", normalized=False)])
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=9)
    return tokenizer


def word_piece():
    """BERT's family: lower case without accents, so that texts do not come back."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=400, special_tokens=SPECIALS, show_progress=False)
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    ids = [(name, tokenizer.token_to_id(name)) for name in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ids)
    return tokenizer


def unigram():
    """T5's family: its vocabulary lists </s> among the words."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=200, special_tokens=SPECIALS, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    return tokenizer


def metaspace():
    """Llama-2's family: BPE whose unknown characters fall back to bytes, all bytes among its tokens."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(steps)
    names = [*SPECIALS, *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=names, show_progress=False)
    tokenizer.train_from_iterator(TEXTS[:1] * 3, trainer)
    config = json.loads(tokenizer.to_str())
    config["added_tokens"] = [token for token in config["added_tokens"] if token["content"] in SPECIALS]
    return Tokenizer.from_str(json.dumps(config))


def word_level():
    """One token for each known word."""
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordLevelTrainer(special_tokens=SPECIALS, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def of_pattern(pattern, normalizer=None, ignore_merges=False, texts=TEXTS):
    """A byte-level BPE of 420 tokens with the split of a published file; GPT-2's by ByteLevel itself."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.normalizer = normalizer
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern == GPT2)
    split = pre_tokenizers.Split(Regex(pattern), "isolated")
    tokenizer.pre_tokenizer = last if pattern == GPT2 else pre_tokenizers.Sequence([split, last])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    names = ["<|endoftext|>", "<|pad|>"]
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=names, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


PATTERN_FILES = {
    "gpt2": lambda: of_pattern(GPT2),
    "cl100k": lambda: of_pattern(CL100K),
    "o200k": lambda: of_pattern(O200K),
    "llama3": lambda: of_pattern(CL100K, ignore_merges=True),
    "qwen3": lambda: of_pattern(QWEN2, normalizers.NFC()),
}
FAMILIES = {
    "byte_level": byte_level,
    "ignore_merges": lambda: byte_level(ignore_merges=True),
    "word_piece": word_piece,
    "unigram": unigram,
    "metaspace": metaspace,
    "word_level": word_level,
}
