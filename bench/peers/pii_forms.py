"""Personal data by published forms, for the gold set of bench/pii.py: JSON in ({"seed", "count"}), rows out.

Telephone numbers are valid ones of PyPI phonenumbers in its formats; mail addresses, IBAN and cards come from Faker;
keys follow what each service publishes of its tokens. Nothing here comes from the scanner that is measured.
A row: kind, form (what is drawn or held back as a whole), value, before (a label that belongs to the form).
"""

import ipaddress
import json
import random
import string
import sys
from collections.abc import Iterator, Sequence

import phonenumbers
from faker import Faker
from phonenumbers import PhoneNumberFormat, PhoneNumberType

LABELS = {  # region: what its people write in front of a number
    "US": "Phone: |Call us at |Tel. ",
    "GB": "Telephone: |Fax: ",
    "DE": "Telefon: |Tel.: |Mobil: |Fax: ",
    "FR": "Téléphone : |Tél. : |Portable : ",
    "ES": "Teléfono: |Tel. |Móvil: ",
    "IT": "Telefono: |Cellulare: |Tel. ",
    "PT": "Telefone: |Telemóvel: |Tel.: ",
    "BR": "Telefone: |Celular: |WhatsApp: ",
    "NL": "Telefoon: |Tel: |Mobiel: ",
    "PL": "Telefon: |tel. |Komórka: ",
    "CZ": "Telefon: |tel.: |Mobil: ",
    "SE": "Telefon: |Tel: |Mobil: ",
    "DK": "Telefon: |Tlf.: |Mobil: ",
    "FI": "Puhelin: |Puh. ",
    "HU": "Telefon: |Tel.: |Telefonszám: ",
    "RO": "Telefon: |Tel: ",
    "TR": "Telefon: |Tel: |Cep: ",
    "RU": "Телефон: |Тел.: |моб. ",
    "UA": "Телефон: |Тел. ",
    "GR": "Τηλέφωνο: |Τηλ. |Κινητό: ",
    "SA": "هاتف: |الهاتف: |جوال: ",
    "IL": "טלפון: |נייד: ",
    "IN": "फ़ोन: |मोबाइल: ",
    "TH": "โทร. |โทรศัพท์ |เบอร์โทร ",
    "VN": "Điện thoại: |ĐT: |SĐT: ",
    "ID": "Telepon: |Telp. ",
    "KR": "전화: |전화번호: |연락처: ",
    "JP": "電話：|電話番号：|TEL: ",
    "CN": "电话：|手机：|联系电话：",
}
KINDS = (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE)
LOCALES = "en_US en_GB de_DE fr_FR es_ES it_IT pt_BR nl_NL pl_PL sv_SE tr_TR cs_CZ fi_FI".split()  # noqa: SIM905
CARDS = "amex diners discover jcb16 maestro mastercard visa13 visa16 visa19".split()  # noqa: SIM905
ALNUM, HEX, TOKEN = (
    string.ascii_letters + string.digits,
    "0123456789abcdef",
    string.ascii_letters + string.digits + "-_",
)
KEYS = {  # service: prefix, characters behind it, their alphabet, as published
    "aws": ("AKIA", 16, string.ascii_uppercase + "234567"),
    "github": ("ghp_", 36, ALNUM),
    "github oauth": ("gho_", 36, ALNUM),
    "github fine": ("github_pat_", 82, ALNUM + "_"),
    "gitlab": ("glpat-", 20, TOKEN),
    "slack": ("xoxb-1234567890-2345678901-", 24, ALNUM),
    "google": ("AIza", 35, TOKEN),
    "google client": ("GOCSPX-", 28, TOKEN),
    "google oauth": ("ya29.", 120, TOKEN),
    "stripe": ("sk_live_", 24, ALNUM),
    "stripe long": ("sk_live_51", 97, ALNUM),
    "stripe restricted": ("rk_live_", 24, ALNUM),
    "twilio": ("SK", 32, HEX),
    "pypi": ("pypi-AgEIcHlwaS5vcmc", 150, TOKEN),
    "npm": ("npm_", 36, ALNUM),
    "hugging face": ("hf_", 34, ALNUM),
    "openai": ("sk-", 48, ALNUM),
    "openai project": ("sk-proj-", 156, TOKEN),
    "anthropic": ("sk-ant-api03-", 95, TOKEN),
    "digitalocean": ("dop_v1_", 64, HEX),
    "shopify": ("shpat_", 32, HEX),
    "square": ("sq0atp-", 22, TOKEN),
    "mailgun": ("key-", 32, HEX),
    "databricks": ("dapi", 32, HEX),
    "linear": ("lin_api_", 40, ALNUM),
    "docker": ("dckr_pat_", 27, TOKEN),
    "vault": ("hvs.", 90, TOKEN),
    "rubygems": ("rubygems_", 48, HEX),
}


def some(draw: random.Random, alphabet: str, count: int) -> str:
    return "".join(draw.choice(alphabet) for _ in range(count - 1)) + draw.choice(
        alphabet.replace("-", "").replace("_", "")
    )


