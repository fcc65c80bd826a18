"""The reference policy by hand: promise 14 and "Three questions" of DESIGN 6."""

import copy

import pytest
import yaml

from tests.oracles.visibility_oracle import FILE, METHODS, PRINCIPALS, RELATIONS, expected, load, matrix, unlisted

PERMISSIONS = load()
RUN = "/api/v1/runs/{run_id}"


def answer(path, method, principal, relation, **more):
    route = next(route for route in PERMISSIONS["routes"] if route["path"] == path)
    found = expected(route, PERMISSIONS["objects"], method, principal, relation, **more)
    return set(found.statuses), found.canaries, found.writes


@pytest.mark.parametrize(
    ("principal", "relation", "status"),
    [
        ("viewer", "own", 200),
        ("viewer", "both", 200),
        ("viewer", "other", 404),
        ("viewer", "none", 404),
        ("viewer", "deleted", 404),
        ("operator", "own", 200),
        ("operator", "other", 404),
        ("auditor", "other", 200),
        ("auditor", "none", 200),
        ("auditor", "deleted", 404),
        ("approver", "own", 404),
        ("security_admin", "own", 404),
        ("superuser", "own", 404),
        ("staff", "own", 404),
        ("not_staff", "own", 404),
    ],
)
def test_who_sees_a_run(principal, relation, status):
    assert answer(RUN, "GET", principal, relation) == ({status}, status == 200, False)


def test_eligible_people_see_the_request_but_not_its_run():
    assert answer("/api/v1/requests/{request_id}", "GET", "approver", "own") == ({200}, True, False)
    assert answer("/api/v1/requests/{request_id}", "GET", "approver", "other") == ({404}, False, False)
    assert answer("/api/v1/runs/{run_id}/events", "GET", "approver", "own") == ({404}, False, False)


def test_visible_without_the_verb_is_403_and_writes_nothing():
    assert answer("/api/v1/runs/{run_id}/rollback", "POST", "viewer", "own") == ({403}, True, False)
    assert answer("/api/v1/runs/{run_id}/rollback", "POST", "viewer", "other") == ({404}, False, False)
    assert answer("/api/v1/runs/{run_id}/rollback", "POST", "operator", "own") == ({200, 201, 202, 409}, True, True)


def test_the_auditor_changes_nothing_anywhere():
    assert answer("/api/v1/agents/{name}/disable", "POST", "auditor", "own") == ({403}, True, False)
    assert (
        not [  # but what is his own: a password, a preference, who votes for him
            route["path"]
            for route, _, principal, _, found in matrix(PERMISSIONS)
            if principal == "auditor" and found.writes and route["object"] != "none"
        ]
    )


def test_who_decides():
    path = "/api/v1/requests/{request_id}/decisions"
    assert answer(path, "POST", "approver", "own") == ({200, 201}, True, True)
    assert answer(path, "POST", "requester_and_approver", "own") == ({403}, True, False)
    assert answer(path, "POST", "operator", "own") == ({403}, True, False)
    assert answer(path, "POST", "superuser", "own") == ({404}, False, False)


def test_a_list_answers_everybody_and_shows_what_is_visible():
    assert answer("/api/v1/runs", "GET", "staff", "own") == ({200}, False, False)
    assert answer("/api/v1/runs", "GET", "viewer", "own") == ({200}, True, False)
    assert answer("/api/v1/runs", "GET", "viewer", "other") == ({200}, False, False)


def test_rights_on_an_area_are_rights_on_each_of_its_objects():
    path = "/api/v1/routing-tables/{name}/replay"
    assert answer(path, "POST", "auditor", "none")[0] == {200}
    assert answer(path, "POST", "security_admin", "own")[0] == {404}


def test_nobody_signed_in_learns_nothing():
    for principal in ("anonymous", "agent_key"):
        for relation in RELATIONS:
            assert answer(RUN, "GET", principal, relation) == ({401, 403}, False, False)


def test_a_masked_field_is_shown_to_nobody_here():
    assert answer(RUN, "GET", "viewer", "own", is_masked=True) == ({200}, False, False)


def test_a_method_that_is_not_listed_is_refused_whoever_asks():
    for principal in PRINCIPALS:
        statuses, _, writes = answer(RUN, "DELETE", principal, "own")
        assert not writes
        assert not {200, 201, 202, 204} & statuses


def test_reading_writes_nothing_and_what_is_hidden_shows_nothing():
    for _, method, _, _, found in matrix(PERMISSIONS):
        assert not (found.writes and method in ("GET", "HEAD", "OPTIONS"))
        assert not (found.canaries and found.statuses == {404})


def test_superuser_and_staff_get_what_a_stranger_gets():
    answers = {}
    for route, method, principal, relation, found in matrix(PERMISSIONS):
        answers.setdefault(principal, []).append((route["path"], method, relation, found))
    assert answers["superuser"] == answers["staff"] == answers["not_staff"]


def test_the_whole_matrix_is_there():
    objects = [route for route in PERMISSIONS["routes"] if route["object"] != "none"]
    others = len(PERMISSIONS["routes"]) - len(objects)
    assert len(list(matrix(PERMISSIONS))) == (len(objects) * len(RELATIONS) + others) * len(METHODS) * len(PRINCIPALS)
    assert len(PRINCIPALS) == 11


def test_paths_without_entry_and_entries_without_path_are_named():
    paths = [route["path"] for route in PERMISSIONS["routes"]]
    assert unlisted(paths, PERMISSIONS) == ([], [])
    assert unlisted([*paths[1:], "/new"], PERMISSIONS) == (["/new"], [paths[0]])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda found: found["routes"][0].update(verbs="view"),
        lambda found: found["routes"][0].update(object="rnu"),
        lambda found: found["routes"][0].update(door="window"),
        lambda found: found["routes"][0].pop("shape"),
        lambda found: found["routes"][0]["methods"].update(GET={"verb": "veiw", "ok": [200]}),
        lambda found: found["routes"][0]["methods"].update(GET={"verb": "view", "ok": [200], "writes": True}),
        lambda found: found["routes"][0]["methods"].update(FETCH={"verb": "view", "ok": [200]}),
        lambda found: found["routes"].append(copy.deepcopy(found["routes"][0])),
        lambda found: found["objects"].update(run={"follows": "event"}),
        lambda found: found["objects"].update(run={}),
    ],
)
def test_a_file_that_says_something_else_is_refused(spoil, tmp_path):
    found = yaml.safe_load(FILE.read_text())
    spoil(found)
    path = tmp_path / "permissions.yaml"
    path.write_text(yaml.safe_dump(found))
    with pytest.raises(ValueError, match=r"[:]"):
        load(path)
