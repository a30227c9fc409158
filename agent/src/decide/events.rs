//! Immediate consequences of an event. Not here: findings of a look at the whole box (`report`).

use super::actions::Action;
use super::memory::Memory;
use crate::event::{AgentEvent, MqttCommand};
use crate::report::{Happened, Happening, Level, PushFacts};
use jiff::Timestamp;
use larder_panel::Gesture;
use larder_store::SnapshotRecord;

/// What an event needs at once. `id` names the news; a new id for each event.
pub(crate) fn hear(event: &AgentEvent, memory: &mut Memory, now: Timestamp, id: String) -> Vec<Action> {
    let mut actions = Vec::new();
    let what = match event {
        AgentEvent::Tick
        | AgentEvent::KeepingChanged
        | AgentEvent::DisksChanged
        | AgentEvent::StopRequested => {
            return actions;
        }
        AgentEvent::Asked(MqttCommand::Identify) => {
            memory.identify(now);
            return actions;
        }
        AgentEvent::Button(gesture) => {
            actions.extend(answer_to(*gesture));
            // Nothing new was seen: a contact that flutters all night must not fill the dashboard's history.
            if *gesture != Gesture::Press || !acknowledge_at_box(memory) {
                return actions;
            }
            Happened::Acknowledged
        }
        AgentEvent::OffsiteReleased => {
            memory.say_unplug_again();
            return vec![Action::Answer];
        }
        AgentEvent::Asked(MqttCommand::Acknowledge) => {
            memory.acknowledge(Level::NeedsYou);
            Happened::Acknowledged
        }
        AgentEvent::AcknowledgedHere => {
            acknowledge_at_box(memory);
            Happened::Acknowledged
        }
        AgentEvent::PushStarted { device } => Happened::PushStarted { device: device.clone() },
        AgentEvent::Restored { device } => Happened::RestoreServed { device: device.clone() },
        AgentEvent::Committed(record) => Happened::Pushed(pushed(record)),
        AgentEvent::PairingOpened { device, role } => {
            Happened::PairingOpened { device: device.clone(), role: *role }
        }
        AgentEvent::PairingLocked => Happened::PairingLocked,
        AgentEvent::Paired { device, role } => Happened::Paired { device: device.clone(), role: *role },
        AgentEvent::KeyEnded { device } => Happened::KeyEnded { device: device.clone() },
    };
    actions.push(Action::Tell(Happening { id, time: now, what }));
    actions
}

/// Who stands at the box has seen everything, an alarm too, and takes the past as it is. Whether any of it was new.
fn acknowledge_at_box(memory: &mut Memory) -> bool {
    memory.accept_past();
    memory.acknowledge(Level::Alarm)
}

/// What the box does about a gesture at its button. A gesture without a meaning is not answered: a flash would say that
/// something was done.
fn answer_to(gesture: Gesture) -> Option<Action> {
    match gesture {
        Gesture::Press => Some(Action::Answer),
        // Answered once the disks may be unplugged, and not before.
        Gesture::LongHold => Some(Action::ReleaseOffsite),
        // Answered by the lamp that says the code, where a window opens.
        Gesture::Hold => Some(Action::OpenPairing),
        Gesture::PressPressHold => None,
    }
}

fn pushed(record: &SnapshotRecord) -> PushFacts {
    let snapshot = &record.snapshot;
    PushFacts {
        source: snapshot.source.clone(),
        snapshot: record.sequence,
        files: snapshot.totals.files,
        bytes: snapshot.totals.bytes,
        skipped: snapshot.skipped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::tests::{NOW_S, facts};
    use crate::report::EventType;
    use larder_firmware_config::Settings;
    use larder_panel::Rhythm;
    use std::sync::Arc;

    fn told(event: &AgentEvent) -> Option<Happened> {
        let now = Timestamp::from_second(NOW_S).unwrap();
        let action = hear(event, &mut Memory::default(), now, "7".to_owned()).pop()?;
        let Action::Tell(Happening { id, time, what }) = action else { panic!("{action:?}") };
        assert_eq!((id.as_str(), time), ("7", now));
        Some(what)
    }

    #[test]
    fn a_push_that_skipped_files_is_a_partial_one() {
        let settings = Settings::default();
        let mut record = (*facts(&settings).sources[0].newest).clone();
        let pushed = |record: &SnapshotRecord| {
            told(&AgentEvent::Committed(Arc::new(record.clone()))).unwrap().event_type()
        };
        assert_eq!(pushed(&record), EventType::PushSucceeded);
        record.snapshot.skipped = 1;
        assert_eq!(pushed(&record), EventType::PushPartial);
    }

    #[test]
    fn an_event_without_news_is_not_told() {
        for event in [
            AgentEvent::Tick,
            AgentEvent::KeepingChanged,
            AgentEvent::DisksChanged,
            AgentEvent::StopRequested,
        ] {
            assert_eq!(told(&event), None, "{event:?}");
        }
        assert_eq!(told(&AgentEvent::Asked(MqttCommand::Acknowledge)), Some(Happened::Acknowledged));
    }

    #[test]
    fn a_box_that_was_asked_for_shows_itself_for_a_minute() {
        let settings = Settings::default();
        let (mut facts, mut memory) = (facts(&settings), Memory::default());
        let asked = AgentEvent::Asked(MqttCommand::Identify);
        assert_eq!(hear(&asked, &mut memory, facts.now, String::new()), []);
        let mut lamp = |facts: &_| crate::decide::report(facts, &mut memory).0.health.lamp;
        assert_eq!(lamp(&facts), Rhythm::Identify);
        facts.now = Timestamp::from_second(NOW_S + 60).unwrap();
        assert_eq!(lamp(&facts), Rhythm::Ready);
    }

    /// The button is the box's own, so an alarm yields to it, as to the root shell.
    #[test]
    fn a_press_is_answered_and_quiets_what_is_wrong_and_says_so_once() {
        let settings = Settings::default();
        let (mut facts, mut memory) = (facts(&settings), Memory::default());
        facts.gaps = 1;
        let hear = |memory: &mut Memory, gesture| {
            hear(&AgentEvent::Button(gesture), memory, facts.now, "7".to_owned())
        };
        let lamp = |memory: &mut Memory| crate::decide::report(&facts, memory).0.health.lamp;
        assert_eq!(lamp(&mut memory), Rhythm::Alarm);
        assert_eq!(
            hear(&mut memory, Gesture::PressPressHold),
            [],
            "does nothing yet, and so is not answered"
        );
        assert_eq!(hear(&mut memory, Gesture::Hold), [Action::OpenPairing], "answered by the code alone");
        assert_eq!(hear(&mut memory, Gesture::LongHold), [Action::ReleaseOffsite]);
        assert_eq!(lamp(&mut memory), Rhythm::Alarm, "no other gesture quiets it");
        let what = Happened::Acknowledged;
        let news = Action::Tell(Happening { id: "7".to_owned(), time: facts.now, what });
        assert_eq!(hear(&mut memory, Gesture::Press), [Action::Answer, news]);
        assert_eq!(lamp(&mut memory), Rhythm::Quiet);
        assert_eq!(hear(&mut memory, Gesture::Press), [Action::Answer], "nothing new was seen");
    }
}
