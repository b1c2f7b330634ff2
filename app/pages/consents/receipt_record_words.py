"""What a receipt as a document says around the record in it."""

from typing import Final

from app.pages.languages import Catalogue, both

RECORD: Final[Catalogue] = {
    "title": both("Reçu", "Receipt"),
    "made": both("Établi le", "Made on"),
    "not_an_answer": both(
        "Ce reçu dit ce qui a été enregistré, et quand. Il ne dit pas si l’accord vaut encore, et n’autorise personne "
        "à analyser des messages.",
        "This receipt says what was recorded, and when. It does not say whether the consent still stands, and "
        "allows nobody to analyse messages.",
    ),
    "signed": both(
        "Ce document n’est pas signé. Le même reçu, signé, est ci-dessous : d’autres peuvent le vérifier sans ce "
        "service.",
        "This document is not signed. The same receipt, signed, is below: others can check it without this service.",
    ),
    "decision": both("Ce qui a été enregistré", "What was recorded"),
    "dpv:ConsentGiven": both("Accord donné", "Consent given"),
    "dpv:RenewedConsentGiven": both("Accord renouvelé", "Consent renewed"),
    "dpv:ConsentRefused": both("Refus", "Refusal"),
    "dpv:ConsentWithdrawn": both("Accord retiré", "Consent withdrawn"),
    "dpv:ConsentExpired": both("Fin de l’accord", "End of the consent"),
    "dpv:ConsentInvalidated": both("Accord invalidé", "Consent invalidated"),
    "on": both("le", "on"),
    "until": both("jusqu’au", "until"),
    "processing": both("Traitement", "Processing"),
    "version": both("version", "version"),
    "controllers": both("Responsables du traitement", "Controllers"),
    "data": both("Éléments analysés", "What is analysed"),
    "recipients": both("Destinataires", "Recipients"),
    "storage": both("Conservation", "Storage"),
    "notice": both("Empreinte (SHA-256) du texte montré", "SHA-256 of the text that was shown"),
    "withdraw": both("Retirer l’accord", "Withdrawing the consent"),
    "rights": both("Vos droits", "Your rights"),
    "number": both("Numéro", "Number"),
    "jws": both("Reçu signé", "Signed receipt"),
    "eu-gdpr:A7-3": both("retirer votre accord", "withdraw your consent"),
    "eu-gdpr:A15": both("accéder à vos données", "access your data"),
    "eu-gdpr:A16": both("les faire rectifier", "have them rectified"),
    "eu-gdpr:A17": both("les faire effacer", "have them erased"),
    "eu-gdpr:A18": both("faire limiter leur traitement", "have their processing restricted"),
    "eu-gdpr:A20": both("les recevoir pour les porter ailleurs", "receive them to take them elsewhere"),
    "eu-gdpr:A77": both("déposer une réclamation", "lodge a complaint"),
}
