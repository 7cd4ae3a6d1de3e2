"""A scheduled run from outside: retries, who is informed, what a page shows of it, and when it was due."""
