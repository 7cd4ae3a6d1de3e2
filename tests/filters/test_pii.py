"""Personal data against ``re`` and checksums written from the docstring of ``gristmill.filters.pii.scan``."""

import ipaddress
import re
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gristmill.corpus.account import check_conservation
from gristmill.corpus.measuring import measure_part
from gristmill.corpus.schema import SPANS, signals_schema
from gristmill.corpus.tables import read_part, write_part
from gristmill.filters.pii import _kernels_labels as labels
from gristmill.filters.pii import scan as pii
from gristmill.filters.pii._kernels_numbers import _IBAN_LENGTHS
from gristmill.filters.pii.stage import PII, Pii

# ------------------------------------------------------------------------------------------------ the twin

SPECIAL_BLOCKS = (
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 "
    "192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3"
)
SPECIAL = [ipaddress.ip_network(block) for block in SPECIAL_BLOCKS.split()]
SHORT_CODES = (  # and those of three digits that share the first two
    "1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 "
    "86 90 91 92 93 94 95 98 211 212 213 216 218 290 291 297 298 299 690 691 692"
)
TENS = "22 23 24 25 26 35 37 38 42 50 59 67 68 80 85 87 88 96 97 99"
CODES = {*SHORT_CODES.split(), *(f"{tens}{last}" for tens in TENS.split() for last in range(10))}
SCHEMES = [  # regular expression of the digits
    r"4(?:\d{12}|\d{15}|\d{18})", r"5[1-5]\d{14}", r"(?:222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}",
    r"3[47]\d{13}", r"3(?:0[0-5]|6\d|[89]\d)\d{11}", r"35[0-8]\d{13}", r"(?:1800|2131)\d{11}",
    r"6011(?:\d{12}|\d{15})", r"6(?:4[4-9]|5\d)(?:\d{13}|\d{16})", r"62\d{14,17}", r"(?:50|5[678]|63|67)\d{10,17}",
]  # fmt: skip
BEGINS = r"(?<![0-9A-Za-z_+@])(?<![0-9][ ./-])"
ENDS = r"(?![0-9A-Za-z_])(?![./-][0-9])"
JOIN = r"(?:[ .()-]|\ \(|\)[ -])"
NAMES = r"(?:key|token|secret|password|passwd)"
TOKENS = re.compile(
    r"(?:AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_[A-Za-z0-9_-]{60,244}"
    r"|xox[abprs]-[A-Za-z0-9_-]{20,250}|AIza[A-Za-z0-9_-]{35}|glpat-[A-Za-z0-9_-]{20}|npm_[A-Za-z0-9]{36}"
    r"|hf_[A-Za-z0-9]{34}|sk-[A-Za-z0-9_-]{40,200}|xapp-[\w-]{40,200}|GOCSPX-[\w-]{28}|pypi-AgEI[\w-]{60,240}"
    r"|[sr]k_(?:live|test)_[A-Za-z0-9]{16,240}|(?:SK|key-|shpat_|shpss_|dapi)[0-9a-f]{32}|dop_v1_[0-9a-f]{64}"
    r"|sq0atp-[\w-]{22}|sq0csp-[\w-]{43}|lin_api_[A-Za-z0-9]{40}|glsa_[\w-]{41}|dckr_pat_[\w-]{27}|rubygems_[0-9a-f]{48}"
    r"|[0-9a-f]{32}-us\d{1,2}",
    re.A,
)
DOTTED = re.compile(
    r"(?<![\w-])eyJ[\w-]{13,}\.eyJ[\w-]*\.[\w-]{16,}|(?<![\w.])SG\.[\w-]{22}\.[\w-]{43}(?![\w-])"
    r"|(?<![\w.])(?:ya29\.[\w-]{20,250}|hvs\.[\w-]{24,150})(?![\w-])|(?<!\w)\d{8,10}:AA[\w-]{33}(?![\w-])",
    re.A,
)
USER_INFO = re.compile(r"(?<=[A-Za-z]://)([^\x00-\x20\"'/@]*)@(?=[\w-])", re.A)
PLACEHOLDER = re.compile(r"(?i)[^:]*:(?:password|passwd|pass|pwd|pw|secret|token|xxxx?)")


