"""The sandbox of a student's process: what this machine can do (``probe``), and going in (``enter``)."""

from studium_graders.engine.sandbox.entering import enter, foresee
from studium_graders.engine.sandbox.levels import Level, Policy, Probe, SandboxError
from studium_graders.engine.sandbox.namespaces import fork
from studium_graders.engine.sandbox.probing import describe, probe
from studium_graders.engine.sandbox.readable import hidden_paths, readable_roots

__all__ = [
    "Level",
    "Policy",
    "Probe",
    "SandboxError",
    "describe",
    "enter",
    "foresee",
    "fork",
    "hidden_paths",
    "probe",
    "readable_roots",
]
