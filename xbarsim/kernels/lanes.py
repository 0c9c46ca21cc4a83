"""Whole registers of neighbouring outputs at once, for the loops of other kernels.

Compilers vectorize plain loops over outputs, but keep their sums in memory. These operations hold LANES sums
in registers over a whole loop; they compile to whatever vectors the processor has.

Arrays are C-contiguous and indexed flat; an argument called `..._at` is an index into the array before it.
Sums are int16 or int32, and every operation wraps around silently: the caller chooses a type that holds them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

LANES = 64
MOST_WORDS = 3  # words whose bits a byte can count
_I64 = ir.IntType(64)


class _Emitter:
    """Writes the instructions of one operation."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self.context, self.builder, self.types, self.values = context, builder, signature.args, arguments
        # LLVM halves vectors on server processors; counting bits gains from their full width. llvmlite lists
        # few attributes, so its check is stepped around; other processors ignore this one.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')

    def vector(self, argument: int, lanes: int) -> ir.VectorType:
        return ir.VectorType(ir.IntType(self.types[argument].dtype.bitwidth), lanes)

    def place(self, argument: int, at: Any, kind: Any) -> Any:
        data = make_array(self.types[argument])(self.context, self.builder, self.values[argument]).data
        return self.builder.bitcast(self.builder.gep(data, [at], inbounds=True), kind.as_pointer())

    def load(self, argument: int, at: Any, kind: Any) -> Any:
        size = getattr(kind, "element", kind).width // 8
        return self.builder.load(self.place(argument, at, kind), align=size)

    def store(self, value: Any, argument: int, at: Any) -> Any:
        self.builder.store(value, self.place(argument, at, value.type), align=value.type.element.width // 8)
        return self.context.get_dummy_value()

    def splat(self, value: Any, kind: ir.VectorType) -> Any:
        undefined = ir.Constant(kind, ir.Undefined)
        first = self.builder.insert_element(undefined, value, ir.IntType(32)(0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), None)
        return self.builder.shuffle_vector(first, undefined, mask)

    def byte(self, word: Any, b: int, kind: ir.VectorType) -> Any:
        """Byte b of the word at a place, in every lane."""
        place = self.builder.gep(word, [_I64(b)], inbounds=True)
        return self.splat(self.builder.load(place, align=1), kind)

    def loop(self, first: Any, last: Any, start: Any, step: Callable[[Any, Any], Any]) -> Any:
        """The value that `step(index, value)` leaves after first .. last - 1; `start` if there are none."""
        builder = self.builder
        before = builder.block
        body, done = builder.append_basic_block("lanes"), builder.append_basic_block("lanes.done")
        builder.cbranch(builder.icmp_signed("<", first, last), body, done)
        builder.position_at_end(body)
        index, value = builder.phi(_I64), builder.phi(start.type)
        index.add_incoming(first, before)
        value.add_incoming(start, before)
        found, after = step(index, value), builder.add(index, _I64(1))
        index.add_incoming(after, builder.block)
        value.add_incoming(found, builder.block)
        end = builder.block
        builder.cbranch(builder.icmp_signed("<", after, last), body, done)
        builder.position_at_end(done)
        result = builder.phi(start.type)
        result.add_incoming(start, before)
        result.add_incoming(found, end)
        return result


def _counter(combine: str, *, masked: bool = False) -> Any:
    @intrinsic
    def count(typing, target, target_at, factor, x, x_at, mask_at, offsets, first, last, weights, weights_at):
        """target[at + j] += factor * popcount of x[x_at + offsets[k]] (op) the weights of lane j.

        For k in first .. last - 1, at most MOST_WORDS of them. A word of x is 8 bytes; byte b of word k meets
        weights[at + (8 k + b) * LANES + j]. Where it is masked, bits set in x[mask_at + offsets[k]] do not
        count.
        """

        def codegen(context, builder, signature, arguments):
            emit = _Emitter(context, builder, signature, arguments)
            byte, bytes_ = ir.IntType(8), ir.VectorType(ir.IntType(8), LANES)
            popcount = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(bytes_, [bytes_]), f"llvm.ctpop.v{LANES}i8"
            )

            def step(k: Any, counts: Any) -> Any:
                offset = emit.load(6, k, _I64)
                word = emit.place(3, builder.add(arguments[4], offset), byte)
                mask = emit.place(3, builder.add(arguments[5], offset), byte)
                row = builder.add(arguments[10], builder.mul(k, _I64(8 * LANES)))
                for b in range(8):
                    held = emit.load(9, builder.add(row, _I64(b * LANES)), bytes_)
                    met = getattr(builder, combine)(emit.byte(word, b, bytes_), held)
                    if masked:
                        met = builder.and_(met, builder.not_(emit.byte(mask, b, bytes_)))
                    counts = builder.add(counts, builder.call(popcount, [met]))
                return counts

            counts = emit.loop(arguments[7], arguments[8], ir.Constant(bytes_, None), step)
            sums = emit.vector(0, LANES)
            scale = emit.splat(builder.trunc(arguments[2], sums.element), sums)
            found = builder.mul(builder.zext(counts, sums), scale)
            return emit.store(builder.add(emit.load(0, arguments[1], sums), found), 0, arguments[1])

        i = types.int64
        return types.none(target, i, i, x, i, i, offsets, i, i, weights, i), codegen

    return count


