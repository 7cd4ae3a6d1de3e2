from pathlib import Path

import pytest

from gristmill.corpus.home import home


@pytest.mark.parametrize(("value", "folder"), [(None, ".gristmill"), ("", ".gristmill"), ("/mill", "/mill")])
def test_a_home_that_is_unset_or_empty_is_that_of_the_working_directory(monkeypatch, value, folder):
    monkeypatch.delenv("GRISTMILL_HOME", raising=False)
    if value is not None:
        monkeypatch.setenv("GRISTMILL_HOME", value)
    assert home() == Path(folder)
