"""Which clips to take, in an expression: `subset == "weak" and duration_s > 5 and "Dog" in weak`.

The grammar is a part of Python's: parsed with `ast`, checked node by node, and turned into
closures over index rows. Nothing of it is run as Python.
"""

import ast
import json
import operator
from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import get_close_matches
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shards.columns import Bools, one_piece
from shards.errors import Faults, ShardsError
from shards.index import IndexRow
from shards.label_columns import durations_s
from shards.rows import table_of

Values = Mapping[str, Any]  # of a clip, by the names in `NAMES`
Getter = Callable[[Values], Any]
BLOCK = 1 << 14  # rows whose values are held at a time
MAX_LENGTH = 10_000


class FilterError(ShardsError, ValueError):
    """An expression that cannot be understood or evaluated; the message is one line."""


# What an expression may name. `labels` are those of `weak` and of `events`, each once.
_COLUMNS = (
    "key",
    "source_id",
    "shard",
    "size",
    "codec",
    "sample_rate_hz",
    "num_samples",
    "channels",
    "checksum",
    "subset",
    "recording",
    "fold",
    "weak",
    "duration_s",
    "meta",
)
NAMES: Mapping[str, Callable[[IndexRow], Any]] = {
    **{name: operator.attrgetter(name) for name in _COLUMNS},
    "events": lambda row: None if row.events is None else tuple(e.label for e in row.events),
    "labels": lambda row: tuple(
        dict.fromkeys([*(row.weak or ()), *(event.label for event in row.events or ())])
    ),
}
FUNCTIONS: Mapping[str, tuple[int, Callable[..., Any]]] = {
    "len": (1, lambda value: 0 if value is None else len(value)),
    "lower": (1, lambda text: None if text is None else text.lower()),
    "startswith": (2, lambda text, start: text is not None and text.startswith(start)),
    "endswith": (2, lambda text, end: text is not None and text.endswith(end)),
}
_ORDERED: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class Filter:
    """An expression as a test of index rows, one by one or column by column."""

    def __init__(self, text: str, test: Getter, names: Collection[str]) -> None:
        self._text, self._test, self._names = text, test, names

    def __call__(self, row: IndexRow) -> bool:
        """Whether a row is chosen."""
        return self._chosen({name: NAMES[name](row) for name in self._names}, row.source_id)

    def mask(self, rows: Iterable[IndexRow]) -> Bools:
        """Which rows are chosen; only the columns that the expression names are looked at.

        Raises:
            FilterError: values that cannot be compared, of all clips that have such.
        """
        table = table_of(rows)
        found, faults = np.zeros(len(table), np.bool_), Faults(FilterError)
        for start in range(0, len(table), BLOCK):
            block = table.slice(start, BLOCK)
            ids = block["source_id"].to_pylist()
            columns = [values_of(block, name) for name in self._names]
            for place, source_id in enumerate(ids):
                values = {n: column[place] for n, column in zip(self._names, columns, strict=True)}
                with faults.noted():
                    found[start + place] = self._chosen(values, source_id)
        faults.check()
        return found

    def _chosen(self, values: Values, source_id: str) -> bool:
        try:
            return bool(self._test(values))
        except (TypeError, AttributeError, ArithmeticError) as error:
            raise FilterError(f"filter {self._text!r} at clip {source_id}: {error}") from error


def compile_filter(text: str) -> Filter:
    """The expression as a test of index rows.

    Names are the columns of the index, `duration_s`, `labels`, and `meta.x.y` for metadata;
    `weak` and `events` are the labels in them. Operators: `and or not`, `== != < <= > >=`,
    `in`, `not in`, `is None`, `+ - * /` of numbers; functions: `len lower startswith
    endswith`. What a clip does not have is None: it is equal to None alone, nothing is in it,
    and it is neither less nor greater than anything.

    Raises:
        FilterError: it is not of this grammar. The test raises it for values that cannot be
            compared, and names the clip.
    """
    try:
        if len(text) > MAX_LENGTH:
            raise FilterError(f"got an expression of {len(text)} characters; give --list a file")
        tree = ast.parse(text.strip(), mode="eval").body
        test = _compiled(tree)
    except (SyntaxError, RecursionError, MemoryError) as error:
        what = getattr(error, "msg", None) or "nested too deep"
        raise FilterError(f"filter {text!r}: {what}; expected such as 'subset == \"weak\"'") from (
            error
        )
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return Filter(text, test, [name for name in NAMES if name in used])


def values_of(block: pa.Table, name: str) -> list[Any]:
    """What `NAMES` gives for each row of a block of the index."""
    match name:
        case "duration_s":
            return list(durations_s(block).tolist())
        case "meta":
            return [json.loads(text) for text in block["meta"].to_pylist()]
        case "weak":
            return _label_lists(one_piece(block["weak"]), lambda values: values)
        case "events":
            return _label_lists(
                one_piece(block["events"]), lambda values: pc.struct_field(values, "label")
            )
        case "labels":
            both = zip(values_of(block, "weak"), values_of(block, "events"), strict=True)
            return [tuple(dict.fromkeys([*(weak or ()), *(ev or ())])) for weak, ev in both]
    return list(block[name].to_pylist())


