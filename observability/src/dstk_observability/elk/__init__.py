"""Logs in Elasticsearch: from the registry of log fields to what Filebeat, Logstash, Elasticsearch and Kibana load."""
