"""Finds out whether a picture was manipulated, where, and how."""
