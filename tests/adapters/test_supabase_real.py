"""The contract suite against a project of Supabase's own, where the environment names one; CI asks for none."""

from collections.abc import Iterator

import pytest

from destinations.adapters.supabase import SupabaseAdapter
from tests.adapters.contract import AdapterContract, Site, Stored
from tests.adapters.sql_support import LOCAL
from tests.services import ServiceMissing, free_port
from tests.services.supabase import RealProject, real_project

pytestmark = pytest.mark.databaseless

try:
    REAL: RealProject = real_project()
except ServiceMissing as missing:
    pytest.skip(str(missing), allow_module_level=True)


class TestRealSupabaseContract(AdapterContract):
    @pytest.fixture
    def site(self) -> Iterator[Site]:
        yield Site(
            kind=SupabaseAdapter,
            config={"project_url": REAL.url},
            credentials={"api_key": REAL.key},
            policy=LOCAL,
            read_back=lambda: [Stored(*one) for one in REAL.stored()],
            repeats_leave_one=True,
            unreachable={"project_url": f"http://127.0.0.1:{free_port()}"},
            wrong_config={},
            wrong_credentials={"api_key": "sb_secret_of-another-project"},
            wrong_step="authenticate",
        )
        REAL.clear()

    def test_no_secret_is_shown_anywhere(self, site: Site) -> None:
        pytest.skip("A real key has no mark that could be looked for; the tests' own project shows it.")

    def test_a_private_address_that_is_not_allowed_is_not_dialled(self, site: Site) -> None:
        pytest.skip("A real project's address is public.")
