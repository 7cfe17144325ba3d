"""How Alembic runs the changes: on the connection that saphan_projections.migrate hands over, in its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
