"""What the entropy score counts of a text's layout, by plain Python; its tables, curves and features; ten languages."""

import re
import unicodedata
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gristmill.corpus.text.columns import text_column
from gristmill.filters.models import _kernels_known as known
from gristmill.filters.models import _kernels_marks as marks
from gristmill.filters.models.entropy_features import (
    BY_LANGUAGE,
    CLASSES,
    FALLING,
    FEATURES,
    RISING,
    against_language,
    class_of,
    features_of,
)
from gristmill.filters.models.entropy_score import gather, points_of, score, tables, weights

OPENING, CLOSING = "([{«“「『【（《", ")]}»”」』】）》"
ENDS = ".!?…。！？।॥؟۔։።။។"
CUSTOMARY = "'-’"
pieces = st.sampled_from(
    [
        "One. Two",
        "three, four",
        "a,b",
        "x|y",
        "it's",
        "well-known",
        "l1ne",
        "camelCase",
        "(in)",
        "[open",
        "shut)",
        "«dit»",
        "Ende.",
        "«Oui.»",
        "\n",
        "\n\n",
        "  ",
        "123",
        "2014년",
        "水車。",
        "「はい」",
        "ถนนสายนี้",
        "שלום",
        "Ωδή",
        "\u00ad",
        "Ⅷ",
        "é",
        "e\u0301",
        "A" * 45,
    ]
)
texts = st.lists(pieces, max_size=30).map(" ".join) | st.lists(pieces, max_size=12).map("".join)


COUNTED = {
    "humps": marks.HUMPS, "digin": marks.DIGIT_INSIDE, "digits": marks.DIGITS, "puncts": marks.PUNCTS,
    "symbols": marks.SYMBOLS, "inside": marks.INSIDE, "words": marks.WORDS, "squares": marks.SQUARES,
    "singles": marks.SINGLES, "long": marks.LONG_CHARS, "ascending": marks.ASCENDING, "capitals": marks.CAPITALS,
    "end_capitals": marks.END_CAPITALS, "ends": marks.ENDS, "lines": marks.LINES, "long_lines": marks.LONG_LINES,
    "line_ends": marks.LINE_ENDS,
}  # fmt: skip


# ------------------------------------------------------------------------------------------------ the twin


def category(one: str) -> str:
    return unicodedata.category(one)[0]


def read(text: str) -> str:
    """Runs of white space as one character, a line feed where they hold one; soft hyphens are nothing."""
    out = "\n"
    for one in text.replace("\u00ad", ""):
        if not one.isspace():
            out += one
        elif out[-1].isspace():
            out = out[:-1] + ("\n" if "\n" in (one, out[-1]) else out[-1])
        else:
            out += "\n" if one == "\n" else " "
    return out


def east(one: str) -> bool:
    return ord(one) >= 0x1100


def naive_signs(read_text: str) -> Counter[str]:
    """What single characters and their neighbours add."""
    found: Counter[str] = Counter()
    for at in range(1, len(read_text)):
        before, one = read_text[at - 1], read_text[at]
        after = read_text[at + 1] if at + 1 < len(read_text) else " "
        between = before.isalpha() and after.isalpha() and not east(before.lower()) and not east(after.lower())
        if one.isalpha():
            found["humps"] += (
                unicodedata.category(one) == "Lu" and before.isalpha() and unicodedata.category(before) != "Lu"
            )
            found["digin"] += category(before) == "N" and not east(one)
        elif category(one) == "N":
            found["digits"] += 1
            found["digin"] += before.isalpha() and not east(before)
        elif category(one) in "PS":
            found["puncts" if category(one) == "P" else "symbols"] += 1
            found["inside"] += between and one not in CUSTOMARY
    return found


def naive_words(read_text: str) -> Counter[str]:
    """What words, their capitals and their ends add."""
    found: Counter[str] = Counter()
    before, after_end, line_start, at = 0, True, 1, 1
    stretches = read_text[1:]
    while at <= len(stretches):
        end = at
        while end <= len(stretches) and not read_text[end].isspace():
            end += 1
        word = read_text[at:end]
        if word:
            first = ord(word[0].lower()) if len(word[0].lower()) == 1 and ord(word[0]) < 0x2000 else ord(word[0])
            first = 48 if word[0] in "0123456789" else first
            capital = unicodedata.category(word[0]) == "Lu"
            closes = word[-1] in ENDS or (len(word) > 1 and word[-2] in ENDS)
            found["words"] += 1
            found["squares"] += min(len(word), 40) ** 2
            found["singles"] += len(word) == 1
            found["long"] += len(word) if len(word) > 30 else 0
            found["ascending"] += first >= before
            found["capitals"] += capital
            found["end_capitals"] += capital and after_end
            found["ends"] += closes
            before, after_end = first, closes
            if end <= len(stretches) and read_text[end] == "\n":
                found["lines"] += 1
                found["long_lines"] += end - line_start >= 40
                found["line_ends"] += closes and end - line_start >= 40
                line_start = end
        at = end + 1
    return found


