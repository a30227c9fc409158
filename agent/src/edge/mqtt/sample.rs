//! A report as a real home would have it, for the tests of this folder.

use jiff::Timestamp;
use larder_format::ledger::Role;
use larder_panel::Rhythm;

use crate::report::{
    About, Answers, Condition, ConditionCode, DiskHealth, DiskReport, DiskState, DiskUse, Doing, Flush,
    Happened, Happening, HeadReport, Health, Level, NextToGo, PairingReport, PairingState, ProofReport,
    PushFacts, PushResult, Report, RetentionReport, SignedParts, SourceReport, SourceStanding, SystemReport,
    VaultReport,
};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time written in a test")
}

/// Two sources, one of them overdue, on one disk.
pub(crate) fn report() -> Report {
    Report {
        health: Health {
            level: Level::NeedsYou,
            conditions: vec![overdue()],
            doing: Doing::Idle,
            lamp: Rhythm::needs_you(3),
        },
        vault: VaultReport {
            snapshots: 412,
            files: 48_213,
            protected_bytes: 229_780_750_336,
            protected_gib: 214.0,
            stored_bytes: 193_273_528_320,
            stored_gib: 180.0,
            copies: 1,
            copies_wanted: 1,
            free_bytes: Some(1_073_741_824_000),
            free_gib: Some(1000.0),
            days_left: Some(900),
        },
        retention: retention(),
        proof: ProofReport { last_scrub: Some(at("2026-04-20T04:00:00Z")), damaged: 0, repaired: 2 },
        head: head(),
        pairing: PairingReport {
            state: PairingState::Open,
            device: Some("tablet".to_owned()),
            role: Some(Role::Push),
            until: Some(at("2026-05-02T03:06:05Z")),
        },
        system: SystemReport {
            cpu_celsius: Some(51.5),
            undervoltage: None,
            clock_trusted: true,
            memory_mib: Some(61),
            address: "192.168.1.20:8484".to_owned(),
            certificate_sha256: "AB:CD".to_owned(),
            version: "0.1.0".to_owned(),
            started: at("2026-04-01T00:00:00Z"),
            mqtt_spooled: 0,
            mqtt_dropped: 0,
            mqtt_connects: 1,
        },
        disks: vec![DiskReport {
            id: "0a1b2c3d".to_owned(),
            path: "/srv/larder/a".to_owned(),
            present: true,
            used_bytes: Some(966_367_641_600),
            free_bytes: Some(1_073_741_824_000),
            free_gib: Some(1000.0),
            used_percent: Some(47.4),
            health: DiskHealth::Fine,
            flush: Flush::Trusted,
            behind: Some(0),
            role: DiskUse::Home,
            state: DiskState::Healthy,
            may_unplug: false,
            complete: None,
            leaving: false,
        }],
        sources: vec![
            source("laptop/photos", Some("2026-05-02T03:04:05Z"), false),
            source("phone/camera", Some("2026-04-23T20:00:00Z"), true),
        ],
    }
}

fn overdue() -> Condition {
    Condition {
        code: ConditionCode::Overdue,
        level: Level::NeedsYou,
        since: at("2026-05-02T00:00:00Z"),
        what: "The phone has not backed up its camera folder for 9 days.".to_owned(),
        meaning: "Pictures taken since then exist only on the phone.".to_owned(),
        remedy: "Open the app on the phone while it is at home.".to_owned(),
        acknowledged: false,
        about: About::default(),
    }
}

fn head() -> HeadReport {
    HeadReport {
        sequence: 1234,
        hash: "5f".repeat(32),
        time: Some(at("2026-05-02T03:04:05Z")),
        signed: SignedParts {
            vault: Some("0a".repeat(16)),
            said: Some(at("2026-05-02T03:04:05.678Z")),
            key: Some("0b".repeat(32)),
            signature: Some("0c".repeat(64)),
        },
        answers: None,
        is_withheld: false,
    }
}

fn retention() -> RetentionReport {
    RetentionReport {
        rule: "all of 7 days, one a week for a year".to_owned(),
        promise: "any version of the last 7 days, one a week for a year".to_owned(),
        oldest: Some(at("2025-05-01T02:00:00Z")),
        next_to_go: Some(NextToGo {
            at: at("2026-05-04T02:00:00Z"),
            source: "laptop/photos".to_owned(),
            snapshot: 17,
            why: "older than 7 days and not the first of its week".to_owned(),
        }),
        holds: Vec::new(),
        shorter: None,
        locked: None,
    }
}

/// One source in good order but for `overdue`.
pub(crate) fn source(name: &str, last_success: Option<&str>, overdue: bool) -> SourceReport {
    SourceReport {
        source: name.to_owned(),
        id: name.replace('/', "-"),
        last_success: last_success.map(at),
        last_result: PushResult::Success,
        overdue,
        expected: "within 2 days".to_owned(),
        standing: SourceStanding::Expected,
        overdue_after_s: Some(172_800),
        folder: None,
        files: 24_000,
        bytes: 114_890_375_168,
        gib: 107.0,
        skipped: 0,
        snapshots: 206,
        oldest: Some(at("2025-05-01T02:00:00Z")),
        answers: Answers {
            deleted_files: "Yes, 812 of them, back to 1 May 2025.".to_owned(),
            older_versions: "Yes, up to 41 versions of 3102 files.".to_owned(),
            kept_how_long: "At least one a week for a year; the next goes on 4 May 2026.".to_owned(),
            bad_edit: "Nothing is on hold. The last good state is snapshot 206.".to_owned(),
            damaged: Vec::new(),
        },
    }
}

/// The `number`th event of a test.
#[cfg_attr(not(feature = "broker"), allow(dead_code, reason = "told to the agent's own broker"))]
pub(crate) fn happening(number: u64) -> Happening {
    let pushed =
        PushFacts { source: "laptop/photos".to_owned(), snapshot: number, files: 3, bytes: 5, skipped: 0 };
    Happening {
        id: format!("event-{number}"),
        time: at("2026-05-02T03:04:05Z"),
        what: Happened::Pushed(pushed),
    }
}
