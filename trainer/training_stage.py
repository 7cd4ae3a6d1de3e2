"""A stage of a training, tied to phases of the curriculum: what it learns at which rate. No torch here."""

from collections.abc import Iterator, Sequence

from gristmill.corpus.recipe_values import Mistake, Section, Slug
from gristmill.trainer import checks
from gristmill.trainer.checks import Check, value_mistakes
from gristmill.trainer.schedules import FLOOR, SCHEDULES


class TrainingStage(Section):
    """A stage of a training, such as base, domain, alignment; stages follow one another over the phases."""

    name: Slug
    phases: int = 1  # of the curriculum, that it lasts for
    rate: float = 1.0  # factor of trainer.learning_rate
    schedule: str = "cosine"  # or "wsd", "step", "constant", each after trainer.warmup_steps
    floor: float = FLOOR  # share of the rate that the schedule ends at
    frozen: tuple[str, ...] = ()  # patterns of weights that stay as they are: "embedding", "*.attention.*"
    frozen_steps: int = 0  # for so many of its steps; 0 = for all
    answers_only: bool = False  # its rows must say which tokens are answers; a row of another kind is a mistake
    context: int = 0  # tokens that attention sees, the token itself among them; 0 = as many as the model does

    def mistakes(self) -> Iterator[Mistake]:
        """What a stage cannot be."""
        yield from value_mistakes(self.model_dump(), _KEYS, _NAMES)


WHOLE = TrainingStage(name="base")  # the only stage of a training without any


def stage_mistakes(stages: Sequence[TrainingStage], phases: int) -> Iterator[Mistake]:
    """Stages that do not cover the ``phases`` of the curriculum, or two of one name; a curriculum of 0 is one phase."""
    covered = sum(stage.phases for stage in stages)
    if stages and covered != max(phases, 1):
        text = f"the stages last for {covered} phases, the curriculum has {max(phases, 1)}"
        yield Mistake(("trainer.stages", "curriculum"), text)
    names = [stage.name for stage in stages]
    for number, name in enumerate(names):
        if name in names[:number]:
            yield Mistake((f"trainer.stages.{number}.name",), f"{name!r} is the name of two stages")


_KEYS = {
    "phases": checks.POSITIVE,
    **dict.fromkeys(("frozen_steps", "context"), checks.COUNT),
    "rate": checks.ABOVE_ZERO,
    "floor": Check("0 up to 1", lambda value: checks.real(value) and 0 <= value <= 1),
}
_NAMES = {"schedule": SCHEDULES}
