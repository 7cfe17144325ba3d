"""How the tables came to be: one module for each change under ``versions``, run in order by saphan_projections.migrate."""
