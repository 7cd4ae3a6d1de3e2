"""What the tokens of packed rows spell, as the model was given them."""

from pathlib import Path
from typing import Any

import numpy as np

from gristmill.handoff.reader import ShardReader
from gristmill.tokenizer.text_tokenizer import TextTokenizer


def row_texts(run: Path, domain: str, row: int, documents: list[dict[str, Any]]) -> list[str]:
    """The text of each document slice of a row; a slice that begins or ends within a character has U+FFFD there.

    Parameters
    ----------
    run : a run directory
    documents : slices of the row, each with start and length in tokens
    """
    tokenizer = TextTokenizer(run / "tokenizer" / "tokenizer.json")
    tokens = ShardReader(run / "shards" / domain).tokens(np.array([row]))[0]
    slices = (tokens[one["start"] : one["start"] + one["length"]].tolist() for one in documents)
    return [tokenizer.decode([one for one in ids if one != tokenizer.end_id]) for ids in slices]
