"""Run migrations on the connection that `odum_assets.registry.schema` hands over."""

from alembic import context
from alembic.util import CommandError

connection = context.config.attributes.get("connection")
if connection is None:
    raise CommandError("run `odum registry upgrade`: it knows where the registry lies")
context.configure(
    connection=connection,
    version_table=context.config.attributes["version_table"],
    transactional_ddl=True,
)
context.run_migrations()
