"""Taking a tokenizer that the recipe names into the run. Nothing is trained."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from gristmill.corpus.errors import SourceError
from gristmill.corpus.files import write_text
from gristmill.corpus.receipt import Outcome
from gristmill.tokenizer.stage import Tokenizer, TokenizerFacts
from gristmill.tokenizer.text_tokenizer import TextTokenizer
from gristmill.tokenizer.tokenizer_json import SENTENCEPIECE, TOKENIZER, Config, SpecialTokens, faults, read_config


def take_tokenizer(path: Path, folder: Path, *, section: Tokenizer) -> Outcome:
    """Copy a tokenizer into ``folder``: tokenizer.json byte for byte, or made from a SentencePiece model beside it.

    Parameters
    ----------
    path : of tokenizer.json, or of a SentencePiece model that ends in .model
    section : of the recipe, ``chat_template`` as text; what it names is written as ``tokenizer_config.json``

    Returns
    -------
    Outcome : no rows; facts: ``TokenizerFacts``

    Raises
    ------
    SourceError : the file is no tokenizer, or lacks a token that the recipe names
    """
    config = read_config(path)
    for key, text in faults(config, section.specials):
        raise SourceError(f"tokenizer.{key}: {text}")
    if path.suffix == SENTENCEPIECE:
        write_text(folder / TOKENIZER, json.dumps(config, ensure_ascii=False, indent=1) + "\n")
        shutil.copyfile(path, folder / "sentencepiece.model")
    else:
        shutil.copyfile(path, folder / TOKENIZER)
    special = SpecialTokens.of(section.specials, config, section.chat_template)
    special.write(folder)
    text = TextTokenizer(folder / TOKENIZER)
    name = model_name(config)
    return Outcome(0, {}, asdict(TokenizerFacts(text.vocab_size, 0, 0.0, name, False, special.end, text.pad_id)))


def model_name(config: Config) -> str:
    """The algorithm, for people.

    >>> model_name({"model": {"type": "BPE"}, "decoder": {"type": "ByteLevel"}})
    'byte-level BPE'
    """
    byte_level = (config.get("decoder") or {}).get("type") == "ByteLevel"
    name = str(config["model"].get("type", "BPE"))  # files of before 2020 leave it out
    return f"byte-level {name}" if byte_level else name
