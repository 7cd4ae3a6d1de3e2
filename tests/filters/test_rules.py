import math
import random
import string

import numpy as np
import pyarrow as pa
import pytest

from gristmill.corpus.errors import UnknownNameError
from gristmill.filters.decide.profiles import PROFILES
from gristmill.filters.decide.rules import OWN, Profile, Rule
from gristmill.filters.decide.rules import resolve as resolve_rules
from gristmill.filters.line_edits.find_edits import READINGS, measure_edits
from gristmill.filters.signals.measure import measure
from gristmill.filters.signals.stop_words import STOP_WORDS
from gristmill.flows.pipeline.catalogue import Catalogue

KNOWN_SIGNALS = Catalogue().signals


def resolve(profiles, bounds, known=PROFILES, further=()):
    return resolve_rules(profiles, bounds, known, {*KNOWN_SIGNALS, *further})


PROSE = (
    "The committee met on Tuesday to consider what should be done with the old mill by the river. "
    "Nobody had used it for years, and the roof would have to be mended before the winter came.\n"
    "Some of the members thought that a museum could bring visitors from the towns nearby; others held that the "
    "money was needed for the school.\n"
    "After two hours they agreed to ask an engineer for an opinion. Then all went home through the rain.\n"
)


def fails(profile: str, text: str, language: str = "en") -> set[str]:
    """Names of the profile's rules that a document of this language fails."""
    batch = pa.record_batch({"doc_id": ["x"], "text": pa.array([text], pa.large_string())})
    edits = pa.table(measure_edits(batch, list(READINGS))[0])
    tables = (measure(batch), edits)
    values = {name: table[name].to_numpy() for table in tables for name in table.schema.names[1:]}
    values["lang_score"] = np.array([1.0])
    rules = [rule for rule in PROFILES[profile].rules if rule.judges(language)]
    return {rule.name for rule in rules if rule.fails(values[rule.signal])[0]}


LANGUAGES = ("en", "zh", "ja", "ko", "th", "hi", "ar", "ru", "de", "fr", "es", "pt", "sw")
ENGLISH_PROFILES = ["gopher@datatrove", "gopher@dolma", "gopher@dclm", "c4", "c4@edited", "refinedweb@dclm"]
ENGLISH_PROFILES += ["fineweb@0.01", "fineweb@0.1"]


@pytest.mark.parametrize("profile", [*ENGLISH_PROFILES, "entropy@residual", "entropy@3.5bits", "length"])
def test_prose_passes_every_profile(profile):
    assert fails(profile, PROSE) == set()


LINES = [
    f"Line number {number} says that the old mill by the river has {number} wheels to turn." for number in range(12)
]
NUMBERS = " ".join(str(number) for number in range(100, 140)) + "\n"
SHORT = "The mill and the river."
NOISE = "".join(random.Random(7).choices(string.ascii_letters + string.digits + " ", k=2500))
GOLDEN = [  # profile, text, exactly the rules that it fails beside n-gram ones
    ("gopher@datatrove", SHORT, {"words"}),
    ("gopher@dclm", SHORT, {"words"}),
    ("gopher@datatrove", PROSE.replace(".", "..."), {"ellipsis_line_share"}),
    ("gopher@datatrove", PROSE + "# " * 20, {"hash_word_ratio"}),
    ("gopher@datatrove", PROSE + PROSE, {"dup_line_share", "dup_line_char_share"}),
    ("gopher@dclm", PROSE + PROSE, {"dclm_dup_line_share", "dclm_dup_line_char_share"}),
    ("gopher@datatrove", NUMBERS + PROSE, {"alpha_words"}),
    ("gopher@datatrove", "\n".join("- " + line for line in LINES), {"bullet_line_share"}),
    ("gopher@dolma", "\n".join("* " + line for line in LINES), {"dolma_bullet_line_share"}),
    ("c4", PROSE + "Lorem ipsum dolor sit amet.\n", {"lorem_ipsum"}),
    ("c4", PROSE + "if (a) { b }\n", {"curly_brackets"}),
    ("c4", PROSE.replace(".", ";"), {"c4_sentences"}),
    ("c4", "This needs javascript to be on.\n" * 9, {"c4_sentences"}),
    ("c4@edited", PROSE + "Lorem ipsum dolor sit amet.\n", {"c4_lorem_ipsum_left"}),
    ("c4@edited", PROSE + "lorem ipsum dolor sit amet\nif (a) { b }\n", set()),  # such lines go, the page stays
    ("c4@edited", PROSE + "It is the set {1}.\n", {"c4_curly_brackets_left"}),
    ("c4@edited", PROSE.replace(".", ";"), {"c4_sentences_left"}),
    ("c4@edited", "It needs javascript.[1]\n" * 9 + "It is so.[1]\n" * 4, {"c4_sentences_left"}),
    ("c4@edited", "It needs javascript.[1]\n" * 9 + "It is so.[1]\n" * 5, set()),
    ("refinedweb@dclm", PROSE + "MENU HOME\n3 likes\n", set()),  # 4 words of 98
    ("refinedweb@dclm", PROSE + "MENU HOME\n3 likes\nRead more...\n", {"refinedweb_cut_word_share"}),  # 6 of 100
    ("refinedweb@dclm", SHORT, {"words"}),
    ("fineweb@0.01", PROSE.replace(".", ";"), {"terminal_punct_line_share"}),
    ("fineweb@0.01", "one\ntwo\nthree\nfour\nend.", {"short_line_share", "newline_word_ratio"}),
    ("entropy@residual", "buy it now " * 100, {"word_entropy_residual", "char_conditional_entropy_residual"}),
    (
        "entropy@residual",
        "TWFueSBoYW5kcyBtYWtlIGxpZ2h0IHdvcms" * 30,
        {"mean_word_chars", "char_conditional_entropy_residual"},
    ),
    ("entropy@residual", NOISE, {"char_conditional_entropy_residual"}),
    ("entropy@3.5bits", "no no no", {"word_entropy_bits"}),
    ("length", "one two three", {"words"}),
]


