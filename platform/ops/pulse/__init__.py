"""How the platform does, drawn without any other tool.

Beat takes a sample of the platform's own metrics every quarter of a minute and keeps an hour of them in Redis
(`sampling`); the page makes series (`series`), pictures (`drawing`) and three answers (`verdicts`) of them. It fails
open: no sample, no picture, and nothing else.
"""
