VARIABLE = "AEGIS_PLANT"


def plant(name: str) -> None:
    pass
