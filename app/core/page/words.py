"""Sceau's own sentences of the text that asks, for an adult, in French and English.

What a person gives is called `accord` here; `consentement` is the law's word, and stands where the law is named.
"""

from collections.abc import Mapping
from typing import Final

from app.core.article import Element, Purpose
from app.core.page.catalogue import Sentences
from app.core.page.passages import Texts

_PURPOSE: Final[Mapping[Purpose, Texts]] = {
    Purpose.ADVERTISING: {"fr": "à des fins publicitaires", "en": "for advertising"},
    Purpose.STATISTICS: {"fr": "à des fins statistiques", "en": "for statistics"},
    Purpose.SERVICE_IMPROVEMENT: {
        "fr": "pour améliorer le service qui vous est rendu",
        "en": "to improve the service that you are given",
    },
}

_ELEMENT: Final[Mapping[Element, Texts]] = {
    Element.CONTENT: {"fr": "le contenu de vos messages", "en": "the content of your messages"},
    Element.SUBJECT_LINE: {"fr": "leur objet", "en": "their subject line"},
    Element.CORRESPONDENT_IDENTITY: {
        "fr": "l’identité de vos correspondants",
        "en": "the identity of the people you correspond with",
    },
    Element.ATTACHMENTS: {"fr": "les pièces jointes", "en": "attachments"},
}

