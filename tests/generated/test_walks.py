"""Random definitions of the whole language, walked on random paths on this database, by workers that die.

How many: 25 definitions x 4 paths here; `python -m tests.generated` does 200 x 20.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.generated import promises
from tests.generated.walks import Walk

IN_HOUSE = 5  # definitions that share a house: its agents, records, resources and people
HOUSES = [int(word) for word in os.environ.get("AEGIS_GENERATED_HOUSES", "0,1,2,3,4").split(",")]
PATHS = int(os.environ.get("AEGIS_GENERATED_PATHS", "4"))
RESULTS = os.environ.get("AEGIS_GENERATED_RESULTS", "")  # a file to which each house that keeps its promises adds a line
ROUNDS = 5

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("house", HOUSES)
def test_walks_of_generated_definitions_keep_every_promise(house, area_rows):
    walk = Walk(house, range(house * IN_HOUSE, (house + 1) * IN_HOUSE), PATHS)
    walk.found()
    walk.live(ROUNDS)

    counted = promises.hold(walk)

    if RESULTS:
        with Path(RESULTS).open("a") as out:
            out.write(json.dumps({"house": house, **counted}, sort_keys=True) + "\n")
