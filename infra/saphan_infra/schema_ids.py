"""Which schema ids a process writes: the lock file's, or a registry's where one is set."""

from saphan_infra.availability import ServiceUnavailable
from saphan_infra.settings import Settings, SettingsError
from saphan_schemas.catalogue import use_catalogue
from saphan_schemas.registry import RegistryRefused, RegistryUnavailable
from saphan_schemas.registry_ids import REGISTRY_IDS_FILE, catalogue_for


def use_schema_ids(settings: Settings) -> None:
    """Use the ids of SAPHAN_SCHEMA_REGISTRY_URL in this process, if it is set; messages with the lock's are still read.

    The registry is asked once and its ids are kept in the data directory. Raises ServiceUnavailable, SettingsError.
    """
    if settings.schema_registry_url is None:
        return
    try:
        use_catalogue(catalogue_for(settings.schema_registry_url, settings.data_dir / REGISTRY_IDS_FILE))
    except RegistryUnavailable as away:
        raise ServiceUnavailable(str(away)) from away
    except (RegistryRefused, ValueError) as refused:
        # Each says itself what to do: pushing helps against a missing schema only.
        message = f"SAPHAN_SCHEMA_REGISTRY_URL: {refused}"
        raise SettingsError(message) from refused