def _label_lists(column: pa.Array, of: Callable[[pa.Array], pa.Array]) -> list[Any]:
    """The labels of each clip, None where it has none."""
    labels = of(pc.list_flatten(column)).to_pylist()
    found, stop = [], 0
    for count in pc.list_value_length(column).to_pylist():
        start, stop = stop, stop + (count or 0)
        found.append(None if count is None else tuple(labels[start:stop]))
    return found


def _compiled(node: ast.expr) -> Getter:
    match node:
        case ast.Constant(value=value) if isinstance(value, str | int | float | None):
            return lambda values: value
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            getters = [_compiled(item) for item in items]
            return lambda values: tuple(getter(values) for getter in getters)
        case ast.Name(id=name):
            return _named(name)
        case ast.Attribute(value=inner, attr=attribute):
            return _meta_field(_meta_path(inner), attribute)
        case ast.BoolOp(op=ast.And(), values=parts):
            tests = [_compiled(part) for part in parts]
            return lambda values: all(test(values) for test in tests)
        case ast.BoolOp(values=parts):
            tests = [_compiled(part) for part in parts]
            return lambda values: any(test(values) for test in tests)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            test = _compiled(operand)
            return lambda values: not test(values)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            number = _compiled(operand)
            return lambda values: _minus(number(values))
        case ast.BinOp(left=left, op=operation, right=right) if type(operation) in _ARITHMETIC:
            return _arithmetic(_ARITHMETIC[type(operation)], _compiled(left), _compiled(right))
        case ast.Compare(left=left, ops=operations, comparators=others):
            values = [_compiled(value) for value in (left, *others)]
            tests = [
                _comparison(operation, values[n], values[n + 1])
                for n, operation in enumerate(operations)
            ]
            return lambda values: all(test(values) for test in tests)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            return _call(name, arguments)
    raise FilterError(
        f"filter: {ast.unparse(node)!r} is not allowed; expected columns, texts, numbers, "
        "comparisons, and, or, not, in"
    )


def _named(name: str) -> Getter:
    if name not in NAMES:
        near = get_close_matches(name, NAMES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(NAMES)}"
        raise FilterError(f"filter: unknown name {name!r}; {hint}; texts need quotes")
    return itemgetter(name)


def _meta_path(node: ast.expr) -> Getter:
    match node:
        case ast.Name(id="meta"):
            return itemgetter("meta")
        case ast.Attribute(value=inner, attr=attribute):
            return _meta_field(_meta_path(inner), attribute)
    raise FilterError(f"filter: {ast.unparse(node)!r} has no fields; expected such as meta.snr_db")


def _meta_field(inner: Getter, name: str) -> Getter:
    def get(values: Values) -> Any:
        fields = inner(values)
        return fields.get(name) if isinstance(fields, Mapping) else None

    return get


def _comparison(operation: ast.cmpop, left: Getter, right: Getter) -> Getter:
    match operation:
        case ast.Eq() | ast.Is():
            return lambda values: left(values) == right(values)
        case ast.NotEq() | ast.IsNot():
            return lambda values: left(values) != right(values)
        case ast.In():
            return lambda values: _contains(right(values), left(values))
        case ast.NotIn():
            return lambda values: not _contains(right(values), left(values))
    compare = _ORDERED[type(operation)]

    def ordered(values: Values) -> bool:
        a, b = left(values), right(values)
        return a is not None and b is not None and compare(a, b)

    return ordered


def _contains(values: Any, value: Any) -> bool:
    return values is not None and value in values


def _arithmetic(operation: Callable[[Any, Any], Any], left: Getter, right: Getter) -> Getter:
    def compute(values: Values) -> Any:
        a, b = left(values), right(values)
        if a is None or b is None:
            return None
        return operation(_number(a), _number(b))  # of numbers alone: "x" * 10**9 is no filter

    return compute


def _minus(value: Any) -> Any:
    return None if value is None else -_number(value)


def _number(value: Any) -> int | float:
    if isinstance(value, int | float):
        return value
    raise TypeError(f"cannot compute with {value!r}; expected a number")


def _call(name: str, arguments: list[ast.expr]) -> Getter:
    count, function = FUNCTIONS.get(name, (-1, None))
    if function is None:
        raise FilterError(f"filter: no function {name!r}; expected one of {', '.join(FUNCTIONS)}")
    if len(arguments) != count:
        raise FilterError(f"filter: {name} takes {count} values, got {len(arguments)}")
    getters = [_compiled(argument) for argument in arguments]
    return lambda values: function(*(getter(values) for getter in getters))
