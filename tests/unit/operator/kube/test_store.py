"""The store is never older than what was put in, and finds objects by their LLMDeployment."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llm_operator.kube.store import Key, Store, pod_essentials, without_managed_fields

OWNER = Key("n", "llama")


def an_object(
    name: str = "a",
    version: int = 1,
    *,
    owner: str | None = "llama",
    uid: str = "u",
    namespace: str = "n",
) -> dict[str, Any]:
    labels = {"llm-operator.dev/deployment": owner} if owner else {}
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid,
            "resourceVersion": str(version),
            "labels": labels,
        }
    }


def test_objects_are_found_by_their_llmdeployment() -> None:
    store = Store()
    for name in "bca":
        store.put(an_object(name))
    store.put(an_object("other", owner="mistral"))
    assert [o["metadata"]["name"] for o in store.of(OWNER)] == ["a", "b", "c"]


def test_an_older_version_never_replaces_a_newer_one() -> None:
    store = Store()
    store.put(an_object(version=9))
    assert store.put(an_object(version=8)) == set()
    assert store.of(OWNER)[0]["metadata"]["resourceVersion"] == "9"


def test_versions_are_compared_as_numbers() -> None:
    store = Store()
    store.put(an_object(version=9))
    store.put(an_object(version=10))
    assert store.of(OWNER)[0]["metadata"]["resourceVersion"] == "10"


def test_news_name_the_llmdeployment_they_concern() -> None:
    store = Store()
    assert store.put(an_object(version=1)) == {OWNER}
    assert store.put(an_object(version=1)) == set()
    assert store.remove(an_object(version=2)) == {OWNER}
    assert store.remove(an_object(version=2)) == set()


def test_a_child_that_changes_its_owner_concerns_both() -> None:
    store = Store()
    store.put(an_object(version=1))
    assert store.put(an_object(version=2, owner="mistral")) == {OWNER, Key("n", "mistral")}
    assert store.of(OWNER) == ()


def test_a_deletion_that_comes_late_does_not_take_the_successor() -> None:
    store = Store()
    store.put(an_object(version=5, uid="new"))
    store.remove(an_object(version=4, uid="old"))
    assert len(store.of(OWNER)) == 1


def test_what_we_deleted_does_not_come_back_by_late_news() -> None:
    store = Store()
    store.put(an_object(version=5))
    store.expect_gone(Key("n", "a"), "u")
    assert store.of(OWNER) == ()
    store.put(an_object(version=6))
    assert store.of(OWNER) == ()


def test_a_successor_of_what_we_deleted_is_seen() -> None:
    store = Store()
    store.put(an_object(version=5))
    store.expect_gone(Key("n", "a"), "u")
    store.put(an_object(version=7, uid="new"))
    store.remove(an_object(version=6))
    assert [o["metadata"]["uid"] for o in store.of(OWNER)] == ["new"]


def test_a_list_removes_what_is_not_in_it() -> None:
    store = Store()
    store.put(an_object("a", 1))
    store.put(an_object("b", 2))
    assert store.replace([an_object("b", 2)], "3") == {OWNER}
    assert [o["metadata"]["name"] for o in store.of(OWNER)] == ["b"]


def test_a_list_does_not_remove_what_we_wrote_after_it_was_made() -> None:
    store = Store()
    store.put(an_object("mine", 8))
    store.replace([], "7")
    assert [o["metadata"]["name"] for o in store.of(OWNER)] == ["mine"]


def test_a_list_of_one_namespace_says_nothing_of_another() -> None:
    store = Store()
    store.replace([an_object(version=5)], "5", "n")
    store.expect_gone(Key("n", "a"), "u")
    store.put(an_object("b", 6, uid="b"))
    assert store.replace([an_object(version=7, namespace="other", uid="o")], "7", "other")
    store.put(an_object("a", 8))
    assert [o["metadata"]["name"] for o in store.of(OWNER)] == ["b"]


def test_a_list_from_a_restored_etcd_is_believed() -> None:
    store = Store()
    store.replace([an_object(version=900)], "1000")
    store.replace([an_object(version=40, uid="older")], "50")
    assert [o["metadata"]["uid"] for o in store.of(OWNER)] == ["older"]


def test_the_end_of_what_we_deleted_is_news() -> None:
    store = Store()
    store.put(an_object(version=5))
    store.expect_gone(Key("n", "a"), "u")
    assert store.remove(an_object(version=6)) == {OWNER}
    assert store.remove(an_object(version=6)) == set()


def test_a_new_version_of_the_same_object_is_no_news() -> None:
    """A heartbeat writes an object as it was, or its book-keeping alone."""
    store = Store()
    store.put(an_object(version=5))
    beat = an_object(version=6)
    beat["metadata"]["managedFields"] = [{"time": "2027-01-01T00:00:00Z"}]
    assert store.put(beat) == set()
    assert store.replace([an_object(version=7)], "7") == set()


def test_a_version_that_was_no_news_is_known_all_the_same() -> None:
    store = Store()
    store.put(an_object(version=5))
    store.put(an_object(version=9))
    assert store.put(an_object(version=8, owner="mistral")) == set()
    assert store.remove(an_object(version=8)) == set()
    assert store.of(OWNER)[0]["metadata"]["resourceVersion"] == "9"


def test_what_is_not_kept_is_no_news() -> None:
    store = Store(slim=pod_essentials)
    pod = {**an_object(version=5), "spec": {"nodeName": "n1", "tolerations": []}}
    store.put(pod)
    assert store.put({**pod, **an_object(version=6), "spec": {"nodeName": "n1"}}) == set()
    assert store.put({**pod, **an_object(version=7), "spec": {"nodeName": "n2"}}) == {OWNER}


def test_the_same_object_made_anew_is_news() -> None:
    store = Store()
    store.put(an_object(version=5))
    assert store.put(an_object(version=6, uid="new")) == {OWNER}


def test_an_object_without_our_label_concerns_nobody() -> None:
    store = Store()
    assert store.put(an_object(owner=None)) == set()
    assert store.remove(an_object(version=2, owner=None)) == set()


def test_nothing_is_left_of_an_llmdeployment_whose_children_are_gone() -> None:
    store = Store()
    store.put(an_object())
    store.remove(an_object(version=2))
    assert not store._by_owner
    assert not store._objects


def test_of_a_kind_that_is_gone_nothing_is_left_and_owners_are_told() -> None:
    store = Store()
    store.put(an_object())
    assert store.clear("elsewhere") == set()
    assert store.clear("n") == {Key("n", "llama")}
    assert not store.all()


def test_an_object_of_a_kind_that_came_back_is_taken_although_one_was_deleted() -> None:
    store = Store()
    store.put(an_object())
    store.expect_gone(Key("n", "a"), an_object()["metadata"]["uid"])
    store.clear()
    assert store.put(an_object(version=9)) == {Key("n", "llama")}


def test_managed_fields_are_not_kept() -> None:
    manifest = {"metadata": {"name": "a", "managedFields": [1]}, "spec": {"x": 1}}
    assert without_managed_fields(manifest) == {"metadata": {"name": "a"}, "spec": {"x": 1}}


def test_of_a_pods_spec_only_the_node_is_kept() -> None:
    pod = {"metadata": {}, "spec": {"nodeName": "n1", "containers": [1]}, "status": {"phase": "x"}}
    assert pod_essentials(pod)["spec"] == {"nodeName": "n1"}
    assert pod_essentials(pod)["status"] == {"phase": "x"}


@given(
    events=st.lists(
        st.tuples(st.sampled_from("abc"), st.booleans(), st.sampled_from(["llama", "m", None])),
        max_size=30,
    )
)
def test_the_index_by_owner_always_agrees_with_the_objects(
    events: list[tuple[str, bool, str | None]],
) -> None:
    store = Store()
    there: dict[str, str | None] = {}
    for version, (name, is_deleted, owner) in enumerate(events, start=1):
        manifest = an_object(name, version, owner=owner, uid=f"{name}{version}")
        if is_deleted:
            store.remove(manifest)
            there.pop(name, None)
        else:
            store.put(manifest)
            there[name] = owner
    for owner in ("llama", "m"):
        found = [o["metadata"]["name"] for o in store.of(Key("n", owner))]
        assert found == sorted(name for name, whose in there.items() if whose == owner)
