"""Stop words by language: eight of Gopher for English, the FineWeb-2 lists for the others.

Words that white-space splitting never yields alone (French l' and d', dots of Chinese and Japanese) are left out.
"""

STOP_WORDS: dict[str, tuple[str, ...]] = {
    "en": tuple("the be to of and that have with".split()),
    "zh": tuple("的年在月是和日了於為有被人中为他與後也而由"),
    "ja": tuple("のにをはたてがとで年し月れさ"),
    "ru": tuple("в и на с года по году из был к не от что за для его как а он также до после".split()),
    "de": tuple("der und die in von im den des mit das er dem als wurde für".split()),
    "fr": tuple("de la le et à en des du les est un une il dans par au".split()),
    "es": tuple("de la en el y a que del los se por un con una las su".split()),
}
