"""How much of a page's text is found, and how much else: token F1 to a plain-text edition of the same book.

Token F1 over the whole book, as a bag: words by Unicode, for Chinese single characters. Gold: the Debian FAQ's own
text edition in four languages (DATA/gold/html_text), its pages in DATA/raw/html. Peers: trafilatura 2, and
resiliparse's main-content extraction, which version 0.1.0 used.

    python bench/html_text.py --data DIR [--json]
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from compare import Comparison, options, peak_rss_mb, run_peer, say

LANGUAGES = ("de", "en", "ru", "zh-cn")
MEAN, LEAST = 0.95, 0.92


def tokens(text: str, language: str) -> Counter[str]:
    """Words in lower case; letters and digits one by one where words are not separated."""
    if language.startswith("zh"):
        return Counter(character for character in text if character.isalnum())
    return Counter(re.findall(r"\w+", text.lower()))


def f1(found: Counter[str], gold: Counter[str]) -> float:
    """The harmonic mean of precision and recall of two bags."""
    return 2 * (found & gold).total() / (found.total() + gold.total())


def pages_of(data: Path, language: str) -> list[Path]:
    return sorted((data / "raw" / "html" / f"debian-faq.{language}").glob("*.html"))


def ours(page: bytes) -> str:
    from gristmill.sources.html import extract

    return extract(page).text


def main_content(page: bytes) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    return extract_plain_text(page.decode(), preserve_formatting=True, main_content=True)


def score(data: Path, extract: Callable[[bytes], str]) -> dict[str, float]:
    return {
        language: f1(
            sum((tokens(extract(page.read_bytes()), language) for page in pages_of(data, language)), Counter()),
            tokens((data / "gold" / "html_text" / f"debian-faq.{language}.txt").read_text(), language),
        )
        for language in LANGUAGES
    }


def peer_scores(data: Path) -> tuple[str, dict[str, float]]:
    """trafilatura in its own environment."""
    pages = {language: [str(page.resolve()) for page in pages_of(data, language)] for language in LANGUAGES}
    answer = run_peer("trafilatura", "trafilatura_text.py", {"pages": pages})
    found = {}
    for language, texts in answer["texts"].items():
        gold = tokens((data / "gold" / "html_text" / f"debian-faq.{language}.txt").read_text(), language)
        found[language] = f1(sum((tokens(text, language) for text in texts), Counter()), gold)
    return answer["version"], found


def main() -> int:
    arguments = options(__doc__).parse_args()
    if arguments.data is None or not (arguments.data / "gold" / "html_text").is_dir():
        sys.exit("--data DIR: a folder with gold/html_text and raw/html; samples/ has no gold text")
    found = score(arguments.data, ours)
    version, theirs = peer_scores(arguments.data)
    before = score(arguments.data, main_content)
    for language in LANGUAGES:
        least = f"F1 >= {LEAST}"
        row = Comparison(
            f"HTML text, {language}", "trafilatura", version, "token F1", round(found[language], 4),
            round(theirs[language], 4), round(found[language] / theirs[language], 3), least, None, peak_rss_mb(),
            f"resiliparse main content {before[language]:.4f}",
        )  # fmt: skip
        say(row, arguments.json)
    mean = sum(found.values()) / len(found)
    print(json.dumps({"mean_f1": round(mean, 4), "least_f1": round(min(found.values()), 4), "target": [MEAN, LEAST]}))
    return int(mean < MEAN or min(found.values()) < LEAST)


if __name__ == "__main__":
    sys.exit(main())
