"""Conversations to tokens: only answers are targets, whatever the template and whatever the messages spell."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.corpus.errors import SourceError
from gristmill.sources.messages import Conversations
from gristmill.sources.spec import ReadSpec
from gristmill.tokenizer.chat_template import CONTROL, ChatTemplate, ConversationError, read_template, template_fault
from gristmill.tokenizer.conversation_tokens import ConversationEncoder
from gristmill.tokenizer.conversations import Conversation, conversation_of
from gristmill.tokenizer.encode import DROPPED, TOKENS, encode_part
from gristmill.tokenizer.encoded_batch import Encoding
from gristmill.tokenizer.own_tokenizer import take_tokenizer
from gristmill.tokenizer.stage import Tokenizer
from gristmill.tokenizer.template_checks import template_mistakes
from gristmill.tokenizer.text_tokenizer import TextTokenizer
from gristmill.tokenizer.tokenizer_json import TOKENIZER
from tests.tokenizer.own_tokenizers import FAMILIES

SAMPLE = Path(__file__).parents[2] / "samples" / "chat" / "chat.jsonl"
SPECIALS = sorted({name for names in CONTROL.values() for name in names})
LOSSLESS = ["byte_level", "ignore_merges"]


def with_specials(name, folder):
    """A tokenizer of a family that has the tokens of every shipped template."""
    made = FAMILIES[name]()
    made.add_special_tokens(SPECIALS)
    made.save(str(folder / f"{name}.json"))
    return folder / f"{name}.json"


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    """By family and shipped template."""
    folder = tmp_path_factory.mktemp("chat")
    found = {"folder": folder}
    for family in FAMILIES:
        path = with_specials(family, folder)
        for template in CONTROL:
            own = folder / f"{family}-{template}"
            own.mkdir()
            text = read_template(Path(__file__).parents[2] / "tokenizer" / "templates" / f"{template}.jinja")
            section = Tokenizer(path=str(path), specials={"end": "</s>", "begin": "<s>"}, chat_template=text)
            take_tokenizer(path, own, section=section)
            found[family, template] = ConversationEncoder(TextTokenizer(own / TOKENIZER))
    return found


def conversations():
    """Those of the sample, as they come from a file."""
    take = Conversations(ReadSpec("chat", "chat", messages="messages")).take
    found = [take(json.loads(line)) for line in SAMPLE.read_text(encoding="utf-8").splitlines()]
    return [conversation_of(one.text, one.meta, []) for one in found]


def changed(conversation, place, text):
    messages = [dict(one) for one in conversation.messages]
    messages[place]["content"] = text
    return Conversation(messages, conversation.tools)


def answer_ids(encoded):
    """Ids at targets, a list for each stretch of them."""
    return [encoded.ids[one["start"] : one["start"] + one["length"]] for one in encoded.targets]


@pytest.mark.parametrize("template", CONTROL)
@pytest.mark.parametrize("family", FAMILIES)
def test_changing_a_prompt_moves_no_target_and_changing_an_answer_moves_its_own(encoders, family, template):
    """Every message of every conversation of the sample, in turn."""
    encoder = encoders[family, template]
    for conversation in conversations():
        before = answer_ids(encoder.encode(conversation))
        answers = [place for place, one in enumerate(conversation.messages) if one["role"] == "assistant"]
        assert len(before) == len(answers)
        for place, message in enumerate(conversation.messages):
            after = answer_ids(encoder.encode(changed(conversation, place, "the quick brown fox sleeps, and a dog")))
            if message["role"] != "assistant":
                assert after == before, (place, message)
            else:
                moved = [old != new for old, new in zip(before, after, strict=True)]
                assert moved == [other == place for other in answers], (place, message)


@pytest.mark.parametrize("template", CONTROL)
@pytest.mark.parametrize("family", LOSSLESS)
def test_rows_give_the_text_back_and_targets_spell_the_answers(encoders, family, template):
    encoder = encoders[family, template]
    for conversation in conversations():
        encoded = encoder.encode(conversation)
        text = encoder._text
        assert text.decode(encoded.ids).removesuffix("</s>") == encoded.text.removesuffix("</s>")
        spelled = [text.decode(ids) for ids in answer_ids(encoded)]
        wanted = [one for one in conversation.messages if one["role"] == "assistant"]
        assert all(one["content"].strip() in answer for one, answer in zip(wanted, spelled, strict=True))
        assert all(f'"{call["function"]["name"]}"' in answer for one, answer in zip(wanted, spelled, strict=True)
                   for call in one.get("tool_calls", ()))  # fmt: skip
        if template != "plain":
            assert all(answer.endswith(("<|im_end|>", "<|eot_id|>")) for answer in spelled)


@pytest.mark.parametrize("template", CONTROL)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_message_cannot_smuggle_in_a_special_token(encoders, family, template):
    """As many special tokens as with harmless messages, whoever spells every one of the file."""
    encoder = encoders[family, template]
    special = {number for name, number in encoder._text.control.items() if name != "<unk>"}
    spelled = "".join(encoder._text.control)
    for place in range(2):
        texts = ["a dog", "a fox"]
        harmless = encoder.encode(Conversation(_turn(*texts), []))
        texts[place] += spelled
        hostile = encoder.encode(Conversation(_turn(*texts), []))
        assert sum(one in special for one in hostile.ids) == sum(one in special for one in harmless.ids)
        assert spelled in hostile.text


def _turn(question, answer):
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ messages[-1].content }}", "template_not_prefix"),
        (
            "{{ messages[0].role }}{% if false %}{% generation %}{% endgeneration %}{% endif %}",
            "no_target",
        ),
        ("{{ raise_exception('no system message') }}", "template_refuses"),
        ("{{ messages.foo.bar }}", "template_fails"),
        ("{{ strftime_now('%d') }}", "template_fails"),
        ("{{ ''.__class__.__mro__ }}", "template_fails"),
        ("{% for m in messages %}{{ m.content[:loop.length] }}{% endfor %}", "template_not_prefix"),
    ],
)
def test_a_template_that_shows_no_answer_is_refused_with_its_reason(template, reason):
    with pytest.raises(ConversationError) as caught:
        ChatTemplate(template, {}).stretches(_turn("first question", "first answer")[:2] + _turn("b", "c"), ())
    assert caught.value.reason == reason
    assert reason in (template_fault(template, {}) or "")


@pytest.mark.parametrize("template", ["{% for %}", "{{ open", "{% generation %}"])
def test_what_is_no_template_is_an_error_of_the_recipe(template):
    with pytest.raises(SourceError, match=r"tokenizer\.chat_template"):
        ChatTemplate(template, {})


def test_prompts_marked_as_answers_are_found_out():
    template = "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}"
    assert "first question" in (template_fault(template, {}) or "")


@pytest.mark.parametrize(
    ("section", "key", "found"),
    [
        ({}, "chat_template", "no template"),
        ({"chat_template": "chatml"}, "specials.control", "<|im_start|>, <|im_end|>"),
        ({"chat_template": "{{ messages[-1].content }}"}, "chat_template", "template_not_prefix"),
        ({"chat_template": "{% if %}"}, "chat_template", "Expected an expression"),
    ],
)
def test_mistakes_of_templates_name_their_key(section, key, found):
    mistakes = dict(template_mistakes(Tokenizer(**section)))
    assert list(mistakes) == [key]
    assert found in mistakes[key]


def test_a_shipped_template_with_its_tokens_is_no_mistake():
    assert not list(template_mistakes(Tokenizer(chat_template="plain")))
    assert not list(template_mistakes(Tokenizer(chat_template="chatml", specials={"control": CONTROL["chatml"]})))


def test_the_template_that_comes_with_a_tokenizer_is_taken(tmp_path):
    path = with_specials("byte_level", tmp_path)
    section = Tokenizer(path=str(path), specials={"end": "</s>"})
    assert [key for key, _ in template_mistakes(section)] == ["chat_template"]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages[-1].content }}"}))
    assert "template_not_prefix" in dict(template_mistakes(section))["chat_template"]
    (tmp_path / "chat_template.jinja").write_text("\ufeff{% for m in messages %}{{ m.content }}\n{% endfor %}")
    assert not list(template_mistakes(section))
    assert read_template(tmp_path / "chat_template.jinja").startswith("{%")  # no mark before each conversation


def chat_part(mill, folder, records, spans=None):
    take = Conversations(ReadSpec("chat", "chat", messages="messages")).take
    found = [take({"messages": messages}) for messages in records]
    documents = mill.documents([one.text for one in found], "chat", "chat")
    place = documents.schema.get_field_index("meta")
    documents = documents.set_column(place, documents.schema.field(place), pa.array([one.meta for one in found]))
    return mill.write(folder / "part.parquet", documents), mill.kept(documents, spans=spans)


def test_masks_reach_the_rendered_text_and_what_cuts_leave_empty_is_dropped(encoders, mill, tmp_path):
    """A span in a prompt, one over the border of two messages, one that takes an answer whole."""
    records = [_turn("mail é a@b.org now", "to a@b.org"), _turn("one two", "three four"), _turn("question", "answer")]
    spans = {
        0: [{"start": 8, "end": 15, "reason": "mask:email"}, {"start": 24, "end": 31, "reason": "mask:email"}],
        1: [{"start": 4, "end": 15, "reason": "cut:line"}],
        2: [{"start": 10, "end": 16, "reason": "cut:line"}],
    }
    path, kept = chat_part(mill, tmp_path, records, spans)
    (tmp_path / "out").mkdir()
    encoder = encoders["byte_level", "plain"]
    tokenizer = encoders["folder"] / "byte_level-plain" / TOKENIZER
    outcome = encode_part(path, kept, tokenizer, tmp_path / "out", encoding=Encoding(conversations=True))
    table = pq.read_table(tmp_path / "out" / TOKENS)
    texts = [encoder._text.decode(ids) for ids in table["tokens"].to_pylist()]
    assert texts[0] == "User: mail é <EMAIL> now\n\nAssistant: to <EMAIL></s>\n\n</s>"
    assert texts[1] == "User: one \n\nAssistant: four</s>\n\n</s>"
    assert outcome.facts["dropped"] == {"message_cut_away": 1}
    assert pq.read_table(tmp_path / "out" / DROPPED).to_pylist()[0]["doc_id"] == kept["doc_id"][2].as_py()
    account = outcome.accounts["chat"]
    assert account.balanced
    assert (account.documents_in, account.documents_kept, account.documents_dropped) == (3, 2, 1)
    assert table["comes_back"].to_pylist() == [True, True]
    assert outcome.facts["counts"][0]["documents"] == 2
