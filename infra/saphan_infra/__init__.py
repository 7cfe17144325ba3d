"""Where the platform runs: settings, broker, databases, metrics, logs, clock."""
