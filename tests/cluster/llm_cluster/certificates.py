"""The cluster's certificate authority and the certificates of its parts, valid for 30 days."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from llm_cluster.layout import API_ADDRESS, Layout

_VALID = datetime.timedelta(days=30)
_CLOCK_SKEW = datetime.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a certificate names: ``user`` and ``group`` as Kubernetes reads them, and its hosts."""

    file: str
    user: str
    group: str = ""
    hosts: tuple[str, ...] = ()


def identities(layout: Layout) -> tuple[Identity, ...]:
    """Everyone who needs a certificate."""
    first = layout.nodes[0].address
    names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost")
    nodes = tuple(
        Identity(node.name, f"system:node:{node.name}", "system:nodes", (node.name, node.address))
        for node in layout.nodes
    )
    return (
        Identity("apiserver", "kube-apiserver", hosts=(*names, "127.0.0.1", API_ADDRESS, first)),
        Identity("etcd", "etcd", hosts=("localhost", "127.0.0.1")),
        Identity("apiserver-kubelet", "apiserver-kubelet", "system:masters"),
        Identity("admin", "admin", "system:masters"),
        Identity("kwok", "kwok", "system:masters"),
        Identity("controller-manager", "system:kube-controller-manager"),
        Identity("scheduler", "system:kube-scheduler"),
        Identity("proxy", "system:kube-proxy"),
        Identity("front-proxy", "front-proxy"),
        *nodes,
    )


def issue_all(layout: Layout) -> None:
    """Writes a new authority, all certificates and the key of the service account tokens."""
    layout.pki.mkdir(parents=True, exist_ok=True)
    layout.pki.chmod(0o700)
    key = ec.generate_private_key(ec.SECP256R1())
    authority = _self_signed(key)
    _write_certificate(layout.pki / "ca.crt", authority)
    _write_key(layout.pki / "ca.key", key)
    for identity in identities(layout):
        _issue(layout.pki, identity, authority, key)
    _write_token_key(layout.pki)


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "llm-operator-cluster")])
    return (
        _builder(name, name)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )


def _issue(
    folder: Path,
    identity: Identity,
    authority: x509.Certificate,
    signer: ec.EllipticCurvePrivateKey,
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    builder = (
        _builder(_subject(identity), authority.subject)
        .public_key(key.public_key())
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    )
    if identity.hosts:
        names = x509.SubjectAlternativeName([_host(host) for host in identity.hosts])
        builder = builder.add_extension(names, critical=False)
    _write_certificate(folder / f"{identity.file}.crt", builder.sign(signer, hashes.SHA256()))
    _write_key(folder / f"{identity.file}.key", key)


def _builder(subject: x509.Name, issuer: x509.Name) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _VALID)
    )


def _subject(identity: Identity) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, identity.user)]
    if identity.group:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, identity.group))
    return x509.Name(attributes)


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _write_token_key(folder: Path) -> None:
    """Service account tokens are signed RS256, as every Kubernetes user expects."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    _write_key(folder / "service-accounts.key", key)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (folder / "service-accounts.pub").write_bytes(public)


def _write_certificate(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
