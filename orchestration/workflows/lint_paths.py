"""Lint of expressions: they compile, read steps that exist and come before, and places that the contracts have. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, assert_never

from aegis.core.canonical import Json
from aegis.core.errors import Fault
from aegis.core.expressions import ExpressionInvalid, VariableType, compile_condition, compile_value
from orchestration.workflows import contract_paths
from orchestration.workflows.definition import (
    ActStep,
    AgentStep,
    Definition,
    FinishStep,
    GateStep,
    MapStep,
    ParallelStep,
    ReviewStep,
    RouteStep,
    RunStep,
    SetStep,
    Step,
    WaitStep,
)
from orchestration.workflows.graph import reach_of
from orchestration.workflows.output_schemas import Schemas, root_of, types_of
from orchestration.workflows.paths import Path, paths_of

#: Place of an expression -> what it is compared with to learn its type, the types that fit, and what is said of others.
_TYPED: Final = tuple(
    (re.compile(place), against, frozenset(fitting), what)
    for place, against, fitting, what in (
        ("/spec/business_key", '""', ("string",), "the business key must be text"),
        ("/spec/priority", "1", ("integer", "number"), "the priority must be a whole number"),
        ("/spec/resource/key", '""', ("string",), "the key of a resource must be text"),
        (r"/spec/.*steps/\d+/wait/until", '""', ("string",), "the moment must be text, as RFC 3339 writes it"),
        (r"/spec/.*steps/\d+/wait/key", '""', ("string",), "the key of a message must be text"),
        (r"/spec/.*steps/\d+/map", "[]", ("array",), "map walks a list"),
    )
)

#: Words that CEL does not take after a dot.
_RESERVED: Final = frozenset(
    ["as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop", "namespace",
     "null", "package", "return", "true", "var", "void", "while"]
)  # fmt: skip
_NAMES_ITEM: Final = re.compile(r"\(\s*item\s*,")


@dataclass(frozen=True, slots=True)
class Mention:
    """One expression of a workflow: where it stands, the scope whose variables it sees, and the step it belongs to (None: the
    scope as a whole)."""

    where: str
    source: str
    scope: Definition
    step: Step | None = None
    is_condition: bool = False
    sees_steps: bool = True

    @property
    def variables(self) -> Mapping[str, VariableType]:
        return self.scope.variables if self.sees_steps else {"input": "map"}


def mentions_of(definition: Definition) -> Iterator[Mention]:
    """Every expression, in document order; those of bodies follow."""
    yield Mention("/spec/business_key", definition.business_key, definition, sees_steps=False)
    yield Mention("/spec/priority", definition.priority, definition, sees_steps=False)
    if definition.resource:
        yield Mention("/spec/resource/key", definition.resource.key, definition, sees_steps=False)
    for scope in definition.scopes():
        for index, step in enumerate(scope.steps):
            yield from _mentions_of_step(step, f"{scope.where}/steps/{index}", scope)
        if scope.output:
            yield Mention(f"{scope.where}/output{'' if scope.path else '/value'}", scope.output, scope)
    if definition.success:
        yield Mention("/spec/success", definition.success, definition, is_condition=True)


def expression_faults(definition: Definition, schemas: Schemas) -> Iterator[Fault]:
    """Everything that speaks against the expressions of a definition."""
    reach = reach_of(definition)
    for mention in mentions_of(definition):
        seen = schemas.within(mention.scope)
        faults = list(_compile_faults(mention, mention.scope)) or list(_type_faults(mention, seen))
        yield from faults
        if not faults:
            for path in paths_of(mention.source):
                yield from _path_faults(path, mention, definition, seen, reach)


def _mentions_of_step(step: Step, where: str, scope: Definition) -> Iterator[Mention]:
    def mention(place: str, source: str) -> Mention:
        return Mention(f"{where}/{place}", source, scope, step)

    match step:
        case AgentStep() | RunStep():
            yield from (mention(f"input/{name}", source) for name, source in step.input.items())
        case ActStep():
            yield mention("act", step.act)
        case RouteStep():
            yield from (mention(f"facts/{name}", source) for name, source in step.facts.items())
        case GateStep():
            if step.proposal:
                yield mention("proposal", step.proposal)
        case SetStep():
            yield from (mention(f"set/{name}", source) for name, source in step.values.items())
        case WaitStep():
            for name, source in (("until", step.until), ("key", step.key)):
                if source:
                    yield mention(f"wait/{name}", source)
        case MapStep():
            yield mention("map", step.items)
        case ReviewStep() | FinishStep() | ParallelStep():
            return
        case _:
            assert_never(step)


def _compile_faults(mention: Mention, definition: Definition) -> Iterator[Fault]:
    try:
        if mention.is_condition:
            compile_condition(mention.source, mention.variables)
        else:
            compile_value(mention.source, mention.variables)
    except ExpressionInvalid as error:
        remedy = _bracket_remedy(mention.source, definition)
        if not remedy and not mention.sees_steps:
            remedy = "only input is known here"
        elif not remedy and "undeclared reference" in str(error):
            remedy = f"expressions see {', '.join(mention.variables)}"
        for fault in error.faults or (Fault("", error.detail),):
            said = remedy or fault.remedy or "write CEL, such as input.id or steps.X.output.name"
            yield Fault(f"{mention.where} {fault.where}".rstrip(), fault.what, said)


def _type_faults(mention: Mention, schemas: Schemas) -> Iterator[Fault]:
    """What must be text is text and the priority a whole number, as far as CEL and the contract can tell before any run."""
    for place, against, fitting, what in _TYPED:
        if not place.fullmatch(mention.where):
            continue
        where = mention.where
        try:
            compile_value(f"({mention.source}) == {against}", mention.variables)
        except ExpressionInvalid:
            yield Fault(f"{where} 1:1", what)
            return
        types = types_of(mention.source, schemas)
        if types and not types & fitting:
            yield Fault(f"{where} 1:1", f"{what}, and the contract says {' or '.join(sorted(types))}")


def _bracket_remedy(source: str, definition: Definition) -> str:
    for step in (*definition.steps, *definition.outer):
        name = step.common.id
        if ("-" in name or name in _RESERVED) and re.search(rf"\bsteps\s*\.\s*{re.escape(name)}\b", source):
            return f'write steps["{name}"]'
    return ""


def _path_faults(
    path: Path, mention: Mention, definition: Definition, schemas: Schemas, reach: Mapping[str, frozenset[str]]
) -> Iterator[Fault]:
    place = f"{mention.where} {path.place}"
    if path.root != "steps":
        schema, start = root_of(path, schemas)
        # A macro may call its own variable item, too: input.lines.all(item, item.amount > 0).
        if schema is not None and not (path.root == "item" and _NAMES_ITEM.search(mention.source)):
            whose = f"contract {definition.input}" if path.root == "input" else "an item of the list"
            yield from _missing_in(schema, path, start, place, whose)
        return
    if not path.parts:
        return
    steps = {step.common.id: step for step in (*mention.scope.outer, *mention.scope.steps)}
    if path.step not in steps:
        yield _not_here(path, place, definition, steps)
        return
    reader = mention.step.common.id if mention.step else mention.scope.path.partition("/")[0]
    is_late = reader not in reach[path.step] and (mention.step is not None or steps[path.step] in mention.scope.outer)
    if reader and is_late:
        own = reader == path.step
        what = f"step {path.step!r} has no output before it is done" if own else f"{path.step!r} never comes before this step"
        yield Fault(place, what, f"read a step that leads to {reader!r}")
        return
    if len(path.parts) == 1:
        return
    if path.parts[1] == "case" and isinstance(steps[path.step], RouteStep):
        if len(path.parts) > 2:
            yield Fault(place, "a case is text, it has no fields", f"write steps.{path.step}.case")
        return
    if path.parts[1] != "output":
        known = "output or case" if isinstance(steps[path.step], RouteStep) else "output"
        yield Fault(place, f"a step has no {path.parts[1]!r}", f"write steps.{path.step}.{known}")
        return
    schema = schemas.outputs[path.step]
    if schema is False:
        yield Fault(place, f"step {path.step!r} leaves no output behind", "read the output of another step")
    elif schema is not None:
        yield from _missing_in(schema, path, 2, place, _source_of(steps[path.step]))


def _not_here(path: Path, place: str, definition: Definition, steps: Mapping[str, Step]) -> Fault:
    """A step that there is not, or one inside a block: that is read through the output of the block."""
    for scope in definition.scopes():
        if scope.path and any(step.common.id == path.step for step in scope.steps):
            block, _, branch = scope.path.partition("/")
            whose = f"branch {branch!r} of {block!r}" if branch else f"the items of {block!r}"
            read = f"steps.{block}.output.{branch or 'items'}"
            return Fault(place, f"step {path.step!r} belongs to {whose}, and is not seen from here", f"read {read}")
    return Fault(place, f"there is no step {path.step!r}", f"steps are {', '.join(steps)}")


def _missing_in(schema: Json, path: Path, start: int, place: str, whose: str) -> Iterator[Fault]:
    inner = path.parts[start:]
    index = contract_paths.first_missing(schema, inner)
    if index is None:
        return
    known = contract_paths.fields_at(schema, inner[:index])
    shown = Path(path.root, path.parts[: start + index + 1], "")
    remedy = f"fields there are {', '.join(known)}" if known else "there are no fields there"
    yield Fault(place, f"{whose} has no {shown}", remedy)


def _source_of(step: Step) -> str:
    match step:
        case AgentStep() | ReviewStep() | WaitStep():
            return f"contract {step.output}"
        case RouteStep():
            return f"routing table {step.table}"
        case _:
            return f"the output of {step.common.id!r}"
