"""Keys and tokens: by the prefix a service gives them, by the name a text assigns them to, or as a block.

Every parser returns (start, end) in bytes, (0, 0) when there is nothing. None looks further back or ahead than its
form is long, so hostile text costs linear time. See ``pii`` for the rules.
"""

import numpy as np

from gristmill.corpus.text._kernels_bytes import (
    AT,
    COLON,
    DOT,
    PLUS,
    SLASH,
    SPACE,
    digits_end,
    is_digit,
    is_letter,
    is_token,
    is_word,
    padded,
    stands,
)
from gristmill.corpus.text._kernels_jit import kernel, leaf

_DOUBLE, _SINGLE, _EQUALS, _MORE = 34, 39, 61, 62  # " ' = >
TOKEN_RUN = 16  # a key has at least so many letters, digits, - and _ in a row
_VALUE_MIN, _VALUE_MAX = 20, 200  # characters of a value that some text calls a key
_VALUE_DISTINCT, _VALUE_DIGITS, _VALUE_LETTERS = 10, 3, 3
_UPPER, _ALNUM, _TOKEN, _HEX, _RANDOM = 0, 1, 2, 3, 4  # what may follow a prefix; random: sk-learn-... is a name
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
    (b"xapp-", 40, 200, _TOKEN),
    (b"GOCSPX-", 28, 28, _TOKEN),
    (b"glpat-", 20, 20, _TOKEN),  # GitLab
    (b"npm_", 36, 36, _ALNUM),
    (b"pypi-AgEI", 60, 240, _TOKEN),
    (b"hf_", 34, 34, _ALNUM),
    (b"sk-", 40, 200, _RANDOM),  # OpenAI, Anthropic
    (b"sk_live_", 16, 240, _ALNUM),  # Stripe
    (b"sk_test_", 16, 240, _ALNUM),
    (b"rk_live_", 16, 240, _ALNUM),
    (b"rk_test_", 16, 240, _ALNUM),
    (b"SK", 32, 32, _HEX),  # Twilio
    (b"key-", 32, 32, _HEX),  # Mailgun
    (b"dop_v1_", 64, 64, _HEX),  # DigitalOcean
    (b"shpat_", 32, 32, _HEX),  # Shopify
    (b"shpss_", 32, 32, _HEX),
    (b"sq0atp-", 22, 22, _TOKEN),  # Square
    (b"sq0csp-", 43, 43, _TOKEN),
    (b"dapi", 32, 32, _HEX),  # Databricks
    (b"lin_api_", 40, 40, _ALNUM),  # Linear
    (b"glsa_", 41, 41, _TOKEN),  # Grafana
    (b"dckr_pat_", 27, 27, _TOKEN),  # Docker
    (b"rubygems_", 48, 48, _HEX),
)
_LONGEST_TOKEN = 256
_PREFIXES = np.zeros((len(_FORMS), 16), np.uint8)
_PREFIX_RULES = np.array([(len(prefix), low, high, kind) for prefix, low, high, kind in _FORMS], np.int64)
for _row, _form in enumerate(_FORMS):
    _PREFIXES[_row, : len(_form[0])] = list(_form[0])

_NAMES = padded((b"key", b"token", b"secret", b"password", b"passwd"))
_SCHEMES = padded((b"bearer", b"basic"))  # of an Authorization header; blanks alone stand before the value
_BEFORE_DOT = padded((b"SG.", b"ya29.", b"hvs."))  # SendGrid, Google OAuth, Vault
_DOT_LENGTHS = np.array([(22, 22), (20, 250), (24, 150)], np.int64)
_SENDGRID_REST, _JWT_MIN, _JWT_MAX = 43, 16, 4096
_JWT, _TELEGRAM = padded((b"eyJ",)), padded((b"AA",))
_TELEGRAM_RUN = 35
_CENTRE = padded((b"-us",))  # Mailchimp: 32 hexadecimal digits, -us and the number of a data centre
_PLACEHOLDERS = padded((b"password", b"passwd", b"pass", b"pwd", b"pw", b"secret", b"token", b"xxx", b"xxxx"))
_USER_MAX = 200  # bytes between :// and @
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
        if kind == _HEX and not (is_digit(byte) or 97 <= byte <= 102):
            return False
    return True


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
            return _PREFIX_RULES[row, 3] != _RANDOM or _looks_random(data, start, end)
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
    value, at = at, _skip_blanks(data, floor, _skip_quote(data, floor, at))
    if at < value and data[value - 1] == SPACE:
        for row in range(_SCHEMES.shape[0]):
            begin = at - np.int64(_SCHEMES[row, 0])
            if begin >= floor and stands(data, begin, at, _SCHEMES, row, True):
                return begin == floor or not is_word(data[begin - 1])
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


