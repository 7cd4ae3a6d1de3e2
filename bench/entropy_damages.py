"""The 23 damages of the entropy bench, made by code and seeded by document.

Kinds and strengths are those of the table "The damages of the entropy bench". In languages that are written without
spaces a word is two characters. Where the table leaves room, the harder reading is taken: word shuffles keep the white
space of the text where it stands, menus, salads and word lists are drawn from words of the text's own language, spam
is written with sentences of the text. A damage that leaves a text as it was, or changes fewer than 5 % of its
characters, is None (at 3 % OCR noise changes 4.5 %: it is judged all the same).
"""

import base64
import random
import re
from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

UNSPACED = ("zh", "ja", "th", "km", "lo", "my", "bo", "dz")
LEAST_CHANGED = 0.05
SALAD_WORDS = 1_000_000  # a bigram chain over fewer copies real text for long stretches
MENU = """
Home About Contact News Blog Shop Cart Login Register Search Help FAQ Privacy Terms Careers Support Products Services
Gallery Events Press Partners Sitemap Newsletter Account Checkout Downloads Forum Team Pricing Features Resources
Community Documentation Store Locations Subscribe Feedback Archive Categories
"""
TOWNS = """
Springfield Riverton Oakdale Fairview Georgetown Salem Madison Clinton Franklin Bristol
"""
ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "1234567890")
_ALIKE = """
l1 1l I1 il o0 0O O0 ec ce mrn nri hb b6 gq qg uv vu s5 S5 B8 tf ft ao dcl rn wvv yv z2 5S 8B ин нп пн шщ щш о0 ес се
з3 б6 лп тг гт вз ао кн мн рп дл αa ο0 νv ηn ι1 τr σo εs ρp υu κx
"""
LOOKALIKES = {pair[0]: pair[1:] for pair in _ALIKE.split()}
NOISE = ".,;:'`-_|~^*"
_WHITE = re.compile(r"(\s+)")


@dataclass(frozen=True)
class Words:
    """Words of one language, in the order of its texts."""

    language: str
    words: list[str] = field(repr=False)

    @cached_property
    def kinds(self) -> list[str]:
        """The different words, sorted."""
        return sorted(set(self.words))

    @cached_property
    def followers(self) -> dict[str, tuple[list[str], list[int]]]:
        """What follows each word, with running totals of how often."""
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for one, other in zip(self.words, self.words[1:], strict=False):
            found[one][other] += 1
        return {word: (list(after), list(accumulate(after.values()))) for word, after in found.items()}


@dataclass(frozen=True)
class Clean:
    """A clean window, and the words its damages draw from."""

    text: str
    own: Words
    other: Words

    @property
    def unspaced(self) -> bool:
        """Words are not separated."""
        return self.own.language in UNSPACED


def words_of(text: str, language: str) -> list[str]:
    """White-space words; pieces of two characters where words are not separated.

    >>> words_of("a bc", "en"), words_of("ab c\\nd", "zh")
    (['a', 'bc'], ['ab', 'cd'])
    """
    if language not in UNSPACED:
        return text.split()
    dense = "".join(text.split())
    return [dense[at : at + 2] for at in range(0, len(dense), 2)]


def _joined(words: Sequence[str], clean: Clean) -> str:
    return ("" if clean.unspaced else " ").join(words)


def _permuted(text: str, rng: random.Random) -> str:
    """Words in another order, white space where it was."""
    parts = _WHITE.split(text)
    words = parts[::2]
    rng.shuffle(words)
    parts[::2] = words
    return "".join(parts)


def word_shuffle_doc(clean: Clean, rng: random.Random) -> str | None:
    return None if clean.unspaced else _permuted(clean.text, rng)


def word_shuffle_line(clean: Clean, rng: random.Random) -> str | None:
    return None if clean.unspaced else "\n".join(_permuted(line, rng) for line in clean.text.split("\n"))


