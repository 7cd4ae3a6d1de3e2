"""Commands as their user calls them, in this process."""

import json

import pytest

from gristmill.cli import main


def call(capsys, *arguments) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command; a traceback fails the test."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return int(ended.value.code or 0), out, err


def answer(capsys, *arguments) -> dict:
    """What a command prints as JSON; its exit status is 0."""
    status, out, err = call(capsys, *arguments, "--json")
    assert status == 0, err
    return json.loads(out)
