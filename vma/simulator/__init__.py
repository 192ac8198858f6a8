"""A VMA that speaks the appliance's contract, with copies that run by themselves and faults on demand."""
