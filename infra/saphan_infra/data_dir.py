"""What a data directory says about its local services, whether they run or not."""

from pathlib import Path

from saphan_infra.owned_process import read_json


def local_bootstrap(kafka_dir: Path) -> str | None:
    """Address that the local broker of a directory listens on; None before its first start."""
    address = read_json(kafka_dir / "broker.json").get("bootstrap")
    return None if address is None else str(address)


def local_database_url(postgres_dir: Path) -> str | None:
    """SQLAlchemy URL of the local PostgreSQL of a directory; None before its first start."""
    port = read_json(postgres_dir / "postgres.json").get("port")
    try:
        password = (postgres_dir / "password").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    if port is None:
        return None
    return f"postgresql+psycopg://saphan:{password}@127.0.0.1:{port}/saphan"


def checkout_cache_dir() -> Path | None:
    """The download directory of the checkout that this program runs from; None when it is installed."""
    checkout = Path(__file__).parents[2]
    return checkout / ".saphan" / "cache" if (checkout / "pyproject.toml").is_file() else None
