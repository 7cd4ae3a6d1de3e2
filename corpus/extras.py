"""What is installed beside the core: extras of the package, and the one line for a library that is missing."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from gristmill.corpus.errors import MissingExtraError, UnknownNameError


@dataclass(frozen=True, slots=True)
class Extra:
    """An extra of pyproject.toml: what it is for, and the modules that it brings."""

    name: str
    use: str
    modules: tuple[str, ...]


EXTRAS = {
    extra.name: extra
    for extra in (
        Extra("train", "training needs", ("torch", "safetensors")),
        Extra("prefect", "a run through Prefect and a schedule need", ("prefect", "fastapi", "sqlalchemy")),
        Extra("card", "data cards and figures need", ("matplotlib", "mlcroissant", "huggingface_hub", "datasets")),
    )
}
INSTEAD = {"prefect": "; a run goes without it by --direct"}


def need(name: str) -> None:
    """Return when every module of the extra ``name`` can be imported; none is imported to find out.

    Raises
    ------
    MissingExtraError : one cannot; the message is the command that installs it
    """
    if name not in EXTRAS:
        raise UnknownNameError("extra", name, EXTRAS)
    for module in EXTRAS[name].modules:
        if find_spec(module) is None:
            raise _missing(EXTRAS[name], module)


def missing_extra(error: ModuleNotFoundError) -> MissingExtraError | None:
    """The error to show in place of ``error``; None when the module belongs to no extra.

    >>> str(missing_extra(ModuleNotFoundError("No module named 'torch'", name="torch.nn")))
    "training needs torch: pip install 'gristmill[train]'"
    >>> missing_extra(ModuleNotFoundError("No module named 'nothing'", name="nothing"))
    """
    module = (error.name or "").partition(".")[0]
    found = [extra for extra in EXTRAS.values() if module in extra.modules]
    return _missing(found[0], module) if found else None


def _missing(extra: Extra, module: str) -> MissingExtraError:
    return MissingExtraError(
        f"{extra.use} {module}: pip install 'gristmill[{extra.name}]'{INSTEAD.get(extra.name, '')}"
    )


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of those ``packages`` that are installed; an extra that is left out leaves its libraries out.

    >>> installed_versions(["a-package-that-is-not-there"])
    {}
    """
    return {package: found for package in packages if (found := _version_of(package))}


@cache  # a version is read out of the whole description of a package: a third of the time that a card is gathered in
def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
