"""Certificates, and the trust store of the machine."""
