"""With PostgreSQL and S3 the same holds as with SQLite and a folder."""

from tests.unit.feedback.test_corrections import *  # noqa: F403
from tests.unit.feedback.test_opening import (  # noqa: F401
    test_a_database_of_a_later_release_is_refused,
    test_opening_again_keeps_what_is_there,
    test_processes_may_start_at_the_same_time,
    test_the_migrations_make_the_tables_of_the_schema,
)