def _misread(clean: Clean, rng: random.Random, read: Callable[[bytes], str]) -> str | None:
    text = clean.text
    beyond = sum(character > "\x7f" for character in text)
    if beyond < 0.01 * len(text):  # ASCII: quotes, dashes and spaces as such sequences
        pairs = {'"': "“”", "'": "’", "-": "–", " ": "\xa0"}
        text = "".join(rng.choice(pairs[one]) if one in pairs and rng.random() < 0.5 else one for one in text)
        beyond = sum(character > "\x7f" for character in text)
    return read(text.encode()) if beyond >= LEAST_CHANGED * len(text) else None


def mojibake_cp1252(clean: Clean, rng: random.Random) -> str | None:
    return _misread(clean, rng, lambda data: data.decode("cp1252", "replace"))


def mojibake_latin1(clean: Clean, rng: random.Random) -> str | None:
    return _misread(clean, rng, lambda data: data.decode("latin-1"))


def _ocr(clean: Clean, rng: random.Random, share: float) -> str:
    out = []
    for one in clean.text:
        drawn = rng.random() / share
        if one.isspace() or drawn >= 1.5:
            out.append(one)
        elif drawn < 1:  # a look-alike, or punctuation
            alike = LOOKALIKES.get(one) or chr(ord(one) + rng.choice((-1, 1)) if ord(one) > 0x7F else ord(one))
            out.append(alike if rng.random() < 0.7 and alike != one and alike.isprintable() else rng.choice(NOISE))
        elif drawn < 1.3:
            out.append(one + " ")
    return "".join(out)


def ocr_8(clean: Clean, rng: random.Random) -> str:
    return _ocr(clean, rng, 0.08)


def ocr_3(clean: Clean, rng: random.Random) -> str:
    return _ocr(clean, rng, 0.03)


def _sentences(clean: Clean) -> list[str]:
    """Sentences of 20 characters or more; stretches of 60 where there are fewer than four."""
    found = [one.strip() for one in re.split(r"(?<=[.!?。।؟！？])\s*|\n+", clean.text) if len(one.strip()) >= 20]
    return found if len(found) >= 4 else [clean.text[at : at + 60] for at in range(0, 300, 60)]


def boilerplate_repeat(clean: Clean, rng: random.Random) -> str:
    three = rng.sample(_sentences(clean), 3)
    out = ""
    while len(out) < 2000:
        out += rng.choice(three) + " "
    return out


def base64_line(clean: Clean, rng: random.Random) -> str:  # noqa: ARG001
    return base64.b64encode(rng.randbytes(1500)).decode()


def base64_lines(clean: Clean, rng: random.Random) -> str:
    whole = base64_line(clean, rng)
    return "\n".join(whole[at : at + 76] for at in range(0, len(whole), 76))


def random_bytes(clean: Clean, rng: random.Random) -> str:  # noqa: ARG001
    return rng.randbytes(2000).decode("latin-1")


def random_chars(clean: Clean, rng: random.Random) -> str:
    return "".join(rng.choices(sorted(set(clean.text)), k=len(clean.text)))


def char_shuffle(clean: Clean, rng: random.Random) -> str:
    return "".join(rng.sample(clean.text, len(clean.text)))


def keyboard_mash(clean: Clean, rng: random.Random) -> str:  # noqa: ARG001
    return " ".join("".join(rng.choices(rng.choice(ROWS), k=rng.randint(3, 10))) for _ in range(300))


def seo_spam(clean: Clean, rng: random.Random) -> str:
    """Thirty sentences of four templates, which are sentences of the text with a product and a town in them."""
    product = rng.choice(clean.own.kinds) + " " + rng.choice(clean.own.kinds)
    templates = [words_of(one, clean.own.language)[:14] for one in rng.sample(_sentences(clean), 4)]
    out = []
    for _ in range(30):
        words = list(rng.choice(templates))
        at = len(words) // 2
        out.append(_joined([*words[:at], product, *words[at:], rng.choice(TOWNS.split()) + "."], clean))
    return " ".join(out)


