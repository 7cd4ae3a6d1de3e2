"""Where each signal stands in a row of the kernels' output. Data alone: the catalogue reads it without numba."""

import numpy as np

LANGUAGES = ("en", "zh", "ja", "ru", "de", "fr", "es")  # of stop words, bit tables in this order
GROUPS = {
    "size": ("bytes", "chars", "words", "content_words", "distinct_words", "sentences", "lines", "text_lines", "paragraphs"),
    "chars": ("alpha_share", "upper_share", "digit_share", "punct_share", "symbol_share", "space_share", "cjk_share"),
    "entropy": ("byte_entropy_bits", "char_entropy_bits", "word_entropy_bits", "word_conditional_entropy_bits"),
    "words": (
        "mean_word_chars", "median_word_chars", "alpha_word_share", "hash_word_ratio", "ellipsis_word_ratio",
        "newline_word_ratio", "dolma_symbol_word_share", "dolma_stop_words",
    ),
    "stops": tuple("stop_words" if language == "en" else f"stop_words_{language}" for language in LANGUAGES),
    "lines": (
        "bullet_line_share", "dolma_bullet_line_share", "dclm_bullet_line_share", "ellipsis_line_share",
        "dolma_ellipsis_line_share", "dclm_ellipsis_line_share", "terminal_punct_line_share", "sentence_end_line_share",
        "short_line_share", "c4_line_share", "c4_sentences", "javascript_lines", "policy_lines", "lorem_ipsum", "curly_brackets",
    ),
    "duplicates": (
        "dup_line_share", "dup_line_char_share", "dup_paragraph_share", "dup_paragraph_char_share", "fineweb_dup_line_char_share",
        "dolma_dup_line_share", "dolma_dup_line_char_share", "dclm_dup_line_share", "dclm_dup_line_char_share",
        "dclm_dup_paragraph_share", "dclm_dup_paragraph_char_share",
    ),
    "grams": tuple(
        f"{reading}{kind}_{n}gram_char_share"
        for reading in ("", "dolma_", "dclm_")
        for kind, sizes in (("top", (2, 3, 4)), ("dup", (5, 6, 7, 8, 9, 10)))
        for n in sizes
    ),
}  # fmt: skip
NAMES = tuple(name for names in GROUPS.values() for name in names)
_ENDS = np.cumsum([len(names) for names in GROUPS.values()])
SIZE_END, CHARS_END, ENTROPY_END, WORDS_END, STOPS_END, LINES_END, DUPLICATES_END = (int(end) for end in _ENDS[:-1])