_SAID: Final[Mapping[str, Texts]] = {
    "subject_line_alone": {"fr": "l’objet de vos messages", "en": "the subject line of your messages"},
    "changed": {"fr": "Qu’est-ce qui a changé ?", "en": "What has changed?"},
    "changed_since": {
        "fr": "Vous aviez répondu sur la version {number}. Depuis :",
        "en": "Your earlier answer was about version {number}. Since then:",
    },
    "who": {"fr": "Qui est responsable ?", "en": "Who is responsible?"},
    "controller": {"fr": "{controller}, responsable du traitement.", "en": "{controller}, the data controller."},
    "controllers": {
        "fr": "{controller}, responsables conjoints de ce traitement.",
        "en": "{controller}, the joint controllers of this processing.",
    },
    "contact": {
        "fr": "Contact pour la protection de vos données : {contact}",
        "en": "Data-protection contact: {contact}",
    },
    "no_contact": {
        "fr": "Aucun contact dédié à la protection des données n’a été déclaré ici : adressez-vous au responsable.",
        "en": "No dedicated data-protection contact has been registered here: write to the controller itself.",
    },
    "no_contact_address": {
        "fr": "Aucun contact dédié à la protection des données n’a été déclaré ici : adressez-vous au responsable, à "
        "l’adresse ci-dessus.",
        "en": "No dedicated data-protection contact has been registered here: write to the controller, at the address "
        "above.",
    },
    "officer": {
        "fr": "Délégué à la protection des données : {officer}",
        "en": "Data-protection officer: {officer}",
    },
    "reach": {"fr": "Pour joindre {controller} : {contact}", "en": "How to reach {controller}: {contact}"},
    "basis": {"fr": "Sur quelle base légale ?", "en": "On which legal basis?"},
    "consent": {
        "fr": "Votre accord, que la loi appelle consentement (RGPD, article 6, paragraphe 1, point a ; code des "
        "postes et des communications électroniques, article L32-3, IV).",
        "en": "Your consent (GDPR, article 6(1)(a); French Post and Electronic Communications Code, article L32-3, "
        "IV).",
    },
    "what_for": {"fr": "Pour quoi faire ?", "en": "What for?"},
    "what": {"fr": "Qu’est-ce qui est analysé ?", "en": "What is analysed?"},
    "automated": {
        "fr": "L’analyse est entièrement automatisée : pour ce traitement, aucune personne ne lit vos messages.",
        "en": "The analysis is fully automated: for this processing, no person reads your messages.",
    },
    "service": {"fr": "Service concerné : {service}.", "en": "Service concerned: {service}."},
    "operator": {
        "fr": "Ce service est fourni par un opérateur de communications électroniques.",
        "en": "This service is provided by an electronic communications operator.",
    },
    "online_service": {
        "fr": "Ce service en ligne permet à ses utilisateurs d’échanger des messages.",
        "en": "This is an online service through which its users exchange messages.",
    },
    "user_only": {
        "fr": "Seul votre accord est demandé : celui de vos correspondants ne l’est pas.",
        "en": "Only your consent is asked for, not that of the people you correspond with.",
    },
    "all_local_users": {
        "fr": "Un message n’est analysé que si tous ceux de ses participants qui utilisent ce service ont donné leur "
        "accord.",
        "en": "A message is analysed only if all of its participants who use this service have consented.",
    },
    "all_parties": {
        "fr": "Un message n’est analysé que si tous ses participants utilisent ce service et ont donné leur accord.",
        "en": "A message is analysed only if all of its participants use this service and have consented.",
    },
    "persons": {"fr": "Personnes concernées : {persons}.", "en": "Persons concerned: {persons}."},
    "decisions": {
        "fr": "Des décisions sont-elles prises automatiquement ?",
        "en": "Are decisions taken automatically?",
    },
    "how_long": {"fr": "Jusqu’à quand ?", "en": "Until when?"},
    "validity": {
        "fr": "Votre accord est valable {period} au plus, puis prend fin automatiquement. Il n’est renouvelé que si "
        "vous répondez de nouveau.",
        "en": "Your consent lasts {period} at most, then ends automatically. It is renewed only if you answer again.",
    },
    "kept": {
        "fr": "Les données tirées de l’analyse sont conservées {retention}.",
        "en": "The data drawn from the analysis are kept for {retention}.",
    },
    "not_kept": {
        "fr": "Les données tirées de l’analyse ne sont pas conservées.",
        "en": "The data drawn from the analysis are not kept.",
    },
    "refuse": {"fr": "Et si je refuse ?", "en": "What if I refuse?"},
    "asserted": {
        "fr": "Conséquences d’un refus, selon le responsable :",
        "en": "What refusing changes, according to the controller:",
    },
    "conditional": {
        "fr": "Le responsable déclare qu’un service dépend de cet accord.",
        "en": "The controller states that a service depends on this consent.",
    },
    "unconditional": {
        "fr": "Le responsable déclare qu’aucun service ne dépend de cet accord.",
        "en": "The controller states that no service depends on this consent.",
    },
    "refusing": {
        "fr": "Si vous ne répondez pas, vous n’avez pas donné votre accord.",
        "en": "If you do not answer, you have not given your consent.",
    },
    "refusing_holds": {
        "fr": "Si vous ne répondez pas, votre accord reste valable jusqu’à sa date de fin, sauf si vous le retirez.",
        "en": "If you do not answer, your consent stays valid until its end date, unless you withdraw it.",
    },
    "nothing_chosen": {
        "fr": "Aucune réponse n’est présélectionnée. Sans votre accord exprès, la loi interdit cette analyse.",
        "en": "No answer is selected in advance. Without your express consent the law forbids this analysis.",
    },
    "withdraw": {"fr": "Et si je change d’avis ?", "en": "What if I change my mind?"},
    "withdrawing": {
        "fr": "Vous pouvez retirer votre accord à tout moment, aussi facilement que vous l’avez donné. Conservez le "
        "lien de cette page : vous y trouverez le bouton « Je retire mon accord ». Le retrait prend effet aussitôt, "
        "sans remettre en cause la licéité de ce qui a été fait avant.",
        "en": "You can withdraw your consent at any time, as easily as you gave it. Keep the link to this page: "
        "you will find the button “I withdraw my consent” there. Withdrawing takes effect at once. It does not "
        "affect the lawfulness of what was done before (GDPR, article 7(3)).",
    },
    "erased": {
        "fr": "Après un retrait, les données tirées de l’analyse sont effacées sous {delay}.",
        "en": "After a withdrawal, the data drawn from the analysis are erased within {delay}.",
    },
    "erased_at_once": {
        "fr": "Après un retrait, les données tirées de l’analyse sont effacées aussitôt.",
        "en": "After a withdrawal, the data drawn from the analysis are erased at once.",
    },
    "sent_to": {"fr": "Transmis à {names}.", "en": "Passed on to {names}."},
    "sent_outside": {
        "fr": "Transmis à {names}, hors de l’Union européenne.",
        "en": "Passed on to {names}, outside the European Union.",
    },
    "sent_one_outside": {
        "fr": "Transmis à {names}, dont un hors de l’Union européenne.",
        "en": "Passed on to {names}, one of them outside the European Union.",
    },
    "sent_some_outside": {
        "fr": "Transmis à {names}, dont {number} hors de l’Union européenne.",
        "en": "Passed on to {names}, {number} of them outside the European Union.",
    },
    "recipients": {"fr": "{number} destinataires", "en": "{number} recipients"},
    "leaves": {
        "fr": "Des données sont transférées hors de l’Union européenne : {countries}.",
        "en": "Data are transferred out of the European Union: {countries}.",
    },
    "others": {"fr": "Qui d’autre reçoit ces données ?", "en": "Who else receives these data?"},
    "nobody": {"fr": "Aucun destinataire n’est déclaré.", "en": "No recipient is registered."},
    "transfers": {
        "fr": "Les données quittent-elles l’Union européenne ?",
        "en": "Do the data leave the European Union?",
    },
    "transfer": {"fr": "Vers ce pays : {country}. Garanties :", "en": "To this country: {country}. Safeguards:"},
    "transfer_unsafe": {
        "fr": "Vers ce pays : {country}. Aucune garantie n’est déclarée.",
        "en": "To this country: {country}. No safeguards are registered.",
    },
    "where": {"fr": "Où sont-elles conservées ?", "en": "Where are they kept?"},
    "rights": {"fr": "Quels sont mes droits ?", "en": "What are my rights?"},
    "access": {
        "fr": "Vous pouvez demander au responsable l’accès à vos données, leur rectification, leur effacement, leur "
        "portabilité ou la limitation de leur traitement (RGPD, articles 15 à 20).",
        "en": "You can ask the controller for access to your data, and for them to be corrected, erased, "
        "transferred to you, or their processing restricted (GDPR, articles 15 to 20).",
    },
    "directives": {
        "fr": "Vous pouvez aussi donner des directives sur ce que vos données deviendront après votre mort (loi du "
        "6 janvier 1978, articles 84 à 86).",
        "en": "You can also give directives on what is to become of your data after your death (French law of "
        "6 January 1978, articles 84 to 86).",
    },
    "complaint": {
        "fr": "Vous pouvez introduire une réclamation auprès de la CNIL : {site}, ou {address}.",
        "en": "You can complain to the French data-protection authority, the CNIL: {site}, or {address}, France.",
    },
    "more": {"fr": "Où en lire davantage ?", "en": "Where can I read more?"},
    "privacy_policy": {"fr": "Politique de confidentialité", "en": "Privacy policy"},
    "legal_notice": {"fr": "Mentions légales", "en": "Legal notice"},
    "accessibility_statement": {"fr": "Déclaration d’accessibilité", "en": "Accessibility statement"},
}

