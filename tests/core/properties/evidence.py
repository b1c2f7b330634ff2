"""How a decision was collected, for the property tests: lawfully or not, at what age, by whom, on what text."""

from datetime import timedelta
from itertools import product
from typing import Any

from hypothesis import strategies as st

from app.core.consent import AgeBand, AgeWeight, Collection, DefaultState, GivenBy, PositiveAct
from tests.core.builders import utc
from tests.core.properties.registers import TEXTS, TURNING_POINTS
from tests.core.properties.years import civil_date

# One draw for each: a world of many draws costs more to make than to judge.
ONE_DEFECT: tuple[dict[str, Any], ...] = (
    *[{}] * 15,
    {"positive_act": PositiveAct.NONE},
    {"positive_act": PositiveAct.SIGNED},
    {"default_state": DefaultState.SELECTED},
    {"separate_from_terms": False},
    {"conditional": True},
    {"text_known": False},
)
AGES = (None, None, None, *AgeBand)
GIVERS = (GivenBy.SELF, GivenBy.SELF, GivenBy.SELF, *GivenBy)
SHOWN = (None, None, *TEXTS)
COLLECTIONS = st.sampled_from([Collection(text=text) for text in SHOWN]) | st.sampled_from(
    [
        Collection(**how, age_band=age, given_by=giver, text=text)
        for how, age, giver, text in product(ONE_DEFECT, AGES, GIVERS, SHOWN)
    ]
)
NO_AGE = st.just(Collection())
DAYS_OF_FIFTEEN = [
    (civil_date(utc(base)) + timedelta(days=days))
    for base in TURNING_POINTS
    for days in (-366, -365, -31, -1, 0, 1, 30)
]
"""Days on which a child may turn 15, about the instants asked about."""
STATEMENTS = st.sampled_from([Collection(age_band=age, age_weight=how) for age in AgeBand for how in AgeWeight]) | (
    st.sampled_from(
        [
            Collection(age_band=AgeBand.UNDER_15, age_weight=how, under_15_until=day)
            for day in DAYS_OF_FIFTEEN
            for how in AgeWeight
        ]
    )
)
