"""Traces (OpenTelemetry), off unless SCEAU_TRACES says otherwise: `spans` is what the application calls.

While they are off nothing here imports OpenTelemetry's SDK, and a call of `spans` costs one comparison.
"""
