"""The gate between nights: what a run is like beside the good ones before it, and whether a person has to look."""