@pytest.mark.parametrize(("profile", "text", "expected"), GOLDEN)
def test_golden_documents(profile, text, expected):
    assert {name for name in fails(profile, text) if "gram_char_share" not in name} == expected


def test_the_two_fineweb_profiles_differ_in_one_bound():
    text = PROSE * 4 + "\n".join(LINES) * 3 + "\nOnce more the mill stands by the river.\n" * 2
    once = PROSE + "\n".join(LINES) + "\nOnce more the mill stands by the river.\n" * 2
    assert fails("fineweb@0.01", once) == {"fineweb_dup_line_char_share"}
    assert fails("fineweb@0.1", once) == set()
    assert "fineweb_dup_line_char_share" in fails("fineweb@0.1", text)


def test_readings_disagree_on_short_text():
    """A top n-gram that occurs once counts in readings A and B and not in C."""
    text = "An unusual sentence about internationalisation."
    assert "top_3gram_char_share" in fails("gopher@datatrove", text)
    assert "dolma_top_3gram_char_share" in fails("gopher@dolma", text)
    assert not any("gram" in name for name in fails("gopher@dclm", text))


def test_english_rules_leave_other_languages_alone():
    text = "河边的旧磨坊已经多年没有人使用了。委员会决定请一位工程师提出意见。" * 3
    assert "stop_words" in fails("gopher@datatrove", text, "en")
    assert "stop_words" not in fails("gopher@datatrove", text, "zh")
    assert "terminal_punct_line_share" not in fails("fineweb@0.01", text, "zh")


def test_rules_made_for_english_judge_nothing_without_a_language():
    for profile in PROFILES.values():
        assert not any(rule.judges(None) for rule in profile.rules if rule.languages)
    text = "河边的旧磨坊已经多年没有人使用了,委员会决定请一位工程师提出意见\n" * 3
    assert "terminal_punct_line_share" not in fails("fineweb@0.01", text, None)


@pytest.mark.parametrize("profile", ["length", "gopher@datatrove", "gopher@dolma", "gopher@dclm"])
def test_the_number_of_words_judges_no_language_whose_words_do_not_stand_apart(profile):
    line = "โรงสีเก่าริมแม่น้ำไม่มีใครใช้งานมาหลายปีแล้ว"  # one word by white space
    assert "words" not in fails(profile, line, "th")
    assert "words" in fails(profile, line, "en")


