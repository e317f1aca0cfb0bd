module llm.local/cluster/gateway-api

go 1.26.0

// The Gateway API that the Gateway of the tests (../traefik) is made for.
require sigs.k8s.io/gateway-api v1.4.0
