"""Words that announce a telephone number, in some thirty languages, and what may stand between them and it."""

import numpy as np

from gristmill.corpus.text._kernels_bytes import COLON, DOT, SLASH, SPACE, is_word, padded, stands
from gristmill.corpus.text._kernels_jit import kernel

_WIDTH = 40


def _table(words):
    """Rows of UTF-8 with their length in front. ASCII letters are lower case and stand for both cases."""
    table = np.zeros((len(words), _WIDTH), np.uint8)
    for row, word in enumerate(words):
        data = word.encode()
        table[row, 0], table[row, 1 : len(data) + 1] = len(data), list(data)
    return table


_PHONE = _table(("phone",))  # may end a longer word: telephone, smartphone
# No letter stands before these; _ is a blank
LATIN = """
tel telefon telefono telefone telefoon telefonnummer telefonszam telefonnr telefax telefaks telefonas telefons telepon
telp tlf tfno tfn mobile mobil mob cell celular cellulare cellulari mobiltelefon handy gsm fax faks whatsapp
puhelin puh matkapuhelin rufnummer hotline desk call dial ring reach contact answering portable numero komorka
movil telemovel mobiel natel
"""
ACCENTED = """
tél tÉl telefonszám mobilszám téléphone teléfono telÉfono móvil mÓvil telemóvel telemÓvel telefón telefonní komórka τηλ τηλέφωνο τηλεφωνο Τηλ Τηλέφωνο
ΤΗΛ ΤΗΛΕΦΩΝΟ κιν κινητό Κιν Κινητό φαξ Φαξ тел Тел ТЕЛ телефон Телефон ТЕЛЕФОН телефону Телефону телефоном
телефоны Телефоны телефона моб Моб мобильный Мобильный мобільний Мобільний мобилен Мобилен факс Факс ФАКС هاتف
الهاتف هاتفي تلفون تليفون جوال الجوال موبايل فاكس تلفن موبایل טלפון טל נייד פקס फ़ोन फोन दूरभाष मोबाइल टेलीफोन
điện thoại Điện thoại đt Đt sđt sĐt ĐT di động Di động
"""
UNSPACED = """
电话 電話 手机 手機 传真 傳真 热线 熱線 電話番号 携帯 ファックス 전화 전화번호 휴대폰 연락처 팩스 휴대전화 โทร โทรศัพท์ มือถือ เบอร์
"""  # of scripts without spaces: anything may stand before
_SPACED_LABELS = _table([word.replace("_", " ") for word in (*LATIN.split(), *ACCENTED.split())])
_UNSPACED_LABELS = _table(UNSPACED.split())
_BETWEEN = padded((b"me", b"us", b"on", b"at", b"is", b"no", b"nr", b"number"))


@kernel
def _label_before(data, floor, at):
    """Whether a label ends before ``at``."""
    if stands(data, max(at - 5, floor), at, _PHONE, 0, True) and at - 5 >= floor:
        return True
    for row in range(_SPACED_LABELS.shape[0]):
        begin = at - np.int64(_SPACED_LABELS[row, 0])
        if begin >= floor and stands(data, begin, at, _SPACED_LABELS, row, True):
            before = data[begin - 1] if begin > floor else SPACE
            if not (is_word(before) or before >= 0x80 or before in (DOT, SLASH)):  # doi.org/.../j.cell.2019
                return True
            if before == SLASH and begin - 2 >= floor and not is_word(data[begin - 2]):  # Тел./факс
                return True
    for row in range(_UNSPACED_LABELS.shape[0]):
        begin = at - np.int64(_UNSPACED_LABELS[row, 0])
        if begin >= floor and stands(data, begin, at, _UNSPACED_LABELS, row, False):
            return True
    return False


@kernel
def _between_before(data, floor, at):
    """Where a small word that ends before ``at`` begins; -1 for none."""
    for row in range(_BETWEEN.shape[0]):
        begin = at - np.int64(_BETWEEN[row, 0])
        if begin > floor and not is_word(data[begin - 1]) and stands(data, begin, at, _BETWEEN, row, True):
            return begin
    return -1


@kernel
def is_announced(data, floor, at):
    """Whether a word for telephone stands before ``at``: up to three small words, a colon or a point, three blanks."""
    for _ in range(3):
        if at > floor and (data[at - 1] == SPACE or data[at - 1] == 10 or data[at - 1] == 9):
            at -= 1
    if at > floor and data[at - 1] == COLON:
        at -= 1
        at -= at > floor and data[at - 1] == SPACE
    elif at - 2 > floor and data[at - 3] == 0xEF and data[at - 2] == 0xBC and data[at - 1] == 0x9A:  # full width colon
        at -= 3
    at -= at > floor and data[at - 1] == DOT
    for _ in range(4):
        if _label_before(data, floor, at):
            return True
        at = _between_before(data, floor, at) - 1
        if at <= floor or data[at] != SPACE:
            return False
        at -= data[at - 1] == DOT
    return False
