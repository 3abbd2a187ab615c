"""Forgeries made from authentic photos, with mask, type and recipe. Needs the extra `train`."""