_FRAME: Final[Mapping[str, Texts]] = {
    "title_decide": {
        "fr": "Acceptez-vous que vos messages soient analysés ?",
        "en": "Do you agree to your messages being analysed?",
    },
    "title_renew": {"fr": "Renouvelez-vous votre accord ?", "en": "Do you renew your consent?"},
    "title_withdraw": {"fr": "Retirer votre accord", "en": "Withdraw your consent"},
    "title_answers": {
        "fr": "Vos réponses sur l’analyse de vos messages",
        "en": "Your answers about analysing your messages",
    },
    "asks": {"fr": "{controller} vous demande votre accord.", "en": "{controller} asks for your consent."},
    "ask_together": {"fr": "{controller} vous demandent votre accord.", "en": "{controller} ask for your consent."},
    "asked": {"fr": "Demande de {controller}.", "en": "Request from {controller}."},
    "answered": {"fr": "Réponse donnée à {controller}.", "en": "Answer given to {controller}."},
    "given": {"fr": "Accord donné à {controller}.", "en": "Consent given to {controller}."},
    "until": {"fr": "{purposes}, au plus tard jusqu’au ….", "en": "{purposes}, until …, at the latest."},
    "purposes": {"fr": "{purposes}.", "en": "{purposes}."},
    "one_by_one": {
        "fr": "Vous répondez à chaque demande séparément.",
        "en": "You answer each request on its own.",
    },
    "age": {
        "fr": "Si vous avez moins de 15 ans, ne répondez pas ici : la loi exige votre accord et celui du ou des "
        "titulaires de l’autorité parentale.",
        "en": "If you are under 15, do not answer here: the law requires your consent and that of the holder or "
        "holders of parental responsibility.",
    },
    "if_accepted": {
        "fr": "Si vous acceptez maintenant : au plus tard jusqu’au ….",
        "en": "If you accept now: until …, at the latest.",
    },
    "if_renewed": {
        "fr": "Si vous renouvelez maintenant : au plus tard jusqu’au ….",
        "en": "If you renew now: until …, at the latest.",
    },
    "to_refuse": {
        "fr": "Pour refuser : appuyez sur « Je refuse », ou fermez la page.",
        "en": "To refuse: press “I refuse”, or close the page.",
    },
    "to_let_end": {
        "fr": "Pour ne pas renouveler : appuyez sur « Je ne renouvelle pas » ou fermez la page, et votre accord cesse "
        "à sa date ; ou appuyez sur « Je retire mon accord », et il cesse aussitôt.",
        "en": "If you do not want to renew, press “I do not renew” or close the page, and your consent ends on its "
        "date; or press “I withdraw my consent”, and it ends at once.",
    },
    "to_let_end_declined": {
        "fr": "Vous ne renouvelez pas : fermez la page, et votre accord cesse à sa date.",
        "en": "You do not renew: close the page, and your consent ends on its date.",
    },
    "to_stay_refused": {
        "fr": "Un refus est déjà enregistré : fermez la page, et rien ne change.",
        "en": "A refusal is recorded already: close the page, and nothing changes.",
    },
    "to_stay_withdrawn": {
        "fr": "Le retrait est enregistré : fermez la page, et rien ne change.",
        "en": "The withdrawal is recorded: close the page, and nothing changes.",
    },
    "accept": {"fr": "J’accepte", "en": "I accept"},
    "renew": {"fr": "Je renouvelle", "en": "I renew"},
    "refuse": {"fr": "Je refuse", "en": "I refuse"},
    "decline": {"fr": "Je ne renouvelle pas", "en": "I do not renew"},
    "withdraw": {"fr": "Je retire mon accord", "en": "I withdraw my consent"},
    "of": {"fr": " pour ", "en": ": "},
}

