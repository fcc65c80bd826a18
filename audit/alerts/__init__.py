"""Alerts: rules over closed windows of the metrics, and what they find. Rules and their evaluation are pure."""
