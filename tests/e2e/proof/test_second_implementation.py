"""Other implementations read our log and verify our signatures: C2SP's by aics-tlog, OpenSSL, and two of JOSE.

`aics-tlog` (Apache-2.0) wants Python 3.12 or newer: it runs in an environment of its own, under Debian's python3.
"""

import base64
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.proof.verifier.notes import Note, VerifierKey
from app.proof.verifier.trees import LogProof
from tests.e2e.debian import provide
from tests.e2e.pypi import make_environment
from tests.e2e.service import SERVE, administered
from tests.faults.service import ROOT
from tests.proof.witness import Witness
from tests.support.consents import grant

LOCK = Path(__file__).with_name("requirements-tlog.txt")
DEBIAN = "/usr/bin/python3"
PEOPLE = 300
"""More than a tile has hashes."""


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    """Run the other implementation: whether it is content, and what it reports."""
    place = tmp_path_factory.mktemp("tlog")
    python = make_environment(place, DEBIAN, LOCK)

    def run(*words):
        line = [str(python), "-m", "aics_tlog", *map(str, words)]
        done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=place)
        return done.returncode == 0, f"{done.stdout}{done.stderr}"

    return run


class Deployment:
    """A service with a log of some hundred entries."""

    def __init__(self, sceau, data):
        """Record consents, and enter them."""
        self.api, self.data = sceau.api, data
        self.prefix = f"{sceau.address}/proof/v1"
        self.api.register("ads-mail")
        items = [grant(f"person{number}@example.fr", "ads-mail") for number in range(PEOPLE)]
        consents = self.api.ok("POST", "/v1/consents/batch", {"items": items})["items"]
        self.consents = [each["answer"]["id"] for each in consents]
        self.append()
        self.log_key, self.receipt_key = self.command("key").split("\n")[:2]

    def command(self, *words, **settings):
        """Run `sceau proof` beside the service."""
        line = [sys.executable, "-c", SERVE, "proof", *map(str, words), "--data", str(self.data)]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SCEAU_")}
        environment = {**clean, **{f"SCEAU_{name.upper()}": value for name, value in settings.items()}}
        done = subprocess.run(line, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        return done.stdout

    def append(self):
        """Enter what was recorded."""
        self.command("stamp")

    def head(self):
        """The head that is served."""
        return self.api.with_key(None).call("GET", "/proof/v1/checkpoint").text


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    """A service on a data directory of its own, as the README starts it."""
    data = tmp_path_factory.mktemp("proof") / "data"
    with administered(data) as sceau:
        yield Deployment(sceau, data)


def test_the_other_implementation_believes_our_head(deployment, second):
    """Signature and origin of the checkpoint, with the key that `sceau proof key` prints; not with another key."""
    good, output = second("verify-checkpoint", "--tiles", deployment.prefix, "--log-key", deployment.log_key)
    assert good, output
    good, output = second("verify-checkpoint", "--tiles", deployment.prefix, "--log-key", deployment.receipt_key)
    assert not good


def test_the_other_implementation_finds_our_entries(deployment, second, tmp_path):
    """An entry stands where our proof says, by the tiles that we serve; a changed one, or another place, does not."""
    for consent in (deployment.consents[0], deployment.consents[-1]):
        proof = deployment.api.ok("GET", f"/v1/consents/{consent}/proof")
        index = LogProof.parse(proof["proof"]).index
        for name, content, at, wanted in (
            ("leaf", proof["entry"], index, True),
            ("changed", proof["entry"].replace("consent", "Consent"), index, False),
            ("moved", proof["entry"], index - 1, False),
        ):
            (tmp_path / name).write_text(content)
            words = ("--leaf", tmp_path / name, "--index", at, "--tiles", deployment.prefix)
            good, output = second("verify-inclusion", *words, "--log-key", deployment.log_key)
            assert good is wanted, output


def test_the_other_implementation_sees_that_our_log_only_grew(deployment, second, tmp_path):
    """From a head of before to the head of now; not from a head that was never signed."""
    (tmp_path / "old").write_text(deployment.head())
    deployment.api.withdraw("person1@example.fr", "ads-mail")
    deployment.append()
    words = ("--tiles", deployment.prefix, "--log-key", deployment.log_key)
    good, output = second("verify-consistency", "--old-checkpoint", tmp_path / "old", *words)
    assert good, output
    lines = deployment.head().split("\n")
    (tmp_path / "forged").write_text("\n".join([lines[0], "3", *lines[2:]]))
    good, output = second("verify-consistency", "--old-checkpoint", tmp_path / "forged", *words)
    assert not good


def test_the_other_implementation_believes_our_cosigned_head(deployment, second, tmp_path):
    """A head as a bundle has it, with a cosignature that was handed in; another witness has not cosigned it."""
    witness, head, bundle = Witness("witness.example/w1"), tmp_path / "head", tmp_path / "bundle.zip"
    head.write_text(witness.cosigned(deployment.head()))
    deployment.command("stamp", "--cosigned", head, "--witness", witness.key)
    deployment.command("bundle", "--anchored", "-o", bundle)
    with zipfile.ZipFile(bundle) as bag:
        (tmp_path / "given").write_bytes(bag.read("data/checkpoint"))
    words = ("--note", tmp_path / "given", "--log-key", deployment.log_key, "--quorum", 1)
    good, output = second("verify-checkpoint", *words, "--witness-key", witness.key)
    assert good, output
    good, output = second("verify-checkpoint", *words, "--witness-key", Witness("witness.example/w1").key)
    assert not good


def _openssl(place, key, text, signature):
    """Whether OpenSSL takes a signature for that of a key."""
    public = Ed25519PublicKey.from_public_bytes(VerifierKey.parse(key).public)
    (place / "key.pem").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (place / "text").write_bytes(text)
    (place / "signature").write_bytes(signature)
    line = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "text"]
    done = subprocess.run([*line, "-sigfile", "signature"], capture_output=True, text=True, check=False, cwd=place)
    assert done.returncode == 0 or "Signature Verification Failure" in done.stdout, done.stderr
    return done.returncode == 0


