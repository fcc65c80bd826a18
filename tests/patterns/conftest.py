from __future__ import annotations

from tests.children.conftest import no_script as no_script
from tests.children.conftest import starter as starter
