"""What the consent page says around the hashed text to those under 18 and to parents, where it is not adults' words.

As in `app.core.page.words_young`: short sentences and `tu` for the young; to a parent or guardian the child is a third
person.
"""

from collections.abc import Mapping
from typing import Final

from app.core.page.catalogue import Audience
from app.pages.consents.words import CONSENT
from app.pages.rendering import words
from app.pages.words import Catalogue, Language, both

_YOUNG: Final[Catalogue] = {
    "account": both("Ton compte :", "Your account:"),
    "withdraw_intro": both(
        "Appuie sur le bouton : l’analyse s’arrête aussitôt.", "Press the button: the analysis stops at once."
    ),
    "over": both(
        "Avec ce lien, tu ne peux plus répondre. Tu peux encore retirer ton accord.",
        "You cannot answer by this link any more. You can still withdraw your consent.",
    ),
    "undecided": both("Tu n’as pas encore répondu.", "You have not answered yet."),
    "holds": both("Tu as dit oui", "You said yes"),
    "holds_until": both("Ton accord dure jusqu’au", "Your consent lasts until"),
    "lapsed": both("Ton accord est fini.", "Your consent has ended."),
    "lapsed_was": both("Tu avais dit oui", "You had said yes"),
    "invalid": both("Aucun accord qui compte n’est noté.", "No consent that counts is noted."),
    "invalidated": both(
        "Ton accord ne compte plus : ce que tu avais lu n’était pas correct. Rien n’est analysé.",
        "Your consent no longer counts: what you had read was not correct. Nothing is analysed.",
    ),
    "struck": both(
        "Le texte de cette question n’était pas correct. On ne te demande rien pour le moment.",
        "The text of this question was not correct. Nothing is asked of you for the moment.",
    ),
    "refused": both("Tu as dit non", "You said no"),
    "refused_effect": both("Tes messages ne sont pas analysés pour cela.", "Your messages are not analysed for this."),
    "withdrawn": both("Tu as retiré ton accord", "You withdrew your consent"),
    "withdrawn_effect": both(
        "Tes messages ne sont plus analysés pour cela.", "Your messages are no longer analysed for this."
    ),
    "inactive": both(
        "Cette analyse est arrêtée. On ne te demande rien.", "This analysis is stopped. Nothing is asked of you."
    ),
    "read_again": both("Relire ce qu’on t’a demandé", "Read again what you were asked"),
    "text_changed_since": both(
        "Ce texte est celui d’aujourd’hui. Ta réponse était pour la version",
        "This is today’s text. Your answer was about version",
    ),
    "keep_link": both(
        "Garde ce lien : tu y vois tes réponses, et tu peux en changer. Ne le donne à personne : quelqu’un d’autre "
        "pourrait répondre à ta place.",
        "Keep this link: it shows your answers, and you can change them. Give it to nobody: somebody else could answer "
        "in your place.",
    ),
    "keep_withdraw": both(
        "Garde ce lien : tu y vois tes réponses, et tu peux retirer ton accord. Ne le donne à personne : quelqu’un "
        "d’autre pourrait le faire à ta place.",
        "Keep this link: it shows your answers, and you can withdraw your consent. Give it to nobody: somebody else "
        "could do that in your place.",
    ),
    "shown_until": both(
        "Ce lien montre seulement tes réponses, jusqu’au {until}. Pour en changer, demande un nouveau lien au service.",
        "This link only shows your answers, until {until}. To change them, ask the service for a new link.",
    ),
    "asks_until": both("Tu peux répondre ici jusqu’au", "You can answer here until"),
    "all_answered": both("Ta réponse est notée.", "Your answer is noted."),
    "already_sent": both(
        "Tu avais déjà envoyé cette réponse. Elle ne compte qu’une fois. Voici où tu en es.",
        "You had sent this answer before. It counts once only. This is where you stand.",
    ),
    "text_changed": both(
        "Le texte a changé pendant que tu le lisais. Rien n’est noté. Voici le nouveau texte : réponds de nouveau si "
        "tu veux.",
        "The text changed while you were reading it. Nothing was noted. This is the new text: answer again if you "
        "want.",
    ),
    "outdated": both(
        "Quelque chose a changé depuis que tu as ouvert la page. Rien n’est noté. Voici où tu en es.",
        "Something has changed since you opened the page. Nothing was noted. This is where you stand.",
    ),
    "declined": both(
        "Tu as choisi de ne pas continuer : il s’arrête à cette date.", "You chose not to go on: it ends on that date."
    ),
    "common": both("Qui est responsable, tes droits, la loi", "Who is responsible, your rights, the law"),
    "all_details": both("Tout savoir avant de répondre", "Everything to know before you answer"),
    "receipt_save": both("Une copie de tes réponses, à garder :", "A copy of your answers, to keep:"),
    "receipt_title": both("Reçu de tes réponses", "Receipt of your answers"),
}

