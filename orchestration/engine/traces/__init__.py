"""Spans of runs, computed from the journal and sent to an OpenTelemetry collector (docs/guide/traces.md)."""
