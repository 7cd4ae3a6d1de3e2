"""A tokenizer.json as data: its tokens, its special tokens, and why documents cannot be encoded with it.

Plain JSON, without the tokenizers library, so that a recipe is checked at once. Encoding stands in ``encoder``.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gristmill.corpus.errors import SourceError, nearest
from gristmill.corpus.files import write_text
from gristmill.tokenizer.stage import END, PAD, Specials

Config = dict[str, Any]  # a parsed tokenizer.json
TOKENIZER = "tokenizer.json"
SETTINGS = "tokenizer_config.json"  # beside it; transformers reads the same keys
SENTENCEPIECE = ".model"
_SHOWN = 12


def read_config(path: Path) -> Config:
    """A tokenizer.json, or what one says that means the same as a SentencePiece model.

    Raises
    ------
    SourceError : the file is missing or is neither
    """
    from gristmill.tokenizer.sentencepiece_model import as_config

    try:
        raw = path.read_bytes()
        config = as_config(raw) if path.suffix == SENTENCEPIECE else json.loads(raw)
        token_ids(config)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise SourceError(f"{path} is no tokenizer.json, nor a SentencePiece model: {error or 'cut short'}") from None
    return config


def token_ids(config: Config) -> dict[str, int]:
    """The id of every token, special and added ones among them.

    >>> token_ids({"model": {"vocab": [["a", -1.0], ["b", -2.0]]}, "added_tokens": [{"content": "</s>", "id": 2}]})
    {'a': 0, 'b': 1, '</s>': 2}
    """
    vocab = config["model"]["vocab"]
    found = dict(vocab) if isinstance(vocab, Mapping) else {piece: place for place, (piece, _) in enumerate(vocab)}
    return found | {token["content"]: token["id"] for token in config.get("added_tokens") or ()}


def vocab_size(config: Config) -> int:
    """One more than the highest id."""
    return max(token_ids(config).values(), default=-1) + 1


@dataclass(frozen=True, slots=True)
class SpecialTokens:
    """What stands for no text in a tokenizer: written beside it as ``tokenizer_config.json``.

    ``control`` are further ones of the recipe; those that tokenizer.json itself marks as special are not repeated.
    """

    end: str | None = END
    pad: str | None = PAD
    begin: str | None = None
    control: tuple[str, ...] = ()
    chat_template: str | None = None

    @classmethod
    def of(cls, specials: Specials, config: Config, chat_template: str | None = None) -> "SpecialTokens":
        """Those of a recipe; where it leaves pad out, <|pad|> if the tokenizer has it."""
        pad = specials.pad or (PAD if PAD in token_ids(config) else None)
        return cls(specials.end or None, pad, specials.begin, specials.control, chat_template)

    @classmethod
    def beside(cls, path: Path) -> "SpecialTokens":
        """Those of a tokenizer.json of a run; version 0.1.0 wrote no second file."""
        settings = path.with_name(SETTINGS)
        if not settings.exists():
            return cls()
        found = json.loads(settings.read_text(encoding="utf-8"))
        end, pad, begin = (found.get(key) for key in ("eos_token", "pad_token", "bos_token"))
        return cls(end, pad, begin, tuple(found["additional_special_tokens"]), found.get("chat_template"))

    def write(self, folder: Path) -> None:
        """Write ``tokenizer_config.json``; transformers.AutoTokenizer opens the folder then."""
        found = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": self.begin,
            "eos_token": self.end,
            "pad_token": self.pad,
            "additional_special_tokens": list(self.control),
            "clean_up_tokenization_spaces": False,
            **({"chat_template": self.chat_template} if self.chat_template else {}),
        }
        write_text(folder / SETTINGS, json.dumps(found, indent=2, ensure_ascii=False) + "\n")

    @property
    def named(self) -> tuple[str, ...]:
        """All that have a name here, each once."""
        return tuple(dict.fromkeys(name for name in (self.end, self.pad, self.begin, *self.control) if name))

    def end_id(self, config: Config) -> int | None:
        """The id that closes every document; None where none does."""
        return None if self.end is None else _id_of(self.end, config)

    def pad_id(self, config: Config) -> int:
        """The id that fills rows: no reader takes it for a token of a document."""
        return _id_of(self.pad or self.end, config) if self.pad or self.end else 0


def _id_of(name: str | None, config: Config) -> int:
    ids = token_ids(config)
    if name not in ids:
        raise SourceError(f"the tokenizer has no token {name!r}; its special tokens are {_listed(config)}")
    return ids[name]


def marked(config: Config, named: tuple[str, ...] = ()) -> dict[str, int]:
    """Ids of the tokens that stand for no text: those that the file marks as special, and those named.

    >>> marked({"model": {"vocab": {"a": 0}}, "added_tokens": [{"content": "<s>", "id": 1, "special": True}]})
    {'<s>': 1}
    """
    found = {token["content"]: token["id"] for token in config.get("added_tokens") or () if token.get("special")}
    ids = token_ids(config)
    return found | {name: ids[name] for name in named if name in ids}


def faults(config: Config, specials: Specials) -> Iterator[tuple[str, str]]:
    """Keys of [tokenizer] that are wrong for this file, and why."""
    ids = token_ids(config)
    if config["model"].get("dropout"):
        yield (
            "path",
            f"its dropout of {config['model']['dropout']} encodes a text in another way each time; set it to null",
        )
    wanted = [("specials.end", specials.end), ("specials.pad", specials.pad), ("specials.begin", specials.begin)]
    for key, name in [*wanted, *(("specials.control", name) for name in specials.control)]:
        if name and name not in ids:
            hint = ' Documents have no end token with end = ""' if key == "specials.end" else ""
            known = f"{nearest(name, marked(config))}; its special tokens are {_listed(config)}."
            yield key, f"the tokenizer of path has no token {name!r}{known}{hint}".rstrip(".")


def _listed(config: Config) -> str:
    names = list(marked(config))
    return ", ".join(map(repr, names[:_SHOWN])) + (" ..." if len(names) > _SHOWN else "") or "none"
