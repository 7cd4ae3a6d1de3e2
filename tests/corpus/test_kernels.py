import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numba import njit

from gristmill.corpus.text import _kernels as k
from gristmill.corpus.text import _unicode, _unicode_table
from gristmill.corpus.text.columns import PAD_BYTES, text_column

# every class, characters of 1 to 4 bytes, and the neighbours of each test in the kernels
ALPHABET = "aZz09 \t\n\v\f\r\x1c\x1f\x00\x7f_-'.,#{$+éßΩжЖ́ёا١あア々〇中文。，ｱ한글ไทย\u00a0\u2028\u3000\u200b•…😀𠀀𝒜🏽﷽"
characters = st.one_of(st.sampled_from(ALPHABET), st.characters(exclude_categories=["Cs"]))
texts = st.text(characters, max_size=200)
long_texts = st.builds(lambda text, n: text * n, st.text(st.sampled_from(ALPHABET), max_size=9), st.integers(0, 40))
any_text = st.one_of(texts, long_texts)


def flags(character: str) -> int:
    return int(k.char_class(ord(character)))


def padded(data: bytes) -> np.ndarray:
    return np.frombuffer(data + bytes(PAD_BYTES), np.uint8).copy()


def naive_split(text: str, by_class: bool) -> list[str]:
    found, word = [], ""
    for character in text:
        of = flags(character)
        separates = not of & (k.ALPHA | k.NUMBER | k.MARK) if by_class else of & k.SPACE
        if separates or of & k.CJK:
            found += [word] if word else []
            word = ""
            found += [character] if not separates else []
        else:
            word += character
    return found + ([word] if word else [])


def kernel_split(kernel, text: str, before: str = "", after: str = "") -> list[str]:
    column = text_column(pa.record_batch({"text": [before, text, after]}))
    room = k.word_capacity(column.offsets[1:3])
    starts, ends = np.full(room, -1), np.full(room, -1)
    n = kernel(column.data, column.offsets[1], column.offsets[2], starts, ends)
    return [column.data[a:b].tobytes().decode() for a, b in zip(starts[:n], ends[:n], strict=True)]


def test_the_table_is_what_the_generator_writes():
    if unicodedata.unidata_version != _unicode_table.UNICODE_VERSION:
        pytest.skip("the table was made with another Unicode version")
    blocks, of_block = _unicode.build()
    assert (blocks == _unicode_table.BLOCKS).all()
    assert (of_block == _unicode_table.FLAGS).all()


@given(characters)
def test_classes_equal_unicodedata(character):
    if unicodedata.unidata_version == _unicode_table.UNICODE_VERSION:
        assert flags(character) == _unicode.flags_of(ord(character))
    assert bool(flags(character) & k.SPACE) == character.isspace()


@given(any_text, texts, texts)
@example("中" * 50, "", "")
@example("a" * 63 + "中b", "", "")
@example("a" * 62 + "\u3000b", "x", "y")
@example("a" * 61 + "中", "x", "y")
def test_tokenise_equals_its_twin(text, before, after):
    assert kernel_split(k.tokenise, text, before, after) == naive_split(text, by_class=False)


@given(any_text, texts, texts)
@example("a" * 63 + "，b", "", "")
@example("中a1_b" * 20, "", "")
def test_words_equal_their_twin(text, before, after):
    assert kernel_split(k.words, text, before, after) == naive_split(text, by_class=True)


@given(any_text)
def test_white_space_words_are_pythons_without_cjk(text):
    plain = "".join(character for character in text if not flags(character) & k.CJK)
    assert kernel_split(k.tokenise, plain) == plain.split()


@given(any_text)
def test_decode_and_count_chars(text):
    data = padded(text.encode())
    at, points = 0, []
    while at < data.size - PAD_BYTES:
        point, n_bytes = k.decode(data, at)
        points.append(chr(point))
        at += n_bytes
    assert "".join(points) == text
    assert k.count_chars(data, 0, data.size - PAD_BYTES) == len(text)


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


utf8_bytes = st.sampled_from([0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1])
high_bytes = st.sampled_from([0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF])
crafted = st.lists(st.one_of(utf8_bytes, high_bytes), max_size=6).map(bytes)


@given(st.lists(st.one_of(crafted, st.binary(max_size=80), any_text.map(str.encode)), max_size=5))
@example([b"\xe4\xb8", b"\xad"])
@example([b"a" * 70 + b"\xff", b""])
def test_first_invalid_utf8_agrees_with_python(documents):
    offsets = np.cumsum([0, *map(len, documents)])
    bad = [number for number, document in enumerate(documents) if not is_utf8(document)]
    assert k.first_invalid_utf8(offsets, padded(b"".join(documents))) == (bad[0] if bad else -1)


@given(st.integers(50, 70), st.lists(crafted, max_size=12).map(b"".join))
def test_utf8_is_checked_across_blocks(n_before, rest):
    document = b"a" * n_before + rest
    found = k.first_invalid_utf8(np.array([0, len(document)]), padded(document + b"\x80\xbf"))
    assert found == (-1 if is_utf8(document) else 0)


