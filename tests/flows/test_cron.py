"""Cron lines: what the check accepts Prefect serves, and reads alike; all else is one sentence."""

# ruff: noqa: E501  tables of one row for each case

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prefect._vendor.croniter import croniter
from prefect.schedules import Cron

from gristmill.corpus.errors import RecipeError
from gristmill.flows.pipeline.cron import ALIASES, DAYS, FIELDS, MONTHS, cron_fault
from gristmill.flows.pipeline.recipe_reading import parse_recipe

numbers = st.integers(0, 70).map(str) | st.sampled_from(
    ["00", "07", "jan", "Feb", "MON", "sat", "sun", "L", "?", "H", "W"]
)
ranges = st.builds("{}-{}".format, numbers, numbers)
items = st.one_of(st.just("*"), numbers, ranges, st.builds("{}/{}".format, st.just("*") | numbers | ranges, numbers))
odd = st.sampled_from(
    ["", "L5", "5L", "LW", "5#2", "5#6", "7#1", "L7", "L9", "fri#2", "-5", "5-", "٣", "*,5", "1,,2", "15W", "R"]
)
fields = st.lists(items, min_size=1, max_size=3).map(",".join) | odd
right = st.tuples(*[
    st.lists(st.integers(one.low, one.high).map(str) | st.sampled_from([*one.names, "*", "*/7"]), min_size=1, max_size=3).map(",".join)
    for one in FIELDS
]).map(" ".join)  # fmt: skip
lines = right | st.lists(fields, min_size=4, max_size=6).map(" ".join) | st.text("@dailyDAILY *0L", max_size=9)


@settings(max_examples=400)
@given(lines)
def test_what_the_check_accepts_prefect_serves_and_reads_alike(line):
    if cron_fault(line) is not None:
        return
    Cron(line)
    fires = croniter(line, datetime(2026, 11, 29)).get_next(datetime)
    if not line.startswith("@"):
        for field, text, value in zip(
            FIELDS, line.lower().split(), (fires.minute, fires.hour, None, fires.month, None), strict=True
        ):
            assert value is None or value in field.values(text)


@pytest.mark.parametrize(
    "line",
    [*ALIASES, "@Daily", "0 3 * * *", "*/10 0-6,22 1,15 jan-MAR mon-fri", "0 3 L * *", "0 3 * * L5", "0 3 * * 5#2", "5/10 * * * *",
     "0 3 * * 5-7", "0 0 29 2 *", "0 0 31 1,2 *", " 0\t3 * * * ", *(f"0 3 * * {day}" for day in DAYS), *(f"0 3 1 {month} *" for month in MONTHS)],
)  # fmt: skip
def test_common_lines_are_taken(line):
    assert cron_fault(line) is None
    Cron(line)
    assert croniter(line, datetime(2026, 11, 29)).get_next(datetime)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("0 3 * * 5L", "day of week '5l' is neither a number, a range, a step, nor a list of them; the last such day of a month is L5"),
        ("0 3 LW * *", "day of month 'lw' is not 1 to 31"),
        ("0 0 3 * * *", "it has 6 fields, expected five: 'minute hour day-of-month month day-of-week', such as '0 3 * * *'"),
        ("0 0 3 * * *", "there is no field of seconds"),
        ("@reboot", "expected 'minute hour"),
        ("", "it has 0 fields"),
        ("every day", "it has 2 fields"),
        ("61 * * * *", "minute '61' is not 0 to 59"),
        ("* 24 * * *", "hour '24' is not 0 to 23"),
        ("* * * foo *", "month 'foo' is not 1 to 12"),
        ("50-10 * * * *", "minute '50-10' ends before it begins"),
        ("*/0 * * * *", "steps by 0"),
        ("0 3 30 2 *", "none of its months has such a day"),
        ("0 3 31 4,6 1", "none of its months has such a day"),
        ("H 3 * * *", "minute 'h' is not 0 to 59"),
        ("٣ 3 * * *", "minute '٣' is neither"),
    ],
)  # fmt: skip
def test_other_lines_are_one_mistake_with_its_line(line, told):
    assert told in str(cron_fault(line))
    with pytest.raises(RecipeError) as caught:
        parse_recipe(
            f'name = "a"\nseed = 1\n[[sources]]\nname = "a"\npath = "a"\ndomain = "a"\n[schedule]\ncron = "{line}"',
            "r.toml",
        )
    mistake = str(caught.value).split("\n")
    assert len(mistake) == 2
    assert mistake[1].startswith(f"  schedule.cron: {line!r} is no cron line: ")
    assert mistake[1].endswith("(line 8)")
