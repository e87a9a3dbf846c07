"""What makes two requests the same: producers compare by it too, so it is among the contracts."""

from pocket3d.contracts.request_digest import REQUEST_DIGEST_HEADER, request_digest

__all__ = ["REQUEST_DIGEST_HEADER", "request_digest"]
