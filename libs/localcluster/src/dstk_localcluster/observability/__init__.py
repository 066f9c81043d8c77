"""What watches a local cluster on request: Prometheus, Alertmanager and Jaeger, as far as they are on PATH.

Their configuration is that of the compose stack: `shipped` has copies of the files in `observability/`, since an installation
has no repository. Only addresses differ, which Prometheus reads from files and Jaeger from variables.
"""
