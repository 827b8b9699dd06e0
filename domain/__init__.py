"""The business of gus: entities, rules, refusals and services; standard library only."""
