//! What was done to a record, over all its events that are stored together.
//!
//! The newest event about a record stands for all: no other is kept. The `actions` of an event tell what was done to jobs,
//! quotes and their tasks, and are sent once; so the newest event is given those of the ones before it.

use tidemark_engine::record::Body;

use crate::json::{Object, entries};

const ACTIONS: &str = "actions";
/// How long an event may become, so that it still fits beside its record.
const EVENT_BYTES_MAX: usize = 32 << 10;

/// The later event with the actions of both, in their order; as it was received where the earlier one adds none. An event
/// that comes again adds nothing. Of more actions than fit the oldest are left out.
pub(super) fn joined(earlier: &Body, later: &Body) -> Body {
    merged(earlier.text(), later.text()).map_or_else(|| later.clone(), Body::new)
}

fn merged(earlier: &str, later: &str) -> Option<String> {
    let (before, event) = (Object::of(earlier)?, Object::of(later)?);
    let mut actions = actions_of(&before);
    let is_new = !is_same(&before, &event);
    if actions.is_empty() || earlier == later {
        return None;
    }
    actions.extend(is_new.then(|| actions_of(&event)).into_iter().flatten());
    let others: Option<Vec<String>> = event
        .members()
        .filter(|(name, _)| *name != ACTIONS)
        .map(|(name, value)| Some(format!("{}:{value},", serde_json::to_string(name).ok()?)))
        .collect();
    let start = format!("{{{}\"{ACTIONS}\":[", others?.concat());
    let mut room = EVENT_BYTES_MAX.checked_sub(start.len() + "]}".len())?;
    let fitting = actions.iter().rev().take_while(|action| {
        let left = room.checked_sub(action.len() + 1);
        room = left.unwrap_or(0);
        left.is_some()
    });
    let kept = fitting.count();
    let kept = actions.get(actions.len() - kept..)?;
    Some(format!("{start}{}]}}", kept.join(",")))
}

/// Whether two events of one record are the same event. The earlier one may have more actions by now.
fn is_same(earlier: &Object<'_>, later: &Object<'_>) -> bool {
    let told = |event: &Object<'_>| Some((event.id("id")?, event.text("status")));
    told(earlier).is_some_and(|earlier| Some(earlier) == told(later))
}

fn actions_of<'a>(event: &Object<'a>) -> Vec<&'a str> {
    event.get(ACTIONS).and_then(entries).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(events: &[&str]) -> String {
        let mut events = events.iter().map(|event| Body::new(*event));
        let first = events.next().unwrap();
        events.fold(first, |earlier, later| joined(&earlier, &later)).text().to_owned()
    }

    const DISPATCHED: &str = r#"{"status":"UPDATED","actions":[{"status":"DISPATCHED"}],"id":1}"#;
    const ASSIGNED: &str = r#"{"status":"UPDATED","actions":[{"status":"ASSIGNED", "n":1.50}],"id":2}"#;
    const PLAIN: &str = r#"{"id":3 }"#;

    #[test]
    fn the_last_event_of_a_record_bears_the_actions_of_all() {
        let all = r#"{"id":3,"actions":[{"status":"DISPATCHED"},{"status":"ASSIGNED", "n":1.50}]}"#;
        assert_eq!(of(&[DISPATCHED, ASSIGNED, PLAIN]), all);
    }

    #[test]
    fn an_event_that_is_told_again_adds_nothing() {
        assert_eq!(of(&[DISPATCHED, DISPATCHED]), DISPATCHED);
        let both = of(&[DISPATCHED, ASSIGNED]);
        assert_eq!(of(&[&both, ASSIGNED]).matches("ASSIGNED").count(), 1);
        assert_eq!(of(&[&both, ASSIGNED]).matches("DISPATCHED").count(), 1);
    }

    #[test]
    fn events_that_add_no_action_leave_the_last_as_it_is() {
        let plain = r#"{"id":3 , "actions":[]}"#;
        let odd = r#"{"id":4,"actions":null}"#;
        let acting = r#"{"actions":[{"status":"ASSIGNED"}], "id":5}"#;
        assert_eq!(of(&[plain, odd, acting]), acting);
        assert_eq!(of(&["[]", "7"]), "7");
    }

    #[test]
    fn of_more_actions_than_fit_beside_a_record_the_newest_are_kept() {
        let action = |n: usize| format!(r#"{{"n":{n},"x":"{}"}}"#, "x".repeat(10_000));
        let event = |n: usize| format!(r#"{{"id":{n},"actions":[{}]}}"#, action(n));
        let events: Vec<String> = (0..5).map(event).collect();
        let merged = of(&events.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(merged.len() <= EVENT_BYTES_MAX);
        let kept: Vec<bool> = (0..5).map(|n| merged.contains(&action(n))).collect();
        assert_eq!(kept, [false, false, true, true, true]);
    }
}
