"""The sentences of the page of a holder of parental responsibility: the messages are the child's, the consent theirs.

Nothing says whose child it is: a guardian may read it. LIL art. 45 speaks of "le ou les titulaires de l'autorité
parentale"; that one of them suffices is disputed (docs/law.md).
"""

from typing import Final

from app.core.article import Element, Purpose
from app.core.page.words import ADULT

PARENT: Final = ADULT.but(
    purpose={
        Purpose.SERVICE_IMPROVEMENT: {
            "fr": "pour améliorer le service rendu à l’enfant",
            "en": "to improve the service that the child is given",
        },
    },
    element={
        Element.CONTENT: {"fr": "le contenu des messages de l’enfant", "en": "the content of the child’s messages"},
        Element.CORRESPONDENT_IDENTITY: {
            "fr": "l’identité des correspondants de l’enfant",
            "en": "the identity of the people the child corresponds with",
        },
    },
    said={
        "subject_line_alone": {
            "fr": "l’objet des messages de l’enfant",
            "en": "the subject line of the child’s messages",
        },
        "contact": {
            "fr": "Contact pour la protection des données de l’enfant : {contact}",
            "en": "Data-protection contact: {contact}",
        },
        "consent": {
            "fr": "L’accord de l’enfant et le vôtre, que la loi appelle consentement (RGPD, article 6, paragraphe 1, "
            "point a, et article 8 ; loi du 6 janvier 1978, article 45 ; code des postes et des communications "
            "électroniques, article L32-3, IV).",
            "en": "The child’s consent and yours (GDPR, article 6(1)(a) and article 8; French law of 6 January 1978, "
            "article 45; French Post and Electronic Communications Code, article L32-3, IV).",
        },
        "automated": {
            "fr": "L’analyse est entièrement automatisée : pour ce traitement, aucune personne ne lit les messages de "
            "l’enfant.",
            "en": "The analysis is fully automated: for this processing, no person reads the child’s messages.",
        },
        "user_only": {
            "fr": "L’accord de l’enfant et le vôtre sont demandés : celui des correspondants de l’enfant ne l’est pas.",
            "en": "The child’s consent and yours are asked for, not that of the people the child corresponds with.",
        },
        "validity": {
            "fr": "Les deux accords sont valables {period} au plus à compter du premier, puis prennent fin "
            "automatiquement. Ils ne sont renouvelés que si l’enfant et vous répondez de nouveau.",
            "en": "Both consents last {period} at most from the first of them, then end automatically. They are "
            "renewed only if the child and you answer again.",
        },
        "refusing_holds": {
            "fr": "Si vous ne répondez pas, les accords donnés restent valables jusqu’à leur date de fin, sauf si "
            "l’enfant ou vous retirez le vôtre.",
            "en": "If you do not answer, the consents given stay valid until their end date, unless the child or you "
            "withdraw.",
        },
        "nothing_chosen": {
            "fr": "Aucune réponse n’est présélectionnée. Sans l’accord exprès de l’enfant et le vôtre, la loi interdit "
            "cette analyse.",
            "en": "No answer is selected in advance. Without the express consent of the child and yours, the law "
            "forbids this analysis.",
        },
        "access": {
            "fr": "Vous pouvez demander au responsable l’accès aux données de l’enfant, leur rectification, leur "
            "effacement, leur portabilité ou la limitation de leur traitement (RGPD, articles 15 à 20).",
            "en": "You can ask the controller for access to the child’s data, and for them to be corrected, erased, "
            "transferred, or their processing restricted (GDPR, articles 15 to 20).",
        },
        "directives": {
            "fr": "Des directives peuvent être données sur ce que ces données deviendront après la mort de l’enfant "
            "(loi du 6 janvier 1978, articles 84 à 86).",
            "en": "Directives can be given on what is to become of these data after the child’s death (French law of "
            "6 January 1978, articles 84 to 86).",
        },
    },
    frame={
        "title_decide": {
            "fr": "Acceptez-vous que les messages de l’enfant soient analysés ?",
            "en": "Do you agree to the child’s messages being analysed?",
        },
        "title_answers": {
            "fr": "Vos réponses sur l’analyse des messages de l’enfant",
            "en": "Your answers about analysing the child’s messages",
        },
        "age": {
            "fr": "L’enfant a moins de 15 ans : la loi exige son accord et celui du ou des titulaires de l’autorité "
            "parentale. Si l’un des deux refuse, rien n’est analysé.",
            "en": "The child is under 15: the law requires the child’s consent and that of the holder or holders of "
            "parental responsibility. If either refuses, nothing is analysed.",
        },
        "answering_as": {"fr": "Pour accepter, dites à quel titre :", "en": "To accept, say in which capacity:"},
        "holder_of_parental_responsibility": {
            "fr": "Titulaire de l’autorité parentale",
            "en": "Holder of parental responsibility",
        },
        "guardian": {"fr": "Tuteur ou tutrice", "en": "Guardian"},
    },
    changed={
        "party_mode": {
            "fr": "la prise en compte des correspondants de l’enfant",
            "en": "how the child’s correspondents are considered",
        },
        "data_protection_contact": {
            "fr": "le contact pour les données de l’enfant",
            "en": "the data-protection contact",
        },
        "age_statement_required": {"fr": "l’exigence de l’âge", "en": "whether an age must be stated"},
    },
)
"""For a holder of parental responsibility, or a guardian."""
