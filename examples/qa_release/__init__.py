"""The reference workflow qa-release: from a test run to tickets and a release that is gated where the risk says so."""
