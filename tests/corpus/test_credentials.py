"""Credentials leave addresses, whatever their form; addresses without any stay as they are."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.credentials import redact, without_credentials
from gristmill.sources.address_columns import column_without_credentials


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("s3://AKIA:se/cr+et@bucket/key", "s3://bucket/key"),
        ("https://user@host/x", "https://host/x"),
        ("https://me:p@ss@host/x", "https://host/x"),
        ("//me:pass@host/x", "//host/x"),
        (r'{"u":"https:\/\/me:pass@host\/x"}', r'{"u":"https:\/\/host\/x"}'),
        ("https://host:8080/a@b", "https://host:8080/a@b"),
        ("https://host/@writer/a", "https://host/@writer/a"),
        ("hf://datasets/org/name@v1/x.parquet", "hf://datasets/org/name@v1/x.parquet"),
        ("https://h/x?sig=abc&page=2", "https://h/x?sig=REDACTED&page=2"),
        ("https://h/x?sv=2022&sp=r&sig=a%2Bb%3D", "https://h/x?sv=2022&sp=r&sig=REDACTED"),
        ("https://h/x?page=2&X-Amz-Credential=abc", "https://h/x?page=2&X-Amz-Credential=REDACTED"),
        ("https://h/x?a=1&amp;access_token=abc#top", "https://h/x?a=1&amp;access_token=REDACTED#top"),
        ("https://h/x#access_token=abc&expires=3", "https://h/x#access_token=REDACTED&expires=3"),
        ("https://h/x?AWSAccessKeyId=a;api-key=b", "https://h/x?AWSAccessKeyId=REDACTED;api-key=REDACTED"),
        ("https://h/x?PHPSESSID=a&user[password]=b", "https://h/x?PHPSESSID=REDACTED&user[password]=REDACTED"),
        ("https://h/x?keywords=a&design=b&monkey=c", "https://h/x?keywords=a&design=b&monkey=c"),
        ("mail me@example.org", "mail me@example.org"),
        ("plain text", "plain text"),
    ],
)
def test_addresses_lose_their_credentials_and_nothing_else(address, shown):
    assert without_credentials(address) == shown
    assert without_credentials(shown) == shown
    column = pa.array(["plain", None, address], pa.string())
    assert column_without_credentials(column).to_pylist() == ["plain", None, shown]
    assert column_without_credentials(column.slice(0, 2)).to_pylist() == ["plain", None]


@given(st.text(st.sampled_from("abc123+=@:%"), min_size=8, max_size=20))
def test_a_password_never_survives(password):
    secret = f"x{password}x"
    value = {"deep": [{f"ftp://me:{secret}@host/a": f"see gs://me:{secret}@b/c and https://h/?token={secret}"}], "n": 3}
    assert secret not in str(redact(value))
    assert redact(value)["n"] == 3


@given(st.text(st.sampled_from("ab:/?&#;=@ \"'key-tokensig."), max_size=40))
def test_rows_that_are_passed_over_have_no_credential(text):
    assert column_without_credentials(pa.array([text]))[0].as_py() == without_credentials(text)