def naive_brackets(read_text: str) -> tuple[int, int]:
    """(brackets, of these out of place)."""
    depth = since = n = bad = 0
    for at, one in enumerate(read_text):
        bare = (one in CLOSING and not depth) or (one in OPENING and read_text[at + 1 : at + 2] in ("", " "))
        if bare and re.search(r"[:;=]-?$", read_text[:at]):  # a smiley
            continue
        if one in OPENING:
            n += 1
            if depth and at - since > 300:
                bad, depth = bad + depth, 0
            depth, since = depth + 1, at
        elif one in CLOSING:
            n += 1
            bad, depth = (bad + 1, 0) if depth == 0 else (bad, depth - 1)
    return n, bad + depth


@settings(max_examples=60)
@given(text=texts)
@example(text="A first line of more than forty characters ends here.\nA second one of as many does not end here,\n")
@example(text="(" * 3 + "a" * 400 + "(b) ]")
@example(text="so it goes :) or ;-( and =] but a-) b: (c) ::-) and f=(x) (see:) :(")
def test_layout_is_counted_as_in_plain_python(text):
    evidence, _ = gather(text_column(pa.record_batch({"text": [text]})), tables())
    row, plain = evidence[0], read(text)
    plain_counts = naive_signs(plain) + naive_words(plain)
    assert {name: row[column] for name, column in COUNTED.items()} == {name: plain_counts[name] for name in COUNTED}
    assert (row[marks.BRACKETS], row[marks.BAD_BRACKETS]) == naive_brackets(plain)


# ------------------------------------------------------------------------------------------------ tables and curves


@given(keys=st.sets(st.integers(1 << 20, (1 << 64) - 1), max_size=40))
def test_what_is_put_into_a_table_is_found_again_and_the_rest_is_counted_as_lost(keys):
    table = np.zeros(64, np.uint32)
    listed, values = np.array(sorted(keys), np.uint64), np.arange(1, len(keys) + 1).astype(np.uint32)
    shift = np.uint64(65 - len(table).bit_length())
    lost = known.put_all(table, shift, 20, listed, values)
    assert lost == len(keys) - np.count_nonzero(table)
    found = [int(known.seek(table, shift, 20, key)) & 4095 for key in listed]
    same = sum(one == value for one, value in zip(found, values.tolist(), strict=True))
    assert same >= len(keys) - lost - 1  # two keys with one check and place are one in 2^20


def test_curves_rise_and_fall_as_declared():
    for name in FEATURES:
        steps = np.diff(weights().points[name], axis=1)
        assert steps.shape == (CLASSES, len(weights().knots[name]) - 1)
        assert name not in RISING or (steps >= -0.0011).all()
        assert name not in FALLING or (steps <= 0.0011).all()


@given(value=st.floats(-20, 20), feature=st.sampled_from(FEATURES), number=st.integers(0, CLASSES - 1))
def test_points_are_read_from_the_curve(value, feature, number):
    fitted, names = weights(), [name for name in FEATURES if name != feature]
    centre = np.array([number])
    base = {
        name: np.array([fitted.centres[number, 0, BY_LANGUAGE.index(name)] if name in BY_LANGUAGE else 0.0])
        for name in names
    }
    low, high = (
        points_of(base | {feature: np.array([one])}, centre, np.array([0]), fitted)[-1][0] for one in (-1e9, value)
    )
    if feature in BY_LANGUAGE:
        at = BY_LANGUAGE.index(feature)
        value = (value - fitted.centres[number, 0, at]) / fitted.scales[number, at]
    knots, curve = fitted.knots[feature], fitted.points[feature][number]
    assert high - low == pytest.approx(np.interp(value, knots, curve) - curve[0], abs=2e-4)


