"""The reference workflows stand in one installation: `make up` loads them all at once."""

from __future__ import annotations

import pytest

from aegis.core import manifests
from aegis.portal import demo_people
from aegis.portal.demo import examples, load
from approvals import changes


@pytest.mark.django_db
def test_no_two_documents_of_all_the_examples_bear_one_name_and_all_pass_lint_as_one_set(area_rows, settings):
    demo_people.ensure(settings.DATA_DIR)

    folders = [load.EXAMPLE / "manifests", *(example.manifests for example in examples.EXAMPLES)]
    documents = [(one.key, one.document) for one in manifests.read_paths(folders)]  # refuses a name that stands twice

    assert changes.preview(documents, None).faults == []
