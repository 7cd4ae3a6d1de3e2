"""The review page as a browser and as an attacker meet it: requests, then headless Chromium with hostile text."""

import json
import re
import socket
import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from gristmill.corpus.errors import StoreError
from gristmill.filters.decide.decisions import Decided, append_decision
from gristmill.flows.direct import refine_directly
from gristmill.flows.inspect.explain import explain_document
from gristmill.flows.inspect.whatif import whatif_run
from gristmill.flows.pipeline.open_context import reopen_run
from gristmill.flows.review.decision_queue import Choice, ReviewQueue, read_row
from gristmill.flows.review.page_server import review_app, review_state, serve_review
from gristmill.flows.review.page_text import PIECE_CHARS, number_text, piece_of, segments

TOKEN = "t0ken-of-the-test"
HOSTILE = {
    "script": '<script>document.title=1</script><img src=x onerror="document.title=1"> ]]> &amp; {{ 7*7 }}',
    "turned": "left \u202eright to left override\u202c; \u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd",
    "control": "bell \x07 escape \x1b[31m delete \x7f next line \x85 zero width \u200b end",
    "long": "x" * 1_000_000,
    "lines": "same line here\nsame line here\n" * 3,
}
URL = 'javascript:alert(1)//"><b>bold</b>'
RECIPE = """
name = "hostile"
seed = 1
[[sources]]
name = "hostile"
path = "{path}"
domain = "web"
[decide]
profiles = []
[decide.rules.words]
at_least = 12
[decide.rules.dup_line_share]
at_most = 0.99
[[curriculum]]
until_tokens = "2K"
shares = {{ web = 1.0 }}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of hostile documents, milled as far as decide."""
    home = tmp_path_factory.mktemp("review")
    source = home / "hostile.jsonl"
    source.write_text(
        "".join(json.dumps({"id": name, "text": text, "url": URL}) + "\n" for name, text in HOSTILE.items())
    )
    recipe = home / "hostile.toml"
    recipe.write_text(RECIPE.format(path=source))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(home))
        return Path(refine_directly(recipe, "decide")["run"])


@pytest.fixture(scope="module")
def ids(run: Path) -> dict[str, str]:
    """doc_id of each hostile document by its name."""
    with reopen_run(run) as context:
        table = pq.read_table(context.file("documents", "documents.parquet"), columns=["doc_id", "meta"])
    return {json.loads(one["meta"])["id"]: one["doc_id"] for one in table.to_pylist()}


@pytest.fixture
def decisions(tmp_path: Path) -> Path:
    """A file of decisions that is not there yet."""
    return tmp_path / "decisions.jsonl"


@pytest.fixture
def app(run: Path, decisions: Path):
    """The page on the hostile run, with a margin that takes every document in."""
    with reopen_run(run) as context:
        return review_app(context, TOKEN, decisions, 10.0, reviewer="ada")


@pytest.fixture
def client(app) -> TestClient:
    """A browser that opened the address with its token."""
    found = TestClient(app, base_url="http://127.0.0.1")
    assert found.get(f"/?token={TOKEN}").status_code == 200
    return found


def form_token(client: TestClient, doc_id: str) -> str:
    return re.search(r'name="form_token" value="(\w+)"', client.get(f"/documents/{doc_id}").text)[1]


def post(client: TestClient, doc_id: str, decision: str, **fields: str):
    fields = {"form_token": form_token(client, doc_id), "decision": decision} | fields
    return client.post(f"/documents/{doc_id}", data=fields, follow_redirects=False)


@pytest.mark.parametrize("path", ["/", "/documents/x", "/static/review.js", "/?token=wrong", "/?token=%ff%00"])
def test_nothing_without_the_token(app, path):
    answer = TestClient(app, base_url="http://127.0.0.1").get(path)
    assert answer.status_code == 403
    assert "hostile" not in answer.text


