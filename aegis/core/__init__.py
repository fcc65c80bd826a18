"""What every app stands on: no models, no domain."""