def test_what_the_masks_of_lead_bytes_promise_holds_for_every_character():
    """Words are cut without decoding a character where its first byte alone says what it is."""
    for point in (*range(0x80, 0xD800), *range(0xE000, 0x110000)):
        lead, of = chr(point).encode()[0], int(k.char_class(point))
        if 0xE5 <= lead <= 0xE9:
            assert of & k.ALPHA
            assert of & k.CJK
        elif lead in (0xD0, 0xD1):
            assert of & k.ALPHA
            assert not of & k.CJK
        elif not (lead == 0xC2 or 0xE1 <= lead <= 0xE4 or lead >= 0xEF):
            assert not of & (k.SPACE | k.CJK)


@given(any_text)
def test_folded_hash_is_the_hash_of_the_lower_case(text):
    lower = "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text).encode()
    data, folded = padded(text.encode()), padded(lower)
    size = data.size - PAD_BYTES
    assert k.hash_bytes(data, 0, size, True) == k.hash_bytes(folded, 0, size, False)


@given(st.binary(max_size=70), st.binary(max_size=70))
def test_hashes_of_different_bytes_differ_and_what_follows_does_not_matter(left, right):
    both = padded(left + right)
    alone = k.hash_bytes(padded(left), 0, len(left), False)
    assert k.hash_bytes(both, 0, len(left), False) == alone
    assert (k.hash_bytes(padded(right), 0, len(right), False) == alone) == (left == right)


def test_hashes_spread_over_all_bits():
    column = text_column(pa.record_batch({"text": [f"w{number}" for number in range(20000)]}))
    hashes = np.empty(column.n_docs, np.uint64)
    k.hash_documents(*column, False, hashes)
    assert len(np.unique(hashes)) == column.n_docs
    bits = np.unpackbits(hashes.view(np.uint8)).reshape(-1, 64).mean(axis=0)
    assert abs(bits - 0.5).max() < 0.02  # five standard deviations


@given(st.lists(st.integers(0, 5), max_size=30), st.integers(1, 9))
def test_shingles_are_equal_where_their_words_are(values, width):
    hashes = np.array([value * int(k.K1) % 2**64 for value in values], np.uint64)
    out = np.empty(len(values) + 1, np.uint64)
    n = k.hash_shingles(hashes, len(values), width, out)
    width = min(width, len(values))
    shingles = [tuple(values[at : at + width]) for at in range(len(values) - width + 1)] if values else []
    assert n == len(shingles)
    assert len(set(out[:n].tolist())) == len(set(shingles))
    assert len(set(zip(out[:n].tolist(), shingles, strict=True))) == len(set(shingles))


@given(st.lists(any_text, max_size=6))
def test_word_capacity_holds_the_words_of_every_document(documents):
    column = text_column(pa.record_batch({"text": pa.array(documents, pa.string())}))
    room = k.word_capacity(column.offsets)
    assert all(len(naive_split(text, by_class=True)) <= room for text in documents)


@njit
def bits_of(word, other, data):
    counts, products = (k.ctz(word), k.clz(word), k.popc(word)), (k.mum(word, other), k.mulhi(word, other))
    leads = (k.lead_mask(data, 0), k.han_lead_mask(data, 0), k.cyrillic_lead_mask(data, 0), k.mixed_lead_mask(data, 0))
    masks = (k.equal_mask(data, 0, 10), k.letter_mask(data, 0, 97), k.range_mask(data, 0, 0x80, 0xBF), *leads)
    return counts, products, (k.load64(data, 0), k.continuations(k.load64(data, 0))), masks


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.binary(min_size=64, max_size=64))
def test_instructions(word, other, block):
    (zeros, zeros_above, ones), (folded, high), (loaded, continued), masks = bits_of(
        np.uint64(word), np.uint64(other), padded(block)
    )
    assert zeros == (f"{word:064b}"[::-1] + "1").index("1")
    assert zeros_above == 64 - word.bit_length()
    assert ones == word.bit_count()
    assert (folded, high) == ((word * other >> 64) ^ (word * other % 2**64), word * other >> 64)
    assert loaded == int.from_bytes(block[:8], "little")
    assert continued == sum(0x80 <= byte < 0xC0 for byte in block[:8])
    chosen = (
        {10},
        {65, 97},
        set(range(0x80, 0xC0)),
        set(range(0xC0, 0x100)),
        set(range(0xE5, 0xEA)),
        {0xD0, 0xD1},
        {0xC2, *range(0xE1, 0xE5), *range(0xEF, 0x100)},
    )
    for mask, bytes_chosen in zip(masks, chosen, strict=True):
        assert mask == sum(1 << at for at in range(64) if block[at] in bytes_chosen)


@njit
def _asked_for(rows, at):
    k.prefetch(rows, at)
    return rows[at, 0], rows.shape[0]


def test_a_line_that_is_asked_for_stays_as_it_is():
    rows = np.arange(24, dtype=np.uint64).reshape(3, 8)
    assert [_asked_for(rows, at) for at in range(3)] == [(0, 3), (8, 3), (16, 3)]
    assert np.array_equal(rows, np.arange(24).reshape(3, 8))
