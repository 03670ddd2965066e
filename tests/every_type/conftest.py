"""The servers and receivers of all types, as the tests of each type have them."""

import pytest

from tests.adapters.conftest import bare_project as bare_project
from tests.adapters.conftest import mysql_place as mysql_place
from tests.adapters.conftest import mysql_server as mysql_server
from tests.adapters.conftest import plain_server as plain_server
from tests.adapters.conftest import postgres_place as postgres_place
from tests.adapters.conftest import project as project
from tests.adapters.conftest import sink as sink
from tests.adapters.conftest import supabase_server as supabase_server

pytest.register_assert_rewrite("tests.every_type.receivers")  # it compares, and has to say what differs
