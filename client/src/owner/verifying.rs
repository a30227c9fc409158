//! `larder verify`: this computer's own receipts, held against the appliance or against a pulled disk.
//!
//! It looks and changes nothing, at neither end. Exit code 6: the past is another one than was promised; 3: not every receipt could
//! be held against anything. Not here: the comparison (`receipts`).

use super::{
    options::GlobalOptions,
    output::{CommandError, Output, count, counted, moment},
    past_watch::PastWatch,
    progress::with_bar,
};
use crate::{
    ClientError, PairedAppliance, Remote, TransferProgress,
    receipts::{
        ReadReceipts, ReceiptBook, at_box,
        check::{FaultyReceipt, ReceiptFault, ReceiptFindings},
        is_signed, on_disk,
    },
};
use clap::Args;
use larder_format::statement::StatementKind;
use larder_trust::PublicKey;
use std::{io, path::PathBuf};

/// Faults that are shown to a person; JSON has more.
const SHOWN_MAX: usize = 20;

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Check against a disk that was pulled out of the appliance, mounted here, instead of the appliance
    #[arg(long, value_name = "DISK")]
    disk: Option<PathBuf>,
}

/// What the receipts were held against.
struct Against {
    /// As a person calls it.
    what: String,
    kind: &'static str,
    vault: String,
    /// Receipts beyond the end are no lack of a disk that was pulled earlier.
    may_be_older: bool,
    /// The appliance shows another newest entry than this computer saw, or one that it did not sign.
    is_head_changed: bool,
}

/// Everything that is told.
struct VerifiedReceipts {
    against: Against,
    findings: ReceiptFindings,
    receipts: u64,
    /// Of another vault of the same appliance.
    of_others: u64,
    damaged_lines: Vec<u64>,
}

pub(super) fn verify(
    args: &VerifyArgs,
    global: &GlobalOptions,
    output: &mut Output,
) -> Result<u8, CommandError> {
    let key = PairedAppliance::load(&global.pairing_path()?)?.keys.appliance;
    let book = ReceiptBook::of(&key)?;
    let read = book.read().map_err(|error| ClientError::local("reading the receipts", book.path(), error))?;
    let verified = match &args.disk {
        Some(disk) => against_disk(disk, read, &key, output)?,
        None => against_box(read, &key, global, output)?,
    };
    if output.is_json() {
        output.json(&verified.json())?;
    } else {
        verified.tell(&book, output)?;
    }
    Ok(verified.exit_code())
}

fn against_box(
    ReadReceipts { receipts, damaged }: ReadReceipts,
    key: &PublicKey,
    global: &GlobalOptions,
    output: &Output,
) -> Result<VerifiedReceipts, ClientError> {
    let connection = global.connect()?;
    let identity = connection.identity()?;
    let watch = PastWatch::look(&connection, &identity)?;
    watch.tell("Nothing was changed by looking.");
    let is_unsigned = identity
        .signed
        .as_ref()
        .is_some_and(|word| !is_signed(key, &identity.vault, identity.head, StatementKind::Newest, word));
    let mine = || receipts.iter().filter(|kept| kept.vault == identity.vault);
    let progress = TransferProgress::default();
    let findings = with_bar(&progress, output, None, || {
        at_box::check(&connection, identity.head, mine(), key, &progress)
    })?;
    let is_head_changed = watch.alarm || is_unsigned;
    let verified = VerifiedReceipts {
        receipts: receipts.len() as u64,
        of_others: (receipts.len() - mine().count()) as u64,
        damaged_lines: damaged,
        findings,
        against: Against {
            what: format!("\"{}\"", identity.appliance),
            kind: "appliance",
            vault: identity.vault.clone(),
            may_be_older: false,
            is_head_changed,
        },
    };
    if !verified.is_changed() {
        watch.saw_newest(&identity);
    }
    Ok(verified)
}

fn against_disk(
    disk: &std::path::Path,
    ReadReceipts { receipts, damaged }: ReadReceipts,
    key: &PublicKey,
    output: &Output,
) -> Result<VerifiedReceipts, ClientError> {
    let progress = TransferProgress::local();
    let checked = with_bar(&progress, output, None, || on_disk::check(disk, &receipts, key, &progress))?;
    Ok(VerifiedReceipts {
        receipts: receipts.len() as u64,
        of_others: checked.of_others,
        damaged_lines: damaged,
        findings: checked.findings,
        against: Against {
            what: format!("the disk at {}", disk.display()),
            kind: "disk",
            vault: checked.vault,
            may_be_older: true,
            is_head_changed: false,
        },
    })
}

impl VerifiedReceipts {
    fn is_changed(&self) -> bool {
        let is_cut_off = self.findings.beyond > 0 && !self.against.may_be_older;
        self.findings.is_changed() || self.against.is_head_changed || is_cut_off
    }

    fn exit_code(&self) -> u8 {
        match self.is_changed() {
            true => 6,
            false if self.findings.beyond > 0 || !self.damaged_lines.is_empty() => 3,
            false => 0,
        }
    }

    fn json(&self) -> serde_json::Value {
        let Self { against, findings, receipts, of_others, damaged_lines } = self;
        let let_go: Vec<_> = findings
            .let_go
            .iter()
            .map(|by| {
                serde_json::json!({
                    "entry": by.entry, "time": by.time, "why": by.why, "snapshots": by.snapshots,
                })
            })
            .collect();
        let faults: Vec<_> = findings
            .faults
            .iter()
            .map(|FaultyReceipt { snapshot, source, fault }| {
                serde_json::json!({ "source": source, "snapshot": snapshot, "fault": word(*fault) })
            })
            .collect();
        serde_json::json!({
            "against": against.kind,
            "vault": against.vault,
            "past_was_changed": self.is_changed(),
            "head_was_changed": against.is_head_changed,
            "receipts": receipts,
            "of_other_vaults": of_others,
            "damaged_lines": damaged_lines,
            "whole": findings.whole,
            "kept": findings.kept,
            "let_go": let_go,
            "unsigned": findings.unsigned,
            "beyond": findings.beyond,
            "fault_count": findings.fault_count,
            "faults": faults,
            "broken_entries": findings.broken,
            "entries": findings.entries,
            "newest": findings.newest,
        })
    }

