"""The front door: version and command line. The mill itself stands in the rooms beside this folder."""

__version__ = "0.1.0"
