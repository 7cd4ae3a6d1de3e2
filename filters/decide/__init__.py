"""Rules and profiles over stored signals: which documents are kept, and why."""
