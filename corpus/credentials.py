r"""Credentials in addresses: user names and passwords before the host, tokens and signatures in the query.

They are taken out where text is read and where a card is gathered. Text of documents stays as it is: what stands
there is personal data or not, and ``[pii]`` finds it.
"""

import re
from typing import Any

REDACTED = "REDACTED"
_SLASHES = r"(:(?:\\?/){2}|^//)"
_USER = re.compile(_SLASHES + r"[^/?#\s\"'<>\\]*@")
_USER_WITH_SLASH = re.compile(_SLASHES + r"[^\s\"'/@:]+:(?!\d+(?:/|$))[^\s\"'@?#]+@")  # an AWS secret may hold a slash
_WORD = r"sig|key|pwd|auth|jwt|sas|sid"  # whole, or behind a dash, dot or underscore: design= and monkey= are none
_ENDING = r"token|secret|signature|passw(?:or)?d|passphrase|credentials?|access_?key(?:id)?|api_?key|authorization"
_ENDING += r"|session(?:_?id)?|sessid"
_NAME = rf"(?:(?:[\w.%~-]*[-_.])?(?:{_WORD})|[\w.%~\[-]*(?:{_ENDING}))(?:\[\w*\]|\]|%5B\w*%5D|%5D)?"
_QUERY = re.compile(rf"([?&;#](?:amp;)?{_NAME}=)(?!{REDACTED}(?:[&#;\s\"'<>\\]|$))[^&#;\s\"'<>\\]+", re.IGNORECASE)
# RE2, quick, finds too much: an @ behind a slash, or a query with such a word in a name
CANDIDATE = rf"(?i)/[^\s\"']*@|[?&;#][^=&#\s\"']*(?:{_WORD}|{_ENDING})[^=&#\s\"']*="


def without_credentials(text: str) -> str:
    """``text`` with user names, passwords and signed queries taken out of its addresses.

    >>> without_credentials("s3://AKIA:se/cret@bucket/web, https://x.org/a?X-Amz-Signature=12&page=3")
    's3://bucket/web, https://x.org/a?X-Amz-Signature=REDACTED&page=3'
    >>> without_credentials("hf://datasets/org/name@main/data?keywords=monkey&design=2")
    'hf://datasets/org/name@main/data?keywords=monkey&design=2'
    """
    text = _USER_WITH_SLASH.sub(r"\1", _USER.sub(r"\1", text))
    return _QUERY.sub(rf"\1{REDACTED}", text)


def redact(value: Any) -> Any:
    """The same JSON value with every text, keys included, without credentials.

    >>> redact({"path": ["ftp://me:pw@host/x", 3]})
    {'path': ['ftp://host/x', 3]}
    """
    if isinstance(value, str):
        return without_credentials(value)
    if isinstance(value, dict):
        return {without_credentials(str(key)): redact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    return value