def log_dump(clean: Clean, rng: random.Random) -> str:  # noqa: ARG001
    lines, second = [], rng.randrange(10**5)
    for _ in range(40):
        second += rng.randint(0, 9)
        clock = f"{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}"
        stamp = f"2024-0{rng.randint(1, 9)}-1{rng.randint(0, 9)} {clock}"
        level, part = rng.choice(("INFO", "WARN", "DEBUG", "ERROR")), rng.choice(("db", "http", "auth", "queue"))
        what = rng.choice(("request done", "retrying", "connection closed", "cache miss", "job started"))
        lines.append(f"{stamp} {level} [{part}] {what} id={rng.randrange(10**6)} ms={rng.randrange(2000)}")
    return "\n".join(lines)


def nav_menu(clean: Clean, rng: random.Random) -> str:
    own = [
        word.strip(".,;:!?()\"'").capitalize() for word in rng.sample(clean.own.kinds, min(80, len(clean.own.kinds)))
    ]
    words = MENU.split() if clean.own.language == "en" else [word for word in own if len(word) > 1][:40] or MENU.split()
    return rng.choice((" ", "\n", " | ")).join(rng.choices(words, k=150))


def number_table(clean: Clean, rng: random.Random) -> str:  # noqa: ARG001
    return "\n".join(" ".join(f"{rng.uniform(0, 100):.3f}" for _ in range(6)) for _ in range(60))


def salad_unigram(clean: Clean, rng: random.Random) -> str:
    return _joined(rng.choices(clean.own.words, k=len(words_of(clean.text, clean.own.language))), clean)


def salad_bigram(clean: Clean, rng: random.Random) -> str | None:
    if len(clean.own.words) < SALAD_WORDS:
        return None
    word, out = rng.choice(clean.own.words), []
    for _ in range(len(words_of(clean.text, clean.own.language))):
        out.append(word)
        after, totals = clean.own.followers.get(word) or ([rng.choice(clean.own.words)], [1])
        word = after[bisect(totals, rng.randrange(totals[-1]))]
    return _joined(out, clean)


def language_mix_words(clean: Clean, rng: random.Random) -> str:
    words = words_of(clean.text, clean.own.language)
    words[1::2] = rng.choices(clean.other.words, k=len(words[1::2]))
    return " ".join(words)


def no_spaces(clean: Clean, rng: random.Random) -> str | None:  # noqa: ARG001
    return None if clean.unspaced else "".join(clean.text.split())


def words_cut(clean: Clean, rng: random.Random) -> str:
    """Each word cut in its middle, or its first half alone."""
    apart = rng.random() < 0.5
    parts = _WHITE.split(clean.text) if not clean.unspaced else words_of(clean.text, clean.own.language)
    return "".join(_half(part, apart) if not part.isspace() else part for part in parts)


def _half(word: str, apart: bool) -> str:
    at = (len(word) + 1) // 2
    return word[:at] + (" " + word[at:] if apart and word[at:] else "")


def sorted_wordlist(clean: Clean, rng: random.Random) -> str:
    kinds = clean.own.kinds
    return rng.choice((" ", "\n")).join(sorted(rng.sample(kinds, min(250, len(kinds)))))


DAMAGES: tuple[Callable[[Clean, random.Random], str | None], ...] = (
    word_shuffle_doc, word_shuffle_line, mojibake_cp1252, mojibake_latin1, ocr_8, ocr_3, boilerplate_repeat,
    base64_line, base64_lines, random_bytes, random_chars, char_shuffle, keyboard_mash, seo_spam, log_dump, nav_menu,
    number_table,
    salad_unigram, salad_bigram, language_mix_words, no_spaces, words_cut, sorted_wordlist,
)  # fmt: skip


def damage(kind: Callable[[Clean, random.Random], str | None], clean: Clean, seed: str) -> str | None:
    """The window damaged in this way; None where that leaves it nearly as it was."""
    bad = kind(clean, random.Random(f"{seed}:{kind.__name__}"))
    if bad is None or bad == clean.text:
        return None
    same = sum(one == other for one, other in zip(bad, clean.text, strict=False))
    few = max(len(bad), len(clean.text)) - same < LEAST_CHANGED * len(clean.text)
    return None if few and not kind.__name__.startswith("ocr") else bad
