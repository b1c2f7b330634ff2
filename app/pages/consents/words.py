"""What the consent page says to an adult around the hashed text (`app.core.page.text`): frame, buttons, state."""

from typing import Final

from app.pages.words import Catalogue, both

_AWAITING: Final = both(
    "Un des deux accords est enregistré, de l’enfant ou du titulaire de l’autorité parentale. Il manque l’autre : rien "
    "n’est analysé d’ici là.",
    "One of the two consents is recorded, the child’s or that of the holder of parental responsibility. The other is "
    "missing: nothing is analysed until then.",
)

CONSENT: Final[Catalogue] = {
    "title_ended": both("Ce lien n’est plus valable", "This link no longer works"),
    "account": both("Votre compte :", "Your account:"),
    "withdraw_intro": both(
        "Il suffit d’appuyer sur le bouton. L’analyse cesse aussitôt.",
        "Just press the button. The analysis stops at once.",
    ),
    "over": both(
        "Ce lien ne permet plus de répondre. Il permet encore de retirer un accord en vigueur.",
        "This link can no longer be used to answer. It can still be used to withdraw a consent in force.",
    ),
    "undecided": both(
        "Vous n’avez pas encore répondu : aucun accord n’est enregistré.",
        "You have not answered yet: no consent is recorded.",
    ),
    "holds": both("Vous avez accepté", "You accepted"),
    "holds_until": both("Accord en vigueur jusqu’au", "Consent in force until"),
    "lapsed": both("Votre accord n’est plus en vigueur.", "Your consent is no longer in force."),
    "lapsed_was": both("Vous aviez accepté", "You had accepted"),
    "awaiting_theirs": _AWAITING,
    "awaiting_mine": _AWAITING,
    "awaiting_since": both("Le premier accord a été donné", "The first consent was given"),
    "invalid": both("Aucun accord valable n’est enregistré.", "No valid consent is recorded."),
    "invalidated": both(
        "Votre accord ne vaut plus : ce que vous aviez accepté a été invalidé. Rien n’est analysé sur cette base.",
        "Your consent no longer counts: what you accepted has been invalidated. Nothing is analysed on that basis.",
    ),
    "struck": both(
        "Ce qui vous était demandé a été invalidé : rien ne vous est demandé avant qu’un autre texte ne le remplace.",
        "What was asked of you has been invalidated: nothing is asked until another text takes its place.",
    ),
    "refused": both("Vous avez refusé", "You refused"),
    "refused_effect": both("Vos messages ne sont pas analysés pour cela.", "Your messages are not analysed for this."),
    "withdrawn_effect": both(
        "Vos messages ne sont plus analysés pour cela.", "Your messages are no longer analysed for this."
    ),
    "withdrawn": both("Vous avez retiré votre accord", "You withdrew your consent"),
    "on": both("le", "on"),
    "inactive": both(
        "Ce traitement est suspendu ou a pris fin : rien n’est analysé et rien ne vous est demandé.",
        "This processing is suspended or has ended: nothing is analysed and nothing is asked of you.",
    ),
    "refuse_all": both("Je refuse tout", "I refuse everything"),
    "withdraw_all": both("Je retire tous mes accords", "I withdraw all my consents"),
    "read_again": both("Relire ce qui vous a été demandé", "Read again what was asked"),
    "read_today": both("Lire le texte d’aujourd’hui", "Read today’s text"),
    "text_changed_since": both(
        "Le texte ci-dessous est celui d’aujourd’hui ; votre réponse porte sur la version",
        "The text below is today’s; your answer is about version",
    ),
    "proof": both("Preuve", "Proof"),
    "fingerprint": both("Empreinte SHA-256 de ce texte", "SHA-256 fingerprint of this text"),
    "version": both("version", "version"),
    "receipt": both("Reçu : réponse n°", "Receipt: answer no."),
    "keep_link": both(
        "Gardez ce lien : il montre vos réponses et permet d’en changer. Ne le transmettez à personne : toute personne "
        "qui le détient peut répondre à votre place.",
        "Keep this link: it shows your answers and lets you change them. Pass it on to nobody: whoever has it can "
        "answer in your place.",
    ),
    "shown_until": both(
        "Ce lien permet seulement de consulter vos réponses, jusqu’au {until}. Pour en changer, demandez un nouveau "
        "lien au service qui vous a envoyé celui-ci.",
        "This link now only shows your answers, until {until}. To change them, ask for a new link from the service "
        "that sent you this one.",
    ),
    "keep_withdraw": both(
        "Gardez ce lien : il montre vos réponses et permet de retirer un accord en vigueur. Ne le transmettez à "
        "personne : toute personne qui le détient peut le faire à votre place.",
        "Keep this link: it shows your answers and lets you withdraw a consent in force. Pass it on to nobody: whoever "
        "has it can do that in your place.",
    ),
    "asks_until": both("Vous pouvez répondre ici jusqu’au", "You can answer here until"),
    "all_answered": both("Vos réponses sont enregistrées.", "Your answers are recorded."),
    "already_sent": both(
        "Ce formulaire avait déjà été envoyé. Votre réponse n’a été enregistrée qu’une fois. Voici votre situation.",
        "This form had been sent before. Your answer was recorded once only. This is where you stand.",
    ),
    "text_changed": both(
        "Le texte a changé depuis que vous avez ouvert la page. Rien n’a été enregistré. Voici le nouveau texte : "
        "répondez de nouveau si vous le souhaitez.",
        "The text has changed since you opened the page. Nothing was recorded. This is the new text: answer again if "
        "you wish.",
    ),
    "quality_not_stated": both(
        "Pour accepter, dites d’abord à quel titre vous répondez. Rien n’a été enregistré.",
        "To accept, first say in which capacity you answer. Nothing was recorded.",
    ),
    "outdated": both(
        "La situation a changé depuis que vous avez ouvert la page. Rien n’a été enregistré. Voici votre situation.",
        "Things have changed since you opened the page. Nothing was recorded. This is where you stand.",
    ),
    "title_unknown": both(
        "Nous ne savons pas si votre réponse est enregistrée", "We do not know whether your answer was recorded"
    ),
    "unknown_why": both(
        "Une panne nous a empêchés de le vérifier. Rechargez la page : elle montre ce qui est enregistré, et vous "
        "pourrez répondre de nouveau si besoin. Une réponse n’est jamais comptée deux fois.",
        "A failure kept us from making sure. Load the page again: it shows what is recorded, and you can answer again "
        "if need be. No answer is ever counted twice.",
    ),
    "ended_why": both(
        "Il a expiré, il est incomplet, il a été désactivé, ou le compte qu’il concernait a été fermé.",
        "It has expired, it is incomplete, it was disabled, or the account that it was about was closed.",
    ),
    "ended_what": both(
        "Vérifiez que l’adresse est entière. Pour répondre ou retirer un accord, demandez un nouveau lien au service "
        "qui vous a envoyé celui-ci.",
        "Check that the address is whole. To answer or to withdraw a consent, ask for a new link from the service that "
        "sent you this one.",
    ),
    "declined": both(
        "Vous avez choisi de ne pas le renouveler : il cesse à cette date.",
        "You chose not to renew it: it ends on that date.",
    ),
    "for": both("pour", "for"),
    "common": both("Qui est responsable, vos droits, la loi", "Who is responsible, your rights, the law"),
    "all_details": both("Tout savoir avant de répondre", "Everything to know before you answer"),
    "all_refuse": both("Tout refuser en une fois", "Refuse everything at once"),
    "all_withdraw": both("Tout retirer en une fois", "Withdraw everything at once"),
    "receipt_text": both("empreinte du texte montré", "fingerprint of the text shown"),
    "receipt_save": both("Reçu de vos réponses, à conserver :", "Receipt of your answers, to keep:"),
    "receipt_html": both("à lire ou à imprimer", "to read or print"),
    "receipt_json": both("pour un logiciel (JSON)", "for software (JSON)"),
    "receipt_signed": both("Reçu signé, que d’autres peuvent vérifier :", "Signed receipt, which others can check:"),
    "receipt_early": both(
        "Un reçu pris dans la minute qui suit une réponse n’a pas encore la preuve que le journal la contient.",
        "A receipt taken within a minute of an answer does not have the proof yet that the log holds it.",
    ),
    "receipt_title": both("Reçu de vos réponses", "Receipt of your answers"),
    "receipt_file": both("recu-de-consentement", "consent-receipt"),
    "receipt_made": both("Établi le", "Made on"),
    "receipt_unsigned": both(
        "Ce reçu n’est pas signé : la page en propose un autre, signé, que d’autres peuvent vérifier.",
        "This receipt is not signed: the page offers another that is, which others can check.",
    ),
    "receipt_controller": both("Responsable du traitement", "Data controller"),
    "receipt_event": both("Numéro de la réponse", "Number of the answer"),
    "receipt_processing": both("Traitement", "Processing"),
    "receipt_fingerprint": both("Empreinte SHA-256 du texte montré", "SHA-256 fingerprint of the text shown"),
    "receipt_page": both("Empreinte SHA-256 de la page montrée", "SHA-256 fingerprint of the page shown"),
    "receipt_shown": both("Texte montré", "Text shown"),
    "return_to": both("Retourner à", "Return to"),
    "recompute": both(
        "Elle se recalcule depuis cette page : titre, premières lignes, nom du traitement, boutons, chaque question et "
        "chaque réponse, dans l’ordre, une par ligne, dates remplacées par « … », espaces réduits à un seul, en UTF-8 "
        "(NFC).",
        "Anyone can compute it from this page: title, first lines, name of the processing, buttons, each question and "
        "each answer, in order, one a line, dates replaced by “…”, white space reduced to single spaces, in UTF-8 "
        "(NFC).",
    ),
}
