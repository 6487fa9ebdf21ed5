"""Dashboards, alerts, recording rules and the queries of autoscalers. ``python -m k8s.monitoring`` writes the files."""
