"""The entropy score: its counts against plain Python, its parts, its reference, what it says of damaged text."""

import itertools
import json
import math
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gristmill.corpus.text.columns import text_column
from gristmill.filters.decide.profiles import PROFILES
from gristmill.filters.models import _kernels_known as known
from gristmill.filters.models import _kernels_marks as marks
from gristmill.filters.models._kernels_evidence import LOOKED, REPEATED
from gristmill.filters.models._kernels_repeats import BUCKETS, SPAN
from gristmill.filters.models.entropy_features import FEATURES, GROUPS
from gristmill.filters.models.entropy_score import gather, measure, score, tables, weights
from gristmill.filters.models.stage import ENTROPY, ENTROPY_PARTS, Entropy

PROSE = (
    "The mill stands by the river. Its wheel turns slowly, and the miller listens to it (as he does every morning) "
    "before he opens the door. In the afternoon, when all have left, he sweeps the floor and reads the news. "
    "His wife sits beside him. She writes into a book what each of them has brought, and what he is given for it.\n"
)
GERMAN = (
    "Die Mühle steht am Fluss. Ihr Rad dreht sich langsam, und der Müller hört ihm zu, bevor er die Tür öffnet. Am "
    "Nachmittag, wenn die Bauern gegangen sind, fegt er den Boden und liest die Zeitung. Seine Frau sitzt daneben. Sie "
    "schreibt in ein Buch, was jeder gebracht hat und was er dafür bekommen soll (das ist nicht immer leicht).\n"
)
pieces = st.sampled_from(
    [
        PROSE[:60],
        GERMAN[:50],
        "Ab1c ",
        "(x) [",
        "] y",
        "。本の水車",
        "ถนน",
        "\n",
        "  ",
        "a,b",
        "١٢",
        "שלום ",
        "iPhone7",
        "\x01",
        "é!",
        "\u200b",
    ]
)
texts = st.lists(pieces | st.text(max_size=12), max_size=14).map("".join)
MASK = (1 << 64) - 1
CJK = (
    (0x3005, 0x3007), (0x3040, 0x312F), (0x31A0, 0x31BF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF), (0xFF66, 0xFF9F), (0x1AFF0, 0x1B16F), (0x20000, 0x3FFFF),
)  # fmt: skip
LOWERED = ((0x41, 0x587), (0x10A0, 0x10FF), (0x1E00, 0x1FFF))  # scripts whose capitals begin sentences
HIDDEN = {*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2065), 0xFEFF, 0xAD}


# ------------------------------------------------------------------------------------------------ the twin


def mix(value: int) -> int:
    mixed = (value ^ 0x9E3779B97F4A7C15) * 0xBF58476D1CE4E5B9 & MASK
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & MASK
    return mixed ^ mixed >> 31


def longer(before: int, symbol: int) -> int:
    return ((before + 1) * 0x9E3779B97F4A7C15 + mix(symbol)) & MASK


def seek(table: np.ndarray, check_bits: int, key: int) -> int:
    slot, check = key >> (65 - len(table).bit_length()), key % (1 << check_bits) | 1 << (check_bits - 1)
    for probe in range(known.PROBES):
        entry = int(table[(slot + probe) % len(table)])
        if entry == 0 or entry >> (32 - check_bits) == check:
            return entry
    return 0


def naive_symbols(text: str) -> list[tuple[int, str]]:
    """(symbol, the character as it stands), behind a blank; a run of white space is one, a line feed if it has one."""
    out = [(32, "\n")]
    for one in text:
        if ord(one) in HIDDEN:
            continue
        if one.isspace():
            if out[-1][0] == 32:
                out[-1] = (32, "\n" if "\n" in out[-1][1] + one or one == "\u2028" else out[-1][1])
                continue
            out.append((32, "\n" if one in "\n\u2028" else " "))
        elif one in "0123456789":
            out.append((48, one))
        else:
            low = one.lower() if any(first <= ord(one) <= last for first, last in LOWERED) else one
            out.append((ord(low) if len(low) == 1 else ord(one), one))
    return out


def naive_characters(symbols: list[tuple[int, str]]) -> tuple[int, int]:
    """(cost of all symbols but the first, the language that most n-grams vote for)."""
    cost, votes = 0, [0] * known.LANGUAGES
    for at in range(1, len(symbols)):
        length, entry = 0, 0
        for n in range(min(known.ORDER, at + 1), 0, -1):
            key = 0
            for symbol, _ in symbols[at + 1 - n : at + 1]:
                key = longer(key, symbol)
            entry = seek(tables().characters, 16, key)
            if entry:
                length = n
                break
        cost += (entry >> 8 & 255 if entry else known.UNSEEN) + known.BACKOFF * (known.ORDER - max(length, 1))
        if length >= 3 and entry & 255:
            votes[entry & 255] += 1
    return cost, votes.index(max(votes)) if any(votes) else 0


