"""Personal data by published forms: one example each, and what only looks like it."""

import pyarrow as pa
import pytest

from gristmill.filters.pii.scan import KINDS, find

ANNOUNCED = [  # language, text with a number between bars
    ("cs", "Telefon: |601 123 456|"),
    ("da", "Tlf.: |32 12 34 56|"),
    ("de", "Tel.: |030 123456|"),
    ("el", "Τηλέφωνο: |21 2345 6789|"),
    ("el", "Κινητό: |691 234 5678|"),
    ("en", "Call us at |467 3395|"),
    ("es", "Móvil: |612 34 56 78|"),
    ("fi", "Puh. |013 123456|"),
    ("fr", "Tél. : |01 23 45 67 89|"),
    ("he", "טלפון: |02-123-4567|"),
    ("hi", "फ़ोन: |074104 10123|"),
    ("hu", "Telefonszám: |(06 1) 234 5678|"),
    ("id", "Telp. |(061) 2345678|"),
    ("it", "Cellulare: |312 345 6789|"),
    ("ja", "電話番号：|03-1234-5678|"),
    ("ko", "전화: |02-2123-4567|"),
    ("nl", "Telefoon: |010 123 4567|"),
    ("nl", "Mobiel: |06 1234 5678|"),
    ("pl", "Komórka: |512 345 678|"),
    ("pt", "Telemóvel: |912 345 678|"),
    ("pt", "Celular: |(11) 96123-4567|"),
    ("ro", "Telefon: |021 123 4567|"),
    ("ru", "моб. |8 (912) 345-67-89|"),
    ("sv", "Mobil: |070-123 45 67|"),
    ("th", "โทรศัพท์ |02 123 4567|"),
    ("tr", "Faks: |(0212) 345 67 89|"),
    ("uk", "Телефон: |031 123 4567|"),
    ("vi", "Điện thoại: |0210 1234 567|"),
    ("zh", "联系电话：|010 1234 5678|"),
    ("ar", "الهاتف: |011 234 5678|"),
]
LETTERS, HEX = "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xYz" * 6, "0f1e2d3c4b5a69788796a5b4c3d2e1f0" * 2
KEYS = [
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_" + LETTERS[:36],
    "github_pat_" + LETTERS[:82],
    "glpat-" + LETTERS[:20],
    "xoxb-1234567890-" + LETTERS[:24],
    "AIza" + LETTERS[:35],
    "GOCSPX-" + LETTERS[:28],
    "ya29." + LETTERS[:100],
    "sk_live_" + LETTERS[:24],
    "rk_live_" + LETTERS[:24],
    "SG." + LETTERS[:22] + "." + LETTERS[:43],
    "SK" + HEX[:32],
    "pypi-AgEIcHlwaS5vcmc" + LETTERS[:130],
    "npm_" + LETTERS[:36],
    "123456789:AA" + LETTERS[:33],
    "hf_" + LETTERS[:34],
    "sk-" + LETTERS[:48],
    "sk-ant-api03-" + LETTERS[:95],
    "dop_v1_" + HEX,
    "shpat_" + HEX[:32],
    "sq0atp-" + LETTERS[:22],
    "key-" + HEX[:32],
    HEX[:32] + "-us12",
    "dapi" + HEX[:32],
    "lin_api_" + LETTERS[:40],
    "dckr_pat_" + LETTERS[:27],
    "hvs." + LETTERS[:90],
    "rubygems_" + HEX[:48],
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
]
NOTHING = [
    "version 2.34.56.78, nginx/1.25.3.140, OID 1.3.6.1.4.1.311.21.20, section 4.11.2.33, § 312 Abs. 2 Nr. 1",
    "ISBN 9780306406157, ISBN 978-3-16-148410-0, ISBN 0-306-40615-2, ISSN 1234-5678",
    "doi:10.1016/j.cell.2019.05.031, https://doi.org/10.1038/s41586-021-03819-2, arXiv:2406.17557, PMID: 31234567",
    f"commit {HEX[:40]}, md5 {HEX[:32]}, sha256:{HEX}, 123e4567-e89b-42d3-a456-426614174000",
    "00:1b:44:11:3a:b7, 12:34:56, 2024-06-07T12:34:56Z, 1998-2004, 12/05/2024, std::vector<std::pair<int, int>>::x",
    "48.858370, 2.294481; N 48° 51' 29.6\"; order 4123456789, order 112-1234567-1234567, Rechnung Nr. 20240607/12",
    "tracking number 1Z999AA10123456784, 1,234,567,890 bytes, 12 345 678 inhabitants, 1.234.567,00 EUR",
    "1234 5678 9012, 12.5 13.5 14.5 15.5, 1234 + 5678 = 6912, 3.14159265358979323846, 2^64 = 18446744073709551616",
    "192.168.1.10, 10.0.0.1, 127.0.0.1:8080, fe80::1%eth0, 2001:db8::1, @property, @user1234, '@scope/package'",
    "https://user:password@host/path, https://<user>:<password>@host, ssh://host/path.git, postgres://${USER}:${PASS}@db",
    'api_key = "YOUR_API_KEY_GOES_HERE", token_count = 123456, margin: 0 10px 20px, #define MASK 0xDEADBEEF',
    "telephone exchange of 1934, contact lenses at 2024 prices, call 100 times, хотел 1234567, 0000123456789",
    "sk-learn-contrib-package-name-of-some-length",
]


def found_in(text: str) -> list[tuple[str, str]]:
    data = text.encode()
    return [
        (KINDS[k], data[start:end].decode()) for _, start, end, k in find(pa.record_batch({"text": [text]})).tolist()
    ]


@pytest.mark.parametrize(("language", "text"), ANNOUNCED, ids=lambda value: value[:12])
def test_a_number_is_announced_in_many_languages(language, text):
    before, number, _ = text.split("|")
    assert found_in(f"… {before}{number}, x") == [("phone", number)], language


@pytest.mark.parametrize(
    ("before", "value", "behind"),
    [
        ("Authorization: Bearer ", LETTERS[:40], "\n"),
        ("Authorization: Basic ", LETTERS[:24] + "==", "\n"),
        ("AccountKey=", LETTERS[:43] + "/" + LETTERS[:42] + "==", ";"),
        ('"client_secret": "', LETTERS[:32], '",'),
        ("amqp://", "app:" + LETTERS[:12], "@mq.example.org:5672/"),
        ("redis://", ":" + LETTERS[:12], "@cache.example.org"),
    ],
)
def test_values_that_their_surroundings_give_away(before, value, behind):
    assert found_in(f"see {before}{value}{behind} x") == [("key", value)]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key[:12])
def test_keys_of_services_are_found_whole_and_not_inside_longer_words(key):
    assert found_in(f"It is {key}, so") == [("key", key)]
    assert found_in(f"It is x{key}") != [("key", key)]


@pytest.mark.parametrize("text", NOTHING, ids=lambda text: text[:20])
def test_what_only_looks_like_personal_data_is_left_alone(text):
    assert found_in(text) == []
