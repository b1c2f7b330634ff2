"""What the verifier says, in French: by the English sentence, with `{}` where something of a file stands.

What stands there may be a sentence itself, and is translated likewise.
"""

_SENTENCES = [
    ("ok", "bon"),
    ("NOT CHECKED", "NON VÉRIFIÉ"),
    ("WRONG", "FAUX"),
    ("ENDED", "TERMINÉ"),
    ("GOOD", "BON"),
    ("WRONG: do not rely on it", "FAUX : ne vous y fiez pas"),
    ("GOOD AS FAR AS IT GOES: see what was not checked", "BON DANS CETTE MESURE : voyez ce qui n'a pas été vérifié"),
    (
        "GENUINE, AND OF A CONSENT THAT HAS ENDED: it shows what was, and allows nothing now",
        "AUTHENTIQUE, ET D'UN CONSENTEMENT QUI A PRIS FIN : il montre ce qui fut, et n'autorise plus rien",
    ),
    ("UNREADABLE: {}", "ILLISIBLE : {}"),
    ("{}: it cannot be read ({})", "{} : il ne peut être lu ({})"),
    ("{}: this is no checkpoint", "{} : ce n'est pas une tête"),
    ("it is no file of keys", "ce n'est pas un fichier de clés"),
    ("{}: it holds no certificates in PEM", "{} : il ne contient pas de certificats en PEM"),
    ("No such file or directory", "il n'existe pas"),
    ("Is a directory", "c'est un répertoire"),
    ("Permission denied", "la lecture en est refusée"),
    # Bundles: files, keys, heads.
    ("{} files against their SHA-256", "{} fichiers comparés à leur SHA-256"),
    ("{}: no file of a bundle has such a name", "{} : aucun fichier d'un dossier ne porte un tel nom"),
    ("{}: it stands there twice", "{} : il y figure deux fois"),
    (
        "it has more in it than its files, or a file under two names: it was changed",
        "il contient plus que ses fichiers, ou un fichier sous deux noms : il a été changé",
    ),
    ("{}: it is not as the list of tags has it", "{} : il n'est pas tel que le dit la liste des étiquettes"),
    ("{}: it is listed and missing", "{} : il est dans la liste et manque"),
    ("{}: it is not listed", "{} : il n'est pas dans la liste"),
    ("{}: it was changed after the bundle was made", "{} : il a été changé après la fabrication du dossier"),
    ("{} is longer than any such file is", "{} est plus long que ne l'est un tel fichier"),
    (
        "a line of the bundle is longer than any such line is",
        "une ligne du dossier est plus longue que ne l'est une telle ligne",
    ),
    ("a line of the bundle is no object", "une ligne du dossier n'est pas un objet"),
    ("it is longer than any receipt or checkpoint is", "il est plus long que ne l'est un reçu ou une tête"),
    (
        "it is no bundle of a format that this verifier knows",
        "ce n'est pas un dossier d'un format que ce vérificateur connaît",
    ),
    ("it cannot be read as a bundle ({})", "il ne peut être lu comme un dossier ({})"),
    (
        "{} and {}: {} was forked: they have two entries of number {}",
        "{} et {} : {} a bifurqué : ils ont deux entrées de numéro {}",
    ),
    ("the rest of it cannot be read ({})", "le reste ne peut être lu ({})"),
    ("it is not what it should be ({})", "il n'est pas ce qu'il devrait être ({})"),
    (
        "{} follows a key that is trusted, as both have signed",
        "{} suit une clé de confiance, comme les deux l'ont signé",
    ),
    ("none of the keys that are trusted is the log's", "aucune des clés de confiance n'est celle du journal"),
    (
        "no key of a log was given: the keys are those that the bundle names itself (compare: {})",
        "aucune clé de journal n'a été donnée : les clés sont celles que le dossier nomme lui-même (comparez : {})",
    ),
    ("the checkpoint of {} entries, signed by {}", "la tête de {} entrées, signée par {}"),
    ("a checkpoint of {} entries, signed by {}", "une tête de {} entrées, signée par {}"),
    ("the checkpoint of {}: {}", "la tête de {} : {}"),
    ("the later checkpoint: {}", "la tête ultérieure : {}"),
    (
        "the later checkpoint of {} entries does not continue this bundle's log",
        "la tête ultérieure de {} entrées ne continue pas le journal de ce dossier",
    ),
    (
        "an entry behind the bundle's end ({}) is not what the log holds",
        "une entrée d'après la fin du dossier ({}) n'est pas ce que contient le journal",
    ),
    (
        "the log does not state that this bundle was made: nothing shows that it is whole",
        "le journal ne déclare pas ce dossier : rien ne montre qu'il est entier",
    ),
    (
        "it is not the bundle that the log states: files were changed, left out or added",
        "ce n'est pas le dossier que déclare le journal : des fichiers ont été changés, retirés ou ajoutés",
    ),
    (
        "it has {} {}, and had {} by the log's statement",
        "il en a {} ({}), et en avait {} selon la déclaration du journal",
    ),
    (
        "every file is as the log states it of this bundle",
        "chaque fichier est tel que le journal le déclare de ce dossier",
    ),
    (
        "the log does not begin with the checkpoint of {} entries of {}: it was rewritten",
        "le journal ne commence pas par la tête de {} entrées de {} : il a été réécrit",
    ),
    ("the log begins with the checkpoint of {} entries of {}", "le journal commence par la tête de {} entrées de {}"),
    (
        "the log goes on to the checkpoint of {} entries of {}",
        "le journal continue jusqu'à la tête de {} entrées de {}",
    ),
    (
        "the checkpoint of {} entries of {} is older than this bundle: ask for one that begins before",
        "la tête de {} entrées de {} est plus ancienne que ce dossier : demandez-en un qui commence avant",
    ),
    (
        "the checkpoint of {} entries of {} is newer than this bundle: ask for one that reaches it",
        "la tête de {} entrées de {} est plus récente que ce dossier : demandez-en un qui va jusque-là",
    ),
    ("{} and {}: {}", "{} et {} : {}"),
    ("{} was forked: of {} entries it has two heads", "{} a bifurqué : il a deux têtes de {} entrées"),
    (
        "{} was set back: it had {} entries at {}, and {} at {}",
        "{} a été ramené en arrière : il avait {} entrées à {}, et {} à {}",
    ),
    # What a bundle leaves out.
    ("the {} entries before this bundle begins", "les {} entrées d'avant le début de ce dossier"),
    (
        "anything outside the period that the operator chose: from {} to {}",
        "ce qui est hors de la période que l'exploitant a choisie : de {} à {}",
    ),
    ("the beginning", "le début"),
    ("its last checkpoint", "sa dernière tête"),
    ("1 row waits to be entered, the oldest since {}", "une ligne attend son inscription, depuis {}"),
    (
        "{} rows wait to be entered, the oldest since {}",
        "{} lignes attendent leur inscription, la plus ancienne depuis {}",
    ),
    (
        "the replay of {} to {}, which is the operator's word: {}",
        "la reprise de {} à {}, qui est la parole de l'exploitant : {}",
    ),
    (
        "by the operator's own replay, decisions come out otherwise, or rows were altered",
        "selon la reprise de l'exploitant lui-même, des décisions donnent autre chose, ou des lignes ont été modifiées",
    ),
    # Entries and bodies.
    (
        "it says of itself that it is of another log, or ends elsewhere, than its checkpoint",
        "il dit de lui-même être d'un autre journal, ou finir ailleurs, que sa tête",
    ),
    ("the log states this bundle twice", "le journal déclare ce dossier deux fois"),
    (
        "{}: it is marked as late, and does not claim to be older than those before it",
        "{} : elle est marquée comme tardive, et ne se dit pas plus ancienne que celles d'avant",
    ),
    ("the bundle holds no entry of the log", "le dossier ne contient aucune entrée du journal"),
    ("entry {} ({} {})", "entrée {} ({} {})"),
    ("entry {}: it is missing, or stands in another place", "entrée {} : elle manque, ou figure ailleurs"),
    ("entry {}: it is no entry of a log", "entrée {} : ce n'est pas une entrée d'un journal"),
    (
        "the entries are not those that the checkpoint was signed for: one was changed, moved or removed",
        "les entrées ne sont pas celles pour lesquelles la tête a été signée : une a été modifiée, déplacée ou retirée",
    ),
    ("{} entries against the checkpoint", "{} entrées comparées à la tête"),
    ("{} {}: recorded, and not in the log", "{} {} : enregistré, et absent du journal"),
    ("{} bodies against their commitments", "{} corps comparés à leurs engagements"),
    ("{}: what the database has is not what was recorded", "{} : la base ne contient pas ce qui a été enregistré"),
    ("{}: the text is not that of its hash", "{} : le texte n'est pas celui de son empreinte"),
    (
        "{}: its body is gone, and no run of retention tells why",
        "{} : son corps a disparu, et aucune destruction inscrite ne l'explique",
    ),
    ("{}: {} has the body that {} lacks: {}", "{} : {} a le corps qui manque à {} : {}"),
    (
        "by the log's statement {} bodies were gone when it was made",
        "selon la déclaration du journal, {} corps avaient disparu quand il a été fait",
    ),
    ("and {} more of them", "et {} autres"),
    (
        (
            "{} bodies were destroyed when their time was over, as retention runs in the log say: compare with "
            "the operator's schedule"
        ),
        (
            "{} corps ont été détruits, leur délai passé, comme le disent les destructions inscrites au journal :"
            " comparez aux délais de l'exploitant"
        ),
    ),
    (
        "{} bodies about other people are not part of this bundle",
        "{} corps concernant d'autres personnes ne font pas partie de ce dossier",
    ),
    (
        "{} bodies of consents to other processings than {} are not part of this bundle",
        "{} corps de consentements à d'autres traitements que {} ne font pas partie de ce dossier",
    ),
    ("{}: what it states is no run of retention", "{} : ce qu'elle déclare n'est pas une destruction"),
    ("entry {}: this run of retention is of the future", "entrée {} : cette destruction est dans le futur"),
    (
        "entry {}: a run of retention states that {} bodies are gone that are there",
        "entrée {} : une destruction déclare disparus {} corps qui sont là",
    ),
    (
        "{}: it claims to be older than entries before it, and is not marked as late",
        "{} : elle se dit plus ancienne que des entrées qui la précèdent, et n'est pas marquée comme tardive",
    ),
    ("{}: it was entered late, at {}, and claims to be of {}", "{} : elle a été inscrite tard, le {}, et se dit du {}"),
    ("{} more entries were entered late", "{} autres entrées ont été inscrites tard"),
    ("{}: {} has another entry there", "{} : {} y a une autre entrée"),
    ("{}: {} tells something else: {}", "{} : {} dit autre chose : {}"),
    (
        "the act {} of {}: it may stand before this bundle begins",
        "l'acte {} de {} : il peut figurer avant le début de ce dossier",
    ),
    (
        "the act {} of {}: ask for a bundle that reaches further",
        "l'acte {} de {} : demandez un dossier qui va plus loin",
    ),
    ("the act {} that {} tells, of {}, was not entered", "l'acte {} que dit {}, du {}, n'a pas été inscrit"),
    # Decisions.
    (
        "no hour of decisions is stated here: it shows no decision",
        "aucune heure de décisions n'est déclarée ici : il ne montre aucune décision",
    ),
    (
        "{} decisions against the statements of their hours, which reach to {}",
        "{} décisions comparées aux déclarations de leurs heures, qui vont jusqu'à {}",
    ),
    ("{} decisions of {} that the log states are gone", "{} décisions de {} que déclare le journal ont disparu"),
    (
        "{} decisions that the log states, from {} on, are not part of this bundle",
        "{} décisions que déclare le journal, à partir de {}, ne font pas partie de ce dossier",
    ),
    (
        "{} decisions that were not logged, by the operator's word",
        "{} décisions qui n'ont pas été enregistrées, aux dires de l'exploitant",
    ),
    ("{}: no statement of the log names these decisions", "{} : aucune déclaration du journal ne nomme ces décisions"),
    ("{}: nothing is stated from {} to {}, or twice", "{} : rien n'est déclaré de {} à {}, ou l'est deux fois"),
    (
        "{}: it names decisions that another statement names",
        "{} : elle nomme des décisions qu'une autre déclaration nomme",
    ),
    (
        "the decisions of {} ({}) are not those that were stated: {} lines, and {} were logged",
        "les décisions de {} ({}) ne sont pas celles qui ont été déclarées : {} lignes, et {} ont été enregistrées",
    ),
    # What others say.
    (
        "not anchored: nothing outside shows since when this log has been as it is",
        "sans ancrage : rien d'extérieur ne montre depuis quand ce journal est tel",
    ),
    (
        "since when the last {} of the entries are there: nobody outside had them yet",
        "depuis quand les {} dernières entrées sont là : personne d'extérieur ne les avait encore",
    ),
    (
        "time-stamps or cosignatures of checkpoints that are not among this bundle's entries",
        "des horodatages ou cosignatures de têtes qui ne sont pas parmi les entrées de ce dossier",
    ),
    (
        "{} of {} entries is of another log: this one was rewritten",
        "{} de {} entrées est d'un autre journal : celui-ci a été réécrit",
    ),
    ("the time-stamp of {} entries: {}", "l'horodatage de {} entrées : {}"),
    ("the checkpoint of {} entries in {}: {}", "la tête de {} entrées dans {} : {}"),
    ("cosignatures of {}: give its key with --key", "les cosignatures de {} : donnez sa clé avec --key"),
    ("the stamped checkpoint", "la tête horodatée"),
    ("the cosigned checkpoint", "la tête cosignée"),
    ("a time-stamp under policy {}", "un horodatage selon la politique {}"),
    ("witness {}", "le témoin {}"),
    ("witness {} saw it at {}", "le témoin {} l'a vue à {}"),
    ("{}: the first {} entries were there at {}", "{} : les {} premières entrées étaient là à {}"),
    (
        "{}, {} times: the first {} entries were there at {}, the first {} entries were there at {}",
        "{}, {} fois : les {} premières entrées étaient là à {}, les {} premières à {}",
    ),
    ("the authority has refused it", "l'autorité l'a refusé"),
    ("it is no time-stamp", "ce n'est pas un horodatage"),
    ("it is of something else", "il est d'autre chose"),
    ("it answers another request", "il répond à une autre demande"),
    ("it is given under another policy", "il est donné selon une autre politique"),
    ("no authority that is trusted has signed it", "aucune autorité de confiance ne l'a signé"),
    (
        "the time-stamp: {}; or run, for the one of {} entries: {}",
        "l'horodatage : {} ; ou lancez, pour celui de {} entrées : {}",
    ),
    (
        "{} time-stamps: {}; or run, for the one of {} entries: {}",
        "{} horodatages : {} ; ou lancez, pour celui de {} entrées : {}",
    ),
    (
        "give --tsa-ca FILE with the roots that you trust",
        "donnez --tsa-ca FICHIER avec les racines auxquelles vous vous fiez",
    ),
    ("install rfc3161-client", "installez rfc3161-client"),
    (
        "give --tsa-ca FILE with the roots that you trust and install rfc3161-client",
        "donnez --tsa-ca FICHIER avec les racines auxquelles vous vous fiez et installez rfc3161-client",
    ),
    # Notes and keys.
    ("the signature of {} is wrong", "la signature de {} est fausse"),
    ("the checkpoint is not signed by a key that is trusted", "la tête n'est pas signée par une clé de confiance"),
    ("the checkpoint is of another log, {}", "la tête est d'un autre journal, {}"),
    ("this is no checkpoint", "ce n'est pas une tête"),
    ("this is no signed note", "ce n'est pas une note signée"),
    ("a signature line of the note is wrong", "une ligne de signature de la note est fausse"),
    ("what should be base64 is not", "ce qui devrait être du base64 n'en est pas"),
    (
        "a tree of that size has another number of complete subtrees",
        "un arbre de cette taille a un autre nombre de sous-arbres complets",
    ),
    ("this is no proof of a log", "ce n'est pas une preuve d'un journal"),
    (
        "this is no verifier key of Ed25519 (<name>+<id>+<key>)",
        "ce n'est pas une clé de vérification Ed25519 (<nom>+<id>+<clé>)",
    ),
    (
        "the id of the verifier key is not that of its name and key",
        "l'id de la clé de vérification n'est pas celui de son nom et de sa clé",
    ),
    ("the note has too many signatures", "la note a trop de signatures"),
    ("a hash of the proof is no base64", "une empreinte de la preuve n'est pas du base64"),
    ("the time of a cosignature is none", "l'heure d'une cosignature n'en est pas une"),
    ("a rotation of keys is not what it should be", "un changement de clés n'est pas ce qu'il devrait être"),
    ("a rotation of keys is not signed by both", "un changement de clés n'est pas signé par les deux"),
    (
        "a checkpoint can be checked with the log's key only: give it with --key",
        "une tête ne peut être vérifiée qu'avec la clé du journal : donnez-la avec --key",
    ),
    # Receipts.
    ("it is no receipt", "ce n'est pas un reçu"),
    ("it is no receipt of Sceau", "ce n'est pas un reçu de Sceau"),
    ("it is no consent receipt", "ce n'est pas un reçu de consentement"),
    ("the receipt names no key", "le reçu ne nomme aucune clé"),
    ("a part of it is no JSON", "une partie n'en est pas du JSON"),
    ("a part of it is no object", "une partie n'en est pas un objet"),
    ("a part of it is no base64url", "une partie n'en est pas du base64url"),
    ("signed by {}", "signé par {}"),
    ("it tells: {}, {}, {}", "il dit : {}, {}, {}"),
    ("consent given", "consentement donné"),
    ("consent refused", "consentement refusé"),
    ("consent withdrawn", "consentement retiré"),
    ("an act", "un acte"),
    ("every processing", "tous les traitements"),
    ("{}: withdrawn, of {}", "{} : retrait du {}"),
    ("{}: refused, of {}", "{} : refus du {}"),
    ("{}: closed, of {}", "{} : fermeture du {}"),
    ("{}: erased, of {}", "{} : effacement du {}"),
    ("{}: invalidated", "{} : invalidation"),
    (
        "the consent ended by {}, as the receipt says too",
        "le consentement a pris fin par {}, comme le dit aussi le reçu",
    ),
    ("{} decisions, {} reproduced, {} different, {} altered", "{} décisions, {} reproduites, {} autres, {} modifiées"),
    (
        "no key of receipts was given: the receipt's own was taken (compare: {})",
        "aucune clé de reçus n'a été donnée : celle du reçu a été prise (comparez : {})",
    ),
    (
        "the receipt is signed by a key that is not trusted: {}",
        "le reçu est signé par une clé qui n'est pas de confiance : {}",
    ),
    ("the signature of the receipt is wrong: it was changed", "la signature du reçu est fausse : il a été changé"),
    (
        "the entry in the log: it was not there yet, or its body was destroyed",
        "l'entrée au journal : elle n'y était pas encore, ou son corps a été détruit",
    ),
    (
        "what the receipt says is not what its entry in the log commits to",
        "ce que dit le reçu n'est pas ce à quoi s'engage son entrée au journal",
    ),
    ("the receipt and the log differ: {}", "le reçu et le journal diffèrent : {}"),
    ("the entry of {} commits to what the receipt says", "l'entrée du {} s'engage à ce que dit le reçu"),
    (
        "the proof that the entry stands in the log: give the key of the same deployment's log",
        "la preuve que l'entrée figure au journal : donnez la clé du journal du même service",
    ),
    ("the proof is of a log whose key is not trusted", "la preuve est d'un journal dont la clé n'est pas de confiance"),
    ("the entry stands in the log, as number {}", "l'entrée figure au journal, sous le numéro {}"),
    ("the entry does not stand in the log", "l'entrée ne figure pas au journal"),
    ("the consent does not stand any more: it ended by {}", "le consentement ne vaut plus : il a pris fin par {}"),
    (
        "what the register said (purpose, recipients, how long, controllers): a bundle proves that",
        "ce que disait le registre (finalité, destinataires, durée, responsables) : un dossier le prouve",
    ),
    (
        "whether the consent still stands: a receipt does not say that",
        "si le consentement vaut encore : un reçu ne le dit pas",
    ),
    ("the act", "l'acte"),
    ("the person", "la personne"),
    ("the processing", "le traitement"),
    ("its version", "sa version"),
    ("the decision", "la décision"),
    ("how it was given", "comment il a été donné"),
    ("the text that was shown", "le texte montré"),
    ("its language", "sa langue"),
    ("when it was collected", "quand il a été recueilli"),
    ("when it expires", "quand il expire"),
]
FRENCH = dict(_SENTENCES)
_DEEPEST = 3
_LONGEST_SAID = 4_000
_LONGEST_FIRST = sorted(_SENTENCES, key=lambda pair: len(pair[0].replace("{}", "")), reverse=True)
"""Of two sentences that fit, the one that says more of it itself is meant."""


def in_french(said: str, within: int = 0) -> str:
    """A sentence in French; what is none of the verifier's own, and what a forger made of many, stays as it is."""
    if within > _DEEPEST or len(said) > _LONGEST_SAID:
        return said
    for english, french in _LONGEST_FIRST:
        if (filled := _filled(english.split("{}"), said)) is not None:
            return french.format(*(in_french(each, within + 1) for each in filled))
    return said


def _filled(parts: list[str], said: str) -> list[str] | None:
    """What stands between the parts of a sentence; None where it is another one. Each part is looked for once."""
    if len(parts) == 1:
        return [] if said == parts[0] else None
    if not said.startswith(parts[0]):
        return None
    found, at = [], len(parts[0])
    for part in parts[1:-1]:
        if (end := said.find(part, at + 1)) < 0:
            return None
        found.append(said[at:end])
        at = end + len(part)
    end = len(said) - len(parts[-1])
    if end <= at or not said.endswith(parts[-1]):
        return None
    return [*found, said[at:end]]
