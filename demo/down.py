"""`make demo-down`: removes what the demo made, from the local cluster with the cluster itself."""

import os

from demo.kubectl import Kubectl
from demo.story import DEMO_NAMESPACE, SYSTEM_NAMESPACE, is_ours
from demo.target import existing_registry, take_down


def main() -> None:
    """On an existing cluster the release and both namespaces go, where the demo made them; the CRD
    and its objects stay."""
    if not existing_registry(os.environ):
        take_down()
        return
    kubectl = Kubectl({})
    for namespace in (DEMO_NAMESPACE, SYSTEM_NAMESPACE):
        if not is_ours(kubectl, namespace):
            raise SystemExit(
                f"the namespace {namespace} was not made by the demo: nothing is removed"
            )
    kubectl("delete", "namespace", DEMO_NAMESPACE, "--ignore-not-found")
    kubectl.run("helm", "uninstall", "llm-operator", "-n", SYSTEM_NAMESPACE, "--ignore-not-found")
    kubectl("delete", "namespace", SYSTEM_NAMESPACE, "--ignore-not-found")
    print("Removed the release llm-operator and its namespaces; the CRD stays")


if __name__ == "__main__":
    main()
