"""``gristmill review``: a local page with the review queue, rendered on the server; it works without script.

It binds to the loopback address, asks every request for the token that its address carried, and checks the Host
header, so that no other page in the browser and no other machine can read a text or decide one.
"""

import getpass
import hashlib
import hmac
import re
import secrets
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gristmill.flows.pipeline.damage import names_damage
from gristmill.flows.review.decision_queue import CHOICES, Choice, ReviewQueue
from gristmill.flows.review.page_text import number_text, piece_of

if TYPE_CHECKING:
    from jinja2 import Environment

    from gristmill.flows.pipeline.context import RunContext

TEMPLATES, STATIC = Path(__file__).parent / "templates", Path(__file__).parent / "static"
ROWS = 50  # of the queue, on one page
MAX_FORM_BYTES = 16 << 10
MAX_NOTE_CHARS = 2_000
_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:\d+)?")
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@names_damage
def serve_review(
    run: Path, *, port: int = 0, margin: float = 0.1, decisions: Path | None = None, open_browser: bool = False
) -> dict[str, int]:
    """Serve the review page of a run until stopped; the address goes to standard error.

    Parameters
    ----------
    port : of 127.0.0.1; 0 takes a free one
    margin : greatest distance of a document in the queue, see ``gristmill.filters.decide.review_queue.distances``
    decisions : the file that answers are added to, ``decisions.jsonl`` in the run when left out
    open_browser : show the page in the browser of this desktop

    Returns
    -------
    queue, decided : documents in the queue, and those that a person has decided

    Raises
    ------
    StoreError : the run has no clusters yet, or another process writes it
    SourceError : a line of ``decisions`` is no decision
    """
    import uvicorn

    from gristmill.flows.pipeline.open_context import reopen_run

    token = secrets.token_urlsafe(24)
    with reopen_run(run) as context:  # the lock is held while the queue is made, not while a person reads
        queue = ReviewQueue(context, decisions or decisions_of(context), margin)
    with socket.create_server(("127.0.0.1", port)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/?token={token}"
        sys.stderr.write(f"{queue.progress().queue} documents to review: {address}\nanswers go to {queue.path}\n")
        if open_browser:
            import webbrowser

            webbrowser.open(address)
        config = uvicorn.Config(
            _app(queue, token, getpass.getuser()), log_level="warning", log_config=None, lifespan="off"
        )
        uvicorn.Server(config).run(sockets=[listener])
    return review_state(queue)


def review_state(queue: ReviewQueue) -> dict[str, int]:
    """What ``--json`` tells: documents in the queue, and those decided."""
    return dict(queue.progress()._asdict())


@names_damage
def queue_state(run: Path, margin: float) -> dict[str, int]:
    """The state of a run's queue without serving it."""
    from gristmill.flows.pipeline.open_context import read_run

    context = read_run(run)
    return review_state(ReviewQueue(context, decisions_of(context), margin))


def decisions_of(context: "RunContext") -> Path:
    """The recipe's file of decisions, else one in the run."""
    named = context.recipe.decide.decisions
    return Path(named) if named else context.run.path / "decisions.jsonl"


def review_app(context: "RunContext", token: str, decisions: Path, margin: float, *, reviewer: str = "") -> Starlette:
    """The page as an ASGI application, for a server and for tests.

    Parameters
    ----------
    token : what the first address must carry as ``?token=``; a cookie has it from then on
    decisions, margin : see ``serve_review``
    reviewer : stands in every decision
    """
    return _app(ReviewQueue(context, decisions, margin), token, reviewer)


def _app(queue: ReviewQueue, token: str, reviewer: str) -> Starlette:
    pages = _Pages(queue, hmac.digest(token.encode(), b"form", "sha256").hex(), reviewer)
    routes = [
        Route("/", pages.queue),
        Route("/documents/{doc_id}", pages.document),
        Route("/documents/{doc_id}", pages.decide, methods=["POST"]),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    return Starlette(routes=routes, middleware=[Middleware(_Guard, token=token)])


class _Guard:
    """Let in requests with the token, at a loopback address; give every answer the security headers."""

    def __init__(self, app: ASGIApp, token: str):
        self._app, self._token = app, token
        # cookies know no port: two pages on one machine must not take each other's
        self._cookie = f"review_{hashlib.sha256(token.encode()).hexdigest()[:12]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        response = self._refusal_or_entry(Request(scope)) or self._app

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await response(scope, receive, send_guarded)

    def _refusal_or_entry(self, request: Request) -> Response | None:
        if not _HOST.fullmatch(request.headers.get("host", "")):
            return PlainTextResponse("This page answers at 127.0.0.1 alone.", 403)
        if self._is_token(request.query_params.get("token", "")):
            entry = RedirectResponse(request.url.path, 303)
            entry.set_cookie(self._cookie, self._token, httponly=True, samesite="strict")
            return entry
        if self._is_token(request.cookies.get(self._cookie, "")):
            return None
        return PlainTextResponse("Open the address that `gristmill review` printed; it carries the token.", 403)

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())


class _Pages:
    """What the routes answer."""

    def __init__(self, queue: ReviewQueue, form_token: str, reviewer: str):
        self._queue, self._form_token, self._reviewer = queue, form_token, reviewer
        self._templates = _templates()

    def queue(self, request: Request) -> Response:
        """The queue, or the part of it that the query names."""
        choice, state = _choice(request.query_params), request.query_params.get("state", "open")
        frame = self._queue.chosen(choice)
        if state in ("open", "decided"):
            decided = frame["decision"].is_not_null()
            frame = frame.filter(decided if state == "decided" else ~decided)
        pages = max(1, -(-len(frame) // ROWS))
        page = min(_number(request.query_params.get("page")), pages - 1)
        shown = {"rows": frame.slice(page * ROWS, ROWS).to_dicts(), "found": len(frame)}
        place = {"state": state, "page": page, "pages": pages, "options": self._queue.options()}
        return self._answer("review_queue", choice, **shown, **place)

    def document(self, request: Request) -> Response:
        """One document with what the rules say of it."""
        doc_id, choice = self._known(request), _choice(request.query_params)
        document = self._queue.document(doc_id)
        piece = piece_of(document.pop("text"), document["signal"], _number(request.query_params.get("piece")))
        around = self._queue.neighbours(doc_id, choice)
        standing, stale = self._queue.decision(doc_id), self._queue.stale(doc_id)
        known = {"standing": standing, "stale": stale, "undo": doc_id if standing or stale else self._queue.last}
        return self._answer("review_document", choice, document=document, piece=piece, around=around, **known)

    async def decide(self, request: Request) -> Response:
        """Keep, drop or skip a document, then go to the next that is undecided; or withdraw, and stay."""
        form = await _form(request)
        if not hmac.compare_digest(form.get("form_token", "").encode(), self._form_token.encode()):
            raise HTTPException(403, "This form is not from this page; load the document again.")
        doc_id, choice, decision = self._known(request), _choice(form), form.get("decision", "")
        if decision == "withdraw":
            self._queue.withdraw(doc_id, self._reviewer, form.get("note", "")[:MAX_NOTE_CHARS])
            return RedirectResponse(f"/documents/{doc_id}{_query(choice)}", 303)
        if decision in ("keep", "drop"):
            self._queue.decide(doc_id, decision, self._reviewer, form.get("note", "")[:MAX_NOTE_CHARS])
        elif decision != "skip":
            raise HTTPException(400, "A decision is keep, drop, skip or withdraw.")
        following = self._queue.neighbours(doc_id, choice)["undecided"]
        place = f"/documents/{following}" if following else "/"
        return RedirectResponse(place + _query(choice), 303)

    def _known(self, request: Request) -> str:
        doc_id = request.path_params["doc_id"]
        if doc_id not in self._queue:
            raise HTTPException(404, "No such document in the queue.")
        return doc_id

    def _answer(self, name: str, choice: Choice, **given: Any) -> Response:
        progress = self._queue.progress()
        here = self._queue.progress(choice)
        known = {"choice": choice._asdict(), "query": _query(choice), "progress": progress, "here": here}
        template = self._templates.get_template(f"{name}.html.jinja")
        queue = {"run": self._queue.run.name, "margin": self._queue.margin, "form_token": self._form_token}
        return HTMLResponse(template.render(**known, **queue, **given))


def _templates() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(TEMPLATES)
    found = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    found.filters["number"] = number_text
    found.filters["percent"] = lambda share: f"{100 * share:.3g} %"
    found.globals["query_of"] = lambda choice, **changes: "?" + urlencode({**choice, **changes})
    return found


def _choice(given: Any) -> Choice:
    return Choice(*(given.get(name, "") for name in CHOICES))


def _query(choice: Choice) -> str:
    chosen = {name: value for name, value in choice._asdict().items() if value}
    return "?" + urlencode(chosen) if chosen else ""


def _number(text: str | None) -> int:
    """A page's number from 0; what is no number is 0."""
    return int(text) if text and re.fullmatch(r"\d{1,9}", text, re.ASCII) else 0


async def _form(request: Request) -> dict[str, str]:
    """An urlencoded form of bounded size."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise HTTPException(413, f"A form has at most {MAX_FORM_BYTES} bytes.")
    try:
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20))
    except ValueError as error:
        raise HTTPException(400, "A form has at most 20 fields.") from error
