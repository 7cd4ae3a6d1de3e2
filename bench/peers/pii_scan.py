"""Personal data by Hyperscan and by Presidio's recognisers, for bench/pii.py: JSON in, JSON out, in one environment.

Hyperscan has the forms of gristmill/filters/pii as one expression or a few of each kind, without what it cannot look
at (what stands around a match); card and IBAN finds are checked afterwards as ours are. Presidio's are as they come,
each called by itself. A find: start and end in bytes, kind; of those of one kind that overlap the leftmost, longest.
"""

import json
import logging
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version

import hyperscan
import pyarrow.parquet as pq
from presidio_analyzer.predefined_recognizers import (
    CreditCardRecognizer,
    EmailRecognizer,
    IbanRecognizer,
    IpRecognizer,
    PhoneRecognizer,
)

PRESIDIO_BYTES = 200_000  # of the text that is timed
OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
GROUP = r"[0-9A-Fa-f]{1,4}"
PATTERNS = {
    "email": [r"[A-Za-z0-9][\w.%+'-]*@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}\b"],
    "ipv4": [rf"\b(?:{OCTET}\.){{3}}{OCTET}\b"],
    "ipv6": [rf"\b(?:{GROUP}:){{7}}{GROUP}\b", rf"\b(?:{GROUP}:){{1,7}}:(?:{GROUP}:){{0,6}}(?:{GROUP})?\b"],
    "card": [r"\b\d{12,19}\b", r"\b\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{4}\b", r"\b\d{4}[ -]\d{6}[ -]\d{4,5}\b"],
    "iban": [r"\b[A-Za-z]{2}\d\d(?:[ -]?[A-Za-z0-9]{4}){2,7}(?:[ -]?[A-Za-z0-9]{1,3})?\b"],
    "phone": [
        r"\+\d(?:[ .()-]{0,2}\d){7,14}\b",
        r"\b00\d(?:[ .()-]{0,2}\d){7,14}\b",
        r"(?:\b1[ .-])?(?:\([2-9]\d\d\) ?|\b[2-9]\d\d[ .-])\d{3}[ .-]\d{4}\b",
        r"\b0\d{1,4}(?:[ .-]\d{2,4}){2,4}\b",
        r"\b0\d{2,4}[ -]\d{6,8}\b",
        r"\(0\d{1,4}\)[ -]?\d{2,8}(?:[ -]\d{2,4}){0,2}\b",
    ],
    "key": [
        r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
        r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[\w-]{60,}|xox[abprs]-[\w-]{20,}|AIza[\w-]{35}|glpat-[\w-]{20})",
        r"\b(?:npm_[A-Za-z0-9]{36}|hf_[A-Za-z0-9]{34}|sk-[\w-]{40,}|xapp-[\w-]{40,}|GOCSPX-[\w-]{28}|pypi-AgEI[\w-]{60,})",
        r"\b(?:[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|(?:SK|key-|shpat_|shpss_|dapi)[0-9a-f]{32}|dop_v1_[0-9a-f]{64})\b",
        r"\b(?:sq0atp-[\w-]{22}|sq0csp-[\w-]{43}|lin_api_[A-Za-z0-9]{40}|dckr_pat_[\w-]{27}|rubygems_[0-9a-f]{48})",
        r"\b(?:[0-9a-f]{32}-us\d{1,2}|SG\.[\w-]{22}\.[\w-]{43}|ya29\.[\w-]{20,}|hvs\.[\w-]{24,}|\d{8,10}:AA[\w-]{33})",
        r"\beyJ[\w-]{13,}\.eyJ[\w-]*\.[\w-]{16,}",
        r"[a-z]://[^ \"'/@:]+:[^ \"'/@]+@",
        r"(?i)(?:key|token|secret|password|passwd)[\"']?[ \t]{0,3}(?:=>|:=|[=:])[ \t]{0,3}[\"']?[\w+/-]{20,}={0,2}",
        r"(?i)\b(?:bearer|basic) [\w+/-]{20,}={0,2}",
    ],
}
ANNOUNCED = r"(?i){label}[.:： \n]{{0,5}}[+(]?\d(?:[ .()-]{{0,2}}\d){{6,14}}\b"
PRESIDIO = {
    "email": EmailRecognizer(),
    "card": CreditCardRecognizer(),
    "iban": IbanRecognizer(),
    "ipv4": IpRecognizer(),
    "phone": PhoneRecognizer(),
}
Find = tuple[int, int, str]


