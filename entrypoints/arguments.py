"""Arguments that more than one entry point takes: of a training run, and of the gate."""

from __future__ import annotations

import argparse
from dataclasses import fields

from fraud_model.gates import Limits
from fraud_model.pipeline import Request
from fraud_model.training import Recipe


def new_parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser whose help is the entry point's own docstring, example included."""
    return argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def add_request(parser: argparse.ArgumentParser) -> None:
    """One option per field of Request and Recipe."""
    for field in fields(Request):
        if field.name != "recipe":
            _add(parser, field.name, field.default)
    for field in fields(Recipe):
        _add(parser, field.name, field.default)


def add_limits(parser: argparse.ArgumentParser) -> None:
    """One option per field of Limits that the parser does not have yet."""
    for field in fields(Limits):
        if not any(field.name == action.dest for action in parser._actions):
            _add(parser, field.name, field.default)


def request_from(arguments: argparse.Namespace) -> Request:
    """The training request that the options describe."""
    recipe = Recipe(**{field.name: getattr(arguments, field.name) for field in fields(Recipe)})
    own = {f.name: getattr(arguments, f.name) for f in fields(Request) if f.name != "recipe"}
    return Request(**own, recipe=recipe)


def limits_from(arguments: argparse.Namespace) -> Limits:
    """The limits of the gate that the options describe."""
    return Limits(**{field.name: getattr(arguments, field.name) for field in fields(Limits)})


def _add(parser: argparse.ArgumentParser, name: str, default: object) -> None:
    parser.add_argument(
        f"--{name.replace('_', '-')}", dest=name, type=type(default), default=default
    )