def credentials(text: str):
    """(span, whether it is a find) of user:password in addresses."""
    for m in USER_INFO.finditer(text):
        if re.search(r":.", m[1], re.S) and len(m[1].encode()) <= 201:
            yield m.span(1), not re.search(r"[<>{}$*]", m[1]) and not PLACEHOLDER.fullmatch(m[1])


def luhn(digits: str) -> bool:
    doubled = [int(d) * (1 + place % 2) for place, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def emails(text: str):
    form = r"[A-Za-z0-9](?:[\w.%+-]|(?<=[A-Za-z])'(?=[A-Za-z]))*@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}(?![A-Za-z0-9-])"
    in_urls = {end for (_, end), _ in credentials(text)}
    yield from (m.span() for m in re.finditer(form, text, re.A) if text.index("@", m.start()) not in in_urls)


NUMBERED = re.compile(
    r"(?i)(?<!\w)(?:versions?|ver|release|build|revision|rev|sections?|sec|chapter|clause|oid|v)[:=.]? {0,2}$", re.A
)
ADDRESSED = re.compile(
    r"(?i)(?<!\w)(?:ips?|ipv4|address(?:es)?|addr|host|server|client|gateway|dns|inet|peer|ping|router)[:=.]? {0,2}$",
    re.A,
)
UNITS = (
    r"(?i) (?:bytes?|bits|kb|mb|gb|ms|seconds|people|persons|users|times|items|words|tokens|lines|rows|documents"
    r"|records|dollars|euros|miles|km|years)(?!\w)"
)


def ipv4s(text: str):
    octet = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
    form = re.compile(rf"{BEGINS}(?<![.-])(?:{octet}\.){{3}}{octet}(?![.-]?\w){ENDS}", re.A)
    for m in form.finditer(text):
        address, before = ipaddress.ip_address(m[0]), text[: m.start()]
        announced = before.endswith("//") or re.match(r":\d", text[m.end() :], re.A) or ADDRESSED.search(before)
        if re.search(r"\w/$", before, re.A) or NUMBERED.search(before):
            continue
        if max(address.packed) >= (32 if announced else 100) and not any(address in block for block in SPECIAL):
            yield m.span()


def ipv6s(text: str):
    for m in re.finditer(r"(?<![\w.:])[0-9A-Fa-f][0-9A-Fa-f:]*:[0-9A-Fa-f:]*(?!\w|\.\d)", text, re.A):
        form = m[0][:-1] if m[0][-2:-1] != ":" and m[0][-1] == ":" else m[0]
        try:
            address = ipaddress.IPv6Address(form)
        except ValueError:
            continue
        first, second = (int.from_bytes(address.packed[at : at + 2], "big") for at in (0, 2))
        whole = 0 < first < 0xFC00 and max(map(len, form.split(":"))) > 2
        public = 0x2000 <= first < 0x4000 if "::" in form else whole
        documentation = (first, second) == (0x2001, 0xDB8)
        if public and not documentation:
            yield m.start(), m.start() + len(form)


GOODS = re.compile(r"(?i)(?<!\w)(?:ean|gtin|upc|barcode)[\d :.-]{0,6}$", re.A)


def cards(text: str):
    form = re.compile(
        rf"{BEGINS}(?<!\.)(?:\d{{12,19}}|\d{{4}}([ -])(?:\d{{4}}\1\d{{4}}\1\d{{4}}|\d{{6}}\1\d{{4,5}})){ENDS}", re.A
    )
    for m in form.finditer(text):
        digits = re.sub(r"\D", "", m[0], flags=re.A)
        known = any(re.fullmatch(scheme, digits, re.A) for scheme in SCHEMES)
        if luhn(digits) and known and not GOODS.search(text[: m.start()]):
            yield m.span()


def ibans(text: str):
    for entry in _IBAN_LENGTHS.split():
        country, rest = entry[:2], int(entry[2:]) - 4
        fours, tail = divmod(rest, 4)
        spaced = "|".join(
            rf"(?:{mark}[a-z0-9]{{4}}){{{fours}}}" + (rf"{mark}[a-z0-9]{{{tail}}}" if tail else "") for mark in " -"
        )
        for m in re.finditer(rf"(?i)(?<!\w){country}\d\d(?:[a-z0-9]{{{rest}}}|{spaced})(?!\w)", text, re.A):
            solid = re.sub("[ -]", "", m[0])
            if solid in (solid.upper(), solid.lower()):
                number = "".join(str(int(c, 36)) for c in solid[4:] + solid[:4])
                if int(number) % 97 == 1:
                    yield m.span()


SPACED = "|".join(re.escape(word.replace("_", " ")) for word in (*labels.LATIN.split(), *labels.ACCENTED.split()))
ANNOUNCED = re.compile(
    rf"(?i)(?:phone|(?:(?<![\w./])(?<![^\x00-\x7f])|(?<=[^\w]/))(?:{SPACED})|(?:{'|'.join(labels.UNSPACED.split())}))"
    r"(?:\.?\ (?:me|us|on|at|is|no|nr|number)){0,3}\.?(?:\ ?:|：)?[ \t\n]{0,3}$", re.A
)  # fmt: skip
CLOSED = r"\d+(?:\)|[ .-]\d+\))[ -]?\d"  # behind the first group or the second
NAMED = re.compile(r"(?i)(?:-|\ \(?)(?:office|fax|mobile|cell|home|phone|tel)\)?(?=[\n,;\\]|\Z)", re.A)


def phones(text: str):
    chain = re.compile(rf"\d+(?:{JOIN}\d+)*", re.A | re.X)
    for m in re.finditer(r"(?<!\d)\d", text, re.A):
        at = m.start()
        number = chain.findall(text, at)[0]
        digits = re.sub(r"\D", "", number, flags=re.A)
        bracket, plus = text[:at].endswith("("), text[:at].endswith("+")
        start = at - (bracket or plus)
        extension = re.compile(r" ?x\d{1,5}|(?i: ext)\.?\ ?\d{1,5}|", re.A).match(text, at + len(number))[0]
        end = at + len(number) + len(extension)
        if not 7 <= len(digits) <= 15 or not re.compile(BEGINS, re.A).match(text, start):
            continue
        if not re.compile(ENDS, re.A).match(text, end) or (bracket and not re.match(CLOSED, number, re.A)):
            continue
        if plus:
            known = len(digits) >= 8 and any(digits[:width] in CODES for width in (1, 2, 3))
            known &= not re.match(rf"\d+{JOIN}000", number, re.A | re.X)
            known &= not re.compile(UNITS, re.A).match(text, end)
        else:
            named = ANNOUNCED.search(text[:start]) or NAMED.match(text, end)
            abroad = not bracket and is_abroad(number) and not re.compile(UNITS, re.A).match(text, end)
            closed = not bracket or re.match(r"\d+\)", number, re.A)
            known = (
                (closed and is_national(number, bracket))
                or abroad
                or (named and not is_count(number, digits, text[end:]))
            )
        if known:
            yield start, end


def is_abroad(number: str) -> bool:
    """00 and a whole country code in one group or in two, ten digits or more."""
    found = re.match(rf"00(?:(?:[ .()-])(\d+)|(\d+)){JOIN}?", number, re.A | re.X)
    groups = re.findall(r"\d+", number, re.A)
    code = (found[1] or found[2]) if found else ""
    return len(groups) > 1 and len("".join(groups)) >= 10 and code in CODES


def is_count(number: str, digits: str, behind: str) -> bool:
    """Years, an ISBN with its check digit, or what a unit follows."""
    weighted = sum(int(digit) * (1, 3)[place % 2] for place, digit in enumerate(digits))
    isbn = re.fullmatch(r"97[89]\d{10}", digits, re.A) and weighted % 10 == 0
    years = re.fullmatch(r"(?:19|20)\d\d-(?:19|20)\d\d", number, re.A)
    return bool(isbn or years or re.match(UNITS, behind, re.A))


def is_national(number: str, bracket: bool) -> bool:
    if bracket:
        digits = len(re.sub(r"\D", "", number, flags=re.A))
        area = re.fullmatch(rf"0[1-9]\d{{0,3}}{JOIN}\d{{2,8}}(?:{JOIN}\d{{2,4}}){{0,2}}", number, re.A | re.X)
        american = re.fullmatch(rf"[2-9]\d\d{JOIN}\d{{3}}{JOIN}\d{{4}}", number, re.A | re.X)
        return bool(american) or (bool(area) and 9 <= digits <= 11)
    if re.fullmatch(r"(?:(?:1|001)([ .-])[2-9]\d\d\1|[2-9]\d\d([ .-]))\d{3}(?(1)\1|\2)\d{4}", number, re.A):
        return True
    digits = len(re.sub(r"\D", "", number, flags=re.A))
    if re.fullmatch(r"0[1-9]\d{1,3}[ -]\d{6,8}", number, re.A):
        return 10 <= digits <= 11
    several = re.fullmatch(r"0[1-9]\d{0,3}([ .-])\d{2,4}(?:\1\d{2,4}){1,3}", number, re.A)
    return bool(several) and 9 <= digits <= 11 and not re.fullmatch(r"\d{3}-\d\d-\d{4}", number, re.A)


def keys(text: str):
    block = r"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?)-----(?:(?!-----).)*-----END \1-----"
    yield from (m.span() for m in re.finditer(block, text, re.S))
    for m in re.finditer(r"[\w-]{16,}", text, re.A):
        if TOKENS.fullmatch(m[0]) and (not m[0].startswith("sk-") or looks_random(m[0])):
            yield m.span()
    yield from (m.span() for m in DOTTED.finditer(text))
    yield from (span for span, is_find in credentials(text) if is_find)
    assigned = rf"{NAMES}[\"']?[ \t]{{0,3}}(?:=>|:=|[=:])[ \t]{{0,3}}[\"']?$"
    before = re.compile(rf"(?i){assigned}|(?<!\w)(?:bearer|basic)[ \t]{{0,2}} $", re.A)
    for m in re.finditer(r"([\w+/-]{20,200})(?![\w+/-])=?=?", text, re.A):
        value = m[1]
        if re.match(r"[\w+/-]", text[m.start() - 1 : m.start()], re.A) or not before.search(text[: m.start()]):
            continue
        long_run = re.search(r"[\w-]{16,}", value, re.A)
        too_long = any(len(run) > 256 for run in re.findall(r"[\w-]+", value, re.A))
        if long_run and not too_long and looks_random(value):
            yield m.span()


def looks_random(value: str) -> bool:
    digits, letters = len(re.findall(r"\d", value, re.A)), len(re.findall("[A-Za-z]", value))
    return digits >= 3 and letters >= 3 and len(set(value)) >= 10


FINDERS = dict(zip(pii.KINDS, (emails, ipv4s, ipv6s, cards, ibans, phones, keys), strict=True))


def twin(text: str) -> list[tuple[int, int, str]]:
    """Leftmost, then longest, then the order of kinds. Positions in bytes."""
    finds = [(start, -end, place, kind) for place, kind in enumerate(pii.KINDS) for start, end in FINDERS[kind](text)]
    kept, last = [], 0
    for start, end, _, kind in sorted(finds):
        if start >= last:
            last = -end
            kept.append((len(text[:start].encode()), len(text[:last].encode()), kind))
    return kept


def ours(*texts: str) -> list[list[tuple[int, int, str]]]:
    out = [[] for _ in texts]
    for document, start, end, kind in pii.find(pa.record_batch({"text": pa.array(texts, pa.large_string())})).tolist():
        out[document].append((start, end, pii.KINDS[kind]))
    return out


# ------------------------------------------------------------------------------------------------ equal answers

AWS, GITHUB, HEX = "AKIAIOSFODNN7EXAMPLE", "ghp_" + "a1B2" * 9, "9f86d081884c7d659a2f"
BEGIN_KEY, END_KEY = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"
PIECES = [
    "a@b.org", "First.Last+tag@mail.example.co.uk", "@", ".", "..", "-", "_", "%", "x@y.z", "@b.org", "a@", ".com",
    "82.50.72.202", "10.0.0.1", "192.168.1.1", "172.61.42.192", "256.1.1.40", "1.2.3.4", "8.8.8.80", "01.2.3.44", ".5",
    "2001:db8::1", "2606:2800:220:1:248:1893:25c8:1946", "2a00:1450::", "::1", "fe80::1", ":", "::", "12:34:56",
    "00:11:22:33:44:55:66:77", "6e40:4041:c617:e898:c11:40d2:c669:2eb4", "dead", "beef:", "2001:", "3f:",
    "version", "Version:", "IP", "server ", "//", "nginx/", ":80", "2.34.56.78", "5.15.90.1", "93.184.216.34", " bytes",
    "contact: ", "call ", "j.cell.", "2019-2020", "9780306406157", "978-0-306-40615-7", "+20 000 000", " People.",
    "+20 2 000 000 0",
    "4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "378282246310005", "3782 822463 10005",
    "4111 1111-1111 1111", "4111111111111112", "630427373398", "6304273733981", "12/25", "123",
    "DE89370400440532013000", "DE89 3704 0044 0532 0130 00", "gb42nawi04454264788619", "Gb42nawi04454264788619", "NO",
    "NO93 8601 1117 947", "NO9386011117947", "DE", "MT84MALT011000012345MTLCAST001S",
    "+44 20 7946 0958", "+46 (0)8 928 571 38", "+1-604-696-5272x565", "+999 1234 5678", "+", "(", ")", ") ", "x", "x12",
    "(579)888-3058", "905-674-3793", "001-518-640-0854", "1 202 555 0123", "259.735.7502x459", "0490 75 40 81",
    "01.84.17.61.18", "0341 8387176", "054-28-6917", "Phone: ", "Tel.", "fax:\n", "telephone ", "intel 1234567",
    "467 3395", "(02) 1234 5678", "(0341)8387176", "(01) 12 34 567 8", " ext. 12", " ext1", " x123456", "call me on ",
    "call. me us on at 467 3395", "answering at\t", "phone number is: ", "Desk: ", "-Fax", " office\n", " (mobile)",
    ",",
    "recall 4673395", "tel no. 467-3395", "-office building", "\\", "smartphone ", "me on ",
    AWS, GITHUB, "xoxb-123456789012-abcdefghijkl", "AIza" + "b" * 35, "sk-" + "q" * 40,
    "sk-" + "q1w2e3r4t5" * 5, HEX, HEX + "/" + HEX,
    "key=", "api_key = '", 'token": "', "password:=", "secret =>", "'", '"', "=", "==", "+/", "A" * 15, "b" * 63,
    BEGIN_KEY, END_KEY, "-----BEGIN PGP PRIVATE KEY BLOCK-----", "-----END PGP PRIVATE KEY BLOCK-----", "-----",
    "\nMII\n",
    "o'brien@x.org", "d'", "https://", "bob:s3cr3t@db.org", "user:password@x.org", ":${PASS}@h.org", "ftp://u@h.org",
    "DE89-3704-0044-0532-0130-00", "3056 930902 5904", "0049 30 1234567", "00 44 20 7946 0958", "00123 456 789",
    "電話：", "Тел.: ", "хотел ", "Τηλ. ", "Tél. : ", "điện thoại ", "Тел./факс: ", "โทร ", "/fax ", "전화번호 ",
    "Bearer ", "Basic  ", "SG." + "a1" * 11 + "." + "b" * 43, "ya29." + "c3" * 12, "hvs." + "d" * 24, "-us1",
    "SK" + "0f" * 16, "12345678:AA" + "e" * 33, "0f" * 16 + "-us12", "sk_live_" + "k9" * 9,
    "eyJ" + "h" * 15 + ".eyJ" + "p" * 9 + "." + "s" * 20,
    "EAN ", "EAN-13: ", "gtin:", "ocean ", "UPC-", "barcode 1 ",
    " ", "  ", "\n", ",", "é", "电话", "，", "٣", "😀", "a", "Z", "0", "00", "1", "5", "4111", "/", "0532", "password",
]  # fmt: skip
texts = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=14).map("".join),
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=30).map(" ".join),
    st.text("0123456789 .-()+x", max_size=60),
    st.text("12.3 :af@b-_", max_size=90),
    st.text("key=:'\" 1a_-+/B2", max_size=90),
)


