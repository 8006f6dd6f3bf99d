package ecs

// ownTable is what Tocsin adds to events and alerts, and the few fields of other data sets whose type changes what a query
// finds.
const ownTable = `
tocsin.agent.class keyword
tocsin.alert.evidence_id keyword
tocsin.alert.evidence_ids keyword list
tocsin.alert.evidence_time date
tocsin.alert.history.covered double
tocsin.alert.history.events long
tocsin.alert.history.first_before date
tocsin.alert.history.from date
tocsin.alert.history.last_before date
tocsin.alert.history.to date
tocsin.alert.known_since date
tocsin.alert.program keyword
tocsin.alert.tuple keyword
tocsin.alert.why keyword
tocsin.alert.window.from date
tocsin.indicator.expires date
powershell.file.script_block_text text_pattern
`
