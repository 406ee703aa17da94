"""What several metrics or methods need of the same images -> computed once while a block lasts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar

from torch import Tensor

Inputs = ParamSpec("Inputs")
Result = TypeVar("Result")


class _Block(NamedTuple):
    tensors: dict[int, Tensor]
    """By identity; as they are held, no other tensor can take theirs."""
    results: dict[Any, Any]


_blocks: ContextVar[tuple[_Block, ...]] = ContextVar("blocks", default=())


@contextmanager
def held(*tensors: Tensor) -> Iterator[None]:
    """Keep what `shared` functions make of just these tensors, which may not change, in the block.

    A block around several completions thus keeps what is known of their target, and no more.
    """
    block = _Block({id(tensor): tensor for tensor in tensors}, {})
    token = _blocks.set((*_blocks.get(), block))
    try:
        yield
    finally:
        _blocks.reset(token)


def shared(function: Callable[Inputs, Result]) -> Callable[Inputs, Result]:
    """Let a pure function be computed once for the tensors that an enclosing block holds."""

    @wraps(function)
    def look_up(*inputs: Inputs.args, **options: Inputs.kwargs) -> Result:
        tensors = {id(value) for value in inputs if isinstance(value, Tensor)}
        for block in _blocks.get():
            if tensors == block.tensors.keys():
                names = (id(value) if isinstance(value, Tensor) else value for value in inputs)
                key = (function, *names, *options.items())
                if key not in block.results:
                    block.results[key] = function(*inputs, **options)
                result: Result = block.results[key]
                return result
        return function(*inputs, **options)

    return look_up
