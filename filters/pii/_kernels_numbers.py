"""Card numbers and bank accounts: layout, length and check digits. See ``pii`` for the rules.

Called with the first digit of a run of digits; returns (start, end) in bytes, (0, 0) for nothing.
"""

import numpy as np

from gristmill.corpus.text._kernels_bytes import (
    COLON,
    DASH,
    DOT,
    SPACE,
    begins,
    digits_end,
    ends,
    is_digit,
    is_letter,
    is_word,
    padded,
    stands,
)
from gristmill.corpus.text._kernels_jit import kernel, leaf

# Card numbers: first six digits from, to, and the lengths that the scheme issues.
_SCHEMES = np.array(
    [
        (400000, 499999, 1 << 13 | 1 << 16 | 1 << 19),  # Visa
        (510000, 559999, 1 << 16),  # Mastercard
        (222100, 272099, 1 << 16),
        (340000, 349999, 1 << 15),  # American Express
        (370000, 379999, 1 << 15),
        (300000, 305999, 1 << 14),  # Diners
        (360000, 369999, 1 << 14),
        (380000, 399999, 1 << 14),
        (350000, 358999, 1 << 16),  # JCB
        (180000, 180099, 1 << 15),
        (213100, 213199, 1 << 15),
        (601100, 601199, 1 << 16 | 1 << 19),  # Discover
        (644000, 659999, 1 << 16 | 1 << 19),
        (620000, 629999, 1 << 16 | 1 << 17 | 1 << 18 | 1 << 19),  # UnionPay
        (500000, 509999, 0xFF << 12),  # Maestro: 12 to 19 digits
        (560000, 589999, 0xFF << 12),
        (630000, 639999, 0xFF << 12),
        (670000, 679999, 0xFF << 12),
    ],
    np.int64,
)

# One number of goods in ten that begins as a card does passes its check digit: the word before it tells.
_GOODS = padded((b"ean", b"gtin", b"upc", b"barcode"))
_BETWEEN = 6  # bytes between the word and the number: EAN-13: 40...

# IBAN lengths by country (ISO 13616, SWIFT registry release 99).
_IBAN_LENGTHS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 "
    "ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 "
    "LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 "
    "PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
)
_COUNTRIES = np.zeros(26 * 26, np.int64)
for _entry in _IBAN_LENGTHS.split():
    _COUNTRIES[(ord(_entry[0]) - 65) * 26 + ord(_entry[1]) - 65] = int(_entry[2:])


@kernel
def _card_end(data, at, stop):
    """End of 12 to 19 digits in one run, or in groups of 4 4 4 4, 4 6 5 or 4 6 4 (Diners); 0 for any other layout."""
    first = digits_end(data, at, stop)
    if 12 <= first - at <= 19:
        return first
    if first - at != 4 or first + 1 >= stop or (data[first] != SPACE and data[first] != DASH):
        return 0
    mark, second = data[first], digits_end(data, first + 1, stop)
    width = second - first - 1
    if width != 4 and width != 6:
        return 0
    end = second
    for _ in range(2 if width == 4 else 1):
        begin = end + 1
        if begin >= stop or data[end] != mark:
            return 0
        end = digits_end(data, begin, stop)
        if end - begin != 4 and (width == 4 or end - begin != 5):
            return 0
    return end


@kernel
def _passes_luhn(data, start, end):
    """The check digit of ISO/IEC 7812, annex B."""
    total, double = 0, False
    for at in range(end - 1, start - 1, -1):
        if is_digit(data[at]):
            digit = np.int64(data[at]) - 48
            total += (2 * digit - 9 * (digit > 4)) if double else digit
            double = not double
    return total % 10 == 0


@kernel
def _is_of_goods(data, floor, at):
    """Whether EAN, GTIN, UPC or barcode stands before a number, with blanks, signs or digits between."""
    last = max(floor, at - _BETWEEN)
    while at > last and (is_digit(data[at - 1]) or data[at - 1] in (SPACE, COLON, DOT, DASH)):
        at -= 1
    for row in range(_GOODS.shape[0]):
        begin = at - np.int64(_GOODS[row, 0])
        alone = begin == floor or (begin > floor and not is_word(data[begin - 1]))
        if alone and stands(data, begin, at, _GOODS, row, True):
            return True
    return False


@kernel
def card_number(data, floor, stop, at):
    """A card number: layout, scheme with a length that it issues, check digit, and no word before that names goods."""
    if not begins(data, floor, at) or (at > floor and data[at - 1] == DOT):
        return 0, 0
    end = _card_end(data, at, stop)
    if end == 0 or not ends(data, end, stop):
        return 0, 0
    digits, leading = 0, 0
    for k in range(at, end):
        if is_digit(data[k]):
            leading = leading * 10 + np.int64(data[k]) - 48 if digits < 6 else leading
            digits += 1
    for row in range(_SCHEMES.shape[0]):
        if _SCHEMES[row, 0] <= leading <= _SCHEMES[row, 1] and _SCHEMES[row, 2] >> digits & 1:
            return (at, end) if _passes_luhn(data, at, end) and not _is_of_goods(data, floor, at) else (0, 0)
    return 0, 0


# ------------------------------------------------------------------------------------------------ bank accounts


@leaf
def _mod97(remainder, byte):
    """One more character of an IBAN; letters count 10 to 35."""
    if is_digit(byte):
        return (remainder * 10 + np.int64(byte) - 48) % 97
    return (remainder * 100 + np.int64(byte | 32) - 87) % 97


@kernel
def bank_account(data, floor, stop, at):
    """An IBAN whose check digits stand at ``at``: the length of its country, solid or in fours, mod 97 = 1.

    Blanks or hyphens stand between the fours.
    """
    start = at - 2
    if start < floor or not is_letter(data[start]) or not is_letter(data[start + 1]):
        return 0, 0
    length = _COUNTRIES[(np.int64(data[start] | 32) - 97) * 26 + np.int64(data[start + 1] | 32) - 97]
    if length == 0 or (start > floor and is_word(data[start - 1])) or digits_end(data, at, min(stop, at + 2)) < at + 2:
        return 0, 0
    mark = data[at + 2] if at + 2 < stop else SPACE
    spaced = at + 2 < stop and mark in (SPACE, DASH)
    end, remainder, small, large = at + 2, 0, 0, 0
    for k in range(4, length):
        end += spaced and k % 4 == 0 and end < stop and data[end] == mark
        if end >= stop or not (is_letter(data[end]) or is_digit(data[end])):
            return 0, 0
        remainder = _mod97(remainder, data[end])
        end += 1
        if spaced and k % 4 == 3 and k + 1 < length and (end >= stop or data[end] != mark):
            return 0, 0
    for k in range(start, start + 4):
        remainder = _mod97(remainder, data[k])
    for k in range(start, end):
        small |= is_letter(data[k]) and data[k] >= 97
        large |= is_letter(data[k]) and data[k] < 97
    if remainder != 1 or (small and large) or (end < stop and is_word(data[end])):
        return 0, 0
    return start, end
