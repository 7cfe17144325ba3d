"""What the records mean: who a worker is, what is known of them and which alerts that gives, as pure functions and as rows."""
