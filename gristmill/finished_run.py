"""A run as a Python object: its tables, and the questions that the command line asks of it."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gristmill.corpus.errors import RecipeError
from gristmill.corpus.rundir import RunDir
from gristmill.whatif_settings import settings_of

if TYPE_CHECKING:
    from gristmill.flows.pipeline.context import RunContext
    from gristmill.flows.pipeline.recipe import Recipe
    from gristmill.part_table import PartTable

Names = str | Iterable[str]


class Run:
    """A run directory, finished or as far as it has come. All but ``verify`` leave it alone and take no lock.

    ``explain``, ``whatif``, ``verify`` and ``summary`` return what the commands of that name print with ``--json``;
    of ``summary`` that is ``run``.
    """

    def __init__(self, path: str | Path):
        self._dir = RunDir.open(Path(path).resolve())

    @property
    def path(self) -> Path:
        """The run directory."""
        return self._dir.path

    @property
    def name(self) -> str:
        """The recipe's name."""
        return self.path.parent.name

    @property
    def id(self) -> str:
        """The run id, a hash of all that decides the run."""
        return self.path.name

    @cached_property
    def _context(self) -> "RunContext":
        from gristmill.flows.pipeline.open_context import read_run

        return read_run(self.path)

    @property
    def recipe(self) -> "Recipe":
        """The recipe as the run keeps it."""
        return self._context.recipe

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages that are done, in order."""
        from gristmill.run_overview import done_stages

        return done_stages(self._dir)

    def documents(self, columns: Names | None = None) -> "PartTable":
        """Every document as it was read; ``text()`` has the texts as they are kept."""
        return self._table("documents", "documents.parquet", columns)

    def rejects(self, columns: Names | None = None) -> "PartTable":
        """Records that could not be read, with the reason."""
        return self._table("documents", "rejects.parquet", columns, counted=False)

    def signals(self, names: Names | None = None) -> "PartTable":
        """What was measured of every document: doc_id and these signals, or all. Rows stand as in ``documents``.

        Raises
        ------
        UnknownNameError : a signal that the run has not measured, with the nearest
        """
        from gristmill.run_tables import signals_table

        return signals_table(self._context, names)

    def ledger(self, columns: Names | None = None) -> "PartTable":
        """The decision: a row for each kept or merged document, one for each rule that a dropped one fails."""
        return self._table("decide", "ledger.parquet", columns, counted=False)

    def clusters(self, columns: Names | None = None) -> "PartTable":
        """Exact and near duplicates: the cluster of every document."""
        return self._table("clusters", "clusters.parquet", columns, counted=False)

    def kept(self, columns: Names | None = None) -> "PartTable":
        """The kept documents with their weights and the spans to cut or mask."""
        from gristmill.run_tables import keeper

        return self._table(keeper(self._context), "kept.parquet", columns, counted=False)

    def _table(self, stage: str, file: str, columns: Names | None, counted: bool = True) -> "PartTable":
        from gristmill.run_tables import stage_table

        return stage_table(self._context, stage, file, columns, counted=counted)

    def text(self, kept: bool | None = None, ids: Names | None = None) -> "PartTable":
        """Texts with doc_id, source, domain, and whether the document is kept.

        The text of a kept document is the one that is trained on, with its spans cut and masked; of any other it is the
        text as it was read.

        Parameters
        ----------
        kept : True for kept documents alone, False for the others, None for both
        ids : doc_ids to choose; all when None

        Raises
        ------
        UnknownNameError : no document has the doc_id
        """
        from gristmill.run_texts import texts_of

        return texts_of(self._context, kept, ids)

    def explain(self, doc_id: str | int) -> dict[str, Any]:
        """The way of one document through the stages; ``doc_id``, a locator, or the id that the input gave it."""
        from gristmill.flows.inspect.explain import explain_document

        return explain_document(self.path, str(doc_id))

    def whatif(
        self, settings: Mapping[str, Any] | None = None, *, diff: tuple[str, str] | None = None, **bounds: Any
    ) -> dict[str, Any]:
        """The decision again with other bounds or profiles, from stored signals.

        Parameters
        ----------
        settings : as in ``[decide]`` of a recipe: ``{"rules": {"words": {"at_least": 80}}, "profiles": ["c4"]}``, or
            with dots, ``{"words.at_least": 80}``
        bounds : the same by keyword: ``words={"at_least": 80}``
        diff : two profiles to compare on all documents, in place of settings

        Raises
        ------
        RecipeError : a key or value that ``[decide]`` does not have, or neither or both of settings and ``diff``
        UnknownNameError : a profile, rule or signal that is unknown or not measured in this run
        """
        from gristmill.flows.inspect.whatif import whatif_run

        sets = settings_of({**(settings or {}), **bounds})
        if bool(sets) == bool(diff) or (diff and len(diff) != 2):
            raise RecipeError("give settings, such as words={'at_least': 80}, or diff=(PROFILE, PROFILE)")
        return whatif_run(self.path, sets, diff)

    def verify(self) -> dict[str, Any]:
        """Check conservation, receipts, digests, plan and consumption. Takes the run's lock while it reads.

        Raises
        ------
        LockedError : the run is being written
        """
        from gristmill.flows.inspect.verify import verify_run

        return verify_run(self.path)

    def summary(self) -> dict[str, Any]:
        """What each stage took and passed on, what became of each source, and the mixture."""
        from gristmill.run_overview import overview

        return overview(self._dir)

    def __repr__(self) -> str:
        from gristmill.run_overview import counts

        return f"Run {self.name}/{self.id}: {counts(self._dir)}; stages: {', '.join(self.stages)}"

    def _repr_html_(self) -> str:
        from gristmill.run_overview import overview_html

        return overview_html(self._dir)
