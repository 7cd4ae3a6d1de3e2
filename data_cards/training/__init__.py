"""The page of a training: what its tables hold, as figures and sections; made while it goes on as well."""
