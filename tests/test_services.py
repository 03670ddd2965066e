"""What a run does where a server that it needs is missing."""

import pytest

from tests.services import ServiceMissing, azurite, mariadb, npm, provide
from tests.services import postgres as postgres_service

pytestmark = pytest.mark.databaseless


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_service, "_newest_binaries", lambda: None)
    monkeypatch.setattr(mariadb, "_binaries", lambda: None)
    monkeypatch.setattr(npm, "_node", lambda: None)
    for name in ("CI", "HUB_TEST_INSTALL", "HUB_TEST_POSTGRES", "HUB_TEST_MYSQL"):
        monkeypatch.delenv(name, raising=False)


def test_a_test_without_its_server_is_skipped_by_name() -> None:
    with pytest.raises(pytest.skip.Exception, match="HUB_TEST_POSTGRES=postgresql://"):
        provide(postgres_service.start)
    with pytest.raises(pytest.skip.Exception, match="HUB_TEST_MYSQL=mysql://"):
        provide(mariadb.start)
    with pytest.raises(pytest.skip.Exception, match=r"Node\.js 18 .* HUB_TEST_AZURE=<connection"):
        provide(azurite.start)


def test_with_ci_a_missing_server_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ServiceMissing("PostgreSQL is missing.")

    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="is missing"):
        provide(missing)
