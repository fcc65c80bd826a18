"""Promise 8 by hand, and the generated cases against the oracle."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.oracles.separation_oracle import BONDS, CHAINS, PATHS, Scene, Vote, bound_people, cases, may_count

SCENE = Scene(
    groups={"Finance": frozenset({"root", "fay", "fred", "ed", "olga"}), "Treasury": frozenset({"fay", "tom"})},
    stages=(frozenset({"Finance"}), frozenset({"Treasury"})),
    requester="root",
    editors=frozenset({"ed"}),
    agent_owner="olga",
    superusers=frozenset({"root", "sue"}),
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("person", ["root", "ed", "olga"])
def test_requester_editor_and_owner_are_bound_on_every_path_superusers_too(person, path):
    assert not may_count(SCENE, Vote(person, path)).counts


@pytest.mark.parametrize("path", PATHS)
def test_somebody_else_may_approve_on_every_path(path):
    assert may_count(SCENE, Vote("fay", path)).counts


def test_a_superuser_in_no_group_of_the_stage_may_not():
    assert not may_count(SCENE, Vote("sue", "superuser")).counts
    assert not may_count(SCENE, Vote("tom", "page")).counts


def test_agents_and_the_system_never_vote():
    assert not may_count(SCENE, Vote(None, "command_line")).counts


def test_whoever_acts_for_a_bound_person_is_bound_over_any_number_of_hands():
    scene = replace(SCENE, delegations=frozenset({("root", "fred"), ("fred", "fay")}), acting_for=frozenset({("tom", "fay")}))
    assert bound_people(scene) == {"root", "ed", "olga", "fred", "fay", "tom"}


def test_a_delegation_in_a_circle_ends():
    scene = replace(SCENE, delegations=frozenset({("fred", "fay"), ("fay", "fred")}))
    assert bound_people(scene) == {"root", "ed", "olga"}
    assert may_count(scene, Vote("fay", "delegation", "fred")).counts


def test_giving_a_delegation_binds_nobody():
    scene = replace(SCENE, delegations=frozenset({("fay", "root")}))
    assert may_count(scene, Vote("fay", "page")).counts
    assert not may_count(scene, Vote("root", "delegation", "fay")).counts


def test_a_person_counts_once_in_all_stages():
    second = replace(SCENE, stage=1, voted=frozenset({"fay"}))
    assert may_count(second, Vote("fay", "second_role")).reason == "a person counts once"
    assert may_count(second, Vote("tom", "page")).counts


def test_a_second_account_cannot_be_known_and_the_oracle_says_so():
    scene = replace(SCENE, accounts={"fred": "root"})
    assert may_count(scene, Vote("fred", "page")).counts
    assert not may_count(scene, Vote("fred", "page")).is_detectable


def test_an_unknown_path_is_refused():
    with pytest.raises(ValueError, match="pgae"):
        may_count(SCENE, Vote("fay", "pgae"))


def test_every_generated_case_has_the_answer_and_reason_it_was_made_with():
    wrong = [case.name for case in cases(seed=7) if may_count(case.scene, case.vote) != case.expected]
    assert wrong == []


def test_the_cases_are_distinct_many_and_the_same_for_the_same_seed():
    made = list(cases(seed=7))
    assert len({case.name for case in made}) == len(made) == len(BONDS) * len(PATHS) * len(CHAINS) == 1232
    assert made == list(cases(seed=7))
    assert made != list(cases(seed=8))


def test_refusals_and_admissions_both_occur_for_every_bond_and_path():
    seen = Counter((case.bond, case.vote.path, case.expected.counts) for case in cases(seed=7))
    assert all(seen[bond, path, counts] for bond in BONDS for path in PATHS for counts in (True, False))


@pytest.mark.parametrize(
    "careless",
    [
        pytest.param(lambda scene: replace(scene, requester=None), id="forgets the requester"),
        pytest.param(lambda scene: replace(scene, editors=frozenset()), id="forgets editors"),
        pytest.param(lambda scene: replace(scene, agent_owner=None), id="forgets the owner"),
        pytest.param(lambda scene: replace(scene, acting_for=frozenset()), id="forgets who acts for whom"),
        pytest.param(lambda scene: replace(scene, voted=frozenset()), id="counts a person twice"),
        pytest.param(lambda scene: replace(scene, inactive=frozenset()), id="lets the deactivated vote"),
    ],
)
def test_a_build_that_forgets_a_bond_is_found(careless):
    assert [case for case in cases(seed=7) if may_count(careless(case.scene), case.vote).counts and not case.expected.counts]


def test_a_build_that_forgets_delegation_or_lets_superusers_pass_is_found():
    def without_hands(scene):
        bound = {scene.requester, scene.agent_owner} | scene.editors
        return lambda vote: vote.person not in bound and vote.delegator not in bound

    for build in (without_hands, lambda scene: lambda vote: vote.person in scene.superusers):
        assert [case for case in cases(seed=7) if build(case.scene)(case.vote) and not case.expected.counts]
