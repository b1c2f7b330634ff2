"""The sentences of the pages of those under 18: short ones, in simple words, and `tu` throughout in French.

Those of 15 to 17 decide alone (LIL art. 45), as adults do; a child decides with a holder of parental responsibility.
Both have the right to words that they understand (GDPR art. 12(1), LIL art. 45, third paragraph). The articles of the
law stand behind the first fold only. Buttons are those of everybody: they are short and say what they do.
"""

from typing import Final

from app.core.article import Element, Purpose
from app.core.page.words import ADULT

TEEN: Final = ADULT.but(
    purpose={
        Purpose.ADVERTISING: {"fr": "pour choisir des publicités", "en": "to choose advertisements"},
        Purpose.STATISTICS: {"fr": "pour faire des statistiques", "en": "to make statistics"},
        Purpose.SERVICE_IMPROVEMENT: {
            "fr": "pour améliorer le service que tu utilises",
            "en": "to improve the service that you use",
        },
    },
    element={
        Element.CONTENT: {"fr": "ce que disent tes messages", "en": "what your messages say"},
        Element.SUBJECT_LINE: {"fr": "leur objet (leur titre)", "en": "their subject line (their title)"},
        Element.CORRESPONDENT_IDENTITY: {
            "fr": "le nom ou l’adresse des personnes avec qui tu échanges",
            "en": "the names or addresses of the people you exchange messages with",
        },
        Element.ATTACHMENTS: {
            "fr": "les pièces jointes (photos, fichiers)",
            "en": "attachments (pictures, files)",
        },
    },
    said={
        "subject_line_alone": {
            "fr": "l’objet (le titre) de tes messages",
            "en": "the subject line (the title) of your messages",
        },
        "changed_since": {
            "fr": "Tu avais répondu à la version {number}. Depuis :",
            "en": "You had answered version {number}. Since then:",
        },
        "controller": {
            "fr": "{controller} : c’est qui décide de cette analyse et en est responsable.",
            "en": "{controller}: that is who decides on this analysis and is responsible for it.",
        },
        "controllers": {
            "fr": "{controller} décident ensemble de cette analyse et en sont responsables.",
            "en": "{controller} decide on this analysis together and are responsible for it.",
        },
        "contact": {
            "fr": "Une question sur tes données ? Tu peux écrire à : {contact}",
            "en": "A question about your data? You can write to: {contact}",
        },
        "no_contact": {
            "fr": "Personne n’est nommé ici pour tes questions sur tes données : écris au responsable.",
            "en": "Nobody is named here for questions about your data: write to whoever is responsible.",
        },
        "no_contact_address": {
            "fr": "Personne n’est nommé ici pour tes questions sur tes données : écris au responsable, à l’adresse "
            "ci-dessus.",
            "en": "Nobody is named here for questions about your data: write to whoever is responsible, at the address "
            "above.",
        },
        "officer": {
            "fr": "La personne qui veille sur les données : {officer}",
            "en": "The person who looks after the data: {officer}",
        },
        "basis": {"fr": "Pourquoi me demande-t-on mon accord ?", "en": "Why am I asked?"},
        "consent": {
            "fr": "Parce que la loi l’exige. Sans ton accord, on n’a pas le droit d’analyser tes messages pour cela "
            "(RGPD, article 6, paragraphe 1, point a ; code des postes et des communications électroniques, article "
            "L32-3, IV).",
            "en": "Because the law requires it. Without your consent, nobody may analyse your messages for this (GDPR, "
            "article 6(1)(a); French Post and Electronic Communications Code, article L32-3, IV).",
        },
        "automated": {
            "fr": "C’est un programme qui analyse. Pour cela, personne ne lit tes messages.",
            "en": "A program does the analysis. For this, no person reads your messages.",
        },
        "user_only": {
            "fr": "On demande ton accord. On ne demande pas celui des personnes qui t’écrivent.",
            "en": "You are asked. The people who write to you are not.",
        },
        "all_local_users": {
            "fr": "Un message n’est analysé que si tous ceux qui l’ont écrit ou reçu sur ce service ont dit oui.",
            "en": "A message is analysed only if everybody who wrote or received it on this service has said yes.",
        },
        "all_parties": {
            "fr": "Un message n’est analysé que si tous ceux qui l’ont écrit ou reçu utilisent ce service et ont dit "
            "oui.",
            "en": "A message is analysed only if everybody who wrote or received it uses this service and has said "
            "yes.",
        },
        "decisions": {
            "fr": "Un programme décide-t-il de quelque chose ?",
            "en": "Does a program decide anything?",
        },
        "validity": {
            "fr": "Ton accord dure {period} au plus, puis il s’arrête tout seul. Il ne reprend que si tu réponds de "
            "nouveau.",
            "en": "Your consent lasts {period} at most, then it ends by itself. It goes on only if you answer again.",
        },
        "kept": {
            "fr": "Ce que l’analyse a appris est gardé {retention}.",
            "en": "What the analysis found out is kept for {retention}.",
        },
        "not_kept": {
            "fr": "Ce que l’analyse a appris n’est pas gardé.",
            "en": "What the analysis found out is not kept.",
        },
        "refuse": {"fr": "Et si je dis non ?", "en": "What if I say no?"},
        "asserted": {
            "fr": "Voici ce qui change, selon le responsable :",
            "en": "This is what changes, according to whoever is responsible:",
        },
        "conditional": {
            "fr": "Le responsable dit qu’un service a besoin de cet accord.",
            "en": "Whoever is responsible says that a service needs this consent.",
        },
        "unconditional": {
            "fr": "Le responsable dit qu’aucun service n’a besoin de cet accord.",
            "en": "Whoever is responsible says that no service needs this consent.",
        },
        "refusing": {
            "fr": "Si tu ne réponds pas, tu n’as pas donné ton accord.",
            "en": "If you do not answer, you have not given your consent.",
        },
        "refusing_holds": {
            "fr": "Si tu ne réponds pas, ton accord dure jusqu’à sa date de fin, sauf si tu le retires.",
            "en": "If you do not answer, your consent lasts until its end date, unless you withdraw it.",
        },
        "nothing_chosen": {
            "fr": "Aucune réponse n’est choisie d’avance. Sans ton accord, la loi interdit cette analyse.",
            "en": "No answer is chosen in advance. Without your consent the law forbids this analysis.",
        },
        "withdrawing": {
            "fr": "Tu peux retirer ton accord quand tu veux. C’est aussi facile que de le donner. Garde le lien de "
            "cette page : tu y trouveras le bouton « Je retire mon accord ». L’analyse s’arrête aussitôt. Ce qui a "
            "été fait avant reste permis.",
            "en": "You can withdraw your consent whenever you want. It is as easy as giving it. Keep the link to this "
            "page: you will find the button “I withdraw my consent” there. The analysis stops at once. What was done "
            "before remains allowed.",
        },
        "erased": {
            "fr": "Après un retrait, ce que l’analyse a appris est effacé en {delay} au plus.",
            "en": "After a withdrawal, what the analysis found out is erased within {delay}.",
        },
        "erased_at_once": {
            "fr": "Après un retrait, ce que l’analyse a appris est effacé aussitôt.",
            "en": "After a withdrawal, what the analysis found out is erased at once.",
        },
        "sent_to": {"fr": "Envoyé aussi à {names}.", "en": "Also sent to {names}."},
        "sent_outside": {
            "fr": "Envoyé aussi à {names}, hors de l’Union européenne.",
            "en": "Also sent to {names}, outside the European Union.",
        },
        "sent_one_outside": {
            "fr": "Envoyé aussi à {names}, dont un hors de l’Union européenne.",
            "en": "Also sent to {names}, one of them outside the European Union.",
        },
        "sent_some_outside": {
            "fr": "Envoyé aussi à {names}, dont {number} hors de l’Union européenne.",
            "en": "Also sent to {names}, {number} of them outside the European Union.",
        },
        "recipients": {"fr": "{number} autres", "en": "{number} others"},
        "leaves": {
            "fr": "Des données partent hors de l’Union européenne : {countries}.",
            "en": "Data leave the European Union: {countries}.",
        },
        "transfer": {
            "fr": "Vers ce pays : {country}. Ce qui les protège :",
            "en": "To this country: {country}. What protects them:",
        },
        "transfer_unsafe": {
            "fr": "Vers ce pays : {country}. Rien n’est indiqué pour les protéger.",
            "en": "To this country: {country}. Nothing is stated to protect them.",
        },
        "access": {
            "fr": "Tu peux demander au responsable de voir tes données, de les corriger, de les effacer, de te les "
            "donner, ou de moins s’en servir (RGPD, articles 15 à 20).",
            "en": "You can ask whoever is responsible to show you your data, to correct them, to erase them, to give "
            "them to you, or to use them less (GDPR, articles 15 to 20).",
        },
        "directives": {
            "fr": "Tu peux aussi dire ce que tes données deviendront après ta mort (loi du 6 janvier 1978, articles "
            "84 à 86).",
            "en": "You can also say what is to become of your data after your death (French law of 6 January 1978, "
            "articles 84 to 86).",
        },
        "complaint": {
            "fr": "Si tes droits ne sont pas respectés, tu peux te plaindre à la CNIL : {site}, ou {address}.",
            "en": "If your rights are not respected, you can complain to the French data-protection authority, the "
            "CNIL: {site}, or {address}, France.",
        },
        "more": {"fr": "Où en lire plus ?", "en": "Where can I read more?"},
    },
    frame={
        "title_decide": {
            "fr": "Es-tu d’accord pour qu’un programme analyse tes messages ?",
            "en": "Do you agree to a program analysing your messages?",
        },
        "title_renew": {"fr": "Es-tu toujours d’accord ?", "en": "Do you still agree?"},
        "title_withdraw": {"fr": "Retirer ton accord", "en": "Withdraw your consent"},
        "title_answers": {
            "fr": "Tes réponses sur l’analyse de tes messages",
            "en": "Your answers about analysing your messages",
        },
        "asks": {"fr": "C’est {controller} qui te le demande.", "en": "{controller} is asking you."},
        "ask_together": {"fr": "Ce sont {controller} qui te le demandent.", "en": "{controller} are asking you."},
        "one_by_one": {
            "fr": "Tu réponds à chaque question séparément.",
            "en": "You answer each question on its own.",
        },
        "age": {
            "fr": "À partir de 15 ans, tu décides toi-même. Si tu as moins de 15 ans, ne réponds pas ici : il faut "
            "aussi l’accord d’un parent, ou de la personne responsable de toi.",
            "en": "From 15 on, you decide yourself. If you are under 15, do not answer here: a parent, or whoever is "
            "responsible for you, must agree too.",
        },
        "if_accepted": {
            "fr": "Si tu dis oui maintenant : au plus tard jusqu’au ….",
            "en": "If you say yes now: until …, at the latest.",
        },
        "if_renewed": {
            "fr": "Si tu dis encore oui maintenant : au plus tard jusqu’au ….",
            "en": "If you say yes again now: until …, at the latest.",
        },
        "to_refuse": {
            "fr": "Pour dire non : appuie sur « Je refuse », ou ferme la page.",
            "en": "To say no: press “I refuse”, or close the page.",
        },
        "to_let_end": {
            "fr": "Pour ne pas continuer : appuie sur « Je ne renouvelle pas » ou ferme la page. Ton accord s’arrête "
            "alors à sa date. Si tu appuies sur « Je retire mon accord », il s’arrête aussitôt.",
            "en": "If you do not want to go on, press “I do not renew” or close the page. Your consent then ends on "
            "its date. If you press “I withdraw my consent”, it ends at once.",
        },
        "to_let_end_declined": {
            "fr": "Tu ne continues pas : ferme la page. Ton accord s’arrête à sa date.",
            "en": "You do not go on: close the page. Your consent ends on its date.",
        },
        "to_stay_refused": {
            "fr": "Tu as déjà dit non : ferme la page, et rien ne change.",
            "en": "You said no already: close the page, and nothing changes.",
        },
        "to_stay_withdrawn": {
            "fr": "Ton accord est déjà retiré : ferme la page, et rien ne change.",
            "en": "Your consent is withdrawn already: close the page, and nothing changes.",
        },
    },
    changed={
        "controllers": {"fr": "qui est responsable", "en": "who is responsible"},
        "automated": {"fr": "si c’est un programme qui analyse", "en": "whether a program does the analysis"},
        "party_mode": {"fr": "l’accord demandé aux autres", "en": "whether others are asked too"},
        "consent_validity": {"fr": "la durée de ton accord", "en": "how long your consent lasts"},
        "recipients": {"fr": "qui reçoit les données", "en": "who receives the data"},
        "retention": {"fr": "le temps pendant lequel les données sont gardées", "en": "how long the data are kept"},
        "age_statement_required": {"fr": "l’obligation de dire ton âge", "en": "whether your age must be stated"},
        "data_protection_contact": {"fr": "à qui écrire pour tes données", "en": "whom to write to about your data"},
        "storage_location": {"fr": "l’endroit où les données sont gardées", "en": "where the data are kept"},
        "automated_decisions": {"fr": "ce qu’un programme décide", "en": "what a program decides"},
        "consequences": {"fr": "ce qui change si tu dis non", "en": "what changes if you say no"},
    },
)
"""For those of 15 to 17."""