def test_the_token_leaves_the_address_for_a_cookie(app):
    answer = TestClient(app, base_url="http://127.0.0.1").get(f"/?token={TOKEN}", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:80", ""])
def test_another_host_name_is_refused(client, host):
    assert client.get("/", headers={"host": host}).status_code == 403
    assert client.get("/", headers={"host": "localhost:8123"}).status_code == 200


def test_every_answer_has_a_strict_policy(client):
    for path in ("/", "/static/review.css", "/documents/none"):
        policy = client.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    page = client.get("/").text
    assert not re.search(r"<script>|<script [^>]*>[^<]|\son\w+=|style=", page)


def test_the_queue_lists_the_choice(client, ids):
    page = client.get("/").text
    assert all(doc_id in page for doc_id in ids.values())
    assert "Nothing here" in client.get("/?rule=no-such-rule&state=strange&page=-3").text
    assert "page 1 of 1" in client.get("/?page=99999999").text
    assert client.get("/", params={"source": "hostile"}).text.count('class="open"') == len(ids)


def test_a_document_shows_its_text_escaped_and_its_rules(client, ids):
    page = client.get(f"/documents/{ids['script']}").text
    assert "<script>document" not in page
    assert "&lt;script&gt;document" in page
    assert "{{ 7*7 }}" in page
    assert "<b>bold" not in page
    assert "&lt;b&gt;bold" in page
    assert 'href="javascript' not in page
    assert "&gt;= 12" in page
    assert client.get("/documents/" + "0" * 32).status_code == 404


def test_hidden_characters_are_shown(client, ids):
    page = client.get(f"/documents/{ids['control']}").text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b]", page)
    assert '<span class="hidden">␛</span>[31m' in page
    assert '<span class="hidden">U+202E</span>' in client.get(f"/documents/{ids['turned']}").text


def test_a_long_text_comes_in_pieces(client, ids):
    path = f"/documents/{ids['long']}"
    first, last = client.get(path).text, client.get(path + "?piece=19").text
    assert len(first) < 2 * PIECE_CHARS
    assert "piece 1 of 20" in first
    assert "piece 20 of 20" in last
    assert "piece 20 of 20" in client.get(path + "?piece=5000").text


def test_a_decision_is_on_the_disk_and_the_next_document_comes(client, ids, decisions):
    answer = post(client, ids["script"], "keep", note="fine \u2028 <b>")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/documents/")
    (line, rest) = decisions.read_text().split("\n")  # U+2028 ends no line of JSON
    assert rest == ""
    told = json.loads(line)
    assert (told["doc_id"], told["decision"], told["reviewer"]) == (ids["script"], "keep", "ada")
    assert len(told["rules"]) == 32
    page = client.get(f"/documents/{ids['script']}").text
    assert "&lt;b&gt;" in page
    assert "<b>1</b> of 5 decided" in page


def test_a_decision_names_the_text_that_was_read(run, client, ids, decisions):
    post(client, ids["script"], "keep")
    with reopen_run(run) as context:
        rows = pq.read_table(
            context.file("documents", "documents.parquet"), columns=["doc_id", "text_hash"]
        ).to_pylist()
    told = json.loads(decisions.read_text())
    assert {"doc_id": ids["script"], "text_hash": told["text_hash"]} in rows


def test_a_decision_on_another_text_does_not_count_and_can_be_withdrawn(run, ids, decisions):
    append_decision(decisions, Decided(ids["script"], "keep", reviewer="bob", text_hash="0" * 32))
    with reopen_run(run) as context:
        desk = ReviewQueue(context, decisions, 10.0)
        page = TestClient(review_app(context, TOKEN, decisions, 10.0), base_url="http://127.0.0.1")
        page.get(f"/?token={TOKEN}")
    assert review_state(desk) == {"queue": 5, "decided": 0}
    assert desk.decision(ids["script"]) is None
    assert desk.stale(ids["script"])["reviewer"] == "bob"
    shown = page.get(f"/documents/{ids['script']}").text
    assert "of another text of this document" in shown
    assert "Withdraw the decision" in shown
    desk.withdraw(ids["script"])
    assert desk.stale(ids["script"]) is None
    assert [json.loads(line)["decision"] for line in decisions.read_text().splitlines()] == ["keep", "withdraw"]


