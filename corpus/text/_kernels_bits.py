"""Instructions that numba lacks: unaligned loads, the 128-bit product, bit counts and class masks of 64 bytes at once.

Plain LLVM without machine-specific intrinsics; LLVM legalises it for any target. Nothing here is bounds-checked:
``data`` must have 64 readable bytes behind its text (``gristmill.corpus.text.columns.text_column``).
"""

# ruff: noqa: ARG001 - numba calls these with all arguments, needed or not

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_I8, _I64, _I128 = ir.IntType(8), ir.IntType(64), ir.IntType(128)
_BLOCK = ir.VectorType(_I8, 64)


def _load(context, builder, array_type, array, index, kind):
    """An unaligned load of ``kind`` at array[index]."""
    struct = context.make_array(array_type)(context, builder, array)
    pointer = builder.bitcast(builder.gep(struct.data, [index]), kind.as_pointer())
    value = builder.load(pointer)
    value.align = 1
    return value


@intrinsic
def load64(typing_context, data, at):
    """The 8 bytes at ``at`` as one little-endian uint64."""

    def generate(context, builder, signature, arguments):
        return _load(context, builder, signature.args[0], *arguments, _I64)

    return types.uint64(data, types.intp), generate


@intrinsic
def prefetch(typing_context, array, at):
    """Ask for the cache line of array[at], which is to be read soon; an array of two dimensions counts its rows."""

    def generate(context, builder, signature, arguments):
        struct = context.make_array(signature.args[0])(context, builder, arguments[0])
        step = builder.extract_value(struct.strides, 0)
        address = builder.add(builder.ptrtoint(struct.data, _I64), builder.mul(arguments[1], step))
        kind = ir.FunctionType(ir.VoidType(), [_I8.as_pointer(), *[ir.IntType(32)] * 3])
        call = builder.module.declare_intrinsic("llvm.prefetch", [_I8.as_pointer()], kind)
        flags = [ir.Constant(ir.IntType(32), flag) for flag in (0, 3, 1)]  # read, keep in all levels, data
        builder.call(call, [builder.inttoptr(address, _I8.as_pointer()), *flags])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@intrinsic
def mum(typing_context, a, b):
    """High half xor low half of the 128-bit product a * b (the mixing step of wyhash)."""

    def generate(context, builder, signature, arguments):
        product = builder.mul(*(builder.zext(value, _I128) for value in arguments))
        high = builder.trunc(builder.lshr(product, ir.Constant(_I128, 64)), _I64)
        return builder.xor(builder.trunc(product, _I64), high)

    return types.uint64(types.uint64, types.uint64), generate


@intrinsic
def mulhi(typing_context, a, b):
    """High half of the 128-bit product a * b: maps a uniform a to [0, b)."""

    def generate(context, builder, signature, arguments):
        product = builder.mul(*(builder.zext(value, _I128) for value in arguments))
        return builder.trunc(builder.lshr(product, ir.Constant(_I128, 64)), _I64)

    return types.uint64(types.uint64, types.uint64), generate


