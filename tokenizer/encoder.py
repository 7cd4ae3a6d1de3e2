"""Texts to tokens: by the kernels where they apply and agree with the tokenizers library, else by the library."""

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.tokenizer.kernel_encoder import KernelEncoder, kernel_pattern
from gristmill.tokenizer.reference_encoder import Encoder, ReferenceEncoder, Tokens
from gristmill.tokenizer.text_tokenizer import TextTokenizer

_LOG = logging.getLogger(__name__)
GUARD_DOCUMENTS, GUARD_CHARACTERS = 64, 1024  # compared with the reference before a part is encoded


class CheckedEncoder:
    """The kernels, once they have agreed with the reference on the first texts; else the reference.

    Raises
    ------
    SourceError : see ``TextTokenizer``
    """

    def __init__(self, path: Path):
        self._path = path
        self.text = TextTokenizer(path)
        self._reference = ReferenceEncoder(self.text)
        pattern = kernel_pattern(self.text.for_text)
        self._kernels = None if pattern is None else KernelEncoder(self.text, pattern, self._reference)
        self._checked = False
        self.vocab_size = self._reference.vocab_size

    def encode(self, texts: pa.LargeStringArray) -> Tokens:
        """Tokens of every text; compares the beginnings of up to 64 texts of the first call."""
        if self._kernels and not self._checked and len(texts):
            self._checked = True
            if not _agree(self._kernels, self._reference, texts):
                _LOG.warning("%s: kernels and tokenizers differ; encoding with tokenizers", self._path)
                self._kernels = None
        return (self._kernels or self._reference).encode(texts)

    @property
    def engine(self) -> str:
        """``kernels`` or ``tokenizers``: which of the two gives the answers."""
        return "kernels" if self._kernels else "tokenizers"


def _agree(encoder: Encoder, reference: Encoder, sample: pa.LargeStringArray) -> bool:
    step = max(1, len(sample) // GUARD_DOCUMENTS)
    chosen = pc.utf8_slice_codeunits(sample.take(pa.array(np.arange(0, len(sample), step))), 0, GUARD_CHARACTERS)
    return all(np.array_equal(*pair) for pair in zip(encoder.encode(chosen), reference.encode(chosen), strict=True))
