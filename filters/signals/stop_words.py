"""Stop words by language: eight of Gopher for English, the FineWeb-2 lists for the others.

Words that white-space splitting never yields alone (French l' and d', dots of Chinese and Japanese) are left out.
"""

from collections import namedtuple
from functools import cache

import numpy as np
import pyarrow as pa

from gristmill.corpus.text.columns import text_column
from gristmill.filters.signals._kernels_layout import LANGUAGES
from gristmill.filters.signals._kernels_words import STOP_SLOTS, hash_words

_LISTS = {
    "en": "the be to of and that have with",
    "ru": "в и на с года по году из был к не от что за для его как а он также до после",
    "de": "der und die in von im den des mit das er dem als wurde für",
    "fr": "de la le et à en des du les est un une il dans par au",
    "es": "de la en el y a que del los se por un con una las su",
}
_CHARACTERS = {"zh": "的年在月是和日了於為有被人中为他與後也而由", "ja": "のにをはたてがとで年し月れさ"}
STOP_WORDS: dict[str, tuple[str, ...]] = {
    **{language: tuple(words.split()) for language, words in _LISTS.items()},
    **{language: tuple(words) for language, words in _CHARACTERS.items()},
}
_MOST = 127  # different words; place 127 is that of no word
StopTable = namedtuple("StopTable", "places keys shift n_english languages")


@cache
def stop_table() -> StopTable:
    """All stop words in a table without collisions, so that a look-up takes no branch.

    Returns
    -------
    places uint8[STOP_SLOTS] : number of the word whose hash has the slot (hash >> shift) % STOP_SLOTS, 127 for none;
        the n_english English ones come first
    keys uint64[128] : hash of each word, 0 for none
    languages uint64[n_languages, 2] : which words belong to each of ``LANGUAGES``, as 128 bits
    """
    words = list(dict.fromkeys(word for listed in STOP_WORDS.values() for word in listed))
    assert len(words) <= _MOST
    hashes = np.empty(len(words), np.uint64)
    hash_words(*text_column(pa.record_batch({"text": words})), hashes)
    shift = next(shift for shift in range(52) if len(np.unique(_slots(hashes, shift))) == len(words))
    places = np.full(STOP_SLOTS, _MOST, np.uint8)
    places[_slots(hashes, shift)] = np.arange(len(words))
    keys = np.zeros(_MOST + 1, np.uint64)
    keys[: len(words)] = hashes
    numbers = [[words.index(word) for word in STOP_WORDS[language]] for language in LANGUAGES]
    languages = [[sum(1 << n for n in of) % 2**64, sum(1 << n for n in of) >> 64] for of in numbers]
    return StopTable(places, keys, np.uint64(shift), len(STOP_WORDS["en"]), np.array(languages, np.uint64))


def _slots(hashes: np.ndarray, shift: int) -> np.ndarray:
    return hashes >> np.uint64(shift) & np.uint64(STOP_SLOTS - 1)
