"""The fixtures of these tests are those of tests/worlds.py; its names can be had from here too."""

from worlds import Rest, World, leg

__all__ = ["Rest", "World", "leg"]
