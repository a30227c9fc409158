//! Which receipts stay once there are too many.
//!
//! The newest 4,000 stay, six weeks of a snapshot every quarter-hour. Of the older ones each source keeps the last of each day, and
//! where that is still too much, the last of each month; at 16,000 the oldest go. Ten years of one source every quarter-hour are
//! 7,700 receipts then, 4 MB.

use super::KeptReceipt;
use std::collections::HashSet;

/// The newest, whatever they are for.
const NEWEST: usize = 4000;
/// All together.
const ALL_MAX: usize = 16_000;
const DAY_MS: i64 = 86_400_000;
/// As long as a month is on average.
const MONTH_MS: i64 = DAY_MS * 487 / 16;

/// The receipts that stay, in their order.
pub(super) fn thin(receipts: Vec<KeptReceipt>) -> Vec<KeptReceipt> {
    let daily = last_of_each(receipts, DAY_MS);
    if daily.len() <= ALL_MAX {
        return daily;
    }
    let mut monthly = last_of_each(daily, MONTH_MS);
    let beyond = monthly.len().saturating_sub(ALL_MAX);
    monthly.drain(..beyond);
    monthly
}

fn last_of_each(receipts: Vec<KeptReceipt>, span_ms: i64) -> Vec<KeptReceipt> {
    let older = receipts.len().saturating_sub(NEWEST);
    let mut seen = HashSet::new();
    let mut stays: Vec<bool> = receipts.iter().map(|_| true).collect();
    // From the end, so that the last of each span is met first.
    for (place, kept) in receipts[..older].iter().enumerate().rev() {
        let span = kept.said_ms().div_euclid(span_ms);
        stays[place] = seen.insert((kept.vault.clone(), kept.receipt.source.clone(), span));
    }
    receipts.into_iter().zip(stays).filter_map(|(kept, stays)| stays.then_some(kept)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_format::{
        ChunkRef, Hash,
        ledger::Head,
        wire::{Receipt, SignedWord},
    };

    fn receipt(snapshot: u64, source: &str, said_ms: i64) -> KeptReceipt {
        let head = Head { sequence: snapshot, hash: Hash::ZERO };
        let signed = Some(SignedWord { said_ms, signature: String::new() });
        let receipt =
            Receipt { source: source.to_owned(), snapshot, head, disks: vec![], degraded: vec![], signed };
        KeptReceipt { vault: "v".to_owned(), root: ChunkRef::to(b""), receipt }
    }

    #[test]
    fn ten_years_of_every_quarter_hour_are_some_thousand_receipts() {
        let quarters = 10 * 365 * 96;
        let all: Vec<_> = (0..quarters)
            .map(|n| receipt(n, "laptop/data", i64::try_from(n).unwrap() * DAY_MS / 96))
            .collect();
        let kept = thin(all.clone());
        assert_eq!(kept.len(), 4000 + 3609);
        assert_eq!(kept[kept.len() - 4000..], all[all.len() - 4000..], "the newest all stay");
        let days: Vec<_> = kept[..100].iter().map(|kept| kept.receipt.snapshot).collect();
        let last_of_days: Vec<_> = (1..=100).map(|day| day * 96 - 1).collect();
        assert_eq!(days, last_of_days, "the last of each day");
        assert_eq!(thin(kept.clone()), kept, "thinned out again nothing goes");
    }

    #[test]
    fn many_sources_stay_within_bounds_and_none_is_forgotten() {
        let mut all = Vec::new();
        for day in 0..2000 {
            for source in 0..20 {
                let number = all.len() as u64;
                all.push(receipt(number, &format!("laptop/{source}"), day * DAY_MS));
            }
        }
        let kept = thin(all);
        assert!(kept.len() <= ALL_MAX, "{}", kept.len());
        for source in 0..20 {
            let name = format!("laptop/{source}");
            let first = kept.iter().find(|kept| kept.receipt.source == name).unwrap();
            assert!(first.said_ms() < 40 * DAY_MS, "its first month is still there");
        }
    }
}
