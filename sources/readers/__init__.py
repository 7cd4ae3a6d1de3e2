"""Every module here declares readers: ``READERS``, a tuple of ``gristmill.sources.reader.Reader``.

The catalogue finds the modules by listing this folder, so that a new reader is one new file. They are imported to
check a recipe, before anything is read: what needs pyarrow, fastwarc or resiliparse is imported inside functions.
"""
