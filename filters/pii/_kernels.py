"""One pass over the text for everything in ``pii``: masks of 64 bytes find @, digits, colons and long runs of token
characters; a parser looks at each of them. Finds are rows of ``found int64[capacity, 4]``: document, start, end, kind.
"""

import numpy as np

from gristmill.corpus.text._kernels import ONE, U64, ZERO, below, ctz, equal_mask
from gristmill.corpus.text._kernels_bits import digit_mask, token_mask
from gristmill.corpus.text._kernels_bytes import AT, COLON, DASH, SPACE, is_digit, is_hex, is_letter
from gristmill.corpus.text._kernels_jit import kernel, leaf
from gristmill.filters.pii._kernels_addresses import ipv4_address, ipv6_address, mail_address
from gristmill.filters.pii._kernels_keys import TOKEN_RUN, private_key, secret_token, url_credentials
from gristmill.filters.pii._kernels_numbers import bank_account, card_number
from gristmill.filters.pii._kernels_phones import phone_number

EMAIL, IPV4, IPV6, CARD, IBAN, PHONE, KEY = range(7)


@leaf
def _note(found, n, document, span, kind):
    """Append a find; those beyond the capacity are counted, not stored."""
    if span[1] == 0:
        return n
    if n < found.shape[0]:
        found[n, 0], found[n, 1], found[n, 2], found[n, 3] = document, span[0], span[1], kind
    return n + 1


@leaf
def _stands_alone(data, floor, at):
    """A number of up to six digits with no more digits near it and no letter before: most of those in prose."""
    end = at + 1
    while end - at < 7 and is_digit(data[end]):
        end += 1
    near = is_digit(data[end + 1]) or is_digit(data[end + 2])
    return end - at < 7 and not near and (at == floor or not is_letter(data[at - 1]))


@kernel
def _look_at_number(data, floor, stop, at, found, n, document):
    """All kinds of number that may begin with the digit at ``at``."""
    before = data[at - 1] if at > floor else SPACE
    if is_letter(before):
        return _note(found, n, document, bank_account(data, floor, stop, at), IBAN)
    n = _note(found, n, document, ipv4_address(data, floor, stop, at), IPV4)
    n = _note(found, n, document, card_number(data, floor, stop, at), CARD)
    return _note(found, n, document, phone_number(data, floor, stop, at), PHONE)


@kernel
def _look_at_marks(data, floor, stop, at, inside, mail_floor, found, n, document):
    """Addresses and private keys by their marks in one block. Returns (finds, end of the last mail address)."""
    marks = equal_mask(data, at, AT) & inside
    while marks:
        place = at + ctz(marks)
        marks &= marks - ONE
        start, end, in_url = url_credentials(data, floor, stop, place)
        n = _note(found, n, document, (start, end), KEY)
        if not in_url:
            span = mail_address(data, mail_floor, stop, place)
            n = _note(found, n, document, span, EMAIL)
            mail_floor = max(mail_floor, span[1])
    marks = equal_mask(data, at, COLON) & inside
    while marks:
        colon = at + ctz(marks)
        marks &= marks - ONE
        if colon > floor and is_hex(data[colon - 1]):
            n = _note(found, n, document, ipv6_address(data, floor, stop, colon), IPV6)
    marks = equal_mask(data, at, DASH) & equal_mask(data, at + 1, 66) & inside  # -B of -----BEGIN
    while marks:
        n = _note(found, n, document, private_key(data, floor, stop, at + ctz(marks)), KEY)
        marks &= marks - ONE
    return n, mail_floor


@kernel
def _scan_document(data, floor, stop, found, n, document):
    """One document. ``carried`` bits tell a block what the one before it ended with."""
    digit_before, mail_floor = ZERO, floor
    one, two, four, eight, run_before = ZERO, ZERO, ZERO, ZERO, ZERO
    for at in range(floor, stop, 64):
        inside = below(min(stop - at, 64))
        n, mail_floor = _look_at_marks(data, floor, stop, at, inside, mail_floor, found, n, document)
        digits = digit_mask(data, at) & inside
        marks = digits & ~(digits << ONE | digit_before)
        digit_before = digits >> U64(63)
        while marks:
            digit = at + ctz(marks)
            if not _stands_alone(data, floor, digit):
                n = _look_at_number(data, floor, stop, digit, found, n, document)
            marks &= marks - ONE
        runs1 = token_mask(data, at) & inside  # bit k: a token run of 1, 2, 4 ... characters ends at k
        runs2 = runs1 & (runs1 << ONE | one)
        runs4 = runs2 & (runs2 << U64(2) | two)
        runs8 = runs4 & (runs4 << U64(4) | four)
        runs16 = runs8 & (runs8 << U64(8) | eight)
        one, two, four, eight = runs1 >> U64(63), runs2 >> U64(62), runs4 >> U64(60), runs8 >> U64(56)
        marks = runs16 & ~(runs16 << ONE | run_before)
        run_before = runs16 >> U64(63)
        while marks:
            span = secret_token(data, floor, stop, at + ctz(marks) - (TOKEN_RUN - 1))
            n = _note(found, n, document, span, KEY)
            marks &= marks - ONE
    return n


@kernel
def scan(offsets, data, found):
    """Everything in every document; returns the number of finds: call again with room when it is beyond capacity."""
    n = 0
    for document in range(offsets.size - 1):
        n = _scan_document(data, offsets[document], offsets[document + 1], found, n, document)
    return n


@kernel
def keep_leftmost(found, kept):
    """kept[i] = find i begins behind the end of the one kept before it. Finds are sorted; offsets tell documents apart."""
    end = np.int64(0)
    for i in range(found.shape[0]):
        kept[i] = found[i, 1] >= end
        end = found[i, 2] if kept[i] else end


@kernel
def count_kinds(found, counts):
    """counts[document, kind] = finds."""
    counts[:] = 0
    for i in range(found.shape[0]):
        counts[found[i, 0], found[i, 3]] += 1
