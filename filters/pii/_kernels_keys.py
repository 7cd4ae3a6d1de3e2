"""Keys and tokens: by the prefix a service gives them, by the name a text assigns them to, or as a block.

Every parser returns (start, end) in bytes, (0, 0) when there is nothing. None looks further back or ahead than its
form is long, so hostile text costs linear time. See ``pii`` for the rules.
"""

import numpy as np

from gristmill.corpus.text._kernels_bytes import (
    COLON,
    PLUS,
    SLASH,
    SPACE,
    is_digit,
    is_letter,
    is_token,
    padded,
    stands,
)
from gristmill.corpus.text._kernels_jit import kernel, leaf

_DOUBLE, _SINGLE, _EQUALS, _MORE = 34, 39, 61, 62  # " ' = >
TOKEN_RUN = 16  # a key has at least so many letters, digits, - and _ in a row
_VALUE_MIN, _VALUE_MAX = 20, 200  # characters of a value that some text calls a key
_VALUE_DISTINCT, _VALUE_DIGITS, _VALUE_LETTERS = 10, 3, 3
_UPPER, _ALNUM, _TOKEN = 0, 1, 2  # what may follow a prefix
_FORMS = (  # prefix, least and most characters behind it, their class
    (b"AKIA", 16, 16, _UPPER),  # AWS
    (b"ASIA", 16, 16, _UPPER),
    (b"ghp_", 36, 251, _ALNUM),  # GitHub
    (b"gho_", 36, 251, _ALNUM),
    (b"ghu_", 36, 251, _ALNUM),
    (b"ghs_", 36, 251, _ALNUM),
    (b"ghr_", 36, 251, _ALNUM),
    (b"github_pat_", 60, 244, _TOKEN),
    (b"xoxa-", 20, 250, _TOKEN),  # Slack
    (b"xoxb-", 20, 250, _TOKEN),
    (b"xoxp-", 20, 250, _TOKEN),
    (b"xoxr-", 20, 250, _TOKEN),
    (b"xoxs-", 20, 250, _TOKEN),
    (b"AIza", 35, 35, _TOKEN),  # Google
    (b"glpat-", 20, 20, _TOKEN),  # GitLab
    (b"npm_", 36, 36, _ALNUM),
    (b"hf_", 34, 34, _ALNUM),
    (b"sk-", 40, 200, _TOKEN),
)
_LONGEST_TOKEN = 256
_PREFIXES = np.zeros((len(_FORMS), 16), np.uint8)
_PREFIX_RULES = np.array([(len(prefix), low, high, kind) for prefix, low, high, kind in _FORMS], np.int64)
for _row, _form in enumerate(_FORMS):
    _PREFIXES[_row, : len(_form[0])] = list(_form[0])

_NAMES = padded((b"key", b"token", b"secret", b"password", b"passwd"))
_BEGIN, _END, _RULE = padded((b"BEGIN ",)), padded((b"-----END ",)), padded((b"-----",))
_PRIVATE, _BLOCK = padded((b"PRIVATE KEY",)), padded((b" BLOCK",))


@kernel
def _fits(data, start, stop, kind):
    """Whether data[start:stop] is made of the characters of ``kind``."""
    for at in range(start, stop):
        byte = data[at]
        upper = 65 <= byte <= 90 or is_digit(byte)
        if (kind == _UPPER and not upper) or (kind == _ALNUM and not (is_letter(byte) or is_digit(byte))):
            return False
    return True


@kernel
def _has_known_prefix(data, start, end):
    """Whether the token data[start:end] has the form of one that some service issues."""
    for row in range(_PREFIXES.shape[0]):
        length, rest = _PREFIX_RULES[row, 0], end - start - _PREFIX_RULES[row, 0]
        if not _PREFIX_RULES[row, 1] <= rest <= _PREFIX_RULES[row, 2]:
            continue
        same = 0
        while same < length and data[start + same] == _PREFIXES[row, same]:
            same += 1
        if same == length and _fits(data, start + length, end, _PREFIX_RULES[row, 3]):
            return True
    return False


@leaf
def _skip_blanks(data, floor, at):
    """Up to three blanks back."""
    for _ in range(3):
        if at > floor and (data[at - 1] == SPACE or data[at - 1] == 9):
            at -= 1
    return at


@leaf
def _skip_quote(data, floor, at):
    """One quotation mark back."""
    return at - 1 if at > floor and (data[at - 1] == _DOUBLE or data[at - 1] == 39) else at


