"""Each change of the tables, never edited once released: a later change is a new module that names this one before it."""
