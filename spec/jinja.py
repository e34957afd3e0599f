"""Renders the state templates of a discovery message as Home Assistant does.

Standard input: {"cmps": components, "status": the JSON of the state topic}; standard output: the
state of each component, by its name.
"""
import json
import sys

import jinja2

told = json.load(sys.stdin)
env = jinja2.Environment(undefined=jinja2.Undefined)
env.filters["as_datetime"] = lambda value: value
states = {}
for name, component in told["cmps"].items():
    if component.get("state_topic", "").endswith("/status"):
        template = env.from_string(component["value_template"])
        states[name] = template.render(value_json=told["status"])
print(json.dumps(states))
