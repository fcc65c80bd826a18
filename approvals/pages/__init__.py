"""Screens of the approvals inbox: list, request, decision form."""
