"""Text as columns: offsets and bytes, words, bits, character classes. What every text kernel stands on."""