def test_features_are_shares_and_means_and_those_of_a_language_are_measured_against_it():
    batch = pa.record_batch({"text": ["A mill. A mill? A mill!", "水車小屋は川のそばにある。", ""]})
    evidence, mutual = gather(text_column(batch), tables())
    found = features_of(evidence, mutual)
    assert {*found} == {*FEATURES}
    assert all(np.isfinite(values).all() for values in found.values())
    assert found["letters"].tolist()[:2] == pytest.approx([15 / 23, 12 / 13])
    assert found["ends"].tolist()[0] == pytest.approx(3 / 6)
    assert found["caps"].tolist()[0] == pytest.approx(3 / 6)
    classes = class_of(evidence, tables().totals)
    assert (classes // 2).tolist() == [0, 2, 0]
    zeros, ones = np.zeros((CLASSES, known.LANGUAGES, len(BY_LANGUAGE))), np.ones((CLASSES, len(BY_LANGUAGE)))
    same = against_language(found, classes, np.zeros(3, np.int64), zeros, ones)
    assert all((same[name] == np.clip(found[name], -8, 8)).all() for name in BY_LANGUAGE)


# ------------------------------------------------------------------------------------------------ languages

TEXTS = {
    "en": (
        "The old bridge was built by the people of the valley. They carried the stones down from the hills, and it "
        "took "
        "them nearly three years before the first cart could cross. Today nobody remembers their names, but the bridge "
        "is still there, and children sit on its wall in the summer to watch the water and the boats."
    ),
    "de": (
        "Die alte Brücke wurde von den Leuten des Tals gebaut. Sie trugen die Steine von den Hügeln herunter, und es "
        "dauerte fast drei Jahre, bis der erste Wagen hinüberfahren konnte. Heute kennt niemand mehr ihre Namen, aber "
        "die Brücke steht noch, und im Sommer sitzen die Kinder auf der Mauer und sehen den Booten zu."
    ),
    "fr": (
        "Le vieux pont a été construit par les habitants de la vallée. Ils ont porté les pierres depuis les collines, "
        "et "
        "il a fallu près de trois ans avant que la première charrette puisse passer. Aujourd'hui, personne ne connaît "
        "plus leurs noms, mais le pont est toujours là, et les enfants s'assoient sur le mur pour regarder l'eau."
    ),
    "es": (
        "El viejo puente fue construido por la gente del valle. Llevaron las piedras desde las colinas, y pasaron casi "
        "tres años antes de que pudiera cruzar el primer carro. Hoy nadie recuerda sus nombres, pero el puente sigue "
        "allí, y en verano los niños se sientan en el muro para mirar el agua y los barcos."
    ),
    "it": (
        "Il vecchio ponte fu costruito dalla gente della valle. Portarono le pietre dalle colline, e ci vollero "
        "quasi tre "
        "anni prima che il primo carro potesse passare. Oggi nessuno ricorda i loro nomi, ma il ponte è ancora lì, e "
        "d'estate i bambini si siedono sul muro per guardare l'acqua e le barche."
    ),
    "ru": (
        "Старый мост построили жители долины. Они носили камни с холмов, и прошло почти три года, прежде чем смогла "
        "проехать первая телега. Сегодня никто уже не помнит их имён, но мост всё ещё стоит, и летом дети сидят на его "
        "стене и смотрят на воду и на лодки, которые проходят мимо."
    ),
    "pl": (
        "Stary most zbudowali mieszkańcy doliny. Nosili kamienie ze wzgórz i minęły prawie trzy lata, zanim mógł "
        "przejechać pierwszy wóz. Dzisiaj nikt już nie pamięta ich imion, ale most nadal stoi, a latem dzieci siedzą "
        "na "
        "murze i patrzą na wodę oraz na łodzie, które przepływają obok."
    ),
    "nl": (
        "De oude brug werd gebouwd door de mensen van het dal. Zij droegen de stenen van de heuvels naar beneden, en "
        "het "
        "duurde bijna drie jaar voordat de eerste wagen kon oversteken. Vandaag kent niemand hun namen meer, maar de "
        "brug staat er nog, en in de zomer zitten de kinderen op de muur om naar het water te kijken."
    ),
}  # fmt: skip
MASHED = "qwe rtyuio asdf ghjkl zxcv bnm poiu lkjh mnbv trew fdsa hgf uyt vcx nbv ".__mul__(6)


@pytest.mark.parametrize("language", TEXTS)
def test_a_clean_text_is_told_from_the_same_shuffled_cut_and_misread(language):
    text = TEXTS[language]
    words = text.split()
    order = np.random.default_rng(3).permutation(len(words))
    damaged = {
        "shuffled": " ".join(words[at] for at in order),
        "halved": " ".join(word[: (len(word) + 1) // 2] for word in words),
        "misread": text.replace(" ", " \u00e9 ").encode().decode("latin-1"),
        "letters": "".join(np.random.default_rng(4).permutation(list(text))),
        "without spaces": text.replace(" ", ""),
        "mashed": MASHED,
    }
    column = pa.array([text, *damaged.values()], pa.large_string())
    found = score(text_column(pa.record_batch({"text": column})), tables(), weights())
    assert found.languages[0] == language
    clean, *bad = found.parts["score"].tolist()
    assert clean < 2
    assert {kind: value for kind, value in zip(damaged, bad, strict=True) if value < clean + 2} == {}