def is_word(one: str) -> bool:
    return unicodedata.category(one)[0] in "LNM"


def is_cjk(one: str) -> bool:
    return any(first <= ord(one) <= last for first, last in CJK) and unicodedata.category(one)[0] in "LN"


def naive_tokens(symbols: list[tuple[int, str]], language: int) -> list[tuple[int, int]]:
    """(key of the token, key of its ending)."""
    salt, out, at = mix(1000 + language), [], 1
    while at < len(symbols):
        start = at
        at += 1
        if symbols[start][0] == 32:
            if symbols[start][1] == "\n":
                out.append((mix(salt ^ 10), mix(salt ^ 10)))
            continue
        if is_word(symbols[start][1]) and not is_cjk(symbols[start][1]):
            while at < len(symbols) and symbols[at][0] != 32 and is_word(symbols[at][1]) and not is_cjk(symbols[at][1]):
                at += 1
        key = 0
        for symbol, _ in symbols[start:at]:
            key = longer(key, symbol)
        tail = symbols[at - 1][0] << 32 | (symbols[at - 2][0] if at - start >= 2 else 0)
        capital = unicodedata.category(symbols[start][1]) == "Lu"
        out.append((mix(key ^ salt), mix(mix(tail) ^ salt ^ capital << 40 ^ 7)))
    return out


def naive_pairs(tokens: list[tuple[int, int]], total: int) -> tuple[int, int]:
    """(pairs of known classes, what they gain over chance in 1/64 bit)."""
    classes = []
    for word, ending in tokens:
        entry = seek(tables().tokens, 20, word)
        used = word if entry else ending
        entry = entry or seek(tables().tokens, 20, ending)
        classes.append((used, entry & 4095) if entry else None)
    pairs = gain = 0
    for one, other in itertools.pairwise(classes):
        if one and other:
            seen = seek(tables().tokens, 20, mix((one[0] * 0x9E3779B97F4A7C15 + other[0]) & MASK))
            chance = max(one[1] + other[1] - total, -2048)
            gain += (round(math.log2(1 + 2 ** ((seen & 4095) / 64)) * 64) if seen else 0) - round(
                math.log2(1 + 2 ** (chance / 64)) * 64
            )
            pairs += 1
    return pairs, gain


def naive_repeats(symbols: list[int]) -> tuple[int, int]:
    looked, seen, met = 0, 0, set()
    for end in range(SPAN, len(symbols) + 1):
        key = 0
        for symbol in symbols[end - SPAN : end]:
            key = (key * 0x100000001B3 + symbol + 1) & MASK
        if mix(key) & 3 == 0:
            looked, seen = looked + 1, seen + (mix(key) >> 16 in met)
            met.add(mix(key) >> 16)
    return looked, seen


def naive_mutual(symbols: list[int]) -> float:
    pairs = [(mix(a) % BUCKETS, mix(b) % BUCKETS) for a, b in itertools.pairwise(symbols)]
    if len(pairs) < 2:
        return 0.0
    first, second = [a for a, _ in pairs], [b for _, b in pairs]

    def bits(values: list) -> float:
        shares = [values.count(one) / len(values) for one in set(values)]
        return -sum(share * math.log2(share) for share in shares)

    bias = len(set(pairs)) - len(set(first)) - len(set(second)) + 1
    return bits(first) + bits(second) - bits(pairs) - bias / (2 * len(pairs) * math.log(2))


# ------------------------------------------------------------------------------------------------ equal


@settings(max_examples=25)
@given(text=texts)
@example(text=PROSE)
@example(text="(a] 12x aB,c. D\n\n本の水車\u0301 ß İ")
@example(text="ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ, ᲡᲐᲥᲐᲠᲗᲕᲔᲚᲝ")  # capitals that stay as they are: Cherokee, Georgian in titles
def test_counts_are_those_of_plain_python(text):
    evidence, mutual = gather(text_column(pa.record_batch({"text": [text]})), tables())
    row, symbols = evidence[0], naive_symbols(text)
    cost, language = naive_characters(symbols)
    at = marks.N_COUNTS
    assert row[marks.CHARS] == len(symbols) - 1
    assert row[marks.LETTERS] == sum(one.isalpha() for _, one in symbols)
    assert row[marks.UPPERS] == sum(unicodedata.category(one) == "Lu" for _, one in symbols)
    assert row[marks.WORDS] == len("".join(chr(symbol) for symbol, _ in symbols).split(" ")) - "".join(
        chr(symbol) for symbol, _ in symbols
    ).split(" ").count("")
    assert (row[at + known.BITS], row[at + known.LANGUAGE]) == (cost, language)
    tokens = naive_tokens(symbols, language)
    assert row[at + known.TOKENS] == len(tokens)
    assert (row[at + known.PAIRS], row[at + known.PAIR_GAIN]) == naive_pairs(tokens, int(tables().totals[language]))
    assert (row[LOOKED], row[REPEATED]) == naive_repeats([symbol for symbol, _ in symbols])
    assert mutual[0] == pytest.approx(naive_mutual([symbol for symbol, _ in symbols]), abs=1e-9)


