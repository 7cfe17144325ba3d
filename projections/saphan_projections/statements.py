"""How whole rows of a table become SQL statements: inserted, updated, or one or the other."""

from collections.abc import Collection

from sqlalchemy import Table


def insertion(table: Table) -> str:
    """The beginning of an INSERT of whole rows."""
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    return f"INSERT INTO {table.name} ({names})"


def update_of(table: Table, unchanged: Collection[str]) -> str:
    """An UPDATE by primary key, for SQLite, of all columns but those in ``unchanged``; takes whole rows."""
    places = {column.name: place for place, column in enumerate(table.columns, 1)}
    keys = [column.name for column in table.primary_key]
    sets = ", ".join(f'"{name}" = ?{place}' for name, place in places.items() if name not in {*keys, *unchanged})
    condition = " AND ".join(f'"{name}" = ?{places[name]}' for name in keys)
    return f"UPDATE {table.name} SET {sets} WHERE {condition}"  # noqa: S608


def on_conflict(table: Table, newer_by: str | None, unchanged: Collection[str]) -> str:
    """The end of an upsert: which columns of a row that is there are replaced, and when."""
    keys = [column.name for column in table.primary_key]
    values = [column.name for column in table.columns if column.name not in keys and column.name not in unchanged]
    target = ", ".join(f'"{name}"' for name in keys)
    if not values:
        return f"ON CONFLICT ({target}) DO NOTHING"
    sets = ", ".join(f'"{name}" = excluded."{name}"' for name in values)
    guard = f' WHERE excluded."{newer_by}" > {table.name}."{newer_by}"' if newer_by else ""
    return f"ON CONFLICT ({target}) DO UPDATE SET {sets}{guard}"
