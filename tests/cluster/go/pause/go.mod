module llm.local/cluster/pause

go 1.26.0
