//! What was done to a record, over all events of a page that tell of it.
//!
//! The newest event about a record stands for all: the engine keeps no other. The `actions` of an event tell what was
//! done to jobs, quotes and their tasks, and are told once; so the newest event is given those of the ones before it.

use std::collections::HashMap;

use tidemark_engine::change::Change;
use tidemark_engine::record::{Body, RecordId};

use crate::json::{Object, entries};

const ACTIONS: &str = "actions";
/// How long an event may become, so that it still fits beside its record.
const EVENT_BYTES_MAX: usize = 32 << 10;

/// Gives the last event of each record the actions of those before it, in their order. An event that is told twice in a row
/// counts once; one that no other of its record precedes stays as it was received.
pub(super) fn gather(changes: &mut [Change]) {
    let mut of_record: HashMap<RecordId, Vec<usize>> = HashMap::new();
    for (at, change) in changes.iter().enumerate() {
        of_record.entry(change.id.clone()).or_default().push(at);
    }
    for places in of_record.into_values().filter(|places| places.len() > 1) {
        let mut events: Vec<Body> = Vec::new();
        for event in places.iter().filter_map(|at| changes.get(*at)?.event()) {
            if events.last() != Some(event) {
                events.push(event.clone());
            }
        }
        let Some(merged) = merged(&events) else { continue };
        let last = places.last().and_then(|at| changes.get_mut(*at));
        if let Some(listed) = last.and_then(|change| change.listed.as_mut()) {
            listed.event = Some(Body::new(merged));
        }
    }
}

/// The last of these events with the actions of all; none where the others add nothing, or too much.
fn merged(events: &[Body]) -> Option<String> {
    let (last, before) = events.split_last()?;
    let mut actions: Vec<&str> = before.iter().flat_map(|event| actions_of(event.text())).collect();
    if actions.is_empty() {
        return None;
    }
    actions.extend(actions_of(last.text()));
    let actions = format!("[{}]", actions.join(","));
    let event = Object::of(last.text())?;
    let others = event.members().filter(|(name, _)| *name != ACTIONS);
    let members: Option<Vec<String>> = others
        .chain([(ACTIONS, actions.as_str())])
        .map(|(name, value)| Some(format!("{}:{value}", serde_json::to_string(name).ok()?)))
        .collect();
    Some(format!("{{{}}}", members?.join(","))).filter(|merged| merged.len() <= EVENT_BYTES_MAX)
}

fn actions_of(event: &str) -> Vec<&str> {
    Object::of(event).and_then(|event| entries(event.get(ACTIONS)?)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use tidemark_engine::change::Listed;

    use super::*;

    fn gathered(told: &[(&str, &str)]) -> Vec<String> {
        let mut changes: Vec<Change> = told
            .iter()
            .map(|(id, event)| {
                let listed = Listed { event: Some(Body::new(*event)), ..Listed::default() };
                Change { listed: Some(Box::new(listed)), ..Change::of(RecordId::parse(*id).unwrap()) }
            })
            .collect();
        gather(&mut changes);
        changes.iter().map(|change| change.event().unwrap().text().to_owned()).collect()
    }

    #[test]
    fn the_last_event_of_a_record_bears_the_actions_of_all() {
        let dispatched = r#"{"status":"UPDATED","actions":[{"status":"DISPATCHED"}],"id":1}"#;
        let updated = r#"{"status":"UPDATED","actions":[{"status":"ASSIGNED", "n":1.50}],"id":2}"#;
        let plain = r#"{"id":3 }"#;
        let told = gathered(&[("a", dispatched), ("b", plain), ("a", dispatched), ("a", updated), ("a", plain)]);
        assert_eq!(told[..4], [dispatched, plain, dispatched, updated]);
        assert_eq!(told[4], r#"{"id":3,"actions":[{"status":"DISPATCHED"},{"status":"ASSIGNED", "n":1.50}]}"#);
    }

    #[test]
    fn events_that_add_no_action_leave_the_last_as_it_is() {
        let plain = r#"{"id":3 , "actions":[]}"#;
        let odd = r#"{"id":4,"actions":null}"#;
        let acting = r#"{"actions":[{"status":"ASSIGNED"}], "id":5}"#;
        assert_eq!(gathered(&[("a", plain), ("a", odd), ("a", acting)]), [plain, odd, acting]);
        assert_eq!(gathered(&[("a", acting), ("a", acting)]), [acting, acting]);
    }

    #[test]
    fn more_actions_than_fit_beside_a_record_are_left_out() {
        let long = format!(r#"{{"actions":["{}"]}}"#, "x".repeat(EVENT_BYTES_MAX));
        assert_eq!(gathered(&[("a", &long), ("a", "{}")])[1], "{}");
    }
}
