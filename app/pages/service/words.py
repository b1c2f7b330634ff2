"""What the dashboard says: its frame, its sections, and the words for states, reasons and purposes."""

from typing import Final

from app.pages.words import Catalogue, both

DASHBOARD: Final[Catalogue] = {
    "title": both("Tableau de bord", "Dashboard"),
    "sign_in_title": both("Tableau de bord : connexion", "Dashboard: sign in"),
    "sign_in_lead": both(
        "Entrez une clé d’API qui a la permission audit:read. Elle est vérifiée une fois, et n’est ni affichée, ni "
        "gardée, ni mise dans une adresse.",
        "Enter an API key that has the scope audit:read. It is checked once, and is neither shown, nor kept, nor put "
        "into an address.",
    ),
    "key": both("Clé d’API", "API key"),
    "key_help": both(
        "Elle commence par sceau_. La session prend fin après 30 minutes sans activité, au plus tard après 12 heures, "
        "et dès que la clé est révoquée.",
        "It begins with sceau_. The session ends after 30 minutes without activity, after 12 hours at the latest, and "
        "as soon as the key is revoked.",
    ),
    "sign_in": both("Se connecter", "Sign in"),
    "sign_out": both("Se déconnecter", "Sign out"),
    "wrong_key": both("Cette clé n’est pas valable.", "That key is not valid."),
    "scope_missing": both(
        "Cette clé n’a pas la permission audit:read.", "This key does not have the scope audit:read."
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
    "lead": both(
        "Des nombres seulement : aucune personne, aucun message n’y figure.",
        "Numbers only: no person or message appears here.",
    ),
    "restricted": both("Vous voyez les traitements de cette clé :", "You see the processings of this key:"),
    "sections": both("Sections", "Sections"),
    "as_of": both("Situation au", "As of"),
    "failed": both(
        "Cette section n’a pas pu être lue. Le journal du service dit pourquoi.",
        "This section could not be read. The service’s log says why.",
    ),
    "never": both(
        "Rien n’a encore été compté : le processus des tâches compte toutes les minutes quand il tourne.",
        "Nothing was counted yet: the jobs process counts every minute while it runs.",
    ),
    "stale": both(
        "Compté il y a plus d’une heure : vérifiez que le processus des tâches tourne.",
        "Counted more than an hour ago: see whether the jobs process runs.",
    ),
    # Register
    "register": both("Registre", "Register"),
    "register_empty": both("Aucun traitement n’est inscrit.", "No processing is registered."),
    "register_caption": both("Traitements inscrits", "Registered processings"),
    "processing": both("Traitement", "Processing"),
    "purpose": both("Finalité", "Purpose"),
    "paragraph": both("Paragraphe de L32-3", "Paragraph of L32-3"),
    "state": both("État", "State"),
    "version": both("Version", "Version"),
    "number": both("Nombre", "Number"),
    "forbidden": both("interdit", "forbidden"),
    "exempt": both("sans consentement", "no consent needed"),
    "on_consent": both("avec consentement", "on consent"),
    "version_to_come": both("à venir : version", "to come: version"),
    "struck": both(
        "la version en vigueur est invalidée : personne n’est sollicité",
        "the version in force is invalidated: nobody is asked",
    ),
    "version_to_approve": both("à approuver : version", "to be approved: version"),
    "warning_data_recipients": both("transmet à des tiers", "gives data to others"),
    "warning_retention": both("conserve plus de 30 jours", "keeps data for over 30 days"),
    "warning_advertising_words": both(
        "relève du III mais parle de publicité ou de profils", "is of III but speaks of advertising or profiles"
    ),
    "warning_location": both("ne dit pas où sont les données", "does not say where the data are"),
    "warning_dpia": both("sans analyse d’impact (RGPD, art. 35)", "no impact assessment (GDPR art. 35)"),
    "warning_security": both("sans mesures de sécurité (RGPD, art. 32)", "no security measures (GDPR art. 32)"),
    # Consents
    "consents": both("Consentements par état", "Consents by state"),
    "consents_empty": both("Aucun consentement n’est enregistré.", "No consent is recorded."),
    # Renewals
    "renewals": both("Renouvellements à venir", "Renewals to come"),
    "renewals_empty": both("Aucun consentement n’est en vigueur.", "No consent is in force."),
    "renewals_note": both(
        "Consentements en vigueur, par mois où ils prendront fin s’ils ne sont pas renouvelés.",
        "Consents in force, by the month in which they lapse unless they are renewed.",
    ),
    "renewals_chart": both("Fin des consentements en vigueur, par mois", "Consents in force that lapse, by month"),
    "month": both("Mois", "Month"),
    "lapsing": both("Prennent fin", "Lapse"),
    "same_numbers": both("Les mêmes nombres sont dans le tableau.", "The table has the same numbers."),
    # Decisions
    "decisions": both("Décisions", "Decisions"),
    "decisions_off": both(
        "Le journal des décisions est désactivé (SCEAU_DECISION_LOG) : rien n’est compté.",
        "The decision log is off (SCEAU_DECISION_LOG): nothing is counted.",
    ),
    "decisions_empty": both(
        "Aucune décision n’est au journal des 14 derniers jours.", "No decision of the last 14 days is in the log."
    ),
    "decisions_note": both(
        "Décisions du journal, par jour à Paris. Autorisations sans consentement (III) : le journal n’en conserve que ",
        "Decisions in the log, by day in Paris. Permits without consent (III): the log keeps only ",
    ),
    "decisions_chart": both("Décisions par jour, permises et refusées", "Decisions by day, permitted and denied"),
    "day": both("Jour", "Day"),
    "permitted": both("Permises", "Permitted"),
    "denied": both("Refusées", "Denied"),
    "reasons_caption": both("Décisions par motif et par jour", "Decisions by reason and day"),
    "reason": both("Motif", "Reason"),
    "total": both("Total", "Total"),
    # Deliveries
    "deliveries": both("Notifications envoyées", "Deliveries to receivers"),
    "effects": both("Effets des retraits", "Effects of withdrawals"),
    "effects_empty": both(
        "Aucun retrait n’attend d’accusé de réception.", "No end of a consent waits to be acknowledged."
    ),
    "effects_note": both(
        "Les récepteurs confirment par POST /v1/acknowledgements qu’ils ont cessé l’analyse et effacé les données qui "
        "en ont été tirées.",
        "Receivers confirm with POST /v1/acknowledgements that they stopped the analysis and erased what was derived.",
    ),
    "effects_caption": both("Fins de consentement non confirmées", "Ends of consents that are not acknowledged"),
    "not_stopped": both("Arrêt non confirmé", "Stop not acknowledged"),
    "not_erased": both("Effacement non confirmé", "Erasure not acknowledged"),
    "overdue": both("Effacement en retard", "Erasure overdue"),
    "deliveries_empty": both("Aucun récepteur n’est enregistré.", "No receiver is registered."),
    "deliveries_caption": both("Récepteurs d’événements", "Receivers of events"),
    "receiver": both("Récepteur", "Receiver"),
    "active": both("actif", "active"),
    "disabled": both("désactivé", "disabled"),
    "by_request": both("sur demande", "by request"),
    "gone": both("a répondu 410", "answered 410"),
    "maker_ended": both("son auteur n’en a plus le droit", "its maker lost the right"),
    "pending": both("En attente", "Pending"),
    "dead": both("Abandonnés", "Given up"),
    "lost": both("Périmés sans livraison", "Too old, undelivered"),
    "delivered": both("Réussis", "Succeeded"),
    "attempts_failed": both("Essais échoués", "Failed attempts"),
    "undispatched": both("Événements en attente de distribution :", "Events not dispatched yet:"),
    # Staff
    "staff": both("Personnel", "Staff"),
    "staff_note": both(
        "Qui a pris connaissance des obligations de L32-3 (V). Les noms sont dans GET /v1/staff/coverage.",
        "Who has taken note of the duties of L32-3 (V). The names are in GET /v1/staff/coverage.",
    ),
    "staff_to_complete": both(
        "La notice du personnel est incomplète, personne ne peut la confirmer : POST /v1/staff/notices.",
        "The staff notice is not complete, so nobody can acknowledge it yet: POST /v1/staff/notices.",
    ),
    "staff_caption": both("Notice du personnel, version", "Staff notice, version"),
    "staff_acknowledged": both("à jour", "up to date"),
    "staff_outdated": both("version ancienne", "older version"),
    "staff_missing": both("jamais", "never"),
    "staff_rotated": both(
        "à jour, mais moins d’une semaine après un changement de clé fait par quelqu’un d’autre",
        "up to date, but within a week after somebody else rotated the key",
    ),
    "staff_left": both("partis", "left"),
    # Jobs
    "jobs": both("Tâches de fond", "Background jobs"),
    "jobs_empty": both("Aucune tâche n’a encore tourné.", "No job has run yet."),
    "jobs_caption": both("Dernier jour de chaque tâche (UTC)", "Last day of each task (UTC)"),
    "task": both("Tâche", "Task"),
    "last_run": both("Dernière exécution", "Last run"),
    "took": both("Durée", "Took"),
    "flagged": both("Traités", "Dealt with"),
    "backlog": both("Reste à traiter", "Left"),
    "runs": both("Exécutions", "Runs"),
    "failures": both("Échecs", "Failures"),
    # Replicas
    "replicas": both("Répliques", "Replicas"),
    "replicas_empty": both(
        "Aucune réplique ne décide à partir de sa mémoire : chaque décision lit la base.",
        "No replica decides from memory: each decision reads the database.",
    ),
    "replicas_caption": both("Processus qui décident de mémoire", "Processes that decide from memory"),
    "replica": both("Réplique", "Replica"),
    "lag": both("Dernier signe", "Heard ago"),
    "beats": both("Battements", "Beats"),
    "lease": both("Bail", "Lease"),
    "fresh": both("à jour", "up to date"),
    "late": both("en retard : lit la base", "late: reads the database"),
    # Anchors
    "anchors": both("Journal de preuve", "Proof log"),
    "anchors_off": both(
        "Journal non ancré : rien d’extérieur au service ne montre depuis quand il est tel qu’il est (SCEAU_TSA_URL).",
        "The log is not anchored: nothing outside the service shows since when it is as it is (SCEAU_TSA_URL).",
    ),
    "anchors_pending": both(
        "Journal pas encore ancré : aucun horodatage n’est conservé.",
        "The log is not anchored yet: no time-stamp of it is kept.",
    ),
    "anchors_late": both(
        "Journal non ancré depuis plus de deux heures : l’autorité d’horodatage ne répond pas comme elle le doit. Le "
        "journal du processus des tâches dit pourquoi.",
        "The log was not anchored for over two hours: the time-stamping authority does not answer as it must. The log "
        "of the jobs process says why.",
    ),
    "anchors_note": both(
        "Le journal est ancré : d’autres l’ont horodaté ou cosigné il y a moins de deux heures.",
        "The log is anchored: others have stamped or cosigned it less than two hours ago.",
    ),
    "anchors_entries": both("Entrées ancrées", "Entries anchored"),
}

STATES: Final[Catalogue] = {
    "in_force": both("en vigueur", "in force"),
    "pending": both("en attente de sa version", "pending its version"),
    "awaiting_other_parent_or_child": both("en attente du parent ou de l’enfant", "awaiting the parent or the child"),
    "invalid": both("invalide", "invalid"),
    "invalidated": both("invalidé", "invalidated"),
    "superseded": both("dépassé par une version", "superseded"),
    "expired": both("expiré", "expired"),
    "refused": both("refusé", "refused"),
    "withdrawn": both("retiré", "withdrawn"),
    "replaced": both("remplacé", "replaced"),
    "closed": both("clos (compte fermé ou traitement retiré)", "closed (account closed or processing retired)"),
}
"""In the order of the table."""

REASONS: Final[Catalogue] = {
    "exempt": both("sans consentement (III)", "no consent needed (III)"),
    "consent_in_force": both("consentement en vigueur", "consent in force"),
    "transition_2017": both("transition de 2017", "transition of 2017"),
    "no_consent": both("jamais demandé ou sans réponse", "no consent"),
    "consent_refused": both("consentement refusé", "consent refused"),
    "consent_withdrawn": both("consentement retiré", "consent withdrawn"),
    "consent_invalid": both("consentement invalide", "consent invalid"),
    "consent_superseded": both("consentement à une version dépassée", "consent superseded"),
    "consent_expired": both("consentement expiré", "consent expired"),
    "consent_scope": both("au-delà du consentement", "beyond the consent"),
    "other_party": both("autre partie sans consentement", "another party’s consent is missing"),
    "processing_suspended": both(
        "traitement suspendu, retiré ou pas encore approuvé", "processing suspended, retired or not approved yet"
    ),
    "human_access": both("accès humain", "human access"),
    "not_applicable": both("hors du champ de L32-3", "outside L32-3"),
    "not_governed": both("non régi par L32-3", "not governed by L32-3"),
    "undeclared_element": both("élément non déclaré", "undeclared element"),
    "channel_not_covered": both("canal non couvert", "channel not covered"),
    "purpose_not_permitted": both("finalité que la loi ne nomme pas", "purpose that the law does not name"),
    "unknown_processing": both("traitement inconnu", "unknown processing"),
    "law_version_not_held": both("texte de loi non détenu", "law version not held"),
    "evidence_unavailable": both("preuves indisponibles", "evidence unavailable"),
}
