"""Readers, processors and writers of chunk steps."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol


class ItemReader(Protocol):
    def read(self) -> Any | None: ...


class ItemProcessor(Protocol):
    def process(self, item: Any) -> Any | None: ...


class ItemWriter(Protocol):
    def write(self, items: list[Any]) -> None: ...


class CallableItemReader:
    """Any iterable; `None` is the end."""

    def __init__(self, items: Iterable[Any]):
        self._items = iter(items)

    def read(self) -> Any | None:
        return next(self._items, None)


class FunctionItemProcessor:
    """A function; `None` filters the item."""

    def __init__(self, function: Callable[[Any], Any | None]):
        self._function = function

    def process(self, item: Any) -> Any | None:
        return self._function(item)


class CallableItemWriter:
    def __init__(self, function: Callable[[list[Any]], None]):
        self._function = function

    def write(self, items: list[Any]) -> None:
        self._function(items)
