"""The endpoints: one blueprint per file, each file named after its subject."""