@given(st.lists(texts, max_size=4))
@settings(max_examples=100)
@example(["a@b.org" * 3 + " " + "x" * 60 + AWS])
@example([PIECES[17] + ":http", "2001:1:2:3:4:5:6:777:", "2a00::1:", "2a00:::1", "2a00::1."])
@example([f"{BEGIN_KEY}\nabc\n{END_KEY}", f"-{BEGIN_KEY}-{END_KEY}", f"{BEGIN_KEY}{BEGIN_KEY}x{END_KEY}"])
@example(["key=" + "a1" * 90 + "bcdefgh3", "key=" + "a1" * 101, "key=" + HEX + "==="])
def test_finds_equal_re_and_checksums(documents: list[str]):
    assert ours(*documents) == [twin(text) for text in documents]


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=3), st.integers(0, 140))
def test_place_in_the_block_does_not_matter(pieces: list[str], shift: int):
    text = " " * shift + " ".join(pieces)
    assert ours(text) == [twin(text)]


@pytest.mark.parametrize("file", ["forum/fortunes.en.jsonl", "instructions/fewshot.jsonl", "dirty/junk.jsonl"])
def test_sample_text_equals_the_twin(file):
    documents = (Path(__file__).parents[2] / "samples" / file).read_text().split("\n")
    assert ours(*documents) == [twin(text) for text in documents]


