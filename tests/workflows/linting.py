"""A sound workflow with one fault planted, and what the lint says."""

from __future__ import annotations

from orchestration.workflows.lint import lint
from tests.workflows.documents import bent


def findings(bend, **options):
    workflow, overlay = bent(bend)
    return lint(workflow, overlay, **options)


def only(bend, **options):
    """The one finding that `bend` plants."""
    found = findings(bend, **options)
    assert len(found) == 1, [str(fault) for fault in found]
    assert found[0].what
    return found[0]
