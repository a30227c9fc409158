//! Gathering facts: vault, machine and broker at one moment, for `decide` to make sense of.

use super::history::CountWatch;
use crate::decide;
use crate::decide::facts::{
    BrokerFacts, Facts, HoldFacts, LabelFacts, LettingGo, RegistryView, RetainedStanding, SourceFacts,
};
use crate::decide::promise;
use crate::decide::rhythm::longest_gap;
use crate::edge::mqtt::MqttState;
use crate::edge::{flush, system};
use crate::event::AgentEvent;
use crate::report::{Flush, Report, RetainedHead, SystemReport};
use crate::state::Appliance;
use crate::state::opening::Opening;
use crate::state::pairing::{Granted, USUAL_ROLE, key_name};
use crate::state::signer::{NewestEntry, SignedHead};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use larder_firmware_config::Settings;
use larder_format::Hash;
use larder_format::care::LostFile;
use larder_format::ledger::{Event, Pairing, WallStamp};
use larder_store::clock::TrustedTime;
use larder_store::retention::{Reason, Verdict};
use larder_store::{
    DamagedSnapshot, Hold, Label, LedgerView, MemberView, RuleInForce, SHORTEN_DELAY_S, ScrubView,
    SnapshotRecord, StoreError,
};
use larder_trust::PublicKey;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

/// The disks at one moment.
pub(crate) struct DisksView {
    registry: RegistryView,
    disks: Vec<(MemberView, Flush)>,
    damaged: u64,
    lost_files: Vec<LostFile>,
    damaged_snapshots: Vec<DamagedSnapshot>,
    scrubs: Vec<ScrubView>,
    /// What was found at the broker, and whether the disks have it.
    retained: Option<(RetainedHead, RetainedStanding)>,
}

impl Appliance {
    /// The rule's verdicts on a source's snapshots.
    pub(crate) fn judge(
        &self,
        source: &str,
        records: &[Arc<SnapshotRecord>],
    ) -> Vec<(Arc<SnapshotRecord>, Verdict)> {
        let verdicts = self.judge_with(&self.vault.ledger(), source, records);
        records.iter().cloned().zip(verdicts).collect()
    }

    /// This moment, for the next ledger entry.
    pub(crate) fn stamp(&self) -> WallStamp {
        self.stamp_after(&self.vault.ledger())
    }

    fn stamp_after(&self, view: &LedgerView) -> WallStamp {
        self.clock.stamp(view.newest.map(|stamp| stamp.time_ms))
    }

    /// Lets a key in from now on.
    pub(crate) fn take_key(&self, granted: Granted, key: &PublicKey) -> Result<(), StoreError> {
        let Granted { device, role, sees } = granted;
        let key = key_name(key);
        let told = AgentEvent::Paired { device: device.clone(), role };
        if self.vault.ledger().pairings.contains_key(&key) {
            // A box that cannot read the new entry would let the key in with its former rights.
            self.vault.append(self.stamp(), Event::DeviceRevoked { key })?;
        }
        self.vault.append(self.stamp(), Event::DevicePaired(Pairing { device, role, key, sees }))?;
        self.tell(told);
        Ok(())
    }

    /// Opens a window for a new computer, as the button asks.
    pub(crate) fn open_pairing(&self, random: [u8; 16]) {
        match self.pairing.open_for_new(&self.stamp(), random) {
            Ok(true) => {
                tracing::info!("the button opened a window to pair in");
                self.tell(AgentEvent::PairingOpened { device: None, role: USUAL_ROLE });
            }
            Ok(false) => tracing::info!("the button was held, and a window to pair in is open already"),
            Err(why) => tracing::warn!(?why, "the button was held, and no window to pair in opens"),
        }
    }

