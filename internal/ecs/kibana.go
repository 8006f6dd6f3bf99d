package ecs

// kibanaTable is the fields of alerts (rule-execution.md §4.4).
const kibanaTable = `
host.asset.criticality keyword
service.asset.criticality keyword
service.risk.calculated_level keyword
service.risk.calculated_score_norm float
user.asset.criticality keyword
kibana.alert.action_group keyword
kibana.alert.ancestors.depth long list
kibana.alert.ancestors.id keyword list
kibana.alert.ancestors.index keyword list
kibana.alert.ancestors.rule keyword list
kibana.alert.ancestors.type keyword list
kibana.alert.attack_ids keyword list
kibana.alert.building_block_type keyword
kibana.alert.case_ids keyword list
kibana.alert.consecutive_matches long
kibana.alert.depth long
kibana.alert.duration.us long
kibana.alert.end date
kibana.alert.flapping boolean
kibana.alert.flapping_history boolean list
kibana.alert.group.id keyword
kibana.alert.group.index integer
kibana.alert.host.criticality_level keyword
kibana.alert.instance.id keyword
kibana.alert.intended_timestamp date
kibana.alert.last_detected date
kibana.alert.maintenance_window_ids keyword list
kibana.alert.new_terms keyword list
kibana.alert.original_data_stream.dataset keyword
kibana.alert.original_data_stream.namespace keyword
kibana.alert.original_data_stream.type keyword
kibana.alert.original_event.action keyword
kibana.alert.original_event.agent_id_status keyword
kibana.alert.original_event.category keyword list
kibana.alert.original_event.code keyword
kibana.alert.original_event.created date
kibana.alert.original_event.dataset keyword
kibana.alert.original_event.duration keyword
kibana.alert.original_event.end date
kibana.alert.original_event.hash keyword
kibana.alert.original_event.id keyword
kibana.alert.original_event.ingested date
kibana.alert.original_event.kind keyword
kibana.alert.original_event.module keyword
kibana.alert.original_event.original keyword
kibana.alert.original_event.outcome keyword
kibana.alert.original_event.provider keyword
kibana.alert.original_event.reason keyword
kibana.alert.original_event.reference keyword
kibana.alert.original_event.risk_score float
kibana.alert.original_event.risk_score_norm float
kibana.alert.original_event.sequence long
kibana.alert.original_event.severity long
kibana.alert.original_event.start date
kibana.alert.original_event.timezone keyword
kibana.alert.original_event.type keyword list
kibana.alert.original_event.url keyword
kibana.alert.original_time date
kibana.alert.previous_action_group keyword
kibana.alert.reason keyword
kibana.alert.reason.text match_only_text multi
kibana.alert.risk_score float
kibana.alert.rule.actions object list
kibana.alert.rule.author keyword list
kibana.alert.rule.building_block_type keyword
kibana.alert.rule.category keyword
kibana.alert.rule.consumer keyword
kibana.alert.rule.created_at date
kibana.alert.rule.created_by keyword
kibana.alert.rule.description keyword
kibana.alert.rule.enabled keyword
kibana.alert.rule.exceptions_list object list
kibana.alert.rule.execution.timestamp date
kibana.alert.rule.execution.type keyword
kibana.alert.rule.execution.uuid keyword
kibana.alert.rule.false_positives keyword list
kibana.alert.rule.from keyword
kibana.alert.rule.immutable keyword
kibana.alert.rule.indices keyword list
kibana.alert.rule.interval keyword
kibana.alert.rule.license keyword
kibana.alert.rule.max_signals long
kibana.alert.rule.name keyword
kibana.alert.rule.namespace keyword
kibana.alert.rule.note keyword
kibana.alert.rule.parameters flattened max=4096
kibana.alert.rule.producer keyword
kibana.alert.rule.references keyword list
kibana.alert.rule.revision long
kibana.alert.rule.risk_score float
kibana.alert.rule.risk_score_mapping object list
kibana.alert.rule.rule_id keyword
kibana.alert.rule.rule_name_override keyword
kibana.alert.rule.rule_type_id keyword
kibana.alert.rule.severity keyword
kibana.alert.rule.severity_mapping object list
kibana.alert.rule.tags keyword list
kibana.alert.rule.threat object list
kibana.alert.rule.threat.framework keyword list
kibana.alert.rule.threat.tactic.id keyword list
kibana.alert.rule.threat.tactic.name keyword list
kibana.alert.rule.threat.tactic.reference keyword list
kibana.alert.rule.threat.technique.id keyword list
kibana.alert.rule.threat.technique.name keyword list
kibana.alert.rule.threat.technique.reference keyword list
kibana.alert.rule.threat.technique.subtechnique.id keyword list
kibana.alert.rule.threat.technique.subtechnique.name keyword list
kibana.alert.rule.threat.technique.subtechnique.reference keyword list
kibana.alert.rule.throttle keyword
kibana.alert.rule.timeline_id keyword
kibana.alert.rule.timeline_title keyword
kibana.alert.rule.timestamp_override keyword
kibana.alert.rule.to keyword
kibana.alert.rule.type keyword
kibana.alert.rule.updated_at date
kibana.alert.rule.updated_by keyword
kibana.alert.rule.uuid keyword
kibana.alert.rule.version keyword
kibana.alert.severity keyword
kibana.alert.severity_improving boolean
kibana.alert.start date
kibana.alert.status keyword
kibana.alert.suppression.docs_count long
kibana.alert.suppression.end date
kibana.alert.suppression.start date
kibana.alert.suppression.terms.field keyword list
kibana.alert.suppression.terms.value keyword list
kibana.alert.system_status keyword
kibana.alert.threshold_result.cardinality.field keyword list
kibana.alert.threshold_result.cardinality.value long list
kibana.alert.threshold_result.count long
kibana.alert.threshold_result.from date
kibana.alert.threshold_result.terms.field keyword list
kibana.alert.threshold_result.terms.value keyword list
kibana.alert.url keyword
kibana.alert.user.criticality_level keyword
kibana.alert.uuid keyword
kibana.alert.workflow_assignee_ids keyword list
kibana.alert.workflow_reason keyword
kibana.alert.workflow_status keyword
kibana.alert.workflow_status_updated_at date
kibana.alert.workflow_tags keyword list
kibana.alert.workflow_user keyword
kibana.space_ids keyword list
kibana.version version
`
