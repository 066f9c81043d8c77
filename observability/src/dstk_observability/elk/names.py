"""What things are called in Elasticsearch and Kibana."""

DATASET, NAMESPACE = "dstk", "default"
DATA_STREAM = f"logs-{DATASET}-{NAMESPACE}"
PATTERN = f"logs-{DATASET}-*"
TEMPLATE = LIFECYCLE = PIPELINE = f"logs-{DATASET}"
UNPARSED = "dstk_unparsed"
"""Tag of a line that is neither of ours nor of etcd: it is kept as it is."""
