"""Separation of duties (promise 8), and conflict cases for every path, each with its answer written down by construction.

"Whoever started the run, edited the proposal, owns the proposing agent, or acts for such a person cannot approve it",
superusers too, on page, bulk, API, command line and by delegation.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

PATHS = ("page", "bulk", "api", "delegation", "group", "second_role", "superuser", "command_line")
BONDS = ("requester", "editor", "editor_of_earlier_revision", "review_answerer", "agent_owner", "requester_and_owner", "none")


@dataclass(frozen=True, slots=True)
class Scene:
    """Who is bound to one open request, and who might decide it. All names are people's.

    groups: group -> members; stages: the groups that may decide, per stage. delegations: (from, to) that are in force now.
    acting_for: (who, for whom) where the installation knows it, such as an assistant. editors: of any revision of this
    proposal, and whoever answered for an agent. accounts: account -> the human behind it; the harness alone knows them.
    """

    groups: Mapping[str, frozenset[str]]
    stages: tuple[frozenset[str], ...]
    requester: str | None = None
    editors: frozenset[str] = frozenset()
    agent_owner: str | None = None
    delegations: frozenset[tuple[str, str]] = frozenset()
    acting_for: frozenset[tuple[str, str]] = frozenset()
    superusers: frozenset[str] = frozenset()
    inactive: frozenset[str] = frozenset()
    voted: frozenset[str] = frozenset()
    stage: int = 0
    accounts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Vote:
    """A yes that is proposed. person: None for an agent or the system itself. delegator: in whose place he votes."""

    person: str | None
    path: str
    delegator: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """counts: what the product must say. is_detectable: false where only the harness knows that it should not count."""

    counts: bool
    reason: str
    is_detectable: bool = True


def bound_people(scene: Scene) -> frozenset[str]:
    """Return everybody who cannot approve: the bound, and whoever acts for one of them, over any number of hands."""
    bound = {name for name in (scene.requester, scene.agent_owner) if name} | scene.editors
    hands = scene.acting_for | {(to, giver) for giver, to in scene.delegations}
    while more := {who for who, whom in hands if whom in bound} - bound:
        bound |= more
    return frozenset(bound)


def may_count(scene: Scene, vote: Vote) -> Answer:
    """Return whether the vote may count. The path changes nothing, and neither does being a superuser.

    Raises:
        ValueError: an unknown path; a misspelt one must not pass as a case.
    """
    if vote.path not in PATHS:
        raise ValueError(f"unknown path {vote.path!r}")
    if vote.person is None:
        return Answer(False, "no person votes: agents and the system never do")
    if vote.person in scene.inactive or vote.delegator in scene.inactive:
        return Answer(False, "somebody who was deactivated")
    bound = bound_people(scene)
    if vote.person in bound:
        return Answer(False, "bound, or acts for somebody who is")
    if vote.delegator is not None:
        if (vote.delegator, vote.person) not in scene.delegations:
            return Answer(False, "no such delegation is in force")
        if vote.delegator in bound:
            return Answer(False, "in the place of somebody who is bound")
    right_of = vote.delegator or vote.person
    if not any(right_of in scene.groups.get(group, frozenset()) for group in scene.stages[scene.stage]):
        return Answer(False, "in no group of this stage")
    if {vote.person, right_of} & scene.voted:
        return Answer(False, "a person counts once")
    humans = {scene.accounts.get(name, name) for name in bound}
    if scene.accounts.get(vote.person, vote.person) in humans:
        return Answer(True, "a second account of somebody bound: nobody inside can know it", is_detectable=False)
    return Answer(True, "eligible and not bound")


@dataclass(frozen=True, slots=True)
class Case:
    """One conflict: `expected` was written down when the case was made, not computed by `may_count`.

    rests_on_reading: the answer follows from a reading that the README argues for, not from the words of the promise alone.
    """

    name: str
    bond: str
    chain: str
    scene: Scene
    vote: Vote
    expected: Answer
    rests_on_reading: bool = False


BOUND = Answer(False, "bound, or acts for somebody who is")
FREE = Answer(True, "eligible and not bound")
IN_PLACE = Answer(False, "in the place of somebody who is bound")
SECOND = Answer(True, "a second account of somebody bound: nobody inside can know it", is_detectable=False)
NOT_IN_GROUP = Answer(False, "in no group of this stage")
ENDED = Answer(False, "no such delegation is in force")
ONCE = Answer(False, "a person counts once")
INACTIVE = Answer(False, "somebody who was deactivated")

# Chain -> who votes, in whose place, who gave whom a delegation, who acts for whom, and the answer if `x` is bound.
# x: the bearer of the bond; f, g: free approvers; o: a person in no group of the stage.
CHAINS: dict[str, tuple[str, str | None, str, str, Answer]] = {
    "himself": ("x", None, "", "", BOUND),
    "in the place of a free approver": ("x", "f", "f>x", "", BOUND),
    "his delegate, in his place": ("f", "x", "x>f", "", BOUND),
    "his delegate, in his own right": ("f", None, "x>f", "", BOUND),
    "his delegate, in the place of another": ("f", "g", "x>f g>f", "", BOUND),
    "the delegate of his delegate": ("g", "f", "x>f f>g", "", BOUND),
    "the delegate of his delegate, in his own right": ("g", None, "x>f f>g", "", BOUND),
    "an outsider in his place": ("o", "x", "x>o", "", BOUND),
    "who acts for him": ("f", None, "", "f>x", BOUND),
    "who acts for somebody who acts for him": ("g", None, "", "g>f f>x", BOUND),
    "the delegate of who acts for him": ("g", "f", "f>g", "f>x", BOUND),
    "who got nothing from him, in his place": ("f", "x", "", "", ENDED),
    "after his delegation ended": ("f", None, "", "", FREE),
    "he acts for a free approver": ("f", None, "", "x>f", FREE),
    "a bystander": ("g", None, "x>f", "", FREE),
    "a free approver in the place of another": ("g", "f", "f>g", "", FREE),
    "an outsider in the place of a free approver": ("o", "f", "f>o", "", FREE),
    "an outsider": ("o", None, "", "", NOT_IN_GROUP),
    "by a second account": ("second", None, "", "", SECOND),
    "who voted already": ("f", None, "", "", ONCE),
    "in the place of who voted already": ("g", "f", "f>g", "", ONCE),
    "who was deactivated": ("f", None, "", "", INACTIVE),
}
# What differs where nobody is bound: the same chains are plain delegations then.
UNBOUND: dict[str, Answer] = {name: FREE for name, chain in CHAINS.items() if chain[4] in (BOUND, SECOND)} | {
    "who got nothing from him, in his place": ENDED
}

READINGS = {
    "his delegate, in his own right",
    "his delegate, in the place of another",
    "the delegate of his delegate",
    "the delegate of his delegate, in his own right",
}


def cases(seed: int = 1, rounds: int = 1) -> Iterator[Case]:
    """Yield every bond x path x chain (1,232 per round), with names, bystanders and other bonds drawn from the seed."""
    source = random.Random(seed)
    for turn in range(rounds):
        for bond in BONDS:
            for path in PATHS:
                for chain in CHAINS:
                    yield _case(source, f"{turn}:{bond}/{path}/{chain}", bond, path, chain)


def _case(source: random.Random, name: str, bond: str, path: str, chain: str) -> Case:
    voter, delegator, delegations, acting, answer = CHAINS[chain]
    people = {letter: f"{letter}-{source.randrange(10**6)}" for letter in ("x", "f", "g", "o", "second", "owner", "starter")}
    passers = frozenset(f"passer-{source.randrange(10**6)}" for _ in range(source.randrange(4)))
    approvers = frozenset(people[letter] for letter in ("x", "f", "g", "second")) | passers
    person = people[voter]
    scene = Scene(
        groups={
            "Approvers": approvers,
            "Others": frozenset([people["o"]]),
            "Doubles": approvers if path == "second_role" else frozenset(),
        },
        stages=(frozenset({"Approvers", "Doubles"}),) if path in ("group", "second_role") else (frozenset({"Approvers"}),),
        delegations=_pairs(delegations, people),
        acting_for=_pairs(acting, people),
        superusers=frozenset([person]) if path == "superuser" else frozenset(),
        voted=frozenset([people["f"]]) if "voted already" in chain else frozenset(),
        inactive=frozenset([people["f"]]) if "deactivated" in chain else frozenset(),
        accounts={people["second"]: people["x"]},
        **_bonds(bond, people),
    )
    expected = UNBOUND.get(chain, answer) if bond == "none" else answer
    vote = Vote(person, path, people[delegator] if delegator else None)
    return Case(name, bond, chain, scene, vote, expected, bond != "none" and chain in READINGS)


def _pairs(text: str, people: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset((people[pair[0]], people[pair[2]]) for pair in text.split())


def _bonds(bond: str, people: Mapping[str, str]) -> dict[str, str | frozenset[str] | None]:
    """Return requester, editors and owner: the bond's bearer is x, the other places belong to people who do not vote."""
    bonds: dict[str, str | frozenset[str] | None] = {
        "requester": people["starter"],
        "agent_owner": people["owner"],
        "editors": frozenset(),
    }
    if bond in ("requester", "requester_and_owner"):
        bonds["requester"] = people["x"]
    if bond in ("agent_owner", "requester_and_owner"):
        bonds["agent_owner"] = people["x"]
    if bond in ("editor", "editor_of_earlier_revision", "review_answerer"):
        bonds["editors"] = frozenset([people["x"]])
    return bonds
