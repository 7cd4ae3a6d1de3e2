"""A SentencePiece model as the tokenizer.json that means the same. Its fields are read here, without protobuf.

``sentencepiece_model.proto`` of google/sentencepiece names the fields. A unigram model keeps its scores; of a BPE
model the merges are found again: every two pieces that make a third, in order of the third's score. Ids equal those
of sentencepiece 0.2.3 on 185 texts with eight models; they differ where a text spells a user-defined piece, behind
which the tokenizers library begins anew, and where two ways to cut a text have one score.
"""

import struct
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

UNIGRAM, BPE = 1, 2  # TrainerSpec.ModelType
_UNKNOWN, _CONTROL, _USER_DEFINED = 2, 3, 4  # SentencePiece.Type; 1 is an ordinary piece, 6 a byte
SPACE = "▁"
Field = tuple[int, Any]


def as_config(raw: bytes) -> dict[str, Any]:
    """The tokenizer.json of a model file.

    Raises
    ------
    ValueError : the bytes are no such model, or one of words or characters
    """
    model = list(_fields(raw))
    pieces = [_piece(value) for number, value in model if number == 1]
    trainer, normaliser = (dict(_fields(_last(model, number))) for number in (2, 3))
    if not pieces:
        raise ValueError("it has no pieces")
    added = [_added(place, *piece) for place, piece in enumerate(pieces) if piece[2] in _ADDED]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": _normaliser(normaliser),
        "pre_tokenizer": _metaspace(split=all(SPACE not in text[1:] for text, _, _ in pieces)),
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": _decoders(normaliser)},
        "model": _model(pieces, trainer),
    }


_ADDED = (_UNKNOWN, _CONTROL, _USER_DEFINED)


def _added(place: int, text: str, _: float, kind: int) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": place, "content": text, **flags, "special": kind != _USER_DEFINED}


def _model(pieces: list[tuple[str, float, int]], trainer: dict[int, Any]) -> dict[str, Any]:
    kind, has_bytes = trainer.get(3, UNIGRAM), bool(trainer.get(35, 0))
    unknown = next((place for place, piece in enumerate(pieces) if piece[2] == _UNKNOWN), None)
    if kind == UNIGRAM:
        vocab = [[text, score] for text, score, _ in pieces]
        return {"type": "Unigram", "unk_id": unknown, "vocab": vocab, "byte_fallback": has_bytes}
    if kind != BPE:
        raise ValueError("it is a model of words or characters; unigram and BPE models are read")
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None if unknown is None else pieces[unknown][0],
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": True,
        "byte_fallback": has_bytes,
        "ignore_merges": False,
        "vocab": {text: place for place, (text, _, _) in enumerate(pieces)},
        "merges": _merges(pieces),
    }


def _merges(pieces: list[tuple[str, float, int]]) -> list[list[str]]:
    """Of pieces with one score, the earlier one is merged first; of two ways to make one, that of earlier pieces."""
    place = {text: number for number, (text, _, kind) in enumerate(pieces) if kind == 1}
    found = []
    for number, (text, score, kind) in enumerate(pieces):
        cuts = ((text[:at], text[at:]) for at in range(1, len(text))) if kind == 1 else ()
        pairs = [(left, right) for left, right in cuts if left in place and right in place]
        found += [(-score, number, place[left], place[right], [left, right]) for left, right in pairs]
    return [merge for *_, merge in sorted(found)]


def _normaliser(spec: dict[int, Any]) -> dict[str, Any] | None:
    steps: list[dict[str, Any]] = []
    if spec.get(2):
        steps.append({"type": "Precompiled", "precompiled_charsmap": b64encode(spec[2]).decode()})
    if spec.get(4, 1):  # remove_extra_whitespaces
        steps.append({"type": "Strip", "strip_left": True, "strip_right": True})
        steps.append({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": SPACE})
    if spec.get(3, 1):  # add_dummy_prefix, which Metaspace leaves out before a space
        steps.append({"type": "Prepend", "prepend": SPACE})
    return {"type": "Sequence", "normalizers": steps} if steps else None


def _metaspace(*, split: bool) -> dict[str, Any]:
    """``split`` before each space, where no piece holds one inside: the same pieces, found sooner."""
    return {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "never", "split": split}


def _decoders(spec: dict[int, Any]) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    return [*steps, *([{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if spec.get(3, 1) else [])]


# ------------------------------------------------------------------------------------------------ the wire format


def _piece(raw: bytes) -> tuple[str, float, int]:
    fields = dict(_fields(raw))
    return fields[1].decode(), fields.get(2, 0.0), fields.get(3, 1)


def _last(fields: list[Field], number: int) -> bytes:
    return next((value for found, value in reversed(fields) if found == number), b"")


def _fields(raw: bytes) -> Iterator[Field]:
    """Number and value of each field: int, float (of 4 bytes) or bytes."""
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = _varint(raw, at)
        elif kind == 2:
            size, at = _varint(raw, at)
            value, at = raw[at : at + size], at + size
        elif kind == 5:
            value, at = struct.unpack_from("<f", raw, at)[0] if at + 4 <= len(raw) else 0.0, at + 4
        elif kind == 1:
            value, at = raw[at : at + 8], at + 8
        else:
            raise ValueError("its bytes are no protocol buffer")
        if at > len(raw):
            raise ValueError("it is cut short")
        yield number, value


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        value |= (raw[at] & 0x7F) << shift
        at += 1
        if raw[at - 1] < 0x80:
            return value, at
    raise ValueError("its bytes are no protocol buffer")