def phones(draw: random.Random, region: str) -> Iterator[tuple[str, str, str]]:
    """(form, value, before) of one region."""
    for kind in KINDS:
        number = phonenumbers.example_number_for_type(region, kind)
        for _ in range(30):
            national = number.national_number // 1000 * 1000 + draw.randrange(1000)
            changed = phonenumbers.PhoneNumber(
                number.country_code, national, italian_leading_zero=number.italian_leading_zero
            )
            if phonenumbers.is_valid_number(changed):
                number = changed
                break
        name = "fixed" if kind == KINDS[0] else "mobile"
        wide, e164, national = (phonenumbers.format_number(number, style) for style in (
            PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.E164, PhoneNumberFormat.NATIONAL))  # fmt: skip
        yield f"{region} {name} international", wide, ""
        yield f"{region} {name} E.164", e164, ""
        yield f"{region} {name} 00", "00" + wide[1:], ""
        for label in LABELS[region].split("|"):
            yield f"{region} national, {label.strip()}", national, label
        if region in ("JP", "CN"):
            full = national.translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)})
            yield f"{region} {name} full width", full, LABELS[region].split("|")[0]


def grouped(value: str, sizes: tuple[int, ...], mark: str) -> str:
    parts, at = [], 0
    for size in sizes:
        parts.append(value[at : at + size])
        at += size
    return mark.join([*parts, value[at:]] if at < len(value) else parts)


def layouts(value: str, sizes: tuple[int, ...]) -> Iterator[tuple[str, str]]:
    yield "solid", value
    for name, mark in (("blanks", " "), ("hyphens", "-")):
        yield name, grouped(value, sizes, mark)


def secrets(draw: random.Random) -> Iterator[tuple[str, str, str]]:
    """(form, value, before)."""
    for service, (prefix, count, alphabet) in KEYS.items():
        value = prefix + some(draw, alphabet, count)
        yield service, value, draw.choice(("", "token: ", 'API_KEY="', "curl -u "))
    yield "sendgrid", f"SG.{some(draw, TOKEN, 22)}.{some(draw, TOKEN, 43)}", ""
    yield "telegram", f"{draw.randrange(10**8, 10**10)}:AA{some(draw, TOKEN, 33)}", ""
    yield "mailchimp", f"{some(draw, HEX, 32)}-us{draw.randrange(1, 22)}", ""
    yield "aws secret", some(draw, ALNUM + "+/", 40), "aws_secret_access_key = "
    yield "azure storage", some(draw, ALNUM + "+/", 86) + "==", "AccountKey="
    head = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
    yield "jwt", f"{head}.eyJ{some(draw, ALNUM, 60)}.{some(draw, TOKEN, 43)}", ""
    yield "bearer", some(draw, ALNUM, 40), "Authorization: Bearer "
    for scheme in ("postgres", "https", "amqp", "redis", "ftp"):
        yield f"url {scheme}", f"{draw.choice(('admin', 'app', 'ci'))}:{some(draw, ALNUM, 12)}", f"{scheme}://"
    yield "named", some(draw, ALNUM, 32), draw.choice(("password = ", 'client_secret: "', "auth_token="))


def addresses(draw: random.Random, fakers: dict[str, Faker]) -> Iterator[tuple[str, str, str]]:
    for locale, fake in fakers.items():
        yield f"{locale} private", fake.ascii_free_email(), ""
        yield f"{locale} company", fake.ascii_company_email(), draw.choice(("", "mailto:", "<"))
    fake = fakers["en_US"]
    name, host = fake.user_name(), fake.domain_name()
    yield "apostrophe", f"o'{name}@{host}", ""
    yield "plus", f"{name}+{fake.word()}@{host}", ""
    yield "subdomain", f"{name}.{fake.word()}@mail.{host}", ""
    yield "digits", f"{draw.randrange(100, 9999)}{name}@{host}", ""


def networks(fake: Faker) -> Iterator[tuple[str, str, str, str]]:
    four, six = (
        fake.ipv4_public(),
        str(ipaddress.IPv6Address(0x2A << 120 | int(fake.ipv6().replace(":", "")[:20] or "1", 16))),
    )
    for form, before in (("in prose", "from "), ("address", "http://"), ("named", "IP: ")):
        yield "ipv4", form, four, before
    yield "ipv6", "compressed", six, ""
    yield "ipv6", "full", ipaddress.IPv6Address(six).exploded, ""
    yield "ipv6", "in brackets", six, "http://["


def make(kind: str, found: Sequence[str]) -> dict[str, str]:
    return {"kind": kind, "form": found[0], "value": found[1], "before": found[2]}


def rows(draw: random.Random, count: int) -> Iterator[dict[str, str]]:
    fakers = {locale: Faker(locale) for locale in LOCALES}
    for _ in range(count):
        for region in LABELS:
            yield from (make("phone", found) for found in phones(draw, region))
        for _ in range(3):
            yield from (make("email", found) for found in addresses(draw, fakers))
            yield from (make("key", found) for found in secrets(draw))
        for _ in range(20):
            yield from (make(kind, found) for kind, *found in networks(fakers["en_US"]))
        for card in CARDS:
            value = fakers["en_US"].credit_card_number(card)
            sizes = {14: (4, 6, 4), 15: (4, 6, 5), 16: (4, 4, 4, 4)}.get(len(value))
            for name, text in layouts(value, sizes) if sizes else (("solid", value),):
                yield make("card", (f"{card} {name}", text, draw.choice(("", "card "))))
        for locale, fake in fakers.items():
            if locale != "en_US":
                for name, text in layouts(fake.iban(), (4,) * 8):
                    yield make("iban", (f"{locale} {name}", text.rstrip(" -"), draw.choice(("", "IBAN: "))))


def main() -> None:
    asked = json.loads(sys.stdin.read())
    Faker.seed(asked["seed"])
    print(json.dumps(list(rows(random.Random(asked["seed"]), asked["count"]))))


if __name__ == "__main__":
    main()
