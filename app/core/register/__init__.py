"""Who answers for processings, who may register them, and what one version changes of another."""
