"""What a person is told when a service that the platform needs does not answer, or cannot be used."""


class ServiceUnavailable(ConnectionError):
    """A service did not answer. The text says what was tried and what to do next; commands exit with code 3."""


class BrokerUnavailable(ServiceUnavailable):
    """Kafka did not answer, refused the connection, or no broker is known."""


class DatabaseServerUnavailable(ServiceUnavailable):
    """The local PostgreSQL could not be started or does not answer."""


class DatabaseUnusableError(RuntimeError):
    """The tables are not for this version of Saphan. Waiting does not help; commands exit with code 2."""


class DatabaseTooNewError(DatabaseUnusableError):
    """The tables were made by a later version of Saphan than this one."""


class DatabaseTooOldError(DatabaseUnusableError):
    """An earlier version wrote what this one cannot go on with."""


class DownloadFailed(ServiceUnavailable):
    """A file of the Java services could not be fetched, or is not the one that the lock file names."""