# ------------------------------------------------------------------------------------------------ what each rule means


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("write to ann@example.org, or bob@x.", ["email"]),
        ("from 82.50.72.202, not from 10.1.2.3; see section 12.1.2.3", ["ipv4"]),
        ("2606:2800:220:1:248:1893:25c8:1946 at 12:34:56, std::dead::beef", ["ipv6"]),
        ("card 4111 1111 1111 1111, ISBN 9780306406157, 4111 1111 1111 1112", ["card"]),
        ("EAN 4222222222222, EAN-13: 4222222222222, GTIN:4222222222222, in the ocean 4222222222222", ["card"]),
        ("IBAN DE89 3704 0044 0532 0130 00 and DE89 3704 0044 0532 0130 01", ["iban"]),
        ("+44 20 7946 0958, (202) 555-0123, 0490 75 40 81, phone: 467 3395; 467 3395 things", ["phone"] * 4),
        ("054-28-6917, 2024-06-07 12:00, 1 234 567 890, 3.14159265358979", []),
        (f"{AWS} api_key = '{HEX}' key=aaaaaaaaaaaaaaaaaaaaaaaaa", ["key", "key"]),
    ],
)
def test_rules(text, kinds):
    assert [kind for _, _, kind in ours(text)[0]] == kinds == [kind for _, _, kind in twin(text)]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+44 20 7946 0958", "+44 20 7946 0958"),
        ("desk: 467 3395 bytesize", "467 3395"),  # no unit
        ("call 9780306406158", "9780306406158"),  # not its check digit
        ("call 2101-2120", "2101-2120"),  # no years
        ("Tel.030 1234567", "030 1234567"),
        ("Telefonszám: (06 1) 234 5678", "(06 1) 234 5678"),
        ("0044 20 7946 0958", "0044 20 7946 0958"),
        ("Тел.: 8 (495) 123-45-67", "8 (495) 123-45-67"),
        ("ที่โทร. 02 123 4567", "02 123 4567"),
        ("ring (202) 555-0123 x12 now", "(202) 555-0123 x12"),
        ("202.555.0123 ext. 45", "202.555.0123 ext. 45"),
        ("(02) 1234 5678", "(02) 1234 5678"),
        ("(0341) 8387176", "(0341) 8387176"),
        ("049 123 4567", "049 123 4567"),
        ("01.84.17.61.18", "01.84.17.61.18"),
        ("call me on 9472 7916?", "9472 7916"),
        ("Contact us at 78 651 450.", "78 651 450"),
        ("her phone number is 467-3395,", "467-3395"),
        ("Mobile no. 699956915", "699956915"),
        ("smartphone: 668 5702", "668 5702"),
        ("3660170548-Fax", "3660170548"),
        ("416 60 039 office\n", "416 60 039"),
        ("416 60 039 (mobile), or", "416 60 039"),
    ],
)
def test_claimed_forms_of_telephone_numbers(text, number):
    start = len(text[: text.index(number)].encode())
    assert ours(text)[0] == [(start, start + len(number), "phone")] == twin(text)


