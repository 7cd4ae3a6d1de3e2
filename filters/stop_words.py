"""Stop words by language: eight of Gopher for English, the FineWeb-2 lists for the others.

Words that white-space splitting never yields alone (French l' and d', dots of Chinese and Japanese) are left out.
"""

_LISTS = {
    "en": "the be to of and that have with",
    "ru": "в и на с года по году из был к не от что за для его как а он также до после",
    "de": "der und die in von im den des mit das er dem als wurde für",
    "fr": "de la le et à en des du les est un une il dans par au",
    "es": "de la en el y a que del los se por un con una las su",
}
_CHARACTERS = {"zh": "的年在月是和日了於為有被人中为他與後也而由", "ja": "のにをはたてがとで年し月れさ"}
STOP_WORDS: dict[str, tuple[str, ...]] = {
    **{language: tuple(words.split()) for language, words in _LISTS.items()},
    **{language: tuple(words) for language, words in _CHARACTERS.items()},
}