CLEAN = {
    "zh": (
        "河边的旧磨坊已经多年没有人使用了。\n"
        "委员会在星期二开会，讨论应该如何处理这座建筑。\n"
        "有些成员认为博物馆可以吸引附近城镇的游客；另一些人则认为这笔钱应该用于学校。\n"
        "两个小时后，他们同意请一位工程师提出意见，然后大家冒雨回家了。\n"
    ),
    "ja": (
        "川のそばの古い水車小屋は、もう何年も使われていません。\n"
        "委員会は火曜日に集まり、建物をどうするべきかを話し合いました。\n"
        "博物館にすれば近くの町から人が来ると考える人もいれば、お金は学校に必要だと言う人もいました。\n"
        "二時間後、技師に意見を聞くことに決まり、みんな雨の中を帰りました。\n"
    ),
    "ko": (
        "강가에 있는 오래된 물레방아는 여러 해 동안 아무도 사용하지 않았다.\n"
        "위원회는 화요일에 모여 건물을 어떻게 해야 할지 논의했다.\n"
        "박물관을 만들면 가까운 마을에서 방문객이 올 것이라고 생각하는 사람도 있었고, "
        "학교에 돈이 필요하다고 말하는 사람도 있었다.\n"
        "두 시간 뒤에 그들은 기술자의 의견을 듣기로 했고, 모두 비를 맞으며 집으로 돌아갔다.\n"
    ),
    "th": (
        "โรงสีเก่าริมแม่น้ำไม่มีใครใช้มาหลายปีแล้ว "
        "คณะกรรมการประชุมกันเมื่อวันอังคารเพื่อพิจารณาว่าควรทำอย่างไร"
        "กับอาคารหลังนี้\n"
        "บางคนคิดว่าพิพิธภัณฑ์จะดึงดูดนักท่องเที่ยวจากเมืองใกล้เคียง "
        "บางคนเห็นว่าโรงเรียนต้องการเงินมากกว่า\n"
    ),
    "hi": (
        "नदी के किनारे की पुरानी चक्की का कई वर्षों से किसी ने उपयोग नहीं किया "
        "था।\n"
        "समिति मंगलवार को मिली और उसने विचार किया कि भवन का क्या किया जाए।\n"
        "कुछ सदस्यों का मानना था कि संग्रहालय पास के नगरों से लोगों को ला सकता "
        "है।\n"
    ),
    "ar": (
        "لم يستخدم أحد الطاحونة القديمة بجانب النهر منذ سنوات.\n"
        "اجتمعت اللجنة يوم الثلاثاء للنظر فيما يجب فعله بالمبنى.\n"
        "رأى بعض الأعضاء أن المتحف قد يجذب الزوار من البلدات القريبة، ورأى "
        "آخرون أن المدرسة تحتاج إلى المال.\n"
    ),
    "ru": (
        "Старая мельница у реки стоит уже много лет, и никто ею не пользуется.\n"
        "Во вторник собрался комитет, чтобы решить, что делать со зданием.\n"
        "Одни считали, что музей привлечёт гостей из соседних городов, другие "
        "говорили, что деньги нужны школе.\n"
    ),
    "de": (
        "Die alte Mühle am Fluss hat seit Jahren niemand benutzt.\n"
        "Der Ausschuss kam am Dienstag zusammen, um über das Gebäude zu "
        "beraten.\n"
        "Einige meinten, ein Museum könne Gäste aus den Städten der Umgebung "
        "anziehen; andere fanden, die Schule brauche das Geld dringender.\n"
    ),
}


@pytest.mark.parametrize("language", CLEAN)
@pytest.mark.parametrize("profile", ["fineweb@0.01", "entropy@residual"])
def test_clean_text_of_other_languages_passes(language, profile):
    assert fails(profile, CLEAN[language], language) == set()
    assert fails(profile, CLEAN[language], None) == set()


@pytest.mark.parametrize("language", CLEAN)
def test_damaged_text_of_other_languages_is_dropped(language):
    text = CLEAN[language]
    four_times = "".join(line * 4 for line in text.splitlines(keepends=True))
    assert "fineweb_dup_line_char_share" in fails("fineweb@0.01", four_times, language)
    for charset in ("latin-1", "cp1252"):
        assert "mojibake_share" in fails("entropy@residual", text.encode().decode(charset, "replace"), language)
    apart = language not in ("zh", "ja", "th")
    words = text.split() if apart else [text[at : at + 3].strip() or "x" for at in range(0, len(text), 3)]
    menu = "\n".join(random.Random(7).choices([word.strip(".,。、，；;") for word in words], k=150))
    assert fails("fineweb@0.01", menu, language) & {"newline_word_ratio", "short_line_share"}


