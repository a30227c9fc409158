//! Immediate consequences of an event. Not here: findings of a look at the whole box (`report`).

use super::actions::Action;
use super::memory::Memory;
use crate::event::{AgentEvent, MqttCommand};
use crate::report::{Happened, Happening, Level, PushFacts};
use jiff::Timestamp;
use larder_store::SnapshotRecord;

/// The action that an event needs at once. `id` names the news; a new id for each event.
pub(crate) fn hear(event: &AgentEvent, memory: &mut Memory, now: Timestamp, id: String) -> Option<Action> {
    let what = match event {
        AgentEvent::Tick
        | AgentEvent::KeepingChanged
        | AgentEvent::DisksChanged
        | AgentEvent::StopRequested => {
            return None;
        }
        AgentEvent::Asked(MqttCommand::Identify) => {
            memory.identify(now);
            return None;
        }
        AgentEvent::Asked(MqttCommand::Acknowledge) => {
            memory.acknowledge(Level::NeedsYou);
            Happened::Acknowledged
        }
        AgentEvent::AcknowledgedHere => {
            memory.acknowledge(Level::Alarm);
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
    Some(Action::Tell(Happening { id, time: now, what }))
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
        let action = hear(event, &mut Memory::default(), now, "7".to_owned())?;
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
        assert_eq!(hear(&asked, &mut memory, facts.now, String::new()), None);
        let mut lamp = |facts: &_| crate::decide::report(facts, &mut memory).0.health.lamp;
        assert_eq!(lamp(&facts), Rhythm::Identify);
        facts.now = Timestamp::from_second(NOW_S + 60).unwrap();
        assert_eq!(lamp(&facts), Rhythm::Ready);
    }
}
