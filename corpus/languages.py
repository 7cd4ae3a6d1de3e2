"""Which language a tag names: the primary subtag of BCP 47, ISO 639-2 and 639-3 codes as their two letters.

The table of codes is ISO 639-3's own (the registration authority's, as Debian iso-codes 4 ships it): every language
that has two letters, with its three (terminological, then bibliographic). ``_MEMBERS`` adds the individual languages
that stand for a macrolanguage in CLDR's aliases (arb is what ar means). als is left out there: ISO 639-3 means Tosk
Albanian by it, lid.176 Alemannic.
"""

import re

import pyarrow as pa

from gristmill.corpus.whole_columns import coded

_CODES = """
    aa:aar ab:abk ae:ave af:afr ak:aka am:amh an:arg ar:ara as:asm av:ava ay:aym az:aze ba:bak be:bel bg:bul bi:bis
    bm:bam bn:ben bo:bod/tib br:bre bs:bos ca:cat ce:che ch:cha co:cos cr:cre cs:ces/cze cu:chu cv:chv cy:cym/wel
    da:dan de:deu/ger dv:div dz:dzo ee:ewe el:ell/gre en:eng eo:epo es:spa et:est eu:eus/baq fa:fas/per ff:ful fi:fin
    fj:fij fo:fao fr:fra/fre fy:fry ga:gle gd:gla gl:glg gn:grn gu:guj gv:glv ha:hau he:heb hi:hin ho:hmo hr:hrv
    ht:hat hu:hun hy:hye/arm hz:her ia:ina id:ind ie:ile ig:ibo ii:iii ik:ipk io:ido is:isl/ice it:ita iu:iku ja:jpn
    jv:jav ka:kat/geo kg:kon ki:kik kj:kua kk:kaz kl:kal km:khm kn:kan ko:kor kr:kau ks:kas ku:kur kv:kom kw:cor
    ky:kir la:lat lb:ltz lg:lug li:lim ln:lin lo:lao lt:lit lu:lub lv:lav mg:mlg mh:mah mi:mri/mao mk:mkd/mac ml:mal
    mn:mon mr:mar ms:msa/may mt:mlt my:mya/bur na:nau nb:nob nd:nde ne:nep ng:ndo nl:nld/dut nn:nno no:nor nr:nbl
    nv:nav ny:nya oc:oci oj:oji om:orm or:ori os:oss pa:pan pi:pli pl:pol ps:pus pt:por qu:que rm:roh rn:run
    ro:ron/rum ru:rus rw:kin sa:san sc:srd sd:snd se:sme sg:sag sh:hbs si:sin sk:slk/slo sl:slv sm:smo sn:sna so:som
    sq:sqi/alb sr:srp ss:ssw st:sot su:sun sv:swe sw:swa ta:tam te:tel tg:tgk th:tha ti:tir tk:tuk tl:tgl tn:tsn
    to:ton tr:tur ts:tso tt:tat tw:twi ty:tah ug:uig uk:ukr ur:urd uz:uzb ve:ven vi:vie vo:vol wa:wln wo:wol xh:xho
    yi:yid yo:yor za:zha zh:zho/chi zu:zul
"""
_MEMBERS = """
    ar:arb ay:ayr az:azj et:ekk ff:fuc gn:gug iu:ike ku:kmr kr:knc kg:kng kv:kpv lv:lvs mg:plt mn:khk ms:zsm ne:npi
    oj:ojg om:gaz or:ory ps:pbu fa:pes qu:quz sc:src sw:swh uz:uzn yi:ydd zh:cmn ik:esk cr:cwd
"""
_WITHDRAWN = {"iw": "he", "in": "id", "ji": "yi", "jw": "jv", "mo": "ro"}  # codes that old pages still state
_NO_LANGUAGE = frozenset(("und", "mul", "mis", "zxx"))  # BCP 47: undetermined, several, not listed, no language
_FORMATS = frozenset(
    ("cpp", "css", "csv", "htm", "jsx", "php", "sql", "tsv", "tsx", "xml", "yml")
)  # of data sets of code
_TAG = re.compile(r"([a-z]{2,3})(?:[-_][a-z0-9]+)*(?:\.[a-z0-9-]+)?(?:@[a-z0-9]+)?")
_LOCAL = re.compile(r"q[a-t][a-z]")  # ISO 639-2: for local use


def _table() -> dict[str, str]:
    pairs = [pair.split(":") for pair in (*_CODES.split(), *_MEMBERS.split())]
    return {code: two for two, codes in pairs for code in (two, *codes.split("/"))} | _WITHDRAWN | {"bh": "bh"}


_TWO_LETTERS = _table()


def primary_subtag(tag: str | None) -> str | None:
    """The language of a tag; None where it names none.

    Two letters must be a code of ISO 639-1. Three letters that have no two are taken as they are: which of ISO 639-3's
    7,900 codes exist is not looked up.

    >>> [primary_subtag(tag) for tag in ("pt-BR", "zh_TW", "arb", "kor", "de_DE.UTF-8", "ace", "deu_1901")]
    ['pt', 'zh', 'ar', 'ko', 'de', 'ace', 'de']
    >>> [primary_subtag(tag) for tag in (None, "", "und", "unknown", "python", "go", "x-default")]
    [None, None, None, None, None, None, None]
    """
    found = _TAG.fullmatch(tag.strip().lower()) if tag else None
    if found is None:
        return None
    code = found[1]
    if code in _NO_LANGUAGE | _FORMATS or _LOCAL.fullmatch(code):
        return None
    return _TWO_LETTERS.get(code) or (code if len(code) == 3 else None)


def primary_subtags(tags: pa.ChunkedArray | pa.Array) -> tuple[pa.Array, pa.Array]:
    """The language of each tag, and whether something is stated that names none.

    Parameters
    ----------
    tags : string[n], null where nothing is stated

    Returns
    -------
    string[n], null where no language is known; bool[n]

    >>> languages, no_language = primary_subtags(pa.array(["en-GB", None, "python", " "]))
    >>> languages.to_pylist(), no_language.to_pylist()
    (['en', None, None, None], [False, False, True, False])
    """
    encoded = coded(tags.cast(pa.string()))
    names = encoded.dictionary.to_pylist()
    found = [primary_subtag(name) for name in names]
    lost = [bool(name.strip()) and one is None for name, one in zip(names, found, strict=True)]
    numbers = encoded.indices.fill_null(len(names))
    return pa.array([*found, None], pa.string()).take(numbers), pa.array([*lost, False], pa.bool_()).take(numbers)
