"""The configuration of Filebeat, which reads the lines of the containers, and of Logstash, which hands them on.

Logstash parses nothing: the ingest pipeline does, which tests run on a real server.
"""

from typing import Any

from dstk_observability.elk.names import DATASET, NAMESPACE

BEATS_PORT, HEALTH_PORT = 5044, 9600
ELASTICSEARCH, LOGSTASH = "http://elasticsearch:9200", f"logstash:{BEATS_PORT}"

_DROPPED = [
    "docker",
    "container.labels",
    "agent.ephemeral_id",
    "agent.id",
    "log.flags",
    "host.architecture",
    "host.containerized",
    "host.hostname",
    "host.id",
    "host.ip",
    "host.mac",
    "host.os",
]
"""What Filebeat would add, and no one searches for."""


def filebeat() -> dict[str, Any]:
    """Reads the containers of this Compose project alone. Keeps lines in memory while Logstash does not answer, and stops
    reading when that is full: Docker keeps the files meanwhile.
    """
    reader = {
        "type": "filestream",
        "id": "container-${data.docker.container.id}",
        "paths": ["/var/lib/docker/containers/${data.docker.container.id}/*-json.log"],
        "prospector.scanner.symlinks": True,
        # by inode: by its first KiB, the default, a container that writes less would never be read
        "prospector.scanner.fingerprint.enabled": False,
        "file_identity.native": None,
        "parsers": [{"container": {"stream": "all", "format": "docker"}}],
    }
    project = {"equals": {"docker.container.labels.com_docker_compose_project": "${COMPOSE_PROJECT_NAME:dstk}"}}
    discovery = {"type": "docker", "labels.dedot": True, "templates": [{"condition": project, "config": [reader]}]}
    return {
        "filebeat.autodiscover": {"providers": [discovery]},
        "queue.mem": {"events": 4096, "flush.min_events": 512, "flush.timeout": "1s"},
        "processors": [{"drop_fields": {"fields": _DROPPED, "ignore_missing": True}}],
        "output.logstash": {"hosts": [LOGSTASH], "bulk_max_size": 1024, "timeout": "30s"},
        "setup.template.enabled": False,
        "setup.ilm.enabled": False,
        "logging.level": "warning",
        "logging.to_stderr": True,
        "http": {"enabled": True, "host": "localhost", "port": 5066},
    }


def logstash() -> str:
    """The pipeline: Beats in, the data stream out."""
    return f"""\
input {{
  beats {{
    port => {BEATS_PORT}
    enrich => "none"
  }}
}}

output {{
  elasticsearch {{
    hosts => ["{ELASTICSEARCH}"]
    data_stream => "true"
    data_stream_type => "logs"
    data_stream_dataset => "{DATASET}"
    data_stream_namespace => "{NAMESPACE}"
    # the ingest pipeline sets these fields
    data_stream_sync_fields => "false"
  }}
}}
"""


def logstash_settings() -> dict[str, Any]:
    """What Elasticsearch refuses goes to the dead-letter queue; what it does not take yet waits on disk."""
    return {
        "api.http.host": "0.0.0.0",
        "api.http.port": HEALTH_PORT,
        "path.config": "/usr/share/logstash/pipeline",
        "pipeline.ecs_compatibility": "v8",
        "pipeline.workers": 1,
        "queue.type": "persisted",
        "queue.max_bytes": "256mb",
        "dead_letter_queue.enable": True,
        "dead_letter_queue.max_bytes": "128mb",
        "dead_letter_queue.storage_policy": "drop_older",
        "log.level": "warn",
        "xpack.monitoring.enabled": False,
    }