@pytest.mark.parametrize(
    "text",
    [
        "The plugin was upgraded to version 2.34.56.78 in spring.",
        "It runs nginx 1.25.3.40 behind a cache, nginx/1.25.3.140 before one.",
        "OID 2.5.29.135, section 4.11.2.33, Sec. 4.11.2.133, Version: 5.15.90.1, v 5.15.90.101, release=9.40.1.200",
        "See https://doi.org/10.1016/j.cell.2019.05.031 and 10.1/phone/tel.2019.05.031 for data.",
        "contact: 2019-2020, call 1998-2004",
        "call 4294967296 bytes at a time, ring 40 000 000 people, reach 1 234 567 users",
        "a gain of +20 000 000 people, +20 000 000, +44 20 7946 0958 bytes",
        "call number 9780306406157, contact 978-0-306-40615-7, tel 9791034304585",
        "467 3395",  # local, and nothing beside it
        "699 956 915 messages",
        "1 200 000 office workers",
        "recall 4673395",
        "хотел 4673395, motel 4673395",  # wanted; no word for telephone
        "00123 456 789",
        "bring 4673395",
        "call me on 12 34",  # six digits or fewer
        "(12) 120-135",
        "(00) 1234 5678",
        "the number is 4673395",
        "call  me on 4673395 0000000000",
        "+210 1234 5678",  # no country
    ],
)
def test_numbers_that_are_not_claimed(text):
    assert ours(text)[0] == [] == twin(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("The server answers at 93.184.216.34 as before.", "93.184.216.34"),
        ("IP 2.34.56.78", "2.34.56.78"),
        ("host: 5.15.90.1", "5.15.90.1"),
        ("http://5.15.90.1/", "5.15.90.1"),
        ("from 5.15.90.1:8080", "5.15.90.1"),
    ],
)
def test_claimed_addresses(text, address):
    start = text.index(address)
    assert ours(text)[0] == [(start, start + len(address), "ipv4")] == twin(text)


