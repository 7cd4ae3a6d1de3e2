"""Messages in rendered conversations: trimmed, cut, repeated, or changed by the template."""

import json

import numpy as np
import pyarrow as pa

from gristmill.tokenizer.conversation_places import in_conversations
from gristmill.tokenizer.reference_encoder import Tokens
from gristmill.tokenizer.token_places import NOWHERE, ByteStretches

SPANS = pa.list_(pa.struct([("start", pa.int32()), ("end", pa.int32()), ("reason", pa.string())]))


def placed(text, messages, rendered, stretches, spans=()):
    """Each stretch of the text in the rendered one, as its bytes there; None where it has no place."""
    meta = json.dumps({"messages": [{"role": "user", "content": one} for one in messages]})
    raw, words = rendered.encode(), [bytes([n]) for n in range(256)]
    tokens = Tokens(np.array([0, len(raw)]), np.frombuffer(raw, np.uint8).astype(np.uint16))
    start, end = np.array(stretches, np.int64).reshape(-1, 2).T
    given = ByteStretches(np.zeros(len(start), np.int64), start, end)
    column = pa.array([list(spans)], SPANS)
    found = in_conversations(pa.array([text], pa.large_string()), pa.array([meta]), column, tokens, words, given)
    pairs = zip(found.start.tolist(), found.end.tolist(), strict=True)
    return [None if a == NOWHERE else (a, raw[a:b].decode()) for a, b in pairs]


def test_messages_are_found_one_after_the_other():
    text = "Rome?\n\nRome, Rome."
    found = placed(text, [[0, 5], [7, 18]], "<u>Rome?</u><a>Rome, Rome.</a>", [(0, 4), (7, 11), (13, 17)])
    assert found == [(3, "Rome"), (15, "Rome"), (21, "Rome")]


def test_a_trimmed_message_keeps_its_places_and_a_changed_one_has_none():
    text = "  in Rome \n\nin Paris"
    assert placed(text, [[0, 10], [12, 20]], "<u>in Rome<a>IN PARIS", [(5, 9), (15, 20)]) == [(6, "Rome"), None]


def test_what_lies_between_messages_or_over_two_has_no_place():
    text = "ab\n\ncd"
    assert placed(text, [[0, 2], [4, 6]], "<ab><cd>", [(0, 2), (1, 5), (2, 4)]) == [(1, "ab"), None, None]


def test_messages_move_with_the_cuts_before_them():
    spans = [{"start": 0, "end": 4, "reason": "x"}, {"start": 9, "end": 12, "reason": "mask:email"}]
    text = "é Bonn <EMAIL>\n\nBonn"  # of "cut é Bonn a@b\n\nBonn", bytes before the cuts in meta
    found = placed(
        text, [[0, 15], [17, 21]], "[é Bonn <EMAIL>][Bonn]", [(3, 7), (len("é Bonn <EMAIL>\n\n".encode()), 21)], spans
    )
    assert found[0] == (4, "Bonn")


def test_no_conversation_has_no_places():
    assert placed("Bonn", [], "Bonn", [(0, 4)]) == [None]
