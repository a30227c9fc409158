//! Labels: who may say that a snapshot stays, how often it counts, and that it outlives the rule and a restart.

use crate::letting_go::SHORT;
use harness::plain::{self, files, push, stamp};
use larder_format::ledger::{Event, Role, Sees};
use larder_store::disk::{Disk, MemoryDisk};
use larder_store::{LABELS_MAX, LabelWish, Labelling, LetGoOf, Scope, StoreError, Vault};
use std::sync::Arc;

fn pushed(vault: &Vault, source: &str, hour: u64) -> u64 {
    vault.look_at_clock(stamp(hour));
    let committed = push(vault, source, &files([("a.txt", b"letter")]), hour.into(), stamp(hour));
    committed.expect("a snapshot").record.sequence
}

fn label(vault: &Vault, by: &Scope, snapshot: u64, text: &str) -> Result<Labelling, StoreError> {
    let wish = LabelWish { snapshot, text: text.to_owned(), until_ms: None };
    let now = vault.ledger().newest.expect("it has entries");
    vault.by(by).label(&wish, now)
}

/// A thief with a key that pushes has no word by which garbage would be kept for ever.
#[test]
fn only_an_admin_has_a_snapshot_kept_and_the_same_word_counts_once() {
    let vault = plain::open(vec![Arc::new(MemoryDisk::new())]).expect("a vault");
    let [first, second] = [1, 2].map(|hour| pushed(&vault, "laptop/docs", hour));
    let other = pushed(&vault, "phone/dcim", 3);
    let admin = plain::device_of("laptop");
    let head = || vault.ledger().head.sequence;
    let before = head();
    for role in [Role::Push, Role::User, Role::Read] {
        let said =
            label(&vault, &plain::key("laptop", role, Sees::usual(role)), first, "v1").expect("an answer");
        assert_eq!(said, Labelling::NeedsAdmin);
    }
    assert!(matches!(label(&vault, &admin, 4711, "v1"), Err(StoreError::NotFound { .. })));
    assert_eq!(head(), before, "nothing was written");
    for _ in 0..3 {
        assert_eq!(label(&vault, &admin, first, "v1").expect("an answer"), Labelling::Done);
        assert_eq!(head(), before + 1, "an answer that was lost on the way costs no entry");
    }
    assert_eq!(label(&vault, &admin, second, "v1").expect("an answer"), Labelling::Taken { by: first });
    assert_eq!(label(&vault, &admin, second, "").expect("an answer"), Labelling::Done);
    assert_eq!(label(&vault, &admin, other, "v1").expect("an answer"), Labelling::Done, "of another source");
}

/// Whoever has an admin key for an hour has not every snapshot of ten years kept.
#[test]
fn there_is_an_end_to_labels() {
    let vault = plain::open(vec![Arc::new(MemoryDisk::new())]).expect("a vault");
    let owner = Scope::appliance();
    for hour in 1..=LABELS_MAX as u64 {
        let snapshot = pushed(&vault, "laptop/docs", hour);
        assert_eq!(label(&vault, &owner, snapshot, "").expect("an answer"), Labelling::Done);
    }
    let more = pushed(&vault, "laptop/docs", LABELS_MAX as u64 + 1);
    assert_eq!(label(&vault, &owner, more, "").expect("an answer"), Labelling::TooMany);
    let known = vault.ledger().snapshots("laptop/docs")[0].sequence;
    assert_eq!(label(&vault, &owner, known, "first").expect("an answer"), Labelling::Done, "it has one");
}

/// Weeks later, after a restart and although somebody lets go of the whole source, it is there; the box ends it.
#[test]
fn what_has_a_label_outlives_the_rule_until_the_box_ends_it() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let vault = plain::open(vec![disk.clone()]).expect("a vault");
    vault.append(stamp(1), Event::RetentionSet(SHORT)).expect("written");
    // Two on one day, and one on each of four later days: the rule keeps those of the last three.
    let look = |vault: &Vault, from: u64, to: u64| {
        for hour in from..=to {
            vault.look_at_clock(stamp(hour));
        }
    };
    let mut seen = 1;
    let [kept, gone, too_old, rest @ ..] = [2, 3, 30, 54, 78, 102].map(|hour| {
        look(&vault, seen + 1, hour);
        seen = hour;
        pushed(&vault, "laptop/docs", hour)
    });
    let wish = LabelWish { snapshot: kept, text: "v1".to_owned(), until_ms: None };
    vault.by(&Scope::appliance()).label(&wish, stamp(102)).expect("labelled");
    drop(vault);

    let vault = plain::open(vec![disk]).expect("it opens again");
    let going = |hour: u64| -> Vec<u64> {
        let plan = vault.plan_prune(stamp(hour));
        assert_eq!(plan.locked, None);
        plan.snapshots.iter().map(|going| going.sequence).collect()
    };
    look(&vault, 103, 400);
    assert_eq!(going(400), [gone, too_old]);
    let all = LetGoOf { source: "laptop/docs".to_owned(), before_ms: None };
    vault.let_go_of(&all, stamp(400)).expect("written");
    look(&vault, 401, 480);
    let all_but_one: Vec<_> = [gone, too_old].into_iter().chain(rest).collect();
    assert_eq!(going(480), all_but_one, "the label holds against that too");
    vault.prune(&vault.plan_prune(stamp(480)), stamp(480)).expect("pruned");
    // What was asked for is done; asked for again, it is about what came since.
    let later = pushed(&vault, "laptop/docs", 481);
    vault.let_go_of(&all, stamp(482)).expect("written");
    look(&vault, 483, 560);
    assert_eq!(going(560), [later]);
    assert!(!vault.end_label(later, None, stamp(560)).expect("an answer"), "it has none");
    assert!(vault.end_label(kept, None, stamp(560)).expect("an answer"));
    look(&vault, 561, 631);
    assert_eq!(going(631), [later], "not before three days");
    look(&vault, 632, 633);
    assert_eq!(going(633), [kept, later]);
}
