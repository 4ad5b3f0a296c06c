"""Starts ministack, changed to accept two things that AWS accepts and ministack 1.5 refuses at deployment.

No function runs in it: `make deploy-local` deploys, and reads back what was made.
"""

import re

from ministack.app import main
from ministack.services import iot
from ministack.services.cloudformation import provisioners

# A rule whose SQL begins with SET. The check gets only the SELECT; the rule is stored whole.
check_sql = iot._validate_rule_sql
iot._validate_rule_sql = lambda sql: check_sql(re.sub(r"^\s*SET\s+@.*?(?=\bSELECT\b)", "", sql or "", flags=re.I | re.S))

# An alarm on an expression. It is created with the expression's name in place of the metric's.
alarm_record = provisioners._cw_metric_alarm_record


def alarm_of_expression(name, properties):
    """Returns the record of an alarm, on a metric or on an expression."""
    expressions = [metric for metric in properties.get("Metrics") or [] if "Expression" in metric]
    if expressions:
        properties = {key: value for key, value in properties.items() if key != "Metrics"}
        properties |= {"Namespace": "expression", "MetricName": expressions[0]["Id"]}
    return alarm_record(name, properties)


provisioners._cw_metric_alarm_record = alarm_of_expression

if __name__ == "__main__":
    main()
