"""Questions about a finished run: explain, verify, what-if, sweep, rank, trace."""
