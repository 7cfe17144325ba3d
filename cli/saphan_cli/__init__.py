"""The command saphan."""
