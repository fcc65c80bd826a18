"""Ten bugs, planted on purpose into one process: the harness must find each (HAZARDS K02). The product holds none of this.

`AEGIS_PLANT=name` in a process of the nursery patches the engine of that process alone. `planted` tells the story in which each
shows, and which check must name it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

VARIABLE: Final = "AEGIS_PLANT"


def plant(name: str) -> None:
    """Patch this process. "" plants nothing.

    Raises:
        KeyError: no such plant.
        AssertionError: the place to plant it is not there any more.
    """
    if name:
        PLANTS[name]()


def fence_not_checked() -> None:
    """The commit writes whatever fence its worker holds."""
    _reword("r.fence = v.fence", "r.fence IS NOT NULL")


def gate_without_lock() -> None:
    """Deciding takes no row lock: neither the request's nor its run's, each of which alone would keep two deciders apart."""
    from approvals import holding
    from approvals.models import ApprovalRequest
    from orchestration.engine import inbox
    from orchestration.engine.models import Run

    def read_request(request_id: UUID) -> Any:
        return ApprovalRequest.objects.select_related("policy").get(pk=request_id)

    def read_run(run_id: UUID) -> Any:
        return Run.objects.get(pk=run_id)

    _replace(holding, "lock_request", read_request)
    _replace(inbox, "lock_run", read_run)


def commit_split() -> None:
    """Runs and what waits are committed first, their events in a second transaction."""
    from django.db import connection

    from orchestration.engine import commit

    real = commit._write_waits

    def torn(*arguments: Any) -> None:
        real(*arguments)
        if connection.vendor == "postgresql":
            connection.connection.commit()
            return
        with connection.cursor() as cursor:
            cursor.execute("COMMIT")
            cursor.execute("BEGIN IMMEDIATE")

    _replace(commit, "_write_waits", torn)


def key_per_attempt() -> None:
    """An effect that is sent again has another key."""
    from orchestration.engine.steps import effect

    real = effect.effect_key
    _replace(effect, "effect_key", lambda scene: f"{real(scene)}-{scene.state.losses}" if scene.state.losses else real(scene))


def epoch_not_checked() -> None:
    """A commit does not look whether rights changed since its verdicts were computed."""
    from orchestration.engine import commit

    _replace(commit, "_stale", lambda batch: set())


def intent_after_call() -> None:
    """A remote effect is sent first, and put on record afterwards."""
    from orchestration.engine import calls, driver
    from orchestration.engine.intended import EffectCall

    answers: dict[tuple[str, int], Any] = {}
    transition, work = driver.Driver._transition, driver._work

    def send_then_record(self: Any, played: Any) -> Any:
        call = played.scene.call
        if isinstance(call, EffectCall):
            got: list[Any] = []
            calls.make(call, played.held.run.id, played.held.fence, got.append)
            answers[call.key, call.attempt] = got[0]
        return transition(self, played)

    def already_done(call: Any, run_id: Any, fence: Any, queue: Any) -> Callable[[], None]:
        if isinstance(call, EffectCall) and (call.key, call.attempt) in answers:
            return lambda: queue.put(answers.pop((call.key, call.attempt)))
        return work(call, run_id, fence, queue)

    _replace(driver.Driver, "_transition", send_then_record)
    _replace(driver, "_work", already_done)


def wake_lost() -> None:
    """Whoever writes to a run's inbox does not wake it."""
    from django.db.models import F

    from orchestration.engine import inbox
    from orchestration.engine.models import Run

    real = inbox.post

    def post(run_id: UUID, *arguments: Any, **options: Any) -> None:
        real(run_id, *arguments, **options)
        Run.objects.filter(pk=run_id).update(wake=F("wake") - 1)

    _replace(inbox, "post", post)


def counted_after() -> None:
    """A claim counts against a run only once its work is done: a run that kills its worker is never counted."""
    _reword_all("claims_since_commit = claims_since_commit + 1", "claims_since_commit = claims_since_commit")


def unsafe_retried() -> None:
    """An effect whose outcome is unknown is sent again, whatever its class."""
    from orchestration.engine.steps import effect

    _replace(effect, "REPEATABLE", ("idempotent", "keyed", "unsafe"))


def sweep_disabled() -> None:
    """A worker looks for work when the bell rings, and never by itself."""
    from django.conf import settings

    assert settings.SWEEP_SECONDS
    settings.SWEEP_SECONDS = 1_000_000.0


PLANTS: Final[Mapping[str, Callable[[], None]]] = {
    "fence_not_checked": fence_not_checked,
    "gate_without_lock": gate_without_lock,
    "commit_split": commit_split,
    "key_per_attempt": key_per_attempt,
    "epoch_not_checked": epoch_not_checked,
    "intent_after_call": intent_after_call,
    "wake_lost": wake_lost,
    "counted_after": counted_after,
    "unsafe_retried": unsafe_retried,
    "sweep_disabled": sweep_disabled,
}


def _replace(owner: Any, name: str, value: Any) -> None:
    assert hasattr(owner, name), f"{owner}.{name} is not there: plant it elsewhere"
    setattr(owner, name, value)


def _reword(old: str, new: str) -> None:
    """Change the statement of the fenced write."""
    from orchestration.engine import commit

    assert old in commit._MOVE, f"{old!r} is not in the fenced write"
    _replace(commit, "_MOVE", commit._MOVE.replace(old, new))


def _reword_all(old: str, new: str) -> None:
    """Change every statement that holds `old`, on every connection of this process."""
    from django.db.backends.signals import connection_created

    def rewording(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        return execute(sql.replace(old, new) if isinstance(sql, str) else sql, params, many, context)

    def made(connection: Any, **_: Any) -> None:
        if rewording not in connection.execute_wrappers:
            connection.execute_wrappers.append(rewording)

    connection_created.connect(made, weak=False)