    /// Returns once the key with this name is in force no more; never for a key that nobody ends.
    pub(crate) async fn key_ended(&self, name: Hash) {
        let mut ended = self.keys_ended.subscribe();
        while ended.changed().await.is_ok() {
            if !self.vault.ledger().pairings.contains_key(&name) {
                return;
            }
        }
    }

    /// Keys in force, in the order of their devices' names.
    pub(crate) fn keys(&self) -> Vec<Pairing> {
        let mut keys: Vec<_> = self.vault.ledger().pairings.values().cloned().collect();
        keys.sort_by(|a, b| (&a.device, a.key).cmp(&(&b.device, b.key)));
        keys
    }

    /// Ends the keys picked by `is_meant`, and every open connection of an ended key. Returns the ended keys.
    pub(crate) fn end_keys(&self, is_meant: impl Fn(&Pairing) -> bool) -> Result<Vec<Pairing>, StoreError> {
        let ended: Vec<_> = self.keys().into_iter().filter(is_meant).collect();
        for pairing in &ended {
            self.vault.append(self.stamp(), Event::DeviceRevoked { key: pairing.key })?;
        }
        self.keys_ended.send_replace(());
        for Pairing { device, .. } in &ended {
            self.tell(AgentEvent::KeyEnded { device: device.clone() });
        }
        Ok(ended)
    }

    /// The rule in force: the ledger's, and the settings' as long as the ledger has none.
    pub(crate) fn rule(&self, view: &LedgerView, now: &TrustedTime) -> RuleInForce {
        let wished = || RuleInForce { rule: promise::rule(&self.settings.retention), shorter: None };
        view.rule(now).unwrap_or_else(wished)
    }

    /// The rule in force now.
    pub(crate) fn rule_now(&self) -> RuleInForce {
        let view = self.vault.ledger();
        self.rule(&view, &view.at(self.stamp_after(&view)))
    }

    /// Facts of a source with snapshots.
    pub(crate) fn source_facts(&self, view: &LedgerView, source: &str) -> SourceFacts {
        let records = view.snapshots(source);
        let (oldest, newest) = (records.first(), records.last());
        let (oldest, newest) = oldest.zip(newest).expect("a source is in the ledger by its first snapshot");
        let counts = {
            // Snapshots set aside are not counted, so no answer waits for their count.
            let looked_at = records.iter().rev().find(|record| !view.is_set_aside(record.sequence));
            let history = self.history.read().unwrap_or_else(PoisonError::into_inner);
            history.of(source, looked_at.map(|record| record.sequence))
        };
        let now = view.at(self.stamp_after(view));
        let judged = self.judge_with(view, source, records);
        let is_newest = |verdict: &&Verdict| verdict.reasons.contains(&Reason::Newest);
        let next_to_go = judged.iter().filter(|verdict| !is_newest(verdict));
        let next_to_go = next_to_go.filter_map(|verdict| Some((verdict.sequence, verdict.kept_until?)));
        let (wish, rule) = (view.wish(source), self.rule(view, &now).rule);
        let stamps = records.iter().rev().map(|record| record.stamp);
        SourceFacts {
            source: source.to_owned(),
            snapshots: records.len() as u64,
            oldest: oldest.clone(),
            newest: newest.clone(),
            folder: view.origin(newest).cloned(),
            counts,
            rule,
            next_to_go: next_to_go.min_by_key(|(_, at)| *at),
            on_hold: view.is_on_hold(source, &now),
            damaged: self.vault.damaged_among(records),
            expect: wish.expect,
            longest_gap_s: longest_gap(stamps, &rule, &now.stamp),
            retires_in_s: wish.retires_in_s(&now),
            is_cut_off: view.is_cut_off(source),
            letting_go: letting_go(view, source, &now),
            labels: labels(view, records, &now),
        }
    }