    fn tell(&self, book: &ReceiptBook, output: &mut Output) -> io::Result<()> {
        let Self { against, findings, receipts, of_others, damaged_lines } = self;
        if self.is_changed() {
            self.tell_alarm(output)?;
        } else if *receipts == *of_others {
            output.line(format!(
                "This computer has no receipt for {} yet: `larder push` gives one with each backup.",
                against.what
            ))?;
        } else {
            output.line(format!(
                "Everything that was promised to this computer is in the record of {}.",
                against.what
            ))?;
        }
        if findings.whole > 0 {
            output.line(format!(
                "{} with what the record says now; {} held against it.",
                counted(findings.whole, "receipt agrees", "receipts agree"),
                counted(findings.entries, "entry was", "entries were"),
            ))?;
        }
        self.tell_fates(output)?;
        if findings.beyond > 0 && against.may_be_older {
            output.line(format!(
                "{} newer than {}: it was pulled before, or it is an older copy. Whether it should have them, you know best.",
                counted(findings.beyond, "receipt is", "receipts are"),
                against.what,
            ))?;
        }
        if findings.unsigned > 0 {
            output.line(format!(
                "{} from before receipts were signed.",
                counted(findings.unsigned, "receipt is", "receipts are")
            ))?;
        }
        if *of_others > 0 {
            output.line(format!(
                "{} of another vault, and not looked at.",
                counted(*of_others, "receipt is", "receipts are")
            ))?;
        }
        if !damaged_lines.is_empty() {
            output.line(format!(
                "{} damaged in {}: what it proved is lost, the others count.",
                counted(damaged_lines.len() as u64, "receipt is", "receipts are"),
                book.path().display(),
            ))?;
        }
        if let Some(newest) = findings.newest {
            output.line(format!("details: newest entry {} {}", newest.sequence, newest.hash.short()))?;
        }
        Ok(())
    }

    /// What became of the snapshots.
    fn tell_fates(&self, output: &mut Output) -> io::Result<()> {
        let ReceiptFindings { kept, let_go, .. } = &self.findings;
        if *kept > 0 {
            output
                .line(format!("{} kept.", counted(*kept, "of the snapshots is", "of the snapshots are")))?;
        }
        for by in let_go.iter().rev().take(SHOWN_MAX) {
            output.line(format!(
                "{} let go of on {}, as entry {} says: {}.",
                counted(by.snapshots.len() as u64, "snapshot was", "snapshots were"),
                moment(&by.time),
                count(by.entry),
                by.why,
            ))?;
        }
        let further = let_go.iter().rev().skip(SHOWN_MAX).map(|by| by.snapshots.len() as u64).sum::<u64>();
        if further > 0 {
            output.line(format!(
                "{} let go of before that; --json names each.",
                counted(further, "was", "were")
            ))?;
        }
        Ok(())
    }

    fn tell_alarm(&self, output: &mut Output) -> io::Result<()> {
        let Self { against, findings, .. } = self;
        output.line(format!(
            "ALARM: the record of {} is not the one that was promised to this computer.",
            against.what
        ))?;
        if findings.beyond > 0 && !against.may_be_older {
            output.line(format!(
                "{} for entries behind its end: an old disk was put back, or entries were removed.",
                counted(findings.beyond, "receipt is", "receipts are")
            ))?;
        }
        for FaultyReceipt { snapshot, source, fault } in findings.faults.iter().take(SHOWN_MAX) {
            output.line(format!("  {source}, snapshot {}: {}", count(*snapshot), in_words(*fault)))?;
        }
        let further = findings.fault_count.saturating_sub(SHOWN_MAX as u64);
        if further > 0 {
            output.line(format!("  and {} more; --json names them.", count(further)))?;
        }
        for (first, last) in findings.broken.iter().take(SHOWN_MAX) {
            let numbers = if first == last {
                format!("entry {} is", count(*first))
            } else {
                format!("entries {} to {} are", count(*first), count(*last))
            };
            output.line(format!("  {numbers} missing, or not the one that was written there."))?;
        }
        output.line("Snapshots may be missing or exchanged. What is still there can be restored as ever.")?;
        output.line(
            "If you put an old disk back, pair this computer again and push; if not, somebody changed the disks: keep this computer's \
             receipts, and trust no older snapshot unseen.",
        )
    }
}

fn in_words(fault: ReceiptFault) -> &'static str {
    match fault {
        ReceiptFault::NotSigned => {
            "the receipt here does not bear the appliance's signature; this computer's file was changed."
        }
        ReceiptFault::Missing => "its entry is missing.",
        ReceiptFault::Exchanged => "another entry stands in its place.",
        ReceiptFault::OtherSnapshot => "its entry is another snapshot than was confirmed.",
        ReceiptFault::Unaccounted => "it is not kept, and no entry says that it was let go of.",
    }
}

/// A word for programs.
fn word(fault: ReceiptFault) -> &'static str {
    match fault {
        ReceiptFault::NotSigned => "not_signed",
        ReceiptFault::Missing => "missing",
        ReceiptFault::Exchanged => "exchanged",
        ReceiptFault::OtherSnapshot => "other_snapshot",
        ReceiptFault::Unaccounted => "unaccounted",
    }
}
