"""Reads a scenario from YAML; what is wrong is named with its file, line and place, and what is allowed."""

from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from vma.simulator.scenario import Scenario

LONGEST_FILE = 4 * 2**20  # bytes


class BadScenarioError(ValueError):
    """The file cannot be played; one line for each thing that is wrong."""


def read_scenario(path: Path) -> Scenario:
    """The scenario in a file. Raises BadScenarioError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadScenarioError(f"{path}: {error.strerror}") from error
    return parse_scenario(data, str(path))


def parse_scenario(data: bytes, name: str) -> Scenario:
    """The scenario in YAML text; `name` is for messages. Raises BadScenarioError."""
    if len(data) > LONGEST_FILE:
        raise BadScenarioError(f"{name}: longer than {LONGEST_FILE >> 20} MiB")
    node, said = _load(data, name)
    try:
        return Scenario.model_validate(said)
    except ValidationError as error:
        complaints = [_complaint(name, node, details) for details in error.errors(include_url=False)]
        raise BadScenarioError("\n".join(dict.fromkeys(complaints))) from error


def _load(data: bytes, name: str) -> tuple[yaml.Node, Any]:
    try:
        loader = yaml.SafeLoader(data)
        node = loader.get_single_node()
        if node is None:
            raise BadScenarioError(f"{name}: the file is empty; docs/scenarios has examples")
        _refuse_repetitions(node, name)
        return node, loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadScenarioError(f"{name}:{line}: no YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:  # a character or a date that cannot be
        raise error if isinstance(error, BadScenarioError) else BadScenarioError(f"{name}: no YAML: {error}") from error


def _refuse_repetitions(node: yaml.Node, name: str) -> None:
    """A key said twice would quietly lose its first value, and an alias could make a small file a huge one."""
    seen: set[int] = set()
    waiting = [node]
    while waiting:
        at = waiting.pop()
        if id(at) in seen:
            raise BadScenarioError(f"{name}:{at.start_mark.line + 1}: aliases (*) are not used here: write it out")
        seen.add(id(at))
        if isinstance(at, yaml.SequenceNode):
            waiting += at.value
        if isinstance(at, yaml.MappingNode):
            _refuse_second(at, name)
            waiting += [child for pair in at.value for child in pair]


def _refuse_second(mapping: yaml.MappingNode, name: str) -> None:
    keys: set[str] = set()
    for key, _ in mapping.value:
        if key.value in keys:
            raise BadScenarioError(f"{name}:{key.start_mark.line + 1}: {key.value} is there twice")
        keys.add(key.value)


def _complaint(name: str, node: yaml.Node, details: Any) -> str:
    line, place, holder = _find(node, details["loc"])
    where = f"{name}:{line}: {place}" if place else f"{name}:{line}"
    if details["type"] == "extra_forbidden":
        return f"{where}: no such key here; allowed: {_allowed(holder)}"
    return f"{where}: {details['msg'].removeprefix('Value error, ')}"


def _find(node: yaml.Node, location: tuple[int | str, ...]) -> tuple[int, str, tuple[int | str, ...]]:
    """Line and place of what pydantic complains of, and the way to the model that holds it."""
    line, place = node.start_mark.line + 1, ""
    for step in location:
        place += f"[{step}]" if isinstance(step, int) else f".{step}"
        child = _child(node, step)
        if child is not None:  # else it is missing: the line is its holder's
            line, node = child
    return line, place.removeprefix("."), location[:-1]


def _child(node: yaml.Node, step: int | str) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
        return node.value[step].start_mark.line + 1, node.value[step]
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next(((key.start_mark.line + 1, value) for key, value in pairs if key.value == step), None)


def _allowed(holder: tuple[int | str, ...]) -> str:
    model: type[BaseModel] = Scenario
    for name in holder:
        if isinstance(name, str):
            model = _model_in(model.model_fields[name].annotation) or model
    return ", ".join(field.alias or name for name, field in model.model_fields.items())


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
