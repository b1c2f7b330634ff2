"""Routes of the log: its checkpoint and tiles for everybody (c2sp.org/tlog-tiles), proofs and receipts by key.

Tiles hold only hashes of entries, which commit to bodies under random salts: they reveal nothing about any person.
"""

import json
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Path, Query, Request, Response
from pydantic import BaseModel, Field

from app.api.http.exchange import preferred
from app.api.http.security import Needs, everywhere, open_to_all, problems, strict_router
from app.api.http.services import DatabaseDep, DeploymentDep, LookDep, SourceDep
from app.api.http.wire import SubjectBody, WireModel, examples
from app.auth.callers import Caller, Scope
from app.core.errors import NotFoundError
from app.operations.proof.append_entries import every_key, read_checkpoint, read_tile
from app.operations.proof.export_subject import export_subject, log_about
from app.operations.proof.receipts import make_receipt, prove_consent
from app.proof.notes import log_name
from app.proof.tree import TileName

router = strict_router("proof")

Reader = Annotated[Caller, Depends(Needs(Scope.CONSENTS_READ))]
Exporter = Annotated[Caller, Depends(everywhere(Needs(Scope.CONSENTS_READ)))]
ConsentId = Annotated[UUID, Path(alias="id", description="The id of a consent, a refusal or a withdrawal")]
_TILE: Final = r"^[0-9]{1,2}/(x[0-9]{3}/)*[0-9]{3}(\.p/[0-9]{1,3})?$"
TilePath = Annotated[
    str, Path(description="`<level>/<index>[.p/<width>]`", examples=["0/x001/234.p/17"], pattern=_TILE)
]
CosignedOnly = Annotated[bool, Query(description="The last one that a witness has cosigned, and not the last of all")]
_NO_CONSENT = (404, "There is no such act, or the caller may not ask about its processing.")
_NOTHING = (404, "There is no such tile, or nothing was entered in the log yet.")
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_BRIEFLY: Final = "public, max-age=5"
_JWT: Final = "application/jwt"
_JSON_LD: Final = "application/ld+json"
_HTML: Final = "text/html"
_RECEIPTS: Final = (_JWT, _JSON_LD, _HTML)


class EntryProofBody(BaseModel):
    """An entry of the log, what opens it, and the proof that it stands there."""

    entry: str = Field(description="The entry as it was hashed: canonical JSON (RFC 8785)")
    salt: str = Field(description="The salt of its commitment (hex): SHA-256 of salt and body")
    body: str = Field(description="The body that it commits to: canonical JSON")
    proof: str = Field(description="c2sp.org/tlog-proof@v1, with a signed checkpoint")


