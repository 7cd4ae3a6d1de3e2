"""How evenly the words of a text are drawn, for its length and its number of different words."""

from gristmill.corpus.text._kernels_jit import kernel
from gristmill.filters.signals._kernels_entropy import log2


@kernel
def evenness(words, distinct, entropy_bits, fitted, out):
    """out[d] = entropy_bits[d] - (fitted[0] + fitted[1] log2(words + 1) + fitted[2] log2(distinct + 1)).

    words, distinct, entropy_bits, out double[n_docs], the first two whole numbers; fitted double[3].
    """
    for doc in range(words.size):
        expected = fitted[0] + fitted[1] * log2(int(words[doc]) + 1) + fitted[2] * log2(int(distinct[doc]) + 1)
        out[doc] = entropy_bits[doc] - expected
