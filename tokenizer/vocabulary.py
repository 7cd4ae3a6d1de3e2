"""What makes a tokenizer of ours: how text is cut into words, and the bytes as symbols.

The tokenizers library defines every answer (``text_tokenizer``); ``tokenizer.encoder`` gives the same ones faster.
"""

from importlib.metadata import version

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from gristmill.tokenizer._kernels_patterns import MAX_RUN

# GPT-4's cut with three changes. Marks count as letters, else every Devanagari or Thai vowel sign breaks its word. A
# digit is a token of its own: a vocabulary of some thousand has no room for 1,000 groups of three, and columns of
# numbers stay aligned. Runs end after 64 characters, so that a megabyte of one letter costs no quadratic time; on 4 MB
# of mixed text that adds 0.02 % words. English contractions need no rule: the apostrophe is a prefix of the letters.
_LETTER, _OTHER = r"[\p{L}\p{M}]", r"[^\s\p{L}\p{M}\p{N}]"
PATTERN = "|".join(
    [
        rf"[^\r\n\p{{L}}\p{{M}}\p{{N}}]?{_LETTER}{{1,{MAX_RUN}}}",
        r"\p{N}",
        rf" ?{_OTHER}{{1,{MAX_RUN}}}[\r\n]{{0,{MAX_RUN}}}",
        rf"\s{{0,{MAX_RUN - 1}}}[\r\n]",
        rf"\s{{1,{MAX_RUN}}}(?!\S)",
        r"\s",
    ]
)


def library_versions() -> dict[str, str]:
    """Versions of the libraries that decide a tokenizer; part of the stage's key."""
    return {"tokenizers": version("tokenizers")}


def empty_tokenizer() -> Tokenizer:
    """A byte-level BPE without merges, ready for training."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(PATTERN), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def byte_symbols() -> list[str]:
    """The printable character that stands for each byte in a byte-level vocabulary (Radford et al. 2019).

    >>> byte_symbols()[ord("a")], byte_symbols()[ord(" ")]
    ('a', 'Ġ')
    """
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    spare = iter(range(256, 512))
    return [chr(byte if byte in printable else next(spare)) for byte in range(256)]
