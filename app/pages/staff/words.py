"""What the page of the staff notice says around the notice."""

from typing import Final

from app.pages.languages import Catalogue, both

STAFF: Final[Catalogue] = {
    "sign_in_title": both("Notice du personnel : connexion", "Staff notice: sign in"),
    "sign_in_lead": both(
        "Entrez votre clé d’API personnelle, ou un jeton d’accès à votre nom. Il est vérifié une fois, et n’est ni "
        "affiché, ni gardé, ni mis dans une adresse.",
        "Enter your personal API key, or an access token of yours. It is checked once, and is neither shown, nor kept, "
        "nor put into an address.",
    ),
    "key": both("Clé d’API ou jeton d’accès", "API key or access token"),
    "key_help": both(
        "La session prend fin après 30 minutes sans activité, au plus tard après 12 heures ou avec le jeton, et dès "
        "que l’accès est révoqué.",
        "The session ends after 30 minutes without activity, after 12 hours at the latest or with the token, and as "
        "soon as the access is revoked.",
    ),
    "sign_in": both("Se connecter", "Sign in"),
    "sign_out": both("Se déconnecter", "Sign out"),
    "wrong_key": both("Cette clé n’est pas valable.", "That key is not valid."),
    "persons_only": both(
        "Cette clé est celle d’un programme. La notice s’adresse aux personnes.",
        "This key is a program’s. The notice is for persons.",
    ),
    "too_many": both(
        "Trop de clés essayées. Réessayez dans cinq minutes.", "Too many keys were tried. Try again in five minutes."
    ),
    "cookies": both(
        "Cette page n’utilise que deux cookies, dont elle a besoin : l’un protège le formulaire de connexion, l’autre "
        "garde la session ouverte. Elle ne charge rien d’un autre site.",
        "This page uses two cookies only, which it needs: one protects the sign-in form, the other keeps the session "
        "open. It loads nothing from any other site.",
    ),
    "version": both("Version", "Version"),
    "published": both("publiée le", "published on"),
    "missing": both(
        "La loi impose de porter ces obligations à votre connaissance (L32-3, V). Lisez-les, puis confirmez au bas "
        "de la page.",
        "The law requires that you be told of these duties (L32-3, V). Read them, then confirm at the end of the page.",
    ),
    "outdated": both(
        "Le texte a changé depuis que vous en avez pris connaissance. Lisez-le, puis confirmez au bas de la page.",
        "The text has changed since you acknowledged it. Read it, then confirm at the end of the page.",
    ),
    "acknowledged": both("Vous avez pris connaissance de ce texte le", "You acknowledged this text on"),
    "changed": both(
        "Le texte a changé pendant que vous le lisiez : rien n’a été enregistré. Voici celui d’aujourd’hui.",
        "The text changed while you were reading it: nothing was recorded. Here is the one of today.",
    ),
    "unfinished": both(
        "Ce texte n’est pas encore complet : il ne peut pas être confirmé. Il vous sera présenté de nouveau dès que "
        "l’entreprise l’aura complété.",
        "This text is not complete yet, so it cannot be confirmed. You will be asked to read it once the company has "
        "completed it.",
    ),
    "only_french": both("", "This text is in French only."),
    "confirm_title": both("Confirmer", "Confirm"),
    "confirm": both("J’ai pris connaissance de ce texte", "I have read this text and taken note of it"),
    "kept": both(
        "Sont enregistrés : qui vous êtes, la version, la langue, la date, et l’empreinte du texte affiché. Ce n’est "
        "pas un accord : vos obligations ne dépendent pas de ce bouton.",
        "What is recorded: who you are, the version, the language, the date, and the fingerprint of the text shown. "
        "This is not an agreement: your duties do not depend on this button.",
    ),
    "fingerprint": both("Empreinte du texte (SHA-256)", "Fingerprint of the text (SHA-256)"),
    "to_dashboard": both("Aller au tableau de bord", "Go to the dashboard"),
}
