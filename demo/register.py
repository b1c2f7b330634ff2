"""The sample register: what a mail provider might run, one processing of each kind that the law tells apart."""

from typing import Any, Final

from demo.client import Client

ADS: Final = "targeted-ads"
STATISTICS: Final = "usage-statistics"
TRAINING: Final = "smart-reply-training"


def _processing(
    identifier: str, purpose: str, elements: list[str], names: tuple[str, str], **more: str | list[str]
) -> dict[str, Any]:
    fr, en = names
    return {
        "id": identifier,
        "controller": "Exemple Courriel SAS",
        "provider_kind": "operator",
        "service": "mail",
        "purpose": purpose,
        "elements": elements,
        "automated": True,
        "party_mode": "user_only",
        "started_on": "2024-01-15",
        "consent_validity": "P1Y",
        "name": {"fr": fr, "en": en},
        "notice": {
            "fr": f"{fr} : analyse automatique de vos messages.",
            "en": f"{en}: automated analysis of your mail.",
        },
        "data_recipients": [],
        "retention": "P30D",
        "data_protection_contact": "dpo@exemple-courriel.example",
        "categories_of_persons": ["abonnés", "leurs correspondants"],
        "storage_location": "Roubaix (France)",
        "security_measures": "Chiffrement au repos ; accès nominatifs et journalisés.",
        **more,
    }


SAMPLE: Final = (
    _processing(
        "spam-filter",
        "unsolicited_content_detection",
        ["content", "correspondent_identity", "subject_line"],
        ("Filtre antispam", "Spam filter"),
    ),
    _processing("antivirus", "malware_detection", ["content", "attachments"], ("Antivirus", "Antivirus")),
    _processing(
        "folder-sorting",
        "sorting",
        ["correspondent_identity", "subject_line"],
        ("Classement dans les dossiers", "Sorting into folders"),
    ),
    _processing(
        ADS,
        "advertising",
        ["content", "subject_line"],
        ("Publicité ciblée", "Targeted advertising"),
        data_recipients=["Exemple Régie SA"],
    ),
    _processing(STATISTICS, "statistics", ["correspondent_identity"], ("Statistiques d'usage", "Usage statistics")),
    _processing(
        TRAINING,
        "service_improvement",
        ["content"],
        ("Apprentissage des réponses suggérées", "Training of suggested replies"),
        party_mode="all_local_users",
    ),
    _processing("profile-resale", "other", ["content"], ("Revente de profils", "Resale of profiles")),
)


def notice_of(identifier: str) -> str:
    """The French notice of a processing of the sample."""
    text: str = next(each for each in SAMPLE if each["id"] == identifier)["notice"]["fr"]
    return text


def register_sample(client: Client) -> tuple[list[dict[str, Any]], int]:
    """Register what is missing of the sample; the whole register, in its order, and how many were new."""
    there = {each["id"] for each in client.must("GET", "/v1/processings")["items"]}
    new = [each for each in SAMPLE if each["id"] not in there]
    for processing in new:
        client.must("POST", "/v1/processings", processing)
    sample = [each["id"] for each in SAMPLE]
    register: list[dict[str, Any]] = client.must("GET", "/v1/processings")["items"]
    order = {identifier: place for place, identifier in enumerate(sample)}
    return sorted(register, key=lambda each: (order.get(each["id"], len(order)), each["id"])), len(new)