_CHILD: Final[Catalogue] = {
    "holds": both("Les deux accords sont donnés, le dernier", "Both consents are given, the last one"),
    "holds_until": both("Tes messages peuvent être analysés jusqu’au", "Your messages may be analysed until"),
    "lapsed": both("Les deux accords sont finis.", "Both consents have ended."),
    "lapsed_was": both("Le dernier avait été donné", "The last one had been given"),
    "refused": both("L’un des deux a dit non", "One of the two said no"),
    "withdrawn": both("L’un des deux a retiré son accord", "One of the two withdrew"),
    "awaiting_theirs": both(
        "Ton accord est noté. Il manque celui de ton parent, ou de la personne responsable de toi. Rien n’est analysé "
        "d’ici là.",
        "Your yes is noted. The one of your parent, or of whoever is responsible for you, is missing. Nothing is "
        "analysed until then.",
    ),
    "awaiting_mine": both(
        "Ton parent, ou la personne responsable de toi, a dit oui. Il manque ton accord. Rien n’est analysé d’ici là.",
        "Your parent, or whoever is responsible for you, said yes. Your yes is missing. Nothing is analysed until "
        "then.",
    ),
    "awaiting_since": both("Le premier accord a été donné", "The first yes was given"),
    "under_15_title": both("Cette page n’est pas pour toi", "This page is not for you"),
    "under_15": both(
        "Tu as moins de 15 ans. Il faut ton accord et celui d’un parent, ou de la personne responsable de toi. Sans "
        "ces deux accords, donnés d’une autre façon, tes messages ne sont pas analysés pour cela.",
        "You are under 15. We need your yes, and a yes from a parent or whoever is responsible for you. Without both, "
        "given in another way, your messages are not analysed for this.",
    ),
    "under_15_nothing": both("Cette page n’enregistre rien.", "This page records nothing."),
    "under_15_withdraws": both(
        "Ici, tu ne peux dire ni oui ni non. Tu peux seulement retirer un accord déjà donné.",
        "Here you can say neither yes nor no. You can only withdraw a consent given before.",
    ),
}

_PARENT: Final[Catalogue] = {
    "account": both("Compte de l’enfant :", "The child’s account:"),
    "holds": both("Les deux accords sont donnés, le dernier", "Both consents are given, the last one"),
    "holds_until": both("Accords en vigueur jusqu’au", "Consents in force until"),
    "lapsed": both("Les deux accords ne sont plus en vigueur.", "Both consents are no longer in force."),
    "lapsed_was": both("Le dernier avait été donné", "The last one had been given"),
    "refused": both("L’un des deux a refusé", "One of the two refused"),
    "refused_effect": both(
        "Les messages de l’enfant ne sont pas analysés pour cela.", "The child’s messages are not analysed for this."
    ),
    "withdrawn": both("L’un des deux a retiré son accord", "One of the two withdrew their consent"),
    "withdrawn_effect": both(
        "Les messages de l’enfant ne sont plus analysés pour cela.",
        "The child’s messages are no longer analysed for this.",
    ),
    "awaiting_theirs": both(
        "Votre accord est noté. Il manque celui de l’enfant. Rien n’est analysé d’ici là.",
        "Your consent is recorded. The child’s is missing. Nothing is analysed until then.",
    ),
    "awaiting_mine": both(
        "L’accord de l’enfant est noté. Il manque le vôtre. Rien n’est analysé d’ici là.",
        "The child’s consent is recorded. Yours is missing. Nothing is analysed until then.",
    ),
    "awaiting_since": both("Le premier accord a été donné", "The first consent was given"),
    "invalidated": both(
        "Ces accords ne valent plus : ce qui avait été accepté a été invalidé. Rien n’est analysé sur cette base.",
        "These consents no longer count: what was accepted has been invalidated. Nothing is analysed on that basis.",
    ),
    "common": both(
        "Qui est responsable, les droits de l’enfant, la loi", "Who is responsible, the child’s rights, the law"
    ),
}

CONSENT_FOR: Final[Mapping[Audience, Catalogue]] = {
    Audience.ALONE: CONSENT,
    Audience.TEEN: {**CONSENT, **_YOUNG},
    Audience.CHILD: {**CONSENT, **_YOUNG, **_CHILD},
    Audience.PARENT: {**CONSENT, **_PARENT},
}


def words_for(audience: Audience, language: Language) -> dict[str, str]:
    """What the page says to a reader in a language."""
    return words(CONSENT_FOR[audience], language)