@given(some=st.lists(texts, max_size=5))
@example(some=["0a,bé!é!", "A(x) [0\n", "*0é(x) ["])  # a sum by np.sum gave other digits alone than in a batch
def test_a_document_is_judged_alone(some):
    column = pa.array(some, pa.large_string())
    whole = score(text_column(pa.record_batch({"text": column})), tables(), weights())
    for number, text in enumerate(some):
        alone = score(text_column(pa.record_batch({"text": [text]})), tables(), weights())
        assert {name: values[number] for name, values in whole.parts.items()} == {
            name: values[0] for name, values in alone.parts.items()
        }


def test_real_texts_have_the_same_digits_alone_in_a_batch_and_in_another_order():
    lines = (Path(__file__).parents[2] / "samples/forum/fortunes.en.jsonl").read_text().splitlines()[:120]
    some = [json.loads(line)["text"] for line in lines]
    whole, turned = (
        score(text_column(pa.record_batch({"text": one})), tables(), weights()) for one in (some, some[::-1])
    )
    alone = [score(text_column(pa.record_batch({"text": [one]})), tables(), weights()).parts for one in some]
    for name, values in whole.parts.items():
        assert values.tolist() == turned.parts[name][::-1].tolist() == [parts[name][0] for parts in alone]


# ------------------------------------------------------------------------------------------------ what it says


def scores_of(*some: str) -> list[float]:
    found = measure(pa.record_batch({"text": pa.array(some)}), Entropy(), (tables(), weights()))
    return found.columns["entropy_score"].to_pylist()


def shuffled(text: str) -> str:
    words = text.split()
    return " ".join(np.random.default_rng(1).permutation(words))


@pytest.mark.parametrize(
    "damaged",
    [
        shuffled,
        lambda text: text.encode().decode("latin-1").replace(" ", "Â\xa0"),
        lambda text: "".join(text.split()),
        lambda text: "\n".join(text[:80] for _ in range(20)),
        lambda text: " ".join(word[: (len(word) + 1) // 2] for word in text.split()),
        lambda text: "\n".join("3.141 2.718 1.618 0.577" for _ in range(40)),
    ],
)
@pytest.mark.parametrize("text", [PROSE, GERMAN])
def test_damaged_text_scores_above_its_own_and_clean_text_below_the_bound(text, damaged):
    clean, bad = scores_of(text, damaged(text))
    (rule,) = PROFILES["entropy@score"].rules
    assert not rule.fails(np.array([clean]))[0]
    assert bad > clean + 2


def test_parts_add_up_and_name_the_language():
    found = measure(pa.record_batch({"text": [PROSE, GERMAN, "", " \n"]}), Entropy(), (tables(), weights()))
    parts = [found.columns[f"entropy_part_{name}"].to_numpy() for name in (*GROUPS, "start")]
    assert np.sum(parts, axis=0) == pytest.approx(found.columns["entropy_score"].to_numpy(), abs=1e-9)
    assert found.columns["entropy_language"].to_pylist() == ["en", "de", "none", "none"]
    assert found.columns["entropy_score"].to_pylist()[2:] == [0.0, 0.0]
    assert (
        {*found.columns}
        == {one.name for one in (*ENTROPY.signals, *ENTROPY.labels)}
        == {*ENTROPY_PARTS.values(), "entropy_language"}
    )


def test_a_long_document_is_judged_by_stretches_of_it_and_a_fault_in_each_is_seen():
    lines = (PROSE + GERMAN).splitlines() * 40
    assert np.diff(scores_of("\n".join(lines), "\n".join(map(shuffled, lines)))) > 0
    evidence, _ = gather(text_column(pa.record_batch({"text": ["水車小屋。" * 9000, PROSE * 200]})), tables())
    assert (evidence[:, marks.CHARS] <= marks.WHOLE).all()


def test_the_reference_is_small_holds_no_text_and_every_feature_has_a_curve():
    assert sum(table.nbytes for table in tables()) < 8e6
    assert [str(table.dtype) for table in tables()] == ["uint32", "uint32", "int64"]
    assert {*weights().knots} == {*weights().points} == {*FEATURES}
    assert "en" in weights().languages
    assert len(weights().languages) >= 100
