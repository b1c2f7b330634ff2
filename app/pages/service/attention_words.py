"""What the head of the dashboard says: what needs attention, and four numbers."""

from typing import Final

from app.pages.languages import Catalogue, both

ATTENTION: Final[Catalogue] = {
    "attention": both("À traiter", "What needs attention"),
    "nothing": both("Rien ne demande votre attention.", "Nothing needs your attention."),
    "unread": both("Section illisible :", "A section could not be read:"),
    "stale": both(
        "Compté il y a plus d’une heure : le processus des tâches tourne-t-il ?",
        "Counted more than an hour ago: does the jobs process run?",
    ),
    "to_approve": both("Version à approuver :", "A version to approve:"),
    "disabled": both("Destinataires désactivés :", "Receivers that are disabled:"),
    "given_up": both("Notifications abandonnées :", "Deliveries that were given up:"),
    "overdue": both("Effets de retraits en retard :", "Effects of withdrawals that are overdue:"),
    "failing": both("Tâche en échec aujourd’hui :", "A task that failed today:"),
    "not_anchored": both(
        "Personne d’extérieur n’atteste le journal depuis trop longtemps.",
        "Nobody outside has attested to the log for too long.",
    ),
    "staff_notice": both("La notice du personnel est à compléter.", "The staff notice is to be completed."),
    "in_force": both("consentements en vigueur", "consents in force"),
    "lapsing": both("prennent fin d’ici la fin du mois prochain", "lapse by the end of next month"),
    "decided": both("décisions au journal aujourd’hui", "decisions in the log today"),
    "waiting": both("notifications en attente", "deliveries that wait"),
    "unknown": both("inconnu", "unknown"),
}