@intrinsic
def ctz(typing_context, bits):
    """Number of zero bits below the lowest set bit; 64 for 0."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@intrinsic
def clz(typing_context, bits):
    """Number of zero bits above the highest set bit; 64 for 0."""

    def generate(context, builder, signature, arguments):
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@intrinsic
def popc(typing_context, bits):
    """Number of set bits."""

    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


def _mask_of(predicate, what):
    """An intrinsic ``mask(data, at) -> uint64``: bit k says whether byte at + k satisfies ``predicate``."""

    def mask(typing_context, data, at):
        def generate(context, builder, signature, arguments):
            block = _load(context, builder, signature.args[0], *arguments, _BLOCK)
            return builder.bitcast(predicate(builder, block), _I64)

        return types.uint64(data, types.intp), generate

    mask.__doc__ = f"Bits of the 64 bytes at ``at`` that are {what}."
    return intrinsic(mask)


def _constant(byte):
    """64 times the same byte."""
    return ir.Constant(_BLOCK, [byte] * 64)


def _between(builder, block, first, last):
    """Which bytes lie from first to last: one subtraction, one unsigned comparison."""
    return builder.icmp_unsigned("<", builder.sub(block, _constant(first)), _constant(last - first + 1))


def _is_space(builder, block):
    """str.isspace below 128: 9 to 13, 28 to 32."""
    return builder.or_(_between(builder, block, 9, 13), _between(builder, block, 28, 32))


def _is_alpha(builder, block):
    """ASCII letters of either case."""
    return _between(builder, builder.or_(block, _constant(32)), 97, 122)


def _is_digit(builder, block):
    """0 to 9."""
    return _between(builder, block, 48, 57)


def _is_word(builder, block):
    """ASCII letters and digits."""
    return builder.or_(_is_alpha(builder, block), _is_digit(builder, block))


def _is_token(builder, block):
    """ASCII letters and digits, hyphen and underscore."""
    marks = (builder.icmp_unsigned("==", block, _constant(mark)) for mark in (45, 95))
    return builder.or_(_is_word(builder, block), builder.or_(*marks))


def _is_high(builder, block):
    """Bytes of characters beyond ASCII: the top bit is set."""
    return builder.icmp_signed("<", block, _constant(0))


def _is_lead(builder, block):
    """Bytes that begin a character beyond ASCII (C0 and above)."""
    return builder.icmp_unsigned(">=", block, _constant(0xC0))


def _is_han_lead(builder, block):
    """E5 to E9, U+5000 to U+9FFF: Han letters without exception."""
    return _between(builder, block, 0xE5, 0xE9)


def _is_cyrillic_lead(builder, block):
    """D0 and D1, U+0400 to U+047F: letters without exception."""
    return _between(builder, block, 0xD0, 0xD1)


def _is_mixed_lead(builder, block):
    """C2, E1 to E4, EF and above: the only ones that begin white space, or a Han or kana letter beside others."""
    spaces = builder.or_(_between(builder, block, 0xC2, 0xC2), _between(builder, block, 0xE1, 0xE4))
    return builder.or_(spaces, builder.icmp_unsigned(">=", block, _constant(0xEF)))


def _splat(builder, byte):
    """64 times a byte that is known at run time."""
    empty = ir.Constant(_BLOCK, ir.Undefined)
    first = builder.insert_element(empty, builder.trunc(byte, _I8), ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(ir.IntType(32), 64), [0] * 64))


@intrinsic
def range_mask(typing_context, data, at, first, last):
    """Bits of the 64 bytes at ``at`` that lie from ``first`` to ``last``."""

    def generate(context, builder, signature, arguments):
        block = _load(context, builder, signature.args[0], *arguments[:2], _BLOCK)
        low, high = _splat(builder, arguments[2]), _splat(builder, arguments[3])
        inside = builder.icmp_unsigned("<=", builder.sub(block, low), builder.sub(high, low))
        return builder.bitcast(inside, _I64)

    return types.uint64(data, types.intp, types.int64, types.int64), generate


@intrinsic
def equal_mask(typing_context, data, at, byte):
    """Bits of the 64 bytes at ``at`` that equal ``byte``."""

    def generate(context, builder, signature, arguments):
        block = _load(context, builder, signature.args[0], *arguments[:2], _BLOCK)
        return builder.bitcast(builder.icmp_unsigned("==", block, _splat(builder, arguments[2])), _I64)

    return types.uint64(data, types.intp, types.int64), generate


@intrinsic
def letter_mask(typing_context, data, at, letter):
    """Bits of the 64 bytes at ``at`` that are ``letter`` (a lower-case code) in either case."""

    def generate(context, builder, signature, arguments):
        block = _load(context, builder, signature.args[0], *arguments[:2], _BLOCK)
        folded = builder.or_(block, _constant(32))
        return builder.bitcast(builder.icmp_unsigned("==", folded, _splat(builder, arguments[2])), _I64)

    return types.uint64(data, types.intp, types.int64), generate


space_mask = _mask_of(_is_space, "ASCII white space")
alpha_mask = _mask_of(_is_alpha, "ASCII letters")
digit_mask = _mask_of(_is_digit, "ASCII digits")
word_mask = _mask_of(_is_word, "ASCII letters or digits")
token_mask = _mask_of(_is_token, "ASCII letters, digits, hyphen or underscore")
high_mask = _mask_of(_is_high, "part of a character beyond ASCII")
lead_mask = _mask_of(_is_lead, "the first of a character beyond ASCII")
han_lead_mask = _mask_of(_is_han_lead, "the first of a character from U+5000 to U+9FFF")
cyrillic_lead_mask = _mask_of(_is_cyrillic_lead, "the first of a character from U+0400 to U+047F")
mixed_lead_mask = _mask_of(
    _is_mixed_lead, "the first of a character that may be white space or, among others, Han or kana"
)
