"""Chat templates: where one is read from. Rendering conversations with them stands here as well."""

import json
from pathlib import Path

from gristmill.corpus.errors import SourceError


def read_template(path: Path) -> str:
    """The chat template in a file: a Jinja template, or the one of a tokenizer_config.json.

    Raises
    ------
    SourceError : the file is missing or not UTF-8, or a JSON file without one template
    """
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text)["chat_template"] if path.suffix == ".json" else text
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"tokenizer.chat_template: {path} holds no chat template: {error!r}") from None
    if not isinstance(found, str):
        raise SourceError(f"tokenizer.chat_template: {path} holds several templates; write the one to use to a file")
    return found
