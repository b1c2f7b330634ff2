"""What the page about everything that is held about a person says, in its own words."""

from typing import Final

from app.pages.languages import Catalogue, both

OVERVIEW: Final[Catalogue] = {
    "title": both(
        "Ce que le registre des consentements conserve sur vous", "What the register of consents holds about you"
    ),
    "lead": both(
        "Vos réponses, et ce qui a été décidé d’après elles. Aucun message n’est conservé ici : votre messagerie est "
        "chez l’opérateur du service, à qui vous pouvez demander le reste.",
        "Your answers, and what was decided by them. No message is kept here: the operator of the service has your "
        "mailbox, and you can ask them for the rest.",
    ),
    "account": both("Votre compte :", "Your account:"),
    "as_of": both("État au", "As of"),
    "save": both("Gardez tout cela dans un fichier :", "Keep all of this as a file:"),
    "save_json": both("données pour un logiciel (JSON-LD)", "data for software (JSON-LD)"),
    "print": both("Cette page s’imprime en entier.", "This page prints whole."),
    "change": both(
        "Pour retirer un accord, employez le lien que le service vous a envoyé, ou demandez-lui-en un : cette page "
        "n’enregistre rien.",
        "To withdraw a consent, use the link that the service sent you, or ask it for one: this page records nothing.",
    ),
    "answers": both("Vos réponses", "Your answers"),
    "answers_none": both("Aucune réponse n’est enregistrée.", "No answer is recorded."),
    "about_all": both("tous les traitements", "every processing"),
    "version": both("version", "version"),
    "holds_until": both("valable au plus tard jusqu’au", "valid at the latest until"),
    "imported": both("repris d’un autre système", "taken over from another system"),
    "shown": both("Le texte qui a été montré", "The text that was shown"),
    "not_kept": both("Le texte n’a pas été conservé.", "The text was not kept."),
    "decisions": both("Ce qui a été décidé", "What was decided"),
    "decisions_none": both("Aucune décision n’est enregistrée.", "No decision is recorded."),
    "decisions_lead": both(
        "Avant d’analyser un message, votre fournisseur demande s’il en a le droit. Voici les réponses, par jour "
        "(UTC).",
        "Before it analyses a message, your provider asks whether it may. These are the answers, by day (UTC).",
    ),
    "decisions_part": both(
        "Ce qui n’a pas besoin de votre accord (affichage, tri, acheminement, spam, virus) n’est enregistré qu’en "
        "partie. Chaque jour est conservé {period}, puis effacé : il n’en reste que des totaux de tous les "
        "utilisateurs.",
        "What needs no consent (display, sorting, routing, spam, malware) is recorded in part. Each day is kept for "
        "{period}, then erased: what remains are totals over all users.",
    ),
    "decisions_file": both("Les jours plus anciens sont dans le fichier.", "Older days are in the file."),
    "by_day": both("Par jour", "By day"),
    "permitted": both("analyse permise", "analysis permitted"),
    "denied": both("analyse refusée", "analysis denied"),
    "times": both("fois", "times"),
    "once": both("fois", "time"),
    "looked": both("Quand ces données ont été consultées ou changées", "When these data were looked at or changed"),
    "looked_none": both("Jamais, d’après ce qui est enregistré.", "Never, by what is recorded."),
    "operator": both("l’opérateur du service", "the operator of the service"),
    "age": both("âge déclaré alors :", "age stated then:"),
    "rights": both("Vos droits", "Your rights"),
    "beside": both("Ce qui est conservé en outre", "What else is kept"),
    "beside_none": both("Rien d’autre n’est conservé.", "Nothing else is kept."),
    "link": both(
        "L’opérateur du service a établi un lien pour vous", "The operator of the service made a link for you"
    ),
    "asked": both("Un accord vous a été demandé", "You were asked for your consent"),
    "flag": both("Un de vos accords", "One of your consents"),
    "flagged": both("signalé le", "flagged on"),
    "name": both(
        "Vos réponses valent aussi pour l’adresse ou le compte",
        "Your answers also count for the address or account",
    ),
    "mailbox": both(
        "Cette boîte est partagée entre plusieurs personnes : aucun accord n’y est demandé",
        "Several people share this mailbox: it is not asked for any consent",
    ),
    "since": both("depuis le", "since"),
    "on": both("le", "on"),
    "kept_until": both("Ce lien montre cette page jusqu’au", "This link shows this page until"),
    "secret": both(
        "Qui détient cette adresse peut lire cette page : ne la transmettez à personne.",
        "Whoever has this address can read this page: pass it on to nobody.",
    ),
    "file": both("mes-donnees", "my-data"),
}

