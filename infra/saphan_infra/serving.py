"""On which port a process shows its metrics: the set one, or a free one where another process has that."""

from collections.abc import Iterator
from contextlib import contextmanager

from saphan_infra.logs import get_logger
from saphan_infra.metrics import MetricsServer, serve
from saphan_infra.settings import Settings

log = get_logger(__name__)


@contextmanager
def metrics_served(settings: Settings) -> Iterator[MetricsServer]:
    """Show this process's metrics inside the block."""
    try:
        server = serve(settings.metrics_host, settings.metrics_port)
    except OSError as error:
        log.warning("The metrics port is taken; another one is used", port=settings.metrics_port, cause=str(error))
        server = serve(settings.metrics_host, 0)
    log.info("Metrics are served", host=settings.metrics_host, port=server.port)
    try:
        yield server
    finally:
        server.close()
