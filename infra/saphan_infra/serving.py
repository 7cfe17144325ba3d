"""On which port a process shows its metrics: the set one, or a free one where another process has that."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from saphan_infra.logs import get_logger
from saphan_infra.metrics import MetricsServer, serve
from saphan_infra.settings import Settings, SettingsError

log = get_logger(__name__)
#: Taken, or too low for whoever is not root: another port of the same address does it.
_OF_THE_PORT = frozenset((errno.EADDRINUSE, errno.EACCES))


@contextmanager
def metrics_served(settings: Settings) -> Iterator[MetricsServer]:
    """Show this process's metrics inside the block. Raises SettingsError when the address is none of this machine's."""
    try:
        server = serve(settings.metrics_host, settings.metrics_port)
    except OSError as error:
        if error.errno not in _OF_THE_PORT:
            message = (
                f"SAPHAN_METRICS_HOST: found {settings.metrics_host!r}, where no metrics can be served ({error}); "
                "expected an address of this machine, such as 127.0.0.1."
            )
            raise SettingsError(message) from error
        log.warning("The metrics port cannot be had; another one is used", port=settings.metrics_port, cause=str(error))
        server = serve(settings.metrics_host, 0)
    log.info("Metrics are served", host=settings.metrics_host, port=server.port)
    try:
        yield server
    finally:
        server.close()
