"""A little business worked by hand: payments by an agent, under a matrix that fits on one page."""

from typing import Any

CONTROLLERS, TREASURY, CLERKS = "Controllers", "Treasury", "Clerks"
PEOPLE = {"cara": [CONTROLLERS], "carl": [CONTROLLERS], "tess": [TREASURY], "cleo": [CLERKS], "rita": []}


def document(kind: str, name: str, /, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "aegis/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def policy(name: str, *stages: tuple[list[str], int], **more: Any) -> dict[str, Any]:
    return document(
        "ApprovalPolicy",
        name,
        stages=[{"groups": groups, "quorum": quorum} for groups, quorum in stages],
        deadline="1d",
        **more,
    )


def capability(name: str, **more: Any) -> dict[str, Any]:
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": ["amount"],
        "properties": {"amount": {"type": "integer", "minimum": 0}, "to": {"type": "string"}},
    }
    spec = {"resource": "payment", "risk": "low", "safety": "keyed", "handler": "bank.do", "parameters": schema, **more}
    return document("Capability", name, **spec)


def grant(name: str, effect: str, **more: Any) -> dict[str, Any]:
    return {"capability": name, "effect": effect, **more}


def manifests(*more: dict[str, Any]) -> list[dict[str, Any]]:
    """payment.make: free up to 500, a controller up to 5,000, then treasury as well, refused above 90,000; and more."""
    return [
        capability("payment.make"),
        policy("one", ([CONTROLLERS], 1)),
        policy("two", ([CONTROLLERS], 1), ([TREASURY], 1)),
        document(
            "Role",
            "payer",
            grants=[
                grant("payment.make", "allow"),
                grant("payment.make", "gate", policy="one", when="parameters.amount > 500"),
                grant("payment.make", "gate", policy="two", when="parameters.amount > 5000"),
                grant("payment.make", "deny", when="parameters.amount > 90000"),
            ],
        ),
        document("Agent", "clerk", owner="rita", roles=["payer"], connector={"python": "x"}),
        *more,
    ]


def attempt(amount: int = 100, *, id: str = "a1", **more: Any) -> dict[str, Any]:
    return {
        "id": id,
        "principal": {"kind": "agent", "name": "clerk"},
        "requester": "cleo",
        "workflow": "pay",
        "run": f"run-{id}",
        "capability": "payment.make",
        "resource": {"type": "payment", "id": "P-1"},
        "parameters": {"amount": amount},
        "proposed_at": 0.0,
        **more,
    }


def content(made: dict[str, Any]) -> dict[str, Any]:
    return {name: made[name] for name in ("capability", "resource", "parameters")}


def arrives(made: dict[str, Any], at: float = 10.0, **more: Any) -> dict[str, Any]:
    """The sink's entry of an attempt that went through unchanged."""
    return {"at": at, "key": made["run"] + "/pay/1/0", "run": made["run"], **content(made), **more}


def vote(person: str, at: float = 5.0, verdict: str = "approve", **more: Any) -> dict[str, Any]:
    return {"person": person, "verdict": verdict, "at": at, **more}


def approval(made: dict[str, Any], name: str, *votes: dict[str, Any], **more: Any) -> dict[str, Any]:
    plain = {"id": "r-" + made["id"], "policy": name, "run": made["run"], "opened_at": 1.0, "bound": ["rita", "cleo"]}
    return {**plain, "shown": content(made), "votes": list(votes), **more}
