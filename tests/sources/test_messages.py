"""Conversations of every spelling become one; malformed ones are rejects, each with its reason."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.corpus.errors import SourceError
from gristmill.sources.first_records import Place
from gristmill.sources.listing import list_files
from gristmill.sources.messages import Conversations
from gristmill.sources.read import read_part
from gristmill.sources.reader import RejectError
from gristmill.sources.spec import ReadSpec

ASK, SAY = {"role": "user", "content": "q é"}, {"role": "assistant", "content": "a"}
CALL = {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": '{"x": 1}'}}]}
ANSWER = {"role": "tool", "tool_call_id": "c", "content": "7"}
TOOLS = [{"type": "function", "function": {"name": "f"}}]


def taken(record, field="messages"):
    return Conversations(ReadSpec("s", "d", messages=field)).take(record)


def spoken(fields):
    """(role, text) of each message, cut out of the document's text."""
    data = fields.text.encode()
    return [(one["role"], data[slice(*one["content"])].decode()) for one in json.loads(fields.meta)["messages"]]


@pytest.mark.parametrize(
    ("record", "field", "expected"),
    [
        ({"messages": [ASK, SAY]}, "messages", [("user", "q é"), ("assistant", "a")]),
        (
            {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}], "system": "s"},
            "conversations",
            [("system", "s"), ("user", "q"), ("assistant", "a")],
        ),
        (
            {"instruction": "Add.", "input": "1 2", "output": "3"},
            "instruction",
            [("user", "Add.\n\n1 2"), ("assistant", "3")],
        ),
        ({"instruction": "Hi", "input": "", "output": "a"}, "instruction", [("user", "Hi"), ("assistant", "a")]),
        (
            {"d": {"m": [{"role": "user", "content": [{"type": "text", "text": "x"}, "y"]}, SAY]}},
            "d.m",
            [("user", "xy"), ("assistant", "a")],
        ),
        (
            {"messages": [{"role": "user", "content": "e\u0301\r\nz\r"}, SAY]},
            "messages",
            [("user", "é\nz\n"), ("assistant", "a")],
        ),
    ],
)
def test_spellings_become_one(record, field, expected):
    assert spoken(taken(record, field)) == expected


def test_calls_and_their_tools_are_kept_with_their_bytes():
    fields = taken({"id": 4, "messages": [ASK, CALL, ANSWER, SAY], "tools": json.dumps([{"name": "f"}]), "lang": "en"})
    meta = json.loads(fields.meta)
    (call,) = meta["messages"][1]["tool_calls"]
    assert (call["id"], call["name"]) == ("c", "f")
    assert json.loads(fields.text.encode()[slice(*call["arguments"])]) == {"x": 1}
    assert (meta["id"], meta["tools"], fields.lang) == (4, TOOLS, "en")
    assert spoken(fields) == [("user", "q é"), ("assistant", ""), ("tool", "7"), ("assistant", "a")]


def test_sharegpt_calls_are_calls():
    record = {
        "conversations": [
            {"from": "human", "value": "q"},
            {"from": "function_call", "value": '{"name": "f", "arguments": {"x": 1}}'},
            {"from": "observation", "value": "7"},
            {"from": "gpt", "value": "a"},
        ],
        "tools": TOOLS,
    }
    assert [role for role, _ in spoken(taken(record, "conversations"))] == ["user", "assistant", "tool", "assistant"]


def call(**changes):
    return {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f"}} | changes]}


MALFORMED = [  # what stands in the field messages, tools beside it, the reason
    (None, None, "messages_missing"),
    ({"role": "user"}, None, "messages_not_list"),
    ([], None, "no_messages"),
    (["hello", "you"], None, "message_not_object"),
    ([{"content": "q"}, SAY], None, "role_missing"),
    ([{"role": "narrator", "content": "q"}, SAY], None, "unknown_role"),
    ([{"role": "user", "content": 7}, SAY], None, "content_not_text"),
    ([{"role": "user", "content": [{"type": "image_url"}]}, SAY], None, "content_not_text"),
    ([{"role": "user", "content": " \n"}, SAY], None, "empty_message"),
    ([ASK, {"role": "assistant", "content": None}], None, "empty_message"),
    ([SAY], None, "answer_without_question"),
    ([{"role": "system", "content": "s"}, SAY], None, "answer_without_question"),
    ([ASK, ASK, SAY], None, "roles_do_not_alternate"),
    ([ASK, SAY, SAY], None, "roles_do_not_alternate"),
    ([ASK, SAY, {"role": "system", "content": "s"}, ASK, SAY], None, "system_not_first"),
    ([ASK], None, "no_answer_at_end"),
    ([ASK, SAY, ASK], None, "no_answer_at_end"),
    ([ASK, CALL, ANSWER, SAY], None, "tool_not_declared"),
    ([ASK, CALL, ANSWER, SAY], "no JSON", "tools_not_list"),
    ([ASK, CALL, ANSWER, SAY], {"f": 1}, "tools_not_list"),
    ([ASK, CALL], TOOLS, "tool_call_without_answer"),
    ([ASK, CALL, SAY], TOOLS, "tool_call_without_answer"),
    ([ASK, CALL, ANSWER], TOOLS, "no_answer_at_end"),
    ([ASK, ANSWER, SAY], TOOLS, "tool_answer_without_call"),
    ([ASK, CALL, {**ANSWER, "tool_call_id": "z"}, SAY], TOOLS, "tool_answer_without_call"),
    ([ASK, call(function={"arguments": "{}"}), ANSWER, SAY], TOOLS, "tool_call_without_name"),
    ([ASK, call(function={"name": "f", "arguments": "{"}), ANSWER, SAY], TOOLS, "tool_arguments_not_object"),
    ([ASK, call(function={"name": "f", "arguments": "[1]"}), ANSWER, SAY], TOOLS, "tool_arguments_not_object"),
    ([ASK, {"role": "assistant", "tool_calls": [3]}, ANSWER, SAY], TOOLS, "tool_call_not_object"),
    ([ASK, {"role": "assistant", "tool_calls": "f"}, ANSWER, SAY], TOOLS, "tool_call_not_object"),
    ([{**ASK, "tool_calls": CALL["tool_calls"]}, ANSWER, SAY], TOOLS, "tool_call_by_another"),
    ([{"role": "user", "content": "a\ufdd0"}, SAY], None, "noncharacter"),
]


@pytest.mark.parametrize(("messages", "tools", "reason"), MALFORMED)
def test_a_malformed_conversation_has_its_reason(messages, tools, reason):
    with pytest.raises(RejectError) as caught:
        taken({"messages": messages, **({"tools": tools} if tools is not None else {})})
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"instruction": "q", "input": "x"}, "output_missing"),
        ({"instruction": "q", "output": ""}, "empty_message"),
        ({"instruction": " ", "input": "", "output": "a"}, "empty_message"),
        ({"question": "q", "output": "a"}, "messages_missing"),
    ],
)
def test_a_malformed_instruction_has_its_reason(record, reason):
    with pytest.raises(RejectError) as caught:
        taken(record, "instruction")
    assert caught.value.reason == reason


