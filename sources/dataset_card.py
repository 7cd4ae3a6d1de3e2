"""The card of a dataset folder (README.md with a YAML head, as on the Hugging Face hub): which files are its data."""

from typing import Any

from gristmill.corpus.errors import SourceError

IS_CARD = "README.md"
_FENCE = "---"


def data_patterns(card: str, folder: str) -> list[str] | None:
    r"""The patterns of the card's data files, relative to its folder; None when it names none.

    Of several configurations the one marked ``default``, or called so, is read; SourceError when none is.

    >>> data_patterns("---\nconfigs:\n- config_name: a\n  data_files: train/*.parquet\n---\n", "folder")
    ['train/*.parquet']
    """
    configs = [one for one in _head(card).get("configs") or [] if isinstance(one, dict) and one.get("data_files")]
    if not configs:
        return None
    chosen = [one for one in configs if one.get("default")] or [one for one in configs if _name(one) == "default"]
    chosen = chosen or (configs if len(configs) == 1 else [])
    if not chosen:
        names = ", ".join(map(_name, configs))
        raise SourceError(f"the card of {folder!r} has the configurations {names}; give the path of one's files")
    return _patterns(chosen[0]["data_files"])


def _name(config: dict[str, Any]) -> str:
    return str(config.get("config_name") or "default")


def _patterns(value: Any) -> list[str]:
    """``data_files``: one pattern, several, or splits with a path each."""
    if isinstance(value, str):
        return [value.removeprefix("./")]
    if isinstance(value, dict):
        value = [value["path"]] if "path" in value else list(value.values())
    return [one for item in value or [] for one in _patterns(item)]


def _head(card: str) -> dict[str, Any]:
    """The YAML between the first two fences; empty when there is none, or it cannot be read."""
    lines = card.lstrip("\ufeff").split("\n")
    if lines[0].strip() != _FENCE or _FENCE not in (line.strip() for line in lines[1:]):
        return {}
    end = next(i for i, line in enumerate(lines[1:], 1) if line.strip() == _FENCE)
    import yaml  # 30 ms that only folders with a card need

    try:
        found = yaml.safe_load("\n".join(lines[1:end]))
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}
