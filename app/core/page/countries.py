"""Names of the countries that recipients are most often in; of any other the code is told (ISO 3166-1 alpha-2)."""

from collections.abc import Mapping
from typing import Final

_FR: Final = (
    "AT Autriche,BE Belgique,BG Bulgarie,CY Chypre,CZ Tchéquie,DE Allemagne,DK Danemark,EE Estonie,ES Espagne,"
    "FI Finlande,FR France,GR Grèce,HR Croatie,HU Hongrie,IE Irlande,IS Islande,IT Italie,LI Liechtenstein,"
    "LT Lituanie,LU Luxembourg,LV Lettonie,MT Malte,NL Pays-Bas,NO Norvège,PL Pologne,PT Portugal,RO Roumanie,"
    "SE Suède,SI Slovénie,SK Slovaquie,AE Émirats arabes unis,AR Argentine,AU Australie,BR Brésil,CA Canada,"
    "CH Suisse,CN Chine,GB Royaume-Uni,IL Israël,IN Inde,JP Japon,KR Corée du Sud,MA Maroc,MC Monaco,"
    "MG Madagascar,MU Maurice,NZ Nouvelle-Zélande,SN Sénégal,SG Singapour,TN Tunisie,TR Turquie,UA Ukraine,"
    "US États-Unis,UY Uruguay,ZA Afrique du Sud"
)
_EN: Final = (
    "AT Austria,BE Belgium,BG Bulgaria,CY Cyprus,CZ Czechia,DE Germany,DK Denmark,EE Estonia,ES Spain,FI Finland,"
    "FR France,GR Greece,HR Croatia,HU Hungary,IE Ireland,IS Iceland,IT Italy,LI Liechtenstein,LT Lithuania,"
    "LU Luxembourg,LV Latvia,MT Malta,NL Netherlands,NO Norway,PL Poland,PT Portugal,RO Romania,SE Sweden,"
    "SI Slovenia,SK Slovakia,AE United Arab Emirates,AR Argentina,AU Australia,BR Brazil,CA Canada,CH Switzerland,"
    "CN China,GB United Kingdom,IL Israel,IN India,JP Japan,KR South Korea,MA Morocco,MC Monaco,MG Madagascar,"
    "MU Mauritius,NZ New Zealand,SN Senegal,SG Singapore,TN Tunisia,TR Türkiye,UA Ukraine,US United States,"
    "UY Uruguay,ZA South Africa"
)
_NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    language: {each[:2]: each[3:] for each in listed.split(",")} for language, listed in (("fr", _FR), ("en", _EN))
}


def country_name(code: str, language: str) -> str:
    """The name of a country in `fr` or `en`; its code where no name is known here."""
    return _NAMES[language].get(code, code)
