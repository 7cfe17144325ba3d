"""Who is told what: alert delivery to the SSO and the committee's metrics."""
