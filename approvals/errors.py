"""Every way a decision or a change of configuration is refused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from aegis.core.errors import Conflict, Fault, Forbidden, Invalid


class RequestSettled(Conflict):
    """Somebody was faster, or it ended otherwise. Says what, by whom and when.

    Attributes:
        status: how it ended ("approved", "expired", ...).
        decided_by: display name of the person whose decision settled it; "" if no person did.
        decided_at: aware UTC.
    """

    code, title = "request_settled", "This request is settled already"

    def __init__(self, detail: str = "", *, status: str = "", decided_by: str = "", decided_at: datetime | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.decided_by = decided_by
        self.decided_at = decided_at


class RequestFrozen(Conflict):
    """Halted: neither decided nor expired until the halt ends."""

    code, title = "request_frozen", "This request is frozen by a halt"


class RequestExpired(Conflict):
    """The deadline has passed; the sweep will close it. Time never approves."""

    code, title = "request_expired", "The deadline of this request has passed"


class NotEligible(Forbidden):
    """The person may see the request and may not decide it. `refusal` is the machine's word for why."""

    code, title = "not_eligible", "You cannot decide this request"

    def __init__(self, detail: str = "", *, refusal: str = "", granted_by: str = "") -> None:
        super().__init__(detail, right="decide", granted_by=granted_by)
        self.refusal = refusal
        self.can_be_given = refusal == "group"


class NotYours(Forbidden):
    """It is for one person to do, whoever holds which right."""

    code, title, can_be_given = "not_yours", "This is somebody else's to do", False


class StepUpNeeded(Forbidden):
    """The policy asks whoever approves this to have signed in a moment ago. Sign in again and send the same decision."""

    code, title, can_be_given = "step_up_needed", "Sign in again to approve this", False

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail, right="a recent sign-in")


class EditNotTaken(Conflict):
    """What is asked cannot be edited here: it does not stand in one place of what an agent put out, or the editor may not see
    all of it."""

    code, title = "edit_not_taken", "This request cannot be edited"


class Claimed(Conflict):
    """Somebody is at it. Says who and since when.

    Attributes:
        claimed_by: display name. claimed_at: aware UTC.
    """

    code, title = "request_claimed", "Somebody has taken this request"

    def __init__(self, detail: str = "", *, claimed_by: str = "", claimed_at: datetime | None = None) -> None:
        super().__init__(detail)
        self.claimed_by = claimed_by
        self.claimed_at = claimed_at


class ChangesNotTaken(Conflict):
    """Nobody would do it again: no agent made it, or the workflow lets it be tried no more often."""

    code, title = "changes_not_taken", "No changes can be asked for here"


class NobodyEligible(Conflict):
    """A gate that nobody could open is refused when it is set."""

    code, title = "nobody_eligible", "Nobody could decide this request"


class ReasonMissing(Invalid):
    code, title = "reason_missing", "Give a reason"


class NothingToChange(Conflict):
    code, title = "nothing_to_change", "Nothing to change"


class ChangeInvalid(Invalid):
    """Lint or schema speaks against the documents; `faults` names each place as "Kind/name/pointer"."""

    code, title = "change_invalid", "These documents cannot be applied"


class GuardedChange(Conflict):
    """Needs two people, and no policy says which."""

    code, title = "guarded_change", "This change needs the approval of others"

    def __init__(self, detail: str = "", *, guards: Sequence[str] = (), faults: Sequence[Fault] = ()) -> None:
        super().__init__(detail, faults=faults)
        self.guards = tuple(guards)


class AlreadyBootstrapped(Conflict):
    code, title = "already_bootstrapped", "This installation has been set up already"