@router.get(
    "/proof/v1/checkpoint",
    summary="Read the log's signed head",
    response_class=Response,
    responses={**problems(_NOTHING), 200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
@open_to_all
async def get_checkpoint(database: DatabaseDep, cosigned: CosignedOnly = False) -> Response:  # noqa: FBT002
    """The last checkpoint of the log (c2sp.org/tlog-checkpoint). Keep it: it shows later that nothing was rewritten.

    It has the cosignatures of witnesses that were handed in (c2sp.org/tlog-cosignature), if there are any of it.
    """
    async with database.read() as session:
        note = await read_checkpoint(session, cosigned=cosigned)
    if note is None:
        raise NotFoundError
    return Response(note, media_type="text/plain; charset=utf-8", headers={"Cache-Control": _BRIEFLY})


@router.get(
    "/proof/v1/keys",
    summary="Read the keys of the log and of receipts",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
@open_to_all
async def get_proof_keys(database: DatabaseDep, source: SourceDep) -> Response:
    """Every key that ever signed checkpoints or receipts, the newest first: verifier keys (c2sp.org/signed-note).

    Compare them with those that the operator publishes elsewhere: who serves a log may serve any key.
    """
    async with database.read() as session:
        keys = await every_key(session, log_name(source))
    lines = "".join(f"{each}\n" for each in keys)
    return Response(lines, media_type="text/plain; charset=utf-8", headers={"Cache-Control": _BRIEFLY})


@router.get(
    "/proof/v1/tile/{tile:path}",
    summary="Read a tile of the log's tree",
    response_class=Response,
    responses={
        **problems(_NOTHING),
        200: {"content": {"application/octet-stream": {"schema": {"type": "string"}}}},
    },
)
@open_to_all
async def get_tile(
    database: DatabaseDep,
    tile: TilePath,
) -> Response:
    """Up to 256 hashes of the tree (c2sp.org/tlog-tiles)."""
    name = TileName.parse(tile)
    async with database.read() as session:
        hashes = None if name is None else await read_tile(session, name)
    if hashes is None:
        raise NotFoundError
    return Response(hashes, media_type="application/octet-stream", headers={"Cache-Control": _FOR_EVER})


@router.get(
    "/v1/consents/{id}/proof",
    summary="Prove that what somebody decided stands in the log",
    response_model=EntryProofBody,
    responses={
        **problems(_NO_CONSENT),
        202: {"description": "It is not in the log yet: ask again."},
    },
)
async def get_proof(identifier: ConsentId, caller: Reader, look: LookDep) -> EntryProofBody | Response:
    """The entry of a consent, a refusal or a withdrawal, and its proof; 202 until the log holds the entry.

    The audit trail records who read it.
    """
    async with look() as session:
        proof = await prove_consent(session, caller, identifier)
    if proof is None:
        return Response(status_code=202, headers={"Retry-After": "15"})
    return EntryProofBody(**proof.json())


@router.get(
    "/v1/consents/{id}/receipt",
    summary="Make a receipt of what somebody decided",
    response_class=Response,
    responses={
        **problems(_NO_CONSENT),
        200: {"content": {_JWT: {}, _JSON_LD: {}, _HTML: {}}},
    },
)
async def get_receipt(  # noqa: PLR0917 - a route's parts
    request: Request,
    identifier: ConsentId,
    caller: Reader,
    look: LookDep,
    deployment: DeploymentDep,
    source: SourceDep,
) -> Response:
    """What the person can keep of a consent, a refusal or a withdrawal: a record as ISO/IEC TS 27560 has it, signed.

    It can be made as soon as the act is recorded, and promises then that the log takes it within `entered_within`
    seconds; once the log has, it holds the proof. Give one after each act: it shows later if the act was removed.

    As a JWS; with `Accept: application/ld+json` as JSON-LD; with `Accept: text/html` as a document that prints whole,
    in French or English (`Accept-Language`), which saves the JWS as a file. Give it to the person it is about. It is
    never an answer to the question whether correspondence may be analysed. The audit trail records who asked for it.
    """
    async with look() as session:
        jws, json_ld = await make_receipt(
            session, deployment, caller, identifier, service=source, origin=log_name(source)
        )
    headers = {"Cache-Control": "no-store", "Vary": "Accept, Accept-Language"}
    wanted = preferred(request.headers.get("accept", ""), _RECEIPTS)
    if wanted == _JSON_LD:
        content = json.dumps(json_ld, ensure_ascii=False)
        return Response(content, media_type=_JSON_LD, headers=headers)
    if wanted == _HTML:
        # This module may not import the pages: the application provides the function that makes the document.
        page = request.app.state.receipt_document(json_ld, jws, request.headers.get("accept-language", ""))
        return Response(page, media_type=_HTML, headers=headers)
    return Response(jws, media_type=_JWT, headers=headers)


class ExportRequest(WireModel):
    """The person to export."""

    model_config = examples({"subject": {"type": "user", "id": "alice@example.fr"}})

    subject: SubjectBody


@router.post(
    "/v1/subjects/exports",
    summary="Export everything about a user",
    response_class=Response,
    responses={**problems(), 200: {"content": {_JSON_LD: {}}}},
)
async def post_export(  # noqa: PLR0917 - a route's parts
    body: ExportRequest,
    caller: Exporter,
    database: DatabaseDep,
    look: LookDep,
    deployment: DeploymentDep,
    source: SourceDep,
) -> Response:
    """Everything that is held about a user since their account began (GDPR art. 15 and 20).

    Consents and refusals as records of ISO/IEC TS 27560; every event with its evidence, the texts that were shown,
    decisions counted by day, and who looked. The export of an unknown person is empty. The audit trail records
    which caller asked for it. Make sure that only that person receives it.
    """
    name = body.subject.name()
    logged = await log_about(database, deployment, name)
    async with look() as session:
        export = await export_subject(session, deployment, caller, name, logged, service=source)
    content = json.dumps(export, ensure_ascii=False)
    return Response(content, media_type=_JSON_LD, headers={"Cache-Control": "no-store"})
