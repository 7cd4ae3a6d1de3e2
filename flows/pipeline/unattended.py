"""What the recipe says of runs that start by themselves: when, who is informed, and which changes need a person.

None of it decides the bytes of a run, so none of it enters the lock.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from gristmill.corpus.recipe_values import Mistake, Positive, Section, Share

Event = Literal["failure", "drift", "recovery"]
EVENTS: tuple[Event, ...] = ("failure", "drift", "recovery")
LEAST_NIGHTS = 3  # good runs that a comparison needs


class Notify(Section):
    """Who is informed of what became of a run."""

    on: tuple[Event, ...] = EVENTS  # failure; drift: paused by [drift]; recovery: the first success after either
    command: tuple[str, ...] = ()  # a program and its arguments; the event comes as JSON on its standard input
    webhook_env: str | None = None  # the environment variable that holds an address; the event is sent there by POST

    def mistakes(self) -> Iterator[Mistake]:
        """A table that informs no one."""
        if not self.command and self.webhook_env is None:
            yield Mistake(("command", "webhook_env"), "neither a command nor a webhook_env is given")


class Schedule(Section):
    """When Prefect runs the recipe."""

    cron: str
    timezone: str = "UTC"
    catch_up: Literal["last", "none"] = "none"  # last: a run at once where the last time was missed
    io_retries: Annotated[int, Field(ge=0, le=20)] = 3  # of a run that an input or output error ended; of no other
    io_retry_seconds: Positive = 30.0  # before the first of them; twice as long before each further one
    success_file: str | None = None  # touched after each run that passed verify: a monitor sees that it grows old
    success_url_env: str | None = None  # the environment variable that holds an address, asked for after each of them
    notify: Notify | None = None


class DriftBounds(Section):
    """How far a run may be from the good runs before it."""

    signal: Positive = 0.25  # population stability index of a signal with a rule, by source
    language: Positive = 0.25  # the same of the languages of a source
    source_share: Share = 0.1  # change of a source's share of all bytes of text
    duplicate_rate: Share = 0.1  # change of the share of a source's documents that are merged, beyond chance
    pii_per_mb: Annotated[float, Field(gt=1, allow_inf_nan=False)] = 2.0  # times more, or fewer, beyond chance
    tokens: Annotated[float, Field(gt=1, allow_inf_nan=False)] = 1.5  # times more, or fewer, tokens of a domain


class Drift(Section):
    """A gate: a run that is too far from the last good ones waits for `gristmill approve`."""

    nights: Annotated[int, Field(ge=LEAST_NIGHTS, le=365)] = 7  # good runs that it is compared with, at most
    bounds: DriftBounds = DriftBounds()