count_differing = _counter("xor")
count_common = _counter("and_")
count_differing_unmasked = _counter("xor", masked=True)


@intrinsic
def multiply_add(typing, target, target_at, x, x_at, offsets, weights, weights_at):
    """target[at + j] += sum over k of x[x_at + offsets[k]] * weights[at + k * LANES + j], all of one type."""

    def codegen(context, builder, signature, arguments):
        emit = _Emitter(context, builder, signature, arguments)
        lanes = emit.vector(0, LANES)
        count = make_array(signature.args[4])(context, builder, arguments[4]).nitems

        def step(k: Any, sums: Any) -> Any:
            offset = emit.load(4, k, _I64)
            value = emit.splat(emit.load(2, builder.add(arguments[3], offset), lanes.element), lanes)
            row = emit.load(5, builder.add(arguments[6], builder.mul(k, _I64(LANES))), lanes)
            return builder.add(sums, builder.mul(value, row))

        sums = emit.loop(_I64(0), count, emit.load(0, arguments[1], lanes), step)
        return emit.store(sums, 0, arguments[1])

    i = types.int64
    return types.none(target, i, x, i, offsets, weights, i), codegen


def _window_adder(blocks: int) -> Any:
    @intrinsic
    def add(
        typing, target, target_at, source, source_at, rows, rows_at, entries, starts, pixel, across, down,
        width, step,
    ):  # fmt: skip
        """target[at + j] = source[at + j] + the rows that the entries of a window's pixels name.

        The window is `down` lines of `across` pixels from `pixel` on, in lines of `width`; an entry e of its
        line y is the row at rows[rows_at + y * step + e + j]. Rows add up in their own narrower type first.
        """

        def codegen(context, builder, signature, arguments):
            emit = _Emitter(context, builder, signature, arguments)
            wide, narrow = emit.vector(0, blocks * LANES), emit.vector(4, blocks * LANES)
            _, target_at, _, source_at, _, rows_at, _, _, pixel, across, down, width, step = arguments
            index = ir.IntType(signature.args[6].dtype.bitwidth)

            def line(y: Any, sums: Any) -> Any:
                first = builder.add(pixel, builder.mul(y, width))
                begin = builder.sext(emit.load(7, first, index), _I64)
                end = builder.sext(emit.load(7, builder.add(first, across), index), _I64)
                origin = builder.add(rows_at, builder.mul(y, step))

                def one(k: Any, sums: Any) -> Any:
                    entry = builder.sext(emit.load(6, k, index), _I64)
                    return builder.add(sums, emit.load(4, builder.add(origin, entry), narrow))

                return emit.loop(begin, end, sums, one)

            sums = emit.loop(_I64(0), down, ir.Constant(narrow, None), line)
            if narrow.element.width < wide.element.width:
                sums = builder.sext(sums, wide)
            return emit.store(builder.add(emit.load(2, source_at, wide), sums), 0, target_at)

        i = types.int64
        return types.none(target, i, source, i, rows, i, entries, starts, i, i, i, i, i), codegen

    return add


