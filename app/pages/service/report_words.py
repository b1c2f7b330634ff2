"""What the report of a period says to a data-protection officer."""

from typing import Final

from app.pages.languages import Catalogue, both

REPORT: Final[Catalogue] = {
    "title": both("Secret des correspondances : rapport", "Secrecy of correspondence: report"),
    "period": both(
        "Période : du {since} au {until} inclus (heure de Paris).", "Period: {since} to {until} (Paris time)."
    ),
    "made": both("Établi le", "Made on"),
    "part": both(
        "Le rapport compte les réponses des personnes et n’en nomme aucune. Les analyses de III, sans consentement, ne "
        "sont enregistrées qu’en partie, et chaque jour du journal des décisions n’est gardé qu’un temps.",
        "The report counts what people answered, and names none of them. Analyses of III, which need no consent, are "
        "logged in part, and each day of the decision log is kept for a time only.",
    ),
    "register": both("Registre des traitements, à la date du rapport", "Register of processings, as of this report"),
    "processing": both("Traitement", "Processing"),
    "purpose": both("Finalité", "Purpose"),
    "status": both("Statut", "Status"),
    "version": both("Version", "Version"),
    "remark": both("Remarque", "Remark"),
    "waits": both("une version attend une approbation", "a version waits for approval"),
    "never": both("n’est jamais permis", "is never permitted"),
    "warning_data_recipients": both("transmet à des tiers", "gives data to others"),
    "warning_retention": both("conserve plus de 30 jours", "keeps data for over 30 days"),
    "warning_advertising_words": both(
        "relève du III mais parle de publicité ou de profils", "is of III but speaks of advertising or profiles"
    ),
    "warning_location": both("ne dit pas où sont les données", "does not say where the data are"),
    "warning_dpia": both("sans analyse d’impact (RGPD, art. 35)", "no impact assessment (GDPR art. 35)"),
    "warning_security": both("sans mesures de sécurité (RGPD, art. 32)", "no security measures (GDPR art. 32)"),
    "acts": both("Registre, approbations et réglages", "Register, approvals and settings"),
    "when": both("Quand", "When"),
    "who": both("Qui", "Who"),
    "what": both("Quoi", "What"),
    "events": both("Réponses des personnes", "What people answered"),
    "granted": both("Accords", "Consents"),
    "refused": both("Refus", "Refusals"),
    "withdrawn": both("Retraits", "Withdrawals"),
    "renewal_declined": both("Renouvellements non souhaités", "Renewals not wanted"),
    "closed": both("Fins par fermeture", "Ended by a closure"),
    "all": both("tous", "every one"),
    "lapse": both("Accords échus, et qui vont échoir", "Consents that lapsed, and that will"),
    "expired": both("Échus", "Expired"),
    "superseded": both("Version dépassée", "Superseded"),
    "invalidated": both("Invalidés", "Invalidated"),
    "due": both("Signalés", "Announced"),
    "lapsing": both("Échoient dans les 60 jours qui suivent", "Expire within 60 days after it"),
    "lists": both(
        "La liste des accords : GET /v1/renewals ; avec les personnes, sous la permission subjects:read.",
        "For the list of consents: GET /v1/renewals; with the people, under the scope subjects:read.",
    ),
    "decisions": both("Décisions enregistrées", "Logged decisions"),
    "permitted": both("permis", "permitted"),
    "denied": both("refusé", "denied"),
    "answer": both("Réponse", "Answer"),
    "reason": both("Raison", "Reason"),
    "number": both("Nombre", "Number"),
    "unknown": both("(traitement inconnu)", "(unknown processing)"),
    "dropped": both("Décisions qui n’ont pas pu être enregistrées :", "Decisions that could not be logged:"),
    "imports": both("Reprises d’un autre système", "Imports from another system"),
    "import_name": both("Nom", "Name"),
    "rows": both("Lignes", "Rows"),
    "grants": both("Accords", "Consents"),
    "approved": both("Approuvée", "Approved"),
    "yes": both("oui", "yes"),
    "no": both("non", "no"),
    "people": both("Droits des personnes", "Rights of people"),
    "erasures": both("Effacements :", "Erasures:"),
    "exports": both("Communications de tout ce qui est conservé :", "Exports of everything held:"),
    "staff": both("Personnel", "Staff"),
    "staff_line": both(
        "{acknowledged} ont pris connaissance de la note du jour ; {outdated} d’une version antérieure ; {missing} "
        "d’aucune.",
        "{acknowledged} have acknowledged the notice of today; {outdated} an earlier version; {missing} none.",
    ),
    "staff_none": both("Aucune note au personnel n’est publiée.", "No staff notice is published."),
    "log": both("Journal des preuves", "Proof log"),
    "log_line": both(
        "{size} entrées, tête signée le {signed} ; {waiting} lignes attendent leur inscription.",
        "{size} entries, head signed on {signed}; {waiting} rows wait to be entered.",
    ),
    "log_none": both("Le journal est vide.", "The log is empty."),
    "none": both("Rien pendant cette période.", "Nothing in this period."),
}

ACTS: Final[Catalogue] = {
    "controller.registered": both("responsable enregistré", "controller registered"),
    "controller.versioned": both("responsable modifié", "controller changed"),
    "import.approved": both("reprise approuvée", "import approved"),
    "owner_limits.changed": both("limites du propriétaire modifiées", "limits of the owner changed"),
    "processing.invalidated": both("invalidation", "invalidation"),
    "proposal.approved": both("proposition approuvée", "proposal approved"),
    "proposal.rejected": both("proposition refusée", "proposal rejected"),
    "processing.approved": both("version approuvée", "version approved"),
    "processing.proposed": both("version proposée", "version proposed"),
    "processing.registered": both("traitement enregistré", "processing registered"),
    "processing.rejected": both("version refusée", "version rejected"),
    "processing.resumed": both("traitement repris", "processing resumed"),
    "processing.retired": both("traitement retiré", "processing retired"),
    "processing.suspended": both("traitement suspendu", "processing suspended"),
    "processing.versioned": both("version ajoutée", "version added"),
    "retention.held": both("conservation prolongée", "kept for longer"),
    "retention.released": both("conservation prolongée levée", "kept for longer no more"),
    "retention.run": both(
        "preuves passées de délai détruites, de ce mois ou d’avant",
        "proof past its time destroyed, of this month or before",
    ),
    "retention.signed": both("délais de conservation signés", "schedule of retention signed"),
    "staff_notice.published": both("note au personnel publiée", "staff notice published"),
}
