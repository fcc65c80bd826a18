"""The workflow `notes` of the guards' desk, its clerk's grant within limits; the clock of the database moves."""

from tests.guards.conftest import _own_clock_and_script, as_ada, zoe

__all__ = ["_own_clock_and_script", "as_ada", "zoe"]
