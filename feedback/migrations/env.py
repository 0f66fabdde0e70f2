"""What Alembic runs to bring a database up to date, in the transaction of ``feedback.opening``."""

from alembic import context

from feedback.schema import Base

context.configure(context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
