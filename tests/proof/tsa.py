"""A time-stamping authority for tests: its own certificates, and answers by `openssl ts -reply` on loopback."""

import subprocess
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.support.listening import Answering, listening

POLICY = "1.3.6.1.4.1.99999.1"
OTHER_POLICY = "1.3.6.1.4.1.99999.2"
_CONFIGURATION = f"""
[tsa]
default_tsa = own
[own]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = {POLICY}
other_policies = {OTHER_POLICY}
digests = DIGESTS
ess_cert_id_alg = sha256
"""


class Authority:
    """A root, a certificate for time-stamping under it, and what `openssl ts -reply` needs."""

    def __init__(self, place: Path, *, purpose=ExtendedKeyUsageOID.TIME_STAMPING):
        """Make keys and certificates in a directory. `purpose`: what the certificate is for."""
        self.place = place
        place.mkdir()
        root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root = _certificate("Root of a test", root_key, None, root_key)
        own = _certificate("Time-stamping of a test", key, root, root_key, purpose)
        self.roots = place / "ca.pem"
        self.roots.write_bytes(root.public_bytes(serialization.Encoding.PEM))
        (place / "tsa.pem").write_bytes(own.public_bytes(serialization.Encoding.PEM))
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (place / "tsa.key").write_bytes(key.private_bytes(*form))
        (place / "serial").write_text("01\n")

    def answer(self, query: bytes, *, digests="sha256", policy=POLICY) -> bytes:
        """A TimeStampResp to a TimeStampReq; a refusal if the request has no hash of `digests`."""
        configuration = _CONFIGURATION.replace("DIGESTS", digests).replace(
            f"default_policy = {POLICY}", f"default_policy = {policy}"
        )
        (self.place / "tsa.cnf").write_text(configuration)
        (self.place / "query").write_bytes(query)
        line = ["openssl", "ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-out", "answer"]
        done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=self.place)
        assert done.returncode == 0, done.stderr
        return (self.place / "answer").read_bytes()

    def query(self, content: bytes, *, nonce=True) -> bytes:
        """A TimeStampReq as OpenSSL makes it."""
        (self.place / "content").write_bytes(content)
        line = ["openssl", "ts", "-query", "-data", "content", "-sha256", "-cert", "-out", "query"]
        subprocess.run([*line, *([] if nonce else ["-no_nonce"])], check=True, capture_output=True, cwd=self.place)
        return (self.place / "query").read_bytes()


class Served:
    """An authority's answers to the next requests; `answers` makes an answer from a query."""

    def __init__(self):
        """Serve nothing yet."""
        self.answers = lambda query: query
        self.status = 200
        self.headers: dict[str, str] = {}
        self.asked: list[tuple[bytes, dict[str, str]]] = []
        self.address = ""


@contextmanager
def serving(answers):
    """An HTTP server on loopback that answers with what is made of each query."""
    served = Served()
    served.answers = answers

    class Handler(Answering):
        def post(self):
            query = self.sent()
            served.asked.append((query, dict(self.headers)))
            headers = {"Content-Type": "application/timestamp-reply", **served.headers}
            self.answer(served.answers(query), served.status, headers)

    with listening(Handler) as address:
        served.address = f"{address}/tsa"
        yield served


def _certificate(name, key, issuer, issuer_key, purpose=None):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer is not None else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    usage = dict.fromkeys(("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"), False)
    usage |= dict.fromkeys(("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False)
    usage |= {"key_cert_sign": True} if issuer is None else {"digital_signature": True}
    made = made.add_extension(x509.KeyUsage(**usage), critical=True)
    if purpose is not None:
        made = made.add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
    return made.sign(issuer_key, hashes.SHA256())
