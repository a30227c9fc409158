//! Words about labels: snapshots that the owner keeps whatever the rule says.
//!
//! Each date is that of the label alone, and has its zone beside it: the box does not know the zones of those who read its
//! lamp, its messages and its status.

use crate::decide::facts::LabelFacts;
use crate::phrase::counted;
use jiff::tz::TimeZone;
use larder_format::when::end_in_words;

/// Labels named in one sentence; `larder snapshots` shows the rest.
const NAMED_MAX: usize = 3;

/// What stays beyond the rule, with the days of a reader in `zone`; none without a label.
pub(super) fn kept(labels: &[LabelFacts], zone: &TimeZone) -> Option<String> {
    let (named, others) = labels.split_at(labels.len().min(NAMED_MAX));
    let named: Vec<_> =
        named.iter().map(|label| format!("{}, {}", snapshot(label), until(label, Some(zone)))).collect();
    let more = match others.len() as u64 {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    (!named.is_empty()).then(|| format!("Kept by the owner besides: {}{more}.", named.join("; ")))
}

/// A label that somebody at the box shortens.
pub(super) fn ending(source: &str, label: &LabelFacts) -> [String; 3] {
    let (snapshot, until, number) = (snapshot(label), until(label, None), label.snapshot);
    let hours = counted(label.shortens_in_s.unwrap_or(0).div_ceil(3600), "hour", "hours");
    [
        format!(
            "Somebody at the box shortens how long {snapshot} of {source} is kept by the owner: {until}. It counts in {hours}."
        ),
        "Until that date it is kept and can be restored; after it, it stays only as long as the rule says."
            .to_owned(),
        format!("Nothing, if it was you. If not, at the box: `larderd keep {number}`."),
    ]
}

fn snapshot(label: &LabelFacts) -> String {
    match label.text.as_str() {
        "" => format!("snapshot {}", label.snapshot),
        text => format!("snapshot {} \"{text}\"", label.snapshot),
    }
}

/// The end in `zone`; in the zone of the box for readers that are not known.
fn until(label: &LabelFacts, zone: Option<&TimeZone>) -> String {
    let told = |at: &jiff::Zoned| end_in_words(at.timestamp(), zone.unwrap_or(at.time_zone()));
    label.until.as_ref().map_or_else(|| "for ever".to_owned(), |at| format!("until {}", told(at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn label(snapshot: u64, text: &str, until: Option<&str>) -> LabelFacts {
        let until = until.map(|until| until.parse::<Timestamp>().unwrap().to_zoned(TimeZone::UTC));
        LabelFacts { snapshot, text: text.to_owned(), until, shortens_in_s: Some(7201) }
    }

    #[test]
    fn labels_are_named_up_to_a_few() {
        assert_eq!(kept(&[], &TimeZone::UTC), None);
        let one = label(12, "before the move", None);
        let other = label(20, "", Some("2030-01-01T00:00:00Z"));
        let both = kept(&[one.clone(), other.clone()], &TimeZone::UTC).unwrap();
        assert_eq!(
            both,
            "Kept by the owner besides: snapshot 12 \"before the move\", for ever; snapshot 20, until the end of 2029-12-31 \
             (UTC)."
        );
        let new_york = TimeZone::fixed(jiff::tz::offset(-5));
        let there = kept(std::slice::from_ref(&other), &new_york).unwrap();
        assert!(there.ends_with("until 2029-12-31 19:00 (UTC-05:00)."), "{there}");
        let many = kept(&[one, other.clone(), other.clone(), other.clone(), other], &TimeZone::UTC).unwrap();
        assert!(many.ends_with("; and 2 more."), "{many}");
    }

    /// Without its zone, the date of the box is read as a date of the reader.
    #[test]
    fn an_end_says_when_and_how_it_is_taken_back() {
        let [what, _, remedy] = ending("a/b", &label(12, "v2", Some("2030-01-01T05:30:00Z")));
        assert!(
            what.contains("snapshot 12 \"v2\" of a/b is kept by the owner: until 2030-01-01 05:30 (UTC)"),
            "{what}"
        );
        assert!(
            what.ends_with("It counts in 3 hours.") && remedy.contains("larderd keep 12"),
            "{what} {remedy}"
        );
    }
}
