"""`make demo-down`: removes what the demo made, from the local cluster with the cluster itself."""

import os

from demo.kubectl import Kubectl
from demo.story import DEMO_NAMESPACE, SYSTEM_NAMESPACE
from demo.target import existing_registry, take_down


def main() -> None:
    """On an existing cluster the release and both namespaces go; the CRD and its objects stay."""
    if not existing_registry(os.environ):
        take_down()
        return
    kubectl = Kubectl({})
    kubectl("delete", "namespace", DEMO_NAMESPACE, "--ignore-not-found")
    kubectl.run("helm", "uninstall", "llm-operator", "-n", SYSTEM_NAMESPACE, "--ignore-not-found")
    kubectl("delete", "namespace", SYSTEM_NAMESPACE, "--ignore-not-found")
    print("Removed the release llm-operator and its namespaces; the CRD stays")


if __name__ == "__main__":
    main()