@leaf
def _run_end(data, at, stop, longest):
    """End of the run of letters, digits, - and _ at ``at``, not longer than ``longest`` and one."""
    end = at
    while end < stop and end - at <= longest and is_token(data[end]):
        end += 1
    return end


@kernel
def _web_token(data, stop, start):
    """A JSON web token: header.payload.signature, the first two beginning with {" in base64; 0 for none."""
    end = _run_end(data, start, stop, _JWT_MAX)
    if not stands(data, start, end, _JWT, 0, False) or end >= stop or data[end] != DOT:
        return 0
    middle = _run_end(data, end + 1, stop, _JWT_MAX)
    if not stands(data, end + 1, middle, _JWT, 0, False) or middle >= stop or data[middle] != DOT:
        return 0
    last = _run_end(data, middle + 1, stop, _JWT_MAX)
    return last if _JWT_MIN <= last - middle - 1 <= _JWT_MAX else 0


@kernel
def _dotted_token(data, floor, stop, start, end):
    """Keys of several runs: SG.x.y, ya29.x, hvs.x, 12345678:AAx (Telegram), 32 digits-us1 (Mailchimp)."""
    for row in range(_BEFORE_DOT.shape[0]):
        begin = start - np.int64(_BEFORE_DOT[row, 0])
        if begin < floor or not stands(data, begin, start, _BEFORE_DOT, row, False):
            continue
        if begin > floor and (is_word(data[begin - 1]) or data[begin - 1] == DOT):
            return 0, 0
        if not _DOT_LENGTHS[row, 0] <= end - start <= _DOT_LENGTHS[row, 1]:
            return 0, 0
        if row > 0:
            return begin, end
        last = _run_end(data, end + 1, stop, _SENDGRID_REST) if end < stop and data[end] == DOT else 0
        return (begin, last) if last - end - 1 == _SENDGRID_REST else (0, 0)
    if end - start == _TELEGRAM_RUN and stands(data, start, end, _TELEGRAM, 0, False):
        begin = start - 1
        while begin > floor and data[start - 1] == COLON and start - begin < 12 and is_digit(data[begin - 1]):
            begin -= 1
        alone = begin == floor or not is_word(data[begin - 1])
        return (begin, end) if 8 <= start - 1 - begin <= 10 and alone else (0, 0)
    centre = start + 32
    if centre < end <= centre + 5 and stands(data, centre, end, _CENTRE, 0, False) and end > centre + 3:
        digits = _fits(data, start, centre, _HEX) and digits_end(data, centre + 3, end) == end
        return (start, end) if digits else (0, 0)
    return 0, 0


@kernel
def url_credentials(data, floor, stop, at):
    """``user:password`` before the @ at ``at`` of an address with ``://``: (start, end, whether @ stands in such a form).

    No find is a password that stands for one: a word for it, or with < > { } $ *.
    """
    start, colon = at, -1
    while start > floor and at - start <= _USER_MAX:
        byte = data[start - 1]
        if byte <= SPACE or byte in (SLASH, AT, _DOUBLE, _SINGLE):
            break
        colon = start - 1 if byte == COLON else colon
        start -= 1
    if start - 3 <= floor or data[start - 1] != SLASH or data[start - 2] != SLASH or data[start - 3] != COLON:
        return 0, 0, False
    if (
        not is_letter(data[start - 4])
        or at + 1 >= stop
        or not is_token(data[at + 1])
        or colon < start
        or at - colon < 2
    ):
        return 0, 0, False
    for k in range(start, at):
        if data[k] in (60, 62, 123, 125, 36, 42):  # < > { } $ *
            return 0, 0, True
    for row in range(_PLACEHOLDERS.shape[0]):
        if at - colon - 1 == np.int64(_PLACEHOLDERS[row, 0]) and stands(data, colon + 1, at, _PLACEHOLDERS, row, True):
            return 0, 0, True
    return start, at, True


@kernel
def secret_token(data, floor, stop, start):
    """The key whose token run begins at ``start``: because the text calls it one, or by its form."""
    web = _web_token(data, stop, start)
    if web > 0:
        return start, web
    end = start
    while end < stop and end - start <= _LONGEST_TOKEN and is_token(data[end]):
        end += 1
    if end - start > _LONGEST_TOKEN:
        return 0, 0
    value = _assigned_value(data, floor, stop, start, end)
    if value[1] > 0:
        return value
    return (start, end) if _has_known_prefix(data, start, end) else _dotted_token(data, floor, stop, start, end)


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