AGES: Final[Catalogue] = {
    "adult": both("18 ans ou plus", "18 or older"),
    "minor_15_plus": both("15 à 17 ans", "15 to 17"),
    "under_15": both("moins de 15 ans", "under 15"),
}

STATED_BY: Final[Catalogue] = {
    "self": both("déclaré par vous-même", "stated by yourself"),
    "holder_of_parental_responsibility": both(
        "déclaré par un titulaire de l’autorité parentale", "stated by a holder of parental responsibility"
    ),
    "operator": both("déclaré par l’opérateur du service", "stated by the operator of the service"),
}

CHECKED: Final[Catalogue] = {
    "not_checked": both("non vérifié", "not checked"),
    "identity_document": both("vérifié par une pièce d’identité", "checked by an identity document"),
    "payment_card": both("vérifié par une carte de paiement", "checked by a payment card"),
    "account_data": both("vérifié d’après les données du compte", "checked by the data of the account"),
    "other": both("vérifié d’une autre façon", "checked in another way"),
}

GIVEN_BY: Final[Catalogue] = {
    "holder_of_parental_responsibility": both(
        "donné par un titulaire de l’autorité parentale", "given by a holder of parental responsibility"
    ),
    "guardian": both("donné par un tuteur ou une tutrice", "given by a guardian"),
    "both": both(
        "donné par l’enfant et un titulaire de l’autorité parentale",
        "given by the child and a holder of parental responsibility",
    ),
    "administrator": both("enregistré par un administrateur", "recorded by an administrator"),
}
"""In which capacity an answer was given, where it was not the person's own alone."""

EVENTS: Final[Catalogue] = {
    "granted": both("Accord", "Consent"),
    "refused": both("Refus", "Refusal"),
    "withdrawn": both("Retrait de l’accord", "Withdrawal of the consent"),
    "closed": both("Fin", "End"),
    "expired": both("Expiration", "Expiry"),
    "superseded": both("Version dépassée", "Version superseded"),
    "erased": both("Effacement", "Erasure"),
    "age_stated": both("Âge déclaré", "Age stated"),
    "renewal_declined": both("Renouvellement non souhaité", "Renewal not wanted"),
}

FLAGS: Final[Catalogue] = {
    "due": both("prend bientôt fin", "ends soon"),
    "expired": both("a pris fin", "has ended"),
    "superseded": both("portait sur une version dépassée", "was about a version that is superseded"),
    "closed": both("a pris fin avec le traitement", "has ended with the processing"),
    "invalidated": both(
        "ne vaut plus : ce qui avait été accepté a été invalidé",
        "no longer counts: what was accepted has been invalidated",
    ),
}

ACTS: Final[Catalogue] = {
    "audit_trail.searched": both("a cherché qui avait consulté ces données", "searched who had looked at these data"),
    "consent.history_read": both(
        "a lu vos réponses, leur preuve ou un reçu", "read your answers, their proof or a receipt"
    ),
    "decision.explained": both("s’est fait expliquer une décision", "had a decision explained"),
    "decisions.searched": both("a cherché des décisions vous concernant", "searched decisions about you"),
    "mailbox.shared": both("a déclaré une boîte partagée", "stated a shared mailbox"),
    "mailbox.unshared": both("a déclaré une boîte non partagée", "stated that a mailbox is not shared"),
    "subject.closed": both("a clos le compte", "closed the account"),
    "subject.erased": both("a effacé le compte", "erased the account"),
    "subject.exported": both(
        "a exporté ces données, ou établi un lien vers cette page", "exported these data, or made a link to this page"
    ),
    "subjects.linked": both("a rattaché un autre nom à ce compte", "added another name to this account"),
    "subjects.unlinked": both("a retiré un nom de ce compte", "took a name from this account"),
    "subjects.searched": both("a cherché des personnes", "searched people"),
}
"""By the code of the act; one that has no words here is shown by its code."""
