"""Clean text of eleven languages that is dropped, and damaged text of the same documents that is.

    python bench/languages.py --data DIR [--quick] [--json]

Rules are those of README's shortest recipe: fineweb@0.01 and entropy@residual. Documents are those of DIR/text with
300 characters or more, forum, instructions and code apart, by the primary subtag of their own lang; at most MOST of a
language, evenly spaced. Clean text that is dropped: share, with Wilson's interval at 95 %, once with the language of
the record and once with that of the language stage. There, pages whose letters are not of the language's script, or
that hold six of eight English stop words, are left out and counted: they are untranslated, and English rules judge
them. Damages are made by code and seeded by document; where one changes nothing (mojibake of ASCII) it is left out.
Goals: at most 2 %, at least half.

``before`` is version 0.1.0 on the same text: English rules judged every document, whatever lang its record has.
"""

import argparse
import json
import math
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gristmill.corpus.languages import primary_subtag
from gristmill.filters.decide.profiles import PROFILES
from gristmill.filters.decide.rules import Rule
from gristmill.filters.models.language import LANGUAGE_MODEL, identify, load_model
from gristmill.filters.signals.measure import measure
from gristmill.filters.signals.stop_words import STOP_WORDS

LANGUAGES = ("zh", "ja", "ko", "th", "hi", "ar", "ru", "de", "fr", "es", "pt")
LEFT_OUT = ("forum", "instructions", "code")
MIN_CHARS, MOST, DAMAGED = 300, 1500, 300
DROPPED_CLEAN, DROPPED_DAMAGED = 0.02, 0.5
RULES = tuple(rule for name in ("fineweb@0.01", "entropy@residual") for rule in PROFILES[name].rules)
BEFORE = (  # both profiles in 0.1.0, without a language stage
    Rule("terminal_punct_line_share", "terminal_punct_line_share", at_least=0.12),
    Rule("short_line_share", "short_line_share", at_most=0.67),
    Rule("fineweb_dup_line_char_share", "fineweb_dup_line_char_share", at_most=0.01),
    Rule("newline_word_ratio", "newline_word_ratio", at_most=0.3),
    Rule("word_entropy_residual", "word_entropy_residual", -8, 6),
    Rule("word_conditional_entropy_residual", "word_conditional_entropy_residual", -12, 6),
    Rule("char_conditional_entropy_residual", "char_conditional_entropy_residual", -12, 6),
    Rule("mean_word_chars", "mean_word_chars", at_most=100),
)
_HAN, _KANA = (0x4E00, 0x9FA5), (0x3041, 0x30FF)
SCRIPTS = {
    "zh": (_HAN,), "ja": (_HAN, _KANA), "ko": ((0xAC00, 0xD7A3),), "th": ((0xE01, 0xE2E),), "hi": ((0x904, 0x939),),
    "ar": ((0x621, 0x64A),), "ru": ((0x410, 0x44F),),
}  # fmt: skip
ENGLISH, MANY_ENGLISH = set(STOP_WORDS["en"]), 6  # of eight
UNSPACED = ("zh", "ja", "th")


def documents_of(data: Path) -> dict[str, list[str]]:
    """Clean texts by language, each as it is."""
    found: dict[str, list[str]] = {language: [] for language in LANGUAGES}
    for path in sorted((data / "text").glob("*.parquet")):
        if path.stem in LEFT_OUT:
            continue
        for row in pq.read_table(path, columns=["text", "lang"]).to_pylist():
            language = primary_subtag(row["lang"])
            if language in found and len(row["text"]) >= MIN_CHARS:
                found[language].append(row["text"])
    return {language: spread(texts, MOST) for language, texts in found.items()}


