package lint

import "github.com/tocsin-sec/tocsin/internal/diag"

// checks are all checks, by code.
var checks = []Check{
	{
		Code: "LINT0101", Name: "look-back", Severity: diag.Warning, find: shortLookBack,
		Title: "windows by @timestamp that reach back less than the interval and the usual delay of events",
		About: "An event is seen only if it has arrived when a window that holds its time is read. CloudTrail delivers within about five minutes, so a window by `@timestamp` has to reach back by the interval and five minutes more. A window by `event.ingested` asks when the event arrived, and needs no such reserve.",
		Before: `from = "now-6m"
interval = "5m"`,
		After: `from = "now-9m"
interval = "5m"
timestamp_override = "event.ingested"`,
	},
	{
		Code: "LINT0102", Name: "overlap", Severity: diag.Warning, find: noOverlap,
		Title: "windows that leave something out between them, or only touch",
		About: "Windows that are no longer than the interval leave a stretch out that nobody ever looks at, or leave out what arrives while one is being read. Alerts are known by their ID, so an overlap makes none twice.",
		Before: `from = "now-10m"
interval = "15m"`,
		After: `from = "now-20m"
interval = "15m"`,
	},
	{
		Code: "LINT0103", Name: "history", Severity: diag.Warning, find: shortHistory,
		Title: "a history that is shorter than the window it is compared with",
		About: "A new-terms rule alerts on values that its history does not hold. A history that is shorter than the window holds next to nothing, and everything looks new.",
		Before: `type = "new_terms"
from = "now-9m"
[rule.new_terms]
field = "new_terms_fields"
value = ["user.name"]
[[rule.new_terms.history_window_start]]
field = "history_window_start"
value = "now-10m"`,
		After: `type = "new_terms"
from = "now-9m"
[rule.new_terms]
field = "new_terms_fields"
value = ["user.name"]
[[rule.new_terms.history_window_start]]
field = "history_window_start"
value = "now-14d"`,
	},
	{
		Code: "LINT0201", Name: "unknown-field", Severity: diag.Warning, find: unknownFields,
		Title:  "a field that nothing declares",
		About:  "A field that neither the Elastic Common Schema nor a data set declares is most often a slip of the pen: the condition is then never true, and the rule stays silent. It is a warning where fields of the same family are declared or a name comes close, else a note: the field may belong to a product that the catalogue does not cover.",
		Before: `query = 'event.acton : "ConsoleLogin"'`,
		After:  `query = 'event.action : "ConsoleLogin"'`,
	},
	{
		Code: "LINT0202", Name: "analysed-field", Severity: diag.Warning, find: analysedFields,
		Title:  "a comparison with, or groups by, a field that is cut into words",
		About:  "A text field holds words, not the value: `message : error` fits every message with that word, in any case of letters, and `message : \"a b\"` every one with the two words side by side. That may be just what is wanted in a query; values of such a field cannot be told apart for new terms, thresholds and suppression.",
		Before: `query = 'user.name.text : "root"'`,
		After:  `query = 'user.name : "root"'`,
	},
	{
		Code: "LINT0203", Name: "leading-wildcard", Severity: diag.Note, find: leadingWildcards,
		Title:  "a pattern that begins with a star",
		About:  "A pattern with a known beginning can be looked up; one that begins with a star has to be compared with every value. On small windows that is cheap; it also tends to fit more than was thought of.",
		Before: `query = 'user.name : *admin'`,
		After:  `query = 'user.name : (admin or domain-admin)'`,
	},
	{
		Code: "LINT0204", Name: "never-true", Severity: diag.Warning, find: neverTrue,
		Title:  "a condition that no event can fulfil",
		About:  "Two parts that exclude each other, a value that the field's type cannot have, a field that is an object: the condition is never true. Below a `not` it excludes nothing. Fields that may hold several values fulfil `a : 1 and a : 2`; those that hold one do not.",
		Before: `query = 'event.action : "CreateUser" and event.outcome : success and event.outcome : failure'`,
		After:  `query = 'event.action : "CreateUser" and event.outcome : (success or failure)'`,
	},
	{
		Code: "LINT0205", Name: "habit", Severity: diag.Warning, find: habits,
		Title:  "something that another language would read otherwise",
		About:  "`==`, `&&`, single quotes, `?` in a pattern, a star in quotes, a comma between values: ordinary text in KQL. The query can be used, and most likely does not mean what its author thinks.",
		Before: `query = 'event.action : "Create*"'`,
		After:  `query = 'event.action : Create*'`,
	},
	{
		Code: "LINT0301", Name: "no-attack", Severity: diag.Warning, find: noAttack,
		Title:  "a rule without a place in ATT&CK",
		About:  "Without one the rule is in no overview of what is covered, and an analyst has to find out alone what its alert may be a part of. Rules about the health of a system have none and may be left so.",
		Before: `threat = []`,
		After: `[[rule.threat]]
framework = "MITRE ATT&CK"
[rule.threat.tactic]
id = "TA0007"
name = "Discovery"
reference = "https://attack.mitre.org/tactics/TA0007/"`,
	},
	{
		Code: "LINT0302", Name: "retired-attack", Severity: diag.Warning, find: retiredAttack,
		Title: "an ID that ATT&CK has retired",
		About: "Rules are written against the release of their day. An ID that release 19 no longer has leads nowhere on the site of ATT&CK, and overviews by technique leave the rule out. A rule that names what took its place as well speaks to both releases.",
		Before: `[[rule.threat]]
framework = "MITRE ATT&CK"
[[rule.threat.technique]]
id = "T1562"
name = "Impair Defenses"
reference = "https://attack.mitre.org/techniques/T1562/"
[rule.threat.tactic]
id = "TA0007"
name = "Discovery"
reference = "https://attack.mitre.org/tactics/TA0007/"`,
		After: `[[rule.threat]]
framework = "MITRE ATT&CK"
[[rule.threat.technique]]
id = "T1685"
name = "Disable or Modify Tools"
reference = "https://attack.mitre.org/techniques/T1685/"
[rule.threat.tactic]
id = "TA0007"
name = "Discovery"
reference = "https://attack.mitre.org/tactics/TA0007/"`,
	},
	{
		Code: "LINT0303", Name: "unknown-attack", Severity: diag.Warning, find: unknownAttack,
		Title: "an ID that no release of ATT&CK has",
		About: "Most often a digit is wrong. The name beside it tells which technique was meant.",
		Before: `[[rule.threat]]
framework = "MITRE ATT&CK"
[[rule.threat.technique]]
id = "T1078.044"
name = "Cloud Accounts"
reference = "https://attack.mitre.org/techniques/T1078/044/"
[rule.threat.tactic]
id = "TA0001"
name = "Initial Access"
reference = "https://attack.mitre.org/tactics/TA0001/"`,
		After: `[[rule.threat]]
framework = "MITRE ATT&CK"
[[rule.threat.technique]]
id = "T1078.004"
name = "Cloud Accounts"
reference = "https://attack.mitre.org/techniques/T1078/004/"
[rule.threat.tactic]
id = "TA0001"
name = "Initial Access"
reference = "https://attack.mitre.org/tactics/TA0001/"`,
	},
	{
		Code: "LINT0304", Name: "risk", Severity: diag.Warning, find: riskApart,
		Title: "a risk score that does not go with the severity",
		About: "Lists are sorted by one or the other: an alert that is critical by name and low by number is found by nobody. Low goes with 0 to 21, medium with 22 to 47, high with 48 to 73, critical with 74 to 100.",
		Before: `severity = "critical"
risk_score = 21`,
		After: `severity = "critical"
risk_score = 99`,
	},
	{
		Code: "LINT0305", Name: "no-exceptions", Severity: diag.Warning, find: noExceptions,
		Title: "alerts that show nothing an exception could name",
		About: "A threshold without fields, or ES|QL that counts everything into one row, gives alerts without a field of the events behind them. Whoever wants to except a known case finds nothing to name in the alert, and can only switch the rule off.",
		Before: `type = "threshold"
[rule.threshold]
field = []
value = 100`,
		After: `type = "threshold"
[rule.threshold]
field = ["user.name"]
value = 100`,
	},
}