    fn judge_with(&self, view: &LedgerView, source: &str, records: &[Arc<SnapshotRecord>]) -> Vec<Verdict> {
        let now = view.at(self.stamp_after(view));
        let on_hold = view.is_on_hold(source, &now);
        let mut verdicts = view.judge(records, &self.rule(view, &now).rule, &now);
        let Some(wish) = view.wish(source).let_go.filter(|_| !on_hold) else { return verdicts };
        // No date may promise more than the wish at the box leaves.
        let until_ms = wish.asked.stamp.time_ms.saturating_add(SHORTEN_DELAY_S * 1000);
        let goes = Timestamp::from_millisecond(until_ms).ok();
        for (verdict, record) in verdicts.iter_mut().zip(records) {
            if wish.covers(record.sequence, record.stamp.time_ms) {
                verdict.reasons.retain(|reason| *reason == Reason::Label);
                let label = view.label(record.sequence, &now).map(Label::until_ms);
                verdict.kept_until = match label {
                    Some(None) => None,
                    Some(Some(label_ms)) => Timestamp::from_millisecond(label_ms.max(until_ms)).ok(),
                    None => goes,
                };
            }
        }
        verdicts
    }

    /// The facts of the disks. A hanging disk is met here, so this call runs away from the tasks that must answer.
    pub(crate) fn ask_disks(&self, retained: Option<RetainedHead>) -> DisksView {
        let with_flush = |disk: MemberView| {
            let flush =
                if disk.space.is_some() { flush::honesty(Path::new(&disk.path)) } else { Flush::Unproven };
            (disk, flush)
        };
        let damaged = self.vault.damaged_chunks() + self.vault.unreadable_packs();
        DisksView {
            registry: self.registry.view(),
            disks: self.vault.disks().into_iter().map(with_flush).collect(),
            damaged: damaged as u64,
            lost_files: self.vault.lost_files(),
            damaged_snapshots: self.vault.damaged_snapshots(),
            scrubs: self.vault.scrubs(),
            retained: retained.map(|retained| (retained, self.standing_of(retained.head))),
        }
    }

    /// Every fact of this moment.
    pub(crate) fn facts(
        self: &Arc<Self>,
        DisksView { registry, disks, damaged, lost_files, damaged_snapshots, scrubs, retained }: DisksView,
        broker: Option<&MqttState>,
        address: SocketAddr,
        started: Timestamp,
    ) -> Facts<'_> {
        let clock = self.vault.look_at_clock(self.stamp());
        // Before the ledger is locked: it is read there, too.
        let SignedHead { newest: NewestEntry { head, written_ms }, word } = self.signed_head();
        let access = self.vault.access();
        let view = self.vault.ledger();
        let stamp = self.stamp_after(&view);
        let now = view.at(stamp);
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::SeqCst);
        Facts {
            now: Timestamp::from_millisecond(stamp.time_ms).unwrap_or(Timestamp::UNIX_EPOCH),
            zone: TimeZone::system(),
            settings: &self.settings,
            sources: view.sources.keys().map(|source| self.source_facts(&view, source)).collect(),
            disks,
            registry,
            is_paired: !view.pairings.is_empty(),
            pairing: self.pairing.report(&stamp),
            head,
            head_time_ms: written_ms,
            head_signed: self.signed_parts(word),
            retained,
            gaps: view.gaps.len(),
            access,
            holds: view.holds_in_force(&now).map(|(number, hold)| hold_facts(number, hold, &now)).collect(),
            rule: self.rule(&view, &now),
            clock,
            stored_bytes: self.vault.stored_bytes(),
            receiving: count(&self.activity.receiving),
            restoring: count(&self.activity.restoring),
            damaged,
            lost_files,
            damaged_snapshots,
            scrubs,
            stamp,
            lived_s: now.lived_s,
            refused: self.activity.refusals.waiting(self.clock.powered_on_s()),
            kept_free_bytes: self.vault.kept_free_bytes(),
            system: system_report(stamp, broker, address, started, self.browser_identity.fingerprint()),
            broker: broker.map(broker_facts).unwrap_or_default(),
        }
    }

    /// Counts the pushes since the last count, and those that come meanwhile; reads the disks. Ends once `go_on` says no.
    pub(crate) fn count_history(&self, go_on: &dyn Fn() -> bool) {
        let history = || self.history.write().unwrap_or_else(PoisonError::into_inner);
        let watch = CountWatch { go_on, now_s: &|| self.clock.powered_on_s() };
        loop {
            let next = {
                // The ledger first, as whoever gathers facts: two orders would be a deadlock.
                let view = self.vault.ledger();
                history().next_turn(&view)
            };
            let Some(mut turn) = next else { return };
            turn.count(&self.vault, &watch);
            if !go_on() {
                return;
            }
            history().update(turn);
        }
    }
}

