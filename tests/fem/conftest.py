"""Loads DOLFINx's libraries, which must happen before anything else imports DOLFINx."""

import sciml.fem  # noqa: F401