@intrinsic
def add_rows(typing, target, target_at, rows, rows_at, entries, first, last):
    """target[at + j] += the rows at rows[rows_at + entries[k] + j], k in first .. last - 1."""

    def codegen(context, builder, signature, arguments):
        emit = _Emitter(context, builder, signature, arguments)
        wide, narrow = emit.vector(0, LANES), emit.vector(2, LANES)
        index = ir.IntType(signature.args[4].dtype.bitwidth)

        def one(k: Any, sums: Any) -> Any:
            entry = builder.sext(emit.load(4, k, index), _I64)
            return builder.add(sums, emit.load(2, builder.add(arguments[3], entry), narrow))

        sums = emit.loop(arguments[5], arguments[6], ir.Constant(narrow, None), one)
        if narrow.element.width < wide.element.width:
            sums = builder.sext(sums, wide)
        return emit.store(builder.add(emit.load(0, arguments[1], wide), sums), 0, arguments[1])

    i = types.int64
    return types.none(target, i, rows, i, entries, i, i), codegen


add_window = _window_adder(1)
add_window_2 = _window_adder(2)
add_window_4 = _window_adder(4)


@intrinsic
def copy_lanes(typing, target, target_at, source, source_at):
    """target[at + j] = source[at + j], in vectors, which later vector loads do not have to wait for."""

    def codegen(context, builder, signature, arguments):
        emit = _Emitter(context, builder, signature, arguments)
        return emit.store(emit.load(2, arguments[3], emit.vector(0, LANES)), 0, arguments[1])

    return types.none(target, types.int64, source, types.int64), codegen


@intrinsic
def keep_larger(typing, target, target_at, other, other_at):
    """target[at + j] = max(target[at + j], other[at + j])."""

    def codegen(context, builder, signature, arguments):
        emit = _Emitter(context, builder, signature, arguments)
        lanes = emit.vector(0, LANES)
        a, b = emit.load(0, arguments[1], lanes), emit.load(2, arguments[3], lanes)
        return emit.store(builder.select(builder.icmp_signed(">", a, b), a, b), 0, arguments[1])

    return types.none(target, types.int64, other, types.int64), codegen


@intrinsic
def lanes_above(typing, sums, sums_at, thresholds, thresholds_at):
    """A word whose bit j says whether sums[at + j] > thresholds[at + j]."""

    def codegen(context, builder, signature, arguments):
        emit = _Emitter(context, builder, signature, arguments)
        lanes = emit.vector(0, LANES)
        a, b = emit.load(0, arguments[1], lanes), emit.load(2, arguments[3], lanes)
        return builder.bitcast(builder.icmp_signed(">", a, b), _I64)

    return types.int64(sums, types.int64, thresholds, types.int64), codegen


@intrinsic
def bits_of(typing, word):
    """How many bits of a word are set."""

    def codegen(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.int64(types.int64), codegen


@intrinsic
def add_to_lanes(typing, target, target_at, value):
    """target[at + j] += value."""

    def codegen(context, builder, signature, arguments):
        emit = _Emitter(context, builder, signature, arguments)
        lanes = emit.vector(0, LANES)
        more = emit.splat(builder.trunc(arguments[2], lanes.element), lanes)
        return emit.store(builder.add(emit.load(0, arguments[1], lanes), more), 0, arguments[1])

    return types.none(target, types.int64, types.int64), codegen


@intrinsic
def lowest_bit(typing, word):
    """The index of the lowest set bit of a word that is not 0."""

    def codegen(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return types.int64(types.int64), codegen