def passes_luhn(value: bytes) -> bool:
    digits = [int(one) for one in reversed(re.sub(rb"\D", b"", value).decode())]
    return sum(digits[::2]) % 10 == sum(-(2 * one - 9 * (one > 4)) for one in digits[1::2]) % 10


def passes_mod97(value: bytes) -> bool:
    solid = re.sub(rb"[ -]", b"", value).decode()
    return int("".join(str(int(one, 36)) for one in solid[4:] + solid[:4])) % 97 == 1


CHECKS: dict[str, Callable[[bytes], bool]] = {"card": passes_luhn, "iban": passes_mod97}


def merged(found: Iterable[Find]) -> list[Find]:
    """Of finds of one kind that overlap the leftmost, of those the longest."""
    kept, last = [], {}
    for start, end, kind in sorted(found, key=lambda one: (one[0], -one[1])):
        if start >= last.get(kind, 0):
            last[kind] = end
            kept.append((start, end, kind))
    return kept


def compiled(expressions: list[bytes], flag: int) -> hyperscan.Database:
    database, count = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK), len(expressions)
    database.compile(
        expressions=expressions, ids=list(range(count)), elements=count, flags=flag | hyperscan.HS_FLAG_UTF8
    )
    return database


class Scanner:
    """All expressions in one database of Hyperscan, and in one that tells no starts, which is faster."""

    def __init__(self, labels: list[str]) -> None:
        named = [(kind, one) for kind, some in PATTERNS.items() for one in some]
        named += [("phone", ANNOUNCED.format(label=re.escape(one))) for one in labels]
        self.kinds = [kind for kind, _ in named]
        self.database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        expressions = [one.encode() for _, one in named]
        self.database, self.ends_alone = (compiled(expressions, flag) for flag in (hyperscan.HS_FLAG_SOM_LEFTMOST, 0))

    def find(self, text: str) -> list[Find]:
        data, matches = text.encode(), []
        self.database.scan(data, match_event_handler=lambda at, start, end, *_: matches.append((start, end, at)))
        found = [(start, end, self.kinds[at]) for start, end, at in matches]
        return merged(one for one in found if CHECKS.get(one[2], bool)(data[one[0] : one[1]]))


def by_presidio(text: str) -> list[Find]:
    """Each recogniser by itself; an address with a colon in it is IPv6."""
    found = []
    for kind, recogniser in PRESIDIO.items():
        for one in recogniser.analyze(text, recogniser.supported_entities, None) or ():
            start, end = (len(text[:edge].encode()) for edge in (one.start, one.end))
            is_long = kind == "ipv4" and ":" in text[one.start : one.end]
            found.append((start, end, "ipv6" if is_long else kind))
    return merged(found)


def best_of(repeats: int, scan: Callable[[], object]) -> float:
    seconds = []
    for _ in range(repeats):
        begin = time.process_time()
        scan()
        seconds.append(time.process_time() - begin)
    return min(seconds)


def some_of(texts: list[str], n_bytes: int) -> Iterator[str]:
    for text in texts:
        if n_bytes <= 0:
            return
        n_bytes -= len(text.encode())
        yield text


def main() -> None:
    logging.getLogger("tldextract").setLevel(logging.CRITICAL)  # it has a list of its own where there is no network
    asked = json.load(sys.stdin)
    scanner, texts = Scanner(asked["labels"]), pq.read_table(asked["timed"])["text"].to_pylist()
    few = list(some_of(texts, PRESIDIO_BYTES))
    encoded = [text.encode() for text in texts]

    def only_scan() -> None:
        for data in encoded:
            scanner.ends_alone.scan(data, match_event_handler=lambda *_: None)

    size, small = (sum(len(text.encode()) for text in some) / 1e6 for some in (texts, few))
    answers = {
        "hyperscan": [scanner.find(text) for text in asked["texts"]],
        "presidio": [by_presidio(text) for text in asked["texts"]],
    }
    rates = {
        "hyperscan, match ends alone": size / best_of(3, only_scan),
        "hyperscan": size / best_of(1, lambda: [scanner.find(text) for text in texts]),
        "presidio": small / best_of(1, lambda: [by_presidio(text) for text in few]),
    }
    versions = {"hyperscan": version("hyperscan"), "presidio": version("presidio-analyzer")}
    print(json.dumps({"finds": answers, "rates": rates, "versions": versions}))


if __name__ == "__main__":
    main()