@pytest.mark.parametrize("language", ["zh", "ja", "ru", "de", "hi"])
def test_random_letters_are_dropped_in_every_script(language):
    letters = {
        "zh": (0x4E00, 0x9FA5),
        "ja": (0x3041, 0x3096),
        "ru": (0x430, 0x44F),
        "de": (97, 122),
        "hi": (0x904, 0x939),
    }
    draw = random.Random(7)
    noise = "".join(chr(draw.randint(*letters[language])) if c.isalpha() else c for c in CLEAN[language] * 6)
    assert fails("entropy@residual", noise, language) & {
        "word_entropy_residual", "char_conditional_entropy_residual", "word_evenness_bits",
    }  # fmt: skip


@pytest.mark.parametrize("language", ["zh", "ja", "ru", "de", "fr", "es"])
def test_fineweb2_judges_its_own_language_alone(language):
    rules = PROFILES[f"fineweb2@{language}"].rules
    assert {rule.languages for rule in rules} == {(language,)}
    assert f"stop_words_{language}" in {rule.signal for rule in rules}
    assert len(STOP_WORDS[language]) >= 13


def test_every_rule_names_a_signal_a_reason_and_its_profile():
    for profile in PROFILES.values():
        for language in (*LANGUAGES, None):  # bounds of other languages share a name; nobody is judged twice
            names = [rule.name for rule in profile.rules if rule.judges(language)]
            assert len(set(names)) == len(names), (profile.name, language)
        for rule in profile.rules:
            assert rule.signal in KNOWN_SIGNALS
            assert rule.source
            assert rule.profile == f"{profile.name} v{profile.version}"
            assert rule.at_least > -math.inf or rule.at_most < math.inf


def test_a_rule_fails_outside_its_bounds_and_without_a_number():
    rule = Rule("words", "words", 2, 4)
    assert rule.fails(np.array([1, 2, 4, 5, np.nan])).tolist() == [True, False, False, True, True]
    assert rule.bound == ">= 2 and <= 4"
    assert Rule("words", "words").bound == "any"


def test_bounds_change_add_and_remove_rules():
    rules = resolve(
        ["fineweb@0.01"], {"newline_word_ratio": (None, 0.5, False), "short_line_share": (None, None, True)}
    )
    assert {rule.name: rule.at_most for rule in rules}["newline_word_ratio"] == 0.5
    assert "short_line_share" not in {rule.name for rule in rules}
    added = resolve(["length"], {"digit_share": (None, 0.4, False)})[-1]
    assert (added.name, added.at_most, added.at_least, added.profile) == ("digit_share", 0.4, -math.inf, OWN)


def test_a_bound_reaches_a_rule_by_name_or_signal_and_keeps_its_other_side():
    for key in ("words", "content_words"):
        rule = resolve(["gopher@datatrove"], {key: (100, None, False)})[0]
        assert (rule.at_least, rule.at_most) == (100, 100_000)
        assert rule.profile == "gopher@datatrove v3"


def test_profiles_add_up():
    rules = resolve(["length", "entropy@residual"], {})
    assert [rule.name for rule in rules][:2] == ["words", "word_entropy_residual"]
    assert len(rules) == 1 + len(PROFILES["entropy@residual"].rules)
    assert resolve([], {}) == ()


@pytest.mark.parametrize(
    ("profiles", "bounds", "message"),
    [
        (["gofer@datatrove"], {}, r"unknown profile 'gofer@datatrove'; did you mean 'gopher@datatrove'"),
        (["length"], {"wrods": (1, None, False)}, r"unknown rule or signal 'wrods'; did you mean 'words'"),
        ([], {"nosuchthing": (None, None, True)}, r"unknown rule or signal 'nosuchthing'"),
    ],
)
def test_unknown_names_come_with_the_nearest(profiles, bounds, message):
    with pytest.raises(UnknownNameError, match=message):
        resolve(profiles, bounds)


def test_signals_of_other_rooms_can_be_judged_when_they_are_named():
    rule = resolve([], {"linked_pairs": (1, None, False)}, further=["linked_pairs"])[0]
    assert (rule.signal, rule.bound) == ("linked_pairs", ">= 1")


def test_own_profiles_can_be_given():
    mine = {"mine": Profile("mine", "3", (Rule("chars", "chars", at_least=1),), "a test")}
    assert resolve(["mine"], {}, mine)[0].profile == "mine v3"