/// What somebody at the box lets go of.
fn letting_go(view: &LedgerView, source: &str, now: &TrustedTime) -> Option<LettingGo> {
    let is_free = |record: &&Arc<SnapshotRecord>| view.label(record.sequence, now).is_none();
    let snapshots = view.letting_go(source).filter(is_free).count() as u64;
    let left_s = view.wish(source).let_go?.left_s(now);
    (snapshots > 0).then_some(LettingGo { snapshots, left_s })
}

/// Labels on the snapshots of a source.
fn labels(view: &LedgerView, records: &[Arc<SnapshotRecord>], now: &TrustedTime) -> Vec<LabelFacts> {
    let label = |record: &Arc<SnapshotRecord>| {
        let label = view.label(record.sequence, now)?;
        Some(LabelFacts {
            snapshot: record.sequence,
            text: label.text.clone(),
            until: label
                .until_ms()
                .and_then(|ms| Timestamp::from_millisecond(ms).ok())
                .map(|at| at.to_zoned(TimeZone::system())),
            shortens_in_s: label.shortens_in_s(now),
        })
    };
    records.iter().filter_map(label).collect()
}

fn hold_facts(number: u64, hold: &Hold, now: &TrustedTime) -> HoldFacts {
    let left_s = |cleared: TrustedTime| (SHORTEN_DELAY_S - cleared.age_s(now)).max(0).unsigned_abs();
    HoldFacts {
        number,
        source: hold.source.clone(),
        reason: hold.reason.clone(),
        ends_in_s: hold.cleared.map(left_s),
    }
}

/// The report before the first look at an appliance that listens at `address`.
pub(crate) fn starting_report(
    opening: &Opening,
    settings: &Settings,
    address: SocketAddr,
    started: Timestamp,
) -> Report {
    let (stamp, certificate) = (opening.clock.stamp(None), opening.browser_identity.fingerprint());
    decide::starting(settings, system_report(stamp, None, address, started, certificate), started)
}

/// The machine at this moment.
fn system_report(
    stamp: WallStamp,
    broker: Option<&MqttState>,
    address: SocketAddr,
    started: Timestamp,
    certificate_sha256: String,
) -> SystemReport {
    SystemReport {
        cpu_celsius: system::cpu_celsius(),
        undervoltage: system::undervoltage(),
        clock_trusted: stamp.trusted,
        memory_mib: system::memory_mib(),
        address: address.to_string(),
        certificate_sha256,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started,
        mqtt_spooled: broker.map_or(0, |state| state.spooled),
        mqtt_dropped: broker.map_or(0, |state| state.dropped),
        mqtt_connects: broker.map_or(0, |state| state.connects),
    }
}

fn broker_facts(state: &MqttState) -> BrokerFacts {
    let trouble = state.last_error.as_ref();
    BrokerFacts {
        away_since: (!state.connected).then_some(state.since),
        last_error: trouble.map(|trouble| trouble.what.clone()),
        remedy: trouble.and_then(|trouble| trouble.remedy.clone()),
        is_lasting: trouble.is_some_and(|trouble| trouble.is_lasting),
        is_given_up: state.is_given_up,
    }
}
