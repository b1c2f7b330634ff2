import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "core",
    deadline=None,
    max_examples=int(os.environ.get("SCEAU_TEST_EXAMPLES", "70")),
    derandomize="CI" in os.environ,
    database=None,
    # A property of permits leaves out three of four worlds, and still gets its number of examples.
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
settings.load_profile("core")
