"""What kind of function is it? Sees through partials, bound methods and callable objects."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any


def unwrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function) and callable(function):
        return type(function).__call__
    return function


def is_generator(function: Callable[..., Any]) -> bool:
    return inspect.isgeneratorfunction(unwrapped(function))


def is_async_generator(function: Callable[..., Any]) -> bool:
    return inspect.isasyncgenfunction(unwrapped(function))


def is_coroutine(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(unwrapped(function))


def takes_more_than(function: Callable[..., Any], count: int) -> bool:
    """Whether ``function`` can be called with more than ``count`` positional arguments."""
    kinds = inspect.Parameter
    positional = 0
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is kinds.VAR_POSITIONAL:
            return True
        positional += parameter.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)
    return positional > count


def needs_more_than(function: Callable[..., Any], count: int) -> bool:
    """Whether ``function`` cannot be called with ``count`` positional arguments alone."""
    kinds = inspect.Parameter
    needed = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD) and parameter.default is kinds.empty
    ]
    return len(needed) > count
