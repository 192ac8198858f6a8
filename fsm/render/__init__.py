"""Pictures of the machine, made from the specification."""
