"""The staff notice that ships: the obligations of L32-3 and the penalties, in French and in English.

Sources: CPCE art. L32-3 (I to V) and D. 98-5 I, whose third paragraph wants the penalties told; code pénal art. 226-13,
226-15 and 432-9. It says what the law says, for people who are no lawyers; the operator completes it.
"""

from collections.abc import Mapping
from typing import Final

from app.core.staff.coverage import NoticeText

_FR: Final = """\
Vous travaillez pour un service qui achemine ou conserve des correspondances privées. La loi impose de porter à votre \
connaissance les obligations qui en résultent (code des postes et des communications électroniques, articles L32-3, \
V, et D. 98-5).

# Ce qui est secret

Le secret couvre le contenu des correspondances, l’identité des correspondants, l’intitulé des \
messages et les documents joints. Il s’impose à l’entreprise et à chaque membre de son personnel (L32-3, I et II).

# Ce qui vous est interdit

- ouvrir, lire, copier, détourner, retarder ou supprimer une correspondance, ou révéler ce que vous en savez, y \
compris qui écrit à qui, hors les cas prévus par la loi ;
- donner à quelqu’un un accès qui le lui permettrait ;
- mettre en service une analyse automatisée des correspondances qui n’est pas inscrite au registre, ou en changer la \
finalité.

Les cas prévus par la loi sont notamment les réquisitions et les interceptions judiciaires ou administratives. Elles \
sont traitées par les seules personnes désignées pour cela : si vous en recevez une, transmettez-la sans y répondre.

Un correspondant peut vous montrer un message qu’il a lui-même envoyé ou reçu, par exemple pour obtenir de l’aide ou \
pour le signaler. Vous pouvez alors lire ce qu’il montre, pour ce qu’il demande, et rien d’autre.

# Ce qu’une machine peut faire sans consentement

L’affichage, le tri et l’acheminement des messages, la détection des \
contenus non sollicités et des programmes malveillants (III). Ce qui a été analysé à ces fins ne peut servir à aucune \
autre.

# Ce qui exige le consentement de l’utilisateur

Analyser les correspondances à des fins publicitaires, statistiques ou \
d’amélioration du service est interdit sans le consentement exprès de l’utilisateur, donné pour chaque traitement et \
recueilli de nouveau au moins une fois par an (IV). Un refus ou un retrait s’applique aussitôt. Aucun consentement \
n’autorise un humain à lire.

# Les sanctions pénales encourues

- révéler une information à caractère secret que l’on détient par sa profession ou ses fonctions : un an \
d’emprisonnement et 15 000 euros d’amende (code pénal, article 226-13) ;
- de mauvaise foi, ouvrir, supprimer, retarder ou détourner des correspondances adressées à des tiers ou en prendre \
frauduleusement connaissance, intercepter, détourner, utiliser ou divulguer des correspondances électroniques, ou \
installer un appareil qui le permet : un an d’emprisonnement et 45 000 euros d’amende (article 226-15) ;
- ordonner, commettre ou faciliter, hors les cas prévus par la loi, pour la personne dépositaire de l’autorité \
publique ou chargée d’une mission de service public, dans l’exercice ou à l’occasion de l’exercice de ses fonctions : \
le détournement, la suppression ou l’ouverture de correspondances, ou la révélation de leur contenu (premier alinéa) ; \
pour elle comme pour l’agent d’un exploitant de réseaux ouverts au public ou d’un fournisseur de services de \
télécommunications, dans l’exercice de ses fonctions : l’interception ou le détournement de correspondances transmises \
par voie de télécommunications, l’utilisation ou la divulgation de leur contenu (second alinéa). Trois ans \
d’emprisonnement et 45 000 euros d’amende dans les deux cas (article 432-9, ses deux alinéas).

Le secret dure au-delà de votre contrat : vous y restez tenu après votre départ.

# En cas de doute

N’ouvrez pas, n’analysez pas : demandez. [À compléter par l’opérateur : à qui s’adresser, qui traite les \
réquisitions, comment signaler un incident, qui a quels accès et dans quels cas.]"""

_EN: Final = """\
You work for a service that carries or keeps private correspondence. The law requires that you be told of the \
duties that follow (code des postes et des communications électroniques, articles L32-3, V, and D. 98-5). The law \
itself is in French.

# What is secret

The secrecy covers the content of correspondence, the identity of the correspondents, the subject line \
and the attachments. It binds the company and each member of its staff (L32-3, I and II).

# What you must not do

- open, read, copy, divert, delay or delete a correspondence, or reveal what you know of it, such as who writes to \
whom, outside the cases that the law provides for;
- give anybody access that would let them do so;
- put into service an automated analysis of correspondence that is not in the register, or change its purpose.

The cases that the law provides for are, among others, requisitions and interceptions by judicial or administrative \
authorities. Only the persons appointed for that handle them: if you receive one, pass it on without answering it.

A correspondent may show you a message that they themselves sent or received, for instance to get help or to report \
it. You may then read what they show, for what they ask, and nothing else.

# What a machine may do without consent

Displaying, sorting and routing messages, detecting unsolicited content and \
malicious software (III). What was analysed for that must not be used for anything else.

# What needs the user’s consent

Analysing correspondence for advertising, statistics or improvement of the service is \
forbidden without the user’s express consent, given for each processing and collected again at least once a year (IV). \
A refusal or withdrawal counts at once. No consent lets a human being read.

# The penalties

- revealing secret information that one holds by profession or office: one year of imprisonment and a fine of 15,000 \
euros (code pénal, article 226-13);
- in bad faith, opening, deleting, delaying or diverting correspondence addressed to others or fraudulently learning \
its content, intercepting, diverting, using or disclosing electronic correspondence, or installing a device that does \
so: one year of imprisonment and a fine of 45,000 euros (article 226-15);
- ordering, committing or facilitating, outside the cases that the law provides for: by whoever holds public authority \
or a mission of public service, in the exercise of their office or on the occasion of it, the diversion, deletion or \
opening of correspondence, or the disclosure of its content (first paragraph); by them and by the agent of an operator \
of networks open to the public or of a provider of telecommunications services, in the exercise of their office, the \
interception or diversion of correspondence carried by telecommunications, or the use or disclosure of its content \
(second paragraph). In both cases three years of imprisonment and a fine of 45,000 euros (article 432-9, both \
paragraphs).

Secrecy outlasts your job: you remain bound by it after you leave.

# When in doubt

Do not open, do not analyse: ask. [To be completed by the operator: whom to ask, who handles \
requisitions, how to report an incident, who has which access and in which cases.]"""

FIRST_NOTICE: Final[Mapping[str, NoticeText]] = {
    "fr": NoticeText("Secret des correspondances : vos obligations", _FR),
    "en": NoticeText("Secrecy of correspondence: your duties", _EN),
}
"""Version 1, until an operator publishes another."""
