"""Diagrams as SVG: laid out here, no program and no font needed at run time."""

from fsm.render.svg.draw import svg

__all__ = ["svg"]
