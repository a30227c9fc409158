//! Words on a source from the network: how long it may be silent, and that it is retired. Neither touches a snapshot.
//!
//! Who may say so is asked in the store. Not here: what the words mean (`decide::rhythm`).

use super::auth::Paired;
use super::extract::PathParts;
use super::push::{read_body, source_of};
use super::{Refusal, State};
use crate::decide::rhythm;
use crate::decide::words::sources::expected;
use crate::event::AgentEvent;
use crate::state::Appliance;
use axum::Json;
use axum::body::Body;
use larder_format::wire::{Expectation, Retirement, SourceExpectation};
use larder_store::{Career, RhythmWish, Said, Scope, StoreError};
use serde::de::DeserializeOwned;

/// A word on a source has a few dozen bytes.
const WORD_BYTES_MAX: usize = 4096;

pub(crate) async fn expect(
    Paired(scope): Paired,
    appliance: State,
    PathParts((device, name)): PathParts<(String, String)>,
    body: Body,
) -> Result<Json<SourceExpectation>, Refusal> {
    let source = source_of(&device, &name)?;
    let Expectation { expect } = word(body).await?;
    if !expect.is_sound() {
        return Err(Refusal::invalid("a span of silence is from one hour to ten years"));
    }
    let default_s = appliance.settings.sources.overdue_after.duration().as_secs();
    let wish = RhythmWish { source: source.clone(), expect, default_s };
    let say = move |appliance: &Appliance, scope: &Scope| {
        appliance.vault.by(scope).expect(&wish, appliance.stamp())
    };
    said(&appliance, scope, source, "a longer silence, or `never`,", say).await
}

pub(crate) async fn retire(
    Paired(scope): Paired,
    appliance: State,
    PathParts((device, name)): PathParts<(String, String)>,
    body: Body,
) -> Result<Json<SourceExpectation>, Refusal> {
    let source = source_of(&device, &name)?;
    let Retirement { retired } = word(body).await?;
    let career = if retired { Career::Retired } else { Career::Active };
    let name = source.clone();
    let say = move |appliance: &Appliance, scope: &Scope| {
        appliance.vault.by(scope).retire(&name, career, appliance.stamp())
    };
    said(&appliance, scope, source, "a retirement", say).await
}

/// What is expected of a source, for any caller who may look into it or push there.
pub(crate) async fn expectation(
    Paired(scope): Paired,
    appliance: State,
    PathParts((device, name)): PathParts<(String, String)>,
) -> Result<Json<SourceExpectation>, Refusal> {
    let source = source_of(&device, &name)?;
    if !super::auth::may_read(&scope) {
        scope.require_own(&source)?;
    } else if !scope.may_see(&source) {
        return Err(super::snapshots::no_source(&source));
    }
    told(&appliance, &source).map(Json)
}

async fn word<T: DeserializeOwned>(body: Body) -> Result<T, Refusal> {
    serde_json::from_slice(&read_body(body, WORD_BYTES_MAX).await?).map_err(Refusal::invalid)
}

async fn said(
    appliance: &State,
    scope: Scope,
    source: String,
    what: &str,
    say: impl FnOnce(&Appliance, &Scope) -> Result<Said, StoreError> + Send + 'static,
) -> Result<Json<SourceExpectation>, Refusal> {
    require_few_wishes(appliance, &scope)?;
    match appliance.blocking(move |appliance| say(appliance, &scope)).await?? {
        Said::NeedsAdmin => {
            return Err(Refusal::forbidden(&format!("{what} needs a key of the role admin")));
        }
        Said::Done => appliance.tell(AgentEvent::KeepingChanged),
    }
    told(appliance, &source).map(Json)
}

/// Refuses a device that says something for ever too often.
pub(super) fn require_few_wishes(appliance: &Appliance, scope: &Scope) -> Result<(), Refusal> {
    let Some(device) = scope.device_name() else { return Ok(()) };
    appliance.wishes.count(device, appliance.clock.powered_on_s()).map_err(Refusal::too_many_wishes)
}

fn told(appliance: &Appliance, source: &str) -> Result<SourceExpectation, Refusal> {
    let view = appliance.vault.ledger();
    if view.snapshots(source).is_empty() {
        return Err(super::snapshots::no_source(source));
    }
    let facts = appliance.source_facts(&view, source);
    let rhythm = rhythm::of(&facts, &appliance.settings);
    Ok(SourceExpectation {
        source: source.to_owned(),
        expected: expected(&facts, &rhythm),
        standing: rhythm.standing.word().to_owned(),
        overdue_after_s: rhythm.overdue_after_s,
    })
}

/// What is expected of each of these sources, in words.
pub(super) fn expected_of(appliance: &Appliance, source: &str) -> Option<SourceExpectation> {
    told(appliance, source).ok()
}
