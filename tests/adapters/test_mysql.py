"""What an operator finds in the tables of a MySQL destination."""

import pytest

from destinations.adapters.base import Outcome
from tests.adapters.contract import CANARY
from tests.adapters.erasing import ErasingContract
from tests.adapters.mysql_support import MysqlPlace
from tests.adapters.sql_rows_suite import SqlContract, SqlRepeats, SqlSamples
from tests.adapters.sql_support import daily, event, news, outcomes, sample
from tests.services.mariadb import MariadbServer

pytestmark = pytest.mark.databaseless


class TestMysqlContract(ErasingContract, SqlContract):
    @pytest.fixture
    def place(self, mysql_server: MariadbServer) -> MysqlPlace:
        return MysqlPlace(
            mysql_server, mysql_server.create_user_with_page_grants(password=f"{CANARY}-p\u00e4ssw\u014drd")
        )


class TestMysqlSamples(SqlSamples):
    @pytest.fixture(scope="class")
    def shared_place(self, mysql_server: MariadbServer) -> MysqlPlace:
        return MysqlPlace(mysql_server, mysql_server.create_user_with_page_grants())


class TestMysqlRepeats(SqlRepeats):
    @pytest.fixture
    def place(self, mysql_place: MysqlPlace) -> MysqlPlace:
        return mysql_place


def test_tables_are_made_with_the_columns_and_types_of_the_page(mysql_place: MysqlPlace) -> None:
    mysql_place.adapter().deliver([sample("activity")])
    key, text, moment = "varchar(191) utf8mb4_bin", "text utf8mb4_bin", "datetime(6)"
    found = mysql_place.server.run(
        "SELECT table_name, GROUP_CONCAT(CONCAT_WS(' ', column_name, column_type, collation_name) "
        "ORDER BY ordinal_position SEPARATOR ', ') FROM information_schema.columns "
        f"WHERE table_schema = '{mysql_place.login.database}' GROUP BY 1 ORDER BY 1"
    )
    assert dict(found) == {
        "terra_data_payloads": f"payload_id {key}, user_id {key}, data_type {text}, created_at {moment}, "
        f"start_time {moment}, end_time {moment}, payload_url {text}",
        "terra_other_payloads": f"payload_id {key}, user_id {key}, payload_type {text}, created_at {moment}, "
        f"payload_url {text}",
        "terra_users": f"user_id {key}, reference_id {text}, created_at {moment}, granted_scopes {text}, "
        f"provider {text}, state {text}",
    }


def test_moments_are_in_utc_to_the_microsecond_whatever_zone_the_server_is_in(mysql_place: MysqlPlace) -> None:
    mysql_place.run("SET GLOBAL time_zone = '+05:30'")
    try:
        adapter = mysql_place.adapter()
        items = [{"metadata": {"start_time": "2026-07-01T08:00:00.123456+02:00"}}]
        assert outcomes(adapter.deliver([event({"type": "sleep", "data": items})])) == [Outcome.DELIVERED]
        adapter.close()
    finally:
        mysql_place.run("SET GLOBAL time_zone = 'SYSTEM'")
    ((start,),) = mysql_place.rows("terra_data_payloads", "CAST(start_time AS CHAR)")
    assert start == "2026-07-01 06:00:00.123456"


def test_ids_that_differ_in_spaces_at_their_end_are_one_user(mysql_place: MysqlPlace) -> None:
    adapter = mysql_place.adapter()
    for batch in ([daily("a"), daily("a  ")], [news("deauth", user_id="a ")]):
        assert set(outcomes(adapter.deliver(batch))) == {Outcome.DELIVERED}
    adapter.close()
    assert mysql_place.rows("terra_users", "user_id, state") == [("a", "deauth")]