CHILD: Final = TEEN.but(
    said={
        "user_only": {
            "fr": "On demande ton accord, et celui de ton parent ou de la personne responsable de toi. On ne demande "
            "pas celui des personnes qui t’écrivent.",
            "en": "You are asked, and so is your parent or whoever is responsible for you. The people who write to you "
            "are not.",
        },
        "complaint": {
            "fr": "Si tes droits ne sont pas respectés, tu peux te plaindre à la CNIL, avec l’aide d’un adulte si tu "
            "veux : {site}, ou {address}.",
            "en": "If your rights are not respected, you can complain to the French data-protection authority, the "
            "CNIL, with the help of an adult if you like: {site}, or {address}, France.",
        },
    },
    frame={
        "age": {
            "fr": "Tu as moins de 15 ans. Il faut donc ton accord, et celui d’un parent ou de la personne responsable "
            "de toi. Si un seul des deux dit non, rien n’est analysé. Tu as le droit de dire non. Tu peux changer "
            "d’avis plus tard. Si tu ne comprends pas, demande à un adulte en qui tu as confiance.",
            "en": "You are under 15. So we need your yes, and a yes from a parent or whoever is responsible for you. "
            "If one of the two says no, nothing is analysed. You may say no. You may change your mind later. If you do "
            "not understand, ask an adult whom you trust.",
        },
    },
)
"""For those under 15."""