def spread(texts: list[str], most: int) -> list[str]:
    """At most ``most`` of them, evenly spaced."""
    return [texts[at * len(texts) // most] for at in range(most)] if len(texts) > most else texts


def is_translated(text: str, language: str) -> bool:
    """At least a fifth of the letters are of the language's script; of Latin text: it lacks English stop words."""
    ranges = SCRIPTS.get(language)
    if ranges is None:
        return len(ENGLISH & set(text.lower().split())) < MANY_ENGLISH
    letters = [ord(character) for character in text[:4000] if character.isalpha()]
    return sum(_is_in(letter, ranges) for letter in letters) >= 0.2 * len(letters)


def _is_in(point: int, ranges: tuple[tuple[int, int], ...]) -> bool:
    return any(low <= point <= high for low, high in ranges)


# ------------------------------------------------------------------------------------------------ damages


def lines_four_times(text: str, language: str, rng: random.Random) -> str:  # noqa: ARG001
    """Each line four times."""
    return "\n".join(line for line in text.split("\n") for _ in range(4))


def menu(text: str, language: str, rng: random.Random) -> str:
    """150 lines of one to three words of the text, or of two to four characters where words are not separated."""
    if language in UNSPACED and is_translated(text, language):
        shown = "".join(character for character in text if character.isalnum())
        starts = (rng.randrange(max(len(shown) - 4, 1)) for _ in range(150))
        return "\n".join(shown[start : start + rng.randint(2, 4)] for start in starts)
    words = text.split()
    return "\n".join(" ".join(rng.choices(words, k=rng.randint(1, 3))) for _ in range(150))


def letters_of_text(text: str, language: str, rng: random.Random) -> str:  # noqa: ARG001
    """Each letter drawn from the text's own set of letters."""
    own = sorted({character for character in text if character.isalpha()})
    return "".join(rng.choice(own) if character.isalpha() else character for character in text)


def letters_of_script(text: str, language: str, rng: random.Random) -> str:
    """Each letter drawn from the language's script."""
    ranges = SCRIPTS.get(language, ((0x61, 0x7A),))
    own = [chr(point) for low, high in ranges for point in range(low, high + 1) if chr(point).isalpha()]
    return "".join(rng.choice(own) if character.isalpha() else character for character in text)


def mojibake_cp1252(text: str, language: str, rng: random.Random) -> str:  # noqa: ARG001
    """UTF-8 read as cp1252, bytes that it lacks replaced."""
    return text.encode().decode("cp1252", "replace")


def mojibake_latin1(text: str, language: str, rng: random.Random) -> str:  # noqa: ARG001
    """UTF-8 read as Latin-1."""
    return text.encode().decode("latin-1")


DAMAGES: tuple[Callable[[str, str, random.Random], str], ...] = (
    lines_four_times,
    menu,
    letters_of_text,
    letters_of_script,
    mojibake_cp1252,
    mojibake_latin1,
)

# ------------------------------------------------------------------------------------------------ judging


def batches(texts: list[str], size: int = 200) -> Iterator[pa.RecordBatch]:
    for at in range(0, len(texts), size):
        some = texts[at : at + size]
        ids = [str(number) for number in range(len(some))]
        yield pa.record_batch({"doc_id": ids, "text": pa.array(some, pa.large_string())})


def dropped(texts: list[str], languages: list[str | None], rules: tuple[Rule, ...]) -> dict[str, np.ndarray]:
    """bool[n_docs] by rule: which documents fail it."""
    signals = pa.Table.from_batches([measure(batch) for batch in batches(texts)])
    failed: dict[str, np.ndarray] = {}
    for rule in rules:
        judged = np.array([rule.judges(language) for language in languages])
        fails = judged & rule.fails(signals[rule.signal].to_numpy())
        failed[rule.name] = failed.get(rule.name, np.zeros(len(texts), bool)) | fails
    return failed


def any_of(failed: dict[str, np.ndarray]) -> np.ndarray:
    return np.any(list(failed.values()), axis=0)


def identified(texts: list[str]) -> list[str | None]:
    """As the language stage and decide read it."""
    model = load_model(LANGUAGE_MODEL)
    found = [identify(batch, model, max_paragraphs=0).column("lang_id").to_pylist() for batch in batches(texts)]
    return [primary_subtag(language) for some in found for language in some]


def wilson(n_dropped: int, n: int) -> tuple[float, float]:
    """Wilson's interval of a share at 95 %.

    >>> [round(bound, 4) for bound in wilson(2, 100)]
    [0.0055, 0.07]
    """
    z, share = 1.96, n_dropped / n
    middle, spread_ = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (middle - spread_) / (1 + z * z / n), (middle + spread_) / (1 + z * z / n)


def clean_row(texts: list[str], languages: list[str | None], rules: tuple[Rule, ...]) -> dict:
    failed = dropped(texts, languages, rules)
    n_dropped = int(any_of(failed).sum())
    by_rule = {name: int(fails.sum()) for name, fails in failed.items() if fails.any()}
    low, high = wilson(n_dropped, len(texts))
    return {"n": len(texts), "dropped": n_dropped, "share": n_dropped / len(texts), "low": low, "high": high} | {
        "by_rule": dict(sorted(by_rule.items(), key=lambda one: -one[1]))
    }


def damaged_row(texts: list[str], language: str) -> dict[str, float | None]:
    shares: dict[str, float | None] = {}
    for damage in DAMAGES:
        made = [damage(text, language, random.Random(number)) for number, text in enumerate(texts)]
        made = [bad for bad, text in zip(made, texts, strict=True) if bad != text]
        drops = any_of(dropped(made, [language] * len(made), RULES)) if made else np.zeros(0)
        shares[damage.__name__] = float(drops.mean()) if made else None
    return shares


def measure_language(language: str, texts: list[str]) -> dict:
    """One row of the table."""
    same = [text for text in texts if is_translated(text, language)]
    return {
        "language": language,
        "before": clean_row(texts, [None] * len(texts), BEFORE),
        "record": clean_row(texts, [language] * len(texts), RULES),
        "stage": clean_row(same, identified(same), RULES),
        "untranslated": len(texts) - len(same),
        "damaged": damaged_row(spread(texts, DAMAGED), language),
    }


def show(row: dict) -> None:
    for name in ("before", "record", "stage"):
        one = row[name]
        rules = ", ".join(f"{rule} {n}" for rule, n in list(one["by_rule"].items())[:4])
        share = f"{one['share']:7.2%} [{one['low']:6.2%}, {one['high']:6.2%}]"
        print(f"{row['language']:<3} {name:<7} {one['dropped']:>5} of {one['n']:<5} {share}  {rules}")
    damages = "  ".join(f"{name} {share:.0%}" for name, share in row["damaged"].items() if share is not None)
    print(f"{row['language']:<3} damaged {damages}  (untranslated pages: {row['untranslated']})\n", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="60 documents of each language")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    for language, texts in documents_of(asked.data).items():
        row = measure_language(language, spread(texts, 60) if asked.quick else texts)
        print(json.dumps(row)) if asked.json else show(row)


if __name__ == "__main__":
    main()
