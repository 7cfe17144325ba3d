"""That `saphan state hash` prints the same hashes for the same state and others for another."""

from commands_in_process import Saphan
from in_process import CONTRIBUTIONS, InProcessPlatform, contribution, tell_small_story


def test_the_hash_is_the_same_after_everything_was_published_twice(
    saphan: Saphan, in_process_platform: InProcessPlatform
) -> None:
    tell_small_story(in_process_platform)
    in_process_platform.run()
    first = saphan("state", "hash", "--as-of", "2026-03-01T00:00:00Z", "--json").json
    tell_small_story(in_process_platform)
    in_process_platform.run()
    assert saphan("state", "hash", "--as-of", "2026-03-01T00:00:00Z", "--json").json == first
    assert (first["workers"]["count"], first["alerts"]["count"]) == (6, 4)
    assert first["as_of"] == "2026-03-01T00:00:00Z"
    in_process_platform.publish(CONTRIBUTIONS, contribution(2))
    in_process_platform.run()
    later = saphan("state", "hash", "--as-of", "2026-03-01T00:00:00Z", "--json").json
    assert later["workers"]["hash"] != first["workers"]["hash"]
    assert later["alerts"] == first["alerts"]


def test_people_see_the_same_hashes(saphan: Saphan, in_process_platform: InProcessPlatform) -> None:
    tell_small_story(in_process_platform)
    in_process_platform.run()
    form = saphan("state", "hash", "--json").json
    table = saphan("state", "hash").out
    for shown in (form["state_hash"], form["workers"]["hash"], form["alerts"]["hash"]):
        assert shown in table
