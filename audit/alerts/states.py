"""States: what stands now and should not, judged at once and by no window. Each room registers those it knows.

    states.register(State("breaker_open", "A circuit breaker is open", "breaker", open_breakers))

A state names each thing it holds for (the group), under the scope whose readers may know of it, with the address behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

#: Things of one state that are told apart in one look; the worst come first. More are one thing that went wrong, not many.
MOST: Final = 200
#: What one look brings, before a rule narrows it to those it names.
READ: Final = 2_000


@dataclass(frozen=True, slots=True)
class Standing:
    """One thing for which a state holds.

    Attributes:
        group: what it is, in the order of `State.parts` ("agent:clerk",).
        words: what is wrong with it, in one sentence without the group.
        value: how bad, for comparing with itself: a number of things, or seconds.
        address: path of the list or page behind it.
        scope, scope_id: whose readers may know (audit.scopes).
        since: since when, if that is known.
    """

    group: tuple[str, ...]
    words: str
    value: float
    address: str
    scope: str
    scope_id: str = ""
    since: datetime | None = None


#: (the moment, how far to look ahead or back) -> what it holds for, the worst first, at most `READ`. Reads only.
Look = Callable[[datetime, timedelta], Sequence[Standing]]


@dataclass(frozen=True, slots=True)
class State:
    """
    Attributes:
        name: as manifests say it.
        title: as a heading; `about` is what its groups are ("breaker").
        within: how far it looks ahead or back if the rule does not say; None if it does neither.
        names: the only first parts its groups can have, where they are few and known.
        parts: names of the parts of its groups.
    """

    name: str
    title: str
    about: str
    look: Look
    within: timedelta | None = None
    names: frozenset[str] = frozenset()
    parts: tuple[str, ...] = field(default=())

    @property
    def dimensions(self) -> tuple[str, ...]:
        return self.parts or (self.about,)


_states: dict[str, State] = {}


def register(*states: State) -> None:
    """Have rules watch these. Called from `AppConfig.ready`; the same again is harmless.

    Raises:
        ValueError: another state has the name.
    """
    for state in states:
        if _states.setdefault(state.name, state) is not state:
            raise ValueError(f"state {state.name!r} is registered twice")


def get(name: str) -> State | None:
    return _states.get(name)


def all_states() -> list[State]:
    return [_states[name] for name in sorted(_states)]
