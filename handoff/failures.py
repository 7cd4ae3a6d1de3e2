"""Errors of the hand-over, and the base of every error of the mill; ``gristmill.corpus.errors`` has the whole tree."""


class GristmillError(Exception):
    """Base of all errors whose message is meant for the user."""


class SchemaError(GristmillError, TypeError):
    """A column or table is not as agreed."""


class StoreError(GristmillError, OSError):
    """The store or a run directory is damaged."""


class DamagedFileError(StoreError, ValueError):
    """A small file of a run or a home is not what was written."""


class PlanError(GristmillError, ValueError):
    """A schedule cannot be met, or a plan is damaged."""
