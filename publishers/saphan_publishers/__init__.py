"""How an agency's files and programs become feed messages, and what happens to a bad row."""