def read(path, folder, **spec):
    folder.mkdir(exist_ok=True)
    files = list_files([str(path)], None, source="chat")
    outcome = read_part(files, ReadSpec("chat", "chat", **spec), folder, place=Place(0, 1))
    return outcome, pq.read_table(folder / "documents.parquet"), pq.read_table(folder / "rejects.parquet")


def records():
    good = {"id": "good", "messages": [ASK, CALL, ANSWER, SAY], "tools": TOOLS, "lang": "en"}
    return [good, *({"messages": one, "tools": tools} for one, tools, _ in MALFORMED)]


def test_malformed_conversations_are_counted_and_nothing_is_lost(tmp_path):
    path = tmp_path / "chat.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in records()))
    outcome, documents, rejects = read(path, tmp_path / "out", messages="messages")
    assert documents.num_rows == 1
    assert sorted(rejects["reason"].to_pylist()) == sorted(reason for _, _, reason in MALFORMED)
    assert sum(outcome.facts["rejects"].values()) == len(MALFORMED)
    account = outcome.accounts["chat"]
    assert account.balanced
    assert account.bytes_in == path.stat().st_size


def test_parquet_gives_the_documents_of_json_lines(tmp_path):
    """Of rows that have one schema: a column of structs states null for what other rows have."""
    rows = [
        {"messages": [ASK, SAY], "tools": None, "id": "1"},
        {"messages": [ASK, CALL, ANSWER, SAY], "tools": TOOLS, "id": "2"},
        {"messages": [ASK], "tools": None, "id": "3"},
    ]
    (tmp_path / "chat.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "chat.parquet")
    found = [read(tmp_path / f"chat.{kind}", tmp_path / kind, messages="messages") for kind in ("jsonl", "parquet")]
    assert found[0][1]["text"].to_pylist() == found[1][1]["text"].to_pylist()
    metas = [[json.loads(meta) for meta in documents["meta"].to_pylist()] for _, documents, _ in found]
    assert (
        metas[0] == [{name: value for name, value in one.items() if value is not None} for one in metas[0]] == metas[1]
    )
    assert [rejects["reason"].to_pylist() for _, _, rejects in found] == [["no_answer_at_end"]] * 2
    assert all(outcome.accounts["chat"].balanced for outcome, _, _ in found)


@pytest.mark.parametrize("name", ["chat.jsonl", "chat.parquet", "chat.csv"])
def test_a_wrong_field_is_a_mistake_of_the_recipe(tmp_path, name):
    path = tmp_path / name
    if name.endswith("parquet"):
        pq.write_table(pa.table({"text": ["x"]}), path)
    else:
        path.write_text('{"text": "x"}\n' if name.endswith("jsonl") else "text\nx\n")
    with pytest.raises(SourceError, match=r"sources\.chat\.messages"):
        read(path, tmp_path / "out", messages="messages")


def test_a_format_without_fields_is_refused(tmp_path):
    (tmp_path / "page.txt").write_text("x")
    with pytest.raises(SourceError, match=r"sources\.chat\.messages: .* is text"):
        read(tmp_path / "page.txt", tmp_path / "out", messages="messages")


def test_csv_rows_of_instructions(tmp_path):
    (tmp_path / "chat.csv").write_text("instruction,input,output\nAdd,1 2,3\nAdd,,\n")
    _, documents, rejects = read(tmp_path / "chat.csv", tmp_path / "out", messages="instruction")
    assert documents["text"].to_pylist() == ["Add\n\n1 2\n\n3"]
    assert rejects["reason"].to_pylist() == ["empty_message"]
