"""The endpoints, one blueprint a file, named by its subject."""