@pytest.mark.parametrize(
    ("text", "value", "kind"),
    [
        ("電話：０３－１２３４－５６７８です", "０３－１２３４－５６７８", "phone"),
        ("é ａｎｎ＠ｂ．ｏｒｇ １", "ａｎｎ＠ｂ．ｏｒｇ", "email"),
        ("カード ４１１１１１１１１１１１１１１1 です", "４１１１１１１１１１１１１１１1", "card"),
        ("postgres://bob:s3cr3t@db.example.org/x", "bob:s3cr3t", "key"),
        ("SG." + "a1" * 11 + "." + "b" * 43, "SG." + "a1" * 11 + "." + "b" * 43, "key"),
        ("Diners 3056 930902 5904", "3056 930902 5904", "card"),
    ],
)
def test_other_widths_and_new_forms(text, value, kind):
    start = len(text[: text.index(value)].encode())
    found = ours("a@b.org", text, "c")
    assert found == [[(0, 7, "email")], [(start, start + len(value.encode()), kind)], []]


def test_many_finds_outgrow_the_first_table():
    assert len(pii.find(pa.record_batch({"text": ["a@b.org "] * 9_000}))) == 9_000


def test_hostile_text_takes_linear_time():
    for text in ("@" * 200_000, "a@" * 100_000, "1 " * 100_000, "::" * 100_000, BEGIN_KEY * 5_000, "a/" * 100_000):
        ours(text)  # a parser that looked back without bound would need minutes