def test_withdraw_takes_back_and_stays(client, ids, decisions):
    assert 'data-key="u"' not in client.get(f"/documents/{ids['lines']}").text
    post(client, ids["script"], "keep")
    assert "Undo the last decision" in client.get(f"/documents/{ids['lines']}").text
    answer = post(client, ids["script"], "withdraw")
    assert answer.headers["location"] == f"/documents/{ids['script']}"
    assert "<b>0</b> of 5 decided" in client.get(f"/documents/{ids['script']}").text
    post(client, ids["script"], "withdraw")  # nothing is left to take back: no line
    assert [json.loads(line)["decision"] for line in decisions.read_text().splitlines()] == ["keep", "withdraw"]
    assert 'data-key="u"' not in client.get(f"/documents/{ids['lines']}").text


def test_a_run_counts_stale_decisions_and_explain_tells_them(run, ids, tmp_path, monkeypatch):
    said = tmp_path / "people.jsonl"
    append_decision(said, Decided(ids["script"], "drop", text_hash="0" * 32))
    append_decision(said, Decided(ids["lines"], "drop"))
    recipe = tmp_path / "hostile.toml"
    text = RECIPE.format(path=run.parents[2] / "hostile.jsonl")
    recipe.write_text(text.replace("profiles = []", f'profiles = []\ndecisions = "{said}"'))
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "home"))
    again = Path(refine_directly(recipe, "decide")["run"])
    with reopen_run(again) as context:
        assert context.run.manifest("decide").parts[0].facts["reviewed"] == {"keep": 0, "drop": 1, "stale": 1}
    told = {name: explain_document(again, ids[name])["stages"][-1] for name in ("script", "lines", "long")}
    assert told["script"]["person"] == {"decision": "drop", "reviewer": "", "note": "", "stale": True}
    assert told["lines"]["person"]["stale"] is False
    assert told["lines"]["verdict"] == "dropped"
    assert "person" not in told["long"]
    flipped = whatif_run(again, ["words.at_least=0"])
    assert flipped["after"]["documents_dropped"] >= 1  # the drop that applies stands whatever the rules say


def test_skip_writes_nothing_and_goes_on(client, ids, decisions):
    answer = post(client, ids["script"], "skip", rule="words")
    assert re.fullmatch(r"/documents/\w{32}\?rule=words", answer.headers["location"])
    assert ids["script"] not in answer.headers["location"]
    assert not decisions.exists()


def test_when_all_is_decided_the_queue_says_so(client, ids):
    answers = [post(client, doc_id, "drop").headers["location"] for doc_id in ids.values()]
    assert answers[-1] == "/"
    assert "All decided" in client.get("/").text
    assert client.get("/?state=decided").text.count('class="open"') == len(ids)


def test_forms_of_others_are_refused(client, ids, decisions):
    path = f"/documents/{ids['script']}"
    token = form_token(client, ids["script"])
    assert client.post(path, data={"decision": "keep"}).status_code == 403
    assert client.post(path, data={"decision": "keep", "form_token": TOKEN}).status_code == 403
    assert client.post(path, data={"decision": "burn", "form_token": token}).status_code == 400
    assert client.post(path, content=b"x" * 20_000).status_code == 413
    assert client.post(path, content=b"&".join([b"a=1"] * 50)).status_code == 400
    assert client.post("/documents/none", data={"decision": "keep", "form_token": token}).status_code == 404
    assert not decisions.exists()


def test_a_note_is_bounded(client, ids, decisions):
    post(client, ids["script"], "drop", note="n" * 9_000)
    assert len(json.loads(decisions.read_text())["note"]) == 2_000


def test_a_desk_opened_again_knows_what_was_decided(run, client, ids, decisions):
    post(client, ids["script"], "keep")
    post(client, ids["lines"], "keep")
    post(client, ids["lines"], "drop")
    with reopen_run(run) as context:
        desk = ReviewQueue(context, decisions, 10.0)
    assert review_state(desk) == {"queue": 5, "decided": 2}
    assert desk.decision(ids["lines"])["decision"] == "drop"
    assert desk.progress(Choice(rule="no-such-rule")) == (0, 0)


def test_neighbours_follow_the_queue_and_come_round(run, decisions):
    with reopen_run(run) as context:
        desk = ReviewQueue(context, decisions, 10.0)
    order = desk.queue["doc_id"].to_list()
    assert desk.neighbours(order[1], Choice())["before"] == order[0]
    assert desk.neighbours(order[-1], Choice()) == {"before": order[-2], "behind": None, "undecided": order[0]}
    desk.decide(order[0], "keep")
    assert desk.neighbours(order[-1], Choice())["undecided"] == order[1]