_CHANGED: Final[Mapping[str, Texts]] = {
    "controllers": {"fr": "le responsable du traitement", "en": "the data controller"},
    "provider_kind": {"fr": "le type de fournisseur", "en": "the kind of provider"},
    "service": {"fr": "le service concerné", "en": "the service concerned"},
    "elements": {"fr": "ce qui est analysé", "en": "what is analysed"},
    "automated": {"fr": "le caractère automatique de l’analyse", "en": "whether the analysis is automated"},
    "party_mode": {"fr": "la prise en compte de vos correspondants", "en": "how your correspondents are considered"},
    "started_on": {"fr": "la date de mise en place", "en": "the day on which it was put in place"},
    "consent_validity": {"fr": "la durée de validité de votre accord", "en": "how long your consent lasts"},
    "recipients": {"fr": "les destinataires", "en": "the recipients"},
    "categories_of_persons": {"fr": "les personnes concernées", "en": "the persons concerned"},
    "retention": {"fr": "la durée de conservation", "en": "how long the data are kept"},
    "age_statement_required": {"fr": "l’exigence de votre âge", "en": "whether your age must be stated"},
    "name": {"fr": "le nom du traitement", "en": "the name of the processing"},
    "notice": {"fr": "le texte de présentation", "en": "the text that describes it"},
    "data_protection_contact": {"fr": "le contact pour vos données", "en": "the data-protection contact"},
    "transfers": {"fr": "les transferts hors de l’Union européenne", "en": "the transfers out of the European Union"},
    "storage_location": {"fr": "le lieu de conservation", "en": "where the data are kept"},
    "automated_decisions": {"fr": "les décisions automatiques", "en": "the automated decisions"},
    "consequences": {"fr": "les conséquences d’un refus", "en": "what refusing changes"},
    "conditional": {"fr": "le fait qu’un service en dépende", "en": "whether a service depends on it"},
    "derived_data_erased_within": {"fr": "le délai d’effacement", "en": "how soon the data are erased"},
}

ADULT: Final = Sentences(purpose=_PURPOSE, element=_ELEMENT, said=_SAID, frame=_FRAME, changed=_CHANGED)