# ------------------------------------------------------------------------------------------------ the stage


def part(folder: Path, documents: list[str]) -> Path:
    ids = pa.array([f"{number:032x}" for number in range(len(documents))])
    sources = pa.array(["web" if number % 2 else "books" for number in range(len(documents))], pa.string())
    batch = pa.record_batch({"doc_id": ids, "source": sources, "text": pa.array(documents, pa.large_string())})
    write_part(folder / "documents.parquet", batch.schema, [batch.slice(0, 2), batch.slice(2)])
    return folder / "documents.parquet"


def test_a_part_is_counted_masked_and_held_against(tmp_path):
    documents = part(tmp_path, ["é a@b.org b@c.org", "", "4111111111111111 a@b.org", "82.50.72.202 467 3395"])
    outcome = measure_part(PII, documents, tmp_path, Pii(email="mask", card="drop", ipv4="count"))
    check_conservation("pii", outcome.accounts)
    assert outcome.rows == 4
    assert outcome.facts == {"finds": {"card": 1, "email": 3, "ipv4": 1}, "masked": 2}
    signals, spans = read_part(tmp_path / "pii.parquet"), read_part(tmp_path / "spans.parquet")
    assert signals.schema == signals_schema(PII.signals)
    assert signals.column("pii_email").to_pylist() == [2, 0, 1, 0]
    assert signals.column("pii_total").to_pylist() == [2, 0, 2, 1]
    assert signals.column("pii_drop").to_pylist() == [0, 0, 1, 0]
    assert spans.schema.equals(SPANS)
    assert spans.column("doc_id").to_pylist() == [f"{0:032x}", f"{2:032x}"]
    assert [(s["start"], s["end"], s["reason"]) for s in spans.column("spans")[0].as_py()] == [
        (3, 10, "mask:EMAIL"),
        (11, 18, "mask:EMAIL"),
    ]


def test_a_part_of_nothing(tmp_path):
    assert measure_part(PII, part(tmp_path, []), tmp_path, Pii(email="mask")).facts["finds"] == {"email": 0}


def test_a_kind_left_out_hides_nothing():
    batch = pa.record_batch({"text": ["api_key='ann@example.org'", "key=4111111111111111aaaa"]})
    assert Counter(pii.find(batch, ("email",))[:, 3].tolist()) == {0: 1}


@pytest.mark.parametrize("kinds", [{"emails": "mask"}, {"email": "hide"}])
def test_unknown_kinds_and_actions_are_named(kinds):
    with pytest.raises(ValidationError, match="email"):
        Pii(**kinds)