def test_a_row_beyond_the_part_is_named(run):
    with reopen_run(run) as context:
        path = context.file("documents", "documents.parquet")
    assert read_row(path, 4)["doc_id"]
    with pytest.raises(StoreError, match="has 5 rows and none at 5"):
        read_row(path, 5)


def test_repeated_lines_are_marked():
    piece = piece_of(HOSTILE["lines"], "dup_line_share", 0)
    assert (piece["caption"], piece["marks"]) == ("lines seen before", 5)
    assert "".join(text for kind, text in piece["segments"]) == HOSTILE["lines"]
    assert [text for kind, text in segments("a\x00b", [(0, 3)])] == ["a", "␀", "b"]
    assert piece_of("", "words", 3)["pieces"] == 1
    assert number_text(float("nan")) == "nan"


def test_the_server_binds_to_loopback_and_stops(run, decisions, monkeypatch, capsys):
    import uvicorn

    seen = {}

    def serve(self, sockets):
        seen["address"] = sockets[0].getsockname()
        raise KeyboardInterrupt

    monkeypatch.setattr(uvicorn.Server, "run", serve)
    with pytest.raises(KeyboardInterrupt):
        serve_review(run, decisions=decisions)
    assert seen["address"][0] == "127.0.0.1"
    assert re.search(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{32}\n", capsys.readouterr().err)
    with pytest.raises(StoreError, match="not a run directory"):
        serve_review(run.parent)


@pytest.fixture
def address(app):
    """The page behind a real server, in a thread."""
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listener.close()


def test_a_person_at_the_keyboard(browser, address, ids, decisions):
    page = browser.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{address}/?token={TOKEN}")
    assert TOKEN not in page.url
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/documents/*")
    for key in ("k", "d", "s", "ArrowRight", "ArrowLeft"):
        before = page.url.split("?")[0]
        page.keyboard.press(key)
        page.wait_for_url(lambda url, before=before: url.split("?")[0] != before)
    told = [json.loads(line)["decision"] for line in decisions.read_text().splitlines()]
    assert told == ["keep", "drop"]
    page.keyboard.press("q")
    page.wait_for_url(f"{address}/")
    page.select_option("select[name=state]", "decided")
    page.wait_for_url("**state=decided**")
    assert page.locator("a.open").count() == 2
    assert not errors


def test_undo_takes_back_the_last_decision(browser, address, ids, decisions):
    page = browser.new_page()
    page.goto(f"{address}/?token={TOKEN}")
    page.goto(f"{address}/documents/{ids['script']}")
    page.keyboard.press("d")
    page.wait_for_url(lambda url: ids["script"] not in url)
    page.keyboard.press("u")
    page.wait_for_url(f"**/documents/{ids['script']}")
    assert page.locator(".said").count() == 0
    assert [json.loads(line)["decision"] for line in decisions.read_text().splitlines()] == ["drop", "withdraw"]


def test_typing_a_note_decides_nothing(browser, address, ids, decisions):
    page = browser.new_page()
    page.goto(f"{address}/?token={TOKEN}")
    page.goto(f"{address}/documents/{ids['script']}")
    page.fill("input[name=note]", "kd")
    page.locator("input[name=note]").press("s")
    assert not decisions.exists()
    page.keyboard.press("Escape")
    page.keyboard.press("k")
    page.wait_for_url(lambda url: ids["script"] not in url)
    assert json.loads(decisions.read_text())["note"] == "kds"


def test_hostile_text_stays_text_and_in_its_place(browser, address, ids):
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    page.goto(f"{address}/?token={TOKEN}")
    for name, doc_id in ids.items():
        page.goto(f"{address}/documents/{doc_id}")
        assert page.title() == f"{doc_id[:8]} – Review"
        assert page.locator("pre script, pre img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        shown = page.locator("pre").text_content()
        if name == "script":
            assert shown == HOSTILE[name]
        assert page.locator("button.keep").is_visible()


def test_it_works_without_script(browser, address, ids, decisions):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(f"{address}/?token={TOKEN}")
    page.locator("a.open").first.click()
    page.locator("button.drop").click()
    page.wait_for_url(lambda url: "/documents/" in url)
    assert json.loads(decisions.read_text())["decision"] == "drop"
