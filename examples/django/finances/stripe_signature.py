"""Whether a webhook really comes from Stripe: https://docs.stripe.com/webhooks#verify-manually

The scheme is one HMAC over the time and the body, so the standard library is enough. Stripe's own library would bring
an HTTP client and the whole API along for these lines, and this project calls nothing of it.
"""

import hashlib
import hmac

TOLERANCE_SECONDS = 300


class SignatureError(Exception):
    """The request is not Stripe's, or was Stripe's once and is played back now."""


def sign(payload: bytes, secret: str, timestamp: int) -> str:
    """The Stripe-Signature header for ``payload``. For trying things out: in earnest only Stripe signs."""
    return f"t={timestamp},v1={_digest(payload, secret, str(timestamp))}"


def verify(payload: bytes, header: str, secret: str, now: float) -> None:
    """Raise SignatureError unless ``header`` was made for this body, with this secret, in the last five minutes.

    ``payload`` is the body as it came: JSON that was decoded and encoded again is signed no more.
    """
    parts = [part.partition("=") for part in header.split(",")]
    times = [value for name, _, value in parts if name.strip() == "t"]
    # There are several v1 while a secret is being changed, and a v0 in test mode, which is nothing to trust.
    signatures = [value for name, _, value in parts if name.strip() == "v1"]
    if len(times) != 1 or not times[0].isascii() or not times[0].isdigit() or not signatures:
        raise SignatureError("the Stripe-Signature header is missing or malformed")
    expected = _digest(payload, secret, times[0]).encode()
    # compare_digest takes as long for a wrong first character as for a wrong last one. Bytes, because it refuses
    # text that is not ASCII, and anybody may send such a header.
    if not any(hmac.compare_digest(expected, signature.encode()) for signature in signatures):
        raise SignatureError("no signature in the Stripe-Signature header fits the body")
    if abs(now - int(times[0])) > TOLERANCE_SECONDS:
        raise SignatureError("the signature is too old, or from the future; check the clock")


def _digest(payload: bytes, secret: str, timestamp: str) -> str:
    return hmac.new(secret.encode(), timestamp.encode() + b"." + payload, hashlib.sha256).hexdigest()
