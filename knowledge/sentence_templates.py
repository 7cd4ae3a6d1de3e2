"""Sentences of relations in several languages, and how a language lists names.

``{head}`` and ``{tails}`` are filled with labels as they stand, so a template puts them where nothing need agree with
them: no article before a tail, no case that a name would take.
"""

from typing import NamedTuple


class Listing(NamedTuple):
    """How a language joins names, and ends a sentence."""

    comma: str
    last: str  # before the last name
    after_label: str  # between an entity's label and its description
    stop: str
    between: str  # two sentences


PLAIN = Listing(", ", ", ", ": ", ".", " ")
LISTINGS = {
    "en": PLAIN._replace(last=" and "),
    "de": PLAIN._replace(last=" und "),
    "es": PLAIN._replace(last=" y "),
    "fr": PLAIN._replace(last=" et ", after_label=" : "),
    "it": PLAIN._replace(last=" e "),
    "pt": PLAIN._replace(last=" e "),
    "ru": PLAIN._replace(last=" и ", after_label=" — "),
    "ja": Listing("、", "、", "：", "。", ""),
    "zh": Listing("、", "和", "：", "。", ""),
}
ALIKE = {  # Wikidata's properties by our names
    "P31": "instance_of",
    "P279": "subclass_of",
    "P17": "country",
    "P361": "part_of",
    "P30": "continent",
    "P36": "capital",
    "P47": "borders",
    "P37": "official_language",
    "P38": "currency",
    "P463": "member_of",
}
SENTENCES = {  # beside the English ones, which ``verbalise`` tells; in the order in which a document tells them
    "de": {
        "instance_of": "Art von {head}: {tails}.",
        "subclass_of": "Oberbegriff zu {head}: {tails}.",
        "country": "{head} liegt im Staat {tails}.",
        "part_of": "{head} ist Teil von {tails}.",
        "continent": "Kontinent von {head}: {tails}.",
        "capital": "Die Hauptstadt von {head} ist {tails}.",
        "borders": "{head} grenzt an {tails}.",
        "official_language": "Amtssprache von {head}: {tails}.",
        "currency": "Währung von {head}: {tails}.",
        "member_of": "{head} ist Mitglied von {tails}.",
    },
    "es": {
        "instance_of": "Tipo de {head}: {tails}.",
        "subclass_of": "Clase superior de {head}: {tails}.",
        "country": "País de {head}: {tails}.",
        "part_of": "{head} forma parte de {tails}.",
        "continent": "Continente de {head}: {tails}.",
        "capital": "La capital de {head} es {tails}.",
        "borders": "{head} limita con {tails}.",
        "official_language": "Lengua oficial de {head}: {tails}.",
        "currency": "Moneda de {head}: {tails}.",
        "member_of": "{head} es miembro de {tails}.",
    },
    "fr": {
        "instance_of": "{head}, nature de l'élément : {tails}.",
        "subclass_of": "{head}, classe supérieure : {tails}.",
        "country": "{head}, pays : {tails}.",
        "part_of": "{head} fait partie de : {tails}.",
        "continent": "{head}, continent : {tails}.",
        "capital": "{head} a pour capitale {tails}.",
        "borders": "{head}, pays ou lieux limitrophes : {tails}.",
        "official_language": "{head}, langue officielle : {tails}.",
        "currency": "{head}, monnaie : {tails}.",
        "member_of": "{head}, membre de : {tails}.",
    },
    "ru": {
        "instance_of": "{head} — это {tails}.",
        "subclass_of": "{head}, надкласс: {tails}.",
        "country": "{head}, государство: {tails}.",
        "part_of": "{head}, часть от: {tails}.",
        "continent": "{head}, континент: {tails}.",
        "capital": "{head}, столица: {tails}.",
        "borders": "{head}, граничит с: {tails}.",
        "official_language": "{head}, официальный язык: {tails}.",
        "currency": "{head}, валюта: {tails}.",
        "member_of": "{head}, член организации: {tails}.",
    },
    "ja": {
        "instance_of": "{head}は{tails}である。",
        "subclass_of": "{head}の上位概念は{tails}である。",
        "country": "{head}の国は{tails}である。",
        "part_of": "{head}は{tails}の一部である。",
        "continent": "{head}の大陸は{tails}である。",
        "capital": "{head}の首都は{tails}である。",
        "borders": "{head}は{tails}と隣り合う。",
        "official_language": "{head}の公用語は{tails}である。",
        "currency": "{head}の通貨は{tails}である。",
        "member_of": "{head}は{tails}に加盟している。",
    },
    "zh": {
        "instance_of": "{head}是{tails}。",
        "subclass_of": "{head}的上级类别是{tails}。",
        "country": "{head}位于{tails}。",
        "part_of": "{head}是{tails}的一部分。",
        "continent": "{head}所在的大洲是{tails}。",
        "capital": "{head}的首都是{tails}。",
        "borders": "{head}与{tails}接壤。",
        "official_language": "{head}的官方语言是{tails}。",
        "currency": "{head}的货币是{tails}。",
        "member_of": "{head}是{tails}的成员。",
    },
}
