//! The owner at the box has seen what is wrong. Only here an alarm's lamp yields: whoever answers an alarm over MQTT may be
//! whoever caused it.

use super::State;
use super::auth::BoxOwner;
use crate::event::AgentEvent;
use axum::Json;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long the answer waits for the lamp to have heard.
const HEARD_WITHIN: Duration = Duration::from_secs(3);

/// What was wrong, as the owner saw it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Acknowledged {
    /// Every condition that holds, worst first.
    pub(crate) conditions: Vec<SeenWords>,
    /// False where the agent was too busy to hear: ask again.
    pub(crate) is_heard: bool,
}

/// A condition in words.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SeenWords {
    pub(crate) code: u8,
    pub(crate) what: String,
    pub(crate) remedy: String,
}

pub(crate) async fn acknowledge(_: BoxOwner, appliance: State) -> Json<Acknowledged> {
    let seen: Vec<_> = {
        let report = appliance.report.borrow();
        let words = report.health.conditions.iter();
        let words = words.map(|it| SeenWords {
            code: it.code.number(),
            what: it.what.clone(),
            remedy: it.remedy.clone(),
        });
        words.collect()
    };
    appliance.tell(AgentEvent::AcknowledgedHere);
    let mut reports = appliance.report.clone();
    let heard = reports.wait_for(|report| report.health.conditions.iter().all(|it| it.acknowledged));
    let is_heard = tokio::time::timeout(HEARD_WITHIN, heard).await.is_ok_and(|heard| heard.is_ok());
    Json(Acknowledged { conditions: seen, is_heard })
}
