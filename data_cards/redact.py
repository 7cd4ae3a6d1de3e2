"""Credentials in addresses are removed before anything enters a card. What is secret elsewhere never gets here."""

import re
from typing import Any

_USER = re.compile(r"(?<=://)[^/\s\"'@]*@")
_USER_WITH_SLASH = re.compile(r"(?<=://)[^\s\"'/@:]+:(?!\d+(?:/|$))[^\s\"'@]+@")  # an AWS secret often holds a slash
_QUERY = re.compile(
    r"([?&][^=&\s\"']*(?:sig|token|key|secret|password|credential)[^=&\s\"']*=)[^&\s\"']+", re.IGNORECASE
)


def redact_text(text: str) -> str:
    """``text`` with user names, passwords and signed queries taken out of its addresses.

    >>> redact_text("s3://AKIA:se/cret@bucket/web, https://x.org/a?X-Amz-Signature=12&page=3")
    's3://bucket/web, https://x.org/a?X-Amz-Signature=REDACTED&page=3'
    >>> redact_text("hf://datasets/org/name@main/data")
    'hf://datasets/org/name@main/data'
    """
    text = _USER_WITH_SLASH.sub("", _USER.sub("", text))
    return _QUERY.sub(r"\1REDACTED", text)


def redact(value: Any) -> Any:
    """The same JSON value with every text, keys included, redacted.

    >>> redact({"path": ["ftp://me:pw@host/x", 3]})
    {'path': ['ftp://host/x', 3]}
    """
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, dict):
        return {redact_text(str(key)): redact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    return value