@kernel
def _is_assigned(data, floor, at):
    """Whether ``key =`` or the like stands before ``at``: a name, a quote, blanks, an operator, blanks, a quote."""
    at = _skip_blanks(data, floor, _skip_quote(data, floor, at))
    if at == floor or data[at - 1] not in (COLON, _EQUALS, _MORE):
        return False
    arrow = at - 1 > floor and data[at - 1] == _MORE and data[at - 2] == _EQUALS  # =>
    becomes = at - 1 > floor and data[at - 1] == _EQUALS and data[at - 2] == COLON  # :=
    if data[at - 1] == _MORE and not arrow:
        return False
    at -= 2 if arrow or becomes else 1
    at = _skip_quote(data, floor, _skip_blanks(data, floor, at))
    for row in range(_NAMES.shape[0]):
        begin = at - np.int64(_NAMES[row, 0])
        if begin >= floor and stands(data, begin, at, _NAMES, row, True):
            return True
    return False


@kernel
def _looks_random(data, start, end):
    """Digits, letters and enough different characters: words and placeholders have fewer (10: up to 3.3 bits each)."""
    digits, letters, low, high = 0, 0, np.uint64(0), np.uint64(0)
    for at in range(start, end):
        byte = data[at]
        digits += is_digit(byte)
        letters += is_letter(byte)
        bit = np.uint64(1) << np.uint64(byte & 63)
        low, high = (low | bit, high) if byte < 64 else (low, high | bit)
    distinct = 0
    for bit in range(64):
        distinct += np.int64(low >> np.uint64(bit) & np.uint64(1)) + np.int64(high >> np.uint64(bit) & np.uint64(1))
    return digits >= _VALUE_DIGITS and letters >= _VALUE_LETTERS and distinct >= _VALUE_DISTINCT


@kernel
def _assigned_value(data, floor, stop, start, end):
    """The value around the token data[start:end], + and / belonging to it, when the text assigns it to a key's name."""
    while (
        start > floor and end - start <= _VALUE_MAX and (is_token(data[start - 1]) or data[start - 1] in (PLUS, SLASH))
    ):
        start -= 1
    while end < stop and end - start <= _VALUE_MAX and (is_token(data[end]) or data[end] in (PLUS, SLASH)):
        end += 1
    if not _VALUE_MIN <= end - start <= _VALUE_MAX:
        return 0, 0
    if not _is_assigned(data, floor, start) or not _looks_random(data, start, end):
        return 0, 0
    for _ in range(2):
        end += end < stop and data[end] == _EQUALS
    return start, end


@kernel
def secret_token(data, floor, stop, start):
    """The key whose token run begins at ``start``: because the text calls it one, or by its prefix."""
    end = start
    while end < stop and end - start <= _LONGEST_TOKEN and is_token(data[end]):
        end += 1
    if end - start > _LONGEST_TOKEN:
        return 0, 0
    value = _assigned_value(data, floor, stop, start, end)
    if value[1] == 0 and _has_known_prefix(data, start, end):
        return start, end
    return value


@kernel
def _label_end(data, at, stop):
    """End of ``... PRIVATE KEY`` or ``... PRIVATE KEY BLOCK`` at ``at``, with five hyphens behind it; -1 for others."""
    end = at
    while end < stop and (65 <= data[end] <= 90 or is_digit(data[end]) or data[end] == SPACE):
        end += 1
    words = end - 6 if end - 6 >= at and stands(data, end - 6, end, _BLOCK, 0, False) else end
    if words - 11 < at or not stands(data, words - 11, words, _PRIVATE, 0, False):
        return -1
    return end if stands(data, end, stop, _RULE, 0, False) else -1


@kernel
def private_key(data, floor, stop, at):
    """The block whose first line's hyphens end at ``at``: up to the END line of the same label."""
    start, label = at - 4, at + 7
    if start < floor or not stands(data, start, stop, _RULE, 0, False):
        return 0, 0
    if not stands(data, at + 1, stop, _BEGIN, 0, False):
        return 0, 0
    label_end = _label_end(data, label, stop)
    if label_end < 0:
        return 0, 0
    body = label_end + 5
    while body < stop and not stands(data, body, stop, _RULE, 0, False):
        body += 1
    again = body + 9
    if not stands(data, body, stop, _END, 0, False) or again + label_end - label + 5 > stop:
        return 0, 0
    for k in range(label_end - label):
        if data[again + k] != data[label + k]:
            return 0, 0
    end = again + label_end - label
    return (start, end + 5) if stands(data, end, stop, _RULE, 0, False) else (0, 0)
