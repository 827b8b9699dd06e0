from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import BadVariables
from domain.ledger import LONGEST, DateRange

LAST = datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize("begin", [LAST - LONGEST, LAST - timedelta(microseconds=1)])
def test_a_range_may_go_up_to_the_end_of_time(begin: datetime) -> None:
    DateRange(begin, LAST).require(LONGEST)


@pytest.mark.parametrize("begin", [LAST, LAST - LONGEST - timedelta(microseconds=1)])
def test_a_range_is_neither_empty_nor_longer_than_it_may_be(begin: datetime) -> None:
    with pytest.raises(BadVariables):
        DateRange(begin, LAST).require(LONGEST)