def test_openssl_verifies_heads_and_receipts(deployment, tmp_path):
    """Ed25519 over the text of the note, and over the JWS's first two parts; a changed byte is refused."""
    note = Note.parse(deployment.head())
    text, signature = note.text.encode(), note.signatures[0].value
    assert _openssl(tmp_path, deployment.log_key, text, signature)
    assert not _openssl(tmp_path, deployment.log_key, text.replace(b"\n", b" \n", 1), signature)
    receipt = deployment.api.call("GET", f"/v1/consents/{deployment.consents[0]}/receipt").text
    signed, _, encoded = receipt.rpartition(".")
    signature = base64.urlsafe_b64decode(encoded + "==")
    assert _openssl(tmp_path, deployment.receipt_key, signed.encode(), signature)
    assert not _openssl(tmp_path, deployment.log_key, signed.encode(), signature)


JOSE = "6.2.18"
_JOSE = """
import { compactVerify, importJWK } from './package/dist/webapi/index.js'
import { readFileSync } from 'node:fs'
const { receipt, key } = JSON.parse(readFileSync(0))
try {
  const { protectedHeader, payload } = await compactVerify(receipt, await importJWK(key, 'EdDSA'))
  console.log(protectedHeader.typ + ' ' + JSON.parse(new TextDecoder().decode(payload)).receipt['@type'])
} catch (error) { console.log(error.code) }
"""
_JWCRYPTO = """
import json, sys
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS, InvalidJWSSignature
given = json.load(sys.stdin)
signed = JWS()
signed.deserialize(given["receipt"])
try:
    signed.verify(JWK(**given["key"]))
    print(signed.jose_header["typ"], json.loads(signed.payload)["receipt"]["@type"])
except InvalidJWSSignature:
    print("ERR_JWS_SIGNATURE_VERIFICATION_FAILED")
"""


@pytest.fixture(scope="module")
def verifiers(tmp_path_factory):
    """Two implementations of JOSE that are not ours: npm's `jose`, and `jwcrypto`; what each says of a receipt."""
    place = tmp_path_factory.mktemp("jose")
    provide("npm", ("npm",), "receipts are verified with jose from npm")
    line = ["npm", "pack", "--silent", "--pack-destination", str(place), f"jose@{JOSE}"]
    subprocess.run(line, check=True, cwd=place, stdout=subprocess.DEVNULL)
    with tarfile.open(place / f"jose-{JOSE}.tgz") as packed:
        packed.extractall(place, filter="data")
    (place / "verify.mjs").write_text(_JOSE)
    python = make_environment(place / "python", DEBIAN, LOCK)

    def verdict(line, receipt, key):
        message = json.dumps({"receipt": receipt, "key": key})
        done = subprocess.run(line, input=message, capture_output=True, text=True, check=False, cwd=place)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return {
        "jose": lambda *message: verdict(["node", "verify.mjs"], *message),
        "jwcrypto": lambda *message: verdict([str(python), "-c", _JWCRYPTO], *message),
    }


@pytest.mark.parametrize("name", ["jose", "jwcrypto"])
def test_other_implementations_of_jose_verify_receipts(deployment, verifiers, name):
    """A receipt is a JWS of the published key; with another payload, or another key, it is refused."""
    receipt = deployment.api.call("GET", f"/v1/consents/{deployment.consents[0]}/receipt").text
    head, payload, signature = receipt.split(".")
    key, other = (_jwk(each) for each in (deployment.receipt_key, deployment.log_key))
    assert verifiers[name](receipt, key) == "sceau-consent-receipt+jwt dpv:ConsentReceipt"
    changed = base64.urlsafe_b64decode(payload + "==").replace(b"granted", b"refused")
    forged = base64.urlsafe_b64encode(changed + b" ").rstrip(b"=").decode()
    for wrong, by in ((f"{head}.{forged}.{signature}", key), (receipt, other)):
        assert verifiers[name](wrong, by) == "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"


def _jwk(key):
    """A verifier key as a JSON Web Key (RFC 8037)."""
    public = base64.urlsafe_b64encode(VerifierKey.parse(key).public).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "x": public}
